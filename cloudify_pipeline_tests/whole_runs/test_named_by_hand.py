"""Documents of others that name what Stripe sold: nothing is booked beside them, whatever their day and debtor."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from cloudify_pipeline.control.accept import accept
from cloudify_pipeline_tests.whole_runs.by_hand import by_hand
from cloudify_pipeline_tests.whole_runs.conftest import Company, Run


def number_of(company: Company, invoice: str) -> str:
    return next(str(row["number"]) for row in company.sandbox.stripe.rows("invoice") if row["id"] == invoice)


def renumbered(company: Company, invoice: str, number: str) -> str:
    """The number that the seller gave the invoice in Stripe."""
    company.sandbox.stripe.update_invoice(invoice, at=company.now, number=number)
    return number


def sold(company: Company, **given: Any) -> str:
    return company.pay(company.invoice(company.customer(email="nyt@example.com"), **given))


def is_held(run: Run, invoice: str) -> bool:
    return run.codes().get(invoice) == "E-DUP-HUMAN" and not any("/invoices" in path for _, path in run.writes)


@pytest.mark.exhaustive
@pytest.mark.parametrize("place", ["other", "heading", "textLine1", "textLine2"])
@pytest.mark.parametrize("kind", ["booked", "drafts", "orders"])
def test_a_sale_keyed_by_hand_on_a_collective_debtor_with_stripes_number_is_not_booked_again(
    company: Company, place: str, kind: str
) -> None:
    invoice = sold(company)
    said: dict[str, Any] = {place: f"Stripe faktura {number_of(company, invoice).lower()}, tak"}
    by_hand(company, day="2026-03-02", net="80", kind=kind, **said)
    run = company.sync()
    assert is_held(run, invoice)
    assert company.sync().writes == []


def test_a_predecessor_booked_the_id_of_the_invoice_six_days_earlier_as_reference(company: Company) -> None:
    invoice = sold(company)
    theirs = by_hand(company, day="2026-10-26", other=invoice)
    run = company.sync()
    assert is_held(run, invoice)
    (ending,) = (one for one in run.endings if one.stripe_id == invoice)
    assert ending.problem is not None
    assert ending.problem.found == f"booked invoice {theirs['bookedInvoiceNumber']}"
    assert f"names {invoice}" in ending.problem.message
    assert "over 125.00 DKK" in ending.problem.message


@pytest.mark.exhaustive
@pytest.mark.parametrize("which", ["payment_intent", "charge"])
def test_a_predecessor_named_the_payment_of_an_invoice(company: Company, which: str) -> None:
    invoice = sold(company)
    (charge,) = company.sandbox.stripe.rows("charge")
    by_hand(company, day="2026-03-02", net="10", textLine2=f"Betalt via Stripe ({charge['id' if which == 'charge' else which]})")
    assert is_held(company.sync(), invoice)


@pytest.mark.exhaustive
def test_a_payment_without_invoice_that_somebody_keyed_by_its_id(company: Company) -> None:
    company.configure(products={"no_product": "HAND"})
    charge = company.sandbox.stripe.charge(company.customer(), 12_500, at=company.now - timedelta(hours=3))
    by_hand(company, day="2026-05-05", heading=f"Stripe {charge}")
    assert is_held(company.sync(), charge)


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    "text",
    ["Faktura {0}2", "X{0}", "{0}A", "stripe:in_1SomebodyElse", "en anden faktura"],
)
def test_a_text_that_only_begins_like_the_number_is_nobodys_twin(company: Company, text: str) -> None:
    invoice = sold(company)
    by_hand(company, day="2026-03-02", heading=text.format(number_of(company, invoice)))
    assert company.sync().counts() == {"booked": 1}


@pytest.mark.exhaustive
def test_what_carries_the_key_of_another_stripe_object_is_no_twin_whatever_its_texts(company: Company) -> None:
    """The other account sells under the same numbers."""
    invoice = sold(company)
    by_hand(company, other="stripe:in_1OfAnotherAccount", heading=f"Invoice {number_of(company, invoice)}")
    assert company.sync().counts() == {"booked": 1}


def test_our_word_before_a_number_is_no_key(company: Company) -> None:
    invoice = sold(company)
    by_hand(company, day="2026-03-02", other=f"stripe:{number_of(company, invoice)}")
    assert is_held(company.sync(), invoice)


@pytest.mark.exhaustive
@pytest.mark.parametrize("number", ["1001", "20261001", "A-17"])
@pytest.mark.parametrize(("net", "currency", "twin"), [("100", "DKK", True), ("100.01", "DKK", False), ("100", "EUR", False)])
def test_a_number_of_digits_or_few_signs_counts_with_currency_and_gross_only(
    company: Company, number: str, net: str, currency: str, twin: bool
) -> None:
    invoice = sold(company)
    renumbered(company, invoice, number)
    by_hand(company, day="2026-03-02", net=net, currency=currency, textLine1=f"Ordre {number} fra Stripe")
    run = company.sync()
    assert is_held(run, invoice) is twin
    assert run.counts() == ({"held": 1} if twin else {"booked": 1})


@pytest.mark.exhaustive
@pytest.mark.parametrize("number", ["FAK(2026)*7", "A$B,C-0007", "[2026]-0007", "N%7_2026-07", "Ærø 2026/07", "A\u030arhus-0007"])
def test_a_number_of_signs_that_filters_give_a_meaning_is_found(company: Company, number: str) -> None:
    invoice = sold(company)
    renumbered(company, invoice, number)
    by_hand(company, day="2026-03-02", net="80", heading=f"Faktura {number}\rmed tak")
    assert is_held(company.sync(), invoice)


@pytest.mark.exhaustive
def test_what_is_accepted_as_the_document_in_the_ledger_is_linked_and_never_written_to(company: Company) -> None:
    invoice = sold(company)
    theirs = by_hand(company, day="2026-03-02", net="80", other=invoice)
    company.sync()
    opened = company.connection()
    accept(opened, invoice, by="anna")
    opened.log.close()
    run = company.sync(ids=(invoice,))
    assert (run.counts(), run.writes) == ({"booked": 1}, [])
    assert company.sandbox.economic.booked() == [theirs]


@pytest.mark.exhaustive
def test_what_is_accepted_with_post_is_booked_beside_it_once(company: Company) -> None:
    invoice = sold(company)
    by_hand(company, day="2026-03-02", net="80", other=invoice)
    company.sync()
    opened = company.connection()
    accept(opened, invoice, by="anna", post=True)
    opened.log.close()
    assert company.sync(ids=(invoice,)).counts() == {"booked": 1}
    assert company.documents()[f"stripe:{invoice}"] == ("booked_invoice", Decimal("125.00"))
    assert company.sync().writes == []


@pytest.mark.exhaustive
def test_a_document_that_is_linked_already_is_no_twin_of_another_invoice(company: Company) -> None:
    """One document of a person names two invoices, and is said to be the first's."""
    first = sold(company)
    company.now += timedelta(minutes=5)
    theirs = by_hand(company, day="2026-03-02", net="80", other=first)
    company.sync()
    opened = company.connection()
    accept(opened, first, by="anna")
    opened.log.close()
    company.sync(ids=(first,))
    company.now += timedelta(hours=1)
    second = company.pay(company.invoice(company.customer("En anden ApS", email="anden@example.com")))
    ledger = company.sandbox.economic
    stored = ledger.get("booked", theirs["bookedInvoiceNumber"])
    assert stored is not None
    ledger.put("booked", theirs["bookedInvoiceNumber"], {**stored, "notes": {"heading": number_of(company, second)}})
    assert company.sync().codes().get(second) is None


