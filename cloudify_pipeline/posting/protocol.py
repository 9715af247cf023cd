"""One write to the ledger, exactly once.

Intent → commit → call → outcome → commit. Whatever was sent and has no outcome is looked up before anything is sent
again; a POST is never blindly repeated. The ledger's own idempotency cache is the second belt: inside its hour a
repeat goes out with the same key and the same bytes, also from a process that shares nothing with this one.
"""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from cloudify_pipeline.accounting.chart import Number
from cloudify_pipeline.accounting.parties import LedgerRecord, Lookup
from cloudify_pipeline.errors import NotSent, OutcomeUnknown, PipelineError, Problem, Refused, RunStopped
from cloudify_pipeline.ledgers.port import Answer, Ledger, LedgerDocument, Operation, Write
from cloudify_pipeline.posting.endings import RecordKind
from cloudify_pipeline.posting.limits import Breaker
from cloudify_pipeline.posting.log.commits import GroupCommit
from cloudify_pipeline.posting.log.decisions import Decided, decision_change
from cloudify_pipeline.posting.log.lease import Lease
from cloudify_pipeline.posting.log.parties import numbers_taken
from cloudify_pipeline.posting.log.store import LogChange, OpenOperation, PostingLog, body_hash

SETTLING_SECONDS = 0.5
"""Between a lost answer and the look-up: a ledger that is still at work gets the moment it needs."""

REMEMBERED = 3
"""How often in a row a write may be answered from the ledger's memory with something that is gone by now."""

CONCURRENCY = 6
"""Calls in flight for one ledger. At a cost of 3 a call and 100 ms, more earns refusals only (reference/performance.md §3)."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a look-up says stands in the ledger already."""

    number: Number
    document: LedgerDocument | None = None
    record: LedgerRecord | None = None


Find = Callable[[], Awaitable[Found | Problem | None]]
"""Looks for what a write would have made: found, none, or a problem (several carry the key)."""


@dataclass(frozen=True, slots=True)
class Done:
    """The ledger agrees: by this write (`made`), or because an earlier one had arrived after all."""

    number: Number
    made: bool
    document: LedgerDocument | None = None
    record: LedgerRecord | None = None
    dropped: tuple[str, ...] = ()
    earlier: bool = False
    """An earlier intent made it, whose bytes may have been others."""

    @property
    def stored(self) -> LedgerDocument:
        """The document that was written.

        Raises:
            PipelineError: the ledger confirmed it without showing it.
        """
        if self.document is None:
            raise PipelineError(f"the ledger confirmed {self.number} without showing the document")
        return self.document


@dataclass(frozen=True, slots=True)
class NotDone:
    """The write did not happen (`retry` false: refused; true: later), or nobody can say yet (`retry` true)."""

    problem: Problem
    retry: bool


