"""What is mapped when a connection file says nothing: Stripe's fields into the ledger's, in the syntax of the file.

A document's recipient comes from what Stripe froze in the invoice when it was finalized; today's customer stands in only
where the invoice has nothing. Names and texts that are too long are cut, with a note; numbers and addresses of e-mail never.
Source: reference/product.md §5b B9.
"""

from typing import Any


def _cut(source: Any) -> dict[str, Any]:
    return {"from": source, "on_too_long": "truncate"}


def _street(*roots: str) -> dict[str, Any]:
    """Both address lines of the first of `roots` that has any; the ledger shows the line break."""
    lines = [{"template": f"{{{root}.line1}}\n{{{root}.line2}}"} for root in roots]
    return {"from": lines if len(lines) > 1 else lines[0], "transform": ["trim"], "on_too_long": "truncate"}


def _country(*roots: str) -> dict[str, Any]:
    sources = [f"{root}.country" for root in roots]
    return {"from": sources if len(sources) > 1 else sources[0], "transform": ["country_name"], "on_too_long": "truncate"}


def _place(target: str, *roots: str) -> dict[str, Any]:
    """Street, postal code, city and country of `target`, each from the first of `roots` that has it."""
    return {
        f"{target}.address": _street(*roots),
        f"{target}.zip": _cut([f"{root}.postal_code" for root in roots]),
        f"{target}.city": _cut([f"{root}.city" for root in roots]),
        f"{target}.country": _country(*roots),
    }


PREMAPPED: dict[str, dict[str, Any]] = {
    "customers": {
        "name": _cut(["name", "description", "email", "id"]),
        "email": "email",
        "address": _street("address"),
        "zip": "address.postal_code",
        "city": _cut("address.city"),
        "country": _country("address"),
        "telephoneAndFaxNumber": "phone",
        "corporateIdentificationNumber": {"from": "tax_ids.eu_vat", "transform": ["danish_cvr"]},
    },
    "products": {
        "name": _cut(["name", "id"]),
        "description": _cut("description"),
    },
    "documents": {
        "recipient.name": _cut(
            ["customer_name", "customer.name", "customer.description", "customer_email", "customer.email", "id"]
        ),
        **_place("recipient", "customer_address", "customer.address"),
        **_place("delivery", "shipping_details.address", "customer_shipping.address"),
        "notes.heading": {"template": "Stripe invoice {number}", "on_too_long": "truncate"},
        "notes.textLine1": _cut("description"),
    },
    "charges": {
        "recipient.name": _cut(["billing_details.name", "customer.name", "billing_details.email", "receipt_email", "id"]),
        **_place("recipient", "billing_details.address", "customer.address"),
        **_place("delivery", "shipping.address"),
        "notes.heading": {"template": "Stripe payment {id}", "on_too_long": "truncate"},
        "notes.textLine1": _cut(["description", "receipt_number"]),
    },
    "lines": {
        "description": _cut("description"),
    },
}
