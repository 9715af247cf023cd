"""Payments that Checkout took: the session says what was sold, how it was taxed, and to whom."""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from cloudify_pipeline.control.accept import accept
from cloudify_pipeline.sandbox.stripe.checkout import check_out, make_invoice
from cloudify_pipeline.sandbox.stripe.invoices import Line
from cloudify_pipeline_tests.whole_runs.conftest import Company, Run

HOME = {"line1": "Havnegade 1", "city": "Aarhus", "postal_code": "8000", "country": "DK"}


def goods(company: Company, sku: str, amount: int = 40_000) -> Line:
    """A line of the ledger's product `sku`; COURSE bears no VAT there."""
    product = company.sandbox.stripe.add_product(sku.title(), at=company.now - timedelta(days=2), metadata={"sku": sku})
    return Line(company.sandbox.stripe.add_price(product, amount, at=company.now - timedelta(days=2)))


def sell(company: Company, lines: list[Line], **given: Any) -> tuple[str, str]:
    given.setdefault("customer", company.customer())
    return check_out(company.sandbox.stripe, lines, at=company.now - timedelta(hours=1), **given)


def later(company: Company, **scope: Any) -> Run:
    company.now += timedelta(minutes=5)
    return company.sync(**scope)


def booked(company: Company, charge: str) -> dict[str, Any]:
    (found,) = [one for one in company.sandbox.economic.booked() if one["references"]["other"] == f"stripe:{charge}"]
    return dict(found)


def totals(document: dict[str, Any]) -> tuple[Decimal, Decimal]:
    """Net and VAT."""
    return Decimal(str(document["netAmount"])), Decimal(str(document["vatAmount"]))


def money(net: int, vat: int) -> tuple[Decimal, Decimal]:
    return Decimal(net), Decimal(vat)


def test_an_exempt_course_is_paid_by_payment_link_and_no_vat_is_booked(company: Company) -> None:
    _, charge = sell(company, [goods(company, "COURSE")], payment_link="plink_1")
    assert company.sync().codes() == {}
    document = booked(company, charge)
    assert (totals(document), [line["product"]["productNumber"] for line in document["lines"]]) == (money(400, 0), ["COURSE"])


def test_a_course_and_what_bears_vat_are_paid_together(company: Company) -> None:
    exempt, taxed = goods(company, "COURSE"), Line(company.price, tax_rates=(company.rate,))
    _, charge = sell(company, [exempt, taxed])
    assert company.sync().codes() == {}
    assert totals(booked(company, charge)) == money(500, 25)


@pytest.mark.exhaustive
def test_an_exempt_buyer_pays_by_payment_link_and_no_vat_is_booked(company: Company) -> None:
    customer = company.customer(tax_exempt="exempt")
    _, charge = sell(company, [Line(company.price)], customer=customer, payment_link="plink_1", tax_rates=[company.rate])
    assert company.sync().codes() == {}
    assert totals(booked(company, charge)) == (Decimal(100), Decimal(0))


@pytest.mark.exhaustive
@pytest.mark.parametrize("inclusive", [False, True])
def test_lines_prices_discount_and_vat_are_the_sessions(company: Company, inclusive: bool) -> None:
    stripe = company.sandbox.stripe
    rate = stripe.add_tax_rate(25, at=company.now - timedelta(days=2), inclusive=inclusive)
    coupon = stripe.add_coupon("Autumn", at=company.now - timedelta(days=2), percent=20)
    _, charge = sell(company, [Line(company.price, 3), goods(company, "SETUP")], tax_rates=[rate], discounts=[coupon])
    assert company.sync().codes() == {}
    net = Decimal(448) if inclusive else Decimal(560)
    assert totals(booked(company, charge)) == (net, net / 4)
    assert [line["product"]["productNumber"] for line in booked(company, charge)["lines"]] == ["PRO-NEW", "SETUP"]
    assert later(company).calls == [("GET", "/self")]


