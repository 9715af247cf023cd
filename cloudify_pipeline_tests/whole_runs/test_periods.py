"""Closed and barred periods, in a whole run: no request with a date in one of them is ever sent."""

import json
from datetime import date
from typing import Any

import pytest

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
    company.pay(company.invoice(company.customer()))
    assert company.sync().counts() == {"booked": 1}
    (document,) = company.sandbox.economic.booked()
    assert document["date"] == "2026-12-01"
    assert document["lines"][-1]["description"] == "Original date 2026-11-01"
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
