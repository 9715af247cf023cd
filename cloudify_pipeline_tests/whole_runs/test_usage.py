"""The meter: what stands in the ledger because of us, by month; nothing else moves it."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from cloudify_pipeline.cli.main import main
from cloudify_pipeline.control.usage import Month, usage
from cloudify_pipeline.sandbox.faults import Fault
from cloudify_pipeline_tests.whole_runs.conftest import Company


def used(company: Company) -> list[Month]:
    opened = company.connection()
    try:
        return usage(opened)
    finally:
        opened.log.close()


def test_each_kind_counts_in_the_month_in_which_the_ledger_confirmed_it(company: Company) -> None:
    buyer = company.customer()
    company.configure(
        invoices={"rules": [{"when": "paid", "create": "booked_invoice"}, {"when": "finalized", "create": "draft_order"}]}
    )
    company.pay(company.invoice(buyer))
    company.invoice(buyer)
    company.sync()
    # 23:30 UTC on 30 November is 1 December in Copenhagen.
    company.now = datetime(2026, 11, 30, 23, 30, tzinfo=UTC)
    company.configure(invoices={"rules": [{"when": "finalized", "create": "draft_invoice"}]})
    company.invoice(buyer)
    company.sync()
    assert used(company) == [Month("2026-11", booked_invoices=1, draft_orders=1), Month("2026-12", draft_invoices=1)]


def test_booking_a_draft_later_makes_no_second_document(company: Company) -> None:
    company.configure(invoices={"rules": [{"when": "finalized", "create": "draft_invoice"}]})
    invoice = company.pay(company.invoice(company.customer()))
    company.sync()
    assert used(company) == [Month("2026-11", draft_invoices=1)]
    company.configure(invoices={"rules": [{"when": "finalized", "create": "booked_invoice"}]})
    company.sync(ids=(invoice,))
    assert used(company) == [Month("2026-11", booked_invoices=1)]


@pytest.mark.parametrize("status", [400, 500])
def test_a_failed_run_leaves_the_meter_unchanged_and_the_next_counts_once(company: Company, status: int) -> None:
    buyer = company.customer()
    company.pay(company.invoice(buyer))
    company.sync()
    before = used(company)
    company.now += timedelta(days=2)
    company.pay(company.invoice(buyer))
    company.pay(company.invoice(company.customer("Nowhere", country=None), tax_rates=[]))
    company.sandbox.faults_economic.add(Fault("POST", "^/invoices/drafts$", "status", times=None, status=status))
    assert set(company.sync().counts()) == {"failed", "held"}
    assert used(company) == before
    company.sandbox.faults_economic.clear()
    company.now += timedelta(hours=1)
    company.sync()
    assert used(company) == [Month("2026-11", booked_invoices=2)]
    company.now += timedelta(hours=1)
    company.sync()
    company.sync(ids=tuple(key.removeprefix("stripe:") for key in company.documents()))
    assert used(company) == [Month("2026-11", booked_invoices=2)]


def test_an_answer_that_was_lost_counts_the_document_once(company: Company) -> None:
    company.sandbox.faults_economic.add(Fault("POST", "^/invoices/drafts$", "drop_after_commit"))
    company.pay(company.invoice(company.customer()))
    company.sync()
    company.sync()
    assert [month.total for month in used(company)] == [1]


def test_the_command(company: Company, capsys: pytest.CaptureFixture[str]) -> None:
    company.connection().log.close()
    assert main(["usage", "nordlys"]) == 0
    assert "No document has been created yet" in capsys.readouterr().out
    company.pay(company.invoice(company.customer()))
    company.sync()
    assert main(["usage", "nordlys", "--json"]) == 0
    month = {"month": "2026-11", "draft_invoices": 0, "booked_invoices": 1, "draft_orders": 0, "total": 1}
    assert json.loads(capsys.readouterr().out) == {"connection": "nordlys", "months": [month], "total": 1}
    assert main(["usage"]) == 0
    assert "Booked invoices" in capsys.readouterr().out