@pytest.mark.exhaustive
def test_a_session_of_more_lines_than_stripe_embeds(company: Company) -> None:
    _, charge = sell(company, [Line(company.price) for _ in range(130)], tax_rates=[company.rate])
    assert company.sync().codes() == {}
    assert totals(booked(company, charge)) == (Decimal(13_000), Decimal(3_250))
    assert len(booked(company, charge)["lines"]) == 130


@pytest.mark.exhaustive
def test_a_guest_of_the_default_customer_is_taxed_by_what_it_typed(company: Company) -> None:
    company.configure(customers={"default_customer": 1001, "defaults": {"payment_terms": 1, "group": 1}})
    typed = {"address": {**HOME, "country": "NO", "postal_code": "0150", "city": "Oslo"}}
    _, charge = sell(company, [Line(company.price)], customer=None, details=typed)
    assert company.sync().codes() == {}
    assert totals(booked(company, charge)) == (Decimal(100), Decimal(0))
    assert booked(company, charge)["recipient"]["name"] == "Karen Blixen"


@pytest.mark.exhaustive
def test_an_eu_business_types_its_vat_number(company: Company) -> None:
    customer = company.customer("Müller GmbH", country="DE", tax_ids=[("eu_vat", "DE136695976", "verified")])
    _, charge = sell(company, [Line(company.price)], customer=customer)
    assert company.sync().codes() == {}
    assert totals(booked(company, charge)) == (Decimal(100), Decimal(0))


def test_stripe_and_the_ledger_tax_it_otherwise_and_it_is_held(company: Company) -> None:
    _, charge = sell(company, [Line(company.price)])
    assert company.sync().codes() == {charge: "E-VAT-RATE"}


@pytest.mark.exhaustive
@pytest.mark.parametrize("broken", ["amount", "tax", "lines"])
def test_what_does_not_add_up_is_held_with_both_figures(company: Company, broken: str) -> None:
    session, charge = sell(company, [Line(company.price)], tax_rates=[company.rate])
    stripe = company.sandbox.stripe
    stored, items = stripe.get("checkout.session", session), stripe.noted(f"items:{session}")
    if broken == "amount":
        stored["amount_total"] = 12_400
    elif broken == "tax":
        items[0]["taxes"] = []
    else:
        items = []
    stripe.save(stored)
    stripe.note(f"items:{session}", items)
    run = company.sync()
    assert run.codes() == {charge: "E-STRIPE-SUM"}
    (held,) = [one for one in run.endings if one.stripe_id == charge]
    wanted = {"amount": "124.00 DKK, and 125.00 DKK was paid", "tax": "tax 25.00 DKK", "lines": "without all its lines"}
    assert held.problem is not None
    assert re.search(re.escape(wanted[broken]), held.problem.message), held.problem.message


@pytest.mark.exhaustive
def test_the_session_is_asked_for_when_its_event_comes_after_the_payment(company: Company) -> None:
    company.sync()
    company.now += timedelta(hours=1)
    session, charge = sell(
        company, [Line(company.price)], customer=company.customer(tax_exempt="exempt"), tax_rates=[company.rate]
    )
    stripe = company.sandbox.stripe
    for event in stripe.rows("event"):
        if event["data"]["object"]["id"] == session:
            stripe.mark_deleted(event["id"])
    assert later(company).codes() == {}
    assert totals(booked(company, charge)) == (Decimal(100), Decimal(0))


@pytest.mark.exhaustive
def test_a_payment_whose_session_may_not_be_read_is_held_and_posted_when_it_may(company: Company) -> None:
    stripe = company.sandbox.stripe
    stripe.rights.discard("rak_checkout_session_read")
    plain = stripe.charge(company.customer(), 12_500, at=company.now - timedelta(hours=2))
    assert company.sync().codes() == {}, "a key without the right stops nobody who has no sessions"
    assert totals(booked(company, plain)) == (Decimal(100), Decimal(25))
    company.now += timedelta(hours=1)
    _, charge = sell(company, [Line(company.price)], customer=company.customer(tax_exempt="exempt"), tax_rates=[company.rate])
    assert later(company).codes() == {charge: "E-CONN-ROLE"}
    stripe.rights.add("rak_checkout_session_read")
    assert later(company).codes() == {}
    assert totals(booked(company, charge)) == (Decimal(100), Decimal(0))


