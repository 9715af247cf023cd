"""Which VAT zone a buyer stands in: the decision table of reference/product.md §4.2, top-down, first match wins.

Evidence of every decision, and of every hold, keeps the row, the inputs it looked at, the proof of the VAT number and the
day. Rows 4 and 5 ask for the territory first (row 10): an address in one never counts as its mother country.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from cloudify_pipeline.accounting.chart import Chart, Number
from cloudify_pipeline.accounting.vat import (
    EU,
    OUTSIDE_DANISH_VAT,
    SPECIAL,
    number_country,
    number_fault,
    plain_postal_code,
    special_territory,
    vat_country,
)
from cloudify_pipeline.accounting.vat_evidence import Known
from cloudify_pipeline.errors import Problem
from cloudify_pipeline.planning.matching import text_at
from cloudify_pipeline.planning.plans import Evidence
from cloudify_pipeline.planning.records import ChargeRecord, InvoiceRecord, Record
from cloudify_pipeline.planning.vat_buyers import Buyer, Claim, buyer_of, claims_of
from cloudify_pipeline.settings.models import VatSettings

HOME = "DK"
NORTHERN_IRELAND = "XI"
ZoneKind = Literal["domestic", "eu", "abroad", "domestic_exempt", "oss", "mapped", "customer"]
_KINDS: tuple[Literal["domestic", "eu", "abroad", "domestic_exempt"], ...] = ("domestic", "eu", "abroad", "domestic_exempt")
RuleZone = tuple[Number | str, str]
"""The zone or kind of zone that an invoice rule gives, and the rule's name."""


@dataclass(frozen=True, slots=True)
class _Found:
    """The zone, or the kind of zone, and the row of the table that says so. `kind` where the number does not tell it."""

    zone: Number | str
    rule: str
    kind: ZoneKind | None = None


_PROVEN = _Found("eu", "6: EU business with a verified VAT number")


@dataclass(frozen=True, slots=True)
class ZoneDecision:
    """The ledger's zone, the kind of buyer it stands for (or `mapped`, `customer`), the row that decided, and why.

    `place` is the country, or special territory, whose VAT it is about; None where the buyer has none.
    """

    zone: Number
    kind: ZoneKind
    rule: str
    evidence: Evidence
    place: str | None = None


def decide_zone(
    source: Record | Mapping[str, Any],
    vat: VatSettings,
    chart: Chart,
    *,
    customer_zone: Number | None = None,
    rule_zone: RuleZone | None = None,
    vat_numbers: Known | None = None,
) -> ZoneDecision | Problem:
    """The zone of an invoice, charge or Stripe customer; a problem when a person must decide.

    `customer_zone` is the zone of the buyer's ledger customer, for `vat.missing_country: customer_zone`. `vat_numbers` is what
    is known of a Stripe customer's VAT numbers; an invoice or charge brings that itself.
    """
    buyer = buyer_of(source, vat.supply_default, vat_numbers)
    found = _overridden(source, vat, rule_zone) or _row(buyer, vat, customer_zone)
    if isinstance(found, Problem):
        return found
    zone, kind = _named(found, vat)
    zone, rule = _number(zone, chart), found.rule
    known = chart.vat_zones.get(zone)
    if known is None or not known.enabled:
        state = "does not exist in the ledger" if known is None else f"({known.name}) is not enabled for customers in the ledger"
        return Problem("E-VAT-ZONE", f"VAT zone {zone} {state}; {rule}", field="vat.zones", found=str(zone))
    evidence = Evidence("vat_zone", f"{zone} ({known.name})", rule, zone_inputs(buyer))
    return ZoneDecision(zone, kind, rule, evidence, place_of(buyer))


def is_overridden(source: Record, vat: VatSettings, rule_zone: RuleZone | None) -> bool:
    """Whether row 1 decides: Stripe's own word or the invoice rule's, which comes before the customer's zone in the ledger."""
    return _overridden(source, vat, rule_zone) is not None


def claims_to_prove(source: Record | Mapping[str, Any], vat: VatSettings, rule_zone: RuleZone | None = None) -> list[Claim]:
    """The VAT numbers whose proof decides the zone: row 6, or 3 for EU businesses, is reached, and only proof is missing."""
    claims = claims_of(source)
    if not claims or _overridden(source, vat, rule_zone) is not None:
        return []
    buyer = buyer_of(source, vat.supply_default)
    with_proof = ((one, replace(buyer, vat_number=one.value, verified=True, fault=number_fault(one.value))) for one in claims)
    return [one for one, proven in with_proof if _can_be_proven(proven) and _is_eu(_row(proven, vat, None), vat)]


