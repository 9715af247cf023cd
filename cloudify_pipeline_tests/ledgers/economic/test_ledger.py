import json
from datetime import date
from decimal import Decimal
from typing import Any

import httpx
import pytest

from cloudify_pipeline.accounting.chart import AccountingPeriod, SalesAccount
from cloudify_pipeline.errors import OutcomeUnknown, Refused
from cloudify_pipeline.ledgers.economic.chart import NO_BARRED_PERIODS, PERIODS
from cloudify_pipeline.ledgers.economic.ledger import EconomicLedger, install_url
from cloudify_pipeline.ledgers.port import CustomerWrite, Ledger
from cloudify_pipeline_tests.ledgers.economic.fake import FakeLedger, reply
from cloudify_pipeline_tests.ledgers.economic.test_writes import document

SELF = {
    "agreementNumber": 1337, "agreementType": {"name": "Standard"}, "user": {"loginId": "BOB"}, "company": {"name": "Hest ApS"},
    "application": {"name": "Cloudify", "appNumber": 9, "requiredRoles": [{"roleNumber": 2, "name": "SuperUser"}]},
    "settings": {"baseCurrency": "DKK"}, "canSendElectronicInvoice": True, "modules": [{"name": "Lager"}],
}  # fmt: skip


def account(zone: int, number: int, vat: str | None, *, barred: bool = False) -> dict[str, Any]:
    own: dict[str, Any] = {"accountNumber": number, "barred": barred}
    return {"vatZone": {"vatZoneNumber": zone}, "salesAccount": own | ({"vatAccount": {"vatCode": vat}} if vat else {})}


def agreement() -> FakeLedger:
    fake = FakeLedger()
    fake.resources["/self"] = SELF
    fake.resources[PERIODS] = {"items": [
        {"dateFrom": "2026-02-01T00:00:00", "dateTo": "2026-02-28T00:00:00", "isClosed": False, "isBarred": True},
        {"dateFrom": "2026-01-01T00:00:00", "dateTo": "2026-01-31T00:00:00", "isClosed": False, "isBarred": False},
    ]}  # fmt: skip
    fake.collections = {
        "/vat-zones": [{"vatZoneNumber": 1, "name": "Domestic", "enabledForCustomer": True}, {"vatZoneNumber": 2, "name": "EU"}],
        "/vat-accounts": [{"vatCode": "U25", "name": "Moms", "ratePercentage": 25},
            {"vatCode": "X", "ratePercentage": 12.5, "barred": True}],
        "/product-groups": [{"productGroupNumber": n, "name": f"Group {n}"} for n in range(1, 31)],
        **{f"/product-groups/{n}/sales-accounts": [account(1, 1010, "U25"), account(2, 1020, None)] for n in range(1, 31)},
        "/customer-groups": [{"customerGroupNumber": 1, "name": "Danske"}],
        "/payment-terms": [{"paymentTermsNumber": 1, "name": "Netto 8", "paymentTermsType": "net", "daysOfCredit": 8}],
        "/layouts": [{"layoutNumber": 12, "name": "Old", "deleted": True}, {"layoutNumber": 19, "name": "Dansk"}],
        "/currencies": [{"code": "DKK"}, {"code": "EUR"}],
        "/units": [{"unitNumber": 1, "name": "stk."}],
    }  # fmt: skip
    fake.collections["/product-groups/30/sales-accounts"] = [account(1, 1010, "U25", barred=True), account(2, 1021, "X")]
    return fake


async def test_the_ledger_is_what_posting_expects() -> None:
    ledger: Ledger = FakeLedger().ledger()
    assert ledger.name == "e-conomic"
    await ledger.close()


async def test_identify_tells_the_books_and_the_rights() -> None:
    identity = await agreement().ledger().identify()
    assert (identity.agreement, identity.company, identity.base_currency, identity.user, identity.can_write) == (
        "1337", "Hest ApS", "DKK", "BOB", True,
    )  # fmt: skip
    assert (identity.details["roles"], identity.details["app"], identity.details["modules"]) == ("SuperUser", "Cloudify", "Lager")


@pytest.mark.parametrize(("roles", "can"), [(["Bookkeeping"], False), (["Sales"], True), ([], True)])
async def test_an_app_without_a_selling_role_cannot_write(roles: list[str], can: bool) -> None:
    fake = agreement()
    fake.resources["/self"] = SELF | {"application": {"requiredRoles": [{"name": role} for role in roles]}}
    assert (await fake.ledger().identify()).can_write is can


