"""A payment that was booked by itself and turns out to pay an invoice: one sale, and one document for it."""

from datetime import timedelta
from decimal import Decimal

import pytest

from cloudify_pipeline.control.accept import accept
from cloudify_pipeline.errors import Unreachable
from cloudify_pipeline.sandbox.faults import Fault
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


@pytest.mark.exhaustive
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


@pytest.mark.exhaustive
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


@pytest.mark.exhaustive
def test_a_payment_pays_an_invoice_of_another_amount(company: Company) -> None:
    customer = company.customer()
    charge = booked_payment(company, customer, 20_000)
    invoice = company.invoice(customer)
    company.sandbox.stripe.attach_payment(invoice, charge, at=company.now)
    run = later(company)
    assert (run.writes, run.codes()) == ([], {invoice: "E-PAID-TWICE"})


@pytest.mark.exhaustive
def test_a_payment_is_attached_to_two_invoices(company: Company) -> None:
    customer = company.customer()
    charge = booked_payment(company, customer, 25_000)
    first, second = company.invoice(customer), company.invoice(customer)
    for invoice in (first, second):
        company.sandbox.stripe.attach_payment(invoice, charge, at=company.now, amount=12_500)
    run = later(company)
    assert (run.writes, run.codes()) == ([], {first: "E-PAID-TWICE", second: "E-PAID-TWICE"})
    assert gross(company) == {f"stripe:{charge}": Decimal("250.00")}


@pytest.mark.exhaustive
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


@pytest.mark.exhaustive
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


@pytest.mark.exhaustive
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


@pytest.mark.exhaustive
def test_both_are_new_and_the_payment_waits_for_a_person(company: Company) -> None:
    customer = company.customer()
    charge = company.sandbox.stripe.charge(customer, 12_500, at=company.now - timedelta(hours=2))
    invoice = company.pay(company.invoice(customer), out_of_band=True)
    run = company.sync()
    assert (run.codes(), gross(company)) == ({charge: "E-PAID-ALIKE"}, {f"stripe:{invoice}": Decimal("125.00")})
    word(company, charge)
    assert later(company).codes() == {charge: "S-ACCEPTED"}
    assert later(company).writes == []


@pytest.mark.exhaustive
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


@pytest.mark.exhaustive
def test_one_payment_is_asked_about_beside_one_invoice_alone(company: Company) -> None:
    customer = company.customer()
    charge = booked_payment(company, customer)
    invoices = [company.pay(company.invoice(customer), out_of_band=True) for _ in range(2)]
    run = later(company)
    assert sorted(run.codes().values()) == ["E-PAID-ALIKE"]
    assert set(gross(company)) == {f"stripe:{charge}", *(f"stripe:{one}" for one in invoices if one not in run.codes())}


CREDIT = {"paid_twice": "credit"}


def parts(company: Company, stripe_id: str) -> tuple[Decimal, Decimal]:
    """Net and VAT of a booked document."""
    (found,) = [one for one in company.sandbox.economic.booked() if one["references"]["other"] == f"stripe:{stripe_id}"]
    return Decimal(str(found["netAmount"])), Decimal(str(found["vatAmount"]))


def lose_the_log(company: Company) -> None:
    for path in (company.folder.parent / "home").glob("posting.db*"):
        path.unlink()


def test_the_payments_document_is_taken_back_and_the_invoice_is_posted(company: Company) -> None:
    company.configure(invoices=CREDIT)
    customer = company.customer()
    charge = booked_payment(company, customer)
    number = number_of(company, charge)
    invoice = company.invoice(customer)
    company.sandbox.stripe.attach_payment(invoice, charge, at=company.now)
    run = later(company)
    assert not [one for one in run.endings if one.state in {"held", "failed"}]
    assert gross(company) == {
        f"stripe:{charge}": Decimal("125.00"),
        f"stripe:{charge}:invoiced": Decimal("-125.00"),
        f"stripe:{invoice}": Decimal("125.00"),
    }
    assert parts(company, f"{charge}:invoiced") == (Decimal(-100), Decimal(-25))
    (text,) = [
        line["description"]
        for one in company.sandbox.economic.booked()
        if one["references"]["other"] == f"stripe:{charge}:invoiced"
        for line in one["lines"]
        if "product" not in line
    ]
    assert (str(number) in text, invoice in text) == (True, True)
    assert later(company).calls == [("GET", "/self")]
    lose_the_log(company)
    assert later(company).writes == [], "each is found again by its own key"
    assert later(company).writes == []


