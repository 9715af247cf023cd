"""The embedded e-conomic behaves as the real one was recorded to behave (reference §4, §8, §9, §13)."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from cloudify_pipeline.sandbox.economic import demo_agreement as demo
from cloudify_pipeline.sandbox.economic.app import create_app
from cloudify_pipeline.sandbox.economic.store import EconomicStore
from cloudify_pipeline.sandbox.faults import AnswerWithheld, ConnectionLost, Fault, FaultKind, Faults

TOKENS = {"X-AppSecretToken": demo.APP_SECRET_TOKEN, "X-AgreementGrantToken": demo.AGREEMENT_GRANT_TOKEN}
Json = dict[str, Any]


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


class Books:
    """The server under test and a plain HTTP client for it."""

    def __init__(self, path: Path | None = None) -> None:
        self.clock = Clock()
        self.seconds = 0.0
        self.store = EconomicStore(path)
        self.store.seed(self.clock.now)
        self.faults = Faults()
        app = create_app(self.store, self.faults, clock=self.clock, monotonic=lambda: self.seconds)
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://economic.test", headers=TOKENS)

    async def get(self, path: str, **query: Any) -> httpx.Response:
        return await self.client.get(path, params=query)

    async def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        return await self.client.post(path, json=body, headers={name.replace("_", "-"): value for name, value in headers.items()})

    async def found(self, path: str, query: str) -> list[Any]:
        answer = await self.get(path, filter=query, pagesize=1000)
        assert answer.status_code == 200, answer.text
        return [next(iter(item.values())) for item in answer.json()["collection"]]


@pytest.fixture
async def books() -> AsyncIterator[Books]:
    books = Books()
    yield books
    await books.client.aclose()
    books.store.close()


def draft(**changes: Any) -> Json:
    return {
        "date": "2026-11-20",
        "currency": "DKK",
        "layout": {"layoutNumber": 19},
        "paymentTerms": {"paymentTermsNumber": 1},
        "customer": {"customerNumber": 1001},
        "recipient": {"name": "Havnens Kaffebar ApS", "vatZone": {"vatZoneNumber": 1}},
        "references": {"other": "stripe:in_1"},
        "lines": [line()],
        **changes,
    }


def line(product: str = "PRO-M", quantity: float = 1, price: float = 100, **more: Any) -> Json:
    return {"product": {"productNumber": product}, "description": "Pro", "quantity": quantity, "unitNetPrice": price, **more}


CUSTOMER: Json = {
    "name": "Ny Kunde ApS",
    "currency": "DKK",
    "customerGroup": {"customerGroupNumber": 1},
    "paymentTerms": {"paymentTermsNumber": 1},
    "vatZone": {"vatZoneNumber": 1},
}


def leaves(tree: Any, path: str = "") -> list[tuple[str, str | None, str]]:
    """(path, code, message) of every finding in an E04300 tree."""
    if isinstance(tree, list):
        return [found for item in tree for found in leaves(item, f"{path}[{item['arrayIndex']}]")]
    if not isinstance(tree, dict):
        return []
    found = [(path.strip("."), leaf.get("errorCode"), leaf["errorMessage"]) for leaf in tree.get("errors", [])]
    for name, inner in tree.items():
        if name not in ("errors", "arrayIndex"):
            found += leaves(inner, path if name == "items" else f"{path}.{name}")
    return found


async def refused(books: Books, path: str, body: Json) -> list[tuple[str, str | None, str]]:
    answer = await books.post(path, body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["errorCode"] == "E04300"
    found = leaves(answer.json()["errors"])
    assert answer.json()["errorCount"] == len(found)
    return found


# Who may do what


@pytest.mark.parametrize(
    ("headers", "method", "status", "code"),
    [
        ({}, "GET", 401, None),
        ({"X-AppSecretToken": "x", "X-AgreementGrantToken": "y"}, "GET", 401, "E02250"),
        ({"X-AppSecretToken": "demo", "X-AgreementGrantToken": "demo"}, "GET", 200, None),
        ({"X-AppSecretToken": "demo", "X-AgreementGrantToken": "demo"}, "DELETE", 403, None),
        (TOKENS, "GET", 200, None),
    ],
)
async def test_tokens(books: Books, headers: dict[str, str], method: str, status: int, code: str | None) -> None:
    books.client.headers.pop("X-AppSecretToken")
    books.client.headers.pop("X-AgreementGrantToken")
    answer = await books.client.request(method, "/customers/1001", headers=headers)
    assert answer.status_code == status
    assert answer.json().get("errorCode") == code


async def test_a_revoked_grant_a_read_only_licence_and_a_missing_role(books: Books) -> None:
    books.store.set_role("Sales")
    assert (await books.get("/accounts")).status_code == 403
    books.store.set_role("SuperUser")
    books.store.set_read_only_licence(True)
    answer = await books.post("/customers", CUSTOMER)
    assert (answer.status_code, answer.json()["message"]) == (403, "The license is read-only")
    books.store.revoke_grant()
    assert (await books.get("/self")).json()["errorCode"] == "E02250"


async def test_self_names_the_agreement(books: Books) -> None:
    body = (await books.get("/self")).json()
    assert (body["agreementNumber"], body["company"]["name"], body["settings"]["baseCurrency"]) == (
        1234567,
        "Nordlys Software ApS",
        "DKK",
    )


# The chart


@pytest.mark.parametrize(
    ("path", "count"),
    [
        ("/vat-zones", 4),
        ("/product-groups", 4),
        ("/product-groups/3/sales-accounts", 4),
        ("/customer-groups", 3),
        ("/payment-terms", 5),
        ("/layouts", 3),
        ("/currencies", 6),
        ("/units", 3),
        ("/vat-accounts", 6),
        ("/accounting-years", 3),
        ("/accounting-years/2026/periods", 12),
        ("/orders/sent", 0),
    ],
)
async def test_reference_lists(books: Books, path: str, count: int) -> None:
    body = (await books.get(path, pagesize=1000)).json()
    assert (len(body["collection"]), body["pagination"]["results"]) == (count, count)


async def test_only_the_periods_service_shows_what_is_barred(books: Books) -> None:
    legacy = (await books.get("/accounting-years/2026/periods")).json()["collection"]
    assert all("barred" not in period and not period["closed"] for period in legacy)
    service = (await books.get("/accountingyearsapi/v2.0.1/accountingYears/periods")).json()
    assert "cursor" not in service
    assert [p["dateFrom"][:7] for p in service["items"] if p["isBarred"]] == ["2026-01"]
    assert {p["year"] for p in service["items"] if p["isClosed"]} == {"2024", "2025"}


# Customers and products


async def test_a_customer_lives_and_its_number_is_given_again(books: Books) -> None:
    made = await books.post("/customers", {**CUSTOMER, "nmae": "misspelt", "balance": 7})
    number = made.json()["customerNumber"]
    assert (made.status_code, number) == (201, 1013)
    assert made.headers["Location"] == made.json()["self"] == "http://economic.test/customers/1013"
    assert "nmae" not in made.json()
    assert made.json()["balance"] == 0
    changed = await books.client.put(f"/customers/{number}", json={**CUSTOMER, "name": "Andet navn", "city": "Aarhus"})
    assert (changed.status_code, changed.json()["name"]) == (200, "Andet navn")
    replaced = await books.client.put(f"/customers/{number}", json=CUSTOMER)
    assert "city" not in replaced.json()
    assert (await books.client.delete(f"/customers/{number}")).status_code == 204
    again = await books.client.delete(f"/customers/{number}")
    assert (again.status_code, again.json()["errorCode"]) == (404, "E06000")
    assert (await books.post("/customers", CUSTOMER)).json()["customerNumber"] == number


async def test_put_to_an_unknown_number_creates(books: Books) -> None:
    made = await books.client.put("/customers/5000", json=CUSTOMER)
    assert (made.status_code, made.json()["customerNumber"]) == (201, 5000)


@pytest.mark.parametrize(
    ("change", "where", "code", "message"),
    [
        ({"name": None}, "name", None, "Invalid type. Expected String but got Null."),
        ({"customerNumber": 0}, "customerNumber", None, "Integer 0 is less than minimum value of 1."),
        ({"email": "x" * 256}, "email", None, "exceeds maximum length of 255"),
        ({"customerGroup": {"customerGroupNumber": 99}}, "customerGroup", "E07140", "'99' not found"),
        ({"paymentTerms": {"paymentTermsNumber": 4711}}, "paymentTerms", "E07080", "PaymentTerms '4711' not found."),
        ({"vatZone": {"vatZoneNumber": 9}}, "vatZone", "E06000", "not found"),
        ({"vatZone": {}}, "vatZone", "E04500", "No identifiers present"),
        ({"currency": "JPY"}, "currency", "E06000", "currency does not exist."),
        ({"customerNumber": 1001}, "customerNumber", "E06010", "already exists"),
        ({"barred": "yes"}, "barred", None, "Expected Boolean but got String"),
    ],
)
async def test_a_customer_is_refused(books: Books, change: Json, where: str, code: str | None, message: str) -> None:
    ((path, found, text),) = await refused(books, "/customers", {**CUSTOMER, **change})
    assert (path, found) == (where, code)
    assert message in text


async def test_all_that_is_missing_is_told_at_once(books: Books) -> None:
    assert {path for path, _, _ in await refused(books, "/customers", {})} == set(CUSTOMER)


async def test_product_numbers_are_encoded_in_paths(books: Books) -> None:
    body = {"productNumber": "My Product_5%", "name": "x", "productGroup": {"productGroupNumber": 3}}
    made = await books.post("/products", body)
    assert made.headers["Location"].endswith("/products/My_9_Product_8_5_3_")
    assert (await books.get("/products/My_9_Product_8_5_3_")).json()["productNumber"] == "My Product_5%"
    assert [path for path, _, _ in await refused(books, "/products", body)] == ["productNumber"]


async def test_a_record_in_use_cannot_be_deleted(books: Books) -> None:
    await books.post("/invoices/drafts", draft())
    assert (await books.client.delete("/customers/1001")).status_code == 400
    assert (await books.client.delete("/products/PRO-M")).status_code == 400


# Drafts and their totals


async def test_a_draft_is_priced_by_the_server(books: Books) -> None:
    made = await books.post("/invoices/drafts", draft(vatAmount=1, lines=[line(quantity=2), {"description": "only text"}]))
    body = made.json()
    assert made.status_code == 201
    assert (body["netAmount"], body["vatAmount"], body["grossAmount"], body["exchangeRate"]) == (200, 50, 250, 100)
    assert body["dueDate"] == "2026-11-28"
    assert [text.get("totalNetAmount") for text in body["lines"]] == [200, None]
    assert '"netAmount":200.000000' in made.text
    listed = (await books.get("/invoices/drafts")).json()["collection"]
    assert "lines" not in listed[0]
    assert (await books.get(f"/invoices/drafts/{body['draftInvoiceNumber']}")).json()["lines"] == body["lines"]


@pytest.mark.parametrize(
    ("zone", "product", "vat"),
    [(1, "PRO-M", 25), (2, "PRO-M", 0), (3, "PRO-M", 0), (4, "PRO-M", 0), (1, "COURSE", 0), (1, "SENSOR-1", 25), (1, "GIFT", 0)],
)
async def test_vat_is_zone_times_group(books: Books, zone: int, product: str, vat: int) -> None:
    recipient = {"name": "x", "vatZone": {"vatZoneNumber": zone}}
    made = await books.post("/invoices/drafts", draft(recipient=recipient, lines=[line(product)]))
    assert made.json()["vatAmount"] == vat


async def test_line_ends_come_back_as_the_store_says(books: Books) -> None:
    number = books.store.add_customer(name="Steen 3 ApS", address="Steen 3 ApS\nVirksomhedsvej 58")["customerNumber"]
    assert (await books.get(f"/customers/{number}")).json()["address"] == "Steen 3 ApS\nVirksomhedsvej 58"
    books.store.carriage_returns = True
    assert (await books.get(f"/customers/{number}")).json()["address"] == "Steen 3 ApS\rVirksomhedsvej 58"


@pytest.mark.parametrize(("mode", "vat"), [("per_document", "0.76"), ("per_line", "0.77")])
async def test_where_vat_is_rounded_is_the_stores_choice(books: Books, mode: Any, vat: str) -> None:
    books.store.vat_rounding = mode
    made = await books.post("/invoices/drafts", draft(lines=[line(price=1.02)] * 2 + [line(price=0.98)]))
    amounts = json.loads(made.text, parse_float=Decimal)
    assert amounts["vatAmount"] == Decimal(vat)


async def test_line_totals_and_base_currency(books: Books) -> None:
    lines = [line(quantity=1.23, price=1.12), line(quantity=3, price=9.99, discountPercentage=12.5)]
    made = json.loads((await books.post("/invoices/drafts", draft(currency="EUR", lines=lines))).text, parse_float=Decimal)
    assert [text["totalNetAmount"] for text in made["lines"]] == [Decimal("1.38"), Decimal("26.22")]
    assert made["netAmountInBaseCurrency"] == Decimal("205.91")  # 27.60 at 746.05 for 100
    assert made["exchangeRate"] == Decimal("746.05")


async def test_a_credit_is_a_negative_quantity(books: Books) -> None:
    made = (await books.post("/invoices/drafts", draft(lines=[line(quantity=-1)]))).json()
    assert (made["netAmount"], made["vatAmount"], made["grossAmount"]) == (-100, -25, -125)


@pytest.mark.parametrize(
    ("change", "where", "code"),
    [
        ({"lines": [line(price=10.12345)]}, "lines[0].unitNetPrice", "E04740"),
        ({"lines": [line(), line("LEGACY-1")]}, "lines[1].product", "E06600"),
        ({"lines": [line("NOPE")]}, "lines[0].product", "E06000"),
        ({"lines": [{"product": {"productNumber": "PRO-M"}, "description": "x"}]}, "lines[0].quantity", "E04730"),
        ({"lines": [{"description": "x", "quantity": 1}]}, "lines[0].quantity", None),
        ({"lines": [line(unit={"unitNumber": 10})]}, "lines[0].unit", "E06000"),
        ({"customer": {"customerNumber": 1007}}, "customer", None),
        ({"customer": {"customerNumber": 987987987}}, "customer", "E06000"),
        ({"layout": {"layoutNumber": 21}}, "layout", None),
        ({"currency": "CHF"}, "currency", "E06000"),
        ({"paymentTerms": {"paymentTermsNumber": 2}}, "dueDate", "E04042"),
        ({"paymentTerms": {"paymentTermsNumber": 2}, "dueDate": "2026-11-19"}, "dueDate", "E04760"),
        ({"paymentTerms": {"paymentTermsNumber": 1, "paymentTermsType": "dueDate"}}, "paymentTermsType", "E07180"),
        ({"date": "2026-02-30"}, "date", None),
        ({"recipient": {"vatZone": {"vatZoneNumber": 1}}}, "recipient.name", None),
        ({"notes": {"heading": "x" * 251}}, "notes.heading", None),
        ({"recipient": {"name": "x", "vatZone": {"vatZoneNumber": 1}, "nemHandelType": "EAN"}}, "recipient.nemHandelType", None),
    ],
)
@pytest.mark.parametrize("path", ["/invoices/drafts", "/orders/drafts"])
async def test_a_document_is_refused(books: Books, path: str, change: Json, where: str, code: str | None) -> None:
    ((found, found_code, _),) = await refused(books, path, draft(**change))
    assert (found, found_code) == (where, code)
    assert books.store.drafts() == books.store.orders() == []


@pytest.mark.parametrize(
    ("terms", "due"), [(1, "2026-11-28"), (2, "2026-12-24"), (3, "2026-12-04"), (4, "2026-12-30"), (5, "2026-11-20")]
)
async def test_the_due_date_follows_the_terms(books: Books, terms: int, due: str) -> None:
    made = await books.post("/invoices/drafts", draft(paymentTerms={"paymentTermsNumber": terms}, dueDate="2026-12-24"))
    assert made.json()["dueDate"] == due


async def test_put_replaces_a_draft_and_delete_tells_what_went(books: Books) -> None:
    number = (await books.post("/invoices/drafts", draft())).json()["draftInvoiceNumber"]
    body = {"recipient": {"name": "Ny", "vatZone": {"vatZoneNumber": 2}}, "lines": [line(price=10)]}
    changed = (await books.client.put(f"/invoices/drafts/{number}", json=body)).json()
    assert (changed["grossAmount"], changed["date"], "references" in changed) == (10, "2026-11-20", False)
    gone = await books.client.delete(f"/invoices/drafts/{number}")
    assert (gone.status_code, gone.json()["deletedItems"][0]["draftInvoiceNumber"]) == (200, number)
    assert (await books.post("/invoices/drafts", draft())).json()["draftInvoiceNumber"] == number


async def test_delete_without_a_number_deletes_every_draft(books: Books) -> None:
    for _ in range(3):
        await books.post("/invoices/drafts", draft())
    assert (await books.client.delete("/invoices/drafts")).json()["deletedCount"] == 3
    assert books.store.drafts() == []


# Booking


async def test_booking_moves_the_draft(books: Books) -> None:
    number = (await books.post("/invoices/drafts", draft())).json()["draftInvoiceNumber"]
    answer = await books.post("/invoices/booked", {"draftInvoice": {"draftInvoiceNumber": number}})
    booked = answer.json()
    assert answer.status_code == 201
    assert (booked["bookedInvoiceNumber"], booked["orderNumber"], booked["remainder"]) == (20001, number, 125)
    assert (booked["lines"][0]["vatRate"], booked["lines"][0]["vatAmount"]) == (25, 25)
    assert (await books.get(f"/invoices/drafts/{number}")).status_code == 404
    again = await refused(books, "/invoices/booked", {"draftInvoice": {"draftInvoiceNumber": number}})
    assert [(path, code) for path, code, _ in again] == [("draftInvoice", "E06000")]
    assert (await books.post("/invoices/drafts", draft())).json()["draftInvoiceNumber"] == number + 1
    assert await books.found("/invoices/booked", "references.other$eq:STRIPE:IN_1") == [20001]


async def test_booking_with_a_number_of_ones_own(books: Books) -> None:
    first, second = [(await books.post("/invoices/drafts", draft())).json()["draftInvoiceNumber"] for _ in range(2)]
    body = {"draftInvoice": {"draftInvoiceNumber": first}, "bookWithNumber": 30500}
    assert (await books.post("/invoices/booked", body)).json()["bookedInvoiceNumber"] == 30500
    taken = {"draftInvoice": {"draftInvoiceNumber": second}, "bookWithNumber": 30500}
    assert (await books.post("/invoices/booked", taken)).status_code == 400
    assert len(books.store.drafts()) == len(books.store.booked()) == 1


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"date": "2026-01-15"}, "E04870", "The invoice date 15.01.2026 lies within a barred period."),
        ({"date": "2025-12-31"}, "E04870", "closed period"),
        ({"date": "2031-01-01"}, "E04870", "accounting year"),
        ({"lines": []}, None, "no lines with a product"),
        ({"lines": [{"description": "text"}]}, None, "no lines with a product"),
    ],
)
async def test_booking_is_refused_and_the_draft_stays(books: Books, change: Json, code: str | None, words: str) -> None:
    number = (await books.post("/invoices/drafts", draft(**change))).json()["draftInvoiceNumber"]
    answer = await books.post("/invoices/booked", {"draftInvoice": {"draftInvoiceNumber": number}})
    assert (answer.status_code, answer.json().get("errorCode")) == (400, code)
    assert answer.json()["message"].startswith("Cannot book the current invoice: ")
    assert words in answer.json()["message"]
    assert f"(a booking of draft invoice {number} failed.)" in answer.json()["message"]
    assert len(books.store.drafts()) == 1


# Reading


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("customerNumber$eq:1001", [1001]),
        ("email$eq:REGNSKAB@fjordogfjeld.example", [1003, 1004]),
        ("customerNumber$in:[1001,1005,9]", [1001, 1005]),
        ("customerNumber$gte:1010$and:customerNumber$lt:1012", [1010, 1011]),
        ("customerNumber$eq:1001$or:city$eq:Berlin", [1001, 1005]),
        ("(city$eq:Berlin$or:city$eq:Paris)$and:currency$eq:EUR", [1005, 1009]),
        ("city$eq:Berlin$or:city$eq:Paris$and:currency$eq:DKK", [1005]),
        ("name$like:kaffe", [1001]),
        ("name$like:L*AB", [1008]),
        ("name$like:[BH]*", [1001, 1005]),
        ("name$eq:Tidligere Kunde ApS", [1007]),
        ("barred$eq:true", [1007]),
        ("ean$ne:$null:", [1011]),
        ("customerNumber$nin:[1001,1002,1003,1004,1005,1006,1007,1008,1009,1010,1011]", [1012]),
        ("customerGroup.customerGroupNumber$eq:3", [1010, 1012]),
    ],
)
async def test_filters(books: Books, query: str, numbers: list[int]) -> None:
    assert [c["customerNumber"] for c in (await books.get("/customers", filter=query)).json()["collection"]] == numbers


@pytest.mark.parametrize(("text", "query"), [("A $5 (net), 3*2", "A $$5 $(net$)$, 3$*2"), ("[x]", "[x]"), ("æØå", "ÆøÅ")])
async def test_escapes_in_a_filter(books: Books, text: str, query: str) -> None:
    number = books.store.add_customer(name=text)["customerNumber"]
    found = (await books.get("/customers", filter=f"name$eq:{query}")).json()["collection"]
    assert [customer["customerNumber"] for customer in found] == [number]


async def test_a_bracket_in_like_is_a_class(books: Books) -> None:
    number = books.store.add_customer(name="Plan [gold]")["customerNumber"]
    assert [c["customerNumber"] for c in (await books.get("/customers", filter="name$like:[[]gold]")).json()["collection"]] == [
        number
    ]


@pytest.mark.parametrize(
    "query",
    ["bogusProp$eq:1", "name", "name$eq:$[x$]", "(name$eq:x", "customerNumber$in:[a]", "email$in:[a@b.c]",
     f"customerNumber$in:[{','.join(str(n) for n in range(1, 202))}]"],
)  # fmt: skip
async def test_bad_filters(books: Books, query: str) -> None:
    answer = await books.get("/customers", filter=query)
    assert (answer.status_code, answer.json()["message"]) == (400, "Could not parse query string filter.")
    assert "customerGroup.customerGroupNumber" in answer.json()["allowedFilteringFields"]


async def test_filters_that_break_the_live_server(books: Books) -> None:
    assert (await books.get("/products", filter="barred$ne:true")).status_code == 500
    assert (await books.get("/orders/drafts", filter="paymentTerms.paymentTermsNumber$eq:1")).status_code == 500
    assert (await books.get("/units", filter="name$eq:stk.")).status_code == 400


async def test_pages(books: Books) -> None:
    first = (await books.get("/customers", pagesize=5)).json()
    assert len(first["collection"]) == 5
    assert first["pagination"]["resultsWithoutFilter"] == 12
    pages, address = [first], first["pagination"].get("nextPage")
    while address:
        pages.append((await books.client.get(address)).json())
        address = pages[-1]["pagination"].get("nextPage")
    assert [c["customerNumber"] for page in pages for c in page["collection"]] == list(range(1001, 1013))
    beyond = await books.get("/customers", skippages=9)
    assert (beyond.status_code, beyond.json()["collection"]) == (200, [])


@pytest.mark.parametrize("size", ["0", "1001", "x"])
async def test_page_sizes_that_are_refused(books: Books, size: str) -> None:
    answer = await books.get("/customers", pagesize=size)
    assert (answer.status_code, answer.json()["errorCode"]) == (400, "E04810")


async def test_sort(books: Books) -> None:
    names = [c["name"] for c in (await books.get("/customers", sort="-name")).json()["collection"]]
    assert names == sorted(names, key=str.casefold, reverse=True)
    assert (await books.get("/customers", sort="barred")).json()["message"] == "Could not parse query string sort parameter."


@pytest.mark.parametrize("path", ["/nonsense", "/customers/99", "/customers/abc", "/invoices/drafts/9/x", "/layouts/7"])
async def test_not_found(books: Books, path: str) -> None:
    answer = await books.get(path)
    assert (answer.status_code, answer.json()["message"], answer.json()["httpStatusCode"]) == (404, "Resource not found.", 404)


# Idempotency, budget, log


async def test_an_idempotency_key_works_for_one_hour(books: Books) -> None:
    first = await books.post("/invoices/drafts", draft(), Idempotency_Key="k1")
    again = await books.post("/invoices/drafts", draft(), Idempotency_Key="k1")
    assert (again.status_code, again.json(), again.headers["X-ResultFromCache"]) == (201, first.json(), "true")
    assert again.headers["Location"] == first.headers["Location"]
    other = await books.post("/invoices/drafts", draft(date="2026-11-21"), Idempotency_Key="k1")
    assert (other.status_code, other.json()["errorCode"]) == (400, "PayloadChanged")
    elsewhere = await books.post("/orders/drafts", draft(), Idempotency_Key="k1")
    assert (elsewhere.status_code, elsewhere.json()["errorCode"]) == (400, "URLChanged")
    books.clock.now += timedelta(hours=1)
    await books.post("/invoices/drafts", draft(), Idempotency_Key="k1")
    assert len(books.store.drafts()) == 2


async def test_the_budget_of_a_minute(books: Books) -> None:
    books.store.rate_limit = 4
    answers = [await books.get("/customers") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[0].headers["X-CallCost"] == "3"
    assert answers[0].headers["X-RateLimiting"] == "token-limit-4-per-60-seconds: 3/4"
    books.seconds += int(answers[2].headers["Retry-After"]) + 1
    assert (await books.get("/customers")).status_code == 200


async def test_every_call_is_noted_in_order(books: Books) -> None:
    await books.get("/self")
    await books.post("/customers", CUSTOMER)
    assert [(call.method, call.path, call.status) for call in books.store.calls] == [
        ("GET", "/self", 200),
        ("POST", "/customers", 201),
    ]
    assert books.store.requests() == {"GET": 1, "POST": 1}
    assert [call.method for call in books.store.writes()] == ["POST"]


@pytest.mark.parametrize(
    ("content", "kind", "status"), [(b"{", "application/json", 400), (b"[]", "application/json", 400), (b"{}", "text/plain", 415)]
)
async def test_bodies_that_are_no_json_object(books: Books, content: bytes, kind: str, status: int) -> None:
    assert (await books.client.post("/customers", content=content, headers={"Content-Type": kind})).status_code == status


async def test_the_books_outlive_the_process(tmp_path: Path) -> None:
    books = Books(tmp_path / "economic.db")
    number = (await books.post("/invoices/drafts", draft(), Idempotency_Key="k")).json()["draftInvoiceNumber"]
    await books.client.aclose()
    books.store.close()
    later = Books(tmp_path / "economic.db")
    assert [d["draftInvoiceNumber"] for d in later.store.drafts()] == [number]
    assert later.store.drafts()[0]["grossAmount"] == Decimal("125.00")
    assert (await later.post("/invoices/drafts", draft(), Idempotency_Key="k")).headers["X-ResultFromCache"] == "true"
    assert later.store.requests()["POST"] == 2
    await later.client.aclose()
    later.store.close()


# Faults without a socket


@pytest.mark.parametrize(
    ("kind", "error", "written"),
    [("drop_before", ConnectionLost, 0), ("drop_after_commit", ConnectionLost, 1), ("timeout_after_commit", AnswerWithheld, 1)],
)
async def test_an_answer_that_never_comes(books: Books, kind: FaultKind, error: type[httpx.TransportError], written: int) -> None:
    books.faults.add(Fault("POST", "^/invoices/drafts$", kind))
    with pytest.raises(error):
        await books.post("/invoices/drafts", draft())
    assert len(books.store.drafts()) == written
    assert books.store.writes()[0].status == 0
    assert (await books.post("/invoices/drafts", draft())).status_code == 201


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        (Fault(status=429, retry_after=7), 429, "Injected"),
        (Fault(status=500), 500, "Injected"),
        (Fault(status=502), 502, "<html>"),
        (Fault(kind="revoked"), 401, "E02250"),
        (Fault(kind="read_only_licence"), 403, "The license is read-only"),
    ],
)
async def test_answers_that_are_put_in_place(books: Books, fault: Fault, status: int, words: str) -> None:
    books.faults.add(fault)
    answer = await books.get("/self")
    assert answer.status_code == status
    assert words in answer.text
    assert answer.headers.get("Retry-After") == ("7" if status == 429 else None)
    assert (await books.get("/self")).status_code == 200


async def test_a_cut_page_and_faults_that_wait_their_turn(books: Books) -> None:
    books.faults.add(Fault("GET", "^/customers", "truncated_page", after=1, times=1))
    whole, cut, whole_again = [await books.get("/customers") for _ in range(3)]
    assert whole.json() == whole_again.json()
    with pytest.raises(json.JSONDecodeError):
        cut.json()
    assert [path for _, _, path in books.faults.fired] == ["/customers"]
