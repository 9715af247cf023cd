"""The sales document that should stand in the ledger, in no ledger's own shape.

Amounts are in the document's currency, as exact decimals; a unit price is net of VAT. Fields that only a ledger knows
(delivery terms, notes, references, …) travel in `fields`, keyed by the ledger's field path from its catalogue.
"""

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from cloudify_pipeline.accounting.chart import Number

CORRECTED = r":(?:void|uncollectible|returned|invoiced)(?![0-9A-Za-z])"
"""What the key of a correction ends with that Stripe has no object of its own for."""
_CORRECTED = re.compile(CORRECTED)

EXCHANGE_RATE = "exchangeRate"
"""The header field with the base currency for 100 units of the document's currency; without it the ledger takes its own."""

DocumentKind = Literal["draft_invoice", "booked_invoice", "draft_order"]
FieldValue = str | int | bool | Decimal | datetime.date
"""What may stand in a ledger field. Never float."""


@dataclass(frozen=True, slots=True)
class ProductRef:
    """Which product a line sells: a ledger number, or a Stripe product that a run resolves to one."""

    number: str | None = None
    stripe_id: str | None = None


@dataclass(frozen=True, slots=True)
class SalesLine:
    """One line. `net` is quantity × unit price less discount, as the ledger will compute it, rounded to two decimals.

    A line without a product is text only (quantity, price and net are zero).
    """

    description: str
    product: ProductRef | None = None
    quantity: Decimal = Decimal(0)
    unit_price: Decimal = Decimal(0)
    discount_percentage: Decimal = Decimal(0)
    net: Decimal = Decimal(0)
    vat_rate: Decimal = Decimal(0)
    stripe_line_id: str | None = None
    fields: Mapping[str, FieldValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Totals:
    """Net, VAT and gross of a document in its currency; gross is net + VAT."""

    net: Decimal
    vat: Decimal
    gross: Decimal


@dataclass(frozen=True, slots=True)
class CustomerRef:
    """Who is invoiced: a ledger number, or a Stripe customer that a run resolves to one."""

    number: Number | None = None
    stripe_id: str | None = None


@dataclass(frozen=True, slots=True)
class SalesDocument:
    """A draft invoice, booked invoice or draft order for one Stripe invoice or charge.

    `key` is the durable key that stands in the ledger document (``stripe:in_…``); `stripe_total` is Stripe's own total,
    which the ledger's gross must equal; `predicted` is what the chart says the ledger will compute.
    """

    key: str
    kind: DocumentKind
    stripe_id: str
    stripe_number: str | None
    currency: str
    date: datetime.date
    due_date: datetime.date | None
    customer: CustomerRef
    payment_terms: Number
    vat_zone: Number
    layout: Number | None
    lines: tuple[SalesLine, ...]
    stripe_total: Decimal
    predicted: Totals
    send_by: str = "none"
    fields: Mapping[str, FieldValue] = field(default_factory=dict)
    """Ledger field path → value, for every mapped header field (recipient.name, delivery.city, notes.heading, …)."""
    original_date: datetime.date | None = None
    """The date that it would have if the period were open; None when `date` is that one."""


def carries(reference: str, key: str) -> bool:
    """Whether a document with `reference` is the one of `key`: an account or a revision may follow the key.

    ``stripe:in_12`` is not ``stripe:in_1``, and ``stripe:in_1:void`` takes ``stripe:in_1`` back and is not it.
    """
    rest = reference.strip().removeprefix(key)
    if not reference.strip().startswith(key) or (rest and rest[0].isalnum()):
        return False
    return _CORRECTED.match(rest) is None
