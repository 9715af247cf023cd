"""What people and other programs enter in the embedded e-conomic: documents that carry no key of ours."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from cloudify_pipeline.sandbox.economic.documents import book, written
from cloudify_pipeline.sandbox.economic.errors import Json
from cloudify_pipeline_tests.whole_runs.conftest import Company

COLLECTIVE = 9000
"""A debtor for sales to anybody."""


def by_hand(
    company: Company,
    *,
    customer: int | None = None,
    day: str = "2026-10-27",
    net: str = "100",
    currency: str = "DKK",
    kind: str = "booked",
    other: str = "",
    **notes: str,
) -> Json:
    """A document of 25 % VAT (125.00 with it): a booked invoice, or with `kind` drafts or orders one that is not."""
    ledger = company.sandbox.economic
    if customer is None:
        customer = COLLECTIVE
        if ledger.get("customers", COLLECTIVE) is None:
            ledger.add_customer(customerNumber=COLLECTIVE, name="Diverse debitorer")
    if ledger.get("products", "HAND") is None:
        ledger.add_product("HAND")
    body: dict[str, Any] = {
        "date": day,
        "currency": currency,
        "layout": {"layoutNumber": ledger.all("layouts")[0]["layoutNumber"]},
        "paymentTerms": {"paymentTermsNumber": 1},
        "customer": {"customerNumber": customer},
        "recipient": {"name": "Entered by hand", "vatZone": {"vatZoneNumber": 1}},
        "lines": [
            {"product": {"productNumber": "HAND"}, "description": "By hand", "quantity": Decimal(1), "unitNetPrice": Decimal(net)}
        ],
    }
    if notes:
        body["notes"] = notes
    if other:
        body["references"] = {"other": other}
    stored = "orders" if kind == "orders" else "drafts"
    made = written(ledger, f"{stored}.post", body, datetime.now(UTC))
    key = "orderNumber" if kind == "orders" else "draftInvoiceNumber"
    made = {key: ledger.next_document_number(), **made}
    ledger.put(stored, made[key], made)
    return book(ledger, {"draftInvoice": {"draftInvoiceNumber": made[key]}}) if kind == "booked" else made
