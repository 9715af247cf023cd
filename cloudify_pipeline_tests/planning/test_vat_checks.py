"""The sanity checks of §4.3 on zones, numbers and rates: for each a sale that fails and one that passes."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from cloudify_pipeline.planning.plans import Hold, PlannedCustomer, PlannedDocument
from cloudify_pipeline.planning.records import InvoiceRecord
from cloudify_pipeline_tests.planning.books import (
    ABROAD,
    DOMESTIC,
    EU,
    EXEMPT,
    PLANNED_CUSTOMER,
    RATES,
    line,
    plan,
    record,
    settings,
    tax,
)

DK, DE, US = ({"country": country} for country in ("DK", "DE", "US"))
TAXED = line(10000, unit=10000, taxes=[tax(2500, 10000)])
FREE = line(10000, unit=10000)
DE_NUMBER = [{"type": "eu_vat", "value": "DE136695976"}]


def sale(*lines: dict[str, Any], rates: dict[str, Any] | None = None, **more: Any) -> InvoiceRecord:
    made = record(lines, **more)
    numbers = [{**one, "verification": {"status": "verified"}} for one in more.get("customer_tax_ids", ())]
    customer = {"id": "cus_1", "name": "A", "tax_ids": {"object": "list", "data": numbers}}
    return replace(made, customer=customer, tax_rates={**RATES, **(rates or {})})


def shipped(amount: int, vat: int, rate: str = "txr_25") -> dict[str, Any]:
    taxes = [tax(vat, amount, rate=rate)] if vat else []
    return {"shipping_cost": {"amount_subtotal": amount, "amount_tax": vat, "amount_total": amount + vat, "taxes": taxes}}


def of(country: str, rate: int) -> dict[str, Any]:
    return {"txr_25": {"id": "txr_25", "percentage": Decimal(rate), "inclusive": False, "country": country}}


CHECKS: list[tuple[str, dict[str, Any], InvoiceRecord, str, InvoiceRecord]] = [
    (
        "2: a Dane without VAT, and without a reason",
        {"countries": {"DK": "domestic_exempt"}},
        sale(FREE, customer_address=DK),
        "E-VAT-ZONE",
        sale(FREE, customer_address=DK, customer_tax_exempt="exempt"),
    ),
    (
        "3: the EU zone without a VAT number",
        {"countries": {"DE": "eu"}},
        sale(FREE, customer_address=DE),
        "E-VAT-ID",
        sale(FREE, customer_address=DE, customer_tax_ids=DE_NUMBER),
    ),
    (
        "4: the EU zone with a Dane",
        {"countries": {"DK": "eu", "DE": "eu"}},
        sale(FREE, customer_address=DK, customer_tax_ids=DE_NUMBER),
        "E-VAT-ZONE",
        sale(FREE, customer_address=DE, customer_tax_ids=DE_NUMBER),
    ),
    (
        "4: abroad with an EU country",
        {"countries": {"DE": "abroad", "US": "abroad"}},
        sale(FREE, customer_address=DE),
        "E-VAT-ZONE",
        sale(FREE, customer_address=US),
    ),
    (
        "5: VAT charged where the zone gives none",
        {},
        sale(TAXED, customer_address=US),
        "E-VAT-RATE",
        sale(FREE, customer_address=US),
    ),
    (
        "6: no VAT charged where the zone gives 25 %",
        {},
        sale(FREE, customer_address=DE),
        "E-VAT-RATE",
        sale(TAXED, customer_address=DE),
    ),
    (
        "9: VAT of another country at the same rate",
        {},
        sale(TAXED, customer_address=DK, rates=of("SE", 25)),
        "E-VAT-RATE",
        sale(TAXED, customer_address=DK, rates=of("DK", 25)),
    ),
    (
        "10: shipping without the VAT of what is shipped",
        {},
        sale(TAXED, customer_address=DK, **shipped(2000, 0)),
        "E-VAT-RATE",
        sale(TAXED, customer_address=DK, **shipped(2000, 500)),
    ),
]


@pytest.mark.parametrize(("check", "vat", "fails", "code", "passes"), CHECKS, ids=[one[0] for one in CHECKS])
def test_a_check_holds_what_fails_it_and_lets_pass_what_does_not(
    check: str, vat: dict[str, Any], fails: InvoiceRecord, code: str, passes: InvoiceRecord
) -> None:
    connection = settings(products={"no_product": "NONE"}, vat=vat)
    held = plan(fails, connection)
    assert isinstance(held, Hold), check
    assert held.problem.code == code
    assert isinstance(plan(passes, connection), PlannedDocument), check


def test_shipping_that_is_free_of_vat_is_held_although_the_ledger_agrees() -> None:
    free = settings(products={"no_product": "ROUND"})
    held = plan(sale(TAXED, customer_address=DK, **shipped(2000, 0)), free)
    assert isinstance(held, Hold)
    assert held.problem.message == "shipping is taxed at 0 %, and what is shipped at 25 %"
    assert isinstance(plan(sale(FREE, customer_address=US, **shipped(2000, 0)), free), PlannedDocument)


def test_a_line_that_is_given_away_is_not_what_shipping_follows() -> None:
    gift = line(5000, id="il_2", discount_amounts=[{"amount": 5000, "discount": "di"}])
    done = plan(sale(TAXED, gift, customer_address=DK, **shipped(2000, 500)), settings(products={"no_product": "NONE"}))
    assert isinstance(done, PlannedDocument), done


@pytest.mark.parametrize(
    ("zone", "sold", "warned"),
    [
        (EU, sale(FREE, customer_address=DK), "a Danish buyer in the zone for EU businesses"),
        (EU, sale(FREE, customer_address=DE), "needs the buyer's VAT number"),
        (EU, sale(FREE, customer_address=DE, customer_tax_ids=DE_NUMBER), ""),
        (ABROAD, sale(FREE, customer_address=DE), "a buyer in DE in the zone for buyers outside the EU"),
        (ABROAD, sale(FREE, customer_address=US), ""),
        (EXEMPT, sale(FREE, customer_address=DK), "no exemption"),
        (EXEMPT, sale(FREE, customer_address=DK, customer_tax_exempt="exempt"), ""),
        (DOMESTIC, sale(TAXED, customer_address=DE), ""),
    ],
)
def test_the_zone_that_the_customer_has_in_the_ledger_is_kept_with_a_warning(zone: int, sold: InvoiceRecord, warned: str) -> None:
    own = settings(customers={"defaults": {"payment_terms": 1, "group": 1, "vat_zone": DOMESTIC}})
    customer: PlannedCustomer = replace(PLANNED_CUSTOMER, vat_zone=zone)
    done = plan(sold, own, customer=customer)
    assert isinstance(done, PlannedDocument), done
    assert done.document.vat_zone == zone
    warnings = [one.rule for one in done.evidence if one.decision == "vat_check"]
    assert len(warnings) == bool(warned)
    assert all(warned in one for one in warnings)
    (zoned,) = [one for one in done.evidence if one.decision == "vat_zone"]
    assert zoned.inputs["default"] == "1"
    assert zoned.inputs["bill_to"] in {"DK", "DE", "US"}


def test_a_word_in_stripe_comes_before_the_customers_own_zone() -> None:
    own = settings(
        customers={"defaults": {"payment_terms": 1, "group": 1, "vat_zone": ABROAD}}, vat={"zone_from": ["metadata.zone"]}
    )
    done = plan(sale(FREE, customer_address=DK, metadata={"zone": "domestic_exempt"}), own)
    assert isinstance(done, PlannedDocument), done
    assert done.document.vat_zone == EXEMPT
    kept = plan(sale(TAXED, customer_address=DK), own)
    assert isinstance(kept, PlannedDocument), kept
    assert kept.document.vat_zone == PLANNED_CUSTOMER.vat_zone


def test_a_document_that_is_held_for_another_reason_keeps_its_zone_in_the_evidence() -> None:
    held = plan(sale(FREE, customer_address=US, currency="pln"))
    assert isinstance(held, Hold)
    assert held.problem.code == "E-CURRENCY"
    assert [one.outcome for one in held.evidence if one.decision == "vat_zone"] == ["3 (Abroad)"]


def test_a_failed_check_stands_in_the_evidence_behind_the_decision() -> None:
    held = plan(sale(FREE, customer_address=DE), settings(vat={"countries": {"DE": "eu"}}))
    assert isinstance(held, Hold)
    decided, failed = (one for one in held.evidence if one.decision.startswith("vat_"))
    assert (decided.outcome, decided.rule) == ("2 (EU)", "3: vat.countries maps DE")
    assert (failed.outcome, failed.inputs["code"]) == ("held", "E-VAT-ID")
    assert failed.rule == held.problem.message
