"""What the ledger's chart said at the last run, of the parts that a connection relies on; and what had changed then."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import Column, DateTime, Engine, String, Table, Text, delete, select

from cloudify_pipeline.posting.log.schema import metadata

Parts = Mapping[str, Mapping[str, str]]
"""Part of the chart (``VAT code U25``) → its attributes as words (``rate`` → ``25 %``)."""

chart_seen = Table(
    "chart_seen",
    metadata,
    Column("connection", String(64), primary_key=True),
    Column("agreement", String(64), nullable=False),
    Column("parts", Text, nullable=False),
    Column("seen_at", DateTime(timezone=True), nullable=False),
    Column("drift", Text, nullable=False, default="[]"),
    Column("drifted_at", DateTime(timezone=True)),
)


@dataclass(frozen=True, slots=True)
class ChartSeen:
    """The chart's parts at `seen_at`. `drift` are the lines that the run at `drifted_at` named: the last run that named any."""

    agreement: str
    parts: Parts
    seen_at: datetime
    drift: tuple[str, ...] = field(default=())
    drifted_at: datetime | None = None


def last_seen(engine: Engine, connection: str) -> ChartSeen | None:
    """What the last run saw; None before the first one."""
    with engine.begin() as db:
        chart_seen.create(db, checkfirst=True)
        row = db.execute(select(chart_seen).where(chart_seen.c.connection == connection)).mappings().first()
    if row is None:
        return None
    drift: list[str] = json.loads(row["drift"])
    return ChartSeen(
        row["agreement"],
        json.loads(row["parts"]),
        _aware(row["seen_at"]),
        tuple(drift),
        row["drifted_at"] and _aware(row["drifted_at"]),
    )


def remember(engine: Engine, connection: str, seen: ChartSeen) -> None:
    """Put `seen` in the place of what was remembered before."""
    row = {
        "connection": connection,
        "agreement": seen.agreement,
        "parts": canonical(seen.parts),
        "seen_at": seen.seen_at,
        "drift": canonical(seen.drift),
        "drifted_at": seen.drifted_at,
    }
    with engine.begin() as db:
        chart_seen.create(db, checkfirst=True)
        db.execute(delete(chart_seen).where(chart_seen.c.connection == connection))
        db.execute(chart_seen.insert().values(row))


def canonical(value: Parts | Sequence[str]) -> str:
    """Equal content, equal text."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _aware(value: datetime) -> datetime:
    return value if value.tzinfo else value.replace(tzinfo=UTC)
