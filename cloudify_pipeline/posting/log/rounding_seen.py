"""Where the ledger's answers showed that it rounds VAT: what planning takes it at, with the documents that taught it."""

from datetime import UTC, datetime
from decimal import Decimal

from sqlalchemy import Column, Connection, DateTime, Engine, String, Table, delete, select

from cloudify_pipeline.planning.rounding import Seen
from cloudify_pipeline.posting.log.schema import metadata

rounding_seen = Table(
    "rounding_seen",
    metadata,
    Column("connection", String(64), primary_key=True),
    Column("key", String(300), primary_key=True),
    Column("rounding", String(16), nullable=False),
    Column("answered", String(40), nullable=False),
    Column("otherwise", String(40), nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
)


def rounding_answers(engine: Engine, connection: str) -> tuple[Seen, ...]:
    """Every answer that told, the oldest first."""
    with engine.begin() as db:
        rounding_seen.create(db, checkfirst=True)
        query = select(rounding_seen).where(rounding_seen.c.connection == connection)
        rows = db.execute(query.order_by(rounding_seen.c.at, rounding_seen.c.key)).mappings().all()
    return tuple(
        Seen(row["key"], row["rounding"], Decimal(row["answered"]), Decimal(row["otherwise"]), _aware(row["at"])) for row in rows
    )


def remember_rounding(db: Connection, connection: str, seen: Seen) -> None:
    """Keep the latest answer for a document, in `db`'s transaction."""
    rounding_seen.create(db, checkfirst=True)
    mine = (rounding_seen.c.connection == connection) & (rounding_seen.c.key == seen.key)
    db.execute(delete(rounding_seen).where(mine))
    row = {"key": seen.key, "rounding": seen.rounding, "answered": str(seen.answered), "otherwise": str(seen.otherwise)}
    db.execute(rounding_seen.insert().values(connection=connection, at=seen.at, **row))


def _aware(value: datetime) -> datetime:
    return value if value.tzinfo else value.replace(tzinfo=UTC)
