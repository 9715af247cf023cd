"""Credit notes and refunds on the command line: found, explained, accepted and replayed by their own Stripe ids."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from cloudify_pipeline.control.replay import Selection, selected
from cloudify_pipeline_tests.cli.conftest import Call, Load
from cloudify_pipeline_tests.whole_runs.conftest import Company


@pytest.fixture
def corrected(company: Company) -> dict[str, str]:
    """A booked invoice with a credit note of 125.00, another one with a refund of 25.00 that is held, a voided third."""
    rules = [{"when": "finalized", "create": "booked_invoice"}]
    company.configure(invoices={"rules": rules, "corrections": {"voided": "credit"}})
    buyer = company.customer("Ærø & Søn", email="faktura@aeroe.example")
    credited, refunded = company.pay(company.invoice(buyer)), company.pay(company.invoice(buyer))
    voided = company.invoice(buyer, days_until_due=14)
    company.sync()
    company.now += timedelta(hours=1)
    stripe = company.sandbox.stripe
    note = stripe.create_credit_note(credited, at=company.now)
    (charge,) = (row["id"] for row in stripe.rows("charge") if not row["amount_refunded"])
    refund = stripe.refund(charge, 2_500, at=company.now)
    stripe.void(voided, at=company.now)
    company.now += timedelta(minutes=1)
    run = company.sync()
    assert run.codes()[refund] == "E-CREDITED"
    return {"invoice": credited, "note": note, "refunded": refunded, "refund": refund, "void": f"{voided}:void"}


def test_each_is_found_and_explained_by_its_own_id(corrected: dict[str, str], company: Company, call: Call) -> None:
    def found(text: str) -> set[str]:
        rows = call("status", "nordlys", "--find", text, "--json").document["documents"]
        return {row["stripe_id"] for row in rows}

    note, refund, void = corrected["note"], corrected["refund"], corrected["void"]
    assert (found(note), found(refund), found(void)) == ({note}, {refund}, {void})
    assert found(corrected["invoice"]) == {corrected["invoice"], note}
    assert found(corrected["refunded"]) == {corrected["refunded"], refund}
    rows = call("status", "nordlys", "--find", note, "--json").document["documents"]
    assert (rows[0]["state"], rows[0]["total"], rows[0]["kind"]) == ("booked", "-125.00", "booked_invoice")

    number = {one["references"]["other"]: one["bookedInvoiceNumber"] for one in company.sandbox.economic.booked()}
    told = call("explain", "nordlys", corrected["note"], "--json").document
    assert (told["state"], told["planned"], told["trouble"]) == ("booked", "booked_invoice", None)
    assert told["rule"] == f"corrects {corrected['invoice']} → booked_invoice"
    assert (told["totals"]["net"], told["totals"]["vat"], told["totals"]["gross"]) == ("-100.00", "-25.00", "-125.00")
    original = number[f"stripe:{corrected['invoice']}"]
    why = {one["decision"]: one["rule"] for one in told["decisions"]}
    assert why["vat_zone"] == f"the zone of booked invoice {original}, which it corrects"
    assert why["customer"] == f"the customer of booked invoice {original}"
    assert f"faktura {original} af" in told["lines"][-1]["description"]
    held = call("explain", "nordlys", corrected["refund"], "--json").document
    assert (held["state"], held["trouble"]["code"]) == ("held", "E-CREDITED")
    assert "25.00" in held["trouble"]["message"]
    assert corrected["refunded"] in held["trouble"]["message"]
    voided = call("explain", "nordlys", corrected["void"], "--json").document
    assert (voided["state"], voided["totals"]["gross"]) == ("booked", "-125.00")
    words = call("explain", "nordlys", corrected["note"])
    assert words.code == 0
    assert "Kreditnota" in words.out


def test_a_correction_that_has_nothing_in_the_ledger_is_accepted(
    corrected: dict[str, str], company: Company, call: Call, load: Load
) -> None:
    load()
    refund = corrected["refund"]
    wrong = call("accept", "nordlys", refund, "--post")
    assert wrong.code == 2
    assert "held for E-CREDITED, and cannot be posted as it is" in wrong.err
    before = len(company.sandbox.economic.writes())
    said = call("accept", "nordlys", refund)
    assert said.code == 0, said.out + said.err
    assert f"{refund}: E-CREDITED accepted by" in said.out
    assert "nothing is posted for it" in said.out
    assert len(company.sandbox.economic.writes()) == before
    (row,) = call("status", "nordlys", "--find", refund, "--json").document["documents"]
    assert (row["state"], row["error_code"]) == ("skipped", "S-ACCEPTED")
    company.now += timedelta(hours=1)
    assert company.sync().writes == []
    (row,) = call("status", "nordlys", "--find", refund, "--json").document["documents"]
    assert (row["state"], row["error_code"]) == ("skipped", "S-ACCEPTED"), "the word holds"


def test_corrections_are_replayed_by_their_own_ids(corrected: dict[str, str], company: Company) -> None:
    company.configure(invoices={"corrections": {"voided": "credit", "refunds": "credit"}})
    refund, note = corrected["refund"], corrected["note"]
    opened = company.connection()
    assert set(selected(opened, Selection(invoice_ids=(note,), error_code="E-CREDITED"))) == {note, refund}
    opened.log.close()
    run = company.sync(ids=(note, refund), again=True)
    ended = {one.stripe_id: (one.state, one.made) for one in run.endings if one.kind == "document"}
    assert ended == {note: ("booked", False), refund: ("booked", True)}
    assert company.documents()[f"stripe:{refund}"] == ("booked_invoice", Decimal("-25.00"))


def test_a_lost_dispute_is_found_explained_accepted_and_replayed(company: Company, call: Call, load: Load) -> None:
    invoice = company.pay(company.invoice(company.customer()))
    (charge,) = (row["id"] for row in company.sandbox.stripe.rows("charge"))
    company.sync()
    company.now += timedelta(hours=1)
    dispute = company.sandbox.stripe.dispute(charge, at=company.now)
    company.sandbox.stripe.decide_dispute(dispute, "lost", at=company.now)
    company.now += timedelta(minutes=1)
    company.sync()
    (row,) = call("status", "nordlys", "--find", dispute, "--json").document["documents"]
    assert (row["state"], row["error_code"], row["total"]) == ("held", "E-DISPUTED", "-125.00")
    told = call("explain", "nordlys", dispute, "--json").document["trouble"]
    assert (told["code"], invoice in told["message"]) == ("E-DISPUTED", True)
    load()
    company.configure(invoices={"corrections": {"disputes": "credit"}})
    company.sync(ids=(dispute,), again=True)
    assert company.documents()[f"stripe:{dispute}"] == ("booked_invoice", Decimal("-125.00"))


def test_an_unknown_id_is_told_with_what_is_allowed(written: Path, call: Call) -> None:
    told = call("explain", "nordlys", "cn_nobody")
    assert told.code == 2
    assert "credit note" in told.err