class Executor:
    """Performs writes for one connection under one run, with bounded concurrency and an audit trail."""

    def __init__(
        self,
        ledger: Ledger,
        log: PostingLog,
        commits: GroupCommit,
        *,
        lease: Lease,
        run_id: str,
        clock: Callable[[], datetime],
        settings_hash: str = "",
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.ledger = ledger
        self.log = log
        self.connection = lease.connection
        self._lease = lease
        self.run_id = run_id
        self.clock = clock
        self.settings_hash = settings_hash
        """The settings by which what is posted was planned."""
        self._commits = commits
        self.claimed: dict[RecordKind, set[Number]] = {"customer": set(), "product": set(), "document": set()}
        """Records of the ledger that this run has found to be an unanswered create's."""
        self._breaker = Breaker()
        self._slots = asyncio.Semaphore(CONCURRENCY)
        self._sleep = sleep

    async def commit(self, *changes: LogChange) -> None:
        """Commit changes of the log together, in order; the lease goes with them.

        Raises:
            RunStopped: E-LEASE; another run has taken over, and what this one knows is older than what that one wrote.
        """
        now = self.clock()

        def apply(db: Connection) -> None:
            self._lease.extend(db, now)
            for change in changes:
                change.apply(db)

        await self._commits.commit(apply)

    def concluding(self, operation: Operation, key: str, number: Number) -> list[LogChange]:
        """The change that closes an unanswered `operation` on `key` whose effect was seen otherwise; none when none is open."""
        unfinished = self.log.open_operation(self.connection, operation, key)
        if unfinished is None:
            return []
        return [self.log.outcome_change(unfinished.id, outcome="found", run_id=self.run_id, now=self.clock(), number=number)]

    def still_ours(self) -> None:
        """Ask for the lease once more, right before a request leaves: this process may have slept since it wrote the intent.

        Raises:
            RunStopped: E-LEASE; another run has taken over, so nothing may be sent any more.
        """
        with self.log.engine.connect() as db:
            self._lease.check(db)

    def keeping(self, decided: Decided, now: datetime) -> LogChange:
        """The change that keeps a decision of this run."""
        return decision_change(self.connection, decided, self.settings_hash, now)

    async def perform(
        self,
        write: Write,
        *,
        revision: str,
        find: Find,
        then: Callable[[Done], LogChange] | None = None,
        decided: Decided | None = None,
    ) -> Done | NotDone:
        """Make `write` happen once. `then` gives the change that is committed together with the confirmed outcome.

        `decided` is kept together with the intent: what stands is explained by what was decided when it was sent.

        Raises:
            NotAuthorised: the ledger refuses the tokens; the run stops.
            LogUnavailable: the log cannot be written; nothing is sent.
        """
        async with self._slots:
            unfinished = self.log.open_operation(self.connection, write.operation, write.key)
            if unfinished is not None:
                settled = await self._settle(unfinished, write, find, then)
                if settled is not None:
                    return settled
            stopped = self._breaker.open(write.operation)
            if stopped is not None:
                return NotDone(stopped, retry=False)
            return await self._send(write, revision=revision, find=find, then=then, decided=decided)

    async def _settle(
        self, unfinished: OpenOperation, write: Write, find: Find, then: Callable[[Done], LogChange] | None
    ) -> Done | NotDone | None:
        """Learn what became of an unanswered write; None when it made nothing and `write` may be sent.

        While the ledger still knows its key, what was sent may be on its way: its own bytes go out again under its own key,
        so that one of the two is the other's answer. `write` may say something else by now, and would stand beside it.
        """
        found = await find()
        if isinstance(found, Problem):
            return NotDone(found, retry=False)
        if found is not None:
            done = Done(found.number, made=False, document=found.document, record=found.record, earlier=True)
            await self._record(unfinished.id, "found", done=done, then=then)
            return done
        if self.clock() - unfinished.intended_at >= self.ledger.idempotency_window:
            # Whoever sent it has long stopped waiting.
            await self._record(unfinished.id, "absent")
            return None
        stopped = self._breaker.open(write.operation)
        if stopped is not None:
            return NotDone(stopped, retry=False)
        same = unfinished.write.body == write.body
        replaces = write.method == "PUT" and not same
        sent = _Sent(unfinished.id, unfinished.write, unfinished.idempotency_key)
        again = await self._attempt(sent, find, None if replaces else then)
        if isinstance(again, Done):
            # What is replaced is replaced again; what is made is not made beside it.
            return None if replaces else replace(again, earlier=True)
        if isinstance(again, NotDone) and (again.retry or same):
            return again
        return None

    async def _send(
        self,
        write: Write,
        *,
        revision: str,
        find: Find,
        then: Callable[[Done], LogChange] | None,
        decided: Decided | None,
    ) -> Done | NotDone:
        for _ in range(REMEMBERED):
            done = await self._attempt(await self._intend(write, revision, decided), find, then)
            if done is not None:
                return done
        message = f"the ledger answers {write.method} {write.path} from its memory, with something that is gone"
        return NotDone(Problem("E-IDEMPOTENCY", message), retry=True)

    async def _attempt(self, sent: "_Sent", find: Find, then: Callable[[Done], LogChange] | None) -> Done | NotDone | None:
        """Send, and once more where the answer was lost and nothing stands. None: what the ledger remembers of it is gone."""
        write = sent.write
        for last in (False, True):
            started = time.monotonic()
            try:
                answer = await self.ledger.send(write, sent.key, before=self.still_ours)
            except Refused as refused:
                await self._record(sent.operation_id, "refused", started=started, error=refused)
                self._breaker.refused(write.operation, refused.code, refused.field, refused.message)
                return NotDone(Problem(refused.code, refused.message, field=refused.field), retry=False)
            except NotSent as not_sent:
                await self._record(sent.operation_id, "not_sent", started=started, error=not_sent)
                return NotDone(Problem(not_sent.code, not_sent.message), retry=True)
            except OutcomeUnknown as unknown:
                await self._record(sent.operation_id, "unknown", started=started, error=unknown)
                settled = await self._after_unknown(sent.operation_id, write, unknown, find, then)
                if settled is not None or last:
                    return settled or NotDone(Problem(unknown.code, unknown.message), retry=True)
            except RunStopped as stopped:
                await self._record(sent.operation_id, "refused", started=started, stopped=stopped)
                raise
            else:
                done = await self._believed(write, answer, find, made=last or not answer.from_cache)
                if isinstance(done, NotDone):
                    return done
                if done is None:
                    await self._record(sent.operation_id, "absent", started=started)
                    return None
                self._breaker.accepted(write.operation)
                await self._record(
                    sent.operation_id, "confirmed", started=started, done=done, request_id=answer.request_id, then=then
                )
                return done
        raise AssertionError

    async def _believed(self, write: Write, answer: Answer, find: Find, *, made: bool) -> Done | NotDone | None:
        """What `answer` says stands in the ledger; None when it is from the ledger's memory and is gone by now.

        The memory tells what once was made: a person may have deleted it since, or it may have moved on.
        """
        if not answer.from_cache:
            return Done(answer.number, made=made, document=answer.document, record=answer.record, dropped=answer.dropped)
        found = await self._by_number(write, answer) or await find()
        if isinstance(found, Problem):
            return NotDone(found, retry=False)
        if found is None:
            return None
        return Done(found.number, made=made, document=found.document, record=found.record, dropped=answer.dropped)

    async def _by_number(self, write: Write, answer: Answer) -> Found | None:
        """The customer or product that was once made, where the number is still its own and no other Stripe id has it."""
        if answer.record is None or write.operation not in {"create_customer", "create_product"}:
            return None
        kind: RecordKind = "customer" if write.operation == "create_customer" else "product"
        ask = self.ledger.customers if kind == "customer" else self.ledger.products
        lookup = Lookup("number", str(answer.number))
        hits = [hit for hit in (await ask((lookup,))).get(lookup, ()) if hit.name == answer.record.name]
        own = {write.key.partition(":")[2]}
        taken = {number for number, ids in numbers_taken(self.log, self.connection, kind).items() if ids - own}
        return next((Found(one.number, record=one) for one in hits if one.number not in taken | self.claimed[kind]), None)

    async def _after_unknown(
        self,
        operation_id: int,
        write: Write,
        unknown: OutcomeUnknown,
        find: Find,
        then: Callable[[Done], LogChange] | None,
    ) -> Done | NotDone | None:
        """The answer was lost: look. None when nothing is there, so that one repeat with the same key and bytes may go."""
        await self._sleep(SETTLING_SECONDS)
        try:
            found = await find()
        except RunStopped as stopped:
            if stopped.code != "E-SERVER":
                raise
            return NotDone(Problem(unknown.code, unknown.message), retry=True)
        if isinstance(found, Problem):
            return NotDone(found, retry=False)
        if found is None:
            return NotDone(Problem(unknown.code, unknown.message), retry=True) if unknown.code == "E-IDEMPOTENCY" else None
        done = Done(found.number, made=True, document=found.document, record=found.record)
        await self._record(operation_id, "found", done=done, then=then)
        return done

    async def _intend(self, write: Write, revision: str, decided: Decided | None) -> "_Sent":
        now = self.clock()
        key = idempotency_key(self._lease.books, write, self.log.tries_over(self.connection, write.operation, write.key))
        intent = self.log.intent_change(
            self.connection, write, revision=revision, idempotency_key=key, run_id=self.run_id, now=now
        )

        def change(db: Connection) -> int:
            self._lease.extend(db, now)
            if decided is not None:
                self.keeping(decided, now).apply(db)
            return int(intent.apply(db))

        return _Sent(await self._commits.commit(change), write, key)

    async def _record(
        self,
        operation_id: int,
        outcome: str,
        *,
        started: float | None = None,
        done: Done | None = None,
        request_id: str | None = None,
        error: Refused | NotSent | OutcomeUnknown | None = None,
        stopped: RunStopped | None = None,
        then: Callable[[Done], LogChange] | None = None,
    ) -> None:
        problem = error or stopped
        changes = [
            self.log.outcome_change(
                operation_id,
                outcome=outcome,
                run_id=self.run_id,
                now=self.clock(),
                milliseconds=0 if started is None else round((time.monotonic() - started) * 1000),
                number=done.number if done else None,
                request_id=error.request_id if error else request_id,
                code=problem.code if problem else None,
                message=problem.message if problem else None,
            )
        ]
        if done is not None and then is not None:
            changes.append(then(done))
        await self.commit(*changes)


@dataclass(frozen=True, slots=True)
class _Sent:
    """An intent that is in the log: its operation there, the exact request, and the key it goes out with."""

    operation_id: int
    write: Write
    key: str


def idempotency_key(books: str, write: Write, tries: int) -> str:
    """The Idempotency-Key of `write` in `books`, when `tries` of its kind are over: refused, or proven to stand nowhere.

    Whoever means the same write sends the same key, also a process with another log, so that the ledger carries it out once.
    A try that is over counts: the ledger may remember its answer, and what was mended since must not meet that again.
    """
    facts = (books, write.operation, write.key, write.method, write.path, body_hash(write.body), str(tries))
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:32]
