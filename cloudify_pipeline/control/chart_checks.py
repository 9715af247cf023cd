"""The settings against the ledger's own chart: every number exists, nothing is barred, the VAT matrix has no hole."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from cloudify_pipeline.accounting.chart import Chart, Number
from cloudify_pipeline.accounting.money import format_money
from cloudify_pipeline.accounting.parties import LedgerRecord
from cloudify_pipeline.catalogue import entry
from cloudify_pipeline.control.matrix import Cell, Seen, matrix, zone_of
from cloudify_pipeline.control.planner import Planned
from cloudify_pipeline.planning.dates import closed_because, first_open_day
from cloudify_pipeline.planning.plans import PlannedProduct
from cloudify_pipeline.planning.records import book_date
from cloudify_pipeline.settings.models import ConnectionSettings

_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Checked:
    """One finding: the setting, what was found, and what to do. An error would make documents fail, a warning may not."""

    key: str
    severity: Literal["error", "warning"]
    code: str
    found: str
    remedy: str


def named_customers(settings: ConnectionSettings) -> dict[str, str]:
    """Setting → the ledger customer number it names."""
    number = settings.customers.default_customer
    return {} if number is None else {"customers.default_customer": str(number)}


def named_products(settings: ConnectionSettings) -> dict[str, str]:
    """Setting → the ledger product number it names."""
    products = settings.products
    names = ("default_product", "no_product", "discount_product", "rounding_product")
    named = {f"products.{name}": number for name in names if (number := getattr(products, name)) is not None}
    return {**named, **{f"products.links.{stripe_id}": number for stripe_id, number in products.links.items()}}


def check_chart(
    settings: ConnectionSettings,
    chart: Chart,
    customers: Mapping[str, LedgerRecord | None],
    products: Mapping[str, LedgerRecord | None],
    planned: Planned,
    *,
    currencies: Mapping[str, Decimal],
    now: datetime,
) -> tuple[Checked, ...]:
    """All findings, in the order of the connection file. `currencies` are the sums of what is staged."""
    return (
        *numbers_exist(settings, chart),
        *records_exist(customers, "customer", "E-CUST-MISSING", "E-CUST-BARRED"),
        *records_exist(products, "product", "E-PROD-MISSING", "E-PROD-BARRED"),
        *zones_are_enabled(settings, chart),
        *matrix_is_complete(settings, chart, products, planned),
        *correction_bears_no_vat(settings, chart, products),
        *currencies_are_set_up(settings, chart, currencies),
        *go_live_is_open(settings, chart, now),
    )


def numbers_exist(settings: ConnectionSettings, chart: Chart) -> Iterator[Checked]:
    """V-30: every number that the settings take from one of the chart's lists is in it and not barred."""
    customers, products = settings.customers.defaults, settings.products.defaults
    codes: Mapping[Number, Any] = dict[Number, Any](chart.vat_codes.items())
    wanted: tuple[tuple[str, Number | None, str, Mapping[Number, Any]], ...] = (
        ("customers.defaults.payment_terms", customers.payment_terms, "payment terms", chart.payment_terms),
        ("customers.defaults.group", customers.group, "customer group", chart.customer_groups),
        ("customers.defaults.layout", customers.layout, "layout", chart.layouts),
        ("products.defaults.group", products.group, "product group", chart.product_groups),
        ("products.defaults.unit", products.unit, "unit", chart.units),
        ("invoices.layout", settings.invoices.layout, "layout", chart.layouts),
        *((f"vat.supply.{code}", code, "VAT code", codes) for code in settings.vat.supply),
    )
    for key, number, what, known in wanted:
        if number is None:
            continue
        if number not in known:
            yield _error(key, "E-REFERENCE", f"{what} {number!r} is not in the ledger; there are {_listed(known)}")
        elif getattr(known[number], "barred", False):
            yield _error(key, "E-REFERENCE", f"{what} {number} ({known[number].name}) is barred in the ledger")


