"""The catalogue of Stripe fields is the API's own, complete, and described."""

import json
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest

from cloudify_pipeline.stripe_source.fields import CATALOGUES
from cloudify_pipeline_tests.stripe_source.sdk_fields import OBJECTS, declared, tax_id_types

SCHEMAS = {"customers": "customer", "products": "product", "invoices": "invoice", "lines": "line_item", "charges": "charge"}


def packaged() -> dict[str, dict[str, str]]:
    data = json.loads(resources.files("cloudify_pipeline.stripe_source").joinpath("fields.json").read_text(encoding="utf-8"))
    assert data["tax_id_types"] == tax_id_types()
    objects: dict[str, dict[str, str]] = data["objects"]
    return objects


def test_the_packaged_fields_are_those_of_the_installed_sdk() -> None:
    assert packaged() == {name: declared(stripe_object) for name, stripe_object in OBJECTS.items()}


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_property_of_the_contract_is_in_the_catalogue(shared: Callable[[str], Path], name: str) -> None:
    contract = json.loads((shared("contracts/stripe") / "openapi-2026-10-28.json").read_text(encoding="utf-8"))
    properties = set(contract["components"]["schemas"][SCHEMAS[name]]["properties"])
    left_out = {"OBJECT_NAME", "object", "payment_settings", "confirmation_secret", "rendering", "test_clock"}
    # Since 2025-03-31 an invoice names its subscription under `parent`; the contract still lists the old place.
    left_out |= {"subscription"} if name == "invoices" else set()
    own = {path.split(".")[0] for path in packaged()[name]}
    assert properties - left_out == own - left_out


@pytest.mark.parametrize(
    ("name", "path", "kind"),
    [
        ("customers", "email", "email"),
        ("customers", "address", "address"),
        ("customers", "address.country", "country"),
        ("customers", "tax_ids.eu_vat", "text"),
        ("invoices", "customer_tax_ids.gb_vat", "text"),
        ("invoices", "customer.address.city", "text"),
        ("invoices", "total", "money"),
        ("invoices", "status_transitions.paid_at", "timestamp"),
        ("invoices", "period_end", "timestamp"),
        ("lines", "product.name", "text"),
        ("lines", "price.nickname", "text"),
        ("lines", "quantity_decimal", "decimal"),
        ("charges", "billing_details.email", "email"),
        ("charges", "payment_method_details.card.last4", "text"),
    ],
)
def test_a_field_has_its_type(name: str, path: str, kind: str) -> None:
    assert CATALOGUES[name][path].type == kind


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("customers", "metadata"),
        ("invoices", "metadata"),
        ("invoices", "customer.metadata"),
        ("invoices", "parent.subscription_details.metadata"),
        ("invoices", "custom_fields"),
        ("lines", "product.metadata"),
        ("lines", "price.metadata"),
        ("charges", "metadata"),
    ],
)
def test_names_that_users_invent_are_open(name: str, path: str) -> None:
    assert path in CATALOGUES[name].open_paths


def test_every_field_is_described_and_a_mistyped_one_is_recognised() -> None:
    assert [field.path for catalogue in CATALOGUES.values() for field in catalogue.values() if not field.description] == []
    assert CATALOGUES["invoices"].nearest("customer_adress.city") == "customer_address.city"
