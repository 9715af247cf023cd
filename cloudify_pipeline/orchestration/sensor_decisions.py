"""What a look at Stripe's events leads to: pure decisions, and the cursor that remembers how far was seen.

A cursor is one JSON document: connection → mark. A mark is a place among the events and the charges that wait.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cloudify_pipeline.stripe_objects import CHARGE_RESTS
from cloudify_pipeline.stripe_source.events import CAPTURED
from cloudify_pipeline.stripe_source.live import CHARGE, PAYMENT, LiveEvent, LivePage, Place
from cloudify_pipeline.stripe_source.resting import seconds_ahead

INTERVAL = timedelta(seconds=30)
"""Between two looks at one connection, when nobody asks for one sooner."""
LOOK_BACK = timedelta(hours=1)
"""Where the search for replays begins without a cursor: one that is asked for twice does nothing, one that is lost is missed."""


@dataclass(frozen=True, slots=True)
class Resting:
    """A charge that is asked about later, when no invoice turns out to be paid by `intent`. `event` told of it at `since`."""

    event: str
    charge: str
    since: int
    """Epoch seconds."""
    intent: str | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """How far one connection's events were seen, and which charges rest."""

    place: Place
    resting: tuple[Resting, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """`ids` to run under `run_key`; a run key without ids asks for everything due; without a run key there is no run."""

    mark: Mark
    ids: tuple[str, ...] = ()
    run_key: str | None = None
    why: str = ""


def paid_decision(name: str, mark: Mark | None, page: LivePage | None, now: datetime) -> Decision:
    """What the events of connection `name` ask for. `page` is None when Stripe no longer lists what follows the mark.

    Without a mark (the first tick, or somebody reset the cursor) it starts from now: what was before, the hourly sync
    brings, which has a cursor of its own. When events may have been missed, everything due is asked for, not guessed.
    """
    second = _second(now)
    if mark is None:
        return Decision(Mark(Place(second)), why="starts from now; what was before comes with the hourly sync")
    if page is None:
        start = Mark(Place(second))
        return Decision(start, run_key=f"{name}:all:{mark.place.event or mark.place.looked_at}", why=_MISSED)
    place = _after(mark.place, page, second)
    if not page.complete:
        return Decision(Mark(place), run_key=f"{name}:all:{page.events[-1].id}", why=_TOO_MANY)
    told = [one for one in page.ours if one.type not in {CHARGE, CAPTURED, PAYMENT}]
    charges = [one for one in page.ours if one.type in {CHARGE, CAPTURED} and one.takes_money and not one.pays_invoice]
    rested = [Resting(one.id, one.record, _by_our_clock(one.created, page, second), one.intent) for one in charges]
    for_invoices = {one.intent for one in page.ours if one.type == PAYMENT} - {None}
    waiting = [one for one in (*mark.resting, *rested) if one.intent not in for_invoices]
    ready = [one for one in waiting if second - one.since >= CHARGE_RESTS.total_seconds()]
    still = tuple(one for one in waiting if one not in ready)
    ids = tuple(dict.fromkeys([*(one.record for one in told), *(one.charge for one in ready)]))
    if not ids:
        return Decision(Mark(place, still), why=f"{len(still)} charges rest" if still else "nothing new")
    # Each event is in one batch only, so the last of a batch names it; an invoice's event is never older than a rested charge's.
    last = told[-1].id if told else ready[-1].event
    return Decision(Mark(place, still), ids, f"{name}:{last}")


def replay_decision(name: str, mark: Mark | None, page: LivePage | None, now: datetime) -> Decision:
    """Which invoices were marked for replay: those whose ``ledger_status`` an event itself set to ``replay``.

    An event that changed something else of an invoice that is still so marked does not count, so one request is one replay.
    """
    if mark is None or page is None:
        return Decision(
            replay_start(now), why=f"the last look lies too far back: replays asked for before {LOOK_BACK} ago are lost"
        )
    asked = [event for event in page.ours if event.metadata_became("ledger_status") == "replay"]
    after = Mark(_after(mark.place, page, _second(now)))
    lost = "" if page.complete else f"more happened than can be read: replays asked for before {page.events[0].id} are lost"
    if not asked:
        return Decision(after, why=lost or "nothing new")
    return Decision(after, tuple(dict.fromkeys(event.record for event in asked)), f"{name}:replay:{asked[-1].id}", lost)


def replay_start(now: datetime) -> Mark:
    """Where the search for replays begins without a cursor."""
    return Mark(Place(_second(now - LOOK_BACK)))


def is_due(mark: Mark | None, hint: datetime | None, now: datetime) -> bool:
    """Whether a connection is looked at in this tick: the interval is over, or somebody asked since the last look."""
    if mark is None:
        return True
    looked = mark.place.looked_at
    return now.timestamp() - looked >= INTERVAL.total_seconds() or (hint is not None and hint.timestamp() >= looked)


def read_cursor(text: str | None) -> dict[str, Mark]:
    """The marks of a cursor. One that cannot be read counts as reset."""
    try:
        known = json.loads(text or "{}")
        return {name: _mark(one) for name, one in known.items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}


def write_cursor(marks: Mapping[str, Mark], names: Sequence[str]) -> str:
    """The cursor of the connections `names`; those that are gone are forgotten."""
    return json.dumps({name: _written(marks[name]) for name in names if name in marks}, sort_keys=True)


_MISSED = "the last look lies further back than Stripe lists events: asks for a sync of everything due instead of guessing"
_TOO_MANY = "more happened than one page holds, and no event to read on from: asks for a sync of everything due"


def _after(place: Place, page: LivePage, second: int) -> Place:
    """The place behind `page`. While more is waiting there, the look is not over."""
    looked = place.looked_at if page.has_more and page.complete else second
    if not page.events:
        return Place(looked, place.event, place.event_at)
    last: LiveEvent = page.events[-1]
    return Place(looked, last.id, last.created)


def _by_our_clock(created: int, page: LivePage, second: int) -> int:
    """When Stripe's `created` was by our clock; what seems to lie ahead happened now, so that nothing rests for ever."""
    ahead = seconds_ahead(page.ahead)
    # Both clocks are read in whole seconds: rather a second later than a run that finds it still at rest.
    return min(second, created - ahead + (1 if ahead else 0))


def _mark(known: Mapping[str, Any]) -> Mark:
    place = Place(int(known["looked_at"]), known.get("event"), int(known.get("event_at") or 0))
    return Mark(place, tuple(Resting(str(e), str(c), int(at), intent) for e, c, at, intent in known.get("resting", ())))


def _written(mark: Mark) -> dict[str, Any]:
    place = mark.place
    resting = [[one.event, one.charge, one.since, one.intent] for one in mark.resting]
    return {"looked_at": place.looked_at, "event": place.event, "event_at": place.event_at, "resting": resting}


def _second(at: datetime) -> int:
    return int(at.astimezone(UTC).timestamp())
