"""What proves a VAT number on the day of a sale, and what becomes of the sale where nothing does."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudify_pipeline.accounting.vat_evidence import Answer, Known
from cloudify_pipeline.errors import Problem
from cloudify_pipeline.planning.vat import ZoneDecision, claims_to_prove, decide_zone
from cloudify_pipeline.planning.vat_evidence import prove
from cloudify_pipeline_tests.planning.books import CHART, DOMESTIC, EU, record, settings

NUMBER, FRENCH = "DE136695976", "FR40303265045"
SALE = date(2026, 11, 10)
NOON = datetime(2026, 11, 10, 12, tzinfo=UTC)


def says(source: str, days: int = 0, *, valid: bool = True, tax_id: str | None = None) -> Answer:
    """An answer so many days before (negative) or after the sale."""
    at = NOON + timedelta(days=days)
    return Answer(NUMBER, source, valid, at, "Musterfirma GmbH", tax_id="txi_1" if source == "stripe" else tax_id)  # type: ignore[arg-type]


def sold(status: str | None, *answers: Answer, silent: str = "", valid_days: int | None = None, number: str = NUMBER) -> Any:
    """A sale to Germany on SALE; `status` is Stripe's of the number, None where the customer no longer has it."""
    known = Known({number: answers} if answers else {}, {number: silent} if silent else {}, valid_days)
    made = record([], customer_address={"country": "DE"}, customer_tax_ids=[{"type": "eu_vat", "value": number}])
    tax_id = {"id": "txi_1", "type": "eu_vat", "value": number, "verification": {"status": status}}
    customer = {"id": "cus_1", "tax_ids": {"object": "list", "data": [] if status is None else [tax_id]}}
    return replace(made, customer=customer, vat_numbers=known)


def decided(sale: Any, **vat: Any) -> ZoneDecision | Problem:
    return decide_zone(sale, settings(vat=vat).vat, CHART)


YES, NO = says("vies"), says("vies", valid=False)
DOWN = "could not be reached (MS_UNAVAILABLE)"
AGAIN = f"VIES {DOWN}; the next run asks again"
OLD = "the evidence is from 2026-08-11, older than 90 days on 2026-11-10"
UNVERIFIED = f"VAT number {NUMBER} is not verified by Stripe"

CASES: list[tuple[str, Any, int | str]] = [
    ("Stripe", sold("verified"), EU),
    ("Stripe, first seen today", sold("verified", says("stripe"), valid_days=90), EU),
    ("VIES", sold("pending", YES), EU),
    ("VIES, whatever Stripe heard before", sold("unverified", YES), EU),
    ("both", sold("verified", says("stripe", -9), says("vies", -1)), EU),
    ("VIES as late as it may be", sold("pending", says("vies", -90), valid_days=90), EU),
    ("VIES for good", sold("pending", says("vies", -4000)), EU),
    ("VIES, asked after the sale", sold("pending", says("vies", 30), valid_days=90), EU),
    ("Stripe's object is deleted, its answer kept", sold(None, says("stripe", -3)), EU),
    ("out of order, and the cache is good", sold("pending", says("vies", -5), silent=DOWN, valid_days=90), EU),
    ("struck off after the sale", sold("pending", says("vies", -5), says("vies", 200, valid=False)), EU),
    ("in use at last", sold("pending", says("vies", -5, valid=False), says("vies", 2)), EU),
    ("nothing", sold("pending"), UNVERIFIED),
    ("nothing, and Stripe's object is deleted", sold(None), UNVERIFIED),
    ("VIES says no", sold("pending", NO), "VIES said on 2026-11-10 that it is not valid"),
    ("VIES says no after Stripe said yes", sold("verified", says("stripe", -9), NO), "VIES said on 2026-11-10"),
    ("struck off before the sale", sold("pending", says("vies", -9), says("vies", -2, valid=False)), "VIES said on 2026-11-08"),
    ("Stripe's object says no now", sold("unverified", says("stripe", -3)), UNVERIFIED),
    ("too old", sold("pending", says("vies", -91), valid_days=90), OLD),
    ("Stripe's too old", sold("verified", says("stripe", -91), valid_days=90), OLD),
    ("out of order", sold("pending", silent=DOWN), f"VAT number {NUMBER}: {AGAIN}"),
    ("too old and out of order", sold("pending", says("vies", -91), silent=DOWN, valid_days=90), f"on 2026-11-10; {AGAIN}"),
]  # fmt: skip