@pytest.mark.exhaustive
def test_the_setting_is_changed_after_the_invoice_was_held(company: Company) -> None:
    customer = company.customer()
    charge = booked_payment(company, customer)
    invoice = company.invoice(customer)
    company.sandbox.stripe.attach_payment(invoice, charge, at=company.now)
    assert later(company).codes() == {invoice: "E-PAID-TWICE"}
    company.configure(invoices=CREDIT)
    later(company)
    assert sum(gross(company).values()) == 125
    assert len(gross(company)) == 3


@pytest.mark.exhaustive
def test_a_payment_that_pays_two_invoices_is_taken_back_once_when_both_are_due(company: Company) -> None:
    company.configure(invoices=CREDIT)
    customer = company.customer()
    charge = booked_payment(company, customer, 25_000)
    first, second = company.invoice(customer), company.invoice(customer)
    stripe = company.sandbox.stripe
    stripe.attach_payment(first, charge, at=company.now, amount=12_500)
    run = later(company)
    assert (run.writes, run.codes()[first]) == ([], "E-PAID-TWICE")
    stripe.attach_payment(second, charge, at=company.now, amount=12_500)
    later(company)
    amounts = gross(company)
    assert amounts.pop(f"stripe:{charge}:invoiced") == -250
    assert amounts == {f"stripe:{charge}": 250, f"stripe:{first}": 125, f"stripe:{second}": 125}
    assert later(company).calls == [("GET", "/self")]


@pytest.mark.exhaustive
def test_two_payments_of_one_invoice_are_taken_back_each(company: Company) -> None:
    company.configure(invoices=CREDIT)
    customer = company.customer()
    at = company.now - timedelta(hours=3)
    charges = [company.sandbox.stripe.charge(customer, amount, at=at) for amount in (5_000, 7_500)]
    company.sync()
    company.now += timedelta(hours=1)
    invoice = company.invoice(customer)
    for charge in charges:
        company.sandbox.stripe.attach_payment(invoice, charge, at=company.now)
    later(company)
    assert len(gross(company)) == 5
    assert sum(gross(company).values()) == 125
    assert later(company).writes == []


UNCREDITED = {
    "over another amount": "it is over 200.00 DKK, and pays 125.00 DKK",
    "a draft": "is no booked invoice: delete it, or book it",
    "refunded by a document": "took back a part of it",
}


@pytest.mark.exhaustive
@pytest.mark.parametrize("why", UNCREDITED)
def test_what_cannot_be_taken_back_whole_is_held_with_the_reason(company: Company, why: str) -> None:
    rule = {"when": "paid", "create": "draft_invoice" if why == "a draft" else "booked_invoice"}
    company.configure(invoices={**CREDIT, "rules": [rule], "corrections": {"refunds": "credit"}})
    customer = company.customer()
    stripe = company.sandbox.stripe
    charge = stripe.charge(customer, 20_000 if why == "over another amount" else 12_500, at=company.now - timedelta(hours=3))
    company.sync()
    company.now += timedelta(hours=1)
    if why == "refunded by a document":
        stripe.refund(charge, 2_500, at=company.now)
        later(company)
    before = gross(company)
    invoice = company.invoice(customer)
    stripe.attach_payment(invoice, charge, at=company.now)
    run = later(company)
    (held,) = [one for one in run.endings if one.stripe_id == invoice]
    assert held.problem is not None
    assert (held.state, held.problem.code, UNCREDITED[why] in held.problem.message) == ("held", "E-PAID-TWICE", True)
    assert gross(company) == before
    word(company, invoice, post=True)
    later(company)
    assert f"stripe:{invoice}" in gross(company)


