"""Which corrections of posted documents are due: credit notes, refunds, voided and written-off invoices, each as a document.

A correction follows the document it takes back: it is planned when that stands in the ledger, or is posted in the same run.
"""

import asyncio
from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from cloudify_pipeline.accounting.documents import EXCHANGE_RATE, CustomerRef, DocumentKind
from cloudify_pipeline.accounting.money import format_money, from_minor
from cloudify_pipeline.control import disputes, refunds
from cloudify_pipeline.control.claims import UNDONE, WON, Claim, claims
from cloudify_pipeline.control.corrections_due import INSTANTS
from cloudify_pipeline.control.disputes import dispute, reinstated, without_original
from cloudify_pipeline.control.joined import DISPUTES, joined_records, staged_objects
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.errors import Problem
from cloudify_pipeline.ledgers.port import Ledger, LedgerDocument
from cloudify_pipeline.planning.correction_words import naming
from cloudify_pipeline.planning.corrections import (
    Correction,
    Original,
    credit_note,
    credited_minor,
    named_original,
    note_tax,
    over_credited,
    refunded_already,
)
from cloudify_pipeline.planning.paid_twice import INVOICED
from cloudify_pipeline.planning.plans import Evidence, Hold, PlannedDocument, Skip, Subject
from cloudify_pipeline.planning.records import ChargeRecord, InvoiceRecord, Raw, Record, id_of, instant, search_terms
from cloudify_pipeline.planning.rests import waits_with
from cloudify_pipeline.planning.reversals import Part, returned, reversal
from cloudify_pipeline.planning.rules import DueDocument, due
from cloudify_pipeline.planning.stripe_amounts import stripe_totals
from cloudify_pipeline.posting.endings import SETTLED
from cloudify_pipeline.posting.log.store import Identity
from cloudify_pipeline.posting.originals import RETURNED
from cloudify_pipeline.posting.standing import PREFIX, gone, named, several, still_ours

DocumentPlan = PlannedDocument | Hold | Skip
_NOT_YET = frozenset({"S-NOT-DUE", "S-NEVER-SENT"})
WAITING = frozenset({"planned", "held", "failed"})
_COUNTED = {"in_": "credit_note"}
_BY_THEMSELVES = {"refund": (refunds.concerns, refunds.none_due), "dispute": (disputes.concerns, disputes.none_lost)}
"""What is not due as such: whether it is looked at by itself, and what becomes of one that was told of before."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A correction that may be due, the record it takes back, and what the rules say of that."""

    correction: Correction
    original: Record
    decision: DueDocument | Skip
    claim: Claim


