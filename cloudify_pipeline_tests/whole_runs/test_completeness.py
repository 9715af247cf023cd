"""Completeness: nothing that is due is without an ending, and what is lost on the way is named."""

import asyncio
from datetime import timedelta

from cloudify_pipeline.control import sync
from cloudify_pipeline.control.completeness import missing
from cloudify_pipeline.posting.log.schema import records
from cloudify_pipeline_tests.whole_runs.conftest import Company


def lost(company: Company, *ids: str) -> list[str]:
    opened = company.connection()
    try:
        return missing(opened, ids or None)
    finally:
        opened.log.close()


def forget(company: Company, stripe_id: str) -> None:
    opened = company.connection()
    with opened.log.engine.begin() as db:
        db.exec_driver_sql("DROP TRIGGER keep_records")
        db.execute(records.delete().where(records.c.stripe_id == stripe_id))
    opened.log.close()


def staged_only(company: Company) -> None:
    opened = company.connection()
    asyncio.run(sync.stage(opened))
    opened.log.close()


def test_every_ending_is_one(company: Company) -> None:
    buyer = company.customer()
    company.pay(company.invoice(buyer))
    company.pay(company.invoice(company.customer("Nowhere", country=None), tax_rates=[]))
    company.invoice(buyer)
    company.sandbox.stripe.charge(buyer, 12_500, at=company.now)
    company.sync()
    assert lost(company) == []


def test_planned_is_one_as_well(company: Company) -> None:
    company.configure(write_mode="dry_run")
    company.pay(company.invoice(company.customer()))
    company.sync()
    assert lost(company) == []


def test_an_invoice_that_no_run_took_is_named(company: Company) -> None:
    buyer = company.customer()
    taken, dropped = company.pay(company.invoice(buyer)), company.pay(company.invoice(buyer))
    company.sync()
    forget(company, dropped)
    assert lost(company) == [dropped]
    assert lost(company, taken) == []
    company.sync()
    assert lost(company) == []


def test_an_invoice_that_was_skipped_and_is_due_by_now_is_named(company: Company) -> None:
    invoice = company.invoice(company.customer())
    company.sync()
    assert lost(company) == []
    company.pay(invoice)
    company.now += timedelta(hours=1)
    staged_only(company)
    assert lost(company) == [invoice]


def test_what_is_over_the_limit_waits_and_is_not_missing(company: Company) -> None:
    company.configure(limits={"max_documents_per_run": 2})
    buyer = company.customer()
    invoices = sorted(company.pay(company.invoice(buyer)) for _ in range(5))
    company.sync()
    assert lost(company) == []
    posted = next(key.removeprefix("stripe:") for key in company.documents())
    forget(company, posted)
    assert lost(company) == [posted], "one that the run planned is not waiting"
    for _ in range(3):
        company.now += timedelta(hours=1)
        company.sync()
    assert len(company.documents()) == len(invoices)
    assert lost(company) == []
