"""Where each document stands, written into the metadata of its Stripe invoice or payment (INTERFACE.md §6).

Driven by the present endings in the log, so a write that failed is tried by the next run. A write is made only where
the ending differs from what Stripe was told last; keys that a person deletes or edits in Stripe stay as that person left
them until the ending changes. The one exception is a request for a replay, which is answered once the replay has ended.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Literal

from sqlalchemy import Connection

from cloudify_pipeline.catalogue import entry
from cloudify_pipeline.control.account import check_staged
from cloudify_pipeline.control.alerts import clear_alert, raise_alert
from cloudify_pipeline.control.check_first import check_first
from cloudify_pipeline.control.joined import is_charge, own_object, portions, staged_kind
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.errors import Problem, RunStopped
from cloudify_pipeline.posting.endings import Ending
from cloudify_pipeline.posting.log.commits import GroupCommit
from cloudify_pipeline.posting.log.lease import Lease, held
from cloudify_pipeline.posting.log.written_back import Standing, Told, remember, standings
from cloudify_pipeline.stripe_objects import STATE_KEYS, asks_for_replay
from cloudify_pipeline.stripe_source.metadata import StripeWriter
from cloudify_pipeline.stripe_source.together import each

IN_FLIGHT = 6
"""Writes at once. A write takes Stripe a few hundred milliseconds, so this fills the rate that it allows."""
GIVE_UP_AFTER = 5
"""So many writes in a row that Stripe did not take: it is Stripe that is in trouble, and the next run goes on."""
ERROR_LENGTH = 250
"""Characters of ``ledger_error``. Stripe takes 500, and may count some signs twice."""
DEFINITE = frozenset({"E-STRIPE-GONE", "E-REQUEST", "E-METADATA-FULL", "E-IDEMPOTENCY", "E-UNMAPPED"})
"""What Stripe says of one object alone: asking again only makes sense when that object has changed."""
MOST_KEYS = 50
"""Keys that Stripe's metadata takes (docs.stripe.com/api/metadata)."""

UNTOLD = "degraded:write-back"
"""The alert that Stripe does not let us write its metadata."""

STATUS, DOCUMENT, ERROR, SYNCED_AT = STATE_KEYS
Verdict = Literal["write", "keep", "confirm"]


@dataclass(frozen=True, slots=True)
class WrittenBack:
    """What the write-back did. `left` is for the next run; `problems` say why, and what Stripe would not take."""

    written: int = 0
    unchanged: int = 0
    left: int = 0
    problems: tuple[Problem, ...] = ()


async def write_back(opened: OpenConnection, tried: Iterable[Ending | str]) -> WrittenBack:
    """Tell Stripe where every document stands that stands elsewhere than Stripe was told.

    `tried` are the documents that this run brought to an ending, the same as before or another: a replay that was asked
    for one of them in Stripe is done, so the request gives way to the state. Call it outside a lease.
    """
    if not (opened.may_write and opened.settings.invoices.write_back):
        return WrittenBack()
    await check_first(opened)
    ids = {one if isinstance(one, str) else one.stripe_id for one in tried}
    try:
        check_staged(opened)
        with held(opened.log.engine, opened.name, now=opened.clock()) as lease:
            told = await _WriteBack(opened, ids, lease).run()
    except RunStopped as stopped:
        # The documents stand in the ledger: what could not be told of them is told by the next run.
        return WrittenBack(problems=(Problem(stopped.code, stopped.message, "metadata"),))
    _alert(opened, told)
    return told


def _alert(opened: OpenConnection, told: WrittenBack) -> None:
    """A key that may not write is a person's to mend; the documents themselves stand in the ledger."""
    refused = next((problem for problem in told.problems if problem.code.startswith("E-CONN")), None)
    if refused is None:
        clear_alert(opened, UNTOLD)
        return
    message = f"Stripe cannot be told where the documents stand: {refused}. {entry(refused.code).remedy}"
    raise_alert(opened, "degraded", UNTOLD, message, facts={"code": refused.code})


