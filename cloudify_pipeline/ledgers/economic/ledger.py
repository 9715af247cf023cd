"""Visma e-conomic as a ledger of :mod:`cloudify_pipeline.ledgers.port`."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, Literal
from urllib.parse import quote

import httpx

from cloudify_pipeline.accounting.chart import Chart, Number
from cloudify_pipeline.accounting.documents import FieldValue, SalesDocument
from cloudify_pipeline.accounting.parties import Candidates, LedgerRecord, Lookup
from cloudify_pipeline.errors import OutcomeUnknown, Refused
from cloudify_pipeline.ledgers.economic import keyed, mentions, wire, writes
from cloudify_pipeline.ledgers.economic import lookups as finding
from cloudify_pipeline.ledgers.economic.chart import read_chart
from cloudify_pipeline.ledgers.economic.client import API_BASE, ATTEMPTS, OPENAPI_BASE, TIMEOUT, EconomicClient, Reply
from cloudify_pipeline.ledgers.economic.entries import sales_entries
from cloudify_pipeline.ledgers.economic.fields import CUSTOMER_FIELDS, DOCUMENT_FIELDS, PRODUCT_FIELDS
from cloudify_pipeline.ledgers.economic.filters import path
from cloudify_pipeline.ledgers.economic.records import at, customer_record, document_record, made_by, not_kept, product_record
from cloudify_pipeline.ledgers.economic.replacement import update_document
from cloudify_pipeline.ledgers.port import (
    Answer,
    CustomerWrite,
    Keyed,
    LedgerDocument,
    LedgerIdentity,
    ProductWrite,
    Requests,
    SalesEntry,
    StoredKind,
    Write,
)
from cloudify_pipeline.mapping.fields import FieldCatalogue

_REQUEST_ACCESS = "https://secure.e-conomic.com/secure/api1/requestaccess.aspx"
WEB = "https://secure.e-conomic.com/"
"""Where people log in. No public address of a single document is documented, so a document's link leads here."""
_WRITING_ROLES = frozenset({"SuperUser", "Sales"})
"""Either lets an app write customers, products, invoices and orders (reference/economic.md §2)."""

_PLACES: dict[StoredKind, tuple[tuple[str, str], ...]] = {
    "draft_invoice": (("invoices", "drafts"),),
    "booked_invoice": (("invoices", "booked"),),
    "draft_order": (("orders", "drafts"), ("orders", "sent"), ("orders", "archived")),
}

_log = logging.getLogger(__name__)


def install_url(app_public_token: str, redirect_url: str | None = None) -> str:
    """Where an agreement's owner grants access; without `redirect_url` the page shows the token to be copied."""
    url = f"{_REQUEST_ACCESS}?appPublicToken={quote(app_public_token, safe='')}"
    return url if redirect_url is None else f"{url}&redirectUrl={quote(redirect_url, safe='')}"


