"""The calls that a plan says posting will make are the calls it makes."""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from cloudify_pipeline.control import sync
from cloudify_pipeline_tests.whole_runs.conftest import Company


def new_buyers(company: Company) -> None:
    for n in range(3):
        company.pay(company.invoice(company.customer(f"Buyer {n} ApS", email=f"{n}@example.com")))


def many_without_email(company: Company) -> None:
    """So many that their names and ids fill several filters, and none of them with an e-mail address."""
    for n in range(40):
        company.pay(company.invoice(company.customer(f"Forbruger nummer {n}, Frederiksberg", email=None)))


def changed_draft(company: Company) -> None:
    drafts = [row for row in company.sandbox.stripe.rows("invoice") if row["status"] == "open"]
    company.sandbox.stripe.update_invoice(drafts[0]["id"], at=company.now, metadata={"po": "PO-2"})


def paid_draft(company: Company) -> None:
    drafts = [row for row in company.sandbox.stripe.rows("invoice") if row["status"] == "open"]
    company.sandbox.stripe.pay(drafts[0]["id"], at=company.now)


def both(company: Company) -> None:
    new_buyers(company)
    changed_draft(company)


def credited(company: Company) -> None:
    """A new buyer's invoice and its credit note, and another one on the booked invoice of before."""
    rows = company.sandbox.stripe.rows("invoice")
    (booked,) = (row["id"] for row in rows if row["status"] == "paid")
    sold = company.pay(company.invoice(company.customer("Ny ApS", email="ny@example.com")))
    for invoice in (sold, booked):
        company.sandbox.stripe.create_credit_note(invoice, at=company.now)


def refund_failed(company: Company) -> None:
    """Two refunds of the booked invoice, one of which fails after it was posted."""
    (charge,) = (row["id"] for row in company.sandbox.stripe.rows("charge"))
    first = company.sandbox.stripe.refund(charge, 2_500, at=company.now)
    company.now += timedelta(minutes=1)
    company.sync()
    company.now += timedelta(hours=1)
    company.sandbox.stripe.fail_refund(first, at=company.now)
    company.sandbox.stripe.refund(charge, 5_000, at=company.now)


CASES: dict[str, tuple[Callable[[Company], Any], int]] = {
    "nothing": (lambda company: None, 0),
    "three new buyers": (new_buyers, 9),
    "forty buyers without e-mail": (many_without_email, 120),
    "a draft that changed": (changed_draft, 1),
    "a draft to be booked": (paid_draft, 1),
    "all of it": (both, 10),
    "credit notes": (credited, 7),
    "a refund and one that failed": (refund_failed, 4),
}


@pytest.mark.parametrize("case", CASES)
def test_the_plan_counts_the_calls_of_the_posting(company: Company, case: str) -> None:
    happens, writes = CASES[case]
    rules = [{"when": "paid", "create": "booked_invoice"}, {"when": "finalized", "create": "draft_invoice"}]
    more = {"fields": {"notes.heading": "metadata.po"}, "corrections": {"refunds": "credit"}}
    company.configure(invoices={"rules": rules, **more}, customers={"on_empty_match_field": "create"})
    buyer = company.customer()
    for _ in range(2):
        company.invoice(buyer, days_until_due=14, metadata={"po": "PO-1"})
    company.pay(company.invoice(buyer))
    company.sync()
    company.now += timedelta(hours=1)
    happens(company)
    company.now += timedelta(minutes=1)
    planned, calls = asyncio.run(plan_and_post(company))
    assert planned.writes == writes
    assert {"reads": planned.reads, "writes": planned.writes} == {
        "reads": calls["GET"], "writes": sum(calls.values()) - calls["GET"],
    }  # fmt: skip


async def plan_and_post(company: Company) -> tuple[Any, Counter[str]]:
    opened = company.connection()
    await sync.stage(opened)
    looked = await sync.plan(opened)
    before = len(company.sandbox.economic.calls)
    await sync.post_planned_customers(opened, "run")
    await sync.post_planned_products(opened, "run")
    await sync.post_planned_documents(opened, "run")
    opened.log.close()
    return looked.calls, Counter(call.method for call in list(company.sandbox.economic.calls)[before:])


def test_the_words_tell_share_and_time() -> None:
    from cloudify_pipeline.control.calls import PlannedCalls

    assert str(PlannedCalls(2_110, 42, 110.0, 50_000)) == (
        "2,110 writes and 42 reads, about 2 min; 4.3% of the 50,000 calls of a day"
    )
    assert str(PlannedCalls(2, 12, 1.4, None)) == "2 writes and 12 reads, about 2 s"
