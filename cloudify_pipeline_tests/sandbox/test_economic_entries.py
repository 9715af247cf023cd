"""Booked entries of the embedded e-conomic: vouchers that add up to nothing, and a list that is filtered by date."""

from decimal import Decimal

from cloudify_pipeline.sandbox.economic.store import decode
from cloudify_pipeline_tests.sandbox.test_economic import Books, draft, line


async def test_a_booked_invoice_puts_debtor_sale_and_vat_on_the_accounts() -> None:
    books = Books()
    body = draft(lines=[line("SENSOR-1", quantity=2, unitNetPrice=100), line("GIFT", quantity=1, unitNetPrice=50)])
    made = (await books.post("/invoices/drafts", body)).json()
    booked = (await books.post("/invoices/booked", {"draftInvoice": {"draftInvoiceNumber": made["draftInvoiceNumber"]}})).json()
    answer = await books.get("/accounting-years/2026/entries", filter=f"date$gte:{body['date']}$and:date$lte:{body['date']}")
    entries = decode(answer.content)["collection"]
    shown = [(one["account"]["accountNumber"], one.get("vatAccount"), one["amountInBaseCurrency"]) for one in entries]
    assert [(account, code and code["vatCode"], amount) for account, code, amount in shown] == [
        (5600, None, Decimal(300)), (1010, "U25", Decimal(-200)), (1050, None, Decimal(-50)), (6902, "U25", Decimal(-50)),
    ]  # fmt: skip
    assert [one.get("invoiceNumber") for one in entries] == [booked["bookedInvoiceNumber"], None, None, None]
    nothing = await books.get("/accounting-years/2026/entries", filter="date$lt:2026-01-01")
    assert nothing.json()["collection"] == []
    books.store.add_voucher(body["date"], "Kontant", 1010, Decimal("-80.00"), "U25")
    (last,) = decode((await books.get("/accounting-years/2026/entries", sort="-entryNumber", pagesize=1)).content)["collection"]
    assert (last["entryType"], last["text"], last["amountInBaseCurrency"]) == ("financeVoucher", "Kontant", Decimal(-80))
    await books.client.aclose()
    books.store.close()


async def test_a_year_that_there_is_not_and_a_role_that_may_not_read() -> None:
    books = Books()
    assert (await books.get("/accounting-years/1999/entries")).status_code == 404
    books.store.set_fact("role", "Sales")
    assert (await books.get("/accounting-years/2026/entries")).status_code == 403
    await books.client.aclose()
    books.store.close()
