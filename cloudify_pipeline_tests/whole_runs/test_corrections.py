"""Voided and written-off invoices and refunds without a credit note: held, or credited by setting."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest

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
    company.now += timedelta(hours=1)
    company.sandbox.stripe.fail_refund(refund, at=company.now)
    company.now += timedelta(minutes=1)
    assert company.sync().codes()[refund] == "E-VOIDED"


def test_a_refund_that_a_credit_note_explains_is_no_correction_of_its_own(company: Company) -> None:
    company.configure(invoices={"corrections": {"refunds": "credit"}})
    invoice = company.pay(company.invoice(company.customer()))
    note = company.sandbox.stripe.create_credit_note(invoice, at=company.now)
    company.now += timedelta(minutes=1)
    assert company.sync().counts() == {"booked": 2}
    assert gross(company).keys() == {f"stripe:{invoice}", f"stripe:{note}"}