class EconomicLedger:
    """One e-conomic agreement. The chart is read once and kept; `notes` says what of it could not be known."""

    name = "e-conomic"
    # Keys are forgotten after an hour (reference/economic.md §9); ten minutes are left for clocks and calls.
    idempotency_window = timedelta(minutes=50)
    # reference/performance.md §3: fair use of an agreement.
    daily_calls: int | None = 50_000
    look_reads = keyed.LOOK_READS

    def __init__(
        self,
        app_secret_token: str,
        agreement_grant_token: str,
        *,
        api_base: str = API_BASE,
        openapi_base: str = OPENAPI_BASE,
        concurrency: int = 6,
        attempts: int = ATTEMPTS,
        timeout: httpx.Timeout = TIMEOUT,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.requests = Requests()
        self.notes: tuple[str, ...] = ()
        self._client = EconomicClient(
            app_secret_token,
            agreement_grant_token,
            api_base=api_base,
            openapi_base=openapi_base,
            concurrency=concurrency,
            attempts=attempts,
            timeout=timeout,
            transport=transport,
            clock=clock,
            sleep=sleep,
            requests=self.requests,
        )
        self._web = WEB if api_base == API_BASE else None
        self._chart: Chart | None = None
        self._reading = asyncio.Lock()

    @property
    def known_chart(self) -> Chart | None:
        """The chart, where this client has read it already; never a call."""
        return self._chart

    @property
    def customer_fields(self) -> FieldCatalogue:
        """Fields of a customer that can be mapped and matched on."""
        return CUSTOMER_FIELDS

    @property
    def product_fields(self) -> FieldCatalogue:
        """Fields of a product that can be mapped and matched on."""
        return PRODUCT_FIELDS

    @property
    def document_fields(self) -> FieldCatalogue:
        """Header fields of a document; those of a line are below ``lines.``."""
        return DOCUMENT_FIELDS

    async def identify(self) -> LedgerIdentity:
        """Who these tokens speak for. No read tells whether the plan allows writing; the app's roles are known."""
        raw = await self._client.read("/self")
        roles = [role.get("name", "") for role in at(raw, "application.requiredRoles") or ()]
        details = {
            "app": at(raw, "application.name"),
            "app_number": at(raw, "application.appNumber"),
            "roles": ", ".join(roles),
            "agreement_type": at(raw, "agreementType.name"),
            "company_number": at(raw, "company.companyIdentificationNumber"),
            "modules": ", ".join(module.get("name", "") for module in raw.get("modules") or ()),
            "electronic_invoices": "yes" if raw.get("canSendElectronicInvoice") else "no",
        }
        return LedgerIdentity(
            agreement=str(raw.get("agreementNumber", "")),
            company=at(raw, "company.name") or "",
            base_currency=at(raw, "settings.baseCurrency") or "",
            user=at(raw, "user.loginId") or raw.get("userName") or "",
            can_write=not roles or bool(_WRITING_ROLES & set(roles)),
            details={name: str(value) for name, value in details.items() if value not in {None, ""}},
        )

    async def chart(self) -> Chart:
        """The chart, read at the first call."""
        async with self._reading:
            if self._chart is None:
                self._chart, self.notes = await read_chart(self._client)
            return self._chart

    async def customers(self, lookups: Sequence[Lookup]) -> Candidates:
        """Candidates for each look-up, in the order of their numbers."""
        return await finding.records(self._client, finding.CUSTOMERS, lookups)

    async def products(self, lookups: Sequence[Lookup]) -> Candidates:
        """As :meth:`customers`, for products."""
        return await finding.records(self._client, finding.PRODUCTS, lookups)

    async def documents(self, keys: Sequence[str]) -> Mapping[str, tuple[LedgerDocument, ...]]:
        """Every document that carries one of `keys`, in drafts, booked invoices and orders."""
        return await finding.documents(self._client, keys)

    async def keyed_documents(self, prefix: str, *, after: str | None = None) -> Keyed:
        """Every document whose reference begins with `prefix`; since the mark `after`, where one is given."""
        found = await keyed.keyed_documents(self._client, prefix, after=after)
        return replace(found, documents=[replace(one, url=self._web) for one in found.documents])

    async def unbooked_documents(self, prefix: str, kinds: Collection[StoredKind]) -> Sequence[LedgerDocument]:
        """The drafts and open orders of these `kinds` whose reference begins with `prefix`."""
        return [replace(found, url=self._web) for found in await keyed.unbooked_documents(self._client, prefix, kinds)]

    async def documents_dated(self, first: date, last: date, kinds: Sequence[StoredKind]) -> Sequence[LedgerDocument]:
        """Every document of these `kinds` and days."""
        return [replace(found, url=self._web) for found in await finding.documents_dated(self._client, first, last, kinds)]

    def lookup_calls(self, kind: Literal["customer", "product"], lookups: Sequence[Lookup], stored: int) -> int:
        """How many reads the look-ups of customers or products make."""
        return finding.record_calls(finding.CUSTOMERS if kind == "customer" else finding.PRODUCTS, lookups, stored)

    def made_by(self, write: Write, record: LedgerRecord) -> bool:
        """Whether `record` is what `write` made or would make."""
        return made_by(wire.parse(write.body), record)

    async def mentioning(self, texts: Sequence[str]) -> Sequence[LedgerDocument]:
        """Every document in whose reference, heading or text lines one of `texts` stands; lists do not show its lines."""
        return [replace(found, url=self._web) for found in await mentions.mentioning(self._client, texts)]

    def mention_calls(self, texts: Sequence[str], stored: Mapping[StoredKind, int]) -> int:
        """How many reads :meth:`mentioning` makes."""
        return mentions.mention_calls(texts, stored)

    async def documents_of(self, customers: Sequence[Number]) -> Sequence[LedgerDocument]:
        """Every document of these customers."""
        return [replace(found, url=self._web) for found in await mentions.documents_of(self._client, customers)]

    async def sales_entries(self, first: date, last: date) -> Sequence[SalesEntry] | None:
        """Every booked entry of these days on a sales account or with a VAT code of one; None without the right to read them."""
        return await sales_entries(self._client, await self.chart(), first, last)

    async def document(self, kind: StoredKind, number: Number) -> LedgerDocument | None:
        """One document by its number, or None. An order is also looked for among the sent and archived ones."""
        for place in _PLACES[kind]:
            raw = await self._client.read(path(*place, number), tolerate={404})
            if raw is not None:
                return replace(document_record(kind, raw), url=self._web)
        return None

    def create_customer(self, customer: CustomerWrite) -> Write:
        """The exact request for a new customer."""
        return writes.create_customer(customer)

    async def update_customer(self, number: Number, fields: Mapping[str, FieldValue], *, key: str) -> Write | None:
        """Read, merge, and the exact request that replaces; None when nothing differs.

        Raises:
            Refused: the customer is gone. A PUT would make a new one of that number (§4), so none is prepared.
        """
        return writes.update_customer(await self._stored("customers", number), number, fields, key)

    def create_product(self, product: ProductWrite) -> Write:
        """The exact request for a new product."""
        return writes.create_product(product)

    async def update_product(self, number: str, fields: Mapping[str, FieldValue], *, key: str) -> Write | None:
        """As :meth:`update_customer`."""
        return writes.update_product(await self._stored("products", number), number, fields, key)

    def create_document(
        self, document: SalesDocument, customer: Number, products: Mapping[str, str], *, layout: Number | None = None
    ) -> Write:
        """The exact request for a draft. :meth:`chart` must have been read when neither layout is given."""
        return writes.create_document(document, customer, products, layout=layout, chart=self._chart)

    async def update_document(self, stored: LedgerDocument, wanted: Write, *, previous: bytes | None) -> Write | None:
        """Read, merge, and the exact request that replaces the draft; None when nothing differs.

        Raises:
            Refused: it is no draft any more: deleted, booked, or an order that has been sent.
        """
        collection = "orders/drafts" if stored.kind == "draft_order" else "invoices/drafts"
        return update_document(await self._stored(collection, stored.number), wanted, previous, stored.number)

    def book_document(self, draft: Number, *, key: str, send_by: str = "none") -> Write:
        """The exact request that books a draft invoice. Irreversible."""
        return writes.book_document(draft, key, send_by)

    async def send(self, write: Write, idempotency_key: str, *, before: Callable[[], None] = lambda: None) -> Answer:
        """Send once, and compare what the ledger stored with what was written."""
        reply = await self._client.write(write.method, write.path, write.body, idempotency_key, before=before)
        if write.method == "PUT" and reply.status == 201:
            _log.warning("%s %s made a new record: the old one was deleted meanwhile", write.method, write.path)
        try:
            answer = _answer(write, reply)
        except (KeyError, TypeError, AttributeError, ArithmeticError) as error:
            message = f"the answer to {write.method} {write.path} (HTTP {reply.status}) does not show what was written"
            raise OutcomeUnknown(message, code="E-SERVER", status=reply.status, request_id=reply.request_id) from error
        return answer if answer.document is None else replace(answer, document=replace(answer.document, url=self._web))

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.close()

    async def _stored(self, collection: str, number: Number) -> Mapping[str, Any]:
        raw = await self._client.read(path(*collection.split("/"), number), tolerate={404})
        if raw is None:
            raise Refused(f"{collection} {number} is no longer in e-conomic", code="E-GONE", status=404)
        stored: Mapping[str, Any] = raw
        return stored


def _answer(write: Write, reply: Reply) -> Answer:
    document = record = None
    sent = wire.parse(write.body)
    # A booking's body names a draft, which is gone when the answer comes.
    dropped = () if write.operation == "book_document" else tuple(not_kept(sent, reply.data))
    number: Number
    if write.operation in {"create_document", "update_document", "book_document"}:
        kind = _kind(write)
        document = document_record(kind, reply.data)
        number = document.number
    elif write.operation in {"create_customer", "update_customer"}:
        record = customer_record(reply.data)
        number = record.number
    else:
        record = product_record(reply.data)
        number = record.number
    return Answer(number, reply.request_id, document, record, reply.from_cache, dropped)


def _kind(write: Write) -> StoredKind:
    if write.operation == "book_document":
        return "booked_invoice"
    return "draft_order" if write.path.startswith("/orders/") else "draft_invoice"
