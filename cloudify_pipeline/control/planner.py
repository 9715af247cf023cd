"""Planning a connection: which staged invoices and charges are due, and what each should become in the ledger.

Reads staging, the posting log and the ledger (GET only); decides with the pure functions of `planning`. Due records are
planned in portions, so memory follows the portion and not the number of invoices.
"""

from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, TypeVar

from cloudify_pipeline.accounting.chart import Chart
from cloudify_pipeline.accounting.parties import Candidates, LedgerRecord, Lookup
from cloudify_pipeline.accounting.vat_evidence import NOTHING, Answer
from cloudify_pipeline.control.account import check_staged
from cloudify_pipeline.control.adopted import moved_on
from cloudify_pipeline.control.corrections import Corrections, Pending, subject_of, terms_of
from cloudify_pipeline.control.joined import is_charge, joined_records, lines_of, priced
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.control.paid_twice import PaidTwice
from cloudify_pipeline.control.sellers import sold_by_another
from cloudify_pipeline.control.vat_evidence import NumbersAsked
from cloudify_pipeline.errors import Problem
from cloudify_pipeline.ledgers.port import Ledger
from cloudify_pipeline.planning.changes import changed_after_posting, taxed_otherwise
from cloudify_pipeline.planning.corrections import Correction, Original
from cloudify_pipeline.planning.customers import customer_lookups, plan_customer
from cloudify_pipeline.planning.documents import plan_document
from cloudify_pipeline.planning.paid_twice import INVOICED, totals_differ
from cloudify_pipeline.planning.plans import Hold, PlannedCustomer, PlannedDocument, PlannedProduct, Skip, Subject
from cloudify_pipeline.planning.products import distinct_numbers, plan_product, product_lookups
from cloudify_pipeline.planning.records import ChargeRecord, InvoiceRecord, book_date, search_terms, sold
from cloudify_pipeline.planning.rests import NOBODY_RESTS, RESTS, Resting, rests
from cloudify_pipeline.planning.rounding import Model, in_force
from cloudify_pipeline.planning.rules import DueDocument, due
from cloudify_pipeline.posting.endings import SETTLED
from cloudify_pipeline.posting.log.parties import GONE, numbers_taken
from cloudify_pipeline.posting.log.rounding_seen import rounding_answers
from cloudify_pipeline.posting.log.standing import posted_amounts
from cloudify_pipeline.posting.log.store import Identity
from cloudify_pipeline.posting.log.vat_sales import kept_sales

Record = InvoiceRecord | ChargeRecord
DocumentPlan = PlannedDocument | Hold | Skip
Undone = TypeVar("Undone", Hold, Skip)


@dataclass(slots=True)
class Planned:
    """What one planning run decided, by Stripe id."""

    customers: dict[str, PlannedCustomer | Hold] = field(default_factory=dict)
    products: dict[str, PlannedProduct | Hold] = field(default_factory=dict)
    documents: dict[str, DocumentPlan] = field(default_factory=dict)
    settled: int = 0
    """Invoices and charges that stand in the ledger and have not changed in Stripe since."""
    waiting: int = 0
    """Due documents over limits.max_documents_per_run; the next run takes them."""
    resting: Resting = NOBODY_RESTS
    """Payments that may still get an invoice; the next run behind their rest takes them."""
    chart_reads: int = 0
    """What reading the chart cost; every step that needs it pays as much."""
    numbered: dict[str, LedgerRecord] = field(default_factory=dict)
    """Ledger products that were looked up by number: those of the settings among them."""
    vat_answers: tuple[Answer, ...] = ()
    """What is new about the VAT numbers of buyers; the log keeps it when a run says so."""


async def plan_connection(
    opened: OpenConnection,
    ledger: Ledger,
    *,
    ids: Sequence[str] | None = None,
    had: Sequence[Answer] = (),
    again: bool = False,
) -> Planned:
    """Plan everything that is staged and not settled; only `ids` when they are named (settled ones too).

    VAT numbers that nothing proves are asked about, where the settings say so; `had` and `again` as
    :meth:`~cloudify_pipeline.control.vat_evidence.NumbersAsked.find` has them.

    Raises:
        NotAuthorised: E-CONN-ACCOUNT, E-CONN-MODE, what is staged is not of the account that the connection reads.
    """
    check_staged(opened)
    return await _Planner(opened, ledger).plan(ids, had, again=again)


