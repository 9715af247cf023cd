"""Corrections whose history this software has lost or never read: nothing is taken back twice, and nothing is left out."""

from datetime import timedelta
from decimal import Decimal

import pytest

from cloudify_pipeline.sandbox.stripe.credit_notes import CreditLine
from cloudify_pipeline_tests.whole_runs.conftest import Company
from cloudify_pipeline_tests.whole_runs.test_corrections import gross, note_for, owed, refunded


def lose(company: Company, what: str) -> None:
    """Somebody deletes the posting log (``posting.db``) or staging (``.duckdb``)."""
    found = [path for path in (company.folder.parent / "home").rglob("*") if what in path.name]
    assert found
    for path in found:
        path.unlink()


def line_of(company: Company, invoice: str) -> str:
    return str(company.sandbox.stripe.invoice(invoice)["lines"]["data"][0]["id"])


@pytest.mark.parametrize("seen", [False, True], ids=["the note is new", "the note was held before"])
def test_a_refund_that_is_posted_is_not_credited_again_after_the_log_is_lost(company: Company, *, seen: bool) -> None:
    invoice, (refund,) = refunded(company, 5_000, refunds="credit")
    company.sync()
    company.now += timedelta(hours=1)
    note = note_for(company, invoice, refund, 4_000)
    company.now += timedelta(minutes=1)
    if seen:
        company.sync()
    lose(company, "posting.db")
    for _ in range(2):
        assert company.sync().codes()[note] == "E-CREDITED"
        company.now += timedelta(hours=1)
    assert gross(company) == {f"stripe:{invoice}": Decimal("125.00"), f"stripe:{refund}": Decimal("-50.00")}


def test_a_written_off_invoice_that_is_voided_is_taken_back_once_although_the_log_is_lost(company: Company) -> None:
    invoice = owed(company, voided="credit", uncollectible="credit")
    company.sandbox.stripe.mark_uncollectible(invoice, at=company.now)
    company.now += timedelta(minutes=1)
    company.sync()
    lose(company, "posting.db")
    company.sandbox.stripe.void(invoice, at=company.now)
    for _ in range(3):
        company.now += timedelta(minutes=1)
        company.sync()
    assert gross(company) == {f"stripe:{invoice}": Decimal("125.00"), f"stripe:{invoice}:uncollectible": Decimal("-125.00")}


def test_a_credit_note_from_before_what_was_listed_comes_with_its_invoice(company: Company) -> None:
    invoice = company.invoice(company.customer(), days_until_due=14)
    line = CreditLine(line_of(company, invoice), 2_000)
    note = company.sandbox.stripe.create_credit_note(invoice, [line], at=company.now - timedelta(hours=20))
    company.sync(since=company.now - timedelta(hours=2))
    company.now += timedelta(hours=3)
    company.pay(invoice)
    assert company.sync().codes() == {}
    assert gross(company) == {f"stripe:{invoice}": Decimal("125.00"), f"stripe:{note}": Decimal("-25.00")}
    asked = lists_of_notes(company)
    company.now += timedelta(hours=3)
    assert company.sync().calls == [("GET", "/self")]
    assert lists_of_notes(company) == asked, "they are asked for once"


def lists_of_notes(company: Company) -> int:
    return sum(call.path == "/v1/credit_notes" for call in company.sandbox.stripe.calls)


def test_what_a_credit_note_took_back_is_not_voided_again_after_staging_is_lost(company: Company) -> None:
    invoice = owed(company, voided="credit")
    line = CreditLine(line_of(company, invoice), 4_000)
    note = company.sandbox.stripe.create_credit_note(invoice, [line], at=company.now)
    company.now += timedelta(minutes=1)
    company.sync()
    lose(company, ".duckdb")
    company.now += timedelta(hours=5)
    company.sync(since=company.now - timedelta(hours=1))
    company.sandbox.stripe.void(invoice, at=company.now)
    company.now += timedelta(minutes=1)
    company.sync()
    assert sum(gross(company).values()) == 0
    assert (gross(company)[f"stripe:{note}"], gross(company)[f"stripe:{invoice}:void"]) == (Decimal("-50.00"), Decimal("-75.00"))


def test_a_refund_of_an_invoice_that_is_no_longer_staged_says_so_and_follows(company: Company) -> None:
    invoice, _ = refunded(company, 5_000, refunds="credit")
    company.sync()
    lose(company, ".duckdb")
    company.now += timedelta(hours=5)
    company.sync(since=company.now - timedelta(hours=1))
    (charge,) = company.sandbox.stripe.rows("charge")
    refund = company.sandbox.stripe.refund(charge["id"], 2_500, at=company.now)
    company.now += timedelta(minutes=1)
    held = [one.problem for one in company.sync().endings if one.stripe_id == refund]
    assert {(one.code, one.found) for one in held if one is not None} == {("E-DEPENDENCY", invoice)}
    company.now += timedelta(minutes=1)
    company.sync(ids=(invoice,))
    assert gross(company)[f"stripe:{refund}"] == Decimal("-25.00")
    assert sum(gross(company).values()) == Decimal("50.00")


def test_a_number_that_another_document_has_by_now_is_not_the_original(company: Company) -> None:
    company.configure(invoices={"rules": [{"when": "paid", "create": "draft_invoice"}]})
    invoice = company.pay(company.invoice(company.customer()))
    company.sync()
    (draft,) = company.sandbox.economic.drafts()
    stranger = {**draft, "customer": {"customerNumber": 9_999}, "references": {"other": "an offer of ours"}}
    company.sandbox.economic.put("drafts", draft["draftInvoiceNumber"], stranger)
    company.now += timedelta(hours=1)
    line = CreditLine(line_of(company, invoice), 2_000)
    note = company.sandbox.stripe.create_credit_note(invoice, [line], at=company.now)
    company.now += timedelta(minutes=1)
    run = company.sync()
    assert (run.writes, run.codes()[note]) == ([], "E-GONE")


def test_a_run_that_may_post_one_document_leaves_its_correction_to_the_next(company: Company) -> None:
    company.configure(limits={"max_documents_per_run": 1})
    first, second = (company.pay(company.invoice(company.customer(name))) for name in ("Aa ApS", "Bb ApS"))
    notes = [company.sandbox.stripe.create_credit_note(one, at=company.now - timedelta(minutes=30)) for one in (first, second)]
    posted = []
    for _ in range(5):
        company.sync()
        posted.append(len(gross(company)))
        company.now += timedelta(hours=1)
    assert posted == [1, 2, 3, 4, 4]
    assert gross(company).keys() == {f"stripe:{one}" for one in (first, second, *notes)}
    assert sum(gross(company).values()) == 0