def values(standing: Standing) -> dict[str, str]:
    """State, document and error as Stripe's metadata shows them; an empty one removes its key."""
    document = f"{standing.ledger_kind} {standing.number}" if standing.ledger_kind and standing.number else ""
    error = f"{standing.code}: {standing.message or ''}" if (standing.code or "").startswith("E-") else ""
    return {STATUS: standing.state, DOCUMENT: document, ERROR: _short(error)}


def verdict(standing: Standing, metadata: Mapping[str, Any], *, tried: bool) -> Verdict:
    """Whether a document's state is written, given what staging has in `metadata`.

    `confirm`: it stands there already, though nobody remembers having written it.
    """
    wanted = values(standing)
    content = digest(wanted)
    told = standing.told
    if told is not None and told.over == fingerprint(metadata):
        # Staging is older than our own last write.
        return "keep" if told.content == content else "write"
    if asks_for_replay(metadata):
        return "write" if tried else "keep"
    # A person may change or delete our keys, and leaves the time: another time is of a write of ours that was not remembered.
    known = told is not None and told.content == content and not told.refused
    ours = told is not None and (metadata.get(SYNCED_AT) or told.synced_at) == told.synced_at
    if all((metadata.get(key) or "") == value for key, value in wanted.items()):
        return "keep" if known and ours else "confirm"
    return "keep" if known and ours else "write"


def _shows_state(stripe_id: str) -> bool:
    return own_object(stripe_id) == stripe_id and staged_kind(stripe_id) in {"invoice", "charge"}


def digest(wanted: Mapping[str, str]) -> str:
    """One hash of the state, the document and the error."""
    return hashlib.sha256("\0".join(wanted[key] for key in (STATUS, DOCUMENT, ERROR)).encode()).hexdigest()


def fingerprint(metadata: Mapping[str, Any]) -> str:
    """What tells the metadata of an object apart from those before and after a write."""
    return hashlib.sha256(repr(sorted(metadata.items())).encode("utf-8", "replace")).hexdigest()


@dataclass(frozen=True, slots=True)
class _Change:
    stripe_id: str
    wanted: Mapping[str, str]
    over: str


