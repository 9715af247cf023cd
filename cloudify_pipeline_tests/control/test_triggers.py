"""What each trigger would have taken and missed equals a count by hand over the same invoices."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from cloudify_pipeline.control import sync
from cloudify_pipeline.control.preflight import Preflight, check
from cloudify_pipeline.control.triggers import Tally, Trial, try_triggers
from cloudify_pipeline_tests.whole_runs.conftest import Company, company

__all__ = ["company"]


def trials(company: Company) -> dict[str, Trial]:
    opened = company.connection()
    try:
        asyncio.run(sync.stage(opened))
        return {one.trigger: one for one in try_triggers(opened)}
    finally:
        opened.log.close()


def tally(records: int, **sums: str) -> Tally:
    return Tally(records, {currency: Decimal(amount) for currency, amount in sums.items()})


@pytest.fixture
def history(company: Company) -> Company:
    """Three paid and one open invoice charged automatically, one sent and paid, one sent and open, one draft, one payment."""
    buyer = company.customer("Kunde", email="kunde@example.com")
    for _ in range(3):
        company.pay(company.invoice(buyer))
    company.invoice(buyer)
    for paid in (True, False):
        invoice = company.invoice(buyer, collection_method="send_invoice", days_until_due=14)
        company.sandbox.stripe.send(invoice, at=company.now - timedelta(hours=5))
        if paid:
            company.pay(invoice)
    company.sandbox.stripe.charge(buyer, 5_000, at=company.now - timedelta(hours=1), currency="dkk")
    return company


def test_each_trigger_is_counted_over_the_whole_history(history: Company) -> None:
    found = trials(history)
    assert found["sent"].taken == tally(2, DKK="250.00")
    assert found["sent"].never == tally(5, DKK="550.00"), "four that are charged automatically, and the payment"
    assert found["sent"].missed == found["sent"].never
    assert found["finalized"].taken == tally(7, DKK="800.00")
    assert found["finalized"].missed == tally(0)
    assert found["paid"].taken == tally(5, DKK="550.00")
    assert found["paid"].missed == tally(2, DKK="250.00")
    assert found["paid"].never == tally(0)


def test_taken_and_missed_are_the_same_whole_for_every_trigger(history: Company) -> None:
    assert {one.taken.records + one.missed.records for one in trials(history).values()} == {7}


def test_the_triggers_of_the_settings_are_marked(history: Company) -> None:
    assert [one.trigger for one in trials(history).values() if one.used] == ["paid"]


def test_conditions_and_the_day_of_going_live_change_nothing(history: Company) -> None:
    before = trials(history)
    history.configure(
        go_live_from="2030-01-01T00:00:00+00:00",
        invoices={"rules": [{"when": "paid", "create": "booked_invoice", "if": {"country": ["SE"]}}]},
    )
    assert trials(history) == before


def checked(company: Company, **settings: Any) -> Preflight:
    company.configure(**settings)
    opened = company.connection()
    try:
        return asyncio.run(check(opened))
    finally:
        opened.log.close()


def test_the_check_counts_problems_beyond_what_one_run_may_post(company: Company) -> None:
    for n in range(3):
        company.pay(company.invoice(company.customer(f"Kunde {n}", country=None)))
    found = checked(company, limits={"max_documents_per_run": 1})
    (documents,) = [cause for cause in found.problems if cause.record_kind == "document"]
    assert (documents.code, len(documents.records), documents.sums) == ("E-VAT-ZONE", 3, {"DKK": Decimal("375.00")})
    assert found.counts["waiting"] == 2


def test_the_fill_rate_is_that_of_all_that_is_staged(company: Company) -> None:
    company.pay(company.invoice(company.customer("A", phone="+45 12 34 56 78", email="a@example.com")))
    company.pay(company.invoice(company.customer("B", email="b@example.com")))
    company.sync()
    fields = {(one.section, one.target): one for one in checked(company).filled}
    phone = fields["customers", "telephoneAndFaxNumber"]
    assert (phone.filled, phone.of, phone.rate) == (1, 2, 0.5)
    assert fields["documents", "recipient.name"].filled == 2, "both stand in the ledger already, and count all the same"
    assert fields["lines", "description"].of == 2


def test_a_field_that_is_needed_and_empty_names_its_records(company: Company) -> None:
    with_order = company.pay(company.invoice(company.customer("A"), metadata={"po": "4711"}))
    without = company.pay(company.invoice(company.customer("B")))
    long = company.pay(company.invoice(company.customer("C"), metadata={"po": "9" * 300}))
    mapping = {"notes.heading": {"from": "metadata.po", "on_empty": "error", "on_too_long": "error"}}
    found = checked(company, invoices={"fields": mapping})
    heading = next(one for one in found.filled if (one.section, one.target) == ("documents", "notes.heading"))
    assert (heading.filled, heading.of) == (1, 3)
    assert (heading.missing, heading.lacking) == (1, [without])
    assert (heading.unfit, heading.unable) == (1, [long])
    assert with_order not in (*heading.lacking, *heading.unable)