@dataclass(slots=True)
class Corrections:
    """The corrections of one planning run."""

    opened: OpenConnection
    pending: list[Pending] = field(default_factory=list)
    undone: dict[str, Hold | Skip] = field(default_factory=dict)
    """Those of which nothing more need be asked."""
    settled: int = 0
    _claims: Sequence[Claim] = ()
    _explained: dict[str, int] = field(default_factory=dict)
    _standing: Mapping[str, Identity] = field(default_factory=dict)
    _known: Collection[str] = ()
    """Ids that the log has an ending of."""
    _told: dict[str, tuple[str, Hold]] = field(default_factory=dict)
    """Refunds and disputes that are a person's, by id, if the invoice that they are of is posted in this run."""
    _originals: dict[str, LedgerDocument | Problem] = field(default_factory=dict)
    _resting: Container[str] = ()
    """Payments that may still get an invoice."""

    def explained(self, original_id: str) -> int:
        """What documents of their own take off an invoice (its credit notes) or a payment (its refunds); minor units."""
        return self._explained.get(original_id, 0)

    def credited_states(self, standing: Identity) -> Collection[str]:
        """The states of a standing invoice that a document of its own answers: a draft is a person's to delete."""
        if standing.ledger_kind != "booked_invoice":
            return ()
        settings = self.opened.settings.invoices.corrections
        stands = {state for state in ("void", "uncollectible") if f"{standing.stripe_id}:{state}" in self._standing}
        wanted = {"void": settings.voided == "credit", "uncollectible": settings.uncollectible == "credit"}
        return stands | {state for state, credit in wanted.items() if credit}

    def collect(self, wanted: set[str] | None, moved_on: Collection[str] = ()) -> None:
        """Look at everything that takes a document back; at `wanted` alone, and what takes that back, when they are named.

        What has `moved_on` in the ledger is looked at again, settled or not.
        """
        log, name = self.opened.log, self.opened.name
        states = log.states(name)
        self._standing = log.identities(name, "document")
        self._known = states.keys()
        self._resting = self.opened.staging.resting().keys() - self._standing.keys()
        self._claims = claims(self.opened, self._standing)
        self._leave(states, wanted)
        todo = []
        for one in self._claims:
            # Stripe counts credit notes on the invoice, and refunds on the payment.
            told = (one.posted or one.refunds) and one.status in {"issued", "succeeded"}
            if told and one.kind == _COUNTED.get(one.original[:3], "refund"):
                self._explained[one.original] = self._explained.get(one.original, 0) + (one.minor or 0)
            stands = self._standing.get(one.id)
            done = stands is not None and states.get(one.id, ("",))[0] in SETTLED and stands.source_hash == one.content_hash
            if wanted is None and done and one.id not in moved_on:
                self.settled += 1
            elif wanted is None or not wanted.isdisjoint({one.id, one.original}):
                todo.append(one)
        if todo:
            self._look(todo)

    def _leave(self, states: Mapping[str, tuple[str, str | None, str | None]], wanted: set[str] | None) -> None:
        """What waited and takes nothing back any more, as a voiding that the settings leave to a person again."""
        claimed = {one.id for one in self._claims}
        for stripe_id, (state, *_) in states.items():
            waits = state in WAITING and stripe_id not in claimed and stripe_id not in self._standing
            if waits and is_correction(stripe_id) and (wanted is None or stripe_id in wanted):
                self.undone[stripe_id] = Skip(
                    stripe_id, "S-NOT-DUE", "it takes nothing back any more, by Stripe or by the settings"
                )

    def took_back(self, original_id: str) -> list[str]:
        """What stands in the ledger and took a part of `original_id` back."""
        return [one.id for one in self._claims if one.original == original_id and one.id in self._standing]

    def take_back(self, charges: Mapping[str, str]) -> None:
        """Have the documents of these payments (id → content hash) taken back, since invoices stand for the sales."""
        claimed = [Claim(f"{one}{INVOICED}", one, "invoiced", "paid", digest, None, True) for one, digest in charges.items()]
        for one in claimed:
            self.undone.pop(one.id, None)
        if claimed:
            self._look(claimed)

    def _look(self, todo: Sequence[Claim]) -> None:
        staged = staged_objects(self.opened.staging, [one.id for one in todo])
        wanted = list(dict.fromkeys(one.original for one in todo))
        originals = {record.stripe_id: record for record in joined_records(self.opened.staging, wanted)}
        for one in todo:
            raw, original = staged.get(one.id, {}), originals.get(one.original)
            found = self._found(one, raw, original)
            if isinstance(found, Problem):
                held = Hold(one.id, found, (), _subject(one, raw, original), one.content_hash)
                told_with = one.kind == "dispute" or (one.kind == "refund" and not one.posted)
                if told_with and one.original not in self._standing:
                    self._told[one.id] = one.original, held
                    if one.kind == "dispute":
                        rests = one.original in self._resting
                        ended = waits_with(one.id, one.original) if rests else without_original(held, one.original)
                        self.undone[one.id] = replace(ended, subject=held.subject, source_hash=held.source_hash)
                else:
                    self.undone[one.id] = held
            elif isinstance(found, Skip):
                self.undone[one.id] = replace(found, subject=_subject(one, raw, original), source_hash=one.content_hash)
            elif found is not None and original is not None:
                self.pending.append(Pending(found, original, due(original, self.opened.settings), one))

    def _found(self, one: Claim, raw: Raw, original: Record | None) -> Correction | Problem | Skip | None:
        """What a claim comes to; None for one that nothing is said of."""
        if one.kind == "credit_note":
            return self._credit_note(one, raw, original)
        concerns, none_due = _BY_THEMSELVES.get(one.kind, (None, None))
        if concerns and none_due and not concerns(one, self._standing):
            return none_due(one) if one.id in self._known else None
        if original is None:
            # Of a refund that a credit note explains nothing is due.
            return self._unread(one) if one.minor else None
        if one.kind == "refund":
            return self._refund(one, raw, original)
        if one.kind == "dispute":
            return self._dispute(one, raw, original)
        if one.kind == "returned":
            return self._returned(one, raw, original)
        if one.kind == "invoiced":
            return self._invoiced(one, original)
        return self._closed(one, original)

    def _invoiced(self, one: Claim, original: Record) -> Correction | Problem:
        """All of a payment's own document, on the day on which it is seen that an invoice stands for the sale."""
        back = reversal(one.id, original, Part(original.total_minor), self.opened.clock(), "invoiced")
        if isinstance(back, Problem):
            return back
        invoices = [invoice for link in self.opened.staging.linked_charges([one.original]) for invoice in link.invoices]
        return replace(back, naming=naming("invoiced", ", ".join(invoices), original))

    def _unread(self, one: Claim) -> Problem | None:
        """Why a claim on a document of the ledger waits whose sale is older than what was read of Stripe; None without one."""
        if one.original not in self._standing or one.id in self._standing:
            return None
        message = f"{one.original}, which it corrects, is in the ledger and was not read from Stripe: sync it by its id"
        return Problem("E-DEPENDENCY", message, found=one.original)

    def _credit_note(self, one: Claim, note: Raw, original: Record | None) -> Correction | Problem | Skip:
        stands = self._standing.get(one.id)
        if one.status != "issued" and stands is not None:
            return _voided(f"the credit note is {one.status}", one.status, stands)
        if one.status != "issued":
            return Skip(one.id, "S-VOID", f"the credit note is {one.status}")
        if one.refunds:
            return refunded_already(f"{refund} ({_words(self._standing[refund])})" for refund in one.refunds)
        if not one.posted:
            return Skip(one.id, "S-CREDITS-OFF", "invoices.credit_notes is false")
        if not isinstance(original, InvoiceRecord):
            unread = self._unread(one)
            return unread or Skip(one.id, "S-NO-ORIGINAL", f"its invoice {one.original} is not staged")
        return credit_note(note, original) if one.minor else Skip(one.id, "S-ZERO", "the total is zero")

    def _refund(self, one: Claim, refund: Raw, original: Record) -> Correction | Problem | Skip:
        stands, at = self._standing.get(one.id), instant(refund.get("created")) or self.opened.clock()
        back = f"{one.id}{RETURNED}"
        if stands is not None and one.status in UNDONE and any(claim.id == back for claim in self._claims):
            return Skip(one.id, "S-CHANGED", f"the refund is {one.status} in Stripe, and {back} takes it back")
        if one.status != "succeeded" and stands is not None:
            return _voided(f"the refund is {one.status}", one.status, stands)
        if not one.posted:
            amount = format_money(from_minor(one.minor or 0, original.currency), original.currency)
            message = f"{amount} of {named_original(original)} was refunded in Stripe without a credit note"
            return Problem("E-CREDITED", message, found=amount)
        return reversal(one.id, original, Part(one.minor or 0, one.before), at, "refund")

    def _dispute(self, one: Claim, raw: Raw, original: Record) -> Correction | Problem | Skip:
        stands, back = self._standing.get(one.id), f"{one.id}{RETURNED}"
        if stands is not None and one.status == WON:
            if any(claim.id == back for claim in self._claims):
                return Skip(one.id, "S-CHANGED", f"the dispute is {one.status} in Stripe, and {back} takes it back")
            return _voided(f"the dispute is {one.status}", one.status, stands)
        sale = self._standing.get(one.original)
        return dispute(one, raw, original, self.opened.clock(), None if sale is None else _words(sale))

    def _returned(self, one: Claim, refund: Raw, original: Record) -> Correction | Problem:
        """A refund that is posted and did not succeed afterwards: the sale stands again, from the day this is seen."""
        stands, now = self._standing.get(one.id), self.opened.clock()
        if one.id.startswith(DISPUTES):
            return reinstated(one, original, now, None if stands is None else _words(stands))
        if stands is not None and one.status not in UNDONE:
            message = f"the refund is {one.status} again in Stripe, and {_words(stands)} took it back"
            return Problem("E-CHANGED", message, field="status", found=one.status)
        at = instant(refund.get("created")) or now
        posted = reversal(one.id.removesuffix(RETURNED), original, Part(-(one.minor or 0)), at, "refund")
        return posted if isinstance(posted, Problem) else returned(one.id, posted, original, now)

    def _closed(self, one: Claim, original: Record) -> Correction | Problem | Skip:
        if not isinstance(original, InvoiceRecord):
            return Skip(one.id, "S-NO-ORIGINAL", f"{one.original} is no invoice")
        stands = self._standing.get(one.id)
        if stands is not None and one.status not in {one.kind, "void"}:
            status = original.invoice.get("status")
            message = f"the invoice is {status} again in Stripe, and {_words(stands)} took it back as {one.kind}"
            return Problem("E-CHANGED", message, field="status", found=str(status))
        minor = original.total_minor - one.before if one.minor is None else one.minor
        if minor <= 0:
            return Skip(one.id, "S-ZERO", "everything is taken back already")
        unread = credited_minor(original) - self.opened.staging.credited([one.original]).get(one.original, 0)
        if stands is None and unread > 0:
            amount = format_money(from_minor(unread, original.currency), original.currency)
            message = f"credit notes of {amount} were not read from Stripe: sync {one.original} by its id"
            return Problem("E-DEPENDENCY", message, found=one.original)
        moments = original.invoice.get("status_transitions") or {}
        at = instant(moments.get(INSTANTS[one.kind])) or self.opened.clock()
        part = Part(minor, one.before, self._vat_before(one) if one.before and one.only_notes else None)
        return reversal(one.id, original, part, at, one.kind)

    def _vat_before(self, closed: Claim) -> int:
        ids = [one.id for one in self._claims if one.original == closed.original and one.kind == "credit_note" and one.posted]
        return sum(note_tax(note) for note in self.opened.staging.objects("credit_note", ids).values())

    async def find_originals(self, ledger: Ledger) -> None:
        """Read the documents in the ledger that are taken back; GET only."""
        wanted = {one.original.stripe_id: one.original for one in self.pending}
        ids = [original_id for original_id in wanted if original_id in self._standing]
        customers = self.opened.log.identities(self.opened.name, "customer") if ids else {}
        buyers = [customers.get(str((wanted[one].customer or {}).get("id"))) for one in ids]
        found = await asyncio.gather(
            *(self._original(ledger, self._standing[one], buyer) for one, buyer in zip(ids, buyers, strict=True))
        )
        self._originals = dict(zip(ids, found, strict=True))

    async def _original(self, ledger: Ledger, standing: Identity, buyer: Identity | None) -> LedgerDocument | Problem:
        stored = await ledger.document(standing.ledger_kind or "draft_invoice", standing.number)
        key = f"{PREFIX}{standing.stripe_id}"
        if stored is not None and still_ours(stored, standing):
            return stored
        hits = (await ledger.documents([key])).get(key, ())
        if len(hits) == 1:
            return hits[0]
        if hits:
            return several(key, hits)
        problem = gone(self.opened.log, self.opened.name, standing, stored, buyer.number if buyer else None)
        if problem.code == "E-GONE":
            return Problem("E-GONE", f"{_words(standing)}, which it corrects, is no longer in the ledger")
        return Problem("E-DEPENDENCY", f"of {standing.stripe_id}, which it corrects: {problem.message}", found=standing.stripe_id)

    def due(self, documents: Mapping[str, DocumentPlan], room: int) -> list[tuple[Pending, DueDocument, Original]]:
        """What is to be planned: each with its rule and the document it takes back. `documents` are this run's plans.

        `room` is how many new documents the run may still post. What is not planned is found in :attr:`undone`.
        """
        posted = {i: hold for i, (invoice, hold) in self._told.items() if isinstance(documents.get(invoice), PlannedDocument)}
        self.undone |= posted
        ready: list[tuple[Pending, DueDocument, Original]] = []
        for pending in self.pending:
            one = _as_booked(pending, self._originals.get(pending.original.stripe_id))
            stripe_id = one.correction.stripe_id
            if one.claim.kind == "invoiced" and not self._invoices_come(one, documents):
                continue
            new = stripe_id not in self._standing
            found = self._ready(one, documents)
            if found is None:
                continue
            if not isinstance(found, Hold | Skip) and new and room <= 0:
                limit = self.opened.settings.limits.max_documents_per_run
                reason = f"one run posts {limit} documents (limits.max_documents_per_run); this one follows in a later run"
                found = Skip(stripe_id, "E-LIMIT", reason)
            if isinstance(found, Hold | Skip):
                self.undone[stripe_id] = replace(found, subject=subject_of(one), source_hash=one.claim.content_hash)
                continue
            room -= new
            ready.append((one, *found))
        return ready

    def _invoices_come(self, one: Pending, documents: Mapping[str, DocumentPlan]) -> bool:
        """Whether every invoice that a payment pays stands, or is posted in this run: its own document is needed until then."""
        if one.claim.id in self._standing:
            return True
        links = self.opened.staging.linked_charges([one.original.stripe_id])
        invoices = [invoice for link in links for invoice in link.invoices]
        return all(i in self._standing or isinstance(documents.get(i), PlannedDocument) for i in invoices)

    def _kind(self, decision: DueDocument | Skip, stored: LedgerDocument) -> DocumentKind:
        """As the rule says; what no rule asks about any more is booked only where this software books at all."""
        if isinstance(decision, DueDocument):
            return decision.kind
        books = any(rule.create == "booked_invoice" for rule in self.opened.settings.invoices.rules)
        return stored.kind if books or stored.kind != "booked_invoice" else "draft_invoice"

    def _ready(self, one: Pending, documents: Mapping[str, DocumentPlan]) -> tuple[DueDocument, Original] | Hold | Skip | None:
        correction, original_id, stripe_id = one.correction, one.original.stripe_id, one.correction.stripe_id
        stored, plan = self._originals.get(original_id), documents.get(original_id)
        if isinstance(stored, Problem):
            return Hold(stripe_id, stored)
        if stored is not None:
            original = _stored(one, stored)
            stands_as = stored.kind
            kind = self._kind(one.decision, stored)
        elif isinstance(plan, PlannedDocument):
            document = plan.document
            rate = document.fields.get(EXCHANGE_RATE)
            original = Original(
                original_id,
                f"the document of {original_id}",
                document.vat_zone,
                document.customer,
                rate=rate if isinstance(rate, Decimal) else None,
            )
            kind = stands_as = document.kind
        elif original_id in self._resting and isinstance(one.decision, DueDocument):
            return waits_with(stripe_id, original_id)
        else:
            return _without(one, plan)
        over = over_credited(one.claim.before, correction, one.original)
        if over is not None or isinstance(original, Problem):
            return Hold(stripe_id, over or original)  # type: ignore[arg-type]
        whole = one.claim.before + correction.minor == one.original.total_minor
        if kind == stands_as == "draft_invoice" and whole and stripe_id not in self._standing:
            message = f"it takes back all of {original.words}, which is a draft: delete the draft, and there is nothing to credit"
            return Hold(stripe_id, Problem("E-CREDITED", message))
        trigger = one.decision.trigger if isinstance(one.decision, DueDocument) else "finalized"
        rule = f"corrects {original_id} → {kind}"
        evidence = Evidence("rule", "due", rule, {"corrects": original_id, "total": str(correction.record.total)})
        return DueDocument(kind, rule, correction.at, trigger, (evidence,)), original