async def test_the_chart_has_the_matrix_that_decides_vat() -> None:
    fake = agreement()
    ledger = fake.ledger()
    chart = await ledger.chart()
    assert chart.sales_accounts[30, 1] == SalesAccount(1010, "U25", barred=True)
    rates = [chart.vat_rate(group, zone) for group, zone in ((1, 1), (1, 2), (30, 1), (30, 2), (1, 3))]
    assert rates == [Decimal(25), Decimal(0), None, None, None]
    assert chart.vat_codes["X"].rate == Decimal("12.5")
    assert (chart.base_currency, sorted(chart.currencies), list(chart.layouts)) == ("DKK", ["DKK", "EUR"], [19])
    assert (chart.vat_zones[1].enabled, chart.vat_zones[2].enabled) == (True, False)
    assert (chart.payment_terms[1].type, chart.payment_terms[1].days) == ("net", 8)
    assert (len(chart.product_groups), chart.units[1].name, chart.customer_groups[1].name) == (30, "stk.", "Danske")
    calls = len(fake.seen)
    assert await ledger.chart() is chart
    assert len(fake.seen) == calls
    assert not ledger.notes


async def test_barred_periods_are_known_where_the_service_tells() -> None:
    chart = await agreement().ledger().chart()
    assert chart.periods[0] == AccountingPeriod(date(2026, 1, 1), date(2026, 1, 31))
    assert (chart.open_on(date(2026, 1, 31)), chart.open_on(date(2026, 2, 1)), chart.open_on(date(2027, 1, 1))) == (
        True,
        False,
        False,
    )


@pytest.mark.parametrize("status", [403, 404])
async def test_without_that_service_closed_periods_are_known_and_the_gap_is_said(status: int) -> None:
    fake = agreement()
    fake.script["GET", PERIODS] = [reply({"title": "no"}, status)]
    fake.collections["/accounting-years"] = [{"year": "2025/2026", "closed": True}, {"year": "2026"}]
    fake.collections["/accounting-years/2025_6_2026/periods"] = [{"fromDate": "2025-12-01", "toDate": "2025-12-31"}]
    fake.collections["/accounting-years/2026/periods"] = [
        {"fromDate": "2026-01-01", "toDate": "2026-01-31", "closed": True},
        {"fromDate": "2026-02-01", "toDate": "2026-02-28"},
    ]
    ledger = fake.ledger()
    chart = await ledger.chart()
    assert [period.closed for period in chart.periods] == [True, True, False]
    assert ledger.notes == (NO_BARRED_PERIODS,)


async def test_periods_follow_the_cursor_to_its_end() -> None:
    fake = agreement()
    first = {"items": [{"dateFrom": "2026-03-01", "dateTo": "2026-03-31", "isClosed": True}], "cursor": "c1"}
    fake.script["GET", PERIODS] = [reply(first)]
    assert len((await fake.ledger().chart()).periods) == 3
    assert any(request.url.params.get("cursor") == "c1" for request in fake.seen)


def stored_draft(sent: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**sent, "draftInvoiceNumber": 148, "netAmount": 79.000000, "vatAmount": 19.75, "grossAmount": 98.75, **changes}


async def sent_document(fake: FakeLedger, **changes: Any) -> Any:
    fake.writes["/invoices/drafts"] = lambda request: reply(
        stored_draft(json.loads(request.content), **changes), 201, X_RequestId="r-1"
    )
    ledger = fake.ledger()
    await ledger.chart()
    fields = {"recipient.name": "Café\nA", "recipient.city": "Odense", "recipient.mobilePhone": "1"}
    write = ledger.create_document(document(fields=fields), 7, {"prod_1": "PRO-M"})
    return await ledger.send(write, "key-1")


async def test_a_sent_draft_comes_back_with_number_and_totals() -> None:
    answer = await sent_document(agreement())
    assert (answer.number, answer.request_id, answer.from_cache, answer.dropped) == (148, "r-1", False, ())
    stands = answer.document
    assert (stands.kind, stands.key, stands.currency, stands.customer) == ("draft_invoice", "stripe:in_1", "EUR", 7)
    assert (stands.totals.net, stands.totals.vat, stands.totals.gross) == (79, Decimal("19.75"), Decimal("98.75"))


@pytest.mark.parametrize(("kept", "dropped"), [(746.04, ()), (746.05, ("exchangeRate",)), (None, ("exchangeRate",))])
async def test_a_rate_of_exchange_is_read_back(kept: float | None, dropped: tuple[str, ...]) -> None:
    fake = agreement()
    fake.writes["/invoices/drafts"] = lambda request: reply(
        stored_draft({**json.loads(request.content), "exchangeRate": kept}), 201
    )
    ledger = fake.ledger()
    await ledger.chart()
    write = ledger.create_document(document(fields={"exchangeRate": Decimal("746.04")}), 7, {"prod_1": "PRO-M"})
    answer = await ledger.send(write, "key-1")
    assert answer.dropped == dropped
    assert answer.document is not None
    assert answer.document.exchange_rate == (None if kept is None else Decimal(str(kept)))


