"""Reading the ledger's chart: every list that has no filter is read whole, once a run (reference/economic.md §4.2, §6.4)."""

import asyncio
import logging
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from cloudify_pipeline.accounting.chart import (
    AccountingPeriod,
    Chart,
    Named,
    Number,
    PaymentTerms,
    SalesAccount,
    VatCode,
    VatZone,
)
from cloudify_pipeline.ledgers.economic.client import EconomicClient
from cloudify_pipeline.ledgers.economic.filters import path
from cloudify_pipeline.ledgers.economic.records import at

PERIODS = "/accountingyearsapi/v2.0.1/accountingYears/periods"
NO_BARRED_PERIODS = (
    "e-conomic does not let this app read which periods are barred: "
    "closed periods are known, a barred one shows when a booking fails"
)

_log = logging.getLogger(__name__)


async def read_chart(client: EconomicClient) -> tuple[Chart, tuple[str, ...]]:
    """The chart as it is now, and what could not be known of it."""
    identity, zones, codes, groups, customer_groups, terms, layouts, currencies, units, (periods, notes) = await asyncio.gather(
        client.read("/self"),
        _list(client, "/vat-zones"),
        _list(client, "/vat-accounts"),
        _list(client, "/product-groups"),
        _list(client, "/customer-groups"),
        _list(client, "/payment-terms"),
        _list(client, "/layouts"),
        _list(client, "/currencies"),
        _list(client, "/units"),
        _periods(client),
    )
    chart = Chart(
        base_currency=at(identity, "settings.baseCurrency") or "",
        currencies=frozenset(item["code"] for item in currencies),
        vat_zones={
            item["vatZoneNumber"]: VatZone(
                item["vatZoneNumber"], item.get("name", ""), bool(item.get("enabledForCustomer", False))
            )
            for item in zones
        },
        vat_codes={
            item["vatCode"]: VatCode(
                item["vatCode"],
                item.get("name", ""),
                Decimal(item.get("ratePercentage", 0)),
                bool(item.get("barred", False)),
                at(item, "account.accountNumber"),
            )
            for item in codes
        },
        product_groups=_named(groups, "productGroupNumber"),
        sales_accounts=await _sales_accounts(client, [item["productGroupNumber"] for item in groups]),
        customer_groups=_named(customer_groups, "customerGroupNumber"),
        payment_terms={
            item["paymentTermsNumber"]: PaymentTerms(
                item["paymentTermsNumber"], item.get("name", ""), item.get("paymentTermsType", ""), item.get("daysOfCredit")
            )
            for item in terms
        },
        layouts=_named([item for item in layouts if not item.get("deleted", False)], "layoutNumber"),
        units=_named(units, "unitNumber"),
        periods=periods,
        barred_known=NO_BARRED_PERIODS not in notes,
    )
    return chart, notes


async def _list(client: EconomicClient, where: str) -> list[Any]:
    items, _ = await client.items(where)
    return items


def _named(items: list[Any], number: str) -> dict[Number, Named]:
    return {item[number]: Named(item[number], item.get("name", ""), bool(item.get("barred", False))) for item in items}


async def _sales_accounts(client: EconomicClient, groups: list[int]) -> Mapping[tuple[Number, Number], SalesAccount]:
    """The matrix that decides VAT: (product group, zone) → account with its VAT code."""
    answers = await asyncio.gather(*(_list(client, path("product-groups", group, "sales-accounts")) for group in groups))
    return {
        (group, item["vatZone"]["vatZoneNumber"]): SalesAccount(
            number=item["salesAccount"]["accountNumber"],
            vat_code=at(item, "salesAccount.vatAccount.vatCode"),
            barred=bool(at(item, "salesAccount.barred")),
        )
        for group, answer in zip(groups, answers, strict=True)
        for item in answer
        # A zone without an account has no cell: planning then holds what would need it.
        if at(item, "salesAccount.accountNumber") and at(item, "vatZone.vatZoneNumber")
    }


async def _periods(client: EconomicClient) -> tuple[tuple[AccountingPeriod, ...], tuple[str, ...]]:
    """Periods with closed and barred flags; without the service that knows barred ones, closed flags alone, and a note."""
    items = await client.cursor_items(PERIODS, tolerate={403, 404})
    if items is not None:
        periods = [
            AccountingPeriod(_day(item["dateFrom"]), _day(item["dateTo"]), bool(item.get("isClosed")), bool(item.get("isBarred")))
            for item in items
        ]
        return _in_order(periods), ()
    _log.warning(NO_BARRED_PERIODS)
    years = await _list(client, "/accounting-years")
    answers = await asyncio.gather(*(_list(client, path("accounting-years", year["year"], "periods")) for year in years))
    periods = [
        AccountingPeriod(_day(item["fromDate"]), _day(item["toDate"]), bool(item.get("closed")) or bool(year.get("closed")))
        for year, answer in zip(years, answers, strict=True)
        for item in answer
    ]
    return _in_order(periods), (NO_BARRED_PERIODS,)


def _in_order(periods: list[AccountingPeriod]) -> tuple[AccountingPeriod, ...]:
    return tuple(sorted(periods, key=lambda period: (period.first, period.last)))


def _day(text: str) -> date:
    """The date of ``2026-01-01`` or ``2026-01-01T00:00:00``."""
    return date.fromisoformat(text[:10])
