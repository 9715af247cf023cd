"""Credit notes of the embedded Stripe: amounts, taxes, what they do to the invoice, and lists."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from cloudify_pipeline.sandbox.stripe.credit_notes import CreditLine
from cloudify_pipeline.sandbox.stripe.invoices import Line
from cloudify_pipeline_tests.sandbox.stripe_account import NOW, Account, make_account

LATER = NOW + timedelta(hours=1)


@pytest.fixture
async def account() -> AsyncIterator[Account]:
    made = make_account()
    made.now = LATER
    async with made.client:
        yield made


def owed(account: Account, quantity: int = 1) -> str:
    """An open invoice over 299.00 a piece and 25 % VAT."""
    invoice = account.store.create_invoice(account.customer, [Line(account.price, quantity)], at=NOW, tax_rates=[account.vat])
    account.store.finalize(invoice, at=NOW)
    return invoice


def first_line(account: Account, invoice: str) -> str:
    return str(account.store.invoice(invoice)["lines"]["data"][0]["id"])


async def test_the_whole_of_a_paid_invoice_is_refunded(account: Account) -> None:
    invoice = account.sold()
    id_ = account.store.create_credit_note(invoice, at=LATER)
    note = await account.get(f"/v1/credit_notes/{id_}")
    assert (note["total"], note["subtotal"], note["total_taxes"][0]["amount"]) == (37_375, 29_900, 7_475)
    assert (note["type"], note["post_payment_amount"], note["pre_payment_amount"]) == ("post_payment", 37_375, 0)
    assert note["refunds"][0]["amount_refunded"] == 37_375
    billed = account.store.invoice(invoice)
    assert (billed["status"], billed["post_payment_credit_notes_amount"]) == ("paid", 37_375)
    (charge,) = account.store.rows("charge")
    assert (charge["amount_refunded"], charge["refunded"]) == (37_375, True)


async def test_before_payment_it_lowers_what_is_owed_and_may_settle_it(account: Account) -> None:
    invoice = owed(account)
    line = first_line(account, invoice)
    account.store.create_credit_note(invoice, [CreditLine(line, 10_000)], at=LATER)
    billed = account.store.invoice(invoice)
    assert (billed["status"], billed["amount_remaining"], billed["total"]) == ("open", 24_875, 37_375)
    account.store.create_credit_note(invoice, at=LATER)
    billed = account.store.invoice(invoice)
    assert (billed["status"], billed["amount_remaining"]) == ("paid", 0)
    assert billed["pre_payment_credit_notes_amount"] == 37_375


@pytest.mark.parametrize("amount", [1, 333, 9_999, 10_001, 29_899])
@pytest.mark.parametrize("inclusive", [False, True])
async def test_two_parts_are_the_whole(account: Account, amount: int, *, inclusive: bool) -> None:
    vat = account.store.add_tax_rate(25, at=NOW, inclusive=inclusive)
    coupon = account.store.add_coupon("10 %", at=NOW, percent=10)
    invoice = account.store.create_invoice(account.customer, [Line(account.price)], at=NOW, tax_rates=[vat], discounts=[coupon])
    account.store.finalize(invoice, at=NOW)
    billed = account.store.invoice(invoice)
    account.store.create_credit_note(invoice, [CreditLine(first_line(account, invoice), amount)], at=LATER)
    account.store.create_credit_note(invoice, at=LATER)
    notes = account.store.rows("credit_note")
    assert sum(note["total"] for note in notes) == billed["total"]
    assert sum(note["total_taxes"][0]["amount"] for note in notes) == billed["total_taxes"][0]["amount"]


async def test_out_of_band_and_to_balance(account: Account) -> None:
    invoice = account.sold(2)
    line = first_line(account, invoice)
    elsewhere = account.store.create_credit_note(invoice, [CreditLine(line, 10_000)], at=LATER, out_of_band=12_500)
    kept = account.store.create_credit_note(invoice, [CreditLine(line, 10_000)], at=LATER, to_balance=12_500)
    assert account.store.get("credit_note", elsewhere)["out_of_band_amount"] == 12_500
    assert account.store.get("credit_note", kept)["customer_balance_transaction"].startswith("cbtxn_")
    assert account.store.get("customer", account.customer)["balance"] == -12_500


async def test_a_custom_line_has_its_own_tax(account: Account) -> None:
    invoice = account.sold()
    line = CreditLine(amount=10_000, description="Goodwill", tax_rates=(account.vat,))
    note = account.store.get("credit_note", account.store.create_credit_note(invoice, [line], at=LATER))
    assert (note["total"], note["lines"]["data"][0]["type"]) == (12_500, "custom_line_item")


async def test_more_than_the_invoice_is_refused(account: Account) -> None:
    invoice = account.sold()
    with pytest.raises(ValueError, match="more than what is left"):
        account.store.create_credit_note(invoice, [CreditLine(amount=40_000)], at=LATER)


async def test_voiding_gives_the_debt_back(account: Account) -> None:
    invoice = owed(account)
    note = account.store.create_credit_note(invoice, [CreditLine(first_line(account, invoice), 10_000)], at=LATER)
    account.store.void_credit_note(note, at=LATER)
    assert account.store.get("credit_note", note)["status"] == "void"
    assert account.store.invoice(invoice)["amount_remaining"] == 37_375
    with pytest.raises(ValueError, match="cannot be voided"):
        account.store.void_credit_note(note, at=LATER)


async def test_lists_and_all_lines(account: Account) -> None:
    invoice = account.store.create_invoice(account.customer, [Line(account.price)] * 13, at=NOW, tax_rates=[account.vat])
    account.store.finalize(invoice, at=NOW)
    id_ = account.store.create_credit_note(invoice, at=LATER)
    other = owed(account)
    account.store.create_credit_note(other, at=LATER)
    listed = await account.get("/v1/credit_notes", {"invoice": invoice})
    (note,) = listed["data"]
    assert (note["id"], len(note["lines"]["data"]), note["lines"]["has_more"]) == (id_, 10, True)
    lines = await account.get(f"/v1/credit_notes/{id_}/lines", {"limit": 100})
    assert (len(lines["data"]), lines["has_more"]) == (13, False)
    types = {event["type"] for event in (await account.get("/v1/events", {"limit": 100}))["data"]}
    assert {"credit_note.created", "invoice.updated"} <= types


async def test_a_key_without_the_right_is_refused(account: Account) -> None:
    account.store.rights.discard("rak_credit_note_read")
    answer = await account.client.get("/v1/credit_notes", headers={"Authorization": f"Bearer {account.store.restricted_key}"})
    assert (answer.status_code, "rak_credit_note_read" in answer.text) == (403, True)