async def test_what_the_ledger_dropped_is_named() -> None:
    recipient = {"name": "Cafe\u0301\rA", "vatZone": {"vatZoneNumber": 2, "self": "https://x"}}
    lines = [
        {"lineNumber": 1, "description": "Pro plan", "product": {"productNumber": "PRO-M"}, "quantity": 1.0, "unitNetPrice": 78}
    ]
    answer = await sent_document(agreement(), recipient=recipient, lines=lines)
    assert set(answer.dropped) == {"recipient.city", "lines[0].unitNetPrice"}


async def test_a_booked_invoice_keeps_the_number_of_its_draft() -> None:
    fake = FakeLedger()
    booked = {
        "bookedInvoiceNumber": 10042,
        "orderNumber": 148,
        "netAmount": 1,
        "vatAmount": 0,
        "grossAmount": 1,
        "currency": "DKK",
    }
    fake.writes["/invoices/booked"] = lambda _: reply(booked, 201, X_ResultFromCache="true")
    ledger = fake.ledger()
    answer = await ledger.send(ledger.book_document(148, key="stripe:in_1"), "key-2")
    assert (answer.number, answer.from_cache, answer.dropped) == (10042, True, ())
    assert answer.document is not None
    assert (answer.document.kind, answer.document.draft_number) == ("booked_invoice", 148)
    assert (ledger.requests.writes, ledger.requests.reads) == (1, 0)


async def test_a_new_customer_gets_the_ledgers_number() -> None:
    fake = FakeLedger()
    fake.writes["/customers"] = lambda request: reply({**json.loads(request.content), "customerNumber": 501}, 201)
    ledger = fake.ledger()
    answer = await ledger.send(
        ledger.create_customer(CustomerWrite("cus_1", None, "A", "DKK", 1, 1, 1, None, {"zip": "5000"})), "k"
    )
    assert (answer.number, answer.dropped) == (501, ())
    assert answer.record is not None
    assert (answer.record.group, answer.record.fields["zip"]) == (1, "5000")


@pytest.mark.parametrize("data", [{}, [], "done", {"customerNumber": "x"}, None])
async def test_a_confirmation_without_a_number_is_an_unknown_outcome(data: Any) -> None:
    fake = FakeLedger()
    fake.writes["/invoices/drafts"] = lambda _: reply(data, 201)
    ledger = agreement().ledger()
    await ledger.chart()
    write = ledger.create_document(document(), 7, {"prod_1": "PRO-M"})
    with pytest.raises(OutcomeUnknown):
        await fake.ledger().send(write, "k")


async def test_an_update_reads_first_and_is_not_made_for_a_customer_that_is_gone() -> None:
    fake = FakeLedger()
    fake.resources["/customers/7"] = {"customerNumber": 7, "name": "A", "city": "Odense", "barred": True}
    ledger = fake.ledger()
    write = await ledger.update_customer(7, {"city": "Aarhus"}, key="customer:cus_1")
    assert write is not None
    assert json.loads(write.body) == {"customerNumber": 7, "name": "A", "city": "Aarhus", "barred": True}
    assert await ledger.update_customer(7, {"city": "Odense"}, key="customer:cus_1") is None
    with pytest.raises(Refused) as caught:
        await ledger.update_customer(8, {"city": "Odense"}, key="customer:cus_2")
    assert caught.value.code == "E-GONE"


async def test_one_document_is_read_by_its_number_or_is_gone() -> None:
    fake = FakeLedger()
    fake.resources["/orders/sent/31"] = {
        "orderNumber": 31,
        "references": {"other": "stripe:in_3"},
        "netAmount": 1.1,
        "vatAmount": 0.2,
    }
    ledger = fake.ledger()
    order = await ledger.document("draft_order", 31)
    assert order is not None
    assert (order.key, order.totals.gross) == ("stripe:in_3", Decimal("1.3"))
    assert await ledger.document("booked_invoice", 31) is None
    with pytest.raises(ValueError, match="empty part"):
        await ledger.document("draft_invoice", "")


async def test_nothing_that_was_ever_sent_could_delete() -> None:
    fake = agreement()
    ledger = fake.ledger()
    await ledger.chart()
    await ledger.document("draft_invoice", 1)
    assert {request.method for request in fake.seen} == {"GET"}


def test_the_tokens_are_shown_nowhere() -> None:
    ledger = EconomicLedger("s3cret-app", "s3cret-grant", transport=httpx.MockTransport(lambda _: httpx.Response(200)))
    assert "s3cret" not in repr(ledger) + repr(vars(ledger))


@pytest.mark.parametrize(
    ("redirect", "url"),
    [
        (None, "https://secure.e-conomic.com/secure/api1/requestaccess.aspx?appPublicToken=a%2Fb"),
        (
            "https://x.dk/cb?a=1",
            "https://secure.e-conomic.com/secure/api1/requestaccess.aspx?appPublicToken=a%2Fb&redirectUrl=https%3A%2F%2Fx.dk%2Fcb%3Fa%3D1",
        ),
    ],
)
def test_the_install_link(redirect: str | None, url: str) -> None:
    assert install_url("a/b", redirect) == url
