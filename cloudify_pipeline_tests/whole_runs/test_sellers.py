"""A platform's Stripe account: what its connected accounts sell is no turnover of the platform until the settings say so."""

from datetime import timedelta
from decimal import Decimal

import pytest

from cloudify_pipeline_tests.whole_runs.conftest import Company

OTHER = "acct_1Keramik"
OWN = "acct_1NordlysSandbox00"


def test_an_invoice_on_behalf_of_another_account_is_held_by_name_and_its_credit_note_waits_with_it(company: Company) -> None:
    theirs = company.pay(company.invoice(company.customer(), on_behalf_of=OTHER))
    ours = company.pay(company.invoice(company.customer("Egen ApS")))
    note = company.sandbox.stripe.create_credit_note(theirs, at=company.now - timedelta(minutes=30))

    run = company.sync()

    assert run.codes() == {theirs: "E-OTHER-SELLER", note: "E-DEPENDENCY"}
    assert set(company.documents()) == {f"stripe:{ours}"}
    held = next(ending for ending in run.endings if ending.stripe_id == theirs)
    assert held.state == "held"
    assert held.problem is not None
    assert (held.problem.field, held.problem.found) == ("on_behalf_of", OTHER)
    assert OTHER in held.problem.message


@pytest.mark.exhaustive
def test_an_invoice_that_another_account_issues_is_held(company: Company) -> None:
    theirs = company.pay(company.invoice(company.customer(), issuer={"type": "account", "account": OTHER}))
    assert company.sync().codes() == {theirs: "E-OTHER-SELLER"}
    assert not company.documents()


@pytest.mark.exhaustive
@pytest.mark.parametrize("named", [False, True], ids=["everything", "by its id"])
def test_an_invoice_whose_payment_went_on_to_another_account_is_held_though_it_says_nothing_itself(
    company: Company, named: bool
) -> None:
    first = company.pay(company.invoice(company.customer()))
    company.sync()
    company.now += timedelta(hours=2)
    theirs = company.invoice(company.customer("Keramik ApS"))
    company.sandbox.stripe.pay(theirs, at=company.now - timedelta(hours=1), destination=OTHER)

    run = company.sync(ids=(theirs,) if named else ())

    assert run.codes() == {theirs: "E-OTHER-SELLER"}
    assert set(company.documents()) == {f"stripe:{first}"}


def test_a_payment_without_invoice_that_is_transferred_is_held_and_one_of_a_connected_app_is_ours(company: Company) -> None:
    at = company.now - timedelta(hours=1)
    stripe, buyer = company.sandbox.stripe, company.customer()
    moved = stripe.charge(buyer, 10_000, at=at, transfer="tr_1", transfer_data={"amount": None, "destination": OTHER})
    behalf = stripe.charge(buyer, 10_000, at=at, on_behalf_of=OTHER)
    direct = stripe.charge(buyer, 5_000, at=at, application="ca_1", application_fee="fee_1", application_fee_amount=250)

    run = company.sync()

    assert run.codes() == {moved: "E-OTHER-SELLER", behalf: "E-OTHER-SELLER"}
    assert company.documents() == {f"stripe:{direct}": ("booked_invoice", Decimal("50.00"))}


@pytest.mark.exhaustive
def test_a_platform_that_sells_in_its_own_name_posts_them_once_the_settings_say_so(company: Company) -> None:
    theirs = company.pay(company.invoice(company.customer(), on_behalf_of=OTHER))
    assert company.sync().codes() == {theirs: "E-OTHER-SELLER"}
    company.configure(invoices={"sold_by_another": "post"})
    assert company.sync().counts() == {"booked": 1}
    assert company.documents() == {f"stripe:{theirs}": ("booked_invoice", Decimal("125.00"))}


@pytest.mark.exhaustive
def test_an_account_that_names_itself_sells_for_itself(company: Company) -> None:
    company.configure(stripe={"account": OWN})
    company.pay(company.invoice(company.customer(), on_behalf_of=OWN, issuer={"type": "account", "account": OWN}))
    assert company.sync().counts() == {"booked": 1}


@pytest.mark.exhaustive
def test_what_was_posted_before_the_settings_said_to_hold_it_stays(company: Company) -> None:
    company.configure(invoices={"sold_by_another": "post"})
    theirs = company.pay(company.invoice(company.customer(), on_behalf_of=OTHER))
    company.sync()
    before = company.documents()
    company.configure(invoices={"sold_by_another": "hold"})
    company.sandbox.stripe.update_invoice(theirs, at=company.now, metadata={"note": "seen"})

    run = company.sync()
    again = company.sync(ids=(theirs,))

    assert "E-OTHER-SELLER" not in (*run.codes().values(), *again.codes().values())
    assert company.documents() == before
    assert not again.writes


@pytest.mark.exhaustive
def test_sales_that_are_held_for_another_seller_leave_the_room_of_a_run_to_the_others(company: Company) -> None:
    company.configure(limits={"max_documents_per_run": 1})
    company.pay(company.invoice(company.customer(), on_behalf_of=OTHER))
    ours = company.pay(company.invoice(company.customer("Egen ApS")))
    company.sync()
    assert set(company.documents()) == {f"stripe:{ours}"}