def is_correction(stripe_id: str) -> bool:
    """Whether the document of this id takes another one back."""
    return stripe_id.startswith(("cn_", "re_", "pyr_", *DISPUTES)) or ":" in stripe_id


def _without(one: Pending, plan: DocumentPlan | None) -> Hold | Skip | None:
    """Why a correction waits, or is not due at all: what it corrects is not in the ledger. Of a refund, nothing is said then."""
    stripe_id, original_id = one.correction.stripe_id, one.original.stripe_id
    skip = plan if isinstance(plan, Skip) else one.decision
    if isinstance(skip, Skip) and skip.code == "E-LIMIT":
        return Skip(stripe_id, "E-LIMIT", skip.reason)
    if one.claim.kind == "refund" and isinstance(skip, Skip):
        return None
    if isinstance(plan, Hold):
        message = f"{original_id}, which it corrects, is held: {plan.problem.message}"
        return Hold(stripe_id, Problem("E-DEPENDENCY", message, found=original_id))
    if not isinstance(skip, Skip):
        message = f"{original_id}, which it corrects, is not in the ledger yet"
        return Hold(stripe_id, Problem("E-DEPENDENCY", message, found=original_id))
    if skip.code in _NOT_YET:
        return Skip(stripe_id, "S-NOT-DUE", f"its invoice {original_id} is not due yet: {skip.reason}")
    return Skip(stripe_id, "S-NO-ORIGINAL", f"its invoice {original_id} is not posted: {skip.reason}")


