import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudify_pipeline.ledgers.economic.fields import CUSTOMER_FIELDS, DOCUMENT_FIELDS, LINES, NUMBER, PRODUCT_FIELDS
from cloudify_pipeline.ledgers.economic.premapped import PREMAPPED
from cloudify_pipeline.mapping.fields import FieldCatalogue

CONTRACTS = [
    (CUSTOMER_FIELDS, "customers.post", "customers.get"),
    (PRODUCT_FIELDS, "products.post", "products.get"),
    (DOCUMENT_FIELDS, "invoices.drafts.post", "invoices.drafts.get"),
    (DOCUMENT_FIELDS, "orders.drafts.post", "orders.drafts.get"),
]

# Where the live server differs from its schema, the server wins: reference/economic.md §4.2 and §6.5.
LIVE_FILTERABLE = {"pNumber": True}
LIVE_NOT_FILTERABLE = ("inventory.", "departmentalDistribution.", "references.customerContact.customer.")
LIVE_READ_ONLY = {"lines.marginInBaseCurrency", "lines.marginPercentage"}
NOT_OURS = {"pdf.download", "priceGroup"}
ONLY_ON_INVOICES = {"grossAmountInBaseCurrency"}


def leaves(schema: dict[str, Any], prefix: str = "", *, needed: bool = False) -> Iterator[tuple[str, dict[str, Any], bool]]:
    for name, value in (schema.get("properties") or {}).items():
        if name == "self":
            continue
        required = value.get("required") is True
        if value.get("type") == "array":
            yield from leaves(value["items"], f"{prefix}{name}.")
        elif "properties" in value:
            yield from leaves(value, f"{prefix}{name}.", needed=required)
        else:
            # A required reference is required by its number; beside the number nothing in it is.
            own = (
                needed and name.lower().endswith("number") and prefix.removesuffix(".").rpartition(".")[2].lower() in name.lower()
            )
            yield f"{prefix}{name}", value, required or own


def official(shared: Callable[[str], Path], name: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((shared("contracts/economic/schemas") / f"{name}.schema.json").read_text())
    return schema


@pytest.mark.parametrize(("catalogue", "post", "get"), CONTRACTS, ids=[contract[1] for contract in CONTRACTS])
def test_the_catalogue_is_the_official_schema(
    catalogue: FieldCatalogue, post: str, get: str, shared: Callable[[str], Path]
) -> None:
    schema = {path: (value, required) for path, value, required in leaves(official(shared, post)) if path not in NOT_OURS}
    ours = set(catalogue) - {NUMBER} - (ONLY_ON_INVOICES if post.startswith("orders") else set())
    assert ours == set(schema)
    listed = leaves({"properties": official(shared, get)["properties"]["collection"]["items"]["properties"]})
    filterable = {path for path, value, _ in listed if value.get("filterable")}
    for path in sorted(ours):
        value, required = schema[path]
        field = catalogue[path]
        limits = (field.max_length, field.min_length, field.decimals, field.minimum, field.maximum, field.required)
        assert limits == (
            value.get("maxLength"),
            value.get("minLength"),
            value.get("maxDecimal"),
            value.get("minimum"),
            value.get("maximum"),
            required,
        ), path
        read_only = bool(value.get("readOnly") or value.get("readonly")) or path in LIVE_READ_ONLY
        assert field.writable is not read_only, path
        assert list(field.allowed) == [word for word in value.get("enum", ()) if word is not None], path
        searched = path in filterable and not path.startswith(LIVE_NOT_FILTERABLE)
        assert field.filterable is LIVE_FILTERABLE.get(path, searched), path


@pytest.mark.parametrize(("catalogue", "post", "get"), CONTRACTS[:3], ids=[contract[1] for contract in CONTRACTS[:3]])
def test_types_agree_with_the_schema(catalogue: FieldCatalogue, post: str, get: str, shared: Callable[[str], Path]) -> None:
    words = {"integer": {"integer"}, "number": {"decimal"}, "boolean": {"boolean"}}
    for path, value, _ in leaves(official(shared, post)):
        if path in NOT_OURS:
            continue
        expected = words.get(value.get("type", ""), {"text", "email", "phone", "currency"})
        expected = {"date"} if value.get("format") == "full-date" else expected
        assert catalogue[path].type in expected, path


@pytest.mark.parametrize(
    ("catalogue", "path", "word"),
    [
        (DOCUMENT_FIELDS, "references.other", "durable key"),
        (DOCUMENT_FIELDS, "recipient.vatZone.vatZoneNumber", "vat"),
        (DOCUMENT_FIELDS, "layout.layoutNumber", "invoices.layout"),
        (DOCUMENT_FIELDS, "lines.product.productNumber", "products"),
        (DOCUMENT_FIELDS, "lines.quantity", "Stripe line"),
        (DOCUMENT_FIELDS, "lines.unitNetPrice", "Stripe line"),
        (DOCUMENT_FIELDS, "lines.discountPercentage", "Stripe line"),
        (CUSTOMER_FIELDS, "customerGroup.customerGroupNumber", "customers.defaults.group"),
        (CUSTOMER_FIELDS, "paymentTerms.paymentTermsNumber", "customers.defaults.payment_terms"),
        (CUSTOMER_FIELDS, "currency", "customers.defaults.currency"),
        (PRODUCT_FIELDS, "productGroup.productGroupNumber", "products.defaults.group"),
    ],
)
def test_what_a_setting_decides_is_reserved_by_its_name(catalogue: FieldCatalogue, path: str, word: str) -> None:
    assert word in (catalogue[path].reserved or "")


@pytest.mark.parametrize(
    ("section", "catalogue", "prefix"),
    [
        ("customers", CUSTOMER_FIELDS, ""),
        ("products", PRODUCT_FIELDS, ""),
        ("documents", DOCUMENT_FIELDS, ""),
        ("charges", DOCUMENT_FIELDS, ""),
        ("lines", DOCUMENT_FIELDS, LINES),
    ],
)
def test_what_is_mapped_beforehand_may_be_written(section: str, catalogue: FieldCatalogue, prefix: str) -> None:
    for target in PREMAPPED[section]:
        field = catalogue[prefix + target]
        assert (field.writable, field.reserved) == (True, None), target


def test_recipient_and_name_are_mapped_beforehand_because_the_ledger_demands_them() -> None:
    for section in ("documents", "charges"):
        assert "recipient.name" in PREMAPPED[section]
    assert "name" in PREMAPPED["customers"]
    assert "name" in PREMAPPED["products"]
