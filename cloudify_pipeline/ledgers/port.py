"""What posting and control need of any ledger, whatever its name.

A ledger's room implements :class:`Ledger`. Everything is asynchronous; the room owns its HTTP client, its rate limiter
(one per agreement or company) and the retries of reads. It never retries a write: `posting` decides that.

Raised by every call: ``NotAuthorised`` (401, 403, read-only licence: stop the run) and ``Unreachable`` (a read failed
after its retries). Raised by :meth:`Ledger.send` only: ``Refused``, ``NotSent``, ``OutcomeUnknown``.
"""

import datetime
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, Protocol

from cloudify_pipeline.accounting.chart import Chart, Number
from cloudify_pipeline.accounting.documents import FieldValue, SalesDocument, Totals
from cloudify_pipeline.accounting.parties import Candidates, LedgerRecord, Lookup
from cloudify_pipeline.mapping.fields import FieldCatalogue

Operation = Literal[
    "create_customer",
    "update_customer",
    "create_product",
    "update_product",
    "create_document",
    "update_document",
    "book_document",
]
StoredKind = Literal["draft_invoice", "booked_invoice", "draft_order"]


@dataclass(frozen=True, slots=True)
class LedgerIdentity:
    """Which books these are, and whether they may be written."""

    agreement: str
    company: str
    base_currency: str
    user: str = ""
    can_write: bool = True
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LedgerDocument:
    """A document as it stands in the ledger, with the totals the ledger computed (document currency)."""

    kind: StoredKind
    number: Number
    key: str
    currency: str
    totals: Totals
    customer: Number | None = None
    url: str | None = None
    date: datetime.date | None = None
    draft_number: Number | None = None
    """For a booked invoice: the number its draft had, where the ledger tells."""
    vat_zone: Number | None = None
    exchange_rate: Decimal | None = None
    """Base currency for 100 units."""
    base: Totals | None = None
    """Its totals in the ledger's base currency, where the ledger tells."""
    texts: tuple[str, ...] = field(default=(), compare=False)
    """Where a person may have named what it is for: its reference, heading and text lines, as far as the ledger has any."""


@dataclass(frozen=True, slots=True)
class Keyed:
    """Documents that carry a key, and how far was looked: the next look goes on from `mark`, in the ledger's own words."""

    documents: Sequence[LedgerDocument]
    mark: str


@dataclass(frozen=True, slots=True)
class SalesEntry:
    """One booked entry of a sale: net, in the base currency, positive for a sale. `document`: the invoice it belongs to."""

    account: Number
    vat_code: str | None
    date: datetime.date
    amount: Decimal
    document: Number | None = None
    voucher: Number | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Write:
    """A write that is ready to go: the exact bytes that are logged before, sent, and sent again unchanged if ever."""

    operation: Operation
    key: str
    """What it is about: the durable document key, or ``customer:cus_…`` / ``product:prod_…``."""
    method: str
    path: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """A write that the ledger confirmed. `document` is set for documents, `number` always."""

    number: Number
    request_id: str | None
    document: LedgerDocument | None = None
    record: LedgerRecord | None = None
    from_cache: bool = False
    """The ledger answered from its idempotency cache: an earlier attempt had already written it."""
    dropped: tuple[str, ...] = ()
    """Written fields that the stored record does not show with the value sent (read-back)."""


@dataclass(slots=True)
class Requests:
    """How many calls a run made: reads and writes, and how often it was told to wait."""

    reads: int = 0
    writes: int = 0
    waited: int = 0
    ahead: datetime.timedelta | None = None
    """How far the ledger's clock was ahead of ours at its last answer."""


@dataclass(frozen=True, slots=True)
class CustomerWrite:
    """What a new customer is made of, or which fields of a found one change (`fields` only, for an update)."""

    stripe_id: str
    number: Number | None
    name: str
    currency: str
    group: Number
    payment_terms: Number
    vat_zone: Number
    layout: Number | None
    fields: Mapping[str, FieldValue]


@dataclass(frozen=True, slots=True)
class ProductWrite:
    """What a new product is made of, or which fields of a found one change (`fields` only, for an update)."""

    stripe_id: str
    number: str
    name: str
    group: Number
    unit: Number | None
    fields: Mapping[str, FieldValue]


