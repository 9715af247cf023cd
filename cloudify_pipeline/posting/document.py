"""One document: draft it, compare the ledger's totals with Stripe's, and book only what agrees to the last minor unit.

What stands in the ledger already is never made twice: a draft whose plan has changed is replaced under its own number, a
booked invoice keeps what it says, and what neither can follow is held.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from cloudify_pipeline.accounting.chart import Chart
from cloudify_pipeline.errors import Problem
from cloudify_pipeline.ledgers.port import LedgerDocument
from cloudify_pipeline.planning.plans import PlannedDocument, revision
from cloudify_pipeline.planning.rounding import seen
from cloudify_pipeline.posting.decided import decided, posted_sale
from cloudify_pipeline.posting.drafts import (
    Numbers,
    Written,
    booking_difference,
    draft,
    replace_draft,
    resolved_body,
    total_difference,
)
from cloudify_pipeline.posting.endings import SETTLED, Ending, State
from cloudify_pipeline.posting.log.persons import Word
from cloudify_pipeline.posting.log.rounding_seen import remember_rounding
from cloudify_pipeline.posting.log.standing import differing, last_body
from cloudify_pipeline.posting.log.store import Identity, LogChange
from cloudify_pipeline.posting.originals import uncorrected
from cloudify_pipeline.posting.protocol import Executor, NotDone
from cloudify_pipeline.posting.standing import ACCEPTED, FOUND, SEVERAL, finder, linking, named, stands
from cloudify_pipeline.posting.twins import hand_made, twin_problem


@dataclass(frozen=True, slots=True)
class Known:
    """What the log and the ledger say of the documents of one portion, by Stripe id."""

    numbers: Numbers
    standing: Mapping[str, Identity]
    words: Mapping[str, tuple[Word, ...]]
    twins: Mapping[str, tuple[LedgerDocument, ...]]
    refusals: Mapping[tuple[str, str], int]
    mutilated: Mapping[str, str | None]
    paid: Mapping[str, Problem] = field(default_factory=dict)
    """Invoices that are paid by what stands in the ledger by itself."""

    def word(self, stripe_id: str, problem: Problem) -> Word | None:
        """What a person said of just this problem."""
        said = self.words.get(stripe_id, ())
        return next((word for word in said if (word.code, word.message) == (problem.code, problem.message)), None)


@dataclass(frozen=True, slots=True)
class Portion:
    """How a portion is posted: `tries` refusals quarantine a plan, unless a person asks for it `again`.

    `seen` are the documents that a look at the ledger has just shown, by Stripe id; `adopted` those of them that the log had
    not known. `named` are the ids that a person replays by name: one that was deleted in the ledger is posted anew.
    """

    tries: int = 5
    again: bool = False
    named: frozenset[str] = frozenset()
    seen: Mapping[str, tuple[LedgerDocument, ...]] = field(default_factory=dict)
    adopted: frozenset[str] = frozenset()
    chart: Chart | None = None
    """The ledger's periods as they are now: a plan may be older than the closing of its period."""


