"""Voided and written-off invoices and refunds without a credit note: held, or credited by setting."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest

from cloudify_pipeline.sandbox.economic.documents import book
from cloudify_pipeline.sandbox.stripe.credit_notes import CreditLine
from cloudify_pipeline_tests.whole_runs.conftest import Company

CLOSED: dict[str, tuple[Callable[[Company, str], object], str, str]] = {
    "voided": (lambda c, i: c.sandbox.stripe.void(i, at=c.now), "void", "E-VOIDED"),
    "uncollectible": (lambda c, i: c.sandbox.stripe.mark_uncollectible(i, at=c.now), "uncollectible", "E-UNCOLLECTIBLE"),
}


def gross(company: Company) -> dict[str, Decimal]:
    return {key: total for key, (_, total) in company.documents().items()}


def owed(company: Company, **corrections: str) -> str:
    """A booked invoice over 125.00 that is not paid."""
    rules = [{"when": "finalized", "create": "booked_invoice"}]
    company.configure(invoices={"rules": rules, "corrections": corrections})
    invoice = company.invoice(company.customer(), days_until_due=14)
    assert company.sync().counts() == {"booked": 1}
    company.now += timedelta(hours=1)
    return invoice


@pytest.mark.parametrize("change", CLOSED)
@pytest.mark.parametrize("setting", ["hold", "credit"])
def test_a_closed_invoice_is_held_or_credited(company: Company, change: str, setting: str) -> None:
    invoice = owed(company, **{change: setting})
    happens, ending, code = CLOSED[change]
    happens(company, invoice)
    company.now += timedelta(minutes=1)
    run = company.sync()
    if setting == "hold":
        assert (run.writes, run.codes()) == ([], {invoice: code})
        return
    assert not [one for one in run.endings if one.state in {"held", "failed"}]
    assert gross(company) == {f"stripe:{invoice}": Decimal("125.00"), f"stripe:{invoice}:{ending}": Decimal("-125.00")}
    company.now += timedelta(hours=1)
    assert company.sync().calls == [("GET", "/self")]
    for path in (company.folder.parent / "home").glob("posting.db*"):
        path.unlink()
    assert company.sync().writes == [], "each is found again by its own key"


def test_what_a_credit_note_has_left_is_taken_back(company: Company) -> None:
    invoice = owed(company, voided="credit")
    line = company.sandbox.stripe.invoice(invoice)["lines"]["data"][0]["id"]
    company.sandbox.stripe.create_credit_note(invoice, [CreditLine(line, 4_000)], at=company.now)
    company.sandbox.stripe.void(invoice, at=company.now)
    company.now += timedelta(minutes=1)
    company.sync()
    assert gross(company)[f"stripe:{invoice}:void"] == Decimal("-75.00")
    assert sum(gross(company).values()) == 0


def test_where_people_book_a_reversal_is_a_draft_for_them_to_book(company: Company) -> None:
    company.configure(invoices={"rules": [{"when": "finalized", "create": "draft_invoice"}], "corrections": {"voided": "credit"}})
    invoice = company.invoice(company.customer(), days_until_due=14)
    company.sync()
    store = company.sandbox.economic
    (draft,) = store.drafts()
    with store.lock:
        book(store, {"draftInvoice": {"draftInvoiceNumber": draft["draftInvoiceNumber"]}})
    company.now += timedelta(hours=1)
    company.sync(ids=(invoice,))
    company.sandbox.stripe.void(invoice, at=company.now)
    company.now += timedelta(minutes=1)
    company.sync()
    assert company.documents()[f"stripe:{invoice}:void"] == ("draft_invoice", Decimal("-125.00"))


def test_an_invoice_that_is_paid_after_all_needs_a_person(company: Company) -> None:
    invoice = owed(company, uncollectible="credit")
    company.sandbox.stripe.mark_uncollectible(invoice, at=company.now)
    company.now += timedelta(hours=1)
    company.sync()
    company.now += timedelta(hours=2)
    company.pay(invoice)
    run = company.sync()
    assert (run.writes, run.codes()[f"{invoice}:uncollectible"]) == ([], "E-CHANGED")


@pytest.mark.parametrize("setting", ["hold", "credit"])
def test_a_refund_of_an_invoice_without_a_credit_note(company: Company, setting: str) -> None:
    company.configure(invoices={"corrections": {"refunds": setting}})
    invoice = company.pay(company.invoice(company.customer()))
    company.sync()
    (charge,) = company.sandbox.stripe.rows("charge")
    company.now += timedelta(hours=1)
    refund = company.sandbox.stripe.refund(charge["id"], 2_500, at=company.now)
    company.now += timedelta(minutes=1)
    run = company.sync()
    if setting == "hold":
        assert (run.writes, run.codes()) == ([], {refund: "E-CREDITED"})
        return
    assert gross(company) == {f"stripe:{invoice}": Decimal("125.00"), f"stripe:{refund}": Decimal("-25.00")}
    company.now += timedelta(hours=1)
    assert company.sync().calls == [("GET", "/self")]


@pytest.mark.parametrize("setting", ["hold", "credit"])
def test_a_refund_of_a_payment_without_an_invoice(company: Company, setting: str) -> None:
    company.configure(invoices={"corrections": {"refunds": setting}})
    at = company.now - timedelta(hours=3)
    charge = company.sandbox.stripe.charge(company.customer(), 12_500, at=at, description="Workshop")
    company.sync()
    company.now += timedelta(hours=1)
    refund = company.sandbox.stripe.refund(charge, 5_000, at=company.now)
    company.now += timedelta(minutes=1)
    run = company.sync()
    if setting == "hold":
        assert (run.writes, run.codes()) == ([], {charge: "E-CREDITED"})
        return
    assert run.codes() == {}
    assert gross(company) == {f"stripe:{charge}": Decimal("125.00"), f"stripe:{refund}": Decimal("-50.00")}


def refunded(company: Company, *amounts: int, kind: str = "invoice", **corrections: str) -> tuple[str, list[str]]:
    """A booked sale over 125.00 and the refunds of it; nothing is said of them yet."""
    company.configure(invoices={"corrections": corrections})
    if kind == "invoice":
        sale = company.pay(company.invoice(company.customer()))
        (charge,) = (row["id"] for row in company.sandbox.stripe.rows("charge"))
    else:
        sale = charge = company.sandbox.stripe.charge(company.customer(), 12_500, at=company.now - timedelta(hours=3))
    company.sync()
    company.now += timedelta(hours=1)
    given = [company.sandbox.stripe.refund(charge, amount, at=company.now) for amount in amounts]
    company.now += timedelta(minutes=1)
    return sale, given


@pytest.mark.parametrize("kind", ["invoice", pytest.param("charge", marks=pytest.mark.exhaustive)])
def test_a_posted_refund_that_fails_is_reversed_by_a_document_of_its_own(company: Company, kind: str) -> None:
    sale, (first, second) = refunded(company, 5_000, 7_500, kind=kind, refunds="credit")
    assert company.sync().codes() == {}
    assert sum(gross(company).values()) == 0
    company.now += timedelta(hours=1)
    company.sandbox.stripe.fail_refund(first, at=company.now)
    company.now += timedelta(minutes=1)
    run = company.sync()
    assert (set(run.counts()), run.codes()) == ({"booked"}, {first: "S-CHANGED"})
    assert gross(company) == {
        f"stripe:{sale}": Decimal("125.00"),
        f"stripe:{first}": Decimal("-50.00"),
        f"stripe:{second}": Decimal("-75.00"),
        f"stripe:{first}:returned": Decimal("50.00"),
    }
    company.now += timedelta(hours=1)
    assert company.sync().calls == [("GET", "/self")]
    for path in (company.folder.parent / "home").glob("posting.db*"):
        path.unlink()
    assert company.sync().writes == [], "each is found again by its own key"
    # What came back may be refunded once more.
    (charge,) = (row["id"] for row in company.sandbox.stripe.rows("charge"))
    company.sandbox.stripe.refund(charge, 5_000, at=company.now)
    company.now += timedelta(minutes=1)
    assert company.sync().codes() in ({}, {first: "S-CHANGED"})
    assert (len(gross(company)), sum(gross(company).values())) == (5, 0)


def test_a_posted_refund_that_fails_is_a_persons_where_the_settings_hold(company: Company) -> None:
    _, (refund,) = refunded(company, 5_000, refunds="credit")
    company.sync()
    company.configure(invoices={"corrections": {"refunds": "hold"}})
    company.now += timedelta(hours=1)
    company.sandbox.stripe.fail_refund(refund, at=company.now)
    company.now += timedelta(minutes=1)
    run = company.sync()
    assert (run.writes, run.codes()) == ([], {refund: "E-VOIDED"})


@pytest.mark.parametrize("then", ["fails", "gets a credit note"])
def test_a_held_refund_waits_no_longer_than_it_has_to(company: Company, then: str) -> None:
    invoice, (refund,) = refunded(company, 5_000)
    assert company.sync().codes() == {refund: "E-CREDITED"}
    company.now += timedelta(hours=1)
    if then == "fails":
        company.sandbox.stripe.fail_refund(refund, at=company.now)
    else:
        note_for(company, invoice, refund, 4_000)
    company.now += timedelta(minutes=1)
    assert company.sync().codes() == {refund: "S-REFUND-FAILED" if then == "fails" else "S-HAS-CREDIT-NOTE"}
    assert len(gross(company)) == (1 if then == "fails" else 2)


def note_for(company: Company, invoice: str, refund: str, net: int) -> str:
    """A credit note that somebody writes for a refund that was made before it."""
    line = company.sandbox.stripe.invoice(invoice)["lines"]["data"][0]["id"]
    stripe, total = company.sandbox.stripe, net * 5 // 4
    note = stripe.create_credit_note(invoice, [CreditLine(line, net)], at=company.now, out_of_band=total)
    told = [{"amount_refunded": total, "payment_record_refund": None, "refund": refund, "type": "refund"}]
    stripe.update_credit_note(note, at=company.now, refunds=told, out_of_band_amount=None)
    return note


def test_a_credit_note_for_a_posted_refund_takes_nothing_back_again(company: Company) -> None:
    invoice, (refund,) = refunded(company, 5_000, refunds="credit")
    company.sync()
    company.now += timedelta(hours=1)
    note = note_for(company, invoice, refund, 4_000)
    company.now += timedelta(minutes=1)
    run = company.sync()
    assert (run.writes, run.codes()[note], invoice in run.codes()) == ([], "E-CREDITED", False)
    assert gross(company) == {f"stripe:{invoice}": Decimal("125.00"), f"stripe:{refund}": Decimal("-50.00")}


def test_a_refund_that_a_credit_note_explains_is_no_correction_of_its_own(company: Company) -> None:
    company.configure(invoices={"corrections": {"refunds": "credit"}})
    invoice = company.pay(company.invoice(company.customer()))
    note = company.sandbox.stripe.create_credit_note(invoice, at=company.now)
    company.now += timedelta(minutes=1)
    assert company.sync().counts() == {"booked": 2}
    assert gross(company).keys() == {f"stripe:{invoice}", f"stripe:{note}"}
