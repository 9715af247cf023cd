"""What Stripe itself says an invoice comes to: the net of each line, its VAT and rate, and the totals it states.

Nothing that Stripe has computed is computed again: the net of a line is its amount less the discounts and billing credits
allocated to it, less the tax inside it. Where Stripe rounds tax once for the whole invoice, its totals are what counts, and
the tax inside the lines is brought to them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from cloudify_pipeline.accounting.documents import Totals
from cloudify_pipeline.accounting.money import from_minor, smallest
from cloudify_pipeline.errors import Problem
from cloudify_pipeline.planning.records import InvoiceRecord, Raw, id_of

NO_VAT: Mapping[Decimal, Decimal] = {}
_NOT_TAXED = frozenset(
    {"reverse_charge", "customer_exempt", "product_exempt", "zero_rated", "not_collecting", "excluded_territory"}
)


@dataclass(frozen=True, slots=True)
class LineNet:
    """One line in minor units. `amount` is net of discounts and of VAT; `tax` its VAT, on top or inside; `rate` in percent."""

    amount: int
    discount: int
    """What discounts take off, the invoice's among them, and billing credits; with tax, where the price has it inside."""
    invoice_discount: int
    """What the invoice's own discounts take off, net of VAT."""
    tax: int
    rate: Decimal | None
    inclusive: bool


@dataclass(frozen=True, slots=True)
class Stated:
    """Stripe's totals, and its VAT per rate where it is rounded once for the whole invoice (else each line has its own)."""

    totals: Totals
    once: Mapping[Decimal, Decimal] | None = None


def line_nets(record: InvoiceRecord) -> list[LineNet]:
    """Every line of `record`, in Stripe's order."""
    moved, credits_ = _moved(record), credits_of(record)
    return [_net(line, record, moved.get(index, 0), credits_[index]) for index, line in enumerate(record.lines)]


def credits_of(record: InvoiceRecord) -> list[int]:
    """The billing credits (credit grants) that lower each line before tax, in minor units; zeros where the total is without.

    Stripe's own total says whether they lower the sale: its amounts add up with them or without.
    """
    credits_ = [pretax_credits(line) for line in record.lines]
    if not any(credits_):
        return credits_
    invoice, lines = record.invoice, record.lines
    shipping = invoice.get("shipping_cost") or {}
    amounts = sum(int(line.get("amount") or 0) for line in lines)
    given = {sum_of(invoice.get("total_discount_amounts")), sum(sum_of(line.get("discount_amounts")) for line in lines)}
    taxes = {_on_top(invoice.get("total_taxes")), sum(_on_top(line.get("taxes")) for line in lines)}
    carriage = {int(shipping.get("amount_total") or 0), int(shipping.get("amount_subtotal") or 0)}
    whole = {amounts - less + tax + carried for less in given for tax in taxes for carried in carriage}
    lowers = record.total_minor + sum(credits_) in whole and record.total_minor not in whole
    return credits_ if lowers else [0] * len(credits_)


def pretax_credits(line: Raw) -> int:
    """What billing credits take off a line of an invoice or credit note; Stripe lists discounts among them too."""
    listed = line.get("pretax_credit_amounts") or ()
    return sum_of([one for one in listed if one.get("type") == "credit_balance_transaction"])


def stripe_totals(record: InvoiceRecord) -> Stated | Problem:
    """Stripe's own net, VAT and gross; a problem when its amounts do not add up.

    Lines − discounts + tax on top + shipping must be the total. Where tax is rounded once for the whole invoice, Stripe's
    totals of tax and discount are the ones that add up.
    """
    invoice, currency, total = record.invoice, record.currency, record.total_minor
    untold = sum_of(invoice.get("total_tax_amounts"))
    if untold and not invoice.get("total_taxes"):
        tax = from_minor(untold, currency)
        message = f"{tax} {currency} of tax is stated as before API version 2025-03-31, and no line says which"
        return Problem("E-STRIPE-SUM", message, field="total_taxes", found=str(tax))
    shipping = invoice.get("shipping_cost") or {}
    carriage, carriage_tax = int(shipping.get("amount_total") or 0), int(shipping.get("amount_tax") or 0)
    amounts = sum(int(line.get("amount") or 0) for line in record.lines) - sum(credits_of(record))
    given = sum(sum_of(line.get("discount_amounts")) for line in record.lines)
    on_lines = sum(_on_top(line.get("taxes")) for line in record.lines)
    if not rounded_once(record) and amounts - given + on_lines + carriage == total:
        vat = sum(sum_of(line.get("taxes")) for line in record.lines) + carriage_tax
        return Stated(_totals(total, vat, currency))
    given_in_all, taxes = sum_of(invoice.get("total_discount_amounts")) or given, invoice.get("total_taxes")
    # Shipping's tax may stand among the invoice's taxes or beside them.
    for beside in (carriage_tax, 0) if carriage_tax else (0,):
        if amounts - given_in_all + _on_top(taxes) + carriage - (carriage_tax - beside) == total:
            known = _by_rate(record, taxes, beside, shipping)
            return Stated(_totals(total, sum_of(taxes) + beside, currency), known)
    parts = [from_minor(part, currency) for part in (amounts, given, on_lines, carriage)]
    message = (
        f"lines {parts[0]} − discounts {parts[1]} + tax {parts[2]} + shipping {parts[3]} = "
        f"{parts[0] - parts[1] + parts[2] + parts[3]}, but Stripe's total is {record.total} {currency}"
    )
    return Problem("E-STRIPE-SUM", message, field="total", found=str(record.total))


