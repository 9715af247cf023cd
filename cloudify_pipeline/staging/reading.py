"""Questions to staging, as functions of an open connection. Sums are exact: they come as int, never through a data frame."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

import duckdb

from cloudify_pipeline.accounting.money import from_minor
from cloudify_pipeline.staging.heads import parse, source_hash
from cloudify_pipeline.staging.links import BARE, LINKS
from cloudify_pipeline.staging.schema import PLAN_TABLES, TABLES
from cloudify_pipeline.staging.writing import PlanRow
from cloudify_pipeline.stripe_objects import Kind

Connection = duckdb.DuckDBPyConnection


@dataclass(frozen=True, slots=True)
class Candidate:
    """An invoice or charge for which a document may be due. A new `content_hash` means that Stripe changed it."""

    kind: Literal["invoice", "charge"]
    id: str
    content_hash: str
    customer: str | None
    status: str
    created: datetime


@dataclass(frozen=True, slots=True)
class Summary:
    """What is staged of one kind. `sums` are amounts in the currency's own unit, over what is not deleted."""

    rows: int
    deleted: int
    by_status: dict[str, int]
    sums: dict[str, Decimal]
    oldest: datetime | None
    newest: datetime | None
    columns: list[tuple[str, str]]


def objects(connection: Connection, kind: Kind, ids: Sequence[str] | None) -> dict[str, dict[str, Any]]:
    """The staged objects by id, as Stripe gave them; one that is deleted says so beside its last known fields."""
    return {
        str(stripe_id): {**parse(body), **({"deleted": True} if deleted else {})}
        for stripe_id, deleted, body in _by_id(connection, f"SELECT id, deleted, body FROM {TABLES[kind].name}", "id", ids)
    }


def content_hashes(connection: Connection, kind: Kind, ids: Sequence[str]) -> dict[str, str]:
    """A hash of each staged object of `ids`; it changes when Stripe changes the object, not when we show a state in it."""
    rows = _by_id(connection, f"SELECT id, content_hash FROM {TABLES[kind].name}", "id", ids)
    return {str(stripe_id): source_hash(str(digest)) for stripe_id, digest in rows}


def newest(connection: Connection, kind: Kind, limit: int) -> list[dict[str, Any]]:
    """The `limit` newest objects of a kind that are not deleted."""
    # Ids first: sorting whole rows would unpack every body to throw most of them away.
    rows = connection.execute(
        f"SELECT id FROM {TABLES[kind].name} WHERE NOT deleted ORDER BY created DESC, id LIMIT ?", [limit]
    ).fetchall()
    return list(objects(connection, kind, [str(row[0]) for row in rows]).values())


def candidates(connection: Connection, but: Sequence[str] = ()) -> list[Candidate]:
    """Staged invoices and charges that might be due, newest last; none of `but`, which may be all but a few.

    A draft is one only when it was sent. A charge is one when it succeeded and is known to pay no invoice: neither
    what is staged nor Stripe's own answer names one.
    """
    left_out = "ANTI JOIN (SELECT unnest(?) AS id) USING (id)" if but else ""
    rows = connection.execute(
        f"""
        SELECT * FROM (
        SELECT 'invoice' AS kind, id,
               content_hash || CASE WHEN id IN (SELECT invoice_id FROM sent) THEN ':sent' ELSE '' END AS content_hash,
               customer, status, created FROM invoices
        WHERE status IS NOT NULL AND (status <> 'draft' OR id IN (SELECT invoice_id FROM sent))
        UNION ALL
        SELECT 'charge', id, content_hash || coalesce((
                   SELECT ':' || max(s.content_hash) FROM checkout_sessions s WHERE s.payment_intent = charges.payment_intent
               ), ''), customer, status, created FROM charges
        WHERE status = 'succeeded' AND NOT deleted
          AND id IN (SELECT charge_id FROM charge_verdicts WHERE invoice IS NULL)
          AND {BARE}
        ) {left_out} ORDER BY created, id""",
        [list(but)] if but else [],
    ).fetchall()
    return [
        Candidate(kind, stripe_id, source_hash(digest), customer, status, _utc(at))
        for kind, stripe_id, digest, customer, status, at in rows
    ]


def sent_at(connection: Connection, ids: Sequence[str]) -> dict[str, datetime]:
    """When each of these invoices was first e-mailed; one that never was is absent."""
    rows = _by_id(connection, "SELECT invoice_id, sent_at FROM sent", "invoice_id", ids)
    return {str(invoice_id): _utc(at) for invoice_id, at in rows}


