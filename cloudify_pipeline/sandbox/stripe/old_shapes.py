"""Invoices as API version 2022-11-15 shows them, the default of the demo account.

Events carry this shape, and so does every reply to a request that pins no version: who trusts either reads wrong fields.
"""

from cloudify_pipeline.sandbox.stripe.objects import Json

_NEW_FIELDS = (
    "amount_overpaid",
    "amount_paid_off_stripe",
    "parent",
    "status_details",
    "total_pretax_credit_amounts",
    "customer_account",
)
_NEW_LINE_FIELDS = ("parent", "pricing", "pretax_credit_amounts", "quantity_decimal", "subtotal", "taxes")


def is_old(version: str | None) -> bool:
    """Whether a version has the invoice from before 2025-03-31; no version is the account's own, which is old."""
    return version is None or version < "2025-03-31"


def old(obj: Json) -> Json:
    """The object in the old shape; other objects than invoices did not change enough to matter."""
    return _old_invoice(obj) if obj.get("object") == "invoice" and "total" in obj else obj


def _old_invoice(invoice: Json) -> Json:
    kept = {name: value for name, value in invoice.items() if name not in {*_NEW_FIELDS, "total_taxes", "lines"}}
    taxes = [_old_tax(tax) for tax in invoice["total_taxes"]]
    return {
        **kept,
        "charge": None,
        "discount": None,
        "lines": {**invoice["lines"], "data": [_old_line(line) for line in invoice["lines"]["data"]]},
        "paid": invoice["status"] == "paid",
        "paid_out_of_band": False,
        "payment_intent": None,
        "subscription": ((invoice["parent"] or {}).get("subscription_details") or {}).get("subscription"),
        "tax": sum(tax["amount"] for tax in taxes) if taxes else None,
        "total_tax_amounts": taxes,
    }


def _old_line(line: Json) -> Json:
    kept = {name: value for name, value in line.items() if name not in _NEW_LINE_FIELDS}
    pricing = line["pricing"]
    price = (
        {
            "id": pricing["price_details"]["price"],
            "object": "price",
            "product": pricing["price_details"]["product"],
            "unit_amount_decimal": pricing["unit_amount_decimal"],
        }
        if pricing
        else None
    )
    return {
        **kept,
        "price": price,
        "proration": _proration(line),
        "tax_amounts": [_old_tax(tax) for tax in line["taxes"]],
        "type": "invoiceitem",
    }


def _proration(line: Json) -> bool:
    parent = line["parent"]
    return bool((parent["invoice_item_details"] or parent["subscription_item_details"])["proration"])


def _old_tax(tax: Json) -> Json:
    return {
        "amount": tax["amount"],
        "inclusive": tax["tax_behavior"] == "inclusive",
        "tax_rate": tax["tax_rate_details"]["tax_rate"],
        "taxability_reason": tax["taxability_reason"],
        "taxable_amount": tax["taxable_amount"],
    }
