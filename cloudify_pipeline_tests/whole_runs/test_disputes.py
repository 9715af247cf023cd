"""Disputes that a buyer's bank wins: held, or credited by setting; what is open, won or only asked about changes nothing."""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal

import pytest

from cloudify_pipeline.control.accept import accept
from cloudify_pipeline.errors import NotAuthorised
from cloudify_pipeline.sandbox.stripe.credit_notes import CreditLine
from cloudify_pipeline_tests.whole_runs.conftest import Company, Run


def gross(company: Company) -> Mapping[str, Decimal]:
    return {key: total for key, (_, total) in company.documents().items()}


def disputed(company: Company, setting: str, amount: int | None = None, *, kind: str = "invoice") -> tuple[str, str]:
    """A booked sale over 125.00, and the dispute of it, which is open."""
    company.configure(invoices={"corrections": {"disputes": setting}})
    if kind == "invoice":
        sale = company.pay(company.invoice(company.customer()))
        (charge,) = (row["id"] for row in company.sandbox.stripe.rows("charge"))
    else:
        sale = charge = company.sandbox.stripe.charge(company.customer(), 12_500, at=company.now - timedelta(hours=3))
    company.sync()
    company.now += timedelta(hours=1)
    return sale, company.sandbox.stripe.dispute(charge, amount, at=company.now)


def decided(company: Company, dispute: str, status: str) -> Run:
    company.now += timedelta(hours=1)
    company.sandbox.stripe.decide_dispute(dispute, status, at=company.now)
    company.now += timedelta(minutes=1)
    return company.sync()


@pytest.mark.parametrize("kind", ["invoice", pytest.param("charge", marks=pytest.mark.exhaustive)])
def test_a_lost_dispute_is_held_until_somebody_decides(company: Company, kind: str) -> None:
    sale, dispute = disputed(company, "hold", kind=kind)
    for status in ("under_review", "lost"):
        run = decided(company, dispute, status)
        assert (run.writes, run.codes()) == ([], {dispute: "E-DISPUTED"} if status == "lost" else {})
    (held,) = (one for one in run.endings if one.stripe_id == dispute)
    (booked,) = company.sandbox.economic.booked()
    for told in (f"stripe:{sale}", f"booked invoice {booked['bookedInvoiceNumber']}", "125.00"):
        assert held.problem is not None
        assert told in held.problem.message
    opened = company.connection()
    accept(opened, dispute, by="Anna")
    opened.log.close()
    company.now += timedelta(hours=1)
    assert company.sync().codes() == {dispute: "S-ACCEPTED"}
    assert gross(company) == {f"stripe:{sale}": Decimal("125.00")}


@pytest.mark.parametrize("status", ["won", pytest.param("warning_closed", marks=pytest.mark.exhaustive)])
def test_a_dispute_that_is_not_lost_changes_nothing(company: Company, status: str) -> None:
    sale, dispute = disputed(company, "credit")
    run = decided(company, dispute, status)
    assert (run.calls, run.codes()) == ([("GET", "/self")], {})
    assert gross(company) == {f"stripe:{sale}": Decimal("125.00")}


@pytest.mark.parametrize(("kind", "amount"), [("invoice", None), pytest.param("charge", 5_000, marks=pytest.mark.exhaustive)])
def test_a_lost_dispute_is_credited_and_reinstated_when_it_is_won_after_all(
    company: Company, kind: str, amount: int | None
) -> None:
    sale, dispute = disputed(company, "credit", amount, kind=kind)
    off = Decimal(amount or 12_500) / 100
    assert decided(company, dispute, "lost").codes() == {}
    assert gross(company) == {f"stripe:{sale}": Decimal("125.00"), f"stripe:{dispute}": -off}
    assert decided(company, dispute, "appeal_under_review").writes == [], "an appeal decides nothing"
    run = decided(company, dispute, "won")
    assert run.codes() == {dispute: "S-CHANGED"}
    assert gross(company)[f"stripe:{dispute}:returned"] == off
    company.now += timedelta(hours=1)
    assert company.sync().calls == [("GET", "/self")]
    for path in (company.folder.parent / "home").glob("posting.db*"):
        path.unlink()
    assert company.sync().writes == [], "each is found again by its own key"
    assert len(gross(company)) == 3


