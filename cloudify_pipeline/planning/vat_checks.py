"""Sanity checks of a zone that is already decided (reference/product.md §4.3): what no override may bring about.

The zone may come from the settings, an invoice rule or metadata; the law does not. Where the zone is the ledger customer's
own, it is the bookkeeper's word: the same findings are then kept as warnings in the evidence.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from cloudify_pipeline.accounting.chart import Chart
from cloudify_pipeline.accounting.vat import EU, SPECIAL, number_country, vat_country
from cloudify_pipeline.accounting.vat_rates import outdated_rate, standard_rate
from cloudify_pipeline.errors import Problem
from cloudify_pipeline.planning.plans import Evidence
from cloudify_pipeline.planning.records import InvoiceRecord, Raw, Record, sold
from cloudify_pipeline.planning.vat import (
    HOME,
    NORTHERN_IRELAND,
    RuleZone,
    ZoneDecision,
    ZoneKind,
    decide_zone,
    held_zone,
    kind_of,
    place_of,
    zone_inputs,
)
from cloudify_pipeline.planning.vat_buyers import Buyer, buyer_of
from cloudify_pipeline.settings.models import ConnectionSettings, VatSettings

_TAXED = frozenset({"standard_rated", "reduced_rated", "portion_standard_rated", "portion_reduced_rated"})


def checked_zone(
    record: Record, decided: ZoneDecision | Problem, vat: VatSettings, evidence: list[Evidence]
) -> ZoneDecision | Problem:
    """`decided`, or the first check that it fails; what was decided, and why not, is added to `evidence`."""
    if isinstance(decided, Problem):
        evidence.append(held_zone(record, vat, decided))
        return decided
    buyer = buyer_of(record, vat.supply_default)
    found = list(zone_problems(record, decided, buyer, vat))
    evidence.append(replace(decided.evidence, inputs={**decided.evidence.inputs, **zone_inputs(buyer)}))
    if decided.kind == "customer":
        evidence += [Evidence("vat_check", "warning", one.message, {"code": one.code}) for one in found]
        return decided
    if found:
        evidence.append(Evidence("vat_check", "held", found[0].message, {"code": found[0].code}))
        return found[0]
    return decided


def zone_of_held(record: Record, settings: ConnectionSettings, chart: Chart, rule_zone: RuleZone | None) -> list[Evidence]:
    """The VAT evidence of a document that is held before its zone is asked for: it is kept for every document."""
    if settings.customers.defaults.vat_zone != "auto":
        return []
    decided = decide_zone(record, settings.vat, chart, rule_zone=rule_zone)
    return [held_zone(record, settings.vat, decided) if isinstance(decided, Problem) else decided.evidence]


def zone_problems(record: Record, decided: ZoneDecision, buyer: Buyer, vat: VatSettings) -> Iterator[Problem]:
    """Every check of §4.3 that concerns zone, number and the country of a rate, and fails. The numbers are §4.3's."""
    kind = kind_of(decided.zone, vat) if decided.kind == "customer" else decided.kind
    place = place_of(buyer)
    yield from _exemption(decided, kind, buyer, place)
    yield from _eu_zone(kind, buyer, place)
    yield from _abroad(kind, place)
    sale = sold(record)
    if isinstance(sale, InvoiceRecord):
        taxes = list(_taxes(sale))
        yield from _foreign_rate(kind, buyer, place, taxes)
        yield from _shipping(taxes)


def charged_by(record: Record) -> str | None:
    """The country whose VAT Stripe charged; None where there was none, where no rate names one, and where there are several."""
    sale = sold(record)
    if not isinstance(sale, InvoiceRecord):
        return None
    found = {tax.country for tax in _taxes(sale) if tax.charged and tax.country is not None}
    return found.pop() if len(found) == 1 else None


def _exemption(decided: ZoneDecision, kind: ZoneKind, buyer: Buyer, place: str | None) -> Iterator[Problem]:
    """2: a Danish buyer without VAT needs a reason of its own: Stripe's tax_exempt, metadata or an invoice rule."""
    if kind == "domestic_exempt" and place == HOME and buyer.exempt == "none" and not decided.rule.startswith("1:"):
        message = "a Danish buyer in the zone without VAT, and no exemption: tax_exempt is none in Stripe"
        yield Problem("E-VAT-ZONE", message, field="customer_tax_exempt", found=buyer.exempt)


