"""Booked entries of sales: which are sales, of which invoice, and what a role may not read."""

from datetime import date
from decimal import Decimal
from typing import Any

import httpx
import pytest

from cloudify_pipeline.accounting.chart import Chart, SalesAccount, VatCode
from cloudify_pipeline.errors import NotAuthorised
from cloudify_pipeline.ledgers.economic.client import EconomicClient
from cloudify_pipeline.ledgers.economic.entries import sales_entries

CHART = Chart(
    base_currency="DKK",
    currencies=frozenset({"DKK"}),
    vat_zones={},
    vat_codes={
        "U25": VatCode("U25", "Sale", Decimal(25), account=6902),
        "I25": VatCode("I25", "Purchase", Decimal(25), account=6903),
    },
    product_groups={},
    sales_accounts={(1, 1): SalesAccount(1010, "U25"), (2, 1): SalesAccount(1050, None)},
    customer_groups={},
    payment_terms={},
    layouts={},
)
YEARS = [
    {"year": "2025/2026", "fromDate": "2025-07-01", "toDate": "2026-06-30"},
    {"year": "2026/2027", "fromDate": "2026-07-01", "toDate": "2027-06-30"},
]


def entry(account: int, amount: str, *, voucher: int = 7, code: str | None = None, **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "account": {"accountNumber": account}, "amountInBaseCurrency": float(amount), "date": "2026-06-15",
        "entryType": "customerInvoice", "voucherNumber": voucher, "text": "Faktura", **more,
    }  # fmt: skip
    return {**made, "vatAccount": {"vatCode": code}} if code else made


def client(listed: list[dict[str, Any]], asked: list[httpx.URL], status: int = 200) -> EconomicClient:
    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        items = YEARS if request.url.path == "/accounting-years" else listed if "2025" in request.url.path else []
        if request.url.path != "/accounting-years" and status != 200:
            return httpx.Response(status, json={"message": "You do not have the required role to access this resource."})
        pages = {"results": len(items), "resultsWithoutFilter": len(items)}
        return httpx.Response(200, json={"collection": items, "pagination": pages})

    return EconomicClient("s", "g", transport=httpx.MockTransport(answer))


LISTED = [
    entry(5600, "125", invoiceNumber="20001"),
    entry(1010, "-100", code="U25"),
    entry(6902, "-25", code="U25"),
    # another type of voucher with the same number
    entry(1050, "-9", entryType="financeVoucher", text="Momsfrit"),
    entry(3600, "-40", voucher=9, code="U25", bookedInvoice={"bookedInvoiceNumber": 20002}),
    entry(4000, "80", voucher=10, code="I25"),
    # an accrual: on a sales account, and no sale to the VAT return
    entry(1010, "-60", voucher=12),
    entry(5820, "40", voucher=11),
]


async def test_an_entry_is_a_sale_by_its_account_or_its_code_and_belongs_to_its_vouchers_invoice() -> None:
    asked: list[httpx.URL] = []
    reader = client(LISTED, asked)
    found = await sales_entries(reader, CHART, date(2026, 6, 1), date(2026, 6, 30))
    await reader.close()
    assert found is not None
    assert [(one.account, one.vat_code, str(one.amount), one.document, one.text) for one in found] == [
        (1010, "U25", "100.0", 20001, "Faktura"), (1050, None, "9.0", None, "Momsfrit"), (3600, "U25", "40.0", 20002, "Faktura"),
    ]  # fmt: skip
    (_, entries) = asked
    assert entries.raw_path.startswith(b"/accounting-years/2025_6_2026/entries?")
    assert entries.params["filter"] == "date$gte:2026-06-01$and:date$lte:2026-06-30"


async def test_a_period_over_two_years_is_read_from_both() -> None:
    asked: list[httpx.URL] = []
    reader = client(LISTED, asked)
    assert await sales_entries(reader, CHART, date(2026, 6, 1), date(2026, 7, 31))
    await reader.close()
    assert len(asked) == 3


async def test_without_the_role_nothing_is_known_and_a_withdrawn_grant_is_told() -> None:
    asked: list[httpx.URL] = []
    reader = client(LISTED, asked, 403)
    assert await sales_entries(reader, CHART, date(2026, 6, 1), date(2026, 6, 30)) is None
    await reader.close()
    reader = client(LISTED, asked, 401)
    with pytest.raises(NotAuthorised):
        await sales_entries(reader, CHART, date(2026, 6, 1), date(2026, 6, 30))
    await reader.close()
