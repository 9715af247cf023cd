"""Nothing without an invoice is judged before it has rested for two minutes since it was captured, whoever asks."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from cloudify_pipeline.control.alert_causes import late_causes, record_causes
from cloudify_pipeline.control.completeness import missing
from cloudify_pipeline.control.freshness import freshness
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.control.outcome import outcome
from cloudify_pipeline.control.preview import preview
from cloudify_pipeline.control.status import status
from cloudify_pipeline.sandbox.stripe import payments
from cloudify_pipeline.sandbox.stripe.catalogue import second
from cloudify_pipeline_tests.whole_runs.conftest import Company, Run

SOON = timedelta(seconds=30)
REST = timedelta(minutes=2)


def taken(company: Company, ago: timedelta = SOON, amount: int = 10_000, **given: Any) -> str:
    """A payment without an invoice of a Danish buyer, captured so long ago."""
    return company.sandbox.stripe.charge(company.customer(), amount, at=company.now - ago, **given)


def attach(company: Company, charge: str, invoice: str) -> None:
    """What attach_payment does, and Checkout for its receipt: the open `invoice` turns out to be paid by `charge`."""
    stripe, at = company.sandbox.stripe, company.now
    paid = stripe.get("charge", charge)
    payment = {"payment_intent": paid["payment_intent"], "type": "payment_intent"}
    with stripe.transaction():
        link = payments.invoice_payment(
            stripe.new_id("inpay"), second(at), invoice=invoice, amount=paid["amount"], currency=paid["currency"], payment=payment
        )
        stripe.save(link)
        stripe.emit("invoice_payment.paid", link, at)
    moments = {**stripe.invoice(invoice)["status_transitions"], "paid_at": second(at)}
    stripe.update_invoice(invoice, at=at, status="paid", status_transitions=moments)
    stripe.emit("invoice.paid", stripe.invoice(invoice), at)


def asked(company: Company, question: Callable[[OpenConnection], Any]) -> Any:
    opened = company.connection()
    try:
        return question(opened)
    finally:
        opened.log.close()


def states(company: Company) -> dict[str, tuple[str, str | None]]:
    rows = asked(company, status)["documents"]
    return {row["stripe_id"]: (row["state"], row["error_code"]) for row in rows}


def only_rests(company: Company, run: Run, *ids: str) -> None:
    assert run.counts() == {"planned": len(ids)}
    assert run.codes() == dict.fromkeys(ids, "S-RESTS")
    assert not run.writes
    assert {one: states(company)[one] for one in ids} == dict.fromkeys(ids, ("planned", "S-RESTS"))


def test_a_payment_captured_half_a_minute_ago_rests_and_the_next_run_takes_it_without_any_event(company: Company) -> None:
    charge = taken(company)
    only_rests(company, company.sync(), charge)
    company.now += REST - SOON - timedelta(seconds=1)
    only_rests(company, company.sync(), charge)
    company.now += timedelta(seconds=1)
    assert company.sync().counts() == {"booked": 1}
    assert company.documents() == {f"stripe:{charge}": ("booked_invoice", Decimal("100.00"))}


def test_a_payment_captured_two_minutes_ago_is_booked_at_once(company: Company) -> None:
    taken(company, ago=REST)
    assert company.sync().counts() == {"booked": 1}


@pytest.mark.parametrize("named", [False, True], ids=["everything", "by its id"])
def test_a_payment_that_is_attached_to_an_invoice_while_it_rests_is_booked_with_that_and_not_by_itself(
    company: Company, named: bool
) -> None:
    charge = taken(company, amount=12_500)
    invoice = company.invoice(company.customer())
    only_rests(company, company.sync(ids=(charge,)), charge)
    company.now += timedelta(minutes=1)
    attach(company, charge, invoice)
    company.now += timedelta(minutes=1)

    run = company.sync(ids=(charge,) if named else ())

    assert f"stripe:{charge}" not in company.documents()
    assert run.codes()[charge] == "S-HAS-INVOICE"
    assert states(company)[charge] == ("skipped", "S-HAS-INVOICE")
    company.sync()
    assert company.documents() == {f"stripe:{invoice}": ("booked_invoice", Decimal("125.00"))}
    assert asked(company, missing) == []


@pytest.mark.exhaustive
@pytest.mark.parametrize("again", [False, True], ids=["sync", "replay"])
def test_who_asks_by_name_waits_as_well(company: Company, again: bool) -> None:
    charge = taken(company)
    only_rests(company, company.sync(ids=(charge,), again=again), charge)
    company.now += REST
    assert company.sync(ids=(charge,), again=again).counts() == {"booked": 1}


@pytest.mark.exhaustive
@pytest.mark.parametrize("named", [False, True], ids=["everything", "by its id"])
@pytest.mark.parametrize("seen", [False, True], ids=["not seen before", "seen when it was authorised"])
def test_a_payment_authorised_yesterday_and_captured_a_minute_ago_rests_from_its_capture(
    company: Company, named: bool, seen: bool
) -> None:
    charge = taken(company, ago=timedelta(days=1), captured=False, amount_captured=0)
    if seen:
        assert company.sync().codes() == {charge: "S-NOT-DUE"}
    company.now += timedelta(minutes=1)
    company.sandbox.stripe.capture(charge, at=company.now - SOON)
    ids = (charge,) if named else ()

    run = company.sync(ids=ids)

    only_rests(company, run, charge)
    company.now += REST - SOON
    assert company.sync(ids=ids).counts() == {"booked": 1}


@pytest.mark.exhaustive
def test_a_payment_authorised_yesterday_and_captured_an_hour_ago_has_rested(company: Company) -> None:
    charge = taken(company, ago=timedelta(days=1), captured=False, amount_captured=0)
    company.sync()
    company.now += timedelta(hours=2)
    company.sandbox.stripe.capture(charge, at=company.now - timedelta(hours=1))
    assert company.sync(ids=(charge,)).counts() == {"booked": 1}


@pytest.mark.exhaustive
def test_a_payment_that_is_only_authorised_is_not_due_and_does_not_rest(company: Company) -> None:
    charge = taken(company, captured=False, amount_captured=0)
    assert company.sync().codes() == {charge: "S-NOT-DUE"}
    assert states(company)[charge] == ("skipped", "S-NOT-DUE")


@pytest.mark.exhaustive
@pytest.mark.parametrize("hours", [1, -1])
def test_a_stripe_clock_that_differs_by_an_hour_lets_it_rest_two_minutes_all_the_same(company: Company, hours: int) -> None:
    ahead = timedelta(hours=hours)
    company.sandbox.ahead["stripe"] = ahead
    company.sync()
    charge = taken(company, ago=SOON - ahead)
    only_rests(company, company.sync(), charge)
    company.now += REST
    assert company.sync().counts() == {"booked": 1}


@pytest.mark.exhaustive
def test_a_payment_from_the_future_rests_two_minutes_from_when_it_was_first_seen(company: Company) -> None:
    charge = taken(company, ago=timedelta(hours=-1))
    only_rests(company, company.sync(ids=(charge,)), charge)
    company.now += REST
    assert company.sync(ids=(charge,)).codes().get(charge) != "S-RESTS"


@pytest.mark.exhaustive
def test_a_refund_within_the_two_minutes_waits_with_the_payment_and_is_posted_behind_it(company: Company) -> None:
    company.configure(invoices={"corrections": {"refunds": "credit"}})
    charge = taken(company)
    refund = company.sandbox.stripe.refund(charge, 2_000, at=company.now)

    run = company.sync()

    only_rests(company, run, charge, refund)
    only_rests(company, company.sync(ids=(refund,)), refund)
    assert asked(company, missing) == []
    company.now += REST
    assert company.sync().counts() == {"booked": 2}
    documents = company.documents()
    assert {key: gross for key, (_, gross) in documents.items()} == {
        f"stripe:{charge}": Decimal("100.00"),
        f"stripe:{refund}": Decimal("-20.00"),
    }


@pytest.mark.exhaustive
def test_a_refund_that_is_a_persons_is_held_behind_the_rest_and_not_before(company: Company) -> None:
    charge = taken(company)
    company.sandbox.stripe.refund(charge, 2_000, at=company.now)
    only_rests(company, company.sync(), charge)
    company.now += REST
    assert "S-RESTS" not in company.sync().codes().values()


@pytest.mark.exhaustive
@pytest.mark.parametrize("disputes", ["hold", "credit"])
def test_a_dispute_lost_within_the_two_minutes_waits_with_the_payment(company: Company, disputes: str) -> None:
    company.configure(invoices={"corrections": {"disputes": disputes}})
    charge = taken(company)
    dispute = company.sandbox.stripe.dispute(charge, at=company.now)
    company.sandbox.stripe.decide_dispute(dispute, "lost", at=company.now)
    only_rests(company, company.sync(), charge, dispute)
    company.now += REST
    assert "S-RESTS" not in company.sync().codes().values()


@pytest.mark.exhaustive
def test_a_payment_that_rests_is_neither_held_nor_missing_nor_late_nor_told_and_the_others_go_through(company: Company) -> None:
    charge = taken(company)
    other = company.pay(company.invoice(company.customer("Egen ApS")))

    run = company.sync()

    assert run.counts() == {"planned": 1, "booked": 1}
    assert set(company.documents()) == {f"stripe:{other}"}
    assert asked(company, missing) == []
    assert asked(company, record_causes) == []
    assert asked(company, late_causes) == []
    assert asked(company, freshness).oldest_waiting is None
    done = asked(company, lambda opened: outcome(opened, "run"))
    assert (done.waiting_for_a_person, done.unknown) == (0, ())
    assert (done.resting.payments, done.resting.until) == (1, company.now + REST - SOON)
    company.now += timedelta(hours=3)
    waiting = asked(company, freshness).oldest_waiting
    assert waiting is not None, "nobody came for three hours"
    assert (waiting.stripe_id, waiting.late) == (charge, True)


@pytest.mark.exhaustive
def test_what_a_limit_lets_through_is_not_taken_up_by_payments_that_rest(company: Company) -> None:
    company.configure(limits={"max_documents_per_run": 1})
    charge = taken(company, ago=timedelta(seconds=110))
    company.pay(company.invoice(company.customer("Egen ApS")))
    assert company.sync().counts() == {"planned": 1, "booked": 1}
    company.now += timedelta(seconds=10)
    assert company.sync().counts() == {"booked": 1}
    assert f"stripe:{charge}" in company.documents()


@pytest.mark.exhaustive
def test_a_payment_that_would_be_held_rests_first(company: Company) -> None:
    charge = taken(company, on_behalf_of="acct_1Keramik")
    only_rests(company, company.sync(), charge)
    company.now += REST
    assert company.sync().codes() == {charge: "E-OTHER-SELLER"}


@pytest.mark.exhaustive
def test_with_dry_run_it_is_planned_with_the_same_reason(company: Company) -> None:
    company.configure(write_mode="dry_run")
    charge = taken(company)
    only_rests(company, company.sync(), charge)


@pytest.mark.exhaustive
def test_a_preview_says_what_rests_and_reads_again_what_has_rested(company: Company) -> None:
    charge = taken(company)
    found = asked(company, lambda opened: asyncio.run(preview(opened)))
    assert (found.documents, found.problems) == ((), ())
    assert (found.counts["resting"], found.counts["skipped"], found.resting.payments) == (1, 0, 1)
    company.now += REST
    found = asked(company, lambda opened: asyncio.run(preview(opened)))
    assert [one.stripe_id for one in found.documents] == [charge]
    assert found.counts["resting"] == 0


@pytest.mark.exhaustive
def test_payments_that_are_left_out_do_not_rest(company: Company) -> None:
    company.configure(invoices={"include_charges": False})
    assert company.sync().counts() == {}
    charge = taken(company)
    company.now += timedelta(seconds=1)
    assert company.sync().codes() == {charge: "S-CHARGES-OFF"}