@dataclass(slots=True)
class _WriteBack:
    opened: OpenConnection
    tried: set[str]
    lease: Lease
    written: int = 0
    unchanged: int = 0
    left: int = 0
    problems: list[Problem] = field(default_factory=list)
    _shut: set[bool] = field(default_factory=set)
    """Whether payments (True) or invoices (False) may not be written."""
    _in_a_row: int = 0

    async def run(self) -> WrittenBack:
        async with GroupCommit(self.opened.log.engine) as commits:
            changes = await self._changes(commits)
            writer = self.opened.new_stripe_writer() if changes else None
            for charges in (False, True):
                some = [change for change in changes if is_charge(change.stripe_id) == charges]
                if not some or writer is None:
                    continue
                # The first goes alone: where the key may not write, one request is enough to learn it.
                await self._write(writer, commits, some[0])
                await each(some[1:], partial(self._write, writer, commits), in_flight=IN_FLIGHT)
        return WrittenBack(self.written, self.unchanged, self.left, tuple(self.problems))

    async def _changes(self, commits: GroupCommit) -> list[_Change]:
        """What is to be written: this run's documents first, then the latest, no more than one run may post."""
        # A correction shows no state: what a person asks for is asked for on the document that it takes back.
        found = [one for one in standings(self.opened.log.engine, self.opened.name) if _shows_state(one.stripe_id)]
        todo = [one for one in found if one.stripe_id in self.tried or not _was_told(one)]
        self.unchanged = len(found) - len(todo)
        todo.sort(key=lambda one: one.stripe_id not in self.tried)
        limit = self.opened.settings.limits.max_documents_per_run
        changes: list[_Change] = []
        for part in portions(todo):
            if len(changes) >= limit:
                self.left += len(part)
                continue
            confirmed = self._decide(part, changes)
            if confirmed:
                await commits.commit(partial(self._confirm, confirmed))
        self.left += len(changes[limit:])
        return changes[:limit]

    def _confirm(self, confirmed: Sequence[Told], db: Connection) -> None:
        remember(db, self.opened.name, confirmed, self._now())

    def _decide(self, part: Sequence[Standing], changes: list[_Change]) -> list[Told]:
        shown = self._shown([one.stripe_id for one in part])
        confirmed = []
        for one in part:
            seen = shown.get(one.stripe_id)
            decided = "keep" if seen is None else verdict(one, seen, tried=one.stripe_id in self.tried)
            wanted = values(one)
            if seen is not None and decided == "write":
                if _is_full(seen, wanted):
                    self.problems.append(_full(one.stripe_id))
                    self.left += 1
                else:
                    changes.append(_Change(one.stripe_id, wanted, fingerprint(seen)))
                continue
            self.unchanged += 1
            if seen is not None and decided == "confirm":
                confirmed.append(Told(one.stripe_id, digest(wanted), synced_at=str(seen.get(SYNCED_AT) or "")))
        return confirmed

    def _shown(self, ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """The staged metadata of `ids`; what is deleted in Stripe cannot be written."""
        staged = self.opened.staging
        with staged.reading():
            invoices = staged.objects("invoice", [one for one in ids if not is_charge(one)])
            payments = staged.objects("charge", [one for one in ids if is_charge(one)])
        found = (*invoices.items(), *payments.items())
        return {stripe_id: one.get("metadata") or {} for stripe_id, one in found if not one.get("deleted")}

    async def _write(self, writer: StripeWriter, commits: GroupCommit, change: _Change) -> None:
        charge = is_charge(change.stripe_id)
        if charge in self._shut or self._in_a_row >= GIVE_UP_AFTER:
            self.left += 1
            return
        at = self._now().isoformat(timespec="seconds")
        told = {**change.wanted, SYNCED_AT: at}
        problem = await writer.set_metadata("charge" if charge else "invoice", change.stripe_id, told)
        if problem is None:
            self.written += 1
            self._in_a_row = 0
            await self._remember(commits, Told(change.stripe_id, digest(change.wanted), change.over, at))
            return
        self._take(problem, charge=charge)
        if problem.code in DEFINITE:
            await self._remember(commits, Told(change.stripe_id, digest(change.wanted), change.over, at, refused=True))

    def _take(self, problem: Problem, *, charge: bool) -> None:
        self.left += 1
        if entry(problem.code).retry:
            self._in_a_row += 1
        elif problem.code not in DEFINITE:
            known = charge in self._shut
            self._shut |= {charge} if problem.code == "E-CONN-ROLE" else {False, True}
            # The right to write payments is a wide one, and may well be kept back.
            if known or (charge and problem.code == "E-CONN-ROLE"):
                return
        self.problems.append(problem)

    async def _remember(self, commits: GroupCommit, told: Told) -> None:
        def apply(db: Connection) -> None:
            self.lease.extend(db, self._now())
            remember(db, self.opened.name, [told], self._now())

        await commits.commit(apply)

    def _now(self) -> datetime:
        return self.opened.clock()


def _was_told(standing: Standing) -> bool:
    """Whether nothing needs to be looked up to know that Stripe was told this."""
    told = standing.told
    return told is not None and not told.refused and told.content == digest(values(standing))


def _is_full(metadata: Mapping[str, Any], wanted: Mapping[str, str]) -> bool:
    after = {key for key, value in {**metadata, **wanted, SYNCED_AT: "now"}.items() if value}
    return len(after) > MOST_KEYS


def _full(stripe_id: str) -> Problem:
    words = f"the metadata of {stripe_id} is full ({MOST_KEYS} keys), so it does not show where the document stands"
    return Problem("E-METADATA-FULL", words, "metadata")


def _short(text: str) -> str:
    """`text` as one line that fits; half a surrogate pair, which cannot be sent, becomes a question mark."""
    line = " ".join(text.encode("utf-8", "replace").decode().split())
    return line if len(line) <= ERROR_LENGTH else f"{line[: ERROR_LENGTH - 1]}…"