def _eu_zone(kind: ZoneKind, buyer: Buyer, place: str | None) -> Iterator[Problem]:
    """3 and 4: the zone without Danish VAT for EU businesses, with no number to show for it, or for a Dane."""
    if kind != "eu":
        return
    if place == HOME:
        yield Problem("E-VAT-ZONE", "a Danish buyer in the zone for EU businesses", field="vat.zones.eu", found=HOME)
    elif buyer.vat_number is None:
        message = "the zone for EU businesses needs the buyer's VAT number, and the invoice has none"
        yield Problem("E-VAT-ID", message, field="customer_tax_ids")
    elif number_country(buyer.vat_number) == HOME:
        message = f"the zone for EU businesses, and the VAT number {buyer.vat_number} is Danish"
        yield Problem("E-VAT-ID", message, field="customer_tax_ids", found=buyer.vat_number)
    elif buyer.fault == "form" or number_country(buyer.vat_number) not in EU | {NORTHERN_IRELAND}:
        message = f"VAT number {buyer.vat_number} cannot be right: its prefix, length or signs are no EU VAT number's"
        yield Problem("E-VAT-ID", message, field="customer_tax_ids", found=buyer.vat_number)


def _abroad(kind: ZoneKind, place: str | None) -> Iterator[Problem]:
    """4: an EU buyer, or a Dane, in the zone for exports."""
    if kind == "abroad" and place is not None and place not in SPECIAL and vat_country(place) in EU:
        yield Problem("E-VAT-ZONE", f"a buyer in {place} in the zone for buyers outside the EU", "vat.zones.abroad", place)


@dataclass(frozen=True, slots=True)
class _Tax:
    """A tax that Stripe charged, or would have: `country` and `rate` are its tax rate's, None where unknown."""

    rate: Decimal | None
    country: str | None
    charged: bool
    shipping: bool


def _taxes(record: InvoiceRecord) -> Iterator[_Tax]:
    """Of every line that costs something, and of shipping."""
    for line in record.lines:
        given = sum(int(one.get("amount") or 0) for one in line.get("discount_amounts") or ())
        if int(line.get("amount") or 0) != given:
            yield from _of(line, record, shipping=False)
    shipping = record.invoice.get("shipping_cost") or {}
    if shipping.get("amount_total"):
        yield from _of(shipping, record, shipping=True)


def _of(line: Raw, record: InvoiceRecord, *, shipping: bool) -> Iterator[_Tax]:
    taxes = line.get("taxes") or ()
    if not taxes:
        charged = bool(line.get("amount_tax"))
        yield _Tax(None if charged else Decimal(0), None, charged, shipping)
    for tax in taxes:
        rate = record.tax_rates.get(str((tax.get("tax_rate_details") or {}).get("tax_rate"))) or {}
        charged = bool(tax.get("amount"))
        known = rate.get("percentage") if charged or tax.get("taxability_reason") in _TAXED else 0
        country = str(rate["country"]).upper() if rate.get("country") else None
        # Several taxes on one line (American ones) are no rate that could be compared.
        yield _Tax(None if known is None or len(taxes) > 1 else Decimal(str(known)), country, charged, shipping)


def _foreign_rate(kind: ZoneKind, buyer: Buyer, place: str | None, taxes: list[_Tax]) -> Iterator[Problem]:
    """5, 6, 9 and 12: VAT of another country than the zone declares it in, although the percentage may agree by accident."""
    where = vat_country(place) if place is not None else None
    countries: dict[ZoneKind, set[str | None]] = {"domestic": {HOME}, "oss": {where}, "mapped": {HOME, where}}
    allowed = countries.get(kind, set())
    for tax in taxes:
        if not tax.charged or tax.country is None:
            continue
        if tax.country not in allowed:
            shown = "" if tax.rate is None else f"{tax.rate.normalize():f} % "
            message = f"Stripe charged {shown}VAT of {tax.country}, and the zone is for " + _meaning(kind, where)
            yield Problem("E-VAT-RATE", message, field="tax_rate.country", found=tax.country)
            return
    if kind == "oss" and where is not None and buyer.on is not None:
        for tax in taxes:
            standard = standard_rate(where, buyer.on)
            if not tax.charged or tax.rate is None or standard is None:
                continue
            if tax.rate > standard or outdated_rate(where, tax.rate, buyer.on):
                message = f"Stripe charged {tax.rate.normalize():f} % VAT; {where} has {standard:f} % on {buyer.on.isoformat()}"
                yield Problem("E-VAT-RATE", message, field="tax_rate.percentage", found=str(tax.rate))
                return


def _meaning(kind: ZoneKind, where: str | None) -> str:
    words = {"domestic": "Danish VAT", "oss": f"VAT of {where}", "mapped": f"VAT of {HOME} or {where}"}
    return words.get(kind, "sales without VAT")


def _shipping(taxes: list[_Tax]) -> Iterator[Problem]:
    """10: what is delivered and its delivery are one supply, at one rate; with several rates, at one of them."""
    rates = {tax.rate for tax in taxes if not tax.shipping}
    for tax in taxes:
        if tax.shipping and None not in rates and rates and tax.rate is not None and tax.rate not in rates:
            goods = ", ".join(f"{rate.normalize():f} %" for rate in sorted(one for one in rates if one is not None))
            message = f"shipping is taxed at {tax.rate.normalize():f} %, and what is shipped at {goods}"
            yield Problem("E-VAT-RATE", message, field="shipping_cost.taxes", found=str(tax.rate))
            return