def rounded_once(record: InvoiceRecord) -> bool:
    """Whether Stripe's taxes of the invoice are not the sum of those of its lines: they are then rounded on the whole."""
    stated = record.invoice.get("total_taxes")
    if not stated:
        return False
    lines = sum(sum_of(line.get("taxes")) for line in record.lines)
    carriage = int((record.invoice.get("shipping_cost") or {}).get("amount_tax") or 0)
    return sum_of(stated) not in {lines, lines + carriage}


def stripe_rate(taxes: Any, tax_rates: Mapping[str, Raw], currency: str) -> Decimal | None:
    """Stripe's VAT rate of a line in percent; zero where it taxed nothing; None where the rate is not known."""
    percent = Decimal(0)
    for tax in taxes or ():
        one = _percentage(tax, tax_rates)
        amount, taxable = int(tax.get("amount") or 0), int(tax.get("taxable_amount") or 0)
        if one is None:
            if amount:
                return None
            continue
        # A rate that gave no tax was not applied (reverse charge, exempt buyer), unless it is under half the smallest amount.
        base = 100 + one if tax.get("tax_behavior") == "inclusive" else Decimal(100)
        tiny = abs(taxable) * one * 2 < base * smallest(currency)
        if amount or (tiny and tax.get("taxability_reason") not in _NOT_TAXED):
            percent += one
    return percent


def sum_of(listed: Any) -> int:
    """The amounts of a list of discounts or taxes, added; minor units."""
    return sum(int(one.get("amount") or 0) for one in listed or ())


def _net(line: Raw, record: InvoiceRecord, moved: int, credit: int) -> LineNet:
    own = {id_of(discount) for discount in line.get("discounts") or ()}
    allocated = line.get("discount_amounts") or ()
    shared = sum_of([given for given in allocated if id_of(given.get("discount")) not in own])
    inside = [tax for tax in line.get("taxes") or () if tax.get("tax_behavior") == "inclusive"]
    rate = stripe_rate(line.get("taxes"), record.tax_rates, record.currency)
    amount, given = int(line.get("amount") or 0) - credit, sum_of(allocated)
    net = amount - given - sum_of(inside) - moved
    if shared and inside and rate is not None:
        # Stripe states the discount with its tax: without it, it is what it makes the line's net lower.
        before = amount - (given - shared)
        percent = sum((_percentage(tax, record.tax_rates) or Decimal(0) for tax in inside), Decimal(0))
        shared = int((before * 100 / (100 + percent)).to_integral_value("ROUND_HALF_UP")) - net
    return LineNet(net, given + credit, shared, sum_of(line.get("taxes")) + moved, rate, bool(inside))


def _moved(record: InvoiceRecord) -> dict[int, int]:
    """By how much the tax inside each line (by index) is raised or lowered, so that a tax rounded once is the sum of them.

    The lines whose own rounding went furthest the other way are the ones that move, by one minor unit each.
    """
    if not rounded_once(record):
        return {}
    moved: dict[int, int] = {}
    credits_ = credits_of(record)
    for stated in record.invoice.get("total_taxes") or ():
        percent = _percentage(stated, record.tax_rates)
        if stated.get("tax_behavior") != "inclusive" or percent is None:
            continue
        errors: list[tuple[Decimal, int]] = []
        inside = 0
        for index, line in enumerate(record.lines):
            taxes = list(line.get("taxes") or ())
            if len(taxes) == 1 and _rate_id(taxes[0]) == _rate_id(stated):
                gross = int(line.get("amount") or 0) - sum_of(line.get("discount_amounts")) - credits_[index]
                errors.append((gross * percent / (100 + percent) - sum_of(taxes), index))
                inside += sum_of(taxes)
        missing = int(stated.get("amount") or 0) - inside
        sign = 1 if missing > 0 else -1
        nearest = [index for _, index in sorted((-sign * error, index) for error, index in errors)]
        if abs(missing) <= len(nearest):
            moved.update(dict.fromkeys(nearest[: abs(missing)], sign))
    return moved


def _by_rate(record: InvoiceRecord, taxes: Any, beside: int, shipping: Raw) -> Mapping[Decimal, Decimal]:
    """The invoice's taxes per rate; nothing where a line bears several, or a rate is not known."""
    if any(len(line.get("taxes") or ()) > 1 for line in record.lines):
        return NO_VAT
    sums: dict[Decimal, Decimal] = {}
    parts = [(stripe_rate([tax], record.tax_rates, record.currency), int(tax.get("amount") or 0)) for tax in taxes or ()]
    if beside:
        parts.append((stripe_rate(shipping.get("taxes"), record.tax_rates, record.currency) or None, beside))
    for rate, amount in parts:
        if rate is None:
            return NO_VAT
        sums[rate] = sums.get(rate, Decimal(0)) + from_minor(amount, record.currency)
    return sums


def _percentage(tax: Raw, tax_rates: Mapping[str, Raw]) -> Decimal | None:
    rate = tax_rates.get(_rate_id(tax) or "") or {}
    stated = rate.get("effective_percentage")
    stated = rate.get("percentage") if stated is None else stated
    return None if stated is None else Decimal(str(stated))


def _rate_id(tax: Raw) -> str | None:
    return id_of((tax.get("tax_rate_details") or {}).get("tax_rate"))


def _totals(gross: int, vat: int, currency: str) -> Totals:
    return Totals(from_minor(gross - vat, currency), from_minor(vat, currency), from_minor(gross, currency))


def _on_top(taxes: Any) -> int:
    return sum(int(tax.get("amount") or 0) for tax in taxes or () if tax.get("tax_behavior") != "inclusive")
