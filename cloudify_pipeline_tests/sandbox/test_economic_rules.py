"""The packaged rules of the embedded e-conomic are exactly what the official schemas say."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudify_pipeline.sandbox.economic.rules import BODIES, COLLECTIONS
from cloudify_pipeline_tests.sandbox.test_economic import Books, draft, line

SCHEMAS = {
    "customers.post": "customers.post",
    "customers.put": "customers.customerNo.put",
    "products.post": "products.post",
    "products.put": "products.productNumber.put",
    "drafts.post": "invoices.drafts.post",
    "drafts.put": "invoices.drafts.draftInvoiceNumber.put",
    "orders.post": "orders.drafts.post",
    "orders.put": "orders.drafts.orderNumber.put",
    "book.post": "invoices.booked.post",
    "book.put": "invoices.booked.bookWithNumber.put",
}
LISTS = {
    "accounting-years.periods": "accounting-years.accountingYear.periods",
    "accounting-years.entries": "accounting-years.accountingYear.entries",
    "product-groups.sales-accounts": "product-groups.productGroupNumber.sales-accounts",
}
SAME = ("type", "minLength", "maxLength", "minimum", "maximum", "enum", "pattern")


def load(shared: Callable[[str], Path], name: str) -> Any:
    return json.loads((shared("contracts/economic/schemas") / f"{name}.schema.json").read_text("utf-8-sig"))


def rule(schema: Any) -> dict[str, Any]:
    made = {name: schema[name] for name in SAME if name in schema}
    decimals = schema.get("maxDecimal", schema.get("maxDecimals"))
    if decimals is not None:
        made["decimals"] = decimals
    if schema.get("exclusiveMinimum") and schema.get("type") == "integer":
        made["minimum"] += 1
    if schema.get("format") == "full-date":
        made.pop("pattern", None)
        made["date"] = True
    if schema.get("required") is True:
        made["required"] = True
    if True in (schema.get("readOnly"), schema.get("readonly")):
        made["readOnly"] = True
    if "properties" in schema:
        made["properties"] = properties(schema["properties"])
    if "items" in schema:
        made["items"] = rule(schema["items"])
    return made


def properties(schemas: dict[str, Any]) -> dict[str, Any]:
    return {name: rule(schema) for name, schema in schemas.items() if isinstance(schema, dict) and name != "self"}


def flagged(schemas: dict[str, Any], flag: str, prefix: str = "") -> Iterator[str]:
    for name, schema in schemas.items():
        if isinstance(schema, dict):
            if schema.get(flag) is True:
                yield prefix + name
            yield from flagged(schema.get("properties", {}), flag, f"{prefix}{name}.")


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_bodies(name: str, shared: Callable[[str], Path]) -> None:
    assert BODIES[name] == properties(load(shared, SCHEMAS[name])["properties"])


@pytest.mark.parametrize("name", sorted(COLLECTIONS))
def test_collections(name: str, shared: Callable[[str], Path]) -> None:
    item = load(shared, f"{LISTS.get(name, name)}.get")["properties"]["collection"]["items"].get("properties", {})
    for flag in ("filterable", "sortable"):
        assert COLLECTIONS[name][flag] == list(flagged(item, flag))


def test_every_rule_is_compared() -> None:
    assert set(SCHEMAS) == set(BODIES)


@pytest.mark.parametrize(
    "recorded", ["legacy-400-E04300-line-product-barred", "legacy-404-resource-not-found", "legacy-400-bad-filter"]
)
async def test_refusals_have_the_recorded_shape(recorded: str, shared: Callable[[str], Path]) -> None:
    known = json.loads((shared("contracts/economic/errors") / f"{recorded}.json").read_text("utf-8"))
    books = Books()
    answers = {
        "legacy-400-E04300-line-product-barred": await books.post(
            "/invoices/drafts", draft(lines=[line()] * 8 + [line("LEGACY-1")])
        ),
        "legacy-404-resource-not-found": await books.get("/nonsense"),
        "legacy-400-bad-filter": await books.get("/customers", filter="bogusProp$eq:1"),
    }
    await books.client.aclose()
    books.store.close()
    answer = answers[recorded].json()
    assert shape(answer) == shape(known)
    assert answer["message"] == known["message"]


def shape(body: Any) -> Any:
    """Property names all the way down; lists of plain values count as one."""
    if isinstance(body, dict):
        return {name: shape(value) for name, value in body.items()}
    if isinstance(body, list) and body and isinstance(body[0], dict):
        return [shape(item) for item in body]
    return type(body)