class _Planner:
    def __init__(self, opened: OpenConnection, ledger: Ledger) -> None:
        self._opened = opened
        self._ledger = ledger
        self._planned = Planned()
        self._sources: dict[str, str] = {}
        self._resting: Mapping[str, datetime | None] = {}
        self._corrections = Corrections(opened)
        self._today = book_date(opened.clock())
        self._vat_numbers = NOTHING
        self._moved_on: set[str] = set()
        """Drafts and orders that stand no longer where they were posted: they are looked at again."""
        self._paid = PaidTwice(opened, {})
        self._take: set[str] = set()
        """Payments whose own documents are to be taken back."""

    async def plan(self, ids: Sequence[str] | None, had: Sequence[Answer], *, again: bool) -> Planned:
        if ids is None:
            self._moved_on = await moved_on(self._opened, self._ledger)
        self._corrections.collect(None if ids is None else set(ids), self._moved_on)
        due_ids = self._due(ids)
        self._planned.settled += self._corrections.settled
        await self._corrections.find_originals(self._ledger)
        asked = NumbersAsked(self._opened)
        parties = self._referenced([*self._noted(due_ids, asked), *(one.correction.record for one in self._corrections.pending)])
        if ids is None:
            self._add_changed(parties)
        if due_ids or parties.changed or self._corrections.pending:
            before = self._ledger.requests.reads
            chart = await self._ledger.chart()
            self._planned.chart_reads = self._ledger.requests.reads - before
            await self._ask_for_numbers(asked, parties, had, again=again)
            await self._plan_customers(chart, parties)
            await self._plan_products(chart, parties)
            await self._plan_documents(chart, due_ids)
            self._plan_corrections(chart)
            self._leave_out_unused(parties.changed)
        self._planned.documents |= self._corrections.undone
        return self._planned

    def _due(self, ids: Sequence[str] | None) -> dict[str, DueDocument]:
        """First pass: the rule of each record; what is not due becomes a skip at once."""
        wanted = None if ids is None else set(ids)
        states = self._opened.log.states(self._opened.name)
        standing = self._opened.log.identities(self._opened.name, "document")
        with self._opened.staging.reading():
            faults = dict(self._opened.staging.arithmetic_faults())
            candidates = [c for c in self._opened.staging.candidates() if wanted is None or c.id in wanted]
            self._resting = self._opened.staging.resting()
            self._paid = PaidTwice.look(self._opened, standing, states)
        self._sources = {candidate.id: candidate.content_hash for candidate in candidates}
        self._sources |= {one.id: one.content_hash for one in self._paid.linked.values() if wanted is None or one.id in wanted}
        found: dict[str, DueDocument] = {}
        todo = []
        for stripe_id, source in self._sources.items():
            settled = states.get(stripe_id, ("",))[0] in SETTLED and stripe_id not in self._moved_on
            same = settled and stripe_id in standing and standing[stripe_id].source_hash == source
            if wanted is None and same and self._paid.doubled(stripe_id) is None:
                self._planned.settled += 1
            else:
                todo.append(stripe_id)
        vat = self._booked_vat(standing, todo)
        posted = posted_amounts(self._opened.log, self._opened.name, [i for i in todo if i in standing])
        for joined in self._records(todo):
            record = self._attached(joined)
            stands = standing.get(record.stripe_id)
            if stands is not None:
                name = f"{(stands.ledger_kind or 'document').replace('_', ' ')} {stands.number}"
                problem = changed_after_posting(
                    record,
                    name,
                    *posted.get(record.stripe_id, (None, None)),
                    explained=self._corrections.explained(record.stripe_id),
                    credited=self._corrections.credited_states(stands),
                )
                problem = problem or self._paid.doubled_and_stays(record.stripe_id)
                problem = problem or taxed_otherwise(record, name, vat.get(record.stripe_id))
                if problem is not None:
                    self._hold(record, problem)
                    continue
            decision = due(record, self._opened.settings)
            if isinstance(decision, Skip):
                self._planned.documents[record.stripe_id] = self._about(decision, record)
            elif stands is None and record.stripe_id in self._resting:
                resting = rests(record.stripe_id, self._resting[record.stripe_id])
                self._planned.documents[record.stripe_id] = self._about(resting, record)
            elif record.stripe_id in faults:
                self._hold(record, Problem("E-STRIPE-SUM", faults[record.stripe_id]))
            elif stands is None and (twice := self._paid.held(record)) is not None:
                self._hold(record, twice)
            else:
                found[record.stripe_id] = decision
        self._planned.resting = self._rest_of(self._planned.documents.values())
        self._hold_sold_by_another(found, standing)
        self._take_back(found, wanted)
        self._hold_alike(found)
        return found if wanted is not None else self._within_limit(found, standing)

    def _rest_of(self, plans: Iterable[DocumentPlan]) -> Resting:
        ids = [plan.stripe_id for plan in plans if isinstance(plan, Skip) and plan.code == RESTS]
        return Resting(len(ids), max((at for one in ids if (at := self._resting.get(one)) is not None), default=None))

    def _hold_sold_by_another(self, found: dict[str, DueDocument], standing: Container[str]) -> None:
        """Take out of `found` what another account sells; what stands in the ledger already stays as it is."""
        others = sold_by_another(self._opened, [stripe_id for stripe_id in found if stripe_id not in standing])
        for record in self._records(list(others)):
            del found[record.stripe_id]
            self._hold(record, others[record.stripe_id])

    def _booked_vat(self, standing: Mapping[str, Identity], todo: Sequence[str]) -> dict[str, Decimal]:
        """The VAT that the payments among `todo` are booked with, where the log knows (major units)."""
        booked = [i for i in todo if is_charge(i) and i in standing and standing[i].ledger_kind == "booked_invoice"]
        sales = kept_sales(self._opened.log, self._opened.name, ids=booked) if booked else {}
        return {stripe_id: sum((one.vat for one in sale.codes), Decimal(0)) for stripe_id, sale in sales.items()}

    def _attached(self, record: Record) -> Record:
        """A payment with the invoice that it pays, where that was found after the payment was looked at first."""
        invoice = self._paid.pays(record.stripe_id) if isinstance(record, ChargeRecord) else None
        return replace(record, invoice_id=invoice) if isinstance(record, ChargeRecord) and invoice else record

    def _take_back(self, found: dict[str, DueDocument], wanted: Collection[str] | None) -> None:
        """Have the documents of payments taken back whose invoices are due, where the settings say so; hold what stays."""
        problems, charges = self._paid.taken_back(found, self._corrections.took_back, wanted)
        self._corrections.take_back(charges)
        self._take = set(charges)
        for record in self._records(list(problems)):
            self._hold(record, problems[record.stripe_id])
            found.pop(record.stripe_id, None)

    def _hold_alike(self, found: dict[str, DueDocument]) -> None:
        """Of what is due and new, hold what may be one sale with another object that nothing links it to."""
        problems = self._paid.alike(found)
        for record in self._records(list(problems)):
            self._hold(record, problems[record.stripe_id])
            del found[record.stripe_id]

    def _within_limit(self, found: dict[str, DueDocument], standing: Container[str]) -> dict[str, DueDocument]:
        """As many new documents as one run may post; what stands in the ledger already is looked at in any case."""
        limit = self._opened.settings.limits.max_documents_per_run
        over = set([stripe_id for stripe_id in found if stripe_id not in standing][limit:])
        self._planned.waiting = len(over)
        reason = f"one run posts {limit} documents (limits.max_documents_per_run); this one follows in a later run"
        for record in self._records(list(over)):
            later = Skip(record.stripe_id, "E-LIMIT", reason)
            self._planned.documents[record.stripe_id] = self._about(later, record)
        return {stripe_id: decision for stripe_id, decision in found.items() if stripe_id not in over}

    def _hold(self, record: Record, problem: Problem) -> None:
        self._planned.documents[record.stripe_id] = self._about(Hold(record.stripe_id, problem), record)

    def _about(self, plan: Undone, record: Record) -> Undone:
        """`plan` with what it is about, and the state of the Stripe object it was made from."""
        return replace(plan, subject=_subject(record), source_hash=self._sources.get(record.stripe_id, ""))

    def _records(self, ids: Sequence[str]) -> Iterator[Record]:
        return joined_records(self._opened.staging, ids)

    def _referenced(self, records: Iterable[Record]) -> "_Parties":
        parties = _Parties()
        for record in records:
            if record.customer is not None:
                parties.customers.setdefault(str(record.customer["id"]), record.customer)
                parties.currencies.setdefault(str(record.customer["id"]), record.currency)
            sale = sold(record)
            if isinstance(sale, InvoiceRecord):
                for line in lines_of(sale.invoice):
                    details = priced(line)
                    product = sale.products.get(details.get("product") or "")
                    price = sale.prices.get(details.get("price") or "")
                    if product is not None:
                        parties.products.setdefault(str(product["id"]), product)
                        if price is not None:
                            parties.prices.setdefault(str(product["id"]), {})[str(price["id"])] = price
        return parties

    def _noted(self, due_ids: Mapping[str, DueDocument], asked: NumbersAsked) -> Iterator[Record]:
        """The records that are due; their VAT numbers are noted in passing."""
        for record in self._records(list(due_ids)):
            asked.note(record, due_ids[record.stripe_id].vat_zone)
            yield record

    async def _ask_for_numbers(self, asked: NumbersAsked, parties: "_Parties", had: Sequence[Answer], *, again: bool) -> None:
        linked = self._opened.log.identities(self._opened.name, "customer", list(parties.customers))
        for stripe_id, customer in parties.customers.items():
            if stripe_id not in linked:
                asked.note_customer(customer)
        self._vat_numbers = await asked.find(had=had, again=again)
        self._planned.vat_answers = (*had, *asked.fresh)

    def _add_changed(self, parties: "_Parties") -> None:
        """With on_found: update, also the linked customers and products that Stripe has changed since they were linked."""
        settings = self._opened.settings
        sections: tuple[tuple[Literal["customer", "product"], str, dict[str, Mapping[str, Any]]], ...] = (
            ("customer", settings.customers.on_found, parties.customers),
            ("product", settings.products.on_found, parties.products),
        )
        for kind, on_found, found in sections:
            if on_found != "update":
                continue
            linked = self._opened.log.identities(self._opened.name, kind)
            hashes = self._opened.staging.content_hashes(kind, list(linked))
            changed = [stripe_id for stripe_id, digest in hashes.items() if digest != linked[stripe_id].source_hash]
            for stripe_id, staged in self._opened.staging.objects(kind, changed).items():
                found.setdefault(stripe_id, staged)
                parties.changed.add(stripe_id)

    async def _plan_customers(self, chart: Chart, parties: "_Parties") -> None:
        settings = self._opened.settings
        known = self._opened.log.identities(self._opened.name, "customer", list(parties.customers))
        lookups: dict[str, tuple[Lookup, ...]] = {}
        for stripe_id, customer in parties.customers.items():
            asked = customer_lookups(customer, settings.customers)
            lookups[stripe_id] = () if isinstance(asked, Problem) else asked
            if stripe_id in known:
                lookups[stripe_id] = (*lookups[stripe_id], Lookup("number", str(known[stripe_id].number)))
        wanted = [one for several in lookups.values() for one in several]
        if settings.customers.default_customer is not None:
            wanted.append(Lookup("number", str(settings.customers.default_customer)))
        candidates = await self._ledger.customers(list(dict.fromkeys(wanted))) if wanted else {}
        hashes = self._opened.staging.content_hashes("customer", list(parties.customers))
        taken = frozenset(numbers_taken(self._opened.log, self._opened.name, "customer"))
        for stripe_id, customer in parties.customers.items():
            linked = known.get(stripe_id)
            record = _standing(candidates, linked)
            plan = plan_customer(
                customer,
                settings=settings,
                mappings=self._opened.loaded.mappings.customers,
                chart=chart,
                candidates=candidates,
                known=record,
                currency=parties.currencies.get(stripe_id),
                linked=linked.number if linked else None,
                same=linked is not None and record is not None and record.name == linked.fingerprint,
                vat_numbers=self._vat_numbers,
                taken=taken,
            )
            self._planned.customers[stripe_id] = _stamped(plan, hashes)

    async def _plan_products(self, chart: Chart, parties: "_Parties") -> None:
        settings = self._opened.settings.products
        mappings = self._opened.loaded.mappings.products
        known = self._opened.log.identities(self._opened.name, "product", list(parties.products))
        wanted: list[Lookup] = [Lookup("number", number) for number in _named_products(self._opened)]
        for stripe_id, product in parties.products.items():
            asked = product_lookups(product, parties.prices.get(stripe_id, {}), settings, mappings)
            wanted += [] if isinstance(asked, Problem) else asked
            if stripe_id in known:
                wanted.append(Lookup("number", str(known[stripe_id].number)))
        candidates = await self._ledger.products(list(dict.fromkeys(wanted))) if wanted else {}
        self._planned.numbered = {
            lookup.value: records[0] for lookup, records in candidates.items() if lookup.field == "number" and records
        }
        plans: dict[str, PlannedProduct | Hold] = {}
        taken = frozenset(numbers_taken(self._opened.log, self._opened.name, "product"))
        for stripe_id, product in sorted(parties.products.items()):
            linked = known.get(stripe_id)
            plans[stripe_id] = plan_product(
                product,
                settings=self._opened.settings,
                mappings=mappings,
                chart=chart,
                candidates=candidates,
                known=_standing(candidates, linked),
                prices=parties.prices.get(stripe_id, {}),
                linked=linked.number if linked else None,
                taken=taken,
            )
        hashes = self._opened.staging.content_hashes("product", list(plans))
        self._planned.products = {i: _stamped(plan, hashes) for i, plan in distinct_numbers(plans).items()}

    def _leave_out_unused(self, changed: set[str]) -> None:
        """Nothing is created for the sake of a document that is held: a customer or product comes with its first document."""
        planned = [plan.document for plan in self._planned.documents.values() if isinstance(plan, PlannedDocument)]
        buyers = changed | {document.customer.stripe_id for document in planned if document.customer.stripe_id}
        sold = changed | {
            line.product.stripe_id for document in planned for line in document.lines if line.product and line.product.stripe_id
        }
        customers, products = self._planned.customers, self._planned.products
        self._planned.customers = {i: plan for i, plan in customers.items() if isinstance(plan, Hold) or i in buyers}
        self._planned.products = {i: plan for i, plan in products.items() if isinstance(plan, Hold) or i in sold}

    async def _plan_documents(self, chart: Chart, due_ids: Mapping[str, DueDocument]) -> None:
        rounding = self._rounding()
        rates = self._opened.settings.invoices.exchange_rate == "stripe"
        for record in joined_records(self._opened.staging, list(due_ids), charges=rates):
            plan = self._document(record, due_ids[record.stripe_id], chart, rounding)
            source = self._sources.get(record.stripe_id, "")
            if isinstance(plan, PlannedDocument):
                self._planned.documents[record.stripe_id] = replace(
                    plan, source_hash=source, terms=search_terms(record), paid_by=self._paid.pays_by(record)
                )
            else:
                self._planned.documents[record.stripe_id] = replace(plan, subject=_subject(record), source_hash=source)

    def _plan_corrections(self, chart: Chart) -> None:
        """Behind the documents that they take back, and no more of them than the run may still post."""
        standing = self._opened.log.identities(self._opened.name, "document")
        new = [plan for plan in self._planned.documents.values() if isinstance(plan, PlannedDocument)]
        room = self._opened.settings.limits.max_documents_per_run - sum(plan.stripe_id not in standing for plan in new)
        rounding = self._rounding()
        for one, decision, original in self._corrections.due(self._planned.documents, room):
            corrects = (one.correction, original)
            plan = self._document(one.correction.record, decision, chart, rounding, corrects)
            if one.claim.kind == "invoiced" and isinstance(plan, PlannedDocument):
                differs = totals_differ(plan.document.predicted, original.totals, original.words)
                plan = plan if differs is None else Hold(plan.stripe_id, differs)
            self._planned.documents[one.correction.stripe_id] = _of_correction(plan, one)
        self._hold_without_back()

    def _hold_without_back(self) -> None:
        """Hold the invoices of payments whose own documents were to be taken back, and are not after all."""
        documents = self._planned.documents
        stays = {one for one in self._take if not isinstance(documents.get(f"{one}{INVOICED}"), PlannedDocument)}
        concerned = [
            i for i, plan in documents.items() if isinstance(plan, PlannedDocument) and not stays.isdisjoint(plan.paid_by)
        ]
        for record in self._records(concerned):
            problem = self._paid.second(record)
            if problem is not None:
                self._hold(record, problem)

    def _rounding(self) -> Model:
        answers = rounding_answers(self._opened.log.engine, self._opened.name)
        return in_force(self._opened.settings.invoices.rounding.vat, answers)

    def _document(
        self,
        record: Record,
        decision: DueDocument,
        chart: Chart,
        rounding: Model,
        corrects: tuple[Correction, Original] | None = None,
    ) -> DocumentPlan:
        mappings = self._opened.loaded.mappings
        customer_id = str(record.customer["id"]) if record.customer else None
        return plan_document(
            replace(record, vat_numbers=self._vat_numbers),
            due=decision,
            settings=self._opened.settings,
            documents=mappings.charges if isinstance(record, ChargeRecord) else mappings.documents,
            lines=mappings.lines,
            chart=chart,
            today=self._today,
            customer=self._planned.customers.get(customer_id) if customer_id else None,
            products=self._planned.products,
            numbered=self._planned.numbered,
            vat_rounding=rounding,
            corrects=corrects,
        )