def _voided(what: str, status: str, standing: Identity) -> Problem:
    return Problem("E-VOIDED", f"{what} in Stripe and stands in the ledger as {_words(standing)}", found=status)


def _as_booked(one: Pending, stored: LedgerDocument | Problem | None) -> Pending:
    """`one` of a payment that was booked before anybody knew what its Checkout session sold: taken back as it stands there."""
    sale, record = (one.original.sale if isinstance(one.original, ChargeRecord) else None), one.correction.record
    if sale is None or not isinstance(stored, LedgerDocument) or not isinstance(record, ChargeRecord):
        return one
    stated = stripe_totals(sale)
    if not isinstance(stated, Problem) and stated.totals.vat == stored.totals.vat:
        return one
    return replace(one, correction=replace(one.correction, record=replace(record, sale=None)))


def _stored(one: Pending, stored: LedgerDocument) -> Original | Problem:
    if stored.vat_zone is None or stored.customer is None:
        return Problem("E-VAT-ZONE", f"the ledger does not tell the VAT zone and customer of {named(stored)}, which it corrects")
    raw = one.original.charge if isinstance(one.original, ChargeRecord) else one.original.invoice
    customer = CustomerRef(stored.customer, id_of(raw.get("customer")))
    booked = stored.number if stored.kind == "booked_invoice" else None
    return Original(
        one.original.stripe_id, named(stored), stored.vat_zone, customer, booked, rate=stored.exchange_rate, totals=stored.totals
    )


