"""Drift: what the configured numbers pointed to at the last run, held against what they point to now.

Drift does not stop a run: a document that it makes wrong is held by its own check. Other books do stop it, see
:mod:`cloudify_pipeline.control.health`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from cloudify_pipeline.accounting.chart import Chart, Named, Number
from cloudify_pipeline.accounting.parties import LedgerRecord
from cloudify_pipeline.control.chart_checks import named_customers, named_products
from cloudify_pipeline.ledgers.port import LedgerIdentity
from cloudify_pipeline.posting.log.chart_seen import Parts
from cloudify_pipeline.settings.models import ConnectionSettings

Words = dict[str, str]
Relied = Mapping[str, Words | None]
"""Part of the chart → its attributes as words; None for a part that is relied on and not in the ledger."""
NamedRecords = Mapping[str, LedgerRecord | None]
"""The records that the settings name, by setting."""

DRIFT = "drift:"
_KEY = 200
"""An alert's key is no longer than this."""
CELL, CODE, GROUP, PERIOD = "sales account of product group ", "VAT code ", "product group ", "period "
CUSTOMER, PRODUCT = "customer ", "product no. "


@dataclass(frozen=True, slots=True)
class Difference:
    """One attribute of one part that is not what it was; `now` is None when the part is gone."""

    part: str
    attribute: str
    was: str
    now: str | None

    def __str__(self) -> str:
        if self.now is None:
            return f"{self.part} ({self.attribute} {self.was}) is gone from the ledger"
        return f"{self.part}: {self.attribute} was {self.was}, is {self.now}"

    @property
    def key(self) -> str:
        """The same for the same change, however often it is noticed."""
        return f"{self.topic}{'gone' if self.now is None else self.now}"[:_KEY]

    @property
    def topic(self) -> str:
        """How the keys of all changes of this attribute begin."""
        return f"{DRIFT}{self.part}:{self.attribute}:"


def differences(before: Parts, now: Relied) -> tuple[Difference, ...]:
    """What changed in parts that were relied on before and still are."""
    found: list[Difference] = []
    for part, attributes in before.items():
        if part not in now:
            continue
        present = now[part]
        if present is None:
            name = "name" if "name" in attributes else min(attributes)
            found.append(Difference(part, name, attributes[name], None))
        else:
            found += [
                Difference(part, name, was, present[name])
                for name, was in attributes.items()
                if name in present and present[name] != was
            ]
    return tuple(found)


def to_remember(before: Parts, now: Relied) -> dict[str, Mapping[str, str]]:
    """What the next run compares with. Records that nobody looked up this time keep what they were."""
    present: dict[str, Mapping[str, str]] = {part: words for part, words in now.items() if words is not None}
    looked = {kind for kind in (CUSTOMER, PRODUCT) if any(part.startswith(kind) for part in now)}
    unlooked = {
        part: words
        for part, words in before.items()
        for kind in (CUSTOMER, PRODUCT)
        if part.startswith(kind) and kind not in looked
    }
    return {**unlooked, **present}


def relied_on(
    settings: ConnectionSettings,
    identity: LedgerIdentity,
    chart: Chart,
    *,
    zones: Iterable[Number],
    groups: Iterable[Number],
    customers: NamedRecords | None,
    products: NamedRecords | None,
    before: Parts,
) -> Relied:
    """The parts of the chart that this connection relies on: by its settings, and by the product groups of its products.

    `customers` and `products` are None when nobody looked them up.
    """
    zones = list(zones)
    wanted = {str(group): group for group in chart.product_groups}
    used = {str(group) for group in groups} | {part.removeprefix(GROUP) for part in before if part.startswith(GROUP)}
    return {
        "agreement": {"company": identity.company, "type": identity.details.get("agreement_type", "not told")},
        "app": {"roles": identity.details.get("roles", "not told"), "modules": identity.details.get("modules", "none")},
        **dict(_lists(settings, chart)),
        **{f"VAT zone {zone}": _zone(chart, zone) for zone in zones},
        **{f"{GROUP}{name}": _named(chart.product_groups.get(wanted.get(name, name))) for name in sorted(used)},
        **_matrix(chart, zones, [wanted[name] for name in sorted(used) if name in wanted], before),
        **_periods(chart, before),
        **dict(_records(CUSTOMER, named_customers(settings), customers)),
        **dict(_records(PRODUCT, named_products(settings), products)),
    }


def _lists(settings: ConnectionSettings, chart: Chart) -> Iterator[tuple[str, Words | None]]:
    customers, products = settings.customers.defaults, settings.products.defaults
    terms = chart.payment_terms.get(customers.payment_terms)
    yield (
        f"payment terms {customers.payment_terms}",
        None
        if terms is None
        else {"name": terms.name, "due-date type": terms.type, "days": "none" if terms.days is None else str(terms.days)},
    )
    yield f"customer group {customers.group}", _named(chart.customer_groups.get(customers.group))
    for layout in dict.fromkeys((customers.layout, settings.invoices.layout)):
        if layout is not None:
            yield f"layout {layout}", _named(chart.layouts.get(layout))
    if products.unit is not None:
        yield f"unit {products.unit}", _named(chart.units.get(products.unit))


def _named(thing: Named | None) -> Words | None:
    return None if thing is None else {"name": thing.name, "barred": _yes(thing.barred)}


def _zone(chart: Chart, number: Number) -> Words | None:
    zone = chart.vat_zones.get(number)
    return None if zone is None else {"name": zone.name, "enabled for customers": _yes(zone.enabled)}


def _matrix(chart: Chart, zones: Iterable[Number], groups: Iterable[Number], before: Parts) -> dict[str, Words | None]:
    """Product group × VAT zone → account → code → rate: all that decides VAT."""
    found: dict[str, Words | None] = {}
    for group in groups:
        for zone in zones:
            account = chart.sales_accounts.get((group, zone))
            found[f"{CELL}{group} in VAT zone {zone}"] = (
                None
                if account is None
                else {
                    "account": str(account.number),
                    "VAT code": account.vat_code or "none",
                    "barred": _yes(account.barred),
                }
            )
    codes = {words["VAT code"] for words in found.values() if words}
    codes |= {part.removeprefix(CODE) for part in before if part.startswith(CODE)}
    for name in sorted(codes - {"none"}):
        code = chart.vat_codes.get(name)
        found[f"{CODE}{name}"] = (
            None if code is None else {"rate": f"{_number(code.rate)} %", "name": code.name, "barred": _yes(code.barred)}
        )
    return found


def _periods(chart: Chart, before: Parts) -> dict[str, Words | None]:
    found: dict[str, Words | None] = {part: None for part in before if part.startswith(PERIOD)}
    for one in chart.periods:
        found[f"{PERIOD}{one.first} to {one.last}"] = {"closed": _yes(one.closed), "barred": _yes(one.barred)}
    return found


def _records(kind: str, numbers: Mapping[str, str], records: NamedRecords | None) -> Iterator[tuple[str, Words | None]]:
    for setting, record in (records or {}).items():
        group = "none" if record is None or record.group is None else str(record.group)
        words = None if record is None else {"name": record.name, "group": group, "barred": _yes(record.barred)}
        yield f"{kind}{numbers[setting]}", words


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _number(value: Decimal) -> str:
    return f"{value.normalize():f}"
