from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudify_pipeline.accounting.vat import EU as UNION
from cloudify_pipeline.accounting.vat import vat_country
from cloudify_pipeline.errors import Problem
from cloudify_pipeline.planning.vat import decide_zone, held_zone, kind_of
from cloudify_pipeline_tests.planning.books import ABROAD, CHART, DOMESTIC, EU, EXEMPT, charge, record, settings

DE_NUMBER = ("DE136695976", "verified")


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
        "tax_ids": {
            "object": "list",
            "data": [{"type": "eu_vat", "value": "DE136695976", "verification": {"status": "verified"}}],
        },
    }
    business = decide_zone(customer, settings().vat, CHART)
    payment = decide_zone(charge(), settings().vat, CHART)
    assert not isinstance(business, Problem)
    assert not isinstance(payment, Problem)
    assert (business.zone, payment.zone) == (EU, DOMESTIC)


GIVEN = int(datetime(2026, 3, 2, 23, 30, tzinfo=UTC).timestamp())
PROOF = {
    "id": "txi_1",
    "type": "eu_vat",
    "value": "DE 136 695 976",
    "created": GIVEN,
    "verification": {"status": "verified", "verified_name": "Brückner GmbH", "verified_address": "Hauptstraße 1, Berlin"},
}


def test_the_evidence_keeps_the_proof_of_the_number_and_the_days() -> None:
    sold = replace(buyer("DE", number=DE_NUMBER), customer={"id": "cus_1", "tax_ids": {"object": "list", "data": [PROOF]}})
    decided = decide_zone(sold, settings().vat, CHART)
    assert not isinstance(decided, Problem)
    assert decided.evidence.rule == "6: EU business with a verified VAT number"
    assert dict(decided.evidence.inputs) == {
        "country": "DE",
        "tax_exempt": "none",
        "ship_to": "none",
        "bill_to": "DE",
        "vat_number": "DE136695976",
        "verified": "yes",
        "verification": "verified",
        "tax_id": "txi_1",
        "number_since": "2026-03-03",
        "verified_name": "Brückner GmbH",
        "verified_address": "Hauptstraße 1, Berlin",
        "date": "2026-11-10",
    }


def test_a_verified_number_comes_before_the_others() -> None:
    sold = buyer("DE", number=DE_NUMBER)
    ids = [{"type": "gb_vat", "value": "GB980780684"}, {"type": "eu_vat", "value": "FR40303265045"}]
    sold = replace(sold, invoice={**sold.invoice, "customer_tax_ids": [*ids, *sold.invoice["customer_tax_ids"]]})
    decided = decide_zone(sold, settings().vat, CHART)
    assert not isinstance(decided, Problem)
    assert decided.evidence.inputs["vat_number"] == "DE136695976"


def test_a_held_document_keeps_what_was_looked_at() -> None:
    evidence = held_zone(buyer("DE", number=("DE136695976", "pending")), settings().vat, Problem("E-VAT-ID", "not verified"))
    assert (evidence.decision, evidence.outcome, evidence.rule) == ("vat_zone", "held", "E-VAT-ID: not verified")
    assert evidence.inputs["verification"] == "pending"


@pytest.mark.parametrize(
    ("metadata", "customer", "rule_zone", "zone", "rule"),
    [
        ({"zone": "abroad"}, {"zone": "eu"}, ("domestic", "rules[0]"), ABROAD, "1: metadata.zone in Stripe says abroad"),
        ({}, {"zone": "eu"}, ("domestic", "rules[0]"), EU, "1: customer.metadata.zone in Stripe says eu"),
        ({}, {}, ("domestic", "rules[0]"), DOMESTIC, "1: rules[0]"),
        ({"zone": " "}, {}, (3, "rules[0]"), ABROAD, "1: rules[0]"),
        ({}, {}, None, None, ""),
    ],
)
def test_who_overrides_the_decision_stands_in_the_evidence(
    metadata: dict[str, str], customer: dict[str, str], rule_zone: Any, zone: int | None, rule: str
) -> None:
    vat = settings(vat={"zone_from": ["metadata.zone", "customer.metadata.zone"]}).vat
    sold = replace(buyer("AX", metadata=metadata), customer={"id": "cus_1", "metadata": customer})
    decided = decide_zone(sold, vat, CHART, rule_zone=rule_zone)
    if isinstance(decided, Problem):
        assert zone is None
        return
    assert (decided.zone, decided.rule, decided.evidence.rule) == (zone, rule, rule)


def test_a_customer_is_overridden_by_its_own_metadata_alone() -> None:
    vat = settings(vat={"zone_from": ["metadata.zone", "customer.metadata.zone"]}).vat
    customer = {"id": "cus_1", "address": {"country": "AX"}, "metadata": {"zone": "abroad"}}
    decided = decide_zone(customer, vat, CHART)
    assert not isinstance(decided, Problem)
    assert (decided.zone, decided.rule) == (ABROAD, "1: customer.metadata.zone in Stripe says abroad")


def test_a_number_in_the_settings_is_the_kind_of_buyer_that_it_alone_stands_for() -> None:
    assert kind_of(2, settings().vat) == kind_of("2", settings().vat) == "eu"
    assert kind_of(9, settings().vat) == "mapped"
    assert kind_of(3, settings(vat={"zones": {"eu": 3}}).vat) == "mapped"


COUNTRIES = ["DK", "DE", "SE", "FI", "ES", "IT", "FR", "GB", "GL", "FO", "AX", "US", "NO", "MC", "XI", None]
VALUES = [
    "DE136695976",
    "FR40303265045",
    "DK13585628",
    "XI980780684",
    "EL094259216",
    "DE12345",
    "DE123456789",
    "EU372000063",
    None,
]


@given(
    country=st.sampled_from(COUNTRIES),
    ship=st.sampled_from([*COUNTRIES, None, None]),
    postal=st.one_of(st.none(), st.sampled_from(["22100", "35001", "78266", "BT1 5GS", "3900", "100"]), st.text(max_size=8)),
    value=st.sampled_from(VALUES),
    status=st.sampled_from(["verified", "unverified", "pending", "unavailable"]),
    exempt=st.sampled_from(["none", "exempt", "reverse"]),
    supply=st.sampled_from([None, "goods", "services"]),
    private=st.booleans(),
)
def test_whatever_the_buyer_no_zone_is_without_danish_vat_unless_the_law_has_a_reason(  # noqa: PLR0917
    country: str | None,
    ship: str | None,
    postal: str | None,
    value: str | None,
    status: str,
    exempt: str,
    supply: str | None,
    private: bool,
) -> None:
    vat = settings(vat={"supply_default": supply, "unverified_vat_number": "private" if private else "hold", "countries": {}}).vat
    sold = buyer(country, ship=ship, postal=postal, number=(value, status) if value else None, customer_tax_exempt=exempt)
    decided = decide_zone(sold, vat, CHART)
    if isinstance(decided, Problem):
        assert decided.code in {"E-VAT-ZONE", "E-VAT-ID"}
        return
    assert decided.place is not None
    member = vat_country(decided.place) in UNION or decided.place == "XI"
    match decided.zone:
        case zone if zone == EU:
            assert member
            assert decided.place != "DK"
            assert status == "verified"
            assert value in {"DE136695976", "FR40303265045", "XI980780684", "EL094259216", "DE123456789"}
        case zone if zone == EXEMPT:
            assert decided.place == "DK"
            assert exempt != "none"
        case zone if zone == ABROAD:
            assert not member or (decided.place == "XI" and supply == "services")
        case _:
            assert decided.zone == DOMESTIC
            assert member
    assert decided.evidence.inputs["country"]
