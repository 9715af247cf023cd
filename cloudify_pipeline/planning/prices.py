"""Stripe's lines as the ledger's: net amounts exactly as Stripe states them, in prices of two decimals.

The ledger computes quantity × price and rounds to two decimals; where no price gives the net exactly, the line becomes one
piece at its net, and quantity and unit price stand in the text (reference/product.md §4.5).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_DOWN, Decimal
from typing import Any

from cloudify_pipeline.accounting.money import decimals, from_minor, round_half_up
from cloudify_pipeline.errors import Problem
from cloudify_pipeline.planning.plans import Evidence
from cloudify_pipeline.planning.records import ChargeRecord, InvoiceRecord, Raw, Record, id_of
from cloudify_pipeline.planning.stripe_amounts import LineNet, line_nets, stripe_rate

PLACES = 2


@dataclass(frozen=True, slots=True)
class PricedLine:
    """One line before its ledger product is known. `product` is Stripe's id; `tax` what Stripe says of its VAT.

    `role` tells where the line comes from: `line`, `shipping`, `discount` or `charge`.
    """

    role: str
    description: str
    product: str | None
    net: Decimal
    quantity: Decimal
    unit_price: Decimal
    tax_rate: Decimal | None
    tax_amount: Decimal
    stripe_line_id: str | None = None
    raw: Mapping[str, Any] | None = None
    in_words: str = ""
    """Quantity and unit price, where the line could not keep them as numbers; they end its text."""
    evidence: tuple[Evidence, ...] = ()


def price_lines(record: Record, *, discounts: str = "line") -> tuple[PricedLine, ...] | Problem:
    """The lines of `record` in Stripe's order, then shipping, then a discount that is posted as a line of its own.

    `discounts` is ``line`` or ``product_line``; the latter needs one known VAT rate for all that the discount lowers, else
    the invoice's discount stays in the lines that Stripe allocated it to, and evidence says so.
    """
    if isinstance(record, ChargeRecord):
        net = _major(record.total_minor, record.currency)
        if isinstance(net, Problem):
            return net
        text = str(record.charge.get("description") or f"Payment {record.stripe_id}")
        one = Decimal(1) if net >= 0 else Decimal(-1)
        return (PricedLine("charge", text, None, net, one, abs(net), None, Decimal(0), None, record.charge),)
    nets = line_nets(record)
    separate = discounts == "product_line" and any(net.invoice_discount for net in nets)
    why = _forced_spread(nets) if separate else None
    if why is not None:
        separate = False
    lines: list[PricedLine] = []
    for line, part in zip(record.lines, nets, strict=True):
        priced = _line(record, line, part, why, separate=separate)
        if isinstance(priced, Problem):
            return priced
        lines.append(priced)
    for extra in (_shipping(record), _discount(record, nets) if separate else None):
        if isinstance(extra, Problem):
            return extra
        if extra is not None:
            lines.append(extra)
    return tuple(lines)


def two_decimals(net: Decimal, quantity: Decimal, stated: Decimal | None) -> tuple[Decimal, Decimal] | None:
    """Quantity and unit price, both of at most two decimals, whose product the ledger rounds to `net`; None when there are none.

    A negative net is a negative quantity at a positive price. `stated` is Stripe's own unit price, tried first. A product that
    lies half-way between two øre is refused: how the ledger rounds it is not documented.
    """
    count, target = abs(quantity), abs(net)
    if count == 0 or count != round_half_up(count, PLACES):
        return None
    for price in (abs(stated) if stated is not None else None, round_half_up(target / count, PLACES)):
        if price is None or price != round_half_up(price, PLACES):
            continue
        product = count * price
        half_way = round_half_up(product) != product.quantize(Decimal("0.01"), rounding=ROUND_HALF_DOWN)
        if round_half_up(product) == target and not half_way:
            return (count if net > 0 else -count), price
    return None


def _line(record: InvoiceRecord, line: Raw, net: LineNet, forced: str | None, *, separate: bool) -> PricedLine | Problem:
    amount = _major(net.amount + (net.invoice_discount if separate else 0), record.currency)
    if isinstance(amount, Problem):
        return amount
    product = id_of(((line.get("pricing") or {}).get("price_details") or {}).get("product"))
    text = str(line.get("description") or (record.products.get(product or "") or {}).get("name") or line.get("id") or "")
    quantity = _quantity(line)
    unit = _unit(line, record.currency)
    evidence = (Evidence("discount", "in the lines", "product_line not possible", {"because": forced}),) if forced else ()
    common: dict[str, Any] = {
        "role": "line",
        "product": product,
        "net": amount,
        "tax_rate": net.rate,
        "tax_amount": from_minor(net.tax, record.currency),
        "stripe_line_id": id_of(line),
        "raw": line,
    }
    if amount == 0:
        return PricedLine(description=text, quantity=Decimal(0), unit_price=Decimal(0), evidence=evidence, **common)
    fitting = two_decimals(amount, quantity, unit)
    if fitting is not None:
        return PricedLine(description=text, quantity=fitting[0], unit_price=fitting[1], evidence=evidence, **common)
    given = 0 if separate and not net.inclusive and net.discount == net.invoice_discount else net.discount
    words = _in_words(quantity, unit, from_minor(given, record.currency), record.currency, inclusive=net.inclusive)
    rounding = Evidence(
        "rounding", "one piece at the net", "no two-decimal price gives the net", {"net": str(amount), "was": words}
    )
    one = Decimal(1) if amount > 0 else Decimal(-1)
    return PricedLine(
        description=text, quantity=one, unit_price=abs(amount), in_words=words, evidence=(*evidence, rounding), **common
    )


def _shipping(record: InvoiceRecord) -> PricedLine | Problem | None:
    cost = record.invoice.get("shipping_cost") or {}
    total, tax = int(cost.get("amount_total") or 0), int(cost.get("amount_tax") or 0)
    if total == 0:
        return None
    net = _major(total - tax, record.currency)
    if isinstance(net, Problem):
        return net
    known = cost.get("taxes") or not tax
    rate = stripe_rate(cost.get("taxes"), record.tax_rates, record.currency) if known else None
    one = Decimal(1) if net > 0 else Decimal(-1)
    return PricedLine("shipping", "Shipping", None, net, one, abs(net), rate, from_minor(tax, record.currency))


def _discount(record: InvoiceRecord, nets: list[LineNet]) -> PricedLine | Problem:
    """What the whole invoice's discounts take off, as one piece at minus that amount."""
    net = _major(-sum(net.invoice_discount for net in nets), record.currency)
    if isinstance(net, Problem):
        return net
    rate = next((net.rate for net in nets if net.invoice_discount), None)
    return PricedLine("discount", _discount_name(record), None, net, Decimal(-1), abs(net), rate, Decimal(0))


