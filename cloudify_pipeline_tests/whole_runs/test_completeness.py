"""Completeness: nothing that is due is without an ending, and what is lost on the way is named."""

import asyncio
from datetime import timedelta

from cloudify_pipeline.control import sync
from cloudify_pipeline.control.completeness import missing
from cloudify_pipeline.control.freshness import freshness
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


def test_a_correction_that_no_run_took_is_named(company: Company) -> None:
    rules = [{"when": "finalized", "create": "booked_invoice"}]
    company.configure(
        invoices={"rules": rules, "corrections": dict.fromkeys(("voided", "uncollectible", "refunds", "disputes"), "credit")}
    )
    buyer = company.customer()
    credited, refunded = company.pay(company.invoice(buyer)), company.pay(company.invoice(buyer))
    voided, lost_money = company.invoice(buyer, days_until_due=14), company.invoice(buyer, days_until_due=14)
    company.sync()
    company.now += timedelta(hours=1)
    stripe = company.sandbox.stripe
    note = stripe.create_credit_note(credited, at=company.now)
    (charge,) = (row["id"] for row in stripe.rows("charge") if not row["amount_refunded"])
    refund = stripe.refund(charge, 5_000, at=company.now)
    dispute = stripe.dispute(charge, 2_500, at=company.now)
    stripe.decide_dispute(dispute, "lost", at=company.now)
    stripe.dispute(charge, 2_500, at=company.now)
    stripe.void(voided, at=company.now)
    stripe.mark_uncollectible(lost_money, at=company.now)
    company.now += timedelta(minutes=1)
    staged_only(company)
    corrections = {note, refund, dispute, f"{voided}:void", f"{lost_money}:uncollectible"}
    assert refunded not in corrections
    assert set(lost(company)) == corrections
    assert oldest(company) in corrections
    assert lost(company, note) == [note]
    assert company.sync().counts() == {"booked": 8}
    assert (lost(company), oldest(company)) == ([], None)
    for one in corrections:
        forget(company, one)
    assert set(lost(company)) == corrections


def test_what_takes_nothing_back_or_waits_for_its_invoice_is_not_missing(company: Company) -> None:
    company.configure(go_live_from=(company.now - timedelta(hours=2)).isoformat())
    buyer = company.customer()
    nowhere = company.pay(company.invoice(company.customer("Nowhere", country=None), tax_rates=[]))
    waiting = company.sandbox.stripe.create_credit_note(nowhere, at=company.now)
    sold = company.pay(company.invoice(buyer))
    (charge,) = (row["id"] for row in company.sandbox.stripe.rows("charge") if not row["amount_refunded"])
    failed = company.sandbox.stripe.refund(charge, 2_500, at=company.now)
    company.sandbox.stripe.fail_refund(failed, at=company.now)
    explained = company.sandbox.stripe.create_credit_note(sold, at=company.now)
    company.now += timedelta(minutes=1)
    run = company.sync()
    assert (run.codes()[waiting], explained in run.codes()) == ("E-DEPENDENCY", False)
    assert lost(company) == []


def oldest(company: Company) -> str | None:
    opened = company.connection()
    found = freshness(opened).oldest_waiting
    opened.log.close()
    return None if found is None else found.stripe_id


def test_a_refund_is_told_in_the_run_that_posts_its_invoice(company: Company) -> None:
    company.configure(limits={"max_documents_per_run": 1})
    buyer = company.customer()
    refunds = {}
    for _ in range(2):
        invoice = company.pay(company.invoice(buyer))
        (charge,) = (row["id"] for row in company.sandbox.stripe.rows("charge") if not row["amount_refunded"])
        refunds[invoice] = company.sandbox.stripe.refund(charge, 2_500, at=company.now)
    note = company.sandbox.stripe.create_credit_note(invoice, at=company.now, out_of_band=10_000)
    company.now += timedelta(minutes=1)
    codes = company.sync().codes()
    (posted,) = (key.removeprefix("stripe:") for key in company.documents())
    assert codes[refunds[posted]] == "E-CREDITED"
    (other,) = refunds.keys() - {posted}
    assert refunds[other] not in codes, "what is not in the ledger yet was not refunded there"
    assert codes[note] == "E-LIMIT"
    assert lost(company) == []
