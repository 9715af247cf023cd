"""Bringing staging up to date with Stripe, at a cost that follows what changed and not what exists.

The first run lists everything; later runs read events and fetch the objects they name. When the last run lies further
back than Stripe's events reach, everything is listed and compared again.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from cloudify_pipeline.errors import NotAuthorised
from cloudify_pipeline.stripe_objects import EVENTS, Kind, RawObject, UndecidedCharge
from cloudify_pipeline.stripe_source.again import add_whole, read_again
from cloudify_pipeline.stripe_source.charges import RATES, judge, paying
from cloudify_pipeline.stripe_source.client import StripeReader
from cloudify_pipeline.stripe_source.events import (
    CAPTURING,
    EVENT_LISTS,
    KEPT,
    SENT,
    Event,
    captures,
    interpret,
    read_events,
)
from cloudify_pipeline.stripe_source.kinds import source_of
from cloudify_pipeline.stripe_source.notes import crediting
from cloudify_pipeline.stripe_source.resting import is_first_seen, rests
from cloudify_pipeline.stripe_source.sessions import BEFORE, SESSIONS, allowed, awaited, of_events
from cloudify_pipeline.stripe_source.sink import Buffer, KindCount, Progress, Sink, Writes
from cloudify_pipeline.stripe_source.sweeps import Status, bookmark, sweep
from cloudify_pipeline.stripe_source.together import together
from cloudify_pipeline.stripe_source.windows import read_span

OVERLAP = timedelta(minutes=10)
"""How far each run reads back before the last one began: events may appear late, and clocks differ."""

COVERED_FROM = "covered_from"
"""Cursor: the `created` from which everything is staged, epoch seconds."""

STAGED = "staged"

Mode = Literal["first", "events", "full", "ids"]
_PREFIXES: dict[str, Kind] = {
    "in": "invoice",
    "ch": "charge",
    "py": "charge",
    "cn": "credit_note",
    "re": "refund",
    "pyr": "refund",
    "du": "dispute",
    "dp": "dispute",
    "cus": "customer",
    "prod": "product",
    "price": "price",
    "cs": "checkout_session",
}


@dataclass(frozen=True, slots=True)
class ExtractReport:
    """What one extraction did. `not_found` are named ids that Stripe does not know."""

    mode: Mode
    kinds: Mapping[Kind, KindCount]
    requests: int
    cursor_before: datetime | None
    cursor_after: datetime | None
    seconds: float
    not_found: tuple[str, ...] = ()

    @property
    def changed(self) -> int:
        """Objects that are new, different or deleted."""
        return sum(count.changed + count.deleted for count in self.kinds.values())


async def extract(
    reader: StripeReader,
    sink: Sink,
    *,
    now: datetime,
    since: datetime | None = None,
    ids: Sequence[str] = (),
    livemode: bool | None = None,
    progress: Progress | None = None,
    monotonic: Callable[[], float] = time.monotonic,
) -> ExtractReport:
    """Bring `sink` up to date; with `ids`, only these invoices, charges and credit notes and what they refer to.

    With `livemode`, events of the other mode name nothing that is read.
    `since` bounds how far back the first run lists; on a later run it lists what lies between it and the earlier bound.
    Each cursor moves in the transaction of the last data, so an interrupted run is repeated whole and doubles nothing.

    Raises:
        NotAuthorised: the key is refused or lacks a right.
        Unreachable: Stripe gave no whole answer after every retry.
        RunStopped: staging is in use by another run.
    """
    started, sent_before = monotonic(), reader.requests
    run = _Extraction(reader, sink, int(now.timestamp()), progress, livemode)
    before = _instant(sink.cursor(EVENTS))
    not_found: set[str] = set()
    if ids:
        mode: Mode = "ids"
        not_found = await run.named(ids)
    elif before is None or not -OVERLAP < now - before < KEPT - OVERLAP:
        # Older than Stripe's events reach, or left in the future by a clock that was wrong: only a comparison tells what is new.
        mode = "first" if before is None else "full"
        await run.everything(None if since is None else int(since.timestamp()), compare=before is not None)
    else:
        mode = "events"
        await run.changes(int((before - OVERLAP).timestamp()), None if since is None else int(since.timestamp()))
    return ExtractReport(
        mode=mode,
        kinds=run.buffer.counts,
        requests=reader.requests - sent_before,
        cursor_before=before,
        cursor_after=before if ids else now.replace(microsecond=0),
        seconds=monotonic() - started,
        not_found=tuple(sorted(not_found)),
    )


@dataclass(slots=True)
class _Ending:
    """What the last transaction writes beside the last objects."""

    cursors: dict[str, str] = field(default_factory=dict)
    sent: dict[str, datetime] = field(default_factory=dict)
    events: dict[str, int] = field(default_factory=dict)
    verdicts: dict[str, str | None] = field(default_factory=dict)
    resting: dict[str, int | None] = field(default_factory=dict)
    rested: tuple[str, ...] = ()

    def write(self, batch: Writes) -> None:
        batch.judge_charges(self.verdicts)
        batch.rest_charges(self.resting, self.rested)
        batch.mark_sent(self.sent)
        batch.mark_events(self.events)
        for name, value in self.cursors.items():
            batch.set_cursor(name, value)


class _Extraction:
    def __init__(self, reader: StripeReader, sink: Sink, now: int, progress: Progress | None, livemode: bool | None) -> None:
        self._reader = reader
        self._livemode = livemode
        self._sink = sink
        self._now = now
        self._ending = _Ending()
        self._captured: dict[str, int] | None = None
        """When payments were captured, as far as this run's events tell; None where it has read none."""
        self.buffer = Buffer(sink, progress)

    async def everything(self, since: int | None, *, compare: bool) -> None:
        """List every kind; with `compare`, what is staged and no longer listed is looked for and marked as deleted."""
        covered = int(self._sink.cursor(COVERED_FROM) or 0) if compare else since or 0
        first = covered if since is None else min(covered, since)
        # What these events tell is in the lists that are read after them; the next run need not fetch it again.
        recent = await self._events(self._now - int(OVERLAP.total_seconds()))
        self._ending.events |= {stripe_id: event.created for stripe_id, event in recent.items()}
        self._captured = captures(recent.values())
        listed = await self._list_from(first, self._now)
        if compare:
            for kind, ids in listed.items():
                missing = await asyncio.to_thread(self._sink.live_ids, kind, first, self._now)
                await read_again(self._reader, self._sink, self.buffer, kind, dict.fromkeys(missing - ids, 0))
        await self._read_sent(first)
        self._ending.cursors[COVERED_FROM] = str(first)
        await self._finish(payments_complete=first == 0, sessions_complete=True)

    async def changes(self, events_since: int, since: int | None) -> None:
        """Read the objects that events name, look again at unfinished invoices, and widen the span when asked to."""
        events = await self._events(events_since)
        self._captured = captures(events.values())
        unseen = await asyncio.to_thread(self._sink.unseen_events, list(events))
        changes = interpret(event for event in events.values() if event.id in unseen)
        for kind, gone in changes.gone.items():
            self.buffer.gone(kind, gone)
        for kind, wanted in changes.again.items():
            if kind != "checkout_session":
                await read_again(self._reader, self._sink, self.buffer, kind, wanted)
        await of_events(self._reader, self._sink, self.buffer, changes.taken)
        await awaited(self._reader, self._sink, self.buffer, self._now)
        if self._sink.cursor(SESSIONS) != STAGED:
            # What is staged was read by a key that could not read them.
            await self._list_sessions(int(self._sink.cursor(COVERED_FROM) or 0), self._now)
        if self._reader.rates and not self._sink.cursor(RATES):
            # What is staged was read when nobody asked for rates.
            await self._list("charge", int(self._sink.cursor(COVERED_FROM) or 0), self._now)
        self._ending.sent |= changes.sent
        self._ending.events |= {stripe_id: events[stripe_id].created for stripe_id in unseen}
        covered = int(self._sink.cursor(COVERED_FROM) or 0)
        if since is not None and since < covered:
            await self._list_from(since, covered)
            await self._read_sent(since)
            self._ending.cursors[COVERED_FROM] = str(since)
        await self.buffer.flush()
        for status in ("open", "draft"):
            await self._sweep(status)
        await self._finish(payments_complete=False, sessions_complete=False)

    async def named(self, ids: Sequence[str]) -> set[str]:
        """Read the named objects and what they refer to; returns the ids that Stripe does not know."""
        unknown: set[str] = set()
        wanted: dict[Kind, dict[str, int]] = {}
        for stripe_id in ids:
            kind = _PREFIXES.get(stripe_id.split("_", maxsplit=1)[0], "invoice")
            wanted.setdefault(kind, {})[stripe_id] = 0
        for kind, some in wanted.items():
            unknown |= await read_again(self._reader, self._sink, self.buffer, kind, some)
        # Whoever asks for a record by name has perhaps just mended its customer or product.
        await self.buffer.flush()
        for kind, some_ids in (await asyncio.to_thread(self._sink.references_of, list(ids))).items():
            await read_again(self._reader, self._sink, self.buffer, kind, dict.fromkeys(some_ids, 0))
        await paying(self._reader, self._sink, self.buffer, list(wanted.get("invoice", ())))
        seen = self._sink.cursor(EVENTS)
        if seen is None:
            await self._list("tax_rate", 0, self._now)
        # That an invoice was sent stands in events alone, and who asks for one by name has perhaps just seen that one.
        await self._read_sent(0 if seen is None else int(seen) - int(OVERLAP.total_seconds()))
        await self._complete(payments_complete=False, sessions_complete=False)
        await self.buffer.flush(self._ending.write)
        return unknown

    async def _list_from(self, first: int, last: int) -> dict[Kind, set[str]]:
        """List all kinds created in a span; tax rates always all, for they are few and every invoice may name an old one."""
        listed: dict[Kind, set[str]] = {}

        async def one(kind: Kind, lower: int = first) -> None:
            listed[kind] = await self._list(kind, lower, last)

        async def payments() -> None:
            # After the charges: a charge that is listed has its invoice payment listed too.
            await one("charge")
            await one("invoice_payment")

        kinds: tuple[Kind, ...] = ("invoice", "customer", "product", "price", "credit_note", "refund")
        await together(*(one(kind) for kind in kinds), one("tax_rate", 0), payments())
        await self._list_disputes(listed, first, last)
        await self._list_sessions(first, last)
        return listed

    async def _list_sessions(self, first: int, last: int) -> None:
        """Those behind the payments of a span, which may be a little older."""
        read = await allowed(self.buffer, lambda: self._list("checkout_session", max(0, first - BEFORE), last))
        self._ending.cursors[SESSIONS] = STAGED if read else ""

    async def _list_disputes(self, listed: dict[Kind, set[str]], first: int, last: int) -> None:
        """A key that may not read disputes stops nobody who has none."""
        try:
            listed["dispute"] = await self._list("dispute", first, last)
        except NotAuthorised as refused:
            await self.buffer.flush()
            if refused.code != "E-CONN-ROLE" or await asyncio.to_thread(self._sink.is_disputed):
                raise

    async def _list(self, kind: Kind, first: int, last: int) -> set[str]:
        seen: set[str] = set()

        async def take(objects: Sequence[RawObject]) -> None:
            fresh = [one for one in objects if one.id not in seen]
            seen.update(one.id for one in fresh)
            await add_whole(self._reader, self.buffer, kind, fresh)

        await read_span(self._reader, source_of(self._reader, kind), first, last, take)
        return seen

    async def _events(self, since: int) -> dict[str, Event]:
        listed = [await read_events(self._reader, types, since) for types in EVENT_LISTS]
        return {event.id: event for events in listed for event in events if self._of_ours(event)}

    async def _read_sent(self, since: int) -> None:
        """When invoices were sent is told by events alone, and those reach back thirty days."""
        reach = self._now - int(KEPT.total_seconds())
        events = await read_events(self._reader, [SENT], max(since, reach))
        self._ending.sent |= interpret(event for event in events if self._of_ours(event)).sent

    def _of_ours(self, event: Event) -> bool:
        return self._livemode is None or event.livemode in {None, self._livemode}

    async def _sweep(self, status: Status) -> None:
        self._ending.cursors[bookmark(status)] = await sweep(self._reader, self._sink, self.buffer, status, self._now)

    async def _finish(self, *, payments_complete: bool, sessions_complete: bool) -> None:
        await self._complete(payments_complete=payments_complete, sessions_complete=sessions_complete)
        self._ending.cursors[RATES] = STAGED if self._reader.rates else ""
        self._ending.cursors[EVENTS] = str(self._now + min(0, self._behind()))
        await self.buffer.flush(self._ending.write)

    def _behind(self) -> int:
        """Seconds that Stripe's clock is ahead of ours; negative when ours is fast, whose time would skip events as a cursor."""
        return 0 if self._reader.ahead is None else int(self._reader.ahead.total_seconds())

    async def _rest(self, charges: Sequence[UndecidedCharge]) -> None:
        """How long the payments without an invoice are still left alone."""
        if self._captured is None and any(map(is_first_seen, charges)):
            since = self._now
            if any(one.resting for one in charges if is_first_seen(one)):
                # Seen before its capture, which may lie as far back as the last run that read events.
                since = min(since, int(self._sink.cursor(EVENTS) or since))
            self._captured = captures(await read_events(self._reader, CAPTURING, since - int(OVERLAP.total_seconds())))
        found = rests(charges, self._captured or {}, self._now, self._reader.ahead)
        self._ending.resting, self._ending.rested = found.resting, found.rested

    async def _complete(self, *, payments_complete: bool, sessions_complete: bool) -> None:
        """What the staged records name and is not there, and which charges pay an invoice."""
        await self.buffer.flush()
        judged = await judge(
            self._reader,
            self._sink,
            self.buffer,
            self._now,
            payments_complete=payments_complete,
            sessions_complete=sessions_complete,
        )
        self._ending.verdicts |= judged.verdicts
        await self._rest(judged.left)
        await crediting(self._reader, self._sink, self.buffer)
        await self.buffer.flush()
        missing = await asyncio.to_thread(self._sink.missing_references)
        for kind, ids in missing.items():
            await read_again(self._reader, self._sink, self.buffer, kind, dict.fromkeys(ids, 0))


def _instant(cursor: str | None) -> datetime | None:
    return datetime.fromtimestamp(int(cursor), UTC) if cursor else None
