"""Stripe's lines as the ledger's: net amounts exactly as Stripe states them, in prices of two decimals.

Nothing that Stripe has computed is computed again: the net of a line is its amount less the discounts allocated to it, less
the tax inside it. The ledger computes quantity × price and rounds to two decimals; where no price gives the net exactly, the
line becomes one piece at its net, and quantity and unit price stand in the text (reference/product.md §4.5).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_DOWN, Decimal
from typing import Any

from cloudify_pipeline.accounting.documents import Totals
from cloudify_pipeline.accounting.money import decimals, from_minor, round_half_up
from cloudify_pipeline.errors import Problem
from cloudify_pipeline.planning.plans import Evidence
from cloudify_pipeline.planning.records import ChargeRecord, InvoiceRecord, Raw, Record, id_of

PLACES = 2
_NOT_TAXED = frozenset(
    {"reverse_charge", "customer_exempt", "product_exempt", "zero_rated", "not_collecting", "excluded_territory"}
)


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


@dataclass(frozen=True, slots=True)
class _Net:
    amount: int
    """Minor units."""
    invoice_discount: int
    tax: int
    inclusive: bool


def price_lines(record: Record, *, discounts: str = "line") -> tuple[PricedLine, ...] | Problem:
    """The lines of `record` in Stripe's order, then shipping, then a discount that is posted as a line of its own.

    `discounts` is ``line`` or ``product_line``; the latter needs one VAT rate and prices without tax inside, else the
    invoice's discount stays in the lines that Stripe allocated it to, and evidence says so.
    """
    if isinstance(record, ChargeRecord):
        net = _major(record.total_minor, record.currency)
        if isinstance(net, Problem):
            return net
        text = str(record.charge.get("description") or f"Payment {record.stripe_id}")
        return (PricedLine("charge", text, None, net, Decimal(1), net, None, Decimal(0), None, record.charge),)
    nets = [_net(line) for line in record.lines]
    separate = discounts == "product_line" and any(net.invoice_discount for net in nets)
    why = _forced_spread(record, nets) if separate else None
    if why is not None:
        separate = False
    lines: list[PricedLine] = []
    for line, part in zip(record.lines, nets, strict=True):
        priced = _line(record, line, part, part.amount + (part.invoice_discount if separate else 0), why)
        if isinstance(priced, Problem):
            return priced
        lines.append(priced)
    for extra in (_shipping(record), _discount(record, nets) if separate else None):
        if isinstance(extra, Problem):
            return extra
        if extra is not None:
            lines.append(extra)
    return tuple(lines)


def stripe_totals(record: InvoiceRecord) -> Totals | Problem:
    """Stripe's own net, VAT and gross; a problem when its amounts do not add up.

    Lines − discounts + tax on top + shipping must be the total. Where tax is rounded once for the whole invoice, Stripe's
    totals of tax and discount are the ones that add up.
    """
    invoice, currency = record.invoice, record.currency
    shipping = invoice.get("shipping_cost") or {}
    carriage, carriage_tax = int(shipping.get("amount_total") or 0), int(shipping.get("amount_tax") or 0)
    amounts = sum(int(line.get("amount") or 0) for line in record.lines)
    given = sum(_amounts(line.get("discount_amounts")) for line in record.lines)
    taxes = sum(_on_top(line.get("taxes")) for line in record.lines)
    if amounts - given + taxes + carriage == record.total_minor:
        vat = sum(_amounts(line.get("taxes")) for line in record.lines) + carriage_tax
        return _totals(record.total_minor, vat, currency)
    given_in_all = _amounts(invoice.get("total_discount_amounts"))
    if amounts - given_in_all + _on_top(invoice.get("total_taxes")) + carriage - carriage_tax == record.total_minor:
        return _totals(record.total_minor, _amounts(invoice.get("total_taxes")), currency)
    parts = [from_minor(part, currency) for part in (amounts, given, taxes, carriage)]
    message = (
        f"lines {parts[0]} − discounts {parts[1]} + tax {parts[2]} + shipping {parts[3]} = "
        f"{parts[0] - parts[1] + parts[2] + parts[3]}, but Stripe's total is {record.total} {currency}"
    )
    return Problem("E-STRIPE-SUM", message, field="total", found=str(record.total))


def _totals(gross: int, vat: int, currency: str) -> Totals:
    return Totals(from_minor(gross - vat, currency), from_minor(vat, currency), from_minor(gross, currency))


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


def _net(line: Raw) -> _Net:
    own = {id_of(discount) for discount in line.get("discounts") or ()}
    allocated = line.get("discount_amounts") or ()
    shared = [given for given in allocated if id_of(given.get("discount")) not in own]
    inside = sum(int(tax.get("amount") or 0) for tax in line.get("taxes") or () if tax.get("tax_behavior") == "inclusive")
    return _Net(
        int(line.get("amount") or 0) - _amounts(allocated) - inside,
        _amounts(shared),
        _amounts(line.get("taxes")),
        any(tax.get("tax_behavior") == "inclusive" for tax in line.get("taxes") or ()),
    )


def _line(record: InvoiceRecord, line: Raw, net: _Net, minor: int, forced: str | None) -> PricedLine | Problem:
    amount = _major(minor, record.currency)
    if isinstance(amount, Problem):
        return amount
    details = (line.get("pricing") or {}).get("price_details") or {}
    product = id_of(details.get("product"))
    text = str(line.get("description") or (record.products.get(product or "") or {}).get("name") or line.get("id") or "")
    quantity = _quantity(line)
    unit = _unit(line, record.currency)
    evidence = (Evidence("discount", "in the lines", "product_line not possible", {"because": forced}),) if forced else ()
    common: dict[str, Any] = {
        "role": "line",
        "product": product,
        "net": amount,
        "tax_rate": _rate(line.get("taxes"), record.tax_rates),
        "tax_amount": from_minor(net.tax, record.currency),
        "stripe_line_id": id_of(line),
        "raw": line,
    }
    if amount == 0:
        return PricedLine(description=text, quantity=Decimal(0), unit_price=Decimal(0), evidence=evidence, **common)
    fitting = two_decimals(amount, quantity, unit)
    if fitting is not None:
        return PricedLine(description=text, quantity=fitting[0], unit_price=fitting[1], evidence=evidence, **common)
    words = _in_words(quantity, unit, record.currency, inclusive=net.inclusive)
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
    rate = _rate(cost.get("taxes"), record.tax_rates) if cost.get("taxes") or not tax else None
    one = Decimal(1) if net > 0 else Decimal(-1)
    return PricedLine("shipping", "Shipping", None, net, one, abs(net), rate, from_minor(tax, record.currency))


def _discount(record: InvoiceRecord, nets: list[_Net]) -> PricedLine | Problem:
    """What the whole invoice's discounts take off, as one piece at minus that amount."""
    net = _major(-sum(net.invoice_discount for net in nets), record.currency)
    if isinstance(net, Problem):
        return net
    rate = next((_rate(line.get("taxes"), record.tax_rates) for line in record.lines), None)
    return PricedLine("discount", _discount_name(record), None, net, Decimal(-1), abs(net), rate, Decimal(0))


