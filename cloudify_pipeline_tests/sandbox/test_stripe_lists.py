"""Lists of the embedded Stripe: pages, filters, expansion."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import orjson
import pytest

from cloudify_pipeline.sandbox.stripe.invoices import Line
from cloudify_pipeline_tests.sandbox.stripe_account import NOW, Account, make_account


@pytest.fixture
def account() -> Iterator[Account]:
    account = make_account()
    yield account
    account.store.close()


async def test_lists_are_newest_first_ten_at_a_time(account: Account) -> None:
    ids = [account.sold(at=NOW - timedelta(minutes=n)) for n in range(12)]
    page = await account.get("/v1/invoices")
    assert ([one["id"] for one in page["data"]], page["has_more"], page["url"]) == (ids[:10], True, "/v1/invoices")


async def test_walking_forward_and_back_meets_everything_once_although_all_share_one_second(account: Account) -> None:
    ids = [account.sold() for _ in range(7)][::-1]
    seen: list[str] = []
    more = True
    cursor: dict[str, str] = {}
    while more:
        page = await account.get("/v1/invoices", {"limit": 3, **cursor})
        seen += [one["id"] for one in page["data"]]
        more, cursor = page["has_more"], {"starting_after": seen[-1]}
    assert seen == ids
    back = await account.get("/v1/invoices", {"limit": 3, "ending_before": ids[4]})
    assert ([one["id"] for one in back["data"]], back["has_more"]) == (ids[1:4], True)


@pytest.mark.parametrize(
    ("params", "refusal"),
    [
        ({"limit": 0}, (400, "invalid_request_error", "limit")),
        ({"limit": 101}, (400, "invalid_request_error", "limit")),
        ({"limit": "ten"}, (400, "parameter_invalid_integer", "limit")),
        ({"starting_after": "in_none"}, (400, "resource_missing", "starting_after")),
        ({"colour": "red"}, (400, "parameter_unknown", "colour")),
        ({"created[since]": 1}, (400, "parameter_unknown", "created[since]")),
        ({"starting_after": "in_a", "ending_before": "in_b"}, (400, "invalid_request_error", "ending_before")),
    ],
)
async def test_wrong_parameters_are_refused_by_name(
    account: Account, params: dict[str, str], refusal: tuple[int, str, str]
) -> None:
    status, code, name = refusal
    # A cursor that names nothing is a 404 of the object, as for a retrieve.
    status = 404 if code == "resource_missing" else status
    assert await account.refused("/v1/invoices", params) == (status, code, name)


@pytest.mark.parametrize(
    ("bounds", "found"),
    [
        ({"created[gte]": 0, "created[lt]": 0}, []),
        ({"created[gt]": 60, "created[lte]": 180}, [180, 120]),
        ({"created[gte]": 60, "created[lt]": 180}, [120, 60]),
        ({"created": 120}, [120]),
    ],
)
async def test_created_is_filtered_by_its_bounds(account: Account, bounds: dict[str, int], found: list[int]) -> None:
    zero = int(NOW.timestamp())
    for seconds in (0, 60, 120, 180):
        account.sold(at=NOW + timedelta(seconds=seconds))
    page = await account.get("/v1/invoices", {name: zero + seconds for name, seconds in bounds.items()})
    assert [one["created"] - zero for one in page["data"]] == found


async def test_each_list_takes_its_own_filters(account: Account) -> None:
    paid, other = account.sold(), account.store.add_customer(at=NOW, email="anden@kunde.example")
    draft = account.store.create_invoice(other, [Line(account.price)], at=NOW, days_until_due=8)
    payment = (await account.get("/v1/invoice_payments", {"invoice": paid}))["data"][0]
    intent = payment["payment"]["payment_intent"]
    questions = [
        ("/v1/invoices", {"status": "paid"}, [paid]),
        ("/v1/invoices", {"customer": other}, [draft]),
        ("/v1/invoices", {"collection_method": "send_invoice"}, [draft]),
        ("/v1/customers", {"email": "anden@kunde.example"}, [other]),
        ("/v1/customers", {"email": "ANDEN@kunde.example"}, []),
        ("/v1/prices", {"product": account.product, "active": "true"}, [account.price]),
        ("/v1/prices", {"active": "false"}, []),
        ("/v1/products", {"ids[0]": account.product}, [account.product]),
        ("/v1/tax_rates", {"inclusive": "false"}, [account.vat]),
        ("/v1/invoice_payments", {"payment[type]": "payment_intent", "payment[payment_intent]": intent}, [payment["id"]]),
        ("/v1/invoice_payments", {"payment[type]": "payment_record"}, []),
        ("/v1/charges", {"customer": other}, []),
    ]
    answers = [[one["id"] for one in (await account.get(path, params))["data"]] for path, params, _ in questions]
    assert answers == [found for _, _, found in questions]


async def test_an_invoice_embeds_ten_lines_and_the_rest_is_paged(account: Account) -> None:
    lines = [Line(account.price, n + 1) for n in range(23)]
    id_ = account.store.create_invoice(account.customer, lines, at=NOW)
    embedded = (await account.get(f"/v1/invoices/{id_}"))["lines"]
    assert (len(embedded["data"]), embedded["has_more"], embedded["total_count"]) == (10, True, 23)
    rest = await account.get(embedded["url"], {"limit": 100, "starting_after": embedded["data"][-1]["id"]})
    assert [line["quantity"] for line in embedded["data"] + rest["data"]] == [n + 1 for n in range(23)]


@pytest.mark.parametrize("form", ["expand[]", "expand[0]"])
async def test_expand_takes_both_forms_and_reaches_through_lists(account: Account, form: str) -> None:
    coupon = account.store.add_coupon("10 %", at=NOW, percent=10)
    id_ = account.sold(discounts=[coupon])
    plain = await account.get(f"/v1/invoices/{id_}")
    assert "payments" not in plain
    assert plain["discounts"][0].startswith("di_")
    paths = ["data.discounts.source.coupon", "data.payments", "data.customer"]
    query = [(form.replace("0", str(n)), path) for n, path in enumerate(paths)]
    [invoice] = (await account.get("/v1/invoices", query))["data"]
    assert invoice["discounts"][0]["source"]["coupon"]["percent_off"] == 10
    assert invoice["payments"]["data"][0]["amount_paid"] == invoice["total"]
    assert invoice["customer"]["name"] == "Havnens Kaffebar ApS"


@pytest.mark.parametrize(
    "path",
    ["data.number", "data.colour", "data.lines.data.pricing.price_details.price", "data.total_taxes.tax_rate_details.tax_rate"],
)
async def test_what_cannot_be_expanded_is_refused(account: Account, path: str) -> None:
    account.sold()
    assert await account.refused("/v1/invoices", {"expand[]": path}) == (400, "invalid_request_error", "expand")


async def test_tax_ids_of_a_customer_come_only_when_asked_for(account: Account) -> None:
    path = f"/v1/customers/{account.customer}"
    assert "tax_ids" not in await account.get(path)
    [tax_id] = (await account.get(path, {"expand[]": "tax_ids"}))["tax_ids"]["data"]
    assert (tax_id["value"], tax_id["verification"]["status"]) == ("DK25313763", "verified")


async def test_deleted_customers_leave_a_tombstone_and_deleted_drafts_nothing(account: Account) -> None:
    draft = account.store.create_invoice(account.customer, [Line(account.price)], at=NOW)
    account.store.delete_invoice(draft, at=NOW)
    account.store.delete_customer(account.customer, at=NOW)
    assert await account.get(f"/v1/customers/{account.customer}") == {
        "id": account.customer,
        "object": "customer",
        "deleted": True,
    }
    assert (await account.get("/v1/customers"))["data"] == []
    assert await account.refused(f"/v1/invoices/{draft}") == (404, "resource_missing", "id")


async def test_events_reach_back_thirty_days_and_filter_by_type(account: Account) -> None:
    old, new = account.sold(at=NOW - timedelta(days=31)), account.sold()
    query = [("types[]", "invoice.paid"), ("types[]", "invoice.finalized")]
    events = (await account.get("/v1/events", query))["data"]
    assert [(one["type"], one["data"]["object"]["id"]) for one in events] == [("invoice.paid", new), ("invoice.finalized", new)]
    assert old not in {one["data"]["object"]["id"] for one in events}
    assert len((await account.get("/v1/events", {"type": "customer.*"}))["data"]) == 0


async def test_objects_have_exactly_the_fields_of_the_pinned_api_version(account: Account, shared: Callable[[str], Path]) -> None:
    contract = orjson.loads(shared("contracts/stripe/openapi-2026-10-28.json").read_bytes())["components"]["schemas"]
    account.store.add_coupon("10 %", at=NOW, percent=Decimal("12.5"))
    id_ = account.sold()
    line = (await account.get(f"/v1/invoices/{id_}/lines"))["data"][0]
    lists = (
        "customers",
        "products",
        "prices",
        "tax_rates",
        "coupons",
        "invoices",
        "invoice_payments",
        "charges",
        "payment_intents",
        "events",
    )
    objects = [line, *[(await account.get(f"/v1/{name}"))["data"][0] for name in lists]]
    unknown = {obj["object"]: sorted(set(obj) - set(contract[obj["object"]]["properties"])) for obj in objects}
    assert unknown == {obj["object"]: [] for obj in objects}


async def test_an_invoice_has_every_field_that_a_recorded_one_has(account: Account, shared: Callable[[str], Path]) -> None:
    recorded = orjson.loads((shared("fixtures/stripe/invoices") / "02-new-2026-03-25.dahlia-paid.json").read_bytes())
    ours = await account.get(f"/v1/invoices/{account.sold()}")
    assert sorted(set(recorded) - set(ours)) == []
    assert sorted(set(recorded["lines"]["data"][0]) - set(ours["lines"]["data"][0])) == []
