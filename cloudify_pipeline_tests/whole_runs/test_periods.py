"""Closed and barred periods, in a whole run: no request with a date in one of them is ever sent."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from cloudify_pipeline.control import sync
from cloudify_pipeline.posting.endings import Ending
from cloudify_pipeline_tests.whole_runs.conftest import Company


def dates_sent(company: Company) -> list[str]:
    """The date of every document that was sent to the ledger, accepted or not."""
    return [document["date"] for document in (*company.sandbox.economic.drafts(), *company.sandbox.economic.booked())]


@pytest.mark.parametrize("state", [{"closed": True}, {"barred": True}])
def test_what_is_dated_in_a_shut_month_is_held_and_not_sent(company: Company, state: dict[str, bool]) -> None:
    company.sandbox.economic.set_period("2026-11-01", **state)
    invoice = company.pay(company.invoice(company.customer()))
    run = company.sync()
    assert run.codes() == {invoice: "E-PERIOD"}
    assert run.writes == []


@pytest.mark.parametrize("state", [{"closed": True}, {"barred": True}])
def test_or_moved_to_the_first_open_day_with_its_own_date_in_the_text(company: Company, state: dict[str, bool]) -> None:
    company.sandbox.economic.set_period("2026-11-01", **state)
    company.configure(invoices={"closed_period": "first_open_day"})
    invoice = company.pay(company.invoice(company.customer()))
    run = company.sync()
    assert (run.codes(), run.writes) == ({invoice: "E-PERIOD"}, []), "December has not come yet"
    company.now = datetime(2026, 12, 1, 7, tzinfo=UTC)
    assert company.sync().counts() == {"booked": 1}
    (document,) = company.sandbox.economic.booked()
    assert document["date"] == "2026-12-01"
    assert document["lines"][-1]["description"] == "Oprindelig dato 2026-11-01"
    assert str(document["grossAmount"]) == "125.00"


def test_a_month_that_is_shut_after_posting_moves_nothing_that_is_booked(company: Company) -> None:
    company.configure(invoices={"closed_period": "first_open_day"})
    invoice = company.pay(company.invoice(company.customer()))
    company.sync()
    company.sandbox.economic.set_period("2026-11-01", closed=True)
    assert company.sync(ids=(invoice,), again=True).writes == []
    assert dates_sent(company) == ["2026-11-01"]


def test_a_month_that_is_opened_lets_the_held_document_through_with_its_own_date(company: Company) -> None:
    company.sandbox.economic.set_period("2026-11-01", barred=True)
    company.pay(company.invoice(company.customer()))
    company.sync()
    company.sandbox.economic.set_period("2026-11-01", barred=False)
    company.sync()
    assert dates_sent(company) == ["2026-11-01"]


def test_a_month_that_is_shut_between_plan_and_posting_gets_nothing(company: Company) -> None:
    company.pay(company.invoice(company.customer()))

    async def run() -> list[Ending]:
        opened = company.connection()
        await sync.stage(opened)
        await sync.plan(opened)
        company.sandbox.economic.set_period("2026-11-01", closed=True)
        await sync.post_planned_customers(opened, "run")
        await sync.post_planned_products(opened, "run")
        endings = (await sync.post_planned_documents(opened, "run")).endings
        opened.log.close()
        return endings

    (ending,) = asyncio.run(run())
    assert (ending.state, ending.problem and ending.problem.code) == ("held", "E-PERIOD")
    assert dates_sent(company) == []


@pytest.mark.parametrize("day", ["2026-11-01", "2026-12-01"])
def test_a_hand_made_document_is_found_by_the_original_date_as_well(company: Company, day: str) -> None:
    company.configure(invoices={"closed_period": "first_open_day"})
    buyer = company.customer()
    company.pay(company.invoice(buyer))
    company.sync()
    ledger = company.sandbox.economic
    (booked,) = ledger.booked()
    ledger.put("booked", 31_000, {**booked, "bookedInvoiceNumber": 31_000, "date": day, "references": {"other": "by hand"}})
    ledger.set_period("2026-11-01", closed=True)
    company.now += timedelta(days=2)
    invoice = company.pay(company.invoice(buyer))
    company.now = datetime(2026, 12, 2, 7, tzinfo=UTC)
    assert company.sync().codes()[invoice] == "E-DUP-HUMAN"
