"""Corrections that Stripe makes no credit note for: a voided or written-off invoice, a refund, a lost dispute.

All of a document is every line of it, negative. A part of it has the one VAT rate that the document has; where it has several,
nobody can tell which was given back, and it is held.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from cloudify_pipeline.accounting.money import format_money, from_minor
from cloudify_pipeline.errors import Problem
from cloudify_pipeline.planning.correction_words import Why, naming
from cloudify_pipeline.planning.corrections import Correction, dated, named_original, negative, negative_shipping, with_all_of
from cloudify_pipeline.planning.records import ChargeRecord, InvoiceRecord, Raw, Record, id_of
from cloudify_pipeline.planning.stripe_amounts import credits_of, stripe_rate, sum_of


@dataclass(frozen=True, slots=True)
class Part:
    """How much of a document is taken back, and what was before it; minor units. `vat_before`: of that, where it is known."""

    minor: int
    before: int = 0
    vat_before: int | None = None


def reversal(stripe_id: str, original: Record, part: Part, at: datetime, why: Why) -> Correction | Problem:
    """`part` of `original`, taken back on the day of `at` for the reason `why`."""
    record: Record | Problem
    if isinstance(original, ChargeRecord):
        record = _payment(stripe_id, original, part, at)
    elif part.minor == original.total_minor:
        record = _whole(stripe_id, original, at)
    else:
        record = _piece(stripe_id, original, part, at)
    if isinstance(record, Problem):
        return record
    return Correction(stripe_id, original.stripe_id, part.minor, at, record, naming(why, stripe_id, original))


def returned(
    stripe_id: str, refund: Correction, original: Record, at: datetime, why: Literal["returned", "won"] = "returned"
) -> Correction:
    """A refund's or dispute's correction taken back itself, on the day of `at`: the money came back, so the sale stands."""
    record = refund.record
    taken: Record
    if isinstance(record, ChargeRecord):
        minor, second = -record.total_minor, int(at.timestamp())
        charge = {**record.charge, "id": stripe_id, "amount": minor, "amount_captured": minor, "created": second}
        sale = None if record.sale is None else _whole(stripe_id, record.sale, at)
        taken = ChargeRecord(charge, record.customer, sale=sale)
    else:
        taken = _whole(stripe_id, record, at)
    words = naming(why, refund.stripe_id, original)
    return Correction(stripe_id, refund.original_id, -refund.minor, at, taken, words)


def _payment(stripe_id: str, original: ChargeRecord, part: Part, at: datetime) -> ChargeRecord | Problem:
    """A payment as less than nothing; where a Checkout session says what it sold, that is taken back."""
    minor, sale = part.minor, original.sale
    taken = {**original.charge, "id": stripe_id, "amount": -minor, "amount_captured": -minor, "created": int(at.timestamp())}
    if sale is None:
        return ChargeRecord(taken, original.customer)
    back = _whole(stripe_id, sale, at) if minor == sale.total_minor else _piece(stripe_id, sale, part, at)
    return back if isinstance(back, Problem) else ChargeRecord(taken, original.customer, sale=back)


def _whole(stripe_id: str, original: InvoiceRecord, at: datetime) -> InvoiceRecord:
    lines = [
        {
            **line,
            "amount": -int(line.get("amount") or 0),
            "discount_amounts": [],
            "discounts": [],
            "pretax_credit_amounts": [],
            "taxes": negative(line.get("taxes")),
        }
        for line in original.lines
    ]
    for line, source, credit in zip(lines, original.lines, credits_of(original), strict=True):
        line["amount"] += sum_of(source.get("discount_amounts")) + credit
    return with_all_of(original, {
        **dated(original.invoice, at),
        "id": stripe_id,
        "total": -original.total_minor,
        "lines": {"data": lines},
        "total_taxes": negative(original.invoice.get("total_taxes")),
        "shipping_cost": negative_shipping(original.invoice.get("shipping_cost")),
    })  # fmt: skip


def _piece(stripe_id: str, original: InvoiceRecord, part: Part, at: datetime) -> InvoiceRecord | Problem:
    found = _one_rate(original)
    if found is None:
        amount = format_money(from_minor(part.minor, original.currency), original.currency)
        message = f"{amount} of {named_original(original)} is taken back, which bears several VAT rates: which one, nobody tells"
        return Problem("E-CREDITED", message, found=amount)
    tax, rate = found
    inside = bool(tax) and (tax or {}).get("tax_behavior") == "inclusive"
    last = part.vat_before is not None and part.before + part.minor == original.total_minor
    vat = _vat(original) - (part.vat_before or 0) if last else _inside(part.minor, rate)
    taxes = negative([{**tax, "amount": vat, "taxable_amount": part.minor - vat}]) if tax else []
    products = {id_of((_priced(line)).get("product")) for line in original.lines if line.get("amount")}
    sold = next((line for line in original.lines if line.get("amount")), {}) if len(products) == 1 else {}
    line = {
        "id": f"{stripe_id}:part",
        "object": "line_item",
        "amount": -part.minor if inside or not vat else vat - part.minor,
        "description": sold.get("description") or f"Part of {named_original(original)}",
        "discount_amounts": [],
        "discounts": [],
        "metadata": sold.get("metadata") or {},
        "period": sold.get("period"),
        "pricing": {**sold["pricing"], "unit_amount_decimal": None} if sold.get("pricing") else None,
        "quantity": 1,
        "taxes": taxes,
    }
    invoice: dict[str, Any] = {
        **dated(original.invoice, at),
        "id": stripe_id,
        "total": -part.minor,
        "lines": {"data": [line]},
        "total_taxes": taxes,
    }
    return with_all_of(original, invoice)


def _one_rate(original: InvoiceRecord) -> tuple[Mapping[str, Any] | None, Decimal] | None:
    """The one tax of every line, shipping included, and its percentage; None where there are several, or one is not known."""
    shipping = original.invoice.get("shipping_cost") or {}
    sold: list[Raw] = [line for line in original.lines if line.get("amount")]
    if shipping.get("amount_total"):
        sold.append(shipping)
    seen: dict[tuple[Decimal, bool], Mapping[str, Any] | None] = {}
    for one in sold:
        taxes = list(one.get("taxes") or ())
        if len(taxes) > 1 or (not taxes and one.get("amount_tax")):
            return None
        rate = stripe_rate(taxes, original.tax_rates, original.currency)
        if rate is None:
            return None
        seen.setdefault((rate, bool(taxes) and taxes[0].get("tax_behavior") == "inclusive"), taxes[0] if taxes else None)
    if len(seen) != 1:
        return None
    (((rate, _), tax),) = seen.items()
    return tax, rate


def _priced(line: Raw) -> Raw:
    return (line.get("pricing") or {}).get("price_details") or {}


def _vat(original: InvoiceRecord) -> int:
    shipping = int((original.invoice.get("shipping_cost") or {}).get("amount_tax") or 0)
    return sum(sum_of(line.get("taxes")) for line in original.lines) + shipping


def _inside(minor: int, rate: Decimal) -> int:
    return int((minor * rate / (100 + rate)).to_integral_value("ROUND_HALF_UP"))
