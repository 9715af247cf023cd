import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from cloudify_pipeline.accounting.chart import Chart, Named, PaymentTerms
from cloudify_pipeline.accounting.documents import (
    CustomerRef,
    DocumentKind,
    FieldValue,
    ProductRef,
    SalesDocument,
    SalesLine,
    Totals,
)
from cloudify_pipeline.errors import PipelineError
from cloudify_pipeline.ledgers.economic import writes
from cloudify_pipeline.ledgers.port import CustomerWrite, ProductWrite, Write

CHART = Chart(
    base_currency="DKK",
    currencies=frozenset({"DKK", "EUR"}),
    vat_zones={},
    vat_codes={},
    product_groups={},
    sales_accounts={},
    customer_groups={},
    payment_terms={1: PaymentTerms(1, "Netto 8", "net", 8), 2: PaymentTerms(2, "Dato", "dueDate")},
    layouts={21: Named(21, "Engelsk"), 19: Named(19, "Dansk")},
)
LINE = SalesLine("Pro plan", ProductRef(stripe_id="prod_1"), Decimal(1), Decimal("79.00"), Decimal(0), Decimal(79), Decimal(25))


def document(kind: DocumentKind = "draft_invoice", **changes: Any) -> SalesDocument:
    values: dict[str, Any] = {
        "key": "stripe:in_1", "kind": kind, "stripe_id": "in_1", "stripe_number": "A-1", "currency": "eur",
        "date": date(2026, 11, 3), "due_date": None, "customer": CustomerRef(7), "payment_terms": 1, "vat_zone": 2,
        "layout": None, "lines": (LINE,), "stripe_total": Decimal("98.75"),
        "predicted": Totals(Decimal(79), Decimal("19.75"), Decimal("98.75")), "fields": {"recipient.name": "Müller GmbH"},
    }  # fmt: skip
    return SalesDocument(**values | changes)


def body(write: Write | None) -> Any:
    assert write is not None
    return json.loads(write.body)


def create(what: SalesDocument, chart: Chart | None = CHART, **more: Any) -> Write:
    return writes.create_document(what, 7, {"prod_1": "PRO-M"}, layout=more.get("layout"), chart=chart)


def test_a_customer_is_written_as_the_reference_shows() -> None:
    write = writes.create_customer(
        CustomerWrite(
            "cus_1", None, "Frøstrup ApS", "dkk", 1, "1", 1, None,
            {"email": "billing@example.com", "address": "Rødspætteallé 4", "zip": "7741", "city": "",
             "creditLimit": Decimal("1000.50"),
             "salesPerson.employeeNumber": 0, "barred": False, "no.such": "x", "balance": Decimal(5)},
        )
    )  # fmt: skip
    assert (write.operation, write.key, write.method, write.path) == ("create_customer", "customer:cus_1", "POST", "/customers")
    assert write.body.decode() == (
        '{"address":"Rødspætteallé 4","barred":false,"creditLimit":1000.5,"currency":"DKK",'
        '"customerGroup":{"customerGroupNumber":1},'
        '"email":"billing@example.com","name":"Frøstrup ApS","paymentTerms":{"paymentTermsNumber":1},'
        '"vatZone":{"vatZoneNumber":1},"zip":"7741"}'
    )


def test_a_customer_may_bring_its_number_and_layout() -> None:
    sent = body(writes.create_customer(CustomerWrite("cus_1", 100231, "A", "DKK", 1, 1, 1, 19, {})))
    assert (sent["customerNumber"], sent["layout"]) == (100231, {"layoutNumber": 19})


def test_a_product_is_written_with_its_number_group_and_unit() -> None:
    write = writes.create_product(
        ProductWrite("prod_1", "PRO-M", "Pro", 3, 2, {"description": "Monthly", "inventory.recommendedCostPrice": "1.005"})
    )
    assert (write.path, write.key) == ("/products", "product:prod_1")
    assert json.loads(write.body, parse_float=str) == {
        "productNumber": "PRO-M", "name": "Pro", "description": "Monthly", "productGroup": {"productGroupNumber": 3},
        "unit": {"unitNumber": 2}, "inventory": {"recommendedCostPrice": "1.01"},
    }  # fmt: skip


