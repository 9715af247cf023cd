"""What the ledger will compute for a document, and whether that is Stripe's total."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Literal

from cloudify_pipeline.accounting.chart import Chart, Number
from cloudify_pipeline.accounting.documents import SalesLine, Totals
from cloudify_pipeline.accounting.money import round_half_up
from cloudify_pipeline.errors import Problem

VatRounding = Literal["per_document", "per_line"]
"""Where a ledger rounds VAT: once on the sum of each rate, or on every line."""
ASSUMED: VatRounding = "per_document"
"""Documented nowhere (reference/product.md §4.5, economic.md §14): what is assumed until the ledger's answers say otherwise."""


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


def predict(lines: Iterable[SalesLine], rounding: VatRounding = ASSUMED) -> Totals:
    """Net, VAT and gross of `lines` as the ledger is expected to compute them."""
    lines = tuple(lines)
    net = sum((line.net for line in lines), Decimal("0.00"))
    vat = sum(vat_by_rate(lines, rounding).values(), Decimal("0.00"))
    return Totals(net, vat, net + vat)


def vat_by_rate(lines: Iterable[SalesLine], rounding: VatRounding = ASSUMED) -> dict[Decimal, Decimal]:
    """VAT of a document per rate, in two decimals, halves away from zero."""
    sums: dict[Decimal, Decimal] = defaultdict(Decimal)
    for line in lines:
        sums[line.vat_rate] += line.net if rounding == "per_document" else round_half_up(line.net * line.vat_rate / 100)
    if rounding == "per_line":
        return dict(sorted(sums.items()))
    return {rate: round_half_up(net * rate / 100) for rate, net in sorted(sums.items())}


def rate_problem(line: SalesLine, stripe_rate: Decimal | None) -> Problem | None:
    """A problem when Stripe taxed the line at another rate than the ledger will; an unknown rate is left to the totals."""
    if line.net == 0 or stripe_rate is None or stripe_rate == line.vat_rate:
        return None
    message = f"{line.description}: Stripe charged {percent(stripe_rate)} VAT, the ledger will use {percent(line.vat_rate)}"
    return Problem("E-VAT-RATE", message, found=str(stripe_rate))


def total_problem(ours: Totals, stripe: Totals, currency: str, *, paid: bool = False) -> Problem | None:
    """A problem when the ledger's gross or VAT would not be Stripe's to the minor unit, with both sides in words.

    `paid`: it is a payment, of which Stripe states nothing but the sum.
    """
    if ours.gross == stripe.gross and ours.vat == stripe.vat:
        return None
    theirs = f"{stripe.gross} {currency} was paid"
    if not paid:
        theirs = f"Stripe has net {stripe.net}, VAT {stripe.vat}, gross {stripe.gross} {currency}"
    message = f"the ledger would have net {ours.net}, VAT {ours.vat}, gross {ours.gross}; {theirs}"
    return Problem("E-TOTAL", message, field="total", found=str(stripe.gross))


def vat_problem(ours: Mapping[Decimal, Decimal], stripe: Mapping[Decimal, Decimal], currency: str) -> Problem | None:
    """A problem when the VAT of one rate is not Stripe's, although the sums agree. `stripe` may not know every rate."""
    for rate, vat in ours.items():
        theirs = stripe.get(rate)
        if theirs is not None and theirs != vat:
            message = f"at {percent(rate)} the ledger would have VAT {vat}, Stripe has {theirs} {currency}"
            return Problem("E-TOTAL", message, field="total_taxes", found=str(theirs))
    return None


def percent(rate: Decimal) -> str:
    """For people: ``25 %``."""
    text = f"{rate:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) + " %"


def _no_cell(chart: Chart, group: Number, zone: Number, product: str) -> str:
    group_name = chart.product_groups[group].name if group in chart.product_groups else "unknown"
    zone_name = chart.vat_zones[zone].name if zone in chart.vat_zones else "unknown"
    return f"product {product}: group {group} ({group_name}) has no usable sales account in VAT zone {zone} ({zone_name})"
