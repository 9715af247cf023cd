"""A Stripe invoice or charge with everything that planning joins to it, and the few facts that both have."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from cloudify_pipeline.accounting.money import from_minor
from cloudify_pipeline.accounting.vat_evidence import NOTHING, Known
from cloudify_pipeline.errors import Problem

Raw = Mapping[str, Any]
"""An object as Stripe sent it, numbers with a fraction as Decimal."""

BOOKS = ZoneInfo("Europe/Copenhagen")
"""The zone in which a document gets its date."""


@dataclass(frozen=True, slots=True)
class InvoiceRecord:
    """An invoice with all its lines, and the customer, products, prices and tax rates it names, by id."""

    invoice: Raw
    customer: Raw | None = None
    products: Mapping[str, Raw] = field(default_factory=dict)
    prices: Mapping[str, Raw] = field(default_factory=dict)
    tax_rates: Mapping[str, Raw] = field(default_factory=dict)
    sent_at: datetime | None = None
    payments: tuple[str, ...] = ()
    """The payment intents and charges that pay it; Stripe keeps them apart."""
    vat_numbers: Known = NOTHING
    """What is known of its buyer's VAT numbers."""
    charges: tuple[Raw, ...] = ()
    """Those charges themselves, where their rates of exchange are asked for."""

    @property
    def stripe_id(self) -> str:
        """The invoice's id."""
        return str(self.invoice["id"])

    @property
    def number(self) -> str | None:
        """Stripe's invoice number; drafts have none."""
        return self.invoice.get("number") or None

    @property
    def currency(self) -> str:
        """ISO code in capitals."""
        return str(self.invoice.get("currency") or "").upper()

    @property
    def total_minor(self) -> int:
        """What the buyer owes for it, VAT included, before any credit balance; minor units."""
        return int(self.invoice.get("total") or 0)

    @property
    def total(self) -> Decimal:
        """:attr:`total_minor` in major units."""
        return from_minor(self.total_minor, self.currency)

    @property
    def metadata(self) -> Raw:
        """What the seller wrote on it."""
        return self.invoice.get("metadata") or {}

    @property
    def lines(self) -> tuple[Raw, ...]:
        """The lines in Stripe's order."""
        return tuple((self.invoice.get("lines") or {}).get("data") or ())

    def instant(self, name: str) -> datetime | None:
        """An instant of the invoice: created, effective_at, finalized_at or paid_at."""
        transitions = self.invoice.get("status_transitions") or {}
        return instant(transitions.get(name) if name in {"finalized_at", "paid_at"} else self.invoice.get(name))


@dataclass(frozen=True, slots=True)
class ChargeRecord:
    """A payment; `invoice_id` is set when it pays an invoice, which is then posted itself."""

    charge: Raw
    customer: Raw | None = None
    invoice_id: str | None = None
    vat_numbers: Known = NOTHING
    """What is known of its buyer's VAT numbers."""
    sale: InvoiceRecord | None = None
    """What its Checkout session sold, as an invoice with this payment's id; None where no session took it."""
    unsold: Problem | None = None
    """Why its Checkout session does not tell what was sold."""

    @property
    def stripe_id(self) -> str:
        """The charge's id."""
        return str(self.charge["id"])

    @property
    def number(self) -> str | None:
        """The receipt's number."""
        return self.charge.get("receipt_number") or None

    @property
    def currency(self) -> str:
        """ISO code in capitals."""
        return str(self.charge.get("currency") or "").upper()

    @property
    def total_minor(self) -> int:
        """What was taken; a charge that is captured in part takes less than its amount. Minor units."""
        return int(self.charge.get("amount_captured") or self.charge.get("amount") or 0)

    @property
    def total(self) -> Decimal:
        """:attr:`total_minor` in major units."""
        return from_minor(self.total_minor, self.currency)

    @property
    def metadata(self) -> Raw:
        """What the seller wrote on it."""
        return self.charge.get("metadata") or {}

    def instant(self, name: str) -> datetime | None:
        """A charge has one instant: it is created, paid and final at once. `name` is an invoice's word for it."""
        del name
        return instant(self.charge.get("created"))

    def as_invoice(self) -> dict[str, Any]:
        """The charge with the names an invoice has for the buyer, so that one set of mappings serves both."""
        billing = self.charge.get("billing_details") or {}
        return {
            "number": self.number,
            "customer_name": billing.get("name"),
            "customer_email": billing.get("email") or self.charge.get("receipt_email"),
            "customer_phone": billing.get("phone"),
            "customer_address": billing.get("address"),
            "customer_shipping": self.charge.get("shipping") or None,
            **(_buyer(self.sale.invoice) if self.sale is not None else {}),
            **self.charge,
            "balance_transaction": id_of(self.charge.get("balance_transaction")),
        }


Record = InvoiceRecord | ChargeRecord


def sold(record: Record) -> Record:
    """The record whose lines, taxes and buyer count: what a Checkout session sold where it took the payment `record`."""
    if isinstance(record, ChargeRecord) and record.sale is not None:
        return replace(record.sale, vat_numbers=record.vat_numbers)
    return record


def _buyer(sale: Raw) -> dict[str, Any]:
    return {name: value for name, value in sale.items() if name.startswith("customer_")}


def instant(epoch: Any) -> datetime | None:
    """Stripe's epoch seconds as an aware instant."""
    return None if epoch is None else datetime.fromtimestamp(int(epoch), UTC)


def book_date(moment: datetime) -> date:
    """The day that `moment` is in the books: 31 December 23:30 UTC is 1 January in Copenhagen."""
    return moment.astimezone(BOOKS).date()


def id_of(value: Any) -> str | None:
    """The id of something that Stripe sent as an id or expanded."""
    if isinstance(value, Mapping):
        value = value.get("id")
    return str(value) if value else None


def search_terms(record: Record) -> tuple[str, ...]:
    """What people look a document up by besides its own id and number: its customer, e-mails, payment intent and charge."""
    raw = record.invoice if isinstance(record, InvoiceRecord) else record.as_invoice()
    paid = [payment.get("payment") or {} for payment in (raw.get("payments") or {}).get("data") or ()]
    found = (
        id_of(raw.get("customer")),
        raw.get("customer_email"),
        (record.customer or {}).get("email"),
        raw.get("receipt_email"),
        *(id_of(one.get(name)) for one in (raw, *paid) for name in ("payment_intent", "charge")),
        *(record.payments if isinstance(record, InvoiceRecord) else ()),
    )
    return tuple(dict.fromkeys(str(one) for one in found if one))


def billing_country(record: Record) -> str | None:
    """The buyer's country: of the frozen billing address, else of the frozen shipping address."""
    return _country(billing_address(record)) or _country(shipping_address(record))


def billing_address(record: Record) -> Raw:
    """The buyer's address as it stood when the invoice was finalized."""
    record = sold(record)
    if isinstance(record, InvoiceRecord):
        return record.invoice.get("customer_address") or {}
    return (record.charge.get("billing_details") or {}).get("address") or {}


def shipping_address(record: Record) -> Raw:
    """Where goods go; an invoice's shipping_details override the customer's shipping."""
    record = sold(record)
    if isinstance(record, InvoiceRecord):
        details = record.invoice.get("shipping_details") or record.invoice.get("customer_shipping") or {}
    else:
        details = record.charge.get("shipping") or {}
    return details.get("address") or {}


def _country(address: Raw) -> str | None:
    return str(address["country"]).upper() if address.get("country") else None