def held_zone(
    source: Record | Mapping[str, Any], vat: VatSettings, problem: Problem, vat_numbers: Known | None = None
) -> Evidence:
    """The evidence of a record that waits because of its zone: the same inputs, and the problem instead of a row."""
    inputs = zone_inputs(buyer_of(source, vat.supply_default, vat_numbers))
    return Evidence("vat_zone", "held", f"{problem.code}: {problem.message}", inputs)


def zone_inputs(buyer: Buyer) -> dict[str, str]:
    """Everything that was looked at."""
    return {"country": buyer.country or "none", "tax_exempt": buyer.exempt, **buyer.inputs}


def place_of(buyer: Buyer) -> str | None:
    """The territory or country that the buyer's address lies in. A Northern Irish VAT number tells where no postal code does."""
    if not buyer.country:
        return None
    territory = special_territory(buyer.country, buyer.postal_code, buyer.city)
    irish = buyer.vat_number is not None and number_country(buyer.vat_number) == NORTHERN_IRELAND
    if territory is None and buyer.country == "GB" and not buyer.postal_code and irish:
        return NORTHERN_IRELAND
    return territory or buyer.country


def _overridden(source: Record | Mapping[str, Any], vat: VatSettings, rule_zone: RuleZone | None) -> _Found | None:
    """Row 1: the first path of `vat.zone_from` that has a value, then the zone of the invoice rule."""
    customer: Any = source
    record: Mapping[str, Any] = {}
    if isinstance(source, InvoiceRecord | ChargeRecord):
        customer = source.customer
        record = source.invoice if isinstance(source, InvoiceRecord) else source.as_invoice()
    for path in vat.zone_from:
        wanted = text_at({**record, "customer": customer}, path)
        if wanted:
            return _Found(wanted, f"1: {path} in Stripe says {wanted}")
    return _Found(rule_zone[0], f"1: {rule_zone[1]}") if rule_zone else None


def _named(found: _Found, vat: VatSettings) -> tuple[Number, ZoneKind]:
    """The zone's number, and what kind of buyer it is for. A number that one kind alone has counts as that kind."""
    wanted = found.zone
    word = next((kind for kind in _KINDS if wanted == kind), None)
    if word is not None:
        return getattr(vat.zones, word), word
    return wanted, found.kind or kind_of(wanted, vat)


def kind_of(zone: Number, vat: VatSettings) -> ZoneKind:
    """The kind of buyer that `zone` alone is for, or `mapped`."""
    kinds = [kind for kind in _KINDS if str(getattr(vat.zones, kind)) == str(zone)]
    return kinds[0] if len(kinds) == 1 else "mapped"


def _number(zone: Number, chart: Chart) -> Number:
    """`zone` as the ledger has it: metadata and YAML may hold a number as text."""
    if zone not in chart.vat_zones and isinstance(zone, str) and zone.isdecimal() and int(zone) in chart.vat_zones:
        return int(zone)
    return zone


def _row(buyer: Buyer, vat: VatSettings, customer_zone: Number | None) -> _Found | Problem:
    place = place_of(buyer)
    if not buyer.country or place is None:
        if vat.missing_country == "customer_zone" and customer_zone is not None:
            return _Found(customer_zone, "12: no country, the customer's zone in the ledger", "customer")
        return Problem(
            "E-VAT-ZONE", "the buyer has no country, neither for shipping nor for billing", field="customer_address.country"
        )
    mapped = _mapped(buyer, place, vat)
    if mapped is not None:
        return _mapped_unproven(buyer, mapped, vat) or mapped
    if place in OUTSIDE_DANISH_VAT:
        return _Found("abroad", "2: Greenland and the Faroe Islands are outside Danish VAT")
    if place == NORTHERN_IRELAND and vat.supply_default == "services":
        return _Found("abroad", "11: outside the EU; Northern Ireland counts as the EU for goods alone")
    if place in SPECIAL and not (place == NORTHERN_IRELAND and vat.supply_default == "goods"):
        message = f"{SPECIAL[place]} has VAT rules of its own: write {place} in vat.countries"
        return Problem("E-VAT-ZONE", message, field="vat.countries", found=place)
    if vat_country(place) == HOME:
        return _at_home(buyer)
    if vat_country(place) not in EU and place != NORTHERN_IRELAND:
        return _Found("abroad", "11: outside the EU")
    return _in_eu(buyer, vat_country(place), vat)


def _mapped(buyer: Buyer, place: str, vat: VatSettings) -> _Found | None:
    """Rows 2 and 3. The most exact key wins: postal codes, longest first, then the territory, then the country."""
    countries = {key.upper(): (key, zone) for key, zone in vat.countries.items()}
    postal = plain_postal_code(str(buyer.country), buyer.postal_code)
    longest_first = (f"{buyer.country}-{postal[:length]}" for length in range(len(postal), 0, -1))
    for code in (*longest_first, place):
        if code in countries:
            key, zone = countries[code]
            return _Found(zone, f"{2 if place in OUTSIDE_DANISH_VAT else 3}: vat.countries maps {key}")
    return None


