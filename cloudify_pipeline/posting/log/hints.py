"""Hints that Stripe has something new: whoever polls need not wait for the end of its interval."""

from datetime import UTC, datetime

from sqlalchemy import Column, DateTime, Engine, String, Table, select

from cloudify_pipeline.posting.log.inserting import insert
from cloudify_pipeline.posting.log.schema import metadata

hints = Table(
    "hints",
    metadata,
    Column("connection", String(64), primary_key=True),
    Column("asked_at", DateTime(timezone=True), nullable=False),
)


def ask(engine: Engine, connection: str, now: datetime) -> None:
    """Ask for a look at Stripe's events of `connection`."""
    statement = insert(engine.dialect.name, hints).values(connection=connection, asked_at=now)
    with engine.begin() as db:
        db.execute(statement.on_conflict_do_update(index_elements=["connection"], set_={"asked_at": now}))


def asked(engine: Engine) -> dict[str, datetime]:
    """Connection → when a look was last asked for."""
    with engine.connect() as db:
        found = db.execute(select(hints.c.connection, hints.c.asked_at)).tuples().all()
    return {name: at if at.tzinfo else at.replace(tzinfo=UTC) for name, at in found}
