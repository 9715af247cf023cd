"""What takes a posted document back, as a negative invoice or payment: credit notes with their own lines and taxes.

A correction goes through the same lines, rounding chain and totals as an invoice does, with every amount negative. The zone
and the customer are the original document's, whatever settings or Stripe would say by now (reference/product.md §4.3, 13).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from cloudify_pipeline.accounting.chart import Number
from cloudify_pipeline.accounting.documents import CustomerRef, SalesLine, Totals
from cloudify_pipeline.accounting.money import format_money, from_minor
from cloudify_pipeline.errors import Problem
from cloudify_pipeline.planning.correction_words import Naming, naming
from cloudify_pipeline.planning.records import InvoiceRecord, Raw, Record, book_date, id_of, instant
from cloudify_pipeline.planning.stripe_amounts import pretax_credits, sum_of


@dataclass(frozen=True, slots=True)
class Original:
    """The document that is corrected, as it stands in the ledger or is about to: its VAT zone and its customer."""

    stripe_id: str
    words: str
    """``booked invoice 20188``, or that it is posted in this run."""
    zone: Number
    customer: CustomerRef
    booked: Number | None = None
    """Its number once it is booked."""
    rate: Decimal | None = None
    """Base currency for 100 units, where it is known."""
    totals: Totals | None = None
    """What it comes to in the ledger, once it stands there."""


@dataclass(frozen=True, slots=True)
class Correction:
    """One correction of one document: `minor` is what it takes off (minor units), `record` a negative sale of it.

    One that reverses another has a negative `minor`, and a positive sale.
    """

    stripe_id: str
    original_id: str
    minor: int
    at: datetime
    record: Record
    naming: Naming
    """How its line of text names what it corrects."""
    happened: datetime | None = None
    """When Stripe made it, where `at` may lie later: a credit note may be dated ahead."""

    def text(self, original: Original) -> SalesLine:
        """:attr:`naming` as a line of text, which no mapping fills and no length cuts."""
        return SalesLine(self.naming.of(original.booked))


def credit_note(note: Raw, original: InvoiceRecord) -> Correction:
    """What Stripe's credit note `note` takes off `original`."""
    at = instant(note.get("effective_at")) or instant(note.get("created")) or original.instant("created")
    minor = note_total(note)
    billed = {str(line.get("id")): line for line in original.lines}
    credited = (note.get("lines") or {}).get("data") or ()
    lowered = _lowered_by_credits(note, credited)
    lines = [_line(line, billed.get(str(line.get("invoice_line_item"))), lowered=lowered) for line in credited]
    invoice = {
        **dated(original.invoice, _known(at)),
        "id": note["id"],
        "number": note.get("number"),
        "total": -minor,
        "lines": {"data": lines},
        "total_taxes": negative(note.get("total_taxes")),
        "shipping_cost": negative_shipping(note.get("shipping_cost")),
    }
    record = with_all_of(original, invoice)
    words = naming("credit_note", str(note.get("number") or note["id"]), original)
    return Correction(str(note["id"]), original.stripe_id, minor, _known(at), record, words, instant(note.get("created")))


def note_total(note: Raw) -> int:
    """What a credit note takes off, tax included; minor units."""
    total = note.get("total")
    return int((note.get("amount") if total is None else total) or 0)


def credited_minor(original: InvoiceRecord) -> int:
    """By how much Stripe says that credit notes lower an invoice; minor units."""
    names = ("pre_payment_credit_notes_amount", "post_payment_credit_notes_amount")
    return sum(int(original.invoice.get(name) or 0) for name in names)


def note_tax(note: Raw) -> int:
    """The VAT of a credit note; minor units."""
    lines = (note.get("lines") or {}).get("data") or ()
    on_lines = sum(sum_of(line.get("taxes")) for line in lines)
    return (sum_of(note.get("total_taxes")) or on_lines) + int((note.get("shipping_cost") or {}).get("amount_tax") or 0)


def refunded_already(them: Iterable[str]) -> Problem:
    """Why a credit note is not posted: the refunds or disputes that it is for stand in the ledger by themselves, as `them`."""
    found = ", ".join(them)
    return Problem("E-CREDITED", f"what it is for stands in the ledger by itself: {found}", found=found)