def _of_correction(plan: DocumentPlan, one: Pending) -> DocumentPlan:
    if isinstance(plan, PlannedDocument):
        return replace(plan, source_hash=one.claim.content_hash, terms=terms_of(one), explains=one.claim.explains)
    return replace(plan, subject=subject_of(one), source_hash=one.claim.content_hash)


@dataclass(slots=True)
class _Parties:
    customers: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    currencies: dict[str, str] = field(default_factory=dict)
    products: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    prices: dict[str, dict[str, Mapping[str, Any]]] = field(default_factory=dict)
    """By product."""
    changed: set[str] = field(default_factory=set)
    """Linked ones that Stripe has changed, whether or not a document is due."""


PartyPlan = TypeVar("PartyPlan", PlannedCustomer | Hold, PlannedProduct | Hold)


def _stamped(plan: PartyPlan, hashes: Mapping[str, str]) -> PartyPlan:
    """`plan` with the content hash of the object it was made from."""
    return plan if isinstance(plan, Hold) else replace(plan, source_hash=hashes.get(plan.stripe_id, ""))


def _subject(record: Record) -> Subject:
    source = record.invoice if isinstance(record, InvoiceRecord) else record.as_invoice()
    name = source.get("customer_name") or (record.customer or {}).get("name") or source.get("customer_email")
    return Subject(record.number, name, record.total, record.currency, search_terms(record))


def _by_number(candidates: Candidates, number: str) -> LedgerRecord | None:
    return next(iter(candidates.get(Lookup("number", number), ())), None)


def _standing(candidates: Candidates, linked: Identity | None) -> LedgerRecord | None:
    """The record that an earlier run linked; what has the number of one that was gone is somebody else, but for its name."""
    record = None if linked is None else _by_number(candidates, str(linked.number))
    if record is None or linked is None or (linked.how == GONE and record.name != linked.fingerprint):
        return None
    return record


def _named_products(opened: OpenConnection) -> set[str]:
    """Ledger products that the settings name."""
    settings = opened.settings.products
    named = (settings.default_product, settings.no_product, settings.discount_product, settings.rounding_product)
    return {number for number in (*named, *settings.links.values()) if number}
