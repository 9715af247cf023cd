"""A payment that was booked by itself and turns out to pay an invoice: one sale, and one document for it."""

from datetime import timedelta
from decimal import Decimal

import pytest

from cloudify_pipeline.control.accept import accept
from cloudify_pipeline.sandbox.stripe.invoices import Line
from cloudify_pipeline_tests.whole_runs.conftest import Company, Run


def gross(company: Company) -> dict[str, Decimal]:
    return {key: total for key, (_, total) in company.documents().items()}


def booked_payment(company: Company, customer: str, amount: int = 12_500) -> str:
    """A payment without an invoice that stands in the ledger as a booked invoice."""
    charge = company.sandbox.stripe.charge(customer, amount, at=company.now - timedelta(hours=3), description="Workshop")
    assert company.sync().counts()["booked"] >= 1
    assert gross(company)[f"stripe:{charge}"] == Decimal(amount) / 100
    company.now += timedelta(hours=1)
    return charge


def later(company: Company, **scope: object) -> Run:
    company.now += timedelta(minutes=5)
    return company.sync(**scope)


def number_of(company: Company, charge: str) -> int:
    (found,) = [one for one in company.sandbox.economic.booked() if one["references"]["other"] == f"stripe:{charge}"]
    return int(found["bookedInvoiceNumber"])


def word(company: Company, stripe_id: str, *, post: bool = False) -> None:
    opened = company.connection()
    accept(opened, stripe_id, by="Rikke", post=post)
    opened.log.close()


@pytest.mark.parametrize("how", ["events", "named", "full"])
def test_a_payment_is_booked_and_then_attached_to_an_invoice(company: Company, how: str) -> None:
    customer = company.customer()
    charge = booked_payment(company, customer)
    invoice = company.invoice(customer)
    company.sandbox.stripe.attach_payment(invoice, charge, at=company.now)
    if how == "full":
        company.now += timedelta(days=40)
    run = later(company, **({"ids": (invoice,)} if how == "named" else {}))
    assert (run.writes, run.codes()) == ([], {invoice: "E-PAID-TWICE"})
    (held,) = [one for one in run.endings if one.stripe_id == invoice]
    words = f"{invoice} is paid by {charge}, which stands in the ledger as booked invoice {number_of(company, charge)}"
    assert held.problem is not None
    assert held.problem.message == words
    again = later(company)
    assert (again.writes, again.codes()) == ([], {invoice: "E-PAID-TWICE"})
    assert gross(company) == {f"stripe:{charge}": Decimal("125.00")}


@pytest.mark.parametrize("decision", ["keep", "post"])
def test_a_person_says_what_becomes_of_the_second_object(company: Company, decision: str) -> None:
    customer = company.customer()
    charge = booked_payment(company, customer)
    invoice = company.invoice(customer)
    company.sandbox.stripe.attach_payment(invoice, charge, at=company.now)
    later(company)
    word(company, invoice, post=decision == "post")
    run = later(company)
    sale = {f"stripe:{charge}": Decimal("125.00")}
    assert gross(company) == (sale if decision == "keep" else {**sale, f"stripe:{invoice}": Decimal("125.00")})
    assert run.codes().get(invoice) == ("S-ACCEPTED" if decision == "keep" else None)
    again = later(company)
    assert (again.writes, [one for one in again.endings if one.state in {"held", "failed"}]) == ([], [])


def test_an_invoice_is_paid_by_two_payments_and_one_of_them_stands(company: Company) -> None:
    customer = company.customer()
    charge = booked_payment(company, customer, 5_000)
    invoice = company.invoice(customer)
    stripe = company.sandbox.stripe
    stripe.attach_payment(invoice, charge, at=company.now)
    assert later(company).codes() == {invoice: "S-NOT-DUE"}
    rest = stripe.charge(customer, 7_500, at=company.now)
    stripe.attach_payment(invoice, rest, at=company.now)
    run = later(company)
    assert (run.writes, run.codes()) == ([], {invoice: "E-PAID-TWICE"})
    assert gross(company) == {f"stripe:{charge}": Decimal("50.00")}


def test_a_payment_pays_an_invoice_of_another_amount(company: Company) -> None:
    customer = company.customer()
    charge = booked_payment(company, customer, 20_000)
    invoice = company.invoice(customer)
    company.sandbox.stripe.attach_payment(invoice, charge, at=company.now)
    run = later(company)
    assert (run.writes, run.codes()) == ([], {invoice: "E-PAID-TWICE"})


def test_a_payment_is_attached_to_two_invoices(company: Company) -> None:
    customer = company.customer()
    charge = booked_payment(company, customer, 25_000)
    first, second = company.invoice(customer), company.invoice(customer)
    for invoice in (first, second):
        company.sandbox.stripe.attach_payment(invoice, charge, at=company.now, amount=12_500)
    run = later(company)
    assert (run.writes, run.codes()) == ([], {first: "E-PAID-TWICE", second: "E-PAID-TWICE"})
    assert gross(company) == {f"stripe:{charge}": Decimal("250.00")}


