from typing import Any

import pytest

from cloudify_pipeline.accounting.parties import Lookup
from cloudify_pipeline_tests.ledgers.economic.fake import FakeLedger, customers, numbers


def with_customers(count: int) -> FakeLedger:
    fake = FakeLedger()
    fake.collections["/customers"] = customers(count)
    return fake


def documented(number_name: str, number: int, key: str, **more: Any) -> dict[str, Any]:
    return {
        number_name: number, "currency": "DKK", "netAmount": 100, "vatAmount": 25, "grossAmount": 125,
        "customer": {"customerNumber": 7}, "references": {"other": key}, **more,
    }  # fmt: skip


def with_documents(**collections: list[dict[str, Any]]) -> FakeLedger:
    fake = FakeLedger()
    for name in ("orders_drafts", "orders_sent", "orders_archived", "invoices_drafts", "invoices_booked"):
        fake.collections["/" + name.replace("_", "/")] = collections.get(name, [])
    return fake


async def test_a_few_customers_are_asked_for_in_one_call() -> None:
    fake = with_customers(5000)
    wanted = [Lookup("number", "17"), Lookup("number", "0042"), Lookup("number", "99999")]
    found = await fake.ledger().customers(wanted)
    assert [numbers(found[lookup]) for lookup in wanted] == [[17], [42], []]
    assert len(fake.seen) == 1


async def test_texts_and_numbers_are_asked_for_in_their_own_ways() -> None:
    fake = with_customers(300)
    fake.collections["/customers"][4]["email"] = "Jens (hest) $1,*@example.dk"
    wanted = [Lookup("number", "3"), Lookup("email", "jens (HEST) $1,*@example.dk"), Lookup("name", "customer 9")]
    found = await fake.ledger().customers(wanted)
    assert [numbers(found[lookup]) for lookup in wanted] == [[3], [5], [9]]
    assert found[wanted[1]][0].fields["email"] == "Jens (hest) $1,*@example.dk"
    assert len(fake.seen) == 2


async def test_many_customers_are_read_as_whole_lists() -> None:
    fake = with_customers(2500)
    wanted = [Lookup("email", f"c{n}@example.dk") for n in range(1, 1001)]
    found = await fake.ledger().customers(wanted)
    assert [numbers(found[lookup]) for lookup in wanted] == [[n] for n in range(1, 1001)]
    # One filter, whose answer tells how long the list is, and the list's three pages.
    assert len(fake.seen) == 4


async def test_several_that_match_come_in_the_order_of_their_numbers() -> None:
    fake = with_customers(30)
    for n in (20, 3, 11):
        fake.collections["/customers"][n]["email"] = "Shared@example.dk"
    fake.collections["/customers"].reverse()
    found = await fake.ledger().customers([Lookup("email", "shared@EXAMPLE.dk")])
    assert numbers(found[Lookup("email", "shared@EXAMPLE.dk")]) == [4, 12, 21]


@pytest.mark.parametrize(
    "lookup",
    [
        Lookup("number", ""),
        Lookup("number", "0"),
        Lookup("number", "K-17"),
        Lookup("number", "1000000000"),
        Lookup("email", "  "),
        Lookup("creditLimit", "much"),
        Lookup("zip", "1" * 31),
        Lookup("nosuchfield", "x"),
    ],
)
async def test_what_no_customer_can_have_is_not_asked_for(lookup: Lookup) -> None:
    fake = with_customers(10)
    assert await fake.ledger().customers([lookup]) == {lookup: ()}
    assert not fake.seen


async def test_a_field_without_a_filter_is_found_in_the_whole_list() -> None:
    fake = with_customers(1200)
    fake.collections["/customers"][700]["vatZone"] = {"vatZoneNumber": 9}
    lookup = Lookup("vatZone.vatZoneNumber", "9")
    assert numbers((await fake.ledger().customers([lookup]))[lookup]) == [701]
    assert all("filter" not in request.url.params for request in fake.seen)


