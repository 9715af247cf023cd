"""What the posting log and staging say somebody should be told of: one cause for all records that share it.

Causes found here are opened and closed here; those that others raise are theirs to clear.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import or_, select

from cloudify_pipeline.accounting.money import format_money
from cloudify_pipeline.catalogue import entry
from cloudify_pipeline.control.alerts import clear_alert, open_alerts, raise_alert
from cloudify_pipeline.control.causes import add
from cloudify_pipeline.control.check_first import is_refused
from cloudify_pipeline.control.freshness import PERIOD, WAITING, freshness, oldest_due
from cloudify_pipeline.control.glance import documents_but
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.control.outcome import FailedStep
from cloudify_pipeline.control.settings_checked import REFUSED
from cloudify_pipeline.control.unmapped import UNMAPPED
from cloudify_pipeline.errors import RunStopped
from cloudify_pipeline.posting.log import schema as t
from cloudify_pipeline.posting.log.alerts import On
from cloudify_pipeline.staging.store import Staging

FOUND = "found in"
"""The fact that says which search an alert came from, so that the same search clears it."""
_DEGRADED = frozenset({"E-BREAKER", "E-QUARANTINE", "E-LIMIT", "E-SERVER", "E-RATE"})
_TOLD = frozenset({"held", "failed"})
_NAMED = 5
_PATIENCE = 2.0
_SETTLED = "ledger__settled"


@dataclass(frozen=True, slots=True)
class AlertCause:
    """One reason to tell somebody. `key` names it for good; `facts` are for a program."""

    on: On
    key: str
    message: str
    facts: Mapping[str, Any] = field(default_factory=dict)


def record_causes(opened: OpenConnection) -> list[AlertCause]:
    """Held and failed records, and what waits for a limit, by code; sums over documents only."""
    r = t.records.c
    waiting = or_(r.state.in_(("held", "failed")), r.code == "E-LIMIT")
    query = select(r.kind, r.state, r.code, r.stripe_id, r.stripe_number, r.total, r.currency).where(
        # What nobody has words for is told with the service's own (:mod:`.unmapped`).
        r.connection == opened.name,
        waiting,
        r.code.is_not(None),
        r.code != UNMAPPED,
    )
    with opened.log.engine.connect() as db:
        rows = db.execute(query.order_by(r.updated_at, r.stripe_id)).mappings().all()
    groups: dict[tuple[On, str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        on = told_as(row["state"], row["code"])
        groups.setdefault((on, f"{on}:{row['code']}", row["code"]), []).append(dict(row))
    # A record that only waits for another is told with that other one.
    others = [group for group in groups if group[2] != "E-DEPENDENCY"]
    return [_grouped(opened.name, *group, groups[group]) for group in (others or groups)]


def told_as(state: str, code: str) -> On:
    """What kind of alert a record's ending is: passing troubles and limits are degraded success, not failures."""
    if code in _DEGRADED or (state == "failed" and entry(code).retry):
        return "degraded"
    return "held" if state == "held" else "failed"


