"""Which VAT zone a buyer stands in: the decision table of reference/product.md §4.2, top-down, first match wins.

Evidence of every decision holds the row and the inputs it looked at. Goods that are shipped are taxed where they go, as
Stripe does itself: the shipping address comes before the billing address.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cloudify_pipeline.accounting.chart import Chart, Number
from cloudify_pipeline.accounting.vat import EU, OUTSIDE_DANISH_VAT, SPECIAL, number_country, special_territory, vat_country
from cloudify_pipeline.errors import Problem
from cloudify_pipeline.planning.plans import Evidence
from cloudify_pipeline.planning.records import ChargeRecord, InvoiceRecord, Raw, Record, billing_address, shipping_address
from cloudify_pipeline.settings.models import VatSettings

HOME = "DK"


@dataclass(frozen=True, slots=True)
class Buyer:
    """What the zone is decided from. `vat_number` is an EU VAT number, `verified` only by Stripe's word on that very number."""

    country: str | None
    postal_code: str | None = None
    exempt: str = "none"
    vat_number: str | None = None
    verified: bool = False
    inputs: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class ZoneDecision:
    """The ledger's zone, the kind of buyer it stands for (or `mapped`, `customer`), the row that decided, and why."""

    zone: Number
    kind: str
    rule: str
    evidence: Evidence


def decide_zone(
    source: Record | Mapping[str, Any], vat: VatSettings, chart: Chart, *, customer_zone: Number | None = None
) -> ZoneDecision | Problem:
    """The zone of an invoice, charge or Stripe customer; a problem when a person must decide.

    `customer_zone` is the zone of the buyer's ledger customer, for `vat.missing_country: customer_zone`.
    """
    buyer = buyer_of(source)
    found = _row(buyer, vat, customer_zone)
    if isinstance(found, Problem):
        return found
    wanted, rule = found
    kind = wanted if isinstance(wanted, str) and wanted in {"domestic", "eu", "abroad", "domestic_exempt"} else "mapped"
    zone: Number = getattr(vat.zones, str(wanted)) if kind != "mapped" else wanted
    known = chart.vat_zones.get(zone)
    if known is None or not known.enabled:
        state = "does not exist in the ledger" if known is None else f"({known.name}) is not enabled for customers in the ledger"
        return Problem("E-VAT-ZONE", f"VAT zone {zone} {state}; {rule}", field="vat.zones", found=str(zone))
    inputs = {"country": buyer.country or "none", "tax_exempt": buyer.exempt, **(buyer.inputs or {})}
    return ZoneDecision(zone, kind, rule, Evidence("vat_zone", f"{zone} ({known.name})", rule, inputs))


def _row(buyer: Buyer, vat: VatSettings, customer_zone: Number | None) -> tuple[Number | str, str] | Problem:
    """The zone, or the kind of zone, and the row of the table that says so."""
    if not buyer.country:
        if vat.missing_country == "customer_zone" and customer_zone is not None:
            return customer_zone, "12: no country, the customer's zone in the ledger"
        return Problem(
            "E-VAT-ZONE", "the buyer has no country, neither for shipping nor for billing", field="customer_address.country"
        )
    territory = special_territory(buyer.country, buyer.postal_code)
    if territory is None and buyer.vat_number and number_country(buyer.vat_number) == "XI":
        territory = "XI"
    for code in (territory, buyer.country):
        if code is not None and code in vat.countries:
            row = "2" if code in OUTSIDE_DANISH_VAT else "3"
            return vat.countries[code], f"{row}: vat.countries maps {code}"
    if buyer.country in OUTSIDE_DANISH_VAT:
        return "abroad", "2: Greenland and the Faroe Islands are outside Danish VAT"
    if territory is not None:
        message = f"{SPECIAL[territory]} has VAT rules of its own: write {territory} in vat.countries"
        return Problem("E-VAT-ZONE", message, field="vat.countries", found=territory)
    country = vat_country(buyer.country)
    if country == HOME:
        if buyer.exempt in {"exempt", "reverse"}:
            return "domestic_exempt", "4: Denmark, the buyer is exempt or accounts for the VAT"
        return "domestic", "5: Denmark"
    if country not in EU:
        return "abroad", "11: outside the EU"
    return _in_eu(buyer, vat)


def _in_eu(buyer: Buyer, vat: VatSettings) -> tuple[Number | str, str] | Problem:
    if buyer.vat_number is None:
        return "domestic", "9: EU buyer without a VAT number, taxed as in Denmark"
    if number_country(buyer.vat_number) == HOME:
        message = f"the buyer is in {buyer.country} and gives the Danish VAT number {buyer.vat_number}"
        return Problem("E-VAT-ID", message, field="customer_tax_ids", found=buyer.vat_number)
    if buyer.verified and number_country(buyer.vat_number) in EU:
        return "eu", "6: EU business with a verified VAT number"
    if vat.unverified_vat_number == "private":
        return "domestic", "7: the VAT number is not verified, taxed as a private buyer"
    message = f"VAT number {buyer.vat_number} is not verified by Stripe"
    return Problem("E-VAT-ID", message, field="customer_tax_ids", found=buyer.vat_number)


def buyer_of(source: Record | Mapping[str, Any]) -> Buyer:
    """The buyer of an invoice as it was frozen, of a charge, or a Stripe customer as it is today."""
    if isinstance(source, InvoiceRecord):
        ids = _pairs(source.invoice.get("customer_tax_ids"))
        exempt = source.invoice.get("customer_tax_exempt")
        return _buyer(shipping_address(source), billing_address(source), exempt, ids, source.customer)
    if isinstance(source, ChargeRecord):
        customer = source.customer or {}
        billing = billing_address(source)
        billing = billing if billing.get("country") else customer.get("address") or {}
        ids = _pairs(_data(customer.get("tax_ids")))
        return _buyer(shipping_address(source), billing, customer.get("tax_exempt"), ids, source.customer)
    shipping = (source.get("shipping") or {}).get("address") or {}
    return _buyer(shipping, source.get("address") or {}, source.get("tax_exempt"), _pairs(_data(source.get("tax_ids"))), source)


def _buyer(shipping: Raw, billing: Raw, exempt: Any, ids: list[tuple[str, str]], customer: Raw | None) -> Buyer:
    place = shipping if shipping.get("country") else billing
    numbers = [value for kind, value in ids if kind == "eu_vat"]
    verified = [value for value in numbers if _is_verified(value, customer)]
    number = next(iter(verified or numbers), None)
    inputs = {
        "ship_to": str(shipping.get("country") or "none"),
        "bill_to": str(billing.get("country") or "none"),
        "vat_number": number or "none",
        "verified": "yes" if verified else "no",
    }
    country = str(place["country"]).strip().upper() if place.get("country") else None
    return Buyer(country, place.get("postal_code"), str(exempt or "none"), number, bool(verified), inputs)


def _is_verified(number: str, customer: Raw | None) -> bool:
    """Stripe's verification stands on the customer's tax id; the invoice only repeats the number."""
    for tax_id in _data((customer or {}).get("tax_ids")):
        if tax_id.get("type") == "eu_vat" and _plain(tax_id.get("value")) == _plain(number):
            return bool((tax_id.get("verification") or {}).get("status") == "verified")
    return False


def _plain(number: Any) -> str:
    return str(number or "").replace(" ", "").upper()


def _pairs(ids: Any) -> list[tuple[str, str]]:
    return [(str(one.get("type")), str(one["value"])) for one in ids or () if one.get("value")]


def _data(listed: Any) -> list[Raw]:
    return list((listed or {}).get("data") or ()) if isinstance(listed, Mapping) else list(listed or ())
