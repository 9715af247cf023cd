"""Whole runs: from an invoice in Stripe to a document in the ledger, and what a second run does."""

from datetime import timedelta
from decimal import Decimal

import pytest

from cloudify_pipeline.errors import NotAuthorised
from cloudify_pipeline.sandbox.faults import Fault
from cloudify_pipeline.sandbox.stripe.bulk import add_invoices
from cloudify_pipeline.sandbox.stripe.invoices import Line
from cloudify_pipeline_tests.whole_runs.conftest import Company

GROSS = Decimal("125.00")


@pytest.mark.parametrize("create", ["draft_invoice", "booked_invoice", "draft_order"])
@pytest.mark.parametrize("when", ["sent", "finalized", "paid"])
def test_each_trigger_creates_each_document_once_and_on_its_own_event_only(company: Company, when: str, create: str) -> None:
    company.configure(invoices={"rules": [{"when": when, "create": create}]})
    buyer = company.customer()
    finalized, sent, paid = (company.invoice(buyer, days_until_due=14) for _ in range(3))
    company.sandbox.stripe.send(sent, at=company.now - timedelta(hours=2))
    company.pay(paid)
    due = {"finalized": {finalized, sent, paid}, "sent": {sent}, "paid": {paid}}[when]
    run = company.sync()
    assert company.documents() == {f"stripe:{invoice}": (create, GROSS) for invoice in due}
    assert run.counts() == {("booked" if create == "booked_invoice" else "posted"): len(due)} | (
        {"skipped": 3 - len(due)} if len(due) < 3 else {}
    )
    company.now += timedelta(hours=1)
    assert company.sync().writes == []


def test_the_customer_comes_first_then_the_product_then_draft_and_booking(company: Company) -> None:
    company.pay(company.invoice(company.customer()))
    run = company.sync()
    assert run.writes == [
        ("POST", "/customers"),
        ("POST", "/products"),
        ("POST", "/invoices/drafts"),
        ("POST", "/invoices/booked"),
    ]


def test_fifty_invoices_of_one_new_customer_make_one_customer(company: Company) -> None:
    before = len(company.sandbox.economic.customers())
    buyer = company.customer()
    for _ in range(50):
        company.pay(company.invoice(buyer))
    company.sync()
    assert len(company.sandbox.economic.customers()) == before + 1
    assert len(company.documents()) == 50


def test_a_customer_in_the_ledger_is_found_by_email_and_not_made_again(company: Company) -> None:
    company.sandbox.economic.add_customer(customerNumber=4711, name="Ærø & Søn [DK]", email="faktura@aeroe.example")
    company.pay(company.invoice(company.customer("Ærø & Søn", email="Faktura@aeroe.example")))
    run = company.sync()
    assert ("POST", "/customers") not in run.writes
    assert company.sandbox.economic.booked()[0]["customer"]["customerNumber"] == 4711


def test_the_number_of_a_new_customer_is_kept_in_stripe(company: Company) -> None:
    buyer = company.customer()
    company.pay(company.invoice(buyer))
    company.sync()
    number = company.sandbox.economic.booked()[0]["customer"]["customerNumber"]
    assert company.sandbox.stripe.get("customer", buyer)["metadata"]["economic_customer_number"] == str(number)


def test_with_store_in_null_nothing_is_ever_written_to_stripe(company: Company) -> None:
    company.configure(customers={"number": {"store_in": None}})
    company.pay(company.invoice(company.customer()))
    company.sync()
    assert {call.method for call in company.sandbox.stripe.calls} == {"GET"}
    assert len(company.documents()) == 1


@pytest.mark.parametrize("mode", ["read_only", "dry_run"])
def test_nothing_but_get_is_sent_unless_the_mode_is_write(company: Company, mode: str) -> None:
    company.configure(write_mode=mode)
    company.pay(company.invoice(company.customer()))
    run = company.sync()
    assert run.writes == []
    assert {call.method for call in company.sandbox.stripe.calls} == {"GET"}
    assert run.counts() == {"planned": 1}


def test_invoices_from_before_go_live_are_never_posted(company: Company) -> None:
    company.pay(company.invoice(company.customer()))
    company.configure(go_live_from=company.now.isoformat())
    run = company.sync()
    assert run.counts() == {"skipped": 1}
    assert list(run.codes().values()) == ["S-BEFORE-GO-LIVE"]


def test_a_payment_without_an_invoice_becomes_a_document(company: Company) -> None:
    charge = company.sandbox.stripe.charge(
        company.customer(country="US"), 4_900, at=company.now - timedelta(hours=1), currency="usd"
    )
    company.sync()
    assert company.documents() == {f"stripe:{charge}": ("booked_invoice", Decimal("49.00"))}


