"""Preview: the exact requests a sync would send, with predicted totals and problems. Nothing but GET is sent.

Staged plans and the posting log stay as they are; staging itself is filled only where it lacks what is asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from cloudify_pipeline.accounting.chart import Number
from cloudify_pipeline.control.account import contact, read_with_this_key
from cloudify_pipeline.control.causes import Cause, causes
from cloudify_pipeline.control.joined import staged_objects
from cloudify_pipeline.control.opened import OpenConnection, check_books
from cloudify_pipeline.control.planner import Planned, plan_connection
from cloudify_pipeline.control.sync import stage
from cloudify_pipeline.errors import Problem
from cloudify_pipeline.ledgers.port import CustomerWrite, Ledger, ProductWrite, Write
from cloudify_pipeline.planning.plans import Hold, PlannedCustomer, PlannedDocument, PlannedProduct, Skip
from cloudify_pipeline.planning.rests import NOBODY_RESTS, RESTS, Resting
from cloudify_pipeline.posting.drafts import Numbers, replacement
from cloudify_pipeline.posting.log.persons import words
from cloudify_pipeline.posting.log.store import Identity
from cloudify_pipeline.posting.standing import ACCEPTED
from cloudify_pipeline.posting.twins import hand_made, twin_problem

_DOES = {
    "create_document": "create the draft",
    "update_document": "replace the draft",
    "book_document": "book it",
}

_UNKNOWN = (111_111_111, 222_222_222)
"""Two numbers that differ in every digit: where the bodies made with them differ stands a number nobody knows yet."""


@dataclass(frozen=True, slots=True)
class Request:
    """One write as a sync would send it. `body` is its exact JSON text, but for numbers that are given at creation."""

    operation: str
    about: str
    method: str
    path: str
    body: str


@dataclass(frozen=True, slots=True)
class PreviewedDocument:
    """One document that is due; amounts in its currency. `stands`: what is in the ledger already; `does`: what would be done."""

    stripe_id: str
    stripe_number: str | None
    kind: str
    customer: str
    rule: str
    date: date
    currency: str
    net: Decimal
    vat: Decimal
    gross: Decimal
    stripe_total: Decimal
    stands: str | None
    does: str
    requests: tuple[Request, ...]


@dataclass(frozen=True, slots=True)
class PreviewedParty:
    """A customer or product of the documents: used as it is, updated or created."""

    stripe_id: str
    action: str
    number: Number | None
    name: str
    requests: tuple[Request, ...]


@dataclass(frozen=True, slots=True)
class Preview:
    """What a sync would do now. `problems` are the held records; `writes` the calls it would make to the ledger."""

    connection: str
    write_mode: str
    customers: tuple[PreviewedParty, ...]
    products: tuple[PreviewedParty, ...]
    documents: tuple[PreviewedDocument, ...]
    problems: tuple[Cause, ...]
    counts: dict[str, int]
    writes: int
    reads: int
    unknown_ids: tuple[str, ...]
    resting: Resting = NOBODY_RESTS


async def preview(opened: OpenConnection, *, ids: Sequence[str] = (), sample: int | None = None) -> Preview:
    """What a sync would send: for `ids` only when they are named, the newest `sample` documents when it is given.

    Raises:
        NotAuthorised: a token or key is refused, or they are for other books.
        Unreachable: Stripe or the ledger does not answer.
    """
    await fill(opened, ids)
    async with opened.ledger() as ledger:
        await check_books(opened, ledger)
        planned = await plan_connection(opened, ledger, ids=ids or None)
        return await _Previewer(opened, ledger, planned).preview(ids, sample)


async def fill(opened: OpenConnection, ids: Sequence[str] = ()) -> None:
    """Read Stripe into staging where it is empty, lacks one of `ids`, or has payments that have rested since.

    Raises:
        NotAuthorised: the key is refused, or is for another account or mode than what is staged.
    """
    if not opened.staging.candidates() and not opened.staging.summary("invoice").rows:
        await stage(opened, bind=False)
    elif not read_with_this_key(opened):
        async with opened.stripe() as reader:
            await contact(opened, reader, bind=False)
    missing = [*(one for one in ids if not _staged(opened, one)), *_rested(opened, ids)]
    if missing:
        await stage(opened, ids=missing, bind=False)


def _rested(opened: OpenConnection, ids: Sequence[str]) -> list[str]:
    now = opened.clock()
    over = [charge for charge, until in opened.staging.resting().items() if until is not None and until <= now]
    return [charge for charge in over if not ids or charge in ids]


def _staged(opened: OpenConnection, stripe_id: str) -> bool:
    return bool(staged_objects(opened.staging, [stripe_id]))


class _Previewer:
    def __init__(self, opened: OpenConnection, ledger: Ledger, planned: Planned) -> None:
        self._opened = opened
        self._ledger = ledger
        self._planned = planned

    async def preview(self, ids: Sequence[str], sample: int | None) -> Preview:
        plans = list(self._planned.documents.values())
        chosen = [plan for plan in plans if isinstance(plan, PlannedDocument)]
        standing = self._opened.log.identities(self._opened.name, "document", [plan.stripe_id for plan in chosen])
        if sample is not None:
            chosen = chosen[-sample:] if sample else []
        twins = await self._twins([plan for plan in chosen if plan.stripe_id not in standing])
        documents = [await self._document(plan, standing.get(plan.stripe_id)) for plan in chosen if plan.stripe_id not in twins]
        needed = None if sample is None else _parties(chosen)
        customers = [await self._customer(p) for p in self._customers() if needed is None or p.stripe_id in needed]
        products = [await self._product(p) for p in self._products() if needed is None or p.stripe_id in needed]
        skipped = sum(isinstance(plan, Skip) and plan.code != RESTS for plan in plans)
        return Preview(
            connection=self._opened.name,
            write_mode=self._opened.settings.write_mode,
            customers=tuple(customers),
            products=tuple(products),
            documents=tuple(documents),
            problems=causes(self._opened, self._planned, twins.values()),
            counts={
                "planned": sum(isinstance(plan, PlannedDocument) for plan in plans) - len(twins),
                "held": sum(isinstance(plan, Hold) for plan in plans) + len(twins),
                "skipped": skipped,
                "already in the ledger": self._planned.settled,
                "waiting": self._planned.waiting,
                "resting": self._planned.resting.payments,
            },
            resting=self._planned.resting,
            writes=sum(len(one.requests) for several in (customers, products, documents) for one in several),
            reads=self._ledger.requests.reads,
            unknown_ids=tuple(one for one in ids if one not in self._planned.documents),
        )

    def _customers(self) -> list[PlannedCustomer]:
        return [plan for plan in self._planned.customers.values() if isinstance(plan, PlannedCustomer)]

    def _products(self) -> list[PlannedProduct]:
        return [plan for plan in self._planned.products.values() if isinstance(plan, PlannedProduct)]

    async def _twins(self, plans: Sequence[PlannedDocument]) -> dict[str, Hold]:
        """The documents that a run would hold because they seem to stand in the ledger, entered by somebody else."""
        log, connection = self._opened.log, self._opened.name
        asked = [(plan, plan.document.customer.number or self._customer_number(plan)) for plan in plans]
        found = await hand_made(self._ledger, log, connection, asked)
        said = words(log, connection, list(found))
        return {
            plan.stripe_id: Hold(plan.stripe_id, twin_problem(plan, found[plan.stripe_id]))
            for plan in plans
            if plan.stripe_id in found and not said.get(plan.stripe_id)
        }

    async def _document(self, plan: PlannedDocument, standing: Identity | None) -> PreviewedDocument:
        document = plan.document
        stands = f"{(standing.ledger_kind or '').replace('_', ' ')} {standing.number}".strip() if standing else None
        requests = tuple(self._document_requests(plan)) if standing is None else await self._standing_requests(plan, standing)
        return PreviewedDocument(
            stripe_id=document.stripe_id,
            stripe_number=document.stripe_number,
            kind=document.kind,
            customer=str(document.fields.get("recipient.name", "")),
            rule=plan.rule,
            date=document.date,
            currency=document.currency.upper(),
            net=document.predicted.net,
            vat=document.predicted.vat,
            gross=document.predicted.gross,
            stripe_total=document.stripe_total,
            stands=stands,
            does=" and ".join(_DOES[one.operation] for one in requests) or "nothing: it stands as it should",
            requests=requests,
        )

    async def _standing_requests(self, plan: PlannedDocument, standing: Identity) -> tuple[Request, ...]:
        """What a run would send for a document that stands: the replacement of its draft, and its booking."""
        document = plan.document
        stored = await self._ledger.document(standing.ledger_kind or "draft_invoice", standing.number)
        if stored is None or stored.kind == "booked_invoice" or standing.how == ACCEPTED:
            return ()
        identities = self._opened.log.identities
        numbers = Numbers(identities(self._opened.name, "customer"), identities(self._opened.name, "product"))
        prepared = await replacement(
            document, stored, numbers, ledger=self._ledger, log=self._opened.log, connection=self._opened.name
        )
        if isinstance(prepared, Problem):
            return ()
        requests = [] if prepared.write is None else [_request(prepared.write, prepared.write, "")]
        if document.kind == "booked_invoice":
            book = self._ledger.book_document(stored.number, key=document.key, send_by=document.send_by)
            requests.append(_request(book, book, ""))
        return tuple(requests)

    def _document_requests(self, plan: PlannedDocument) -> list[Request]:
        document = plan.document
        products = {p.stripe_id: p.number for p in self._products()}
        stripe_id = document.customer.stripe_id or ""
        number = document.customer.number or self._customer_number(plan)
        drafts = [self._ledger.create_document(document, number or unknown, products) for unknown in _UNKNOWN]
        requests = [_request(drafts[0], drafts[1], f"number given at creation of {stripe_id}")]
        if document.kind == "booked_invoice":
            books = [self._ledger.book_document(one, key=document.key, send_by=document.send_by) for one in _UNKNOWN]
            requests.append(_request(books[0], books[1], "number given to the draft"))
        return requests

    def _customer_number(self, plan: PlannedDocument) -> Number | None:
        planned = self._planned.customers.get(plan.document.customer.stripe_id or "")
        return planned.number if isinstance(planned, PlannedCustomer) else None

    async def _customer(self, plan: PlannedCustomer) -> PreviewedParty:
        write: Write | None = None
        if plan.action == "create":
            write = self._ledger.create_customer(
                CustomerWrite(
                    plan.stripe_id, plan.number, plan.name, plan.currency, plan.group, plan.payment_terms, plan.vat_zone,
                    plan.layout, plan.fields,
                )
            )  # fmt: skip
        elif plan.action == "update" and plan.number is not None:
            write = await self._ledger.update_customer(plan.number, plan.fields, key=f"customer:{plan.stripe_id}")
        return PreviewedParty(plan.stripe_id, plan.action, plan.number, plan.name, _requests(write))

    async def _product(self, plan: PlannedProduct) -> PreviewedParty:
        write: Write | None = None
        if plan.action == "create":
            write = self._ledger.create_product(
                ProductWrite(plan.stripe_id, plan.number, plan.name, plan.group, plan.unit, plan.fields)
            )
        elif plan.action == "update":
            write = await self._ledger.update_product(plan.number, plan.fields, key=f"product:{plan.stripe_id}")
        return PreviewedParty(plan.stripe_id, plan.action, plan.number, plan.name, _requests(write))


def _parties(plans: Sequence[PlannedDocument]) -> set[str]:
    """The Stripe customers and products that some documents name."""
    customers = {plan.document.customer.stripe_id for plan in plans}
    products = {line.product.stripe_id for plan in plans for line in plan.document.lines if line.product}
    return {one for one in customers | products if one}


def _requests(write: Write | None) -> tuple[Request, ...]:
    return () if write is None else (_request(write, write, ""),)


def _request(one: Write, other: Write, unknown: str) -> Request:
    """The request, with `unknown` in words wherever the two writes differ."""
    return Request(
        one.operation,
        one.key,
        one.method,
        _differences_named(one.path, other.path, unknown, quoted=False),
        _differences_named(one.body.decode(), other.body.decode(), unknown, quoted=True),
    )


def _differences_named(one: str, other: str, name: str, *, quoted: bool) -> str:
    if one == other:
        return one
    parts: list[str] = []
    place = 0
    while place < len(one):
        end = place
        while end < len(one) and one[end] != other[end]:
            end += 1
        if end > place:
            inside_text = not quoted or one[place - 1] == '"'
            parts.append(f"<{name}>" if inside_text else f'"<{name}>"')
        else:
            parts.append(one[end])
            end += 1
        place = end
    return "".join(parts)