def _at_home(buyer: Buyer) -> _Found | Problem:
    number = buyer.vat_number
    if number is not None and number_country(number) == HOME and buyer.fault and (buyer.fault == "form" or not buyer.verified):
        return _faulty(buyer, "a CVR number has 8 digits, the last of which is a check digit (modulus 11)")
    if buyer.exempt in {"exempt", "reverse"}:
        return _Found("domestic_exempt", "4: Denmark, the buyer is exempt or accounts for the VAT")
    return _Found("domestic", "5: Denmark")


def _in_eu(buyer: Buyer, place: str, vat: VatSettings) -> _Found | Problem:
    number = buyer.vat_number
    if number is None:
        return _private(buyer, place, vat, "")
    issued = number_country(number)
    if buyer.fault == "form" or issued not in EU | {NORTHERN_IRELAND}:
        return _faulty(buyer, "its prefix, length or signs are no EU VAT number's")
    if issued == HOME:
        message = f"the buyer is in {buyer.country} and gives the Danish VAT number {number}"
        return Problem("E-VAT-ID", message, field="customer_tax_ids", found=number)
    if issued == NORTHERN_IRELAND and vat.supply_default != "goods":
        message = f"VAT number {number} is Northern Irish and counts for goods alone; vat.supply_default does not say goods"
        return Problem("E-VAT-ID", message, field="customer_tax_ids", found=number)
    return _PROVEN if buyer.verified else _unproven(buyer, place, vat)


def _unproven(buyer: Buyer, place: str, vat: VatSettings) -> _Found | Problem:
    """Row 7."""
    number = buyer.vat_number
    doubted = Problem("E-VAT-ID", f"VAT number {number}: {buyer.doubt}", field="customer_tax_ids", found=number)
    if buyer.open:
        # A business is not taxed as a private buyer because a register is out of order, or its proof is old.
        return doubted
    if vat.unverified_vat_number == "private":
        return _private(buyer, place, vat, "7: the VAT number is not verified, taxed as a private buyer")
    if buyer.doubt is not None:
        return doubted
    if buyer.fault is not None:
        return _faulty(buyer, f"its {buyer.fault} is wrong, and Stripe has not verified it")
    message = f"VAT number {number} is not verified by Stripe"
    return Problem("E-VAT-ID", message, field="customer_tax_ids", found=number)


def _can_be_proven(buyer: Buyer) -> bool:
    """Whether its number is, as it is written, another member state's."""
    issued = number_country(buyer.vat_number or "")
    return buyer.fault != "form" and issued != HOME and issued in EU | {NORTHERN_IRELAND}


def _is_eu(found: _Found | Problem, vat: VatSettings) -> bool:
    return isinstance(found, _Found) and _named(found, vat)[1] == "eu"


def _mapped_unproven(buyer: Buyer, mapped: _Found, vat: VatSettings) -> Problem | None:
    """A country that is mapped to the zone for EU businesses proves no number; what is wrong with one is checked later."""
    number = buyer.vat_number
    if number is None or buyer.verified or not _can_be_proven(buyer) or not _is_eu(mapped, vat):
        return None
    doubt = buyer.doubt or "not verified by Stripe"
    return Problem("E-VAT-ID", f"VAT number {number}: {doubt}; {mapped.rule}", field="customer_tax_ids", found=number)


def _private(buyer: Buyer, place: str, vat: VatSettings, row: str) -> _Found | Problem:
    """Rows 8 and 9: VAT of the buyer's country where the One Stop Shop is in use, Danish VAT where it is not."""
    oss = vat.oss
    begun = oss.from_ is None or buyer.on is None or buyer.on >= oss.from_
    if not oss.zones or not begun:
        return _Found("domestic", row or "9: EU buyer without a VAT number, taxed as in Denmark")
    zone = {key.upper(): zone for key, zone in oss.zones.items()}.get(place)
    if zone is None:
        message = f"the One Stop Shop is in use, and vat.oss.zones has no zone for {place}"
        return Problem("E-VAT-ZONE", message, field="vat.oss.zones", found=place)
    return _Found(zone, f"{row or '8: EU buyer without a VAT number'}; One Stop Shop, VAT of {place}", "oss")


def _faulty(buyer: Buyer, why: str) -> Problem:
    message = f"VAT number {buyer.vat_number} cannot be right: {why}"
    return Problem("E-VAT-ID", message, field="customer_tax_ids", found=buyer.vat_number)