def test_a_draft_is_written_as_the_reference_shows() -> None:
    lines = (
        SalesLine("Period 2026-10"),
        SalesLine(
            "Pro plan", ProductRef("PRO-M"), Decimal("1.5"), Decimal("79.10"), Decimal("12.50"), Decimal("103.82"), Decimal(25),
            fields={"accrual.startDate": date(2026, 10, 1), "lines.unit.unitNumber": "4", "lines.quantity": Decimal(9)},
        ),
    )  # fmt: skip
    fields: dict[str, FieldValue] = {
        "recipient.name": "Müller GmbH", "recipient.ean": "", "notes.heading": "Stripe invoice A-1",
        "delivery.deliveryDate": date(2026, 11, 4), "exchangeRate": Decimal("745.1234567"), "references.other": "mine",
        "references.salesPerson.employeeNumber": 3, "lines.description": "never",
    }  # fmt: skip
    write = create(document(lines=lines, fields=fields, layout=21))
    assert (write.operation, write.key, write.method, write.path) == (
        "create_document",
        "stripe:in_1",
        "POST",
        "/invoices/drafts",
    )
    assert json.loads(write.body, parse_float=str) == {
        "date": "2026-11-03", "currency": "EUR", "layout": {"layoutNumber": 21}, "paymentTerms": {"paymentTermsNumber": 1},
        "customer": {"customerNumber": 7}, "recipient": {"name": "Müller GmbH", "vatZone": {"vatZoneNumber": 2}},
        "delivery": {"deliveryDate": "2026-11-04"}, "notes": {"heading": "Stripe invoice A-1"}, "exchangeRate": "745.123457",
        "references": {"other": "stripe:in_1", "salesPerson": {"employeeNumber": 3}},
        "lines": [
            {"lineNumber": 1, "sortKey": 1, "description": "Period 2026-10"},
            {"lineNumber": 2, "sortKey": 2, "description": "Pro plan", "product": {"productNumber": "PRO-M"}, "quantity": "1.5",
             "unitNetPrice": "79.1", "discountPercentage": "12.5", "unit": {"unitNumber": 4},
             "accrual": {"startDate": "2026-10-01"}},
        ],
    }  # fmt: skip


def test_the_same_document_gives_the_same_bytes() -> None:
    one = {"notes.heading": "a", "recipient.name": "b"}
    assert create(document(fields=one)).body == create(document(fields=dict(reversed(one.items())))).body


@pytest.mark.parametrize(
    ("kind", "path"),
    [("draft_invoice", "/invoices/drafts"), ("booked_invoice", "/invoices/drafts"), ("draft_order", "/orders/drafts")],
)
def test_each_kind_begins_in_its_place(kind: DocumentKind, path: str) -> None:
    assert create(document(kind)).path == path


@pytest.mark.parametrize(
    ("terms", "chart", "sent"),
    [(1, CHART, None), (2, CHART, "2026-12-01"), ("2", CHART, "2026-12-01"), (9, CHART, "2026-12-01"), (1, None, "2026-12-01")],
)
def test_only_terms_of_type_due_date_carry_one(terms: int | str, chart: Chart | None, sent: str | None) -> None:
    what = document(payment_terms=terms, due_date=date(2026, 12, 1), layout=19)
    assert body(create(what, chart)).get("dueDate") == sent


@pytest.mark.parametrize(("given", "own", "used"), [(5, 6, 5), (None, 6, 6), (None, None, 19)])
def test_a_layout_is_always_sent_the_lowest_when_none_is_chosen(given: int | None, own: int | None, used: int) -> None:
    assert body(create(document(layout=own), layout=given))["layout"] == {"layoutNumber": used}


def test_a_document_that_cannot_be_complete_is_not_made() -> None:
    with pytest.raises(PipelineError, match="chart"):
        create(document(), None)
    with pytest.raises(PipelineError, match="prod_2"):
        create(document(lines=(SalesLine("x", ProductRef(stripe_id="prod_2"), Decimal(1), Decimal(1)),)))


