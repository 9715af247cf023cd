"""What the ledger will compute for a document, and whether that is Stripe's total."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from cloudify_pipeline.accounting.chart import Chart, Number
from cloudify_pipeline.accounting.documents import SalesLine, Totals
from cloudify_pipeline.accounting.money import round_half_up
from cloudify_pipeline.errors import Problem


def rated(
    lines: Sequence[SalesLine], chart: Chart, zone: Number, groups: Mapping[str, Number]
) -> tuple[SalesLine, ...] | Problem:
    """`lines` with the VAT rate that the chart gives each one: zone × product group → account → code → rate.

    `groups` is the product group of each ledger product number.
    """
    done: list[SalesLine] = []
    for line in lines:
        if line.product is None:
            done.append(line)
            continue
        group = groups[str(line.product.number)]
        rate = chart.vat_rate(group, zone)
        if rate is None:
            return Problem("E-PROD-GROUP", _no_cell(chart, group, zone, str(line.product.number)), found=str(group))
        done.append(replace(line, vat_rate=rate))
    return tuple(done)


def predict(lines: Iterable[SalesLine]) -> Totals:
    """Net, VAT and gross of `lines` as the ledger is expected to compute them."""
    lines = tuple(lines)
    net = sum((line.net for line in lines), Decimal("0.00"))
    vat = sum(vat_by_rate(lines).values(), Decimal("0.00"))
    return Totals(net, vat, net + vat)


def vat_by_rate(lines: Iterable[SalesLine]) -> dict[Decimal, Decimal]:
    """VAT of a document per rate: the nets of a rate are added, and the tax on their sum is rounded half-up to two decimals.

    That the ledger rounds once a document and rate, not once a line, is an assumption: it is documented nowhere and was not
    measured (reference/product.md §4.5, economic.md §14). It is made here alone; a draft whose totals are read back and differ
    is never booked.
    """
    nets: dict[Decimal, Decimal] = defaultdict(Decimal)
    for line in lines:
        nets[line.vat_rate] += line.net
    return {rate: round_half_up(net * rate / 100) for rate, net in sorted(nets.items())}


def rate_problem(line: SalesLine, stripe_rate: Decimal | None) -> Problem | None:
    """A problem when Stripe taxed the line at another rate than the ledger will; an unknown rate is left to the totals."""
    if line.net == 0 or stripe_rate is None or stripe_rate == line.vat_rate:
        return None
    message = f"{line.description}: Stripe charged {_percent(stripe_rate)} VAT, the ledger will use {_percent(line.vat_rate)}"
    return Problem("E-VAT-RATE", message, found=str(stripe_rate))


def total_problem(ours: Totals, stripe: Totals, currency: str) -> Problem | None:
    """A problem when the ledger's gross or VAT would not be Stripe's to the minor unit, with both sides in words."""
    if ours.gross == stripe.gross and ours.vat == stripe.vat:
        return None
    message = (
        f"the ledger would have net {ours.net}, VAT {ours.vat}, gross {ours.gross}; "
        f"Stripe has net {stripe.net}, VAT {stripe.vat}, gross {stripe.gross} {currency}"
    )
    return Problem("E-TOTAL", message, field="total", found=str(stripe.gross))


def vat_problem(lines: Sequence[SalesLine], stripe: Mapping[Decimal, Decimal], currency: str) -> Problem | None:
    """A problem when the VAT of one rate is not Stripe's, although the sums agree."""
    for rate, vat in vat_by_rate(lines).items():
        theirs = stripe.get(rate)
        if theirs is not None and theirs != vat:
            message = f"at {_percent(rate)} the ledger would have VAT {vat}, Stripe has {theirs} {currency}"
            return Problem("E-TOTAL", message, field="total_taxes", found=str(theirs))
    return None


def _no_cell(chart: Chart, group: Number, zone: Number, product: str) -> str:
    group_name = chart.product_groups[group].name if group in chart.product_groups else "unknown"
    zone_name = chart.vat_zones[zone].name if zone in chart.vat_zones else "unknown"
    return f"product {product}: group {group} ({group_name}) has no usable sales account in VAT zone {zone} ({zone_name})"


def _percent(rate: Decimal) -> str:
    text = f"{rate:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) + " %"