async def test_products_are_found_by_number_and_name_and_say_whether_they_are_barred() -> None:
    fake = FakeLedger()
    fake.collections["/products"] = [
        {
            "productNumber": "PRO_M.1",
            "name": "Pro",
            "barred": True,
            "productGroup": {"productGroupNumber": 3},
            "salesPrice": 79.5,
        },
        {"productNumber": "BASIC", "name": "Basic"},
    ]
    wanted = [Lookup("number", "pro_m.1"), Lookup("name", "Basic"), Lookup("salesPrice", "79.50")]
    found = await fake.ledger().products(wanted)
    assert [numbers(found[lookup]) for lookup in wanted[:2]] == [["PRO_M.1"], ["BASIC"]]
    record = found[wanted[0]][0]
    assert (record.barred, record.group, record.fields["productNumber"]) == (True, 3, "PRO_M.1")
    assert not found[wanted[1]][0].barred


async def test_documents_are_found_by_their_key_wherever_they_stand() -> None:
    fake = with_documents(
        invoices_drafts=[documented("draftInvoiceNumber", 1, "stripe:in_1"), documented("draftInvoiceNumber", 2, "stripe:in_12")],
        invoices_booked=[documented("bookedInvoiceNumber", 900, "stripe:in_2 acct_7/r2", orderNumber=55)],
        orders_sent=[documented("orderNumber", 31, "stripe:in_3")],
    )
    found = await fake.ledger().documents(["stripe:in_1", "stripe:in_2", "stripe:in_3", "stripe:in_4", "", "stripe:in_1"])
    assert {key: [(d.kind, d.number) for d in documents] for key, documents in found.items()} == {
        "stripe:in_1": [("draft_invoice", 1)],
        "stripe:in_2": [("booked_invoice", 900)],
        "stripe:in_3": [("draft_order", 31)],
        "stripe:in_4": [],
    }
    booked = found["stripe:in_2"][0]
    assert (booked.draft_number, booked.customer, booked.key, str(booked.totals.gross)) == (55, 7, "stripe:in_2 acct_7/r2", "125")
    assert len(fake.seen) == 5


async def test_drafts_are_read_before_booked_ones_so_that_a_booking_in_between_hides_nothing() -> None:
    fake = with_documents()
    await fake.ledger().documents(["stripe:in_1"])
    assert fake.calls() == ["/orders/drafts", "/orders/sent", "/orders/archived", "/invoices/drafts", "/invoices/booked"]


async def test_a_draft_that_is_booked_while_it_is_looked_for_is_one_document() -> None:
    fake = with_documents(
        invoices_drafts=[documented("draftInvoiceNumber", 1, "stripe:in_1")],
        invoices_booked=[documented("bookedInvoiceNumber", 900, "stripe:in_1")],
    )
    assert [d.kind for d in (await fake.ledger().documents(["stripe:in_1"]))["stripe:in_1"]] == ["booked_invoice"]


async def test_an_archived_order_gives_way_to_the_invoice_made_of_it() -> None:
    fake = with_documents(
        orders_archived=[documented("orderNumber", 31, "stripe:in_1")],
        invoices_drafts=[documented("draftInvoiceNumber", 5, "stripe:in_1")],
    )
    fake.resources["/invoices/drafts/5"] = {"draftInvoiceNumber": 5}
    assert numbers((await fake.ledger().documents(["stripe:in_1"]))["stripe:in_1"]) == [5]


async def test_two_documents_with_one_key_are_both_told() -> None:
    fake = with_documents(
        invoices_drafts=[documented("draftInvoiceNumber", 1, "stripe:in_1")],
        invoices_booked=[
            documented("bookedInvoiceNumber", 900, "stripe:in_1"),
            documented("bookedInvoiceNumber", 901, "stripe:in_1"),
        ],
    )
    fake.resources["/invoices/drafts/1"] = {"draftInvoiceNumber": 1}
    assert numbers((await fake.ledger().documents(["stripe:in_1"]))["stripe:in_1"]) == [1, 900, 901]


async def test_many_keys_read_each_list_whole_when_that_is_fewer_calls() -> None:
    keys = [f"stripe:in_1Q{n:020d}" for n in range(500)]
    fake = with_documents(invoices_booked=[documented("bookedInvoiceNumber", n + 1, key) for n, key in enumerate(keys)])
    found = await fake.ledger().documents(keys)
    assert [numbers(found[key]) for key in keys] == [[n + 1] for n in range(500)]
    assert len(fake.seen) == 10