@pytest.mark.exhaustive
def test_a_refund_after_both_is_taken_off_the_invoice_and_off_nothing_else(company: Company) -> None:
    company.configure(invoices={**CREDIT, "corrections": {"refunds": "credit"}})
    customer = company.customer()
    charge = booked_payment(company, customer)
    invoice = company.invoice(customer)
    stripe = company.sandbox.stripe
    stripe.attach_payment(invoice, charge, at=company.now)
    later(company)
    company.now += timedelta(hours=1)
    refund = stripe.refund(charge, 2_500, at=company.now)
    run = later(company)
    assert [one.problem for one in run.endings if one.state in {"held", "failed"}] == []
    assert (gross(company)[f"stripe:{refund}"], sum(gross(company).values())) == (Decimal(-25), Decimal(100))
    (text,) = [
        line["description"]
        for one in company.sandbox.economic.booked()
        if one["references"]["other"] == f"stripe:{refund}"
        for line in one["lines"]
        if "product" not in line
    ]
    assert f"stripe:{invoice}" in text
    assert later(company).writes == []


@pytest.mark.exhaustive
@pytest.mark.parametrize("setting", ["hold", "credit"])
def test_a_refund_of_what_stands_for_a_held_invoice_is_of_the_payment(company: Company, setting: str) -> None:
    company.configure(invoices={"corrections": {"refunds": setting}})
    customer = company.customer()
    charge = booked_payment(company, customer)
    invoice = company.invoice(customer)
    stripe = company.sandbox.stripe
    stripe.attach_payment(invoice, charge, at=company.now)
    later(company)
    refund = stripe.refund(charge, 2_500, at=company.now)
    run = later(company)
    if setting == "hold":
        assert (run.writes, run.codes()) == ([], {charge: "E-CREDITED", invoice: "E-PAID-TWICE"})
        return
    assert run.codes() == {charge: "S-CHANGED", invoice: "E-PAID-TWICE"}
    assert gross(company) == {f"stripe:{charge}": Decimal("125.00"), f"stripe:{refund}": Decimal("-25.00")}


@pytest.mark.exhaustive
def test_a_dispute_of_a_payment_that_was_taken_back_is_of_the_invoice(company: Company) -> None:
    company.configure(invoices={**CREDIT, "corrections": {"disputes": "credit"}})
    customer = company.customer()
    charge = booked_payment(company, customer)
    invoice = company.invoice(customer)
    stripe = company.sandbox.stripe
    stripe.attach_payment(invoice, charge, at=company.now)
    later(company)
    dispute = stripe.dispute(charge, at=company.now)
    stripe.decide_dispute(dispute, "lost", at=company.now)
    later(company)
    assert (gross(company)[f"stripe:{dispute}"], sum(gross(company).values())) == (Decimal(-125), Decimal(0))
    assert later(company).writes == []


@pytest.mark.exhaustive
def test_the_invoice_cannot_be_posted_and_the_payments_document_stays(company: Company) -> None:
    company.configure(invoices=CREDIT)
    customer = company.customer()
    charge = booked_payment(company, customer, 10_000)
    invoice = company.invoice(customer, tax_rates=[])
    company.sandbox.stripe.attach_payment(invoice, charge, at=company.now)
    run = later(company)
    assert (run.writes, run.codes()) == ([], {invoice: "E-VAT-RATE"})
    assert gross(company) == {f"stripe:{charge}": Decimal("100.00")}


@pytest.mark.exhaustive
def test_the_ledger_taxes_what_takes_it_back_otherwise_and_both_wait(company: Company) -> None:
    company.configure(invoices=CREDIT)
    customer = company.customer()
    charge = booked_payment(company, customer)
    invoice = company.invoice(customer)
    company.configure(products={"no_product": "COURSE"})
    company.sandbox.stripe.attach_payment(invoice, charge, at=company.now)
    run = later(company)
    assert (run.writes, run.codes()) == ([], {f"{charge}:invoiced": "E-PAID-TWICE", invoice: "E-PAID-TWICE"})
    assert gross(company) == {f"stripe:{charge}": Decimal("125.00")}