@pytest.mark.exhaustive
@pytest.mark.parametrize("linked", [True, False])
def test_a_session_makes_an_invoice_after_its_payment_and_only_that_is_booked(company: Company, linked: bool) -> None:
    company.sync()
    company.now += timedelta(hours=1)
    session, charge = sell(company, [Line(company.price)], tax_rates=[company.rate], makes_invoice=True)
    assert later(company).codes() == {charge: "E-DEPENDENCY"}
    invoice = make_invoice(company.sandbox.stripe, session, at=company.now, linked=linked)
    run = later(company)
    assert (run.codes().get(charge), run.counts()) == ("S-HAS-INVOICE", {"booked": 1, "skipped": 1})
    assert set(company.documents()) == {f"stripe:{invoice}"}
    assert later(company).calls == [("GET", "/self")]


@pytest.mark.exhaustive
@pytest.mark.parametrize("amount", [None, 5_000])
def test_a_refund_takes_back_what_the_session_sold(company: Company, amount: int | None) -> None:
    company.configure(invoices={"corrections": {"refunds": "credit"}})
    customer = company.customer(tax_exempt="exempt")
    _, charge = sell(company, [Line(company.price)], customer=customer, tax_rates=[company.rate])
    company.sync()
    company.now += timedelta(hours=1)
    refund = company.sandbox.stripe.refund(charge, amount, at=company.now)
    assert later(company).codes() == {}
    assert totals(booked(company, refund)) == (-Decimal(amount or 10_000) / 100, Decimal(0))


@pytest.mark.exhaustive
def test_a_session_becomes_known_after_its_payment_was_booked_with_vat(company: Company) -> None:
    company.configure(invoices={"corrections": {"refunds": "credit"}})
    stripe = company.sandbox.stripe
    stripe.rights.discard("rak_checkout_session_read")
    _, charge = sell(company, [goods(company, "COURSE", 12_500)])
    assert company.sync().codes() == {}, "nothing tells that the payment came from a session"
    assert totals(booked(company, charge)) == money(100, 25)
    stripe.rights.add("rak_checkout_session_read")
    run = later(company)
    (held,) = [one for one in run.endings if one.state == "held"]
    assert held.problem is not None
    assert (held.stripe_id, held.problem.code) == (charge, "E-CHANGED")
    assert "has VAT 0.00 DKK" in held.problem.message
    assert "with VAT 25.00 DKK" in held.problem.message
    opened = company.connection()
    accept(opened, charge, by="Rikke")
    opened.log.close()
    assert later(company).codes() == {charge: "S-ACCEPTED"}
    assert later(company).calls == [("GET", "/self")]
    refund = stripe.refund(charge, at=company.now)
    later(company)
    assert totals(booked(company, refund)) == money(-100, -25), "what is taken back is what was booked"


@pytest.mark.exhaustive
def test_an_invoice_is_made_of_a_session_whose_payment_was_booked(company: Company) -> None:
    """The payment's document, made of the session, is taken back with the session's own VAT."""
    company.configure(invoices={"paid_twice": "credit"})
    customer = company.customer()
    _, charge = sell(
        company, [goods(company, "COURSE", 20_000), Line(company.price, tax_rates=(company.rate,))], customer=customer
    )
    company.sync()
    assert totals(booked(company, charge)) == money(300, 25)
    company.now += timedelta(hours=1)
    lines = [goods(company, "COURSE", 20_000), Line(company.price, tax_rates=(company.rate,))]
    invoice = company.invoice(customer, lines=lines, tax_rates=[])
    company.sandbox.stripe.attach_payment(invoice, charge, at=company.now)
    run = later(company)
    assert [one.problem for one in run.endings if one.state in {"held", "failed"}] == []
    assert totals(booked(company, f"{charge}:invoiced")) == money(-300, -25)
    assert totals(booked(company, invoice)) == money(300, 25)
