"""What the log knows of documents that stand in the ledger, and of writes that were refused again and again."""

import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import Column, Connection, LargeBinary, String, Table, distinct, func, select

from cloudify_pipeline.posting.log import schema as t
from cloudify_pipeline.posting.log.store import LogChange, PostingLog

_PART = 500

meant = Table(
    "meant",
    t.metadata,
    Column("connection", String(64), primary_key=True),
    Column("key", String(300), primary_key=True),
    Column("body", LargeBinary, nullable=False),
)
"""What a replaced draft was last meant to say by our plan alone: a replacement's own bytes hold people's words as well."""


def posted_amounts(log: PostingLog, connection: str, stripe_ids: Sequence[str]) -> dict[str, tuple[Decimal | None, str | None]]:
    """Stripe id → (total, currency) that the document has by its record; major units."""
    c = t.records.c
    query = select(c.stripe_id, c.total, c.currency).where(c.connection == connection, c.kind == "document")
    with log.engine.connect() as db:
        rows = [row for part in _parts(stripe_ids) for row in db.execute(query.where(c.stripe_id.in_(part)))]
    return {row.stripe_id: (None if row.total is None else Decimal(row.total), row.currency) for row in rows}


def last_body(log: PostingLog, connection: str, key: str) -> bytes | None:
    """The bytes of the plan that last made the document `key` what it is; None when this log does not know."""
    c = t.operations.c
    created = (
        select(c.body)
        .where(c.connection == connection, c.key == key, c.operation == "create_document", c.state == "confirmed")
        .order_by(c.id.desc())
        .limit(1)
    )
    with log.engine.connect() as db:
        body: bytes | None = db.scalar(select(meant.c.body).where(meant.c.connection == connection, meant.c.key == key))
        return body if body is not None else db.scalar(created)


def meant_change(connection: str, key: str, body: bytes) -> LogChange:
    """The change that remembers `body` for :func:`last_body`."""

    def apply(db: Connection) -> None:
        db.execute(meant.delete().where(meant.c.connection == connection, meant.c.key == key))
        db.execute(meant.insert().values(connection=connection, key=key, body=body))

    return LogChange(apply)


def differing(before: bytes, after: bytes) -> list[str]:
    """The paths at which two request bodies differ, in order: ``notes.heading``, ``lines``."""
    one, other = (dict(_leaves(json.loads(body, parse_float=Decimal))) for body in (before, after))
    return sorted(path for path in one.keys() | other.keys() if one.get(path) != other.get(path))


def refusals(log: PostingLog, connection: str, keys: Sequence[str]) -> dict[tuple[str, str], int]:
    """(key, revision) → in how many runs the ledger refused to write just that, or left it open whether it had.

    What it took later, when a person asked for one more try, was refused no longer.
    """
    o, a = t.operations.c, t.attempts.c
    later = t.operations.alias("later")
    taken = (
        select(later.c.id)
        .where(later.c.connection == o.connection, later.c.key == o.key, later.c.id > o.id, later.c.state == "confirmed")
        .exists()
    )
    query = (
        select(o.key, o.revision, func.count(distinct(a.run_id)))
        .select_from(t.operations.join(t.attempts, a.operation_id == o.id))
        .where(o.connection == connection, o.state.in_(("refused", "unknown")), a.outcome.in_(("refused", "unknown")), ~taken)
        .group_by(o.key, o.revision)
    )
    with log.engine.connect() as db:
        rows = [row for part in _parts(keys) for row in db.execute(query.where(o.key.in_(part))).tuples()]
    return {(key, revision): count for key, revision, count in rows}


def _leaves(body: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in body.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _parts(items: Sequence[str]) -> list[Sequence[str]]:
    return [items[start : start + _PART] for start in range(0, len(items), _PART)]
