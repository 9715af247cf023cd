"""How far this log has looked through the ledger for documents that carry a key of ours, and which of them are others'."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Column, Connection, DateTime, String, Table, Text, select

from cloudify_pipeline.posting.log import schema as t
from cloudify_pipeline.posting.log.database import add_new, upsert
from cloudify_pipeline.posting.log.store import LogChange, PostingLog

_PART = 500

looks = Table(
    "looks",
    t.metadata,
    Column("connection", String(64), primary_key=True),
    Column("mark", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
)
"""The mark, in the ledger's own words, up to which every keyed document is known. A log without the row is new, or lost."""

keyed_elsewhere = Table(
    "keyed_elsewhere",
    t.metadata,
    Column("connection", String(64), primary_key=True),
    Column("stripe_id", String(255), primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
)
"""Stripe ids that stand in the ledger and that Stripe had not shown here by then: another account's, or older ones."""


@dataclass(frozen=True, slots=True)
class LastLook:
    """How far the last look came, and when it was."""

    mark: str
    at: datetime


def last_look(log: PostingLog, connection: str) -> LastLook | None:
    """The last look of `connection`; None when this log has never looked."""
    with log.engine.connect() as db:
        row = db.execute(select(looks).where(looks.c.connection == connection)).mappings().first()
    if row is None:
        return None
    at = row["at"] if row["at"].tzinfo else row["at"].replace(tzinfo=UTC)
    return LastLook(row["mark"], at)


def look_change(connection: str, look: LastLook, elsewhere: Collection[str]) -> LogChange:
    """The change that remembers `look`, and the ids that it met and that are not this connection's so far."""

    def apply(db: Connection) -> None:
        upsert(db, looks, [{"connection": connection, "mark": look.mark, "at": look.at}])
        if elsewhere:
            add_new(db, keyed_elsewhere, [{"connection": connection, "stripe_id": i, "at": look.at} for i in elsewhere])

    return LogChange(apply)


def met_elsewhere(log: PostingLog, connection: str, stripe_ids: Sequence[str]) -> list[str]:
    """Those of `stripe_ids` that an earlier look met in the ledger before Stripe showed them here."""
    c = keyed_elsewhere.c
    query = select(c.stripe_id).where(c.connection == connection)
    with log.engine.connect() as db:
        parts = (stripe_ids[start : start + _PART] for start in range(0, len(stripe_ids), _PART))
        return [one for part in parts for one in db.scalars(query.where(c.stripe_id.in_(part)))]