def late_causes(opened: OpenConnection) -> list[AlertCause]:
    """What should have been in the ledger two syncs ago, and syncs that do not come any more.

    Nothing is late where nothing is to be posted. What is held or failed is told as such and hides nobody behind it.

    Raises:
        RunStopped: a run is writing staging; look again later.
    """
    # What keeps runs from writing is told by itself, and nothing can come while it lasts.
    if not opened.may_write or not opened.staging.path.is_file() or is_refused(opened):
        return []
    synced = freshness(opened)
    if synced.note is not None:
        raise RunStopped(synced.note, code="E-LEASE")
    now, two = opened.clock(), 2 * PERIOD
    causes = []
    look = f"cloudify status {opened.name}"
    if synced.last_synced_at is not None and now - synced.last_synced_at > two:
        hours = int((now - synced.last_synced_at).total_seconds() // 3600)
        remedy = "See that the daemon runs and the schedule hourly_sync is on."
        message = f"No sync for {hours} hours, last at {_instant(synced.last_synced_at)}. {remedy} Look: {look}"
        causes.append(AlertCause("degraded", "late:sync", message, {"remedy": remedy, "look": look}))
    others = documents_but(opened.log, opened.name, WAITING - _TOLD)
    staging = Staging(opened.staging.path, wait_seconds=_PATIENCE)
    with staging.reading():
        oldest = oldest_due(opened, staging, others)
    if oldest is not None and now - oldest.since > two:
        hours = int((now - oldest.since).total_seconds() // 3600)
        message = (
            f"{oldest.number or oldest.stripe_id} has been due since {_instant(oldest.since)}, {hours} hours ago, and is not in "
            f"the ledger. Look: cloudify explain {opened.name} {oldest.stripe_id}"
        )
        causes.append(AlertCause("degraded", "late:record", message, {"stripe_id": oldest.stripe_id, "look": look}))
    return causes


def renew(opened: OpenConnection, search: str, causes: Iterable[AlertCause]) -> None:
    """Open what `search` found and is not open yet, and close what it found before and finds no more."""
    known = {alert.key: alert for alert in open_alerts(opened)}
    found = {cause.key: cause for cause in causes}
    for key, cause in found.items():
        if key not in known or known[key].message != cause.message:
            raise_alert(opened, cause.on, key, cause.message, facts={**cause.facts, FOUND: search})
    for key, alert in known.items():
        if alert.facts.get(FOUND) == search and key not in found:
            clear_alert(opened, key)


def run_ended(opened: OpenConnection, failures: Sequence[FailedStep], *, job: str = "sync") -> None:
    """Tell of a run that failed, by the codes of its steps; one that ended well clears what runs were told for before.

    Not told: a run that is red only because records could not be reached (those records are, with their sums), and one
    that left because another was at work. Settings that were refused are told by their check, whichever run asked for it.
    """
    causes = {}
    for failure in failures:
        if failure.step.startswith(_SETTLED) or failure.code in {"E-LEASE", REFUSED}:
            continue
        on: On = "connection" if failure.code.startswith("E-CONN") else "failed"
        look = f"cloudify {'connect' if on == 'connection' else 'status'} {opened.name}"
        remedy = entry(failure.code).remedy
        # Nobody chose the words of an error that was not foreseen: they stay on the run's page.
        said = "something unforeseen happened" if failure.code == "E-INTERNAL" else failure.message
        message = f"The {job} run failed in {failure.step}: {failure.code}: {_sentence(said)} {remedy} Look: {look}"
        facts = {"code": failure.code, "step": failure.step, "remedy": remedy, "look": look}
        causes[failure.code] = AlertCause(on, f"run:{job}:{failure.code}", message, facts)
    renew(opened, f"run of {job}", causes.values())


def _grouped(name: str, on: On, key: str, code: str, rows: Sequence[Mapping[str, Any]]) -> AlertCause:
    documents = [row for row in rows if row["kind"] == "document"]
    sums = add((row["currency"], None if row["total"] is None else Decimal(row["total"])) for row in documents)
    by_kind = Counter(row["kind"] for row in rows)
    counted = " and ".join(f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in sorted(by_kind.items()))
    amount = " · ".join(format_money(total, currency) for currency, total in sums.items())
    named = ", ".join(row["stripe_number"] or row["stripe_id"] for row in rows[:_NAMED])
    known = entry(code)
    message = (
        f"{counted}{f', {amount},' if amount else ''} {_words(on)}: {known.cause} {known.remedy} ({code}: {named}"
        f"{', …' if len(rows) > _NAMED else ''}) Look: cloudify status {name}"
    )
    facts = {
        "code": code,
        "count": len(rows),
        "sums": {currency: str(total) for currency, total in sums.items()},
        "cause": known.cause,
        "remedy": known.remedy,
        "records": [row["stripe_id"] for row in rows[:_NAMED]],
        "look": f"cloudify status {name}",
    }
    return AlertCause(on, key, message, facts)


def _words(on: On) -> str:
    return {"held": "wait for a person", "failed": "failed", "degraded": "did not arrive yet"}.get(on, on)


def _sentence(text: str) -> str:
    line = " ".join(text.split())
    return line if line.endswith(".") else f"{line}."


def _instant(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
