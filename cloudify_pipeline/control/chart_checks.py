"""The settings against the ledger's own chart: every number exists, nothing is barred, the VAT matrix has no hole."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from cloudify_pipeline.accounting.chart import Chart, Number
from cloudify_pipeline.accounting.money import format_money
from cloudify_pipeline.accounting.parties import LedgerRecord
from cloudify_pipeline.catalogue import entry
from cloudify_pipeline.control.planner import Planned
from cloudify_pipeline.planning.plans import PlannedDocument, PlannedProduct
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
        *_numbers(settings, chart),
        *_records(customers, "customer", "E-CUST-MISSING", "E-CUST-BARRED"),
        *_records(products, "product", "E-PROD-MISSING", "E-PROD-BARRED"),
        *_zones(settings, chart),
        *_matrix(settings, chart, products, planned),
        *_rounding(settings, chart, products),
        *_currencies(settings, chart, currencies),
        *_periods(settings, chart, now),
    )


def _numbers(settings: ConnectionSettings, chart: Chart) -> Iterator[Checked]:
    """Every number that the settings take from one of the chart's lists."""
    customers, products = settings.customers.defaults, settings.products.defaults
    wanted: tuple[tuple[str, Number | None, str, Mapping[Number, Any]], ...] = (
        ("customers.defaults.payment_terms", customers.payment_terms, "payment terms", chart.payment_terms),
        ("customers.defaults.group", customers.group, "customer group", chart.customer_groups),
        ("customers.defaults.layout", customers.layout, "layout", chart.layouts),
        ("products.defaults.group", products.group, "product group", chart.product_groups),
        ("products.defaults.unit", products.unit, "unit", chart.units),
        ("invoices.layout", settings.invoices.layout, "layout", chart.layouts),
    )
    for key, number, what, known in wanted:
        if number is None:
            continue
        if number not in known:
            yield _error(key, "E-REFERENCE", f"{what} {number!r} is not in the ledger; there are {_listed(known)}")
        elif getattr(known[number], "barred", False):
            yield _error(key, "E-REFERENCE", f"{what} {number} ({known[number].name}) is barred in the ledger")


def _records(records: Mapping[str, LedgerRecord | None], what: str, missing: str, barred: str) -> Iterator[Checked]:
    for key, record in records.items():
        if record is None:
            yield _error(key, missing, f"this {what} is not in the ledger")
        elif record.barred:
            yield _error(key, barred, f"{what} {record.number} ({record.name}) is barred in the ledger")


def _zones(settings: ConnectionSettings, chart: Chart) -> Iterator[Checked]:
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
    found |= {f"vat.countries.{country}": zone for country, zone in settings.vat.countries.items() if zone not in words}
    default = settings.customers.defaults.vat_zone
    return found if default == "auto" else {**found, "customers.defaults.vat_zone": default}


def _matrix(
    settings: ConnectionSettings, chart: Chart, products: Mapping[str, LedgerRecord | None], planned: Planned
) -> Iterator[Checked]:
    """VAT zone × product group: a document in a zone needs a sales account, with a live code, in the group of each line."""
    needed = {plan.document.vat_zone for plan in planned.documents.values() if isinstance(plan, PlannedDocument)}
    zones = dict.fromkeys([*needed, *zones_in_use(settings).values()])
    for group, where in groups_in_use(settings, products, planned).items():
        if group not in chart.product_groups or chart.product_groups[group].barred:
            continue  # said already
        for zone in zones:
            if zone not in chart.vat_zones or chart.vat_rate(group, zone) is not None:
                continue
            words = (
                f"product group {group} ({chart.product_groups[group].name}) has no usable sales account in VAT zone "
                f"{zone} ({chart.vat_zones[zone].name})"
            )
            severity: Literal["error", "warning"] = "error" if zone in needed else "warning"
            yield Checked(where, severity, "E-PROD-GROUP", words, entry("E-PROD-GROUP").remedy)


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


def _rounding(settings: ConnectionSettings, chart: Chart, products: Mapping[str, LedgerRecord | None]) -> Iterator[Checked]:
    """A correction of a few øre must not bear VAT, or it would change the total again (product.md V-33)."""
    record = products.get("products.rounding_product")
    if record is None or record.group is None:
        return
    for zone in dict.fromkeys(zones_in_use(settings).values()):
        if chart.vat_rate(record.group, zone):
            words = f"product {record.number} ({record.name}) bears VAT in zone {zone}; a correction line must bear none"
            yield _error("products.rounding_product", "E-VAT-RATE", words, "Choose a product of a group without VAT.")
            return


def _currencies(settings: ConnectionSettings, chart: Chart, staged: Mapping[str, Decimal]) -> Iterator[Checked]:
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


def _periods(settings: ConnectionSettings, chart: Chart, now: datetime) -> Iterator[Checked]:
    today = book_date(now)
    if chart.periods and not chart.open_on(today):
        yield Checked("accounting year", "warning", "E-PERIOD", f"{today} lies in no open period", entry("E-PERIOD").remedy)
    if settings.go_live_from is not None and chart.periods and not chart.open_on(book_date(settings.go_live_from)):
        words = f"{book_date(settings.go_live_from)} lies in no open period: what was invoiced then cannot be booked"
        yield Checked("go_live_from", "warning", "E-PERIOD", words, entry("E-PERIOD").remedy)


def _error(key: str, code: str, found: str, remedy: str | None = None) -> Checked:
    return Checked(key, "error", code, found, remedy or entry(code).remedy)


def _listed(known: Mapping[Number, Any]) -> str:
    shown = ", ".join(f"{number} ({thing.name})" for number, thing in list(known.items())[:_SHOWN])
    return f"{shown}, …" if len(known) > _SHOWN else shown or "none"