def records_exist(records: Mapping[str, LedgerRecord | None], what: str, missing: str, barred: str) -> Iterator[Checked]:
    """V-23: the customers and products that the settings name exist and are not barred."""
    for key, record in records.items():
        if record is None:
            yield _error(key, missing, f"this {what} is not in the ledger")
        elif record.barred:
            yield _error(key, barred, f"{what} {record.number} ({record.name}) is barred in the ledger")


def zones_are_enabled(settings: ConnectionSettings, chart: Chart) -> Iterator[Checked]:
    """V-2: every VAT zone that the settings name exists and may stand on customers."""
    for key, number in zones_in_use(settings).items():
        zone = chart.vat_zones.get(number)
        if zone is None:
            yield _error(key, "E-VAT-ZONE", f"VAT zone {number!r} is not in the ledger; there are {_listed(chart.vat_zones)}")
        elif not zone.enabled:
            yield _error(key, "E-VAT-ZONE", f"VAT zone {number} ({zone.name}) is not enabled for customers in the ledger")


def zones_in_use(settings: ConnectionSettings) -> dict[str, Number]:
    """Setting → VAT zone: everything that a document's zone can come from."""
    zones = settings.vat.zones
    found: dict[str, Number] = {
        "vat.zones.domestic": zones.domestic,
        "vat.zones.eu": zones.eu,
        "vat.zones.abroad": zones.abroad,
        "vat.zones.domestic_exempt": zones.domestic_exempt,
    }
    words = set(type(zones).model_fields)
    given: dict[str, Number | None] = {f"vat.countries.{country}": zone for country, zone in settings.vat.countries.items()}
    given |= {f"vat.oss.zones.{country}": zone for country, zone in settings.vat.oss.zones.items()}
    given |= {f"invoices.rules[{place}].vat_zone": rule.vat_zone for place, rule in enumerate(settings.invoices.rules)}
    found |= {key: zone for key, zone in given.items() if zone is not None and zone not in words}
    default = settings.customers.defaults.vat_zone
    return found if default == "auto" else {**found, "customers.defaults.vat_zone": default}


def matrix_is_complete(
    settings: ConnectionSettings, chart: Chart, products: Mapping[str, LedgerRecord | None], planned: Planned
) -> Iterator[Checked]:
    """V-27: a document in a zone needs an open sales account, with a live code, in the group of each line."""
    eu = settings.vat.zones.eu
    groups = groups_in_use(settings, products, planned)
    for cell in cells_in_use(settings, chart, products, planned):
        if cell.hole is not None:
            words = f"product group {cell.group} ({cell.group_name}) has no usable sales account in VAT zone "
            words += f"{cell.zone} ({cell.zone_name}): {cell.hole}"
            severity: Literal["error", "warning"] = "error" if cell.needed else "warning"
            yield Checked(groups[cell.group], severity, "E-PROD-GROUP", words, entry("E-PROD-GROUP").remedy)
        elif cell.zone == eu and cell.needed and cell.vat_code is None:
            words = f"{cell.name}: account {cell.account} has no VAT code, so these sales are in no figure of the VAT return"
            remedy = "Put the code for sales to EU businesses on the account in the ledger."
            yield Checked(groups[cell.group], "warning", "E-PROD-GROUP", words, remedy)


def cells_in_use(
    settings: ConnectionSettings,
    chart: Chart,
    products: Mapping[str, LedgerRecord | None],
    planned: Planned,
    seen: Seen | None = None,
) -> tuple[Cell, ...]:
    """The VAT matrix over every product group in use and every zone that can be reached."""
    needed = {zone for plan in planned.documents.values() if (zone := zone_of(plan)) is not None}
    zones = dict.fromkeys([*zones_in_use(settings).values(), *sorted(needed, key=str)])
    return matrix(chart, groups_in_use(settings, products, planned), zones, needed, seen)