def terms_of(one: Pending) -> tuple[str, ...]:
    """What a correction is found by beside its own id and number: what it takes back, and what that is found by."""
    return _terms(one.original.stripe_id, one.original.number, *search_terms(one.correction.record))


def subject_of(one: Pending) -> Subject:
    """What a correction is about, in words and Stripe's own amount, which is negative."""
    record = one.correction.record
    source = record.as_invoice() if isinstance(record, ChargeRecord) else record.invoice
    name = source.get("customer_name") or (record.customer or {}).get("name") or source.get("customer_email")
    return Subject(record.number, name, record.total, record.currency, terms_of(one))


def _subject(one: Claim, raw: Raw, original: Record | None) -> Subject:
    """As :func:`subject_of`, of one that has not been made a record."""
    currency = str(raw.get("currency") or (original.currency if original else "")).upper()
    number = raw.get("number") or (original.number if original else None)
    name = (original.customer or {}).get("name") if original else None
    total = -from_minor(one.minor or 0, currency) if currency else from_minor(0, "DKK")
    return Subject(number, name, total, currency, _terms(one.original, id_of(raw.get("customer"))))


def _terms(*found: str | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one for one in found if one))


def _words(standing: Identity) -> str:
    return f"{(standing.ledger_kind or 'document').replace('_', ' ')} {standing.number}"
