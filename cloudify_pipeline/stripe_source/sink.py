"""What extraction asks of the place it puts objects in, and the buffer that fills it portion by portion."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import msgspec

from cloudify_pipeline.stripe_objects import Kind, RawObject, UndecidedCharge

PORTION = 5_000
"""Objects in one transaction: memory follows this, not the size of the account."""
PORTION_BYTES = 64_000_000

Progress = Callable[[Kind, int], None]
"""Told of each kind how many objects have been read so far."""


class Writes(Protocol):
    """One transaction: all of it is kept, or none."""

    def upsert(self, kind: Kind, objects: Sequence[RawObject]) -> int:
        """Stage objects, the last of each id; returns how many were new or different."""
        ...

    def tombstone(self, kind: Kind, ids: Iterable[str]) -> int:
        """Mark objects as deleted; returns how many were not so marked before."""
        ...

    def mark_sent(self, sent: Mapping[str, datetime]) -> None:
        """Remember when invoices were first e-mailed."""
        ...

    def mark_events(self, events: Mapping[str, int]) -> None:
        """Remember processed events (id → created)."""
        ...

    def judge_charges(self, verdicts: Mapping[str, str | None]) -> None:
        """Remember the invoice that a charge pays, or None."""
        ...

    def rest_charges(self, resting: Mapping[str, int | None], rested: Sequence[str]) -> None:
        """Remember until when payments rest (our epoch seconds, None before they are captured), and forget those that have."""
        ...

    def set_cursor(self, name: str, value: str) -> None:
        """Move a cursor."""
        ...


class Sink(Protocol):
    """Where objects are staged; :class:`cloudify_pipeline.staging.store.Staging` is one."""

    def batch(self) -> AbstractContextManager[Writes]:
        """A transaction."""
        ...

    def cursor(self, name: str) -> str | None:
        """A cursor's value, or None before it was ever set."""
        ...

    def objects(self, kind: Kind, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Staged objects by id, parsed, numbers exact."""
        ...

    def unseen_events(self, ids: Sequence[str]) -> set[str]:
        """Those of `ids` that no earlier run has processed."""
        ...

    def live_ids(self, kind: Kind, created_from: int, created_to: int, status: str | None = None) -> set[str]:
        """What is staged and not deleted, created in a span (both ends included)."""
        ...

    def created_times(self, kind: Kind) -> list[int]:
        """`created` of all that is staged and not deleted, ascending."""
        ...

    def undecided_charges(self) -> list[UndecidedCharge]:
        """Succeeded charges of which nothing is known, or nothing for good."""
        ...

    def payments_of(self, invoices: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """Invoice → ids of the payment intents and charges that pay it."""
        ...

    def credited(self, invoices: Sequence[str]) -> Mapping[str, int]:
        """By how much the staged credit notes of each of these invoices lower it (minor units)."""
        ...

    def without_session(self, intents: Sequence[str]) -> set[str]:
        """Those of these payment intents that no staged Checkout session took."""
        ...

    def awaiting_invoice(self, since: int) -> Sequence[str]:
        """Checkout sessions made at `since` or later that make an invoice of their payment; none is known yet."""
        ...

    def is_disputed(self) -> bool:
        """Whether any staged payment is, or was, disputed."""
        ...

    def missing_references(self) -> dict[Kind, list[str]]:
        """What staged records name and is not staged."""
        ...

    def references_of(self, ids: Sequence[str]) -> dict[Kind, list[str]]:
        """What these staged records name."""
        ...


@dataclass(slots=True)
class KindCount:
    """Of one kind: objects read, how many of them were new or different, and how many turned out deleted."""

    seen: int = 0
    changed: int = 0
    deleted: int = 0


class _Credited(msgspec.Struct):
    pre_payment_credit_notes_amount: int | None = None
    post_payment_credit_notes_amount: int | None = None


_credited = msgspec.json.Decoder(_Credited)


class Buffer:
    """Objects on their way into the sink. Writing happens in a thread, while other pages are still arriving."""

    def __init__(self, sink: Sink, progress: Progress | None) -> None:
        self._sink = sink
        self._progress = progress
        self._objects: dict[Kind, list[RawObject]] = {}
        self._gone: dict[Kind, list[str]] = {}
        self._rows = 0
        self._bytes = 0
        self._writing = asyncio.Lock()
        self.counts: dict[Kind, KindCount] = {}
        self.credited: dict[str, int] = {}
        """By how much credit notes lower each invoice that was read, where they do (minor units)."""

    def count(self, kind: Kind) -> KindCount:
        """The counts of a kind."""
        return self.counts.setdefault(kind, KindCount())

    async def add(self, kind: Kind, objects: Sequence[RawObject]) -> None:
        """Take objects; waits while a full portion is being written, so that readers cannot outrun the disk."""
        self._objects.setdefault(kind, []).extend(objects)
        self._rows += len(objects)
        self._bytes += sum(len(one.body) for one in objects)
        if kind == "invoice":
            self._note_credited(objects)
        count = self.count(kind)
        count.seen += len(objects)
        if self._progress is not None and objects:
            self._progress(kind, count.seen)
        if self._rows >= PORTION or self._bytes >= PORTION_BYTES:
            await self.flush()

    def _note_credited(self, invoices: Sequence[RawObject]) -> None:
        for one in invoices:
            told = _credited.decode(one.body)
            minor = (told.pre_payment_credit_notes_amount or 0) + (told.post_payment_credit_notes_amount or 0)
            if minor and not one.deleted:
                self.credited[one.id] = minor

    def gone(self, kind: Kind, ids: Iterable[str]) -> None:
        """Take ids that Stripe no longer knows."""
        self._gone.setdefault(kind, []).extend(ids)

    async def flush(self, last: Callable[[Writes], None] | None = None) -> None:
        """Write what has been taken, and `last` with it, in one transaction."""
        async with self._writing:
            objects, gone = self._objects, self._gone
            self._objects, self._gone, self._rows, self._bytes = {}, {}, 0, 0
            if objects or gone or last is not None:
                await asyncio.to_thread(self._write, objects, gone, last)

    def _write(
        self, objects: Mapping[Kind, list[RawObject]], gone: Mapping[Kind, list[str]], last: Callable[[Writes], None] | None
    ) -> None:
        with self._sink.batch() as batch:
            for kind, some in objects.items():
                live = [one for one in some if not one.deleted]
                self.count(kind).changed += batch.upsert(kind, live)
                self.count(kind).deleted += batch.tombstone(kind, [one.id for one in some if one.deleted])
            for kind, ids in gone.items():
                self.count(kind).deleted += batch.tombstone(kind, ids)
            if last is not None:
                last(batch)