def _discount_name(record: InvoiceRecord) -> str:
    names = []
    for discount in record.invoice.get("discounts") or ():
        if isinstance(discount, Mapping):
            coupon = (discount.get("source") or {}).get("coupon") or discount.get("coupon")
            names.append(str(coupon.get("name") or coupon.get("id") or "") if isinstance(coupon, Mapping) else str(coupon or ""))
    return "Discount" + "".join(f" {name}" for name in names if name)


def _forced_spread(record: InvoiceRecord, nets: list[_Net]) -> str | None:
    """Why the invoice's discount cannot be one line; None when it can."""
    if any(net.inclusive for net in nets):
        return "prices include tax, and Stripe does not state the discount without it"
    rates = {_rate(line.get("taxes"), record.tax_rates) for line in record.lines}
    return "the lines have several VAT rates, and one product has one" if len(rates) > 1 else None


def _rate(taxes: Any, tax_rates: Mapping[str, Raw]) -> Decimal | None:
    """Stripe's VAT rate of a line in percent; zero where it taxed nothing; None where the rate is not known."""
    percent = Decimal(0)
    for tax in taxes or ():
        rate = tax_rates.get(id_of((tax.get("tax_rate_details") or {}).get("tax_rate")) or "") or {}
        stated = rate.get("effective_percentage")
        stated = rate.get("percentage") if stated is None else stated
        amount, taxable = int(tax.get("amount") or 0), int(tax.get("taxable_amount") or 0)
        if stated is None:
            if amount:
                return None
            continue
        one = Decimal(str(stated))
        # A rate that gave no tax was not applied (reverse charge, exempt buyer), unless the tax is under half a minor unit.
        base = 100 + one if tax.get("tax_behavior") == "inclusive" else Decimal(100)
        if amount or (abs(taxable) * one * 2 < base and tax.get("taxability_reason") not in _NOT_TAXED):
            percent += one
    return percent


def _quantity(line: Raw) -> Decimal:
    """`quantity` is cut to a whole number where `quantity_decimal` has a fraction."""
    for value in (line.get("quantity_decimal"), line.get("quantity")):
        if value is not None:
            return Decimal(str(value))
    return Decimal(1)


def _unit(line: Raw, currency: str) -> Decimal | None:
    stated = (line.get("pricing") or {}).get("unit_amount_decimal")
    return None if stated is None else Decimal(str(stated)).scaleb(-decimals(currency))


def _in_words(quantity: Decimal, unit: Decimal | None, currency: str, *, inclusive: bool) -> str:
    if unit is None:
        return f"quantity {_short(quantity)}"
    return f"{_short(quantity)} × {_short(unit)} {currency}{' incl. VAT' if inclusive else ''}"


def _short(number: Decimal) -> str:
    text = f"{number:f}"
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction.rstrip('0').ljust(PLACES, '0')}" if fraction.rstrip("0") else whole


def _major(minor: int, currency: str) -> Decimal | Problem:
    amount = from_minor(minor, currency)
    rounded = round_half_up(amount, PLACES)
    if amount != rounded:
        return Problem(
            "E-DECIMALS", f"{amount} {currency} has more than two decimals, which the ledger cannot hold", found=str(amount)
        )
    return rounded


def _amounts(listed: Any) -> int:
    return sum(int(one.get("amount") or 0) for one in listed or ())


def _on_top(taxes: Any) -> int:
    return sum(int(tax.get("amount") or 0) for tax in taxes or () if tax.get("tax_behavior") != "inclusive")
