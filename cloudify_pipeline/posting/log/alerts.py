"""The alerts' tables: one row per cause, however often it comes back, and what each route was told of it when."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, get_args

from sqlalchemy import Column, DateTime, Engine, Integer, String, Table, Text, or_, select, update

from cloudify_pipeline.posting.log.inserting import insert
from cloudify_pipeline.posting.log.schema import metadata

On = Literal["failed", "held", "connection", "degraded"]
ONS: tuple[On, ...] = get_args(On)

REMINDED = timedelta(hours=24)
"""What is told is not told again by the same route within this time, also when it went away and came back."""
CLAIM = timedelta(minutes=5)
"""How long one sender has an alert to itself; a sender that died loses it, and another sends once more."""

alerts = Table(
    "alerts",
    metadata,
    Column("connection", String(64), primary_key=True),
    Column("key", Text, primary_key=True),
    Column("on", String(16), nullable=False),
    Column("message", Text, nullable=False),
    Column("facts", Text, nullable=False, default="{}"),
    Column("first_at", DateTime(timezone=True), nullable=False),
    Column("last_at", DateTime(timezone=True), nullable=False),
    Column("times", Integer, nullable=False),
    Column("cleared_at", DateTime(timezone=True)),
)

deliveries = Table(
    "alert_deliveries",
    metadata,
    Column("connection", String(64), primary_key=True),
    Column("key", Text, primary_key=True),
    Column("route", Text, primary_key=True),
    Column("delivered_at", DateTime(timezone=True)),
    Column("claimed_until", DateTime(timezone=True)),
    Column("tries", Integer, nullable=False, default=0),
    Column("error", Text),
)


@dataclass(frozen=True, slots=True)
class Alert:
    """One cause. It is open until `cleared_at`; `times` counts how often it was raised since `first_at`.

    `facts` are what a program may want apart: code, count, sums, remedy. `delivered` is route → when it was told last.
    """

    connection: str
    key: str
    on: On
    message: str
    facts: Mapping[str, Any]
    first_at: datetime
    last_at: datetime
    times: int
    cleared_at: datetime | None
    delivered: Mapping[str, datetime]


def put(engine: Engine, connection: str, key: str, *, on: On, message: str, facts: Mapping[str, Any], now: datetime) -> bool:
    """Open the alert, or count it once more while it is open. True when it was not open before."""
    mine = (alerts.c.connection == connection) & (alerts.c.key == key)
    values = {"on": on, "message": message, "facts": json.dumps(dict(facts), default=str), "last_at": now}
    fresh = {**values, "first_at": now, "times": 1, "cleared_at": None}
    with engine.begin() as db:
        again = db.execute(update(alerts).where(mine, alerts.c.cleared_at.is_(None)).values(**values, times=alerts.c.times + 1))
        if again.rowcount:
            return False
        statement = insert(db.dialect.name, alerts).values(connection=connection, key=key, **fresh)
        # Two that come at the same moment: the second finds the row and writes the same.
        db.execute(statement.on_conflict_do_update(index_elements=["connection", "key"], set_=fresh))
    return True


def clear(engine: Engine, connection: str, key: str, now: datetime) -> bool:
    """Close the alert; False when none was open."""
    mine = (alerts.c.connection == connection) & (alerts.c.key == key) & alerts.c.cleared_at.is_(None)
    with engine.begin() as db:
        return bool(db.execute(update(alerts).where(mine).values(cleared_at=now)).rowcount)


def read(engine: Engine, connection: str, *, cleared: bool = False) -> list[Alert]:
    """The open alerts of `connection`, oldest first; with `cleared`, also those that are over."""
    query = select(alerts).where(alerts.c.connection == connection).order_by(alerts.c.first_at, alerts.c.key)
    if not cleared:
        query = query.where(alerts.c.cleared_at.is_(None))
    told = select(deliveries).where(deliveries.c.connection == connection, deliveries.c.delivered_at.is_not(None))
    with engine.connect() as db:
        rows = db.execute(query).mappings().all()
        by_key: dict[str, dict[str, datetime]] = {}
        for row in db.execute(told).mappings():
            by_key.setdefault(row["key"], {})[row["route"]] = _aware(row["delivered_at"])
    return [
        Alert(
            connection=row["connection"],
            key=row["key"],
            on=row["on"],
            message=row["message"],
            facts=json.loads(row["facts"]),
            first_at=_aware(row["first_at"]),
            last_at=_aware(row["last_at"]),
            times=row["times"],
            cleared_at=None if row["cleared_at"] is None else _aware(row["cleared_at"]),
            delivered=by_key.get(row["key"], {}),
        )
        for row in rows
    ]


def claim(engine: Engine, alert: Alert, route: str, now: datetime) -> bool:
    """Take the alert for sending by `route`. False when it was told within a day, or somebody else is sending it."""
    blank = insert(engine.dialect.name, deliveries).values(connection=alert.connection, key=alert.key, route=route, tries=0)
    c = deliveries.c
    free = update(deliveries).where(
        *_row(alert, route),
        or_(c.delivered_at.is_(None), c.delivered_at <= now - REMINDED),
        or_(c.claimed_until.is_(None), c.claimed_until <= now),
    )
    with engine.begin() as db:
        db.execute(blank.on_conflict_do_nothing())
        return bool(db.execute(free.values(claimed_until=now + CLAIM, tries=c.tries + 1)).rowcount)


def delivered(engine: Engine, alert: Alert, route: str, now: datetime, *, error: str | None = None) -> None:
    """How the sending ended: told, or for the next tick to try again."""
    ended = {"claimed_until": None, "error": error}
    told = {} if error else {"delivered_at": now, "tries": 0}
    with engine.begin() as db:
        db.execute(update(deliveries).where(*_row(alert, route)).values(**ended, **told))


def _row(alert: Alert, route: str) -> tuple[Any, ...]:
    c = deliveries.c
    return c.connection == alert.connection, c.key == alert.key, c.route == route


def _aware(value: datetime) -> datetime:
    return value if value.tzinfo else value.replace(tzinfo=UTC)