class Ledger(Protocol):
    """A ledger that posting can make agree with a plan."""

    name: str
    """For people: the ledger's own name."""
    requests: Requests
    idempotency_window: datetime.timedelta
    """How long after an intent its Idempotency-Key is surely still known: the ledger's own time less a margin."""
    daily_calls: int | None
    """How many calls a day count as fair use, or None where nobody says."""
    look_reads: int
    """How many calls :meth:`keyed_documents` makes after a mark, as long as no list is longer than a page."""

    @property
    def known_chart(self) -> Chart | None:
        """The chart, where this client has read it already; never a call."""

    @property
    def customer_fields(self) -> FieldCatalogue:
        """Fields of a customer that can be mapped and matched on."""

    @property
    def product_fields(self) -> FieldCatalogue:
        """Fields of a product that can be mapped and matched on."""

    @property
    def document_fields(self) -> FieldCatalogue:
        """Header fields of a document; those of a line are below ``lines.``."""

    async def identify(self) -> LedgerIdentity:
        """Who these tokens speak for; one read."""

    async def chart(self) -> Chart:
        """The chart as it is now."""

    async def customers(self, lookups: Sequence[Lookup]) -> Candidates:
        """Candidates for each look-up, by lists of 1,000 or by filter, whichever needs fewer calls. Callers re-check equality."""

    async def products(self, lookups: Sequence[Lookup]) -> Candidates:
        """As :meth:`customers`, for products."""

    async def documents(self, keys: Sequence[str]) -> Mapping[str, tuple[LedgerDocument, ...]]:
        """Every document that carries one of the durable `keys`, in drafts, booked invoices and orders."""

    def lookup_calls(self, kind: Literal["customer", "product"], lookups: Sequence[Lookup], stored: int) -> int:
        """How many reads :meth:`customers` or :meth:`products` make for `lookups` where about `stored` records stand; no call."""

    def made_by(self, write: Write, record: LedgerRecord) -> bool:
        """Whether `record` is what `write`, the create of a customer or product, made or would make; compared as read-back does.

        It must show every field that was sent with the value sent; defaults that the settings give may have been changed by
        people since. Where nothing was sent but a name and defaults, these must agree too, and the record may say nothing
        more about who it is.
        """

    async def mentioning(self, texts: Sequence[str]) -> Sequence[LedgerDocument]:
        """Every document in whose reference, heading or text lines one of `texts` stands, whatever its day and whoever made it.

        A few too many may come: servers compare loosely, and callers look again. Orders that became invoices are left out.
        """

    def mention_calls(self, texts: Sequence[str], stored: Mapping[StoredKind, int]) -> int:
        """How many reads :meth:`mentioning` makes for `texts` where about `stored` documents of each kind stand; no call."""

    async def documents_of(self, customers: Sequence[Number]) -> Sequence[LedgerDocument]:
        """Every document of these customers, whoever made it. Orders that became invoices are left out."""

    async def document(self, kind: StoredKind, number: Number) -> LedgerDocument | None:
        """One document by its number, or None when it is gone."""

    def create_customer(self, customer: CustomerWrite) -> Write:
        """The exact request for a new customer."""

    async def update_customer(self, number: Number, fields: Mapping[str, FieldValue], *, key: str) -> Write | None:
        """Read, merge, and the exact request that replaces; None when nothing differs. Keeps all that is not in `fields`.

        Raises:
            Refused: the record is gone; a replacement must not make a new one of its number.
        """

    def create_product(self, product: ProductWrite) -> Write:
        """The exact request for a new product."""

    async def update_product(self, number: str, fields: Mapping[str, FieldValue], *, key: str) -> Write | None:
        """As :meth:`update_customer`."""

    def create_document(
        self, document: SalesDocument, customer: Number, products: Mapping[str, str], *, layout: Number | None = None
    ) -> Write:
        """The exact request for a draft invoice or draft order. `products` maps Stripe product ids to ledger numbers."""

    async def update_document(self, stored: LedgerDocument, wanted: Write, *, previous: bytes | None) -> Write | None:
        """Read, merge, and the exact request that replaces a draft under its own number; None when it already agrees.

        `wanted` is what :meth:`create_document` would send, `previous` what was written last (None: nobody knows). What
        people changed in the ledger and the plan did not is kept.

        Raises:
            Refused: the draft is gone; a replacement must not make a new one of its number.
        """

    async def keyed_documents(self, prefix: str, *, after: str | None = None) -> Keyed:
        """Every document whose reference begins with `prefix`, by lists of 1,000: how a lost log is rebuilt.

        `after` is the mark of an earlier look: all drafts and open orders, and what was booked or archived since. A document
        has a number, not a date, to be found by: its date may be any day's.
        """

    async def unbooked_documents(self, prefix: str, kinds: Collection[StoredKind]) -> Sequence[LedgerDocument]:
        """The drafts and open orders of these `kinds` whose reference begins with `prefix`, by lists of 1,000."""

    async def documents_dated(
        self, first: datetime.date, last: datetime.date, kinds: Sequence[StoredKind]
    ) -> Sequence[LedgerDocument]:
        """Every document of these `kinds` and days, both included, by lists of 1,000; whoever made it."""

    async def sales_entries(self, first: datetime.date, last: datetime.date) -> Sequence[SalesEntry] | None:
        """Every booked entry of these days, both included, on a sales account or with a VAT code of one; whoever made it.

        None where this app may not read the accounts.
        """

    def book_document(self, draft: Number, *, key: str, send_by: str = "none") -> Write:
        """The exact request that books a draft invoice. Irreversible."""

    async def send(self, write: Write, idempotency_key: str, *, before: Callable[[], None] = lambda: None) -> Answer:
        """Send once; `before` is called right before the request leaves, after every wait, and stops it by raising.

        See the module for what it raises.
        """

    async def close(self) -> None:
        """Let go of connections."""
