"""Stripe's own arithmetic: an invoice whose amounts do not add up is not fit for the books."""

from typing import Any

_CREDIT = "credit_balance_transaction"
"""The type of what a credit grant takes off; discounts are listed beside it."""


def sum_fault(invoice: dict[str, Any]) -> str | None:
    """What is wrong with an invoice's amounts (minor units), or None.

    The identity held on every genuine recording: total = Σ line.amount − Σ total_discount_amounts + Σ exclusive taxes
    + shipping. Inclusive taxes lie inside the line amounts. Billing credits lower the lines before tax.
    """
    listed = invoice.get("lines") or {}
    if listed.get("has_more"):
        return f"only {len(listed.get('data') or ())} of its lines are known"
    lines = _sum(listed.get("data"))
    discounts = _sum(invoice.get("total_discount_amounts"))
    taxes = _sum(tax for tax in invoice.get("total_taxes") or () if tax.get("tax_behavior") == "exclusive")
    total = invoice.get("total") or 0
    before_shipping = lines - discounts + taxes
    if total - before_shipping in _shippings(invoice):
        return None
    credits_ = _sum(one for one in invoice.get("total_pretax_credit_amounts") or () if one.get("type") == _CREDIT)
    if credits_ and total - before_shipping + credits_ in _shippings(invoice):
        return None
    shipping = max(_shippings(invoice))
    return (
        f"lines {lines} − discounts {discounts} + taxes {taxes} + shipping {shipping} = {before_shipping + shipping}, "
        f"but the total is {total} ({str(invoice.get('currency') or '').upper()} minor units)"
    )


def _shippings(invoice: dict[str, Any]) -> set[int]:
    """What shipping may add: with its tax, or without when the tax stands among the invoice's taxes already."""
    cost = invoice.get("shipping_cost")
    if not cost:
        return {0}
    return {int(cost.get("amount_subtotal") or 0), int(cost.get("amount_total") or 0)}


def _sum(amounts: Any) -> int:
    return sum(int(one.get("amount") or 0) for one in amounts or ())