class DocumentPosting:
    """Brings one planned document into the ledger."""

    def __init__(self, executor: Executor, plan: PlannedDocument, known: Known, portion: Portion) -> None:
        self._portion = portion
        self._executor = executor
        self._plan = plan
        self._document = plan.document
        self._known = known
        self._mark = revision(plan)
        self._standing = known.standing.get(plan.stripe_id)
        self._made = False
        self._mutilated = False
        self._stored: LedgerDocument | None = None

    async def ending(self) -> Ending:
        """Bring it there, or say why not."""
        log, connection, stripe_id = self._executor.log, self._executor.connection, self._plan.stripe_id
        self._mutilated = self._known.mutilated.get(stripe_id) == self._mark
        if self._mutilated and not self._portion.again:
            # A draft that lacks a field must not be booked by the next run just because it stands there.
            return Ending("document", stripe_id, "held", problem=log.problem(connection, stripe_id))
        tries = self._known.refusals.get((self._document.key, self._mark), 0)
        if tries >= self._portion.tries:
            return self._quarantined(tries)
        result = await self._bring()
        if isinstance(result, Ending):
            return result
        self._stored = result
        await self._remember(result)
        state: State = "booked" if result.kind == "booked_invoice" else "posted"
        return self._ended(state, stored=result, problem=self._words_kept(result))

    def sold(self, ending: Ending) -> LogChange | None:
        """The change that keeps what the document is to the VAT return, once it stands in the ledger."""
        if ending.state not in SETTLED:
            return None
        return posted_sale(self._executor, self._plan, self._stored, made=self._made)

    async def _bring(self) -> LedgerDocument | Ending:
        if self._standing is None:
            stored = await self._new()
        elif self._standing.how == ACCEPTED:
            return await self._by_hand(self._standing)
        else:
            stored = await self._again(self._standing)
        if isinstance(stored, Ending):
            return stored
        await self._learn(stored)
        difference = total_difference(self._document, stored)
        if difference is None and self._document.kind == "booked_invoice" and stored.kind == "draft_invoice":
            booked = await self._book(stored)
            if isinstance(booked, Ending):
                return booked
            drafted, stored = stored, booked
            difference = total_difference(self._document, stored) or booking_difference(self._document, drafted, stored)
        return stored if difference is None else self._ended("held", stored=stored, problem=difference)

    async def _learn(self, stored: LedgerDocument) -> None:
        """Where the ledger's totals tell how it rounds VAT, remember it: the next plan follows its answers."""
        taught = seen(self._document.key, self._document.lines, stored.totals, self._executor.clock())
        if taught is not None:
            connection = self._executor.connection
            await self._executor.commit(LogChange(lambda db: remember_rounding(db, connection, taught)))

    async def _new(self) -> LedgerDocument | Ending:
        chart, day = self._portion.chart, self._document.date
        if chart is not None and not chart.open_on(day):
            return self._ended(
                "held", problem=Problem("E-PERIOD", f"{day} lies in a closed or barred period by now", "date", str(day))
            )
        missing = uncorrected(self._executor, self._plan)
        if missing is not None:
            return self._ended("held", problem=missing)
        paid = self._known.paid.get(self._plan.stripe_id)
        if paid is not None:
            word = self._known.word(self._plan.stripe_id, paid)
            kept = word is not None and word.decision == "keep"
            return self._ended("skipped" if kept else "held", problem=accepted(word) if word and kept else paid)
        return await self._beside(self._known.twins.get(self._plan.stripe_id, ()))

    async def _beside(self, twins: Sequence[LedgerDocument]) -> LedgerDocument | Ending:
        """Draft it; where the ledger has what may be the same sale, a person says first which it is."""
        if twins:
            problem = twin_problem(self._plan, twins)
            word = self._known.word(self._plan.stripe_id, problem)
            if word is None or word.decision == "keep":
                return self._ended("held", problem=problem)
            if word.decision == "link":
                return await self._link_twin(word, twins, problem)
        return await self._anew()

    async def _anew(self) -> LedgerDocument | Ending:
        return self._written(await draft(self._executor, self._plan, self._mark, self._known.numbers))

    async def _link_twin(self, word: Word, twins: Sequence[LedgerDocument], problem: Problem) -> LedgerDocument | Ending:
        """Somebody said which document in the ledger this is: remember it, and never write to it."""
        twin = next((one for one in twins if (one.kind, str(one.number)) == (word.ledger_kind, str(word.number))), None)
        return self._ended("held", problem=problem) if twin is None else await self._link(twin, word)

    async def _link_shown(self, word: Word) -> LedgerDocument | Ending:
        """As :meth:`_link_twin`, for the one document that was shown."""
        shown = None
        if word.ledger_kind is not None and word.number is not None:
            shown = await self._executor.ledger.document(word.ledger_kind, word.number)
        if shown is None:
            problem = Problem(
                "E-GONE", f"{(word.ledger_kind or 'document').replace('_', ' ')} {word.number} is no longer in the ledger"
            )
            return self._ended("held", problem=problem)
        return await self._link(shown, word)

    async def _link(self, twin: LedgerDocument, word: Word) -> Ending:
        await self._executor.commit(linking(self._executor, self._plan.stripe_id, twin, ACCEPTED, self._plan.source_hash))
        return self._ended("booked" if twin.kind == "booked_invoice" else "posted", stored=twin, problem=accepted(word))

    async def _by_hand(self, standing: Identity) -> Ending:
        await remember(self._executor, standing, self._plan.source_hash)
        state: State = "booked" if standing.ledger_kind == "booked_invoice" else "posted"
        note = Problem("S-ACCEPTED", "linked to a document that was entered by hand, which stays as it is")
        return replace(self._ended(state, problem=note), number=standing.number, ledger_kind=standing.ledger_kind)

    async def _again(self, standing: Identity) -> LedgerDocument | Ending:
        """What an earlier run left: replaced when its plan has changed."""
        stripe_id = self._plan.stripe_id
        just_adopted = stripe_id in self._portion.adopted
        # Of what was booked long ago a look shows only the last numbers: it is read by its own.
        shown = just_adopted or standing.ledger_kind != "booked_invoice"
        stored = await stands(
            self._executor,
            self._document,
            standing,
            seen=self._portion.seen.get(stripe_id, ()) if shown else (),
            customer=self._known.numbers.customer(self._document),
        )
        if isinstance(stored, Problem):
            return await self._gone(stored)
        if (self._document.kind == "draft_order") != (stored.kind == "draft_order"):
            if self._document.kind == "draft_order" and (standing.how == FOUND or standing.ledger_kind == "draft_order"):
                # Somebody has made an invoice of the order, which is what orders are for.
                return stored
            return await self._of_another_kind(standing, stored)
        if stored.kind != "booked_invoice" and not (just_adopted and self._looks_alike(stored)):
            return self._written(
                await replace_draft(self._executor, self._plan, stored, self._mark, self._known.numbers, surely=self._mutilated)
            )
        return stored

    async def _gone(self, problem: Problem) -> LedgerDocument | Ending:
        """Nothing in the ledger carries the key any more; whether it is to be posted anew, a person says."""
        stripe_id = self._plan.stripe_id
        word = self._known.word(stripe_id, problem)
        if word is not None and word.decision == "keep":
            return self._ended("skipped", problem=accepted(word))
        if word is not None and word.decision == "link":
            return await self._link_shown(word)
        anew = problem.code == "E-GONE" and stripe_id in self._portion.named
        if word is None and not anew:
            return self._ended("held", problem=problem)
        # What somebody has put in its place carries no key.
        executor, customer = self._executor, self._known.numbers.customer(self._document)
        twins = await hand_made(executor.ledger, executor.log, executor.connection, [(self._plan, customer)])
        return await self._beside(twins.get(stripe_id, ()))

    async def _of_another_kind(self, standing: Identity, stored: LedgerDocument) -> Ending:
        wanted = self._document.kind.replace("_", " ")
        problem = Problem("E-KIND", f"a {wanted} is due, and {named(stored)} stands in the ledger", found=stored.kind)
        word = self._known.word(self._plan.stripe_id, problem)
        if word is None:
            return self._ended("held", stored=stored, problem=problem)
        await remember(self._executor, standing, self._plan.source_hash)
        stands_as: State = "booked" if stored.kind == "booked_invoice" else "posted"
        return self._ended(stands_as, stored=stored, problem=accepted(word))

    def _looks_alike(self, stored: LedgerDocument) -> bool:
        """What a list tells of a draft is what is planned: after a lost log, not every draft is read once more by itself."""
        planned = (self._document.stripe_total, self._document.currency, self._document.date)
        customer = self._known.numbers.customer(self._document)
        return planned == (stored.totals.gross, stored.currency, stored.date) and str(customer) == str(stored.customer)

    async def _remember(self, stored: LedgerDocument) -> None:
        """What stands is what this state of the Stripe object asks for; not before, or a run that dies here would be the last."""
        before = self._standing
        if before is None or (before.number, before.ledger_kind, before.source_hash) == (
            stored.number, stored.kind, self._plan.source_hash,
        ):  # fmt: skip
            return
        of_an_order = before.ledger_kind == "draft_order" and stored.kind != "draft_order"
        how = FOUND if before.how == SEVERAL or of_an_order else before.how
        await self._executor.commit(linking(self._executor, self._plan.stripe_id, stored, how, self._plan.source_hash))

    async def _book(self, drafted: LedgerDocument) -> LedgerDocument | Ending:
        write = self._executor.ledger.book_document(drafted.number, key=self._document.key, send_by=self._document.send_by)
        done = await self._executor.perform(
            write,
            revision=self._mark,
            find=finder(self._executor, self._document, booked=True),
            then=lambda done: linking(self._executor, self._plan.stripe_id, done.stored, "created", self._plan.source_hash),
            decided=decided(self._plan),
        )
        if isinstance(done, NotDone):
            return self._not_done(done, drafted)
        self._made = self._made or done.made
        return done.stored

    def _written(self, result: Written | NotDone | Problem) -> LedgerDocument | Ending:
        if isinstance(result, Problem):
            return self._ended("held", problem=result)
        if isinstance(result, NotDone):
            return self._not_done(result)
        self._made = self._made or result.made
        return result.stored if result.problem is None else self._ended("held", stored=result.stored, problem=result.problem)

    def _not_done(self, done: NotDone, stored: LedgerDocument | None = None) -> Ending:
        state: State = "held" if done.problem.code == "E-BREAKER" else "failed"
        return self._ended(state, stored=stored, problem=done.problem, retry=done.retry)

    def _quarantined(self, tries: int) -> Ending:
        last = self._executor.log.problem(self._executor.connection, self._plan.stripe_id)
        words = last.message if last and last.code == "E-QUARANTINE" else f"refused {tries} times, the last time with {last}"
        return self._ended("held", problem=Problem("E-QUARANTINE", words, found=last.found if last else None))

    def _words_kept(self, stored: LedgerDocument) -> Problem | None:
        """What of the plan a booked invoice does not say: it was changed in Stripe afterwards."""
        if stored.kind != "booked_invoice" or self._standing is None or self._made:
            return None
        if self._standing.ledger_kind != "booked_invoice":
            # Somebody else booked it, and what it said by then this log does not know.
            return None
        said = last_body(self._executor.log, self._executor.connection, self._document.key)
        now = resolved_body(self._executor.ledger, self._document, self._known.numbers)
        changed = differing(said, now) if said is not None and now is not None else []
        if not changed:
            return None
        return Problem(
            "S-CHANGED", f"changed in Stripe since it was booked, and stays as it is: {', '.join(changed)}", changed[0]
        )

    def _ended(
        self, state: State, *, stored: LedgerDocument | None = None, problem: Problem | None = None, retry: bool = False
    ) -> Ending:
        document = self._document
        return Ending(
            "document",
            document.stripe_id,
            state,
            number=stored.number if stored else None,
            ledger_kind=stored.kind if stored else None,
            total=document.stripe_total,
            currency=document.currency,
            stripe_number=document.stripe_number,
            name=str(document.fields.get("recipient.name", "")) or None,
            problem=problem,
            revision=self._mark,
            made=self._made,
            retry=retry,
            url=stored.url if stored else None,
            terms=self._plan.terms,
        )


async def remember(executor: Executor, standing: Identity, source_hash: str) -> None:
    """Keep that this state of the Stripe object has been looked at: the next run need not."""
    if standing.source_hash != source_hash:
        seen = replace(standing, source_hash=source_hash)
        await executor.commit(executor.log.identity_change(executor.connection, "document", seen, executor.clock()))


def accepted(word: Word) -> Problem:
    """What is told of a record about which somebody has decided."""
    return Problem("S-ACCEPTED", f"{word.code} accepted by {word.by} on {word.at:%Y-%m-%d}: {word.message}")
