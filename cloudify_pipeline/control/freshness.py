"""How fresh the ledger is: when it was synced last, when it will be next, and what has waited longest."""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cloudify_pipeline.control.corrections_due import due_corrections
from cloudify_pipeline.control.glance import document, documents_but, last_change
from cloudify_pipeline.control.joined import staged_objects
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.errors import RunStopped
from cloudify_pipeline.planning.records import ChargeRecord, InvoiceRecord, Record
from cloudify_pipeline.planning.rules import DueDocument, due
from cloudify_pipeline.settings.models import ConnectionSettings
from cloudify_pipeline.staging.reading import Candidate
from cloudify_pipeline.staging.store import Staging
from cloudify_pipeline.stripe_objects import EVENTS

BOOKS = ZoneInfo("Europe/Copenhagen")
PERIOD = timedelta(hours=1)
"""The schedule runs at every full hour."""

WAITING = frozenset({"planned", "held", "posting", "failed"})
_PATIENCE = 2.0
_PORTION = 200
_LOOKED_AT = 2000


@dataclass(frozen=True, slots=True)
class Waiting:
    """A record that is due and not in the ledger. `state` is None when no run has planned it yet."""

    stripe_id: str
    stripe_number: str | None
    state: str | None
    error_code: str | None
    due_since: datetime
    age_seconds: int

    @property
    def late(self) -> bool:
        """Two syncs should have brought it into the ledger."""
        return self.age_seconds > 2 * PERIOD.total_seconds()


@dataclass(frozen=True, slots=True)
class Due:
    """A record that should be in the ledger, and since when."""

    stripe_id: str
    number: str | None
    since: datetime


@dataclass(frozen=True, slots=True)
class Freshness:
    """`note` says why something is not known."""

    last_synced_at: datetime | None
    next_sync_at: datetime
    oldest_waiting: Waiting | None
    note: str | None = None


def freshness(opened: OpenConnection) -> Freshness:
    """Where `opened` stands in time.

    A sync that changes nothing leaves no trace in the log but moves staging's cursor, and one of named records the other way
    round: the later of the two is the last sync.
    """
    changed = last_change(opened.log, opened.name)
    upcoming = next_sync(opened.clock())
    if not opened.staging.path.is_file():
        return Freshness(changed, upcoming, None, "nothing is staged yet: what waits is known after the next sync")
    # Whoever asks for the status does not wait for a run that writes.
    staging = Staging(opened.staging.path, wait_seconds=_PATIENCE)
    try:
        with staging.reading():
            cursor = staging.cursor(EVENTS)
            found = oldest_due(opened, staging, documents_but(opened.log, opened.name, WAITING))
    except RunStopped as busy:
        return Freshness(changed, upcoming, None, busy.message)
    read = None if cursor is None else datetime.fromtimestamp(int(cursor), UTC)
    synced = max((at for at in (read, changed) if at is not None), default=None)
    return Freshness(synced, upcoming, None if found is None else _waiting(opened, found))


def next_sync(now: datetime) -> datetime:
    """The next full hour by the clock in Copenhagen."""
    # Counted in UTC, where every hour has sixty minutes; Copenhagen's zone is whole hours from it.
    hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return (hour + PERIOD).astimezone(BOOKS)


def oldest_due(opened: OpenConnection, staging: Staging, but: Sequence[str]) -> Due | None:
    """The record that became due first, or that corrects one, leaving out `but`; of many thousands, among the first created."""
    resting = _resting(opened, staging)
    sale = _oldest_sale(staging, [*but, *resting], opened.settings)
    found = None if sale is None else Due(sale[0].stripe_id, sale[0].number, sale[1])
    correction = _oldest_correction(opened, staging, but, resting)
    return min((one for one in (found, correction) if one is not None), key=lambda one: one.since, default=None)


def _resting(opened: OpenConnection, staging: Staging) -> set[str]:
    """Payments that are left alone for now; one whose rest is over waits for a run like any other."""
    now = opened.clock()
    return {stripe_id for stripe_id, until in staging.resting().items() if until is None or until > now}


def _oldest_correction(opened: OpenConnection, staging: Staging, but: Sequence[str], resting: Container[str]) -> Due | None:
    def state_of(stripe_id: str) -> str | None:
        if stripe_id in resting:
            return None
        known = document(opened.log, opened.name, stripe_id)
        return None if known is None else str(known["state"])

    first = next(iter(due_corrections(staging, opened.settings, state_of, but=frozenset(but))), None)
    if first is None:
        return None
    number = staged_objects(staging, [first.stripe_id]).get(first.stripe_id, {}).get("number")
    return Due(first.stripe_id, number, first.since)


def _oldest_sale(staging: Staging, but: Sequence[str], settings: ConnectionSettings) -> tuple[Record, datetime] | None:
    waiting = staging.candidates(but=but)
    best: tuple[Record, datetime] | None = None
    # The bound is for thousands of planned records that changed settings have made not due: they end nowhere early.
    for start in range(0, min(len(waiting), _LOOKED_AT), _PORTION):
        part = waiting[start : start + _PORTION]
        # Nothing is due before it is created, so whoever was created after the best found so far cannot be older.
        if best is not None and part[0].created > best[1]:
            break
        for record in _records(staging, part):
            decision = due(record, settings)
            if isinstance(decision, DueDocument) and (best is None or decision.fired_at < best[1]):
                best = record, decision.fired_at
    return best


def _records(staging: Staging, candidates: Sequence[Candidate]) -> list[Record]:
    invoices = staging.objects("invoice", [one.id for one in candidates if one.kind == "invoice"])
    charges = staging.objects("charge", [one.id for one in candidates if one.kind == "charge"])
    sent = staging.sent_at(list(invoices))
    return [
        *(InvoiceRecord(invoice, sent_at=sent.get(stripe_id)) for stripe_id, invoice in invoices.items()),
        *(ChargeRecord(charge) for charge in charges.values()),
    ]


def _waiting(opened: OpenConnection, found: Due) -> Waiting:
    known = document(opened.log, opened.name, found.stripe_id) or {}
    return Waiting(
        stripe_id=found.stripe_id,
        stripe_number=found.number,
        state=known.get("state"),
        error_code=known.get("code"),
        due_since=found.since,
        age_seconds=max(0, int((opened.clock() - found.since).total_seconds())),
    )