def _discount_name(record: InvoiceRecord) -> str:
    names = []
    for discount in record.invoice.get("discounts") or ():
        if isinstance(discount, Mapping):
            coupon = (discount.get("source") or {}).get("coupon") or discount.get("coupon")
            names.append(str(coupon.get("name") or coupon.get("id") or "") if isinstance(coupon, Mapping) else str(coupon or ""))
    return "Discount" + "".join(f" {name}" for name in names if name)


def _forced_spread(nets: list[LineNet]) -> str | None:
    """Why the invoice's discount cannot be one line; None when it can."""
    rates = {net.rate for net in nets if net.invoice_discount}
    if None in rates:
        return "the VAT rate of a line that it lowers is not known"
    return "it lowers lines of several VAT rates, and one product has one" if len(rates) > 1 else None


def _quantity(line: Raw) -> Decimal:
    """`quantity` is cut to a whole number where `quantity_decimal` has a fraction."""
    for value in (line.get("quantity_decimal"), line.get("quantity")):
        if value is not None:
            return Decimal(str(value))
    return Decimal(1)


def _unit(line: Raw, currency: str) -> Decimal | None:
    stated = (line.get("pricing") or {}).get("unit_amount_decimal")
    return None if stated is None else Decimal(str(stated)).scaleb(-decimals(currency))


def _in_words(quantity: Decimal, unit: Decimal | None, discount: Decimal, currency: str, *, inclusive: bool) -> str:
    less = f", less {_short(discount)}" if discount else ""
    if unit is None:
        return f"quantity {_short(quantity)}{less}"
    return f"{_short(quantity)} × {_short(unit)} {currency}{' incl. VAT' if inclusive else ''}{less}"


def _short(number: Decimal) -> str:
    text = f"{number:f}"
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction.rstrip('0').ljust(PLACES, '0')}" if fraction.rstrip("0") else whole


def too_fine(amount: Decimal, currency: str) -> Problem | None:
    """A problem when `amount` (major units) has more decimals than the ledger keeps."""
    if amount == round_half_up(amount, PLACES):
        return None
    message = f"{amount} {currency} has more than two decimals, which the ledger cannot hold"
    return Problem("E-CURRENCY-DECIMALS", message, field="currency", found=str(amount))


def _major(minor: int, currency: str) -> Decimal | Problem:
    amount = from_minor(minor, currency)
    return too_fine(amount, currency) or round_half_up(amount, PLACES)