def other_rates(cells: Iterable[Cell]) -> Iterator[Checked]:
    """V-27: in a cell the ledger uses one rate, and Stripe charged another."""
    for cell in cells:
        for rate, what in cell.other_rates.items():
            amounts = " · ".join(format_money(amount, currency) for currency, amount in sorted(what.sums.items()))
            lines = f"{what.lines} line{'s' if what.lines > 1 else ''}"
            words = f"{cell.name}: the ledger uses {_percent(cell.rate)} (account {cell.account}, "
            words += f"VAT code {cell.vat_code or 'none'}); Stripe charged {_percent(rate)} on {lines} of {amounts}"
            yield Checked("VAT matrix", "warning", "E-VAT-RATE", words, entry("E-VAT-RATE").remedy)


def groups_in_use(
    settings: ConnectionSettings, products: Mapping[str, LedgerRecord | None], planned: Planned
) -> dict[Number, str]:
    """Product groups in use → where they come from."""
    groups: dict[Number, str] = {}
    if settings.products.on_not_found == "create":
        groups[settings.products.defaults.group] = "products.defaults.group"
    for key, record in products.items():
        if record is not None and record.group is not None:
            groups.setdefault(record.group, key)
    for plan in planned.products.values():
        if isinstance(plan, PlannedProduct):
            groups.setdefault(plan.group, f"product {plan.number}")
    return groups


def correction_bears_no_vat(
    settings: ConnectionSettings, chart: Chart, products: Mapping[str, LedgerRecord | None]
) -> Iterator[Checked]:
    """V-33: a correction of a few øre must not bear VAT, or it would change the total again."""
    record = products.get("products.rounding_product")
    if record is None or record.group is None:
        return
    for zone in dict.fromkeys(zones_in_use(settings).values()):
        if chart.vat_rate(record.group, zone):
            words = f"product {record.number} ({record.name}) bears VAT in zone {zone}; a correction line must bear none"
            yield _error("products.rounding_product", "E-VAT-RATE", words, "Choose a product of a group without VAT.")
            return


def currencies_are_set_up(settings: ConnectionSettings, chart: Chart, staged: Mapping[str, Decimal]) -> Iterator[Checked]:
    """V-28: every currency in the staged data, and that of new customers, is set up in the ledger."""
    known = {code.upper() for code in (*chart.currencies, chart.base_currency)}
    default = settings.customers.defaults.currency
    if default != "from_stripe" and default.upper() not in known:
        yield _error("customers.defaults.currency", "E-CURRENCY", f"{default} is not set up in the ledger")
    for currency, amount in staged.items():
        if currency not in known:
            words = (
                f"Stripe has invoices or payments of {format_money(amount, currency)} in all, and the ledger has no {currency}"
            )
            yield Checked("currency", "warning", "E-CURRENCY", words, entry("E-CURRENCY").remedy)


def go_live_is_open(settings: ConnectionSettings, chart: Chart, now: datetime) -> Iterator[Checked]:
    """V-32: `go_live_from` lies in an open period of an accounting year, and so does today."""
    if not chart.periods:
        return
    today, remedy = book_date(now), entry("E-PERIOD").remedy
    if (why := closed_because(today, chart.periods)) is not None:
        yield Checked("accounting year", "warning", "E-PERIOD", f"today, {today}, {why}", remedy)
    if settings.go_live_from is None:
        return
    first = book_date(settings.go_live_from)
    if (why := closed_because(first, chart.periods)) is not None:
        after = first_open_day(first, chart.periods)
        done = "is held"
        if settings.invoices.closed_period == "first_open_day" and after is not None:
            done = f"is dated {after}" if after <= today else f"is held until {after}"
        yield Checked("go_live_from", "warning", "E-PERIOD", f"{first} {why}: what was invoiced then {done}", remedy)


def _error(key: str, code: str, found: str, remedy: str | None = None) -> Checked:
    return Checked(key, "error", code, found, remedy or entry(code).remedy)


def _percent(rate: Decimal | None) -> str:
    return "no rate" if rate is None else f"{rate.normalize():f} %"


def _listed(known: Mapping[Number, Any]) -> str:
    shown = ", ".join(f"{number} ({thing.name})" for number, thing in list(known.items())[:_SHOWN])
    return f"{shown}, …" if len(known) > _SHOWN else shown or "none"
