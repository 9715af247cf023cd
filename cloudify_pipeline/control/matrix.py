"""The VAT matrix: product group × VAT zone → sales account → VAT code → rate, beside what Stripe charged there.

A sale has the rate of its cell and no other, so a hole or another rate than Stripe's is found here before anything is sent
(reference/product.md N-14, §4.1, V-27).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from cloudify_pipeline.accounting.chart import Chart, Number
from cloudify_pipeline.accounting.money import from_minor
from cloudify_pipeline.control.joined import joined_records, priced
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.control.planner import Planned
from cloudify_pipeline.planning.plans import Hold, PlannedDocument, PlannedProduct, Skip
from cloudify_pipeline.planning.records import InvoiceRecord, Raw, id_of


@dataclass(slots=True)
class Charged:
    """What Stripe charged at one rate: how many lines, and their amounts per currency as the lines state them."""

    lines: int = 0
    sums: dict[str, Decimal] = field(default_factory=dict)


Seen = Mapping[tuple[Number, Number], Mapping[Decimal, Charged]]
"""(product group, VAT zone) → Stripe's rate in percent → what was charged at it."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell. `hole`: why it cannot be used, in words; `needed`: a document that is due stands in its zone."""

    group: Number
    group_name: str
    zone: Number
    zone_name: str
    account: Number | None = None
    vat_code: str | None = None
    rate: Decimal | None = None
    hole: str | None = None
    needed: bool = False
    other_rates: Mapping[Decimal, Charged] = field(default_factory=dict)
    """Rates that Stripe charged in this cell and that are not the ledger's."""

    @property
    def name(self) -> str:
        """The cell in words."""
        return f"product group {self.group} ({self.group_name}) in VAT zone {self.zone} ({self.zone_name})"


def matrix(
    chart: Chart, groups: Iterable[Number], zones: Iterable[Number], needed: Iterable[Number] = (), seen: Seen | None = None
) -> tuple[Cell, ...]:
    """Every cell of the groups and zones that exist and are not barred, by group."""
    wanted, zones = set(needed), list(zones)
    return tuple(
        _cell(chart, group, zone, zone in wanted, (seen or {}).get((group, zone), {}))
        for group in groups
        if group in chart.product_groups and not chart.product_groups[group].barred
        for zone in zones
        if zone in chart.vat_zones
    )


def _cell(chart: Chart, group: Number, zone: Number, needed: bool, charged: Mapping[Decimal, Charged]) -> Cell:
    account = chart.sales_accounts.get((group, zone))
    rate = chart.vat_rate(group, zone)
    return Cell(
        group=group,
        group_name=chart.product_groups[group].name,
        zone=zone,
        zone_name=chart.vat_zones[zone].name,
        account=account.number if account else None,
        vat_code=account.vat_code if account else None,
        rate=rate,
        hole=_hole(chart, group, zone) if rate is None else None,
        needed=needed,
        other_rates={} if rate is None else {one: what for one, what in sorted(charged.items()) if one != rate},
    )


def _hole(chart: Chart, group: Number, zone: Number) -> str:
    account = chart.sales_accounts.get((group, zone))
    if account is None:
        return "it has no sales account"
    if account.barred:
        return f"account {account.number} is barred"
    code = chart.vat_codes.get(account.vat_code or "")
    state = "is not in the ledger" if code is None else "is barred"
    return f"VAT code {account.vat_code} of account {account.number} {state}"


def charged(opened: OpenConnection, planned: Planned) -> Seen:
    """Which rates Stripe charged in each cell, over the staged invoices whose zone is decided, held ones among them."""
    zones = {stripe_id: zone for stripe_id, plan in planned.documents.items() if (zone := zone_of(plan)) is not None}
    found: dict[tuple[Number, Number], dict[Decimal, Charged]] = {}
    for record in joined_records(opened.staging, list(zones)):
        if not isinstance(record, InvoiceRecord):
            continue  # a payment states no VAT
        for line in record.lines:
            group, rate = _group(line, opened, planned), _rate(line, record.tax_rates)
            if group is None or rate is None or not line.get("amount"):
                continue
            one = found.setdefault((group, zones[record.stripe_id]), {}).setdefault(rate, Charged())
            one.lines += 1
            amount = from_minor(int(line["amount"]), record.currency)
            one.sums[record.currency] = one.sums.get(record.currency, Decimal(0)) + amount
    return found


def zone_of(plan: PlannedDocument | Hold | Skip) -> Number | None:
    """The VAT zone that was decided for a document, also for one that is held for something else; None where none was."""
    if isinstance(plan, PlannedDocument):
        return plan.document.vat_zone
    told = next((one.outcome.split(" ")[0] for one in plan.evidence if one.decision == "vat_zone"), None)
    if told is None or told == "held" or not isinstance(plan, Hold):
        return None
    return int(told) if told.isdigit() else told


def _group(line: Raw, opened: OpenConnection, planned: Planned) -> Number | None:
    product = id_of(priced(line).get("product"))
    if product is None:
        named = planned.numbered.get(opened.settings.products.no_product or "")
        return named.group if named else None
    plan = planned.products.get(product)
    return plan.group if isinstance(plan, PlannedProduct) else None


def _rate(line: Raw, tax_rates: Mapping[str, Raw]) -> Decimal | None:
    """Percent of tax on a line; zero where none was taken; None where a rate is unknown or too small to show."""
    percent = Decimal(0)
    for tax in _taxes(line):
        rate = tax_rates.get(id_of((tax.get("tax_rate_details") or {}).get("tax_rate")) or "") or {}
        stated = rate.get("effective_percentage")
        stated = rate.get("percentage") if stated is None else stated
        if tax.get("amount") and stated is None:
            return None
        if tax.get("amount"):
            percent += Decimal(str(stated))
        elif stated and 0 < abs(int(tax.get("taxable_amount") or 0)) * Decimal(str(stated)) < 100:
            return None
    return percent


def _taxes(line: Raw) -> Iterator[Mapping[str, Any]]:
    yield from line.get("taxes") or ()