def test_an_invoice_by_hand_is_not_the_twin_of_the_credit_note_that_takes_it_back(company: Company) -> None:
    invoice = sold(company)
    by_hand(company, day="2026-03-02", net="80", heading=f"{invoice} {number_of(company, invoice)}")
    company.sync()
    opened = company.connection()
    accept(opened, invoice, by="anna", post=True)
    opened.log.close()
    company.sync(ids=(invoice,))
    company.now += timedelta(hours=1)
    note = company.sandbox.stripe.create_credit_note(invoice, at=company.now)
    company.now += timedelta(minutes=1)
    assert company.sync().codes().get(note) is None
    keyed = {one.get("references", {}).get("other"): one["grossAmount"] for one in company.sandbox.economic.booked()}
    assert keyed[f"stripe:{note}"] == Decimal("-125.00")


@pytest.mark.exhaustive
@pytest.mark.parametrize("names", ["the note", "its invoice"])
def test_a_credit_note_that_somebody_entered_by_hand_is_not_booked_again(company: Company, names: str) -> None:
    invoice = sold(company)
    company.sync()
    company.now += timedelta(hours=1)
    note = company.sandbox.stripe.create_credit_note(invoice, at=company.now)
    by_hand(
        company,
        day="2026-03-02",
        net="-100",
        heading=f"Kreditnota {note if names == 'the note' else number_of(company, invoice)}",
    )
    company.now += timedelta(minutes=1)
    assert is_held(company.sync(), note)


@pytest.mark.exhaustive
def test_a_document_that_another_account_or_customer_is_named_on_holds_nothing(company: Company) -> None:
    """The customer's id and e-mail stand on many documents."""
    buyer = company.customer(email="nyt@example.com")
    by_hand(company, day="2026-03-02", heading=f"Kunde {buyer} nyt@example.com", net="80")
    company.pay(company.invoice(buyer))
    assert company.sync().counts() == {"booked": 1}
