"""What one transaction may change in staging. Bulk only: rows travel as Arrow tables, never one by one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb

from cloudify_pipeline.staging.belonging import check_mode, whose
from cloudify_pipeline.staging.heads import Row, columns, compact, content_hash, line_rows, parse, pay_rows, session_rows
from cloudify_pipeline.staging.schema import (
    CHARGE_VERDICTS,
    CURSORS,
    EVENTS_SEEN,
    LINES,
    PAYS,
    PLAN_TABLES,
    RESTING,
    SENT,
    SESSION_LINES,
    TABLES,
    Table,
)
from cloudify_pipeline.stripe_objects import Kind, RawObject

EVENTS_KEPT = timedelta(days=35)
"""Stripe lists events for 30 days; an id that it can no longer repeat need not be remembered."""


@dataclass(frozen=True, slots=True)
class PlanRow:
    """A plan as staged: `body` is the JSON of `planning`, opaque here."""

    stripe_id: str
    kind: str
    revision: str
    body: bytes


class Batch:
    """The writes of one transaction. Everything in it is staged together or not at all, the cursor included."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._whose = whose(connection)

    def upsert(self, kind: Kind, objects: Sequence[RawObject]) -> int:
        """Stage `objects`, the last one of each id; those that stand there already unchanged are left alone.

        Returns:
            How many were new or different.

        Raises:
            NotAuthorised: E-CONN-MODE, one is of another mode than what is staged.
        """
        gone = [one.id for one in objects if one.deleted]
        latest = {one.id: one for one in objects if not one.deleted}
        bodies = {stripe_id: compact(one.body) for stripe_id, one in latest.items()}
        hashes = {stripe_id: content_hash(kind, body) for stripe_id, body in bodies.items()}
        unchanged = self._unchanged(kind, hashes)
        changed = [stripe_id for stripe_id in latest if stripe_id not in unchanged]
        rows: list[Row] = []
        lines: list[Row] = []
        pays: list[Row] = []
        sold: list[Row] = []
        for stripe_id in changed:
            parsed = parse(bodies[stripe_id])
            check_mode(self._whose, kind, stripe_id, parsed.get("livemode"))
            head = (stripe_id, latest[stripe_id].created, parsed.get("livemode"), False, hashes[stripe_id])
            rows.append((*head, *columns(kind, parsed), bodies[stripe_id]))
            if kind == "invoice":
                lines += line_rows(parsed)
                pays += pay_rows(parsed)
            elif kind == "checkout_session":
                sold += session_rows(parsed)
        self._replace(TABLES[kind], "id", changed, rows)
        if kind == "invoice":
            self._replace(LINES, "invoice_id", changed, lines)
            self._replace(PAYS, "invoice_id", changed, pays)
        elif kind == "checkout_session":
            self._replace(SESSION_LINES, "session_id", changed, sold)
        return len(changed) + (self.tombstone(kind, gone) if gone else 0)

    def tombstone(self, kind: Kind, ids: Iterable[str]) -> int:
        """Mark objects as deleted in Stripe; their last known fields stay. Returns how many were not so marked before."""
        wanted = list(dict.fromkeys(ids))
        if not wanted:
            return 0
        table = TABLES[kind]
        live = {
            str(row[0])
            for row in self._query(f"SELECT id FROM {table.name} WHERE id IN (SELECT unnest(?)) AND NOT deleted", wanted)
        }
        staged = {str(row[0]) for row in self._query(f"SELECT id FROM {table.name} WHERE id IN (SELECT unnest(?))", wanted)}
        self._connection.execute(
            f"UPDATE {table.name} SET deleted = true, content_hash = content_hash || '-deleted' WHERE id IN (SELECT unnest(?))",
            [list(live)],
        )
        # An object that was gone before it was ever read: staged too, so that nobody asks Stripe for it again.
        unknown = [stripe_id for stripe_id in wanted if stripe_id not in staged]
        blanks = (None,) * (len(table.columns) - 6)
        stubs: list[Row] = [
            (one, None, None, True, "deleted", *blanks, b'{"id":"%s","deleted":true}' % one.encode()) for one in unknown
        ]
        self._insert(table, stubs)
        return len(live) + len(unknown)

    def mark_sent(self, sent: Mapping[str, datetime]) -> None:
        """Remember when invoices were first e-mailed. Stripe tells it only in an event, and may send an invoice again."""
        earliest = dict(sent)
        for invoice_id, at in self._query(
            "SELECT invoice_id, sent_at FROM sent WHERE invoice_id IN (SELECT unnest(?))", list(sent)
        ):
            earliest[str(invoice_id)] = min(earliest[str(invoice_id)], at.replace(tzinfo=UTC))
        self._replace(SENT, "invoice_id", list(earliest), [(key, int(at.timestamp())) for key, at in earliest.items()])

    def mark_events(self, events: Mapping[str, int]) -> None:
        """Remember processed events (id → created, epoch seconds), so that the overlap of two runs counts none twice."""
        self._replace(EVENTS_SEEN, "id", list(events), list(events.items()))
        if events:
            oldest = datetime.fromtimestamp(max(events.values()), UTC) - EVENTS_KEPT
            self._connection.execute("DELETE FROM events_seen WHERE created < ?", [oldest.replace(tzinfo=None)])

    def judge_charges(self, verdicts: Mapping[str, str | None]) -> None:
        """Remember what Stripe said of charges: the invoice each pays, or None for a payment without an invoice."""
        self._replace(CHARGE_VERDICTS, "charge_id", list(verdicts), list(verdicts.items()))

    def rest_charges(self, resting: Mapping[str, int | None], rested: Sequence[str]) -> None:
        """Remember until when payments rest (our epoch seconds, None before they are captured), and forget those that have."""
        self._replace(RESTING, "charge_id", [*resting, *rested], list(resting.items()))

    def set_cursor(self, name: str, value: str) -> None:
        """Move a cursor, together with the data it stands for."""
        self._replace(CURSORS, "name", [name], [(name, value)])

    def replace_plans(self, table: str, rows: Sequence[PlanRow], only: Sequence[str] | None) -> None:
        """Put `rows` in the place of all plans of a table, or of those of the ids in `only`."""
        target = PLAN_TABLES[table]
        if only is None:
            self._connection.execute(f"DELETE FROM {target.name}")
        ids = [] if only is None else [*only, *(row.stripe_id for row in rows)]
        self._replace(target, "stripe_id", ids, [(row.stripe_id, row.kind, row.revision, row.body) for row in rows])

    def _unchanged(self, kind: Kind, hashes: Mapping[str, str]) -> set[str]:
        sql = f"SELECT id, content_hash FROM {TABLES[kind].name} WHERE id IN (SELECT unnest(?))"
        return {str(stripe_id) for stripe_id, staged in self._query(sql, list(hashes)) if hashes[str(stripe_id)] == staged}

    def _replace(self, table: Table, key: str, keys: Sequence[str], rows: list[Row]) -> None:
        if keys:
            self._connection.execute(f"DELETE FROM {table.name} WHERE {key} IN (SELECT unnest(?))", [list(keys)])
        self._insert(table, rows)

    def _insert(self, table: Table, rows: list[Row]) -> None:
        if not rows:
            return
        self._connection.register("incoming", table.arrow(rows))
        try:
            self._connection.execute(f"INSERT INTO {table.name} SELECT * FROM incoming")
        finally:
            self._connection.unregister("incoming")

    def _query(self, sql: str, ids: Sequence[str]) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql, [list(ids)]).fetchall() if ids else []
