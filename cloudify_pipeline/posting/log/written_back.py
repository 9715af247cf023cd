"""What Stripe's metadata was last told of each document, so that nothing is told twice while staging still shows the old."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, Column, Connection, DateTime, Engine, String, Table, and_, select

from cloudify_pipeline.posting.endings import State
from cloudify_pipeline.posting.log.inserting import insert
from cloudify_pipeline.posting.log.schema import metadata, records

written_back = Table(
    "written_back",
    metadata,
    Column("connection", String(64), primary_key=True),
    Column("stripe_id", String(255), primary_key=True),
    Column("content", String(64), nullable=False),
    Column("over", String(64), nullable=False),
    Column("synced_at", String(40), nullable=False),
    Column("refused", Boolean, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
)

TOLD: tuple[State, ...] = ("posted", "booked", "failed", "held")
"""The endings that are written back; what is skipped or only planned is not."""


@dataclass(frozen=True, slots=True)
class Told:
    """One write: the hash of its values, and that of the staged metadata it went over (empty: staging showed it already).

    While staging still has the metadata `over`, what Stripe has now is `content`. `synced_at` is the time that was
    written with it: another one in Stripe is of a later write of ours, whose run ended before it could be remembered.
    `refused`: Stripe would not take it.
    """

    stripe_id: str
    content: str
    over: str = ""
    synced_at: str = ""
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """A document's present ending, and what Stripe was told of it last."""

    stripe_id: str
    state: State
    ledger_kind: str | None
    number: str | None
    code: str | None
    message: str | None
    told: Told | None


def standings(engine: Engine, connection: str) -> list[Standing]:
    """Every document with an ending to write back, the latest first."""
    r, w = records.c, written_back.c
    query = (
        select(r.stripe_id, r.state, r.ledger_kind, r.number, r.code, r.message, w.content, w.over, w.synced_at, w.refused)
        .select_from(
            records.outerjoin(written_back, and_(w.connection == r.connection, w.stripe_id == r.stripe_id)),
        )
        .where(r.connection == connection, r.kind == "document", r.state.in_(TOLD))
        .order_by(r.updated_at.desc(), r.stripe_id)
    )
    with engine.connect() as db:
        return [Standing(row[0], row[1], row[2], row[3], row[4], row[5], _told(row)) for row in db.execute(query)]


def remember(db: Connection, connection: str, told: Iterable[Told], now: datetime) -> None:
    """Keep what Stripe was told, in `db`'s transaction."""
    rows = [
        {
            "connection": connection,
            "stripe_id": one.stripe_id,
            "content": one.content,
            "over": one.over,
            "synced_at": one.synced_at,
            "refused": one.refused,
            "at": now,
        }
        for one in told
    ]
    if not rows:
        return
    statement = insert(db.dialect.name, written_back)
    changed = {name: statement.excluded[name] for name in ("content", "over", "synced_at", "refused", "at")}
    db.execute(statement.on_conflict_do_update(index_elements=["connection", "stripe_id"], set_=changed), rows)


def _told(row: Sequence[Any]) -> Told | None:
    return None if row[6] is None else Told(row[0], row[6], row[7], row[8], row[9])