def test_a_free_line_still_says_its_price() -> None:
    free = SalesLine("Free month", ProductRef("PRO-M"), Decimal(1), Decimal(0))
    assert body(create(document(lines=(free,))))["lines"][0]["unitNetPrice"] == 0


def test_a_credit_is_a_negative_quantity() -> None:
    back = SalesLine("Refund", ProductRef("PRO-M"), Decimal(-2), Decimal("10.5"))
    assert body(create(document(lines=(back,))))["lines"][0]["quantity"] == -2


@pytest.mark.parametrize(
    ("send_by", "sent"),
    [
        ("none", {"draftInvoice": {"draftInvoiceNumber": 148}}),
        ("ean", {"draftInvoice": {"draftInvoiceNumber": 148}, "sendBy": "EAN"}),
    ],
)
def test_booking_names_the_draft_and_how_to_send(send_by: str, sent: dict[str, Any]) -> None:
    write = writes.book_document(148, "stripe:in_1", send_by)
    assert (body(write), write.path, write.key) == (sent, "/invoices/booked", "stripe:in_1")


@pytest.mark.parametrize("draft", [0, "", "x"])
def test_nothing_is_booked_without_a_draft_number(draft: int | str) -> None:
    with pytest.raises(PipelineError):
        writes.book_document(draft, "stripe:in_1", "none")


STORED = {
    "customerNumber": 7, "name": "Steen 3 ApS", "address": "Steen 3 ApS\rVirksomhedsvej 58", "city": "Odense", "barred": True,
    "currency": "DKK", "email": "a@example.dk", "creditLimit": Decimal("100.00"), "balance": 5, "dueAmount": 1,
    "lastUpdated": "2026-01-01T00:00:00Z",
    "customerGroup": {"customerGroupNumber": 1, "self": "https://x/customer-groups/1"},
    "priceGroup": {"self": "https://x/price-groups/3"}, "attention": {"customerContactNumber": 9, "self": "https://x"},
    "contacts": "https://x", "templates": {"invoice": "https://x"}, "metaData": {"delete": {}},
    "self": "https://x", "pNumber": None,
}  # fmt: skip


def test_an_update_keeps_everything_that_is_not_mapped() -> None:
    write = writes.update_customer(STORED, 7, {"city": "Aarhus", "email": "a@example.dk"}, "customer:cus_1")
    assert write is not None
    assert (write.operation, write.method, write.path, write.key) == ("update_customer", "PUT", "/customers/7", "customer:cus_1")
    assert body(write) == {
        "customerNumber": 7, "name": "Steen 3 ApS", "address": "Steen 3 ApS\rVirksomhedsvej 58", "city": "Aarhus", "barred": True,
        "currency": "DKK", "email": "a@example.dk", "creditLimit": 100, "customerGroup": {"customerGroupNumber": 1},
        "priceGroup": {"self": "https://x/price-groups/3"}, "attention": {"customerContactNumber": 9},
    }  # fmt: skip


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"city": "Odense"},
        {"address": "Steen 3 ApS\nVirksomhedsvej 58"},
        {"creditLimit": Decimal(100)},
        {"email": ""},
        {"balance": Decimal(9)},
        {"barred": True, "eInvoicingDisabledByDefault": False},
    ],
)
def test_nothing_is_written_when_nothing_differs(fields: dict[str, FieldValue]) -> None:
    assert writes.update_customer(STORED, 7, fields, "customer:cus_1") is None


def test_letters_are_compared_as_people_read_them() -> None:
    assert writes.update_customer({"name": "Caf\u00e9"}, 7, {"name": "Cafe\u0301"}, "k") is None


def test_a_product_update_encodes_its_number_and_drops_stock_figures() -> None:
    stored = {
        "productNumber": "PRO_M.1",
        "name": "Old",
        "inventory": {"inStock": 4, "packageVolume": Decimal("1.5")},
        "pricing": {},
    }
    write = writes.update_product(stored, "PRO_M.1", {"name": "New"}, "product:prod_1")
    assert write is not None
    assert write.path == "/products/PRO_8_M_11_1"
    assert body(write) == {"productNumber": "PRO_M.1", "name": "New", "inventory": {"packageVolume": 1.5}}
