"""Refusals in words that this software does not know: counted by the service's own code, so that they can be reported and learnt.

The raw code stands in the message as ``HTTP 400 E99999: …``; every reader of a service's refusals writes it so for E-UNMAPPED.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import select

from cloudify_pipeline.catalogue import entry
from cloudify_pipeline.control.alerts import clear_alert, open_alerts, raise_alert
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.posting.log import schema as t

UNMAPPED = "E-UNMAPPED"
PERIOD = timedelta(days=30)
"""How far back refusals are counted, unless told otherwise."""
_ALERT = "unmapped:"
_RAW = re.compile(r"\bHTTP (\d{3})(?: ([\w.-]+))?:")


@dataclass(slots=True)
class Unmapped:
    """One raw code: how often it was answered, how many records stand still for it, the newest words and request id."""

    raw_code: str
    count: int = 0
    waiting: int = 0
    message: str = ""
    request_id: str | None = None
    last_at: datetime | None = None


def raw_code(message: str) -> str:
    """The service's own code in the message of an E-UNMAPPED; ``HTTP 400`` where it gave none."""
    found = _RAW.search(message)
    return (found[2] or f"HTTP {found[1]}") if found else "unknown"


def unmapped_refusals(opened: OpenConnection, *, since: datetime | None = None) -> tuple[Unmapped, ...]:
    """Every raw code that ended as E-UNMAPPED: writes refused since `since` (default: thirty days), and records that wait now."""
    attempts, operations, records = t.attempts.c, t.operations.c, t.records.c
    first = (since or opened.clock() - PERIOD).astimezone(UTC)
    standing = select(records.message, records.updated_at).where(records.connection == opened.name, records.code == UNMAPPED)
    refused = (
        select(attempts.at, attempts.message, attempts.request_id)
        .join(t.operations, operations.id == attempts.operation_id)
        .where(operations.connection == opened.name, attempts.code == UNMAPPED, attempts.at >= first)
        .order_by(attempts.id)
    )
    found: dict[str, Unmapped] = {}
    with opened.log.engine.connect() as db:
        for message, at in db.execute(standing):
            one = found.setdefault(raw_code(message or ""), Unmapped(raw_code(message or "")))
            one.waiting += 1
            one.message, one.last_at = message or "", _aware(at)
        for at, message, request_id in db.execute(refused):
            one = found.setdefault(raw_code(message or ""), Unmapped(raw_code(message or "")))
            one.count += 1
            one.message, one.request_id, one.last_at = message or "", request_id, _aware(at)
    return tuple(sorted(found.values(), key=lambda one: (-one.count, one.raw_code)))


def alert_unmapped(opened: OpenConnection, refusals: Iterable[Unmapped]) -> None:
    """One alert for each raw code that records wait for; closed when none waits any more."""
    waiting = {f"{_ALERT}{one.raw_code}": one for one in refusals if one.waiting}
    for key, one in waiting.items():
        words = f"{one.message} (request {one.request_id})" if one.request_id else one.message
        look, remedy = f"cloudify status {opened.name}", entry(UNMAPPED).remedy
        message = f"{one.waiting} × refused in words that are not known yet: {words} · {remedy} Look: {look}"
        facts = {"code": UNMAPPED, "raw_code": one.raw_code, "count": one.waiting, "remedy": remedy, "look": look}
        raise_alert(opened, "degraded", key, message, facts=facts)
    for alert in open_alerts(opened):
        if alert.key.startswith(_ALERT) and alert.key not in waiting:
            clear_alert(opened, alert.key)


def _aware(value: datetime) -> datetime:
    return value if value.tzinfo else value.replace(tzinfo=UTC)
