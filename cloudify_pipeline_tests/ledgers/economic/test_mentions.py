"""Documents are found by the words on them and by their customers, with filters for a few and whole lists for many."""

from typing import Any

import pytest

from cloudify_pipeline_tests.ledgers.economic.fake import FakeLedger
from cloudify_pipeline_tests.ledgers.economic.test_lookups import documented, with_documents

PLACES = 4
"""Drafts and sent orders, draft and booked invoices."""


def booked(count: int, **last: Any) -> FakeLedger:
    items = [documented("bookedInvoiceNumber", n, f"stripe:in_{n}") for n in range(1, count)]
    return with_documents(invoices_booked=[*items, {**documented("bookedInvoiceNumber", count, ""), **last}])


@pytest.mark.parametrize("field", ["notes.heading", "notes.textLine1", "notes.textLine2", "references.other"])
@pytest.mark.parametrize("kind", ["orders_drafts", "orders_sent", "invoices_drafts", "invoices_booked"])
async def test_a_text_is_found_in_every_field_of_every_list(kind: str, field: str) -> None:
    number = "orderNumber" if kind.startswith("orders") else f"{kind.removeprefix('invoices_').rstrip('s')}InvoiceNumber"
    outer, inner = field.split(".")
    fake = with_documents(**{kind: [{**documented(number, 7, ""), outer: {inner: "Faktura inv-0007, tak"}}]})
    ledger = fake.ledger()
    (found,) = await ledger.mentioning(["INV-0007"])
    assert (found.number, found.texts) == (7, ("Faktura inv-0007, tak",))
    assert len(fake.seen) == PLACES == ledger.mention_calls(["INV-0007"], {})


@pytest.mark.parametrize("number", ["A$B,7", "(7)*[8]", "[7", "N%7_8", "Ærø & Co 7", "a$or:b", "x/7?8#9+1"])
async def test_a_number_that_filters_would_read_otherwise_is_found(number: str) -> None:
    fake = booked(3, notes={"heading": f"No {number}!"})
    assert [one.number for one in await fake.ledger().mentioning([number])] == [3]


async def test_many_texts_are_looked_for_in_whole_lists_of_which_little_is_kept() -> None:
    fake = booked(2500, notes={"textLine2": "see in_2000x"})
    texts = [f"in_{n}x" for n in range(1500, 2500)]
    ledger = fake.ledger()
    assert [one.number for one in await ledger.mentioning(texts)] == [2500]
    # In each list one filter, whose answer tells how long it is, and its pages: one, or three of booked invoices.
    assert len(fake.seen) == PLACES * 2 + 2
    assert ledger.mention_calls(texts, {"booked_invoice": 2500}) == PLACES * 2 + 2


async def test_nothing_is_asked_for_without_a_text() -> None:
    fake = booked(3)
    assert await fake.ledger().mentioning(["", " "]) == []
    assert await fake.ledger().documents_of([]) == []
    assert fake.seen == []


async def test_the_documents_of_some_customers() -> None:
    fake = booked(3, customer={"customerNumber": 8})
    assert [one.number for one in await fake.ledger().documents_of([8, 9])] == [3]
