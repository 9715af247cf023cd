"""Booked entries of sales, as the accounts have them: ``/accounting-years/{year}/entries``, filtered by date.

What is on the account of a VAT code is VAT, not a sale. A sale is a credit, which e-conomic writes with a minus. Which entries of
an invoice's voucher carry the invoice's number is not documented, so one that does speaks for the whole voucher.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from cloudify_pipeline.accounting.chart import Chart
from cloudify_pipeline.errors import NotAuthorised
from cloudify_pipeline.ledgers.economic import filters
from cloudify_pipeline.ledgers.economic.client import EconomicClient
from cloudify_pipeline.ledgers.economic.records import at
from cloudify_pipeline.ledgers.port import SalesEntry

_Voucher = tuple[str, Any, str]
"""Type, number and day: number series may use one number each."""


async def sales_entries(client: EconomicClient, chart: Chart, first: date, last: date) -> list[SalesEntry] | None:
    """The entries of these days on a sales account, or with a VAT code of one. None: the app's role may not read accounts."""
    try:
        years, _ = await client.items("/accounting-years")
        listed: list[Any] = []
        for year in years:
            if date.fromisoformat(year["fromDate"]) <= last and date.fromisoformat(year["toDate"]) >= first:
                where = filters.path("accounting-years", year["year"], "entries")
                listed += (await client.items(where, where=filters.between("date", first, last), sort="entryNumber"))[0]
    except NotAuthorised as refused:
        # Accounts are for the roles Bookkeeping and SuperUser (reference/economic.md §2).
        if refused.code != "E-CONN-ROLE":
            raise
        return None
    return list(_sales(listed, chart))


def _sales(listed: list[Any], chart: Chart) -> Iterable[SalesEntry]:
    accounts = {account.number for account in chart.sales_accounts.values()}
    codes = {account.vat_code for account in chart.sales_accounts.values()}
    # On an account with a code, what has none is an accrual or the like: no sale to the VAT return.
    codeless = {account.number for account in chart.sales_accounts.values() if account.vat_code is None}
    vat_accounts = {code.account for code in chart.vat_codes.values() if code.account is not None}
    invoices = {_voucher(one): number for one in listed if (number := _invoice(one)) is not None}
    for one in listed:
        account, code = at(one, "account.accountNumber"), at(one, "vatAccount.vatCode")
        sold = account in codeless if code is None else account in accounts or code in codes
        if account in vat_accounts or not sold:
            continue
        yield SalesEntry(
            account=account,
            vat_code=code,
            date=date.fromisoformat(one["date"][:10]),
            amount=-Decimal(one.get("amountInBaseCurrency", 0)),
            document=invoices.get(_voucher(one)),
            voucher=one.get("voucherNumber"),
            text=one.get("text", ""),
        )


def _invoice(entry: Mapping[str, Any]) -> int | None:
    number = at(entry, "bookedInvoice.bookedInvoiceNumber")
    # The schema calls invoiceNumber a text; answers were seen to have a number.
    number = entry.get("invoiceNumber") if number is None else number
    return int(str(number)) if str(number or "").isdecimal() else None


def _voucher(entry: Mapping[str, Any]) -> _Voucher:
    return entry.get("entryType", ""), entry.get("voucherNumber"), entry["date"][:10]
