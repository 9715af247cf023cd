from dataclasses import replace
from typing import Any

import pytest

from cloudify_pipeline.errors import Problem
from cloudify_pipeline.planning.vat import decide_zone
from cloudify_pipeline_tests.planning.books import ABROAD, CHART, DOMESTIC, EU, EXEMPT, charge, record, settings

DE_NUMBER = ("DE123456789", "verified")


def buyer(country: str | None, **more: Any) -> Any:
    """An invoice whose buyer bills in `country`; `number` is an EU VAT number with Stripe's word on it."""
    number, ship, postal = more.pop("number", None), more.pop("ship", None), more.pop("postal", None)
    shipping = {"address": {"country": ship}} if ship else None
    address = {"country": country, "postal_code": postal} if country else None
    ids = [{"type": "eu_vat", "value": number[0]}] if number else []
    made = record([], customer_address=address, customer_shipping=shipping, customer_tax_ids=ids, **more)
    data = [{"type": "eu_vat", "value": number[0], "verification": {"status": number[1]}}] if number else []
    return replace(made, customer={"id": "cus_1", "tax_ids": {"object": "list", "data": data}})


CASES: list[tuple[str, dict[str, Any], dict[str, Any], int | str, str]] = [
    ("DK", {}, {}, DOMESTIC, "5"),
    ("DK", {"number": ("DK12345674", "verified")}, {}, DOMESTIC, "5"),
    ("DK", {"customer_tax_exempt": "exempt"}, {}, EXEMPT, "4"),
    ("DK", {"customer_tax_exempt": "reverse"}, {}, EXEMPT, "4"),
    ("GL", {}, {}, ABROAD, "2"),
    ("FO", {}, {}, ABROAD, "2"),
    ("GL", {"customer_tax_exempt": "exempt"}, {}, ABROAD, "2"),
    ("DK", {"ship": "GL"}, {}, ABROAD, "2"),
    ("GL", {"ship": "DK"}, {}, DOMESTIC, "5"),
    ("GL", {}, {"countries": {}}, ABROAD, "2"),
    ("GL", {}, {"countries": {"GL": 4}}, EXEMPT, "2"),
    ("SE", {}, {"countries": {"SE": 4}}, EXEMPT, "3"),
    ("SE", {}, {"countries": {"SE": "eu"}}, EU, "3"),
    ("DE", {"number": DE_NUMBER}, {}, EU, "6"),
    ("DE", {"number": ("DE123456789", "unverified")}, {}, "E-VAT-ID", ""),
    ("DE", {"number": ("DE123456789", "pending")}, {}, "E-VAT-ID", ""),
    ("DE", {"number": ("DE123456789", "unverified")}, {"unverified_vat_number": "private"}, DOMESTIC, "7"),
    ("GR", {"number": ("EL123456789", "verified")}, {}, EU, "6"),
    ("DE", {"number": ("FR40303265045", "verified")}, {}, EU, "6"),
    ("DE", {"number": ("DK12345674", "verified")}, {}, "E-VAT-ID", ""),
    ("DE", {}, {}, DOMESTIC, "9"),
    ("SE", {}, {}, DOMESTIC, "9"),
    ("MC", {}, {}, DOMESTIC, "9"),
    ("US", {}, {}, ABROAD, "11"),
    ("NO", {}, {}, ABROAD, "11"),
    ("GB", {}, {}, ABROAD, "11"),
    ("CH", {"number": DE_NUMBER}, {}, ABROAD, "11"),
    ("GB", {"number": ("XI123456789", "verified")}, {}, "E-VAT-ZONE", ""),
    ("GB", {"postal": "BT1 5GS"}, {}, "E-VAT-ZONE", ""),
    ("GB", {"postal": "BT1 5GS"}, {"countries": {"XI": "eu"}}, EU, "3"),
    ("FI", {"postal": "22100"}, {}, "E-VAT-ZONE", ""),
    ("AX", {}, {"countries": {"AX": "abroad"}}, ABROAD, "3"),
    ("ES", {"postal": "35001"}, {}, "E-VAT-ZONE", ""),
    ("ES", {"postal": "28001"}, {}, DOMESTIC, "9"),
    ("DK", {"ship": "US"}, {}, ABROAD, "11"),
    (None, {"ship": "NO"}, {}, ABROAD, "11"),  # type: ignore[list-item]
    (None, {}, {}, "E-VAT-ZONE", ""),  # type: ignore[list-item]
    (None, {}, {"missing_country": "customer_zone"}, EU, "12"),  # type: ignore[list-item]
    ("US", {}, {"zones": {"abroad": 7}}, "E-VAT-ZONE", ""),
    ("US", {}, {"zones": {"abroad": 5}}, "E-VAT-ZONE", ""),
]


@pytest.mark.parametrize(("country", "more", "vat", "outcome", "row"), CASES)
def test_the_decision_table(country: str | None, more: dict[str, Any], vat: dict[str, Any], outcome: int | str, row: str) -> None:
    decided = decide_zone(buyer(country, **more), settings(vat=vat).vat, CHART, customer_zone=EU)
    if isinstance(decided, Problem):
        assert decided.code == outcome
        return
    assert decided.zone == outcome
    assert decided.rule.startswith(f"{row}:")
    assert decided.evidence.inputs["bill_to"] == (country or "none")


def test_the_verification_counts_only_for_the_very_number_that_was_frozen() -> None:
    frozen = buyer("DE", number=("DE999999999", "verified"))
    other = [{"type": "eu_vat", "value": "DE123456789", "verification": {"status": "verified"}}]
    changed = replace(frozen, customer={"id": "cus_1", "tax_ids": {"object": "list", "data": other}})
    decided = decide_zone(changed, settings().vat, CHART)
    assert isinstance(decided, Problem)
    assert decided.code == "E-VAT-ID"


def test_without_the_customers_own_zone_a_missing_country_is_never_silently_domestic() -> None:
    decided = decide_zone(buyer(None), settings(vat={"missing_country": "customer_zone"}).vat, CHART)
    assert isinstance(decided, Problem)


def test_a_stripe_customer_and_a_payment_are_decided_alike() -> None:
    customer = {
        "id": "cus_1",
        "address": {"country": "DE"},
        "shipping": None,
        "tax_exempt": "none",
        "tax_ids": {"object": "list", "data": [{"type": "eu_vat", "value": "DE1", "verification": {"status": "verified"}}]},
    }
    business = decide_zone(customer, settings().vat, CHART)
    payment = decide_zone(charge(), settings().vat, CHART)
    assert not isinstance(business, Problem)
    assert not isinstance(payment, Problem)
    assert (business.zone, payment.zone) == (EU, DOMESTIC)