def test_the_invoice_stands_first_and_its_payment_is_never_booked_beside_it(company: Company) -> None:
    company.configure(invoices={"rules": [{"when": "finalized", "create": "booked_invoice"}]})
    customer = company.customer()
    invoice = company.invoice(customer)
    company.sync()
    charge = company.sandbox.stripe.charge(customer, 12_500, at=company.now)
    company.sandbox.stripe.attach_payment(invoice, charge, at=company.now)
    run = later(company)
    assert (run.writes, run.codes().get(charge)) == ([], None)
    assert gross(company) == {f"stripe:{invoice}": Decimal("125.00")}


def test_a_payment_that_waits_gets_an_invoice_and_waits_no_longer(company: Company) -> None:
    company.configure(products={"no_product": None})
    customer = company.customer()
    charge = company.sandbox.stripe.charge(customer, 12_500, at=company.now - timedelta(hours=1))
    assert company.sync().codes() == {charge: "E-PROD-NONE"}
    invoice = company.invoice(customer)
    company.sandbox.stripe.attach_payment(invoice, charge, at=company.now)
    run = later(company)
    assert run.codes() == {charge: "S-HAS-INVOICE"}
    assert gross(company) == {f"stripe:{invoice}": Decimal("125.00")}
    assert later(company).calls == [("GET", "/self")]


def test_the_log_is_lost_between_the_payment_and_its_invoice(company: Company) -> None:
    customer = company.customer()
    charge = booked_payment(company, customer)
    for path in (company.folder.parent / "home").glob("posting.db*"):
        path.unlink()
    invoice = company.invoice(customer)
    company.sandbox.stripe.attach_payment(invoice, charge, at=company.now)
    run = later(company)
    assert (gross(company), run.codes()[invoice]) == ({f"stripe:{charge}": Decimal("125.00")}, "E-PAID-TWICE")
    assert later(company).writes == []


def test_an_invoice_is_marked_as_paid_outside_stripe_and_the_money_came_through_it(company: Company) -> None:
    customer = company.customer()
    charge = booked_payment(company, customer)
    invoice = company.pay(company.invoice(customer), out_of_band=True)
    run = later(company)
    assert (run.writes, run.codes()) == ([], {invoice: "E-PAID-ALIKE"})
    word(company, invoice, post=True)
    later(company)
    assert set(gross(company)) == {f"stripe:{charge}", f"stripe:{invoice}"}
    assert later(company).calls == [("GET", "/self")]


def test_both_are_new_and_the_payment_waits_for_a_person(company: Company) -> None:
    customer = company.customer()
    charge = company.sandbox.stripe.charge(customer, 12_500, at=company.now - timedelta(hours=2))
    invoice = company.pay(company.invoice(customer), out_of_band=True)
    run = company.sync()
    assert (run.codes(), gross(company)) == ({charge: "E-PAID-ALIKE"}, {f"stripe:{invoice}": Decimal("125.00")})
    word(company, charge)
    assert later(company).codes() == {charge: "S-ACCEPTED"}
    assert later(company).writes == []


@pytest.mark.parametrize("unlike", ["amount", "customer", "currency", "time", "refunded"])
def test_what_is_not_alike_is_not_asked_about(company: Company, unlike: str) -> None:
    customer = company.customer()
    stripe = company.sandbox.stripe
    charge = stripe.charge(
        company.customer("Another ApS") if unlike == "customer" else customer,
        10_000 if unlike == "amount" else 12_500,
        at=company.now - timedelta(days=60 if unlike == "time" else 0, hours=2),
        currency="eur" if unlike == "currency" else "dkk",
    )
    if unlike == "refunded":
        stripe.refund(charge, at=company.now - timedelta(hours=1))
    invoice = company.pay(
        company.invoice(customer, lines=[Line(product=None, amount=10_000, description="Hours")]), out_of_band=True
    )
    run = company.sync()
    assert "E-PAID-ALIKE" not in run.codes().values()
    assert {f"stripe:{charge}", f"stripe:{invoice}"} <= set(gross(company))


def test_one_payment_is_asked_about_beside_one_invoice_alone(company: Company) -> None:
    customer = company.customer()
    charge = booked_payment(company, customer)
    invoices = [company.pay(company.invoice(customer), out_of_band=True) for _ in range(2)]
    run = later(company)
    assert sorted(run.codes().values()) == ["E-PAID-ALIKE"]
    assert set(gross(company)) == {f"stripe:{charge}", *(f"stripe:{one}" for one in invoices if one not in run.codes())}