@pytest.mark.parametrize(("sale", "outcome"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_proves_a_number(sale: Any, outcome: int | str) -> None:
    found = decided(sale)
    if isinstance(found, Problem):
        assert isinstance(outcome, str), found.message
        assert (found.code, found.found) == ("E-VAT-ID", NUMBER)
        assert outcome in found.message
    else:
        assert (found.zone, found.kind, found.evidence.inputs["verified"]) == (outcome, "eu", "yes")


PRIVATE: list[tuple[str, Any, int | str]] = [
    ("nothing", sold("unverified"), DOMESTIC),
    ("VIES says no", sold("pending", NO), DOMESTIC),
    ("out of order", sold("pending", silent=DOWN), AGAIN),
    ("too old", sold("verified", says("stripe", -91), valid_days=90), "the evidence is from 2026-08-11"),
]


@pytest.mark.parametrize(("sale", "outcome"), [case[1:] for case in PRIVATE], ids=[case[0] for case in PRIVATE])
def test_a_business_is_not_taxed_as_private_because_a_register_is_silent_or_its_proof_is_old(
    sale: Any, outcome: int | str
) -> None:
    found = decided(sale, unverified_vat_number="private")
    if isinstance(found, Problem):
        assert str(outcome) in found.message
    else:
        assert found.zone == outcome


def test_the_evidence_shows_who_said_it_when_and_by_which_number_it_can_be_shown() -> None:
    answer = replace(says("vies"), address="Musterweg 1", consultation_number="WAPIAAAAZ0000001", requester="DK13585628")
    found = decided(sold("pending", answer, valid_days=90))
    assert isinstance(found, ZoneDecision)
    inputs = dict(found.evidence.inputs)
    assert {name: inputs[name] for name in inputs if name.startswith(("evidence", "consultation", "registered"))} == {
        "evidence": "VIES",
        "evidence_date": "2026-11-10",
        "evidence_until": "2027-02-08",
        "consultation_number": "WAPIAAAAZ0000001",
        "registered_name": "Musterfirma GmbH",
        "registered_address": "Musterweg 1",
    }
    assert inputs["verification"] == "pending"


def test_a_number_with_a_wrong_check_digit_is_right_when_the_register_has_it() -> None:
    number = "DE136695977"
    yes = replace(YES, number=number)
    assert isinstance(decided(sold("pending", number=number)), Problem)
    assert isinstance(decided(sold("pending", yes, number=number)), ZoneDecision)


ASKED: list[tuple[str, dict[str, Any], list[str]]] = [
    ("a business in the EU", {}, [NUMBER]),
    ("a Dane", {"customer_address": {"country": "DK"}}, []),
    ("outside the EU", {"customer_address": {"country": "CH"}}, []),
    ("no country", {"customer_address": None}, []),
    ("a territory", {"customer_address": {"country": "DE", "postal_code": "78266"}}, []),
    ("a form that is no VAT number's", {"customer_tax_ids": [{"type": "eu_vat", "value": "DE12"}]}, []),
    ("a Danish number abroad", {"customer_tax_ids": [{"type": "eu_vat", "value": "DK13585628"}]}, []),
    ("no number", {"customer_tax_ids": []}, []),
    ("another kind of number", {"customer_tax_ids": [{"type": "ch_vat", "value": "CHE-123"}]}, []),
    ("written with spaces", {"customer_tax_ids": [{"type": "eu_vat", "value": "de 136 695 976"}]}, [NUMBER]),
    ("two", {"customer_tax_ids": [{"type": "eu_vat", "value": v} for v in (NUMBER, FRENCH)]}, [NUMBER, FRENCH]),
]  # fmt: skip


@pytest.mark.parametrize(("sale", "numbers"), [case[1:] for case in ASKED], ids=[case[0] for case in ASKED])
def test_only_a_number_that_decides_the_zone_needs_proof(sale: dict[str, Any], numbers: list[str]) -> None:
    made = record(
        [], **{"customer_address": {"country": "DE"}, "customer_tax_ids": [{"type": "eu_vat", "value": NUMBER}], **sale}
    )
    assert [one.number for one in claims_to_prove(made, settings().vat)] == numbers


def test_a_mapped_country_says_nothing_of_a_number() -> None:
    made = record([], customer_address={"country": "DE"}, customer_tax_ids=[{"type": "eu_vat", "value": NUMBER}])
    assert [one.number for one in claims_to_prove(made, settings(vat={"countries": {"DE": "eu"}}).vat)] == [NUMBER]


@pytest.mark.parametrize("number", ["DE12345", "DE" + "1" * 60, "DK13585628", "EU372000041"])
def test_a_number_that_no_proof_would_help_is_not_asked_about(number: str) -> None:
    made = record([], customer_address={"country": "DE"}, customer_tax_ids=[{"type": "eu_vat", "value": number}])
    for vat in ({}, {"countries": {"DE": "eu"}}):
        assert claims_to_prove(made, settings(vat=vat).vat) == []


@pytest.mark.parametrize("vat", [{"countries": {"DE": "domestic"}}, {"zone_from": ["metadata.zone"]}])
def test_where_a_person_has_decided_nobody_is_asked(vat: dict[str, Any]) -> None:
    ids = [{"type": "eu_vat", "value": NUMBER}]
    made = record([], customer_address={"country": "DE"}, customer_tax_ids=ids, metadata={"zone": "eu"})
    assert claims_to_prove(made, settings(vat=vat).vat) == []
    assert claims_to_prove(made, settings().vat, ("eu", "invoices.rules[0].vat_zone is eu")) == []


@pytest.mark.parametrize(("supply", "asked"), [("goods", ["XI123456789"]), ("services", []), (None, [])])
def test_a_northern_irish_number_is_proven_for_goods_alone(supply: str | None, asked: list[str]) -> None:
    address = {"country": "GB", "postal_code": "BT1 5GS"}
    made = record([], customer_address=address, customer_tax_ids=[{"type": "eu_vat", "value": "XI123456789"}])
    assert [one.number for one in claims_to_prove(made, settings(vat={"supply_default": supply}).vat)] == asked


DAYS = st.integers(-400, 400)
ANSWERS = st.lists(st.builds(lambda days, valid: says("vies", days, valid=valid), DAYS, st.booleans()), max_size=6)


@given(
    answers=ANSWERS, valid_days=st.none() | st.integers(1, 300), later=DAYS.filter(lambda days: days > 0), silent=st.booleans()
)
def test_what_is_documented_stays_documented(answers: list[Answer], valid_days: int | None, later: int, *, silent: bool) -> None:
    known = Known({NUMBER: tuple(answers)}, {NUMBER: DOWN} if silent else {}, valid_days)
    proof = prove(NUMBER, "pending", "txi_1", SALE, known)
    if proof.proven:
        assert proof.answer is not None
        assert proof.answer.valid
        assert valid_days is None or (SALE - proof.answer.at.date()).days <= valid_days
        refuted = replace(known, answers={NUMBER: (*answers, says("vies", later, valid=False))})
        assert prove(NUMBER, "pending", "txi_1", SALE, refuted).proven
    else:
        assert proof.answer is None or proof.doubt
        assert prove(NUMBER, "pending", "txi_1", SALE, replace(known, answers={NUMBER: (*answers, says("vies", later))})).proven