def test_more_lines_than_stripe_embeds_all_arrive(company: Company) -> None:
    lines = [Line(company.price, quantity=n + 1) for n in range(25)]
    company.pay(company.invoice(company.customer(), lines=lines))
    company.sync()
    (booked,) = company.sandbox.economic.booked()
    assert len(booked["lines"]) == 25
    assert Decimal(booked["grossAmount"]) == sum(range(1, 26)) * GROSS


def test_one_bad_record_does_not_stop_the_others(company: Company) -> None:
    nowhere = company.pay(company.invoice(company.customer("Nowhere", country=None)))
    for n in range(9):
        company.pay(company.invoice(company.customer(f"Kunde {n}")))
    run = company.sync()
    assert run.counts() == {"booked": 9, "held": 1}
    assert run.codes()[nowhere] == "E-VAT-ZONE", "a dependent shows the root cause"


def test_an_invoice_that_breaks_stripes_own_arithmetic_is_held(company: Company) -> None:
    invoice = company.pay(company.invoice(company.customer()))
    company.sandbox.stripe.update_invoice(invoice, at=company.now - timedelta(minutes=5), total=12_501)
    run = company.sync()
    assert run.codes()[invoice] == "E-STRIPE-SUM"
    assert company.documents() == {}


def test_a_held_record_is_posted_when_its_cause_is_mended(company: Company) -> None:
    buyer = company.customer("Nowhere", country=None)
    invoice = company.pay(company.invoice(buyer))
    assert company.sync().counts() == {"held": 1}
    company.configure(
        vat={"missing_country": "customer_zone"}, customers={"defaults": {"payment_terms": 1, "group": 1, "vat_zone": 1}}
    )
    assert company.sync().counts() == {"booked": 1}
    assert list(company.documents()) == [f"stripe:{invoice}"]


@pytest.mark.parametrize("path", ["^/customers$", "^/products$", "^/invoices/drafts$", "^/invoices/booked$"])
@pytest.mark.parametrize("kind", ["drop_after_commit", "drop_before"])
def test_a_lost_connection_doubles_nothing_and_loses_nothing(company: Company, path: str, kind: str) -> None:
    company.pay(company.invoice(company.customer()))
    customers, products = len(company.sandbox.economic.customers()), len(company.sandbox.economic.products())
    company.sandbox.faults_economic.add(Fault("POST", path, kind))  # type: ignore[arg-type]
    company.sync()
    company.sync()
    assert list(company.documents().values()) == [("booked_invoice", GROSS)]
    assert len(company.sandbox.economic.customers()) == customers + 1
    assert len(company.sandbox.economic.products()) == products + 1


@pytest.mark.parametrize("status", [429, 500, 502])
def test_a_server_on_a_bad_day_is_asked_again_without_a_double(company: Company, status: int) -> None:
    company.pay(company.invoice(company.customer()))
    company.sandbox.faults_economic.add(
        Fault("POST", "^/invoices/drafts$", "status", status=status, retry_after=0, committed=status == 500)
    )
    company.sync()
    company.sync()
    assert list(company.documents().values()) == [("booked_invoice", GROSS)]


def test_a_lost_log_posts_nothing_again(company: Company) -> None:
    for n in range(5):
        company.pay(company.invoice(company.customer(f"Kunde {n}")))
    company.sync()
    before = company.documents()
    for file in (company.folder.parent / "home").glob("posting.db*"):
        file.unlink()
    run = company.sync()
    assert run.writes == []
    assert company.documents() == before
    assert run.counts() == {"booked": 5}


def test_a_withdrawn_grant_stops_the_run_with_the_remedy_and_no_retries(company: Company) -> None:
    company.pay(company.invoice(company.customer()))
    company.sandbox.economic.revoke_grant()
    with pytest.raises(NotAuthorised) as stopped:
        company.sync()
    assert stopped.value.code == "E-CONN-GRANT"
    assert len(company.sandbox.economic.calls) == 1


def test_a_read_only_licence_stops_the_run_by_name(company: Company) -> None:
    company.pay(company.invoice(company.customer()))
    company.sandbox.economic.set_read_only_licence(True)
    with pytest.raises(NotAuthorised) as stopped:
        company.sync()
    assert stopped.value.code == "E-CONN-READONLY"
    assert company.documents() == {}


def test_hundreds_of_invoices_need_two_calls_each_and_a_second_run_none(company: Company) -> None:
    company.configure(customers={"number": {"store_in": None}})
    ids = add_invoices(company.sandbox.stripe, 300, until=company.now - timedelta(minutes=5), customers=40)
    run = company.sync()
    assert len(company.documents()) == len(ids)
    documents = [path for method, path in run.writes if path in {"/invoices/drafts", "/invoices/booked"}]
    assert len(documents) == 2 * len(ids)
    reads = [call for call in run.calls if call[0] == "GET"]
    assert len(reads) < 100, "reads do not grow with the number of documents"
    company.now += timedelta(hours=1)
    again = company.sync()
    assert again.writes == []
    assert len(again.calls) <= 2
    assert again.report.requests <= 10
    assert again.report.changed == 0