def over_credited(before: int, correction: Correction, original: Record) -> Problem | None:
    """A problem when `correction`, after what was taken off `before` it (minor units), takes off more than there is."""
    taken = before + correction.minor
    if correction.minor < 0 or taken <= original.total_minor:
        return None
    currency = original.currency
    all_, whole = (format_money(from_minor(minor, currency), currency) for minor in (taken, original.total_minor))
    message = f"with it {all_} would be taken off {original.number or original.stripe_id}, which is over {whole}"
    return Problem("E-REF-OVER", message, field="total", found=all_)


def named_original(original: Record) -> str:
    """``invoice NORD-0001 of 2026-11-01 (stripe:in_…)``: whoever reads the document finds the one it takes back."""
    invoiced = isinstance(original, InvoiceRecord)
    number = f" {original.number}" if original.number else ""
    day = original.instant("effective_at") or original.instant("finalized_at")
    on = f" of {book_date(day).isoformat()}" if day is not None else ""
    return f"{'invoice' if invoiced else 'payment'}{number}{on} (stripe:{original.stripe_id})"


def _known(at: datetime | None) -> datetime:
    if at is None:
        raise ValueError("a correction needs a date")
    return at


def dated(invoice: Raw, at: datetime) -> dict[str, Any]:
    """The invoice with every one of its instants at the correction's, and none of its discounts and shipping."""
    second = int(at.timestamp())
    return {
        **invoice,
        "created": second,
        "effective_at": second,
        "due_date": second,
        "status": "paid",
        "status_transitions": {"finalized_at": second, "paid_at": second},
        "discounts": [],
        "total_discount_amounts": [],
        "shipping_cost": None,
    }


def with_all_of(original: InvoiceRecord, invoice: Raw) -> InvoiceRecord:
    """`invoice` with everything that is joined to `original`."""
    return InvoiceRecord(
        invoice, original.customer, original.products, original.prices, original.tax_rates, None, original.payments
    )


def _lowered_by_credits(note: Raw, lines: Sequence[Raw]) -> bool:
    """Whether the billing credits of its lines lower the note's total: its amounts then add up with them and not without."""
    left = sum(int(line.get("amount") or 0) - int(line.get("discount_amount") or 0) for line in lines)
    on_top = sum(sum_of([tax for tax in line.get("taxes") or () if tax.get("tax_behavior") != "inclusive"]) for line in lines)
    whole = left + on_top + int((note.get("shipping_cost") or {}).get("amount_total") or 0)
    return note_total(note) != whole and note_total(note) == whole - sum(map(pretax_credits, lines))


def _line(line: Raw, billed: Raw | None, *, lowered: bool) -> dict[str, Any]:
    """A line of a credit note as a negative line of an invoice, sold as the line that it credits; its discount is taken off."""
    amount = int(line.get("amount") or 0) - int(line.get("discount_amount") or 0) - (pretax_credits(line) if lowered else 0)
    unit = line.get("unit_amount_decimal")
    pricing = dict((billed or {}).get("pricing") or {})
    if pricing and unit is not None:
        pricing["unit_amount_decimal"] = unit
    whole = billed is not None and int(billed.get("amount") or 0) == int(line.get("amount") or 0)
    quantity = billed if whole and billed is not None else line
    return {
        "id": line.get("id"),
        "object": "line_item",
        "amount": -amount,
        "description": line.get("description") or (billed or {}).get("description"),
        "discount_amounts": [],
        "discounts": [],
        "metadata": (billed or {}).get("metadata") or {},
        "period": (billed or {}).get("period"),
        "pricing": pricing or None,
        "quantity": quantity.get("quantity"),
        "quantity_decimal": quantity.get("quantity_decimal"),
        "taxes": negative(line.get("taxes")),
    }


def negative(taxes: Sequence[Raw] | None) -> list[dict[str, Any]]:
    """Taxes as they are taken back."""
    return [
        {**tax, "amount": -int(tax.get("amount") or 0), "taxable_amount": -int(tax.get("taxable_amount") or 0)}
        for tax in taxes or ()
    ]


def negative_shipping(cost: Raw | None) -> Mapping[str, Any] | None:
    """Shipping as it is taken back."""
    if not cost:
        return None
    names = ("amount_subtotal", "amount_tax", "amount_total")
    taxes = [
        {**tax, "tax_rate_details": tax.get("tax_rate_details") or {"tax_rate": id_of(tax.get("rate"))}}
        for tax in cost.get("taxes") or ()
    ]
    return {**cost, **{name: -int(cost.get(name) or 0) for name in names}, "taxes": negative(taxes)}
