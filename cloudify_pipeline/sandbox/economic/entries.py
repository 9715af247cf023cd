"""Booked entries: what booking an invoice puts on the accounts, and the list of a year's entries.

One voucher for each invoice: the debtor, each sales account without VAT, and the VAT of each code. The live server shows the
invoice's number on entries of that invoice; here only the debtor's has it, the least that the schemas leave open.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from cloudify_pipeline.sandbox.economic.amounts import rounded, sales_account
from cloudify_pipeline.sandbox.economic.errors import Json, not_found
from cloudify_pipeline.sandbox.economic.exchange import Reply, Request
from cloudify_pipeline.sandbox.economic.listing import listed
from cloudify_pipeline.sandbox.economic.references import decoded, linked
from cloudify_pipeline.sandbox.economic.store import EconomicStore

_DEBTORS = 5600
COLLECTION = "accounting-years.entries"


def voucher_of(store: EconomicStore, invoice: Json) -> Json:
    """The voucher of a booked invoice; its entries add up to nothing."""
    number = invoice["bookedInvoiceNumber"]
    rate = Decimal(invoice["exchangeRate"]) / 100
    zone = invoice["recipient"]["vatZone"]["vatZoneNumber"]
    sums: dict[tuple[int, str | None, Decimal], Decimal] = {}
    for line in invoice["lines"]:
        if "product" in line:
            product: Any = store.get("products", line["product"]["productNumber"])
            account: Any = sales_account(store, product, zone)
            code = account.get("vatAccount", {}).get("vatCode")
            key = account["accountNumber"], code, Decimal(line.get("vatRate", 0))
            sums[key] = sums.get(key, Decimal(0)) + Decimal(line["totalNetAmount"])
    net, gross = Decimal(invoice["netAmountInBaseCurrency"]), Decimal(invoice["grossAmountInBaseCurrency"])
    entries = [_entry(account, -rounded(amount * rate), code) for (account, code, _), amount in sums.items()]
    if entries:
        largest = max(entries, key=lambda entry: abs(entry["amountInBaseCurrency"]))
        largest["amountInBaseCurrency"] -= net + sum(entry["amountInBaseCurrency"] for entry in entries)
    if gross != net:
        entries.append(_entry(6902, net - gross, next((code for _, code, percent in sums if percent), None)))
    customer = invoice["customer"]["customerNumber"]
    debtor = {**_entry(_DEBTORS, gross, None), "customer": {"customerNumber": customer}, "invoiceNumber": number}
    return {
        "voucherNumber": number,
        "date": invoice["date"],
        "currency": invoice["currency"],
        "entryType": "customerInvoice",
        "entries": [{**entry, "text": f"Faktura {number}"} for entry in (debtor, *entries)],
    }


def entries_of_year(store: EconomicStore, request: Request, part: str) -> Reply:
    """A page of the entries of one accounting year."""
    year = store.get("accounting-years", decoded(part))
    if year is None:
        raise not_found()
    records = [entry for entry in _all(store) if year["fromDate"] <= entry["date"] <= year["toDate"]]
    return listed(request, COLLECTION, records, lambda entry: linked(entry, request.base))


def _all(store: EconomicStore) -> Iterator[Json]:
    at = 0
    for voucher in store.all("vouchers"):
        header = {name: value for name, value in voucher.items() if name != "entries"}
        for entry in voucher["entries"]:
            at += 1
            yield {"entryNumber": at, **header, **entry}


def _entry(account: int, amount: Decimal, code: str | None) -> Json:
    entry: Json = {"account": {"accountNumber": account}, "amountInBaseCurrency": amount}
    return entry if code is None else {**entry, "vatAccount": {"vatCode": code}}