@pytest.mark.exhaustive
@pytest.mark.parametrize("setting", ["hold", "credit"])
def test_both_were_booked_before_anybody_knew_that_they_are_one(company: Company, setting: str) -> None:
    company.configure(invoices={"paid_twice": setting, "rules": [{"when": "finalized", "create": "booked_invoice"}]})
    customer = company.customer()
    invoice = company.invoice(customer)
    charge = booked_payment(company, customer)
    assert len(gross(company)) == 2
    company.sandbox.stripe.attach_payment(invoice, charge, at=company.now)
    run = later(company)
    if setting == "credit":
        assert (sum(gross(company).values()), len(gross(company))) == (125, 3)
        assert later(company).writes == []
        return
    assert (run.writes, run.codes()) == ([], {charge: "E-PAID-TWICE"})
    assert later(company).codes() == {charge: "E-PAID-TWICE"}
    word(company, charge)
    assert later(company).codes() == {charge: "S-ACCEPTED"}
    assert not [one for one in later(company).endings if one.state in {"held", "failed"}]


CRASHES = {
    "the credit is drafted and the answer lost": Fault("POST", "^/invoices/drafts$", "drop_after_commit", times=None),
    "the credit is never drafted": Fault("POST", "^/invoices/drafts$", "drop_before", times=None),
    "the credit is booked and the answer lost": Fault("POST", "^/invoices/booked$", "drop_after_commit", times=None),
    "the credit is never booked": Fault("POST", "^/invoices/booked$", "drop_before", times=None),
    "the invoice is not drafted": Fault("POST", "^/invoices/drafts$", "drop_before", after=1, times=None),
    "the invoice is booked and the answer lost": Fault("POST", "^/invoices/booked$", "drop_after_commit", after=1, times=None),
}


@pytest.mark.exhaustive
@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("crash", CRASHES)
def test_a_run_that_dies_between_the_two_is_ended_by_the_next(company: Company, crash: str, lost: bool) -> None:
    company.configure(invoices=CREDIT)
    customer = company.customer()
    charge = booked_payment(company, customer)
    invoice = company.invoice(customer)
    company.sandbox.stripe.attach_payment(invoice, charge, at=company.now)
    company.sandbox.faults_economic.add(CRASHES[crash])
    later(company)
    assert company.sandbox.faults_economic.fired
    assert sum(gross(company).values()) <= 125, "at no moment does the sale stand twice"
    company.sandbox.faults_economic.clear()
    if lost:
        lose_the_log(company)
    company.now += timedelta(hours=2)
    company.sync()
    later(company)
    assert {key: (kind, total) for key, (kind, total) in company.documents().items()} == {
        f"stripe:{charge}": ("booked_invoice", Decimal("125.00")),
        f"stripe:{charge}:invoiced": ("booked_invoice", Decimal("-125.00")),
        f"stripe:{invoice}": ("booked_invoice", Decimal("125.00")),
    }
    assert later(company).writes == []


BEFORE_THE_DRAFT = 5
"""Lists of orders that are read before anything is sent: three by the look, two for what names the sale."""


@pytest.mark.exhaustive
def test_a_document_of_the_payment_was_sent_and_never_answered(company: Company) -> None:
    company.sync()
    company.now += timedelta(hours=1)
    customer = company.customer()
    charge = company.sandbox.stripe.charge(customer, 12_500, at=company.now)
    company.sandbox.faults_economic.add(Fault("POST", "^/invoices/drafts$", "drop_after_commit", times=None))
    company.sandbox.faults_economic.add(Fault("GET", "^/orders/", "drop_before", after=BEFORE_THE_DRAFT, times=None))
    with pytest.raises(Unreachable):
        later(company)
    company.sandbox.faults_economic.clear()
    invoice = company.invoice(customer)
    company.sandbox.stripe.attach_payment(invoice, charge, at=company.now)
    run = later(company)
    assert set(gross(company)) == {f"stripe:{charge}"}
    assert run.codes()[invoice] == "E-PAID-TWICE"