def payments_of(connection: Connection, invoices: Sequence[str]) -> dict[str, list[str]]:
    """Invoice → ids of the payment intents and charges that pay it; a charge may be known by its intent alone."""
    paid = _by_id(connection, f"SELECT invoice, payment_intent, charge FROM {LINKS} AS links", "invoice", invoices)
    intents = [str(intent) for _, intent, _ in paid if intent]
    charges: dict[str, list[str]] = {}
    for intent, charge in _by_id(connection, "SELECT payment_intent, id FROM charges", "payment_intent", intents):
        charges.setdefault(str(intent), []).append(str(charge))
    found: dict[str, set[str]] = {}
    for invoice, intent, charge in paid:
        found.setdefault(str(invoice), set()).update(str(one) for one in (intent, charge, *charges.get(intent, ())) if one)
    return {invoice: sorted(several) for invoice, several in found.items()}


def sessions_of(connection: Connection, intents: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Payment intent → the Checkout session that took it, the newest of several."""
    sql = "SELECT payment_intent, created, id, body FROM checkout_sessions"
    rows = _by_id(connection, sql, "status IS DISTINCT FROM 'expired' AND NOT deleted AND payment_intent", intents)
    newest = {str(intent): body for intent, _, _, body in sorted(rows, key=lambda row: (row[1] is not None, row[1], row[2]))}
    return {intent: parse(body) for intent, body in newest.items()}


def resting(connection: Connection) -> dict[str, datetime | None]:
    """The payments that may still get an invoice, and until when each rests; None where its rest has not begun."""
    rows = connection.execute("SELECT charge_id, rests_until FROM resting ORDER BY charge_id").fetchall()
    return {str(charge): None if until is None else _utc(until) for charge, until in rows}


def arithmetic_faults(connection: Connection) -> list[tuple[str, str]]:
    """Invoices that break Stripe's own arithmetic (id, what is wrong); decided when an invoice is staged."""
    rows = connection.execute(
        "SELECT id, sum_fault FROM invoices WHERE sum_fault IS NOT NULL AND NOT deleted ORDER BY created, id"
    )
    return [(str(stripe_id), str(fault)) for stripe_id, fault in rows.fetchall()]


def summary(connection: Connection, kind: Kind) -> Summary:
    """Counts, sums and span of one kind, for the asset's metadata."""
    table = TABLES[kind]
    totals = connection.execute(
        f"SELECT count(*), count(*) FILTER (deleted), min(created), max(created) FROM {table.name}"
    ).fetchone() or (0, 0, None, None)
    live = f"FROM {table.name} WHERE NOT deleted"
    statuses = connection.execute(f"SELECT status, count(*) {live} AND status IS NOT NULL GROUP BY 1 ORDER BY 1").fetchall()
    sums: dict[str, Decimal] = {}
    if "amount_minor" in table.columns and kind != "price":
        for currency, amount in connection.execute(
            f"SELECT currency, sum(amount_minor) {live} AND amount_minor IS NOT NULL GROUP BY 1 ORDER BY 1"
        ).fetchall():
            sums[str(currency)] = from_minor(int(amount), str(currency))
    return Summary(
        rows=int(totals[0]),
        deleted=int(totals[1]),
        by_status={str(status): int(count) for status, count in statuses},
        sums=sums,
        oldest=_utc(totals[2]) if totals[2] else None,
        newest=_utc(totals[3]) if totals[3] else None,
        columns=list(table.columns.items()),
    )


def test_mode(connection: Connection) -> bool:
    """Whether the staged customers and invoices are Stripe test data; the dashboard's addresses differ."""
    found = connection.execute(
        "SELECT bool_or(livemode) FROM (SELECT livemode FROM invoices UNION ALL SELECT livemode FROM customers)"
    )
    row = found.fetchone()
    return not (row and row[0])


def plans(connection: Connection, table: str, ids: Sequence[str] | None) -> list[PlanRow]:
    """The staged plans of a table, in the order they were written."""
    rows = _by_id(connection, f"SELECT stripe_id, kind, revision, body FROM {PLAN_TABLES[table].name}", "stripe_id", ids)
    return [PlanRow(str(stripe_id), str(kind), str(revision), body.encode()) for stripe_id, kind, revision, body in rows]


def _by_id(connection: Connection, sql: str, key: str, ids: Sequence[str] | None) -> list[tuple[Any, ...]]:
    if ids is None:
        return connection.execute(sql).fetchall()
    if not ids:
        return []
    return connection.execute(f"{sql} WHERE {key} IN (SELECT unnest(?))", [list(dict.fromkeys(ids))]).fetchall()


def _utc(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC)