def test_a_held_dispute_that_is_won_after_all_is_held_no_longer(company: Company) -> None:
    _, dispute = disputed(company, "hold")
    assert decided(company, dispute, "lost").codes() == {dispute: "E-DISPUTED"}
    assert decided(company, dispute, "won").codes() == {dispute: "S-NOT-LOST"}


@pytest.mark.exhaustive
def test_a_posted_dispute_that_is_won_is_a_persons_where_the_settings_hold(company: Company) -> None:
    _, dispute = disputed(company, "credit")
    decided(company, dispute, "lost")
    company.configure(invoices={"corrections": {"disputes": "hold"}})
    run = decided(company, dispute, "won")
    assert (run.writes, run.codes()) == ([], {dispute: "E-VOIDED"})


@pytest.mark.parametrize("first", ["the note", "the dispute"])
def test_what_a_credit_note_takes_back_is_not_taken_back_again(company: Company, first: str) -> None:
    invoice, dispute = disputed(company, "credit", 5_000)
    line = company.sandbox.stripe.invoice(invoice)["lines"]["data"][0]["id"]

    def note() -> str:
        company.now += timedelta(minutes=1)
        return company.sandbox.stripe.create_credit_note(invoice, [CreditLine(line, 4_000)], at=company.now, out_of_band=5_000)

    if first == "the note":
        written = note()
        run = decided(company, dispute, "lost")
        stands, wanted = written, {dispute: "E-DISPUTED"}
    else:
        decided(company, dispute, "lost")
        written = note()
        company.now += timedelta(minutes=1)
        run = company.sync()
        stands, wanted = dispute, {written: "E-CREDITED"}
    assert {i: code for i, code in run.codes().items() if code[0] == "E"} == wanted
    assert gross(company) == {f"stripe:{invoice}": Decimal("125.00"), f"stripe:{stands}": Decimal("-50.00")}


def test_a_lost_dispute_of_a_sale_that_is_not_in_the_ledger(company: Company) -> None:
    company.configure(go_live_from="2026-12-01T00:00:00Z")
    company.pay(company.invoice(company.customer()))
    (charge,) = (row["id"] for row in company.sandbox.stripe.rows("charge"))
    dispute = company.sandbox.stripe.dispute(charge, at=company.now)
    for setting in ("hold", "credit"):
        company.configure(invoices={"corrections": {"disputes": setting}})
        run = decided(company, dispute, "lost")
        assert (run.writes, run.codes()[dispute]) == ([], "S-NO-ORIGINAL")


def test_a_key_that_may_not_read_disputes_stops_whoever_has_one(company: Company) -> None:
    company.sandbox.stripe.rights.discard("rak_dispute_read")
    company.configure(invoices={"corrections": {"disputes": "hold"}})
    sale = company.pay(company.invoice(company.customer()))
    assert company.sync().counts() == {"booked": 1}
    company.now += timedelta(hours=1)
    assert company.sync().codes() == {}
    (charge,) = (row["id"] for row in company.sandbox.stripe.rows("charge"))
    company.sandbox.stripe.dispute(charge, at=company.now)
    company.now += timedelta(minutes=1)
    with pytest.raises(NotAuthorised, match="disputes"):
        company.sync()
    assert gross(company) == {f"stripe:{sale}": Decimal("125.00")}


@pytest.mark.exhaustive
def test_more_than_there_is_is_held(company: Company) -> None:
    invoice, dispute = disputed(company, "credit")
    company.configure(invoices={"corrections": {"disputes": "credit", "refunds": "credit"}})
    (charge,) = (row["id"] for row in company.sandbox.stripe.rows("charge"))
    refund = company.sandbox.stripe.refund(charge, 2_500, at=company.now)
    assert decided(company, dispute, "lost").codes() == {dispute: "E-REF-OVER"}
    assert gross(company) == {f"stripe:{invoice}": Decimal("125.00"), f"stripe:{refund}": Decimal("-25.00")}


def test_what_would_take_back_all_of_a_draft_is_a_persons(company: Company) -> None:
    company.configure(invoices={"rules": [{"when": "paid", "create": "draft_invoice"}]})
    _, dispute = disputed(company, "credit")
    run = decided(company, dispute, "lost")
    assert (run.writes, run.codes()) == ([], {dispute: "E-CREDITED"})
