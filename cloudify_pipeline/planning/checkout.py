"""What a Checkout session sold, in the shape of an invoice: lines, taxes and discounts as Stripe states them, and the buyer.

A payment says nothing but an amount. Where Checkout took it, its session says what was sold and how that was taxed, and the
same lines, prices, discounts, VAT and rounding serve for it as for an invoice. Nothing is computed: what Stripe's amounts do
not say outright is a problem.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from cloudify_pipeline.accounting.money import format_money, from_minor
from cloudify_pipeline.errors import Problem
from cloudify_pipeline.planning.records import ChargeRecord, InvoiceRecord, Raw, id_of

ById = Mapping[str, Raw]


def sold_by(record: ChargeRecord, session: Raw, *, products: ById, prices: ById, tax_rates: ById) -> InvoiceRecord | Problem:
    """The sale of `session`, which took the payment `record`; a problem where it cannot be told to the minor unit."""
    wrong = _unreadable(record, session)
    if wrong is not None:
        return wrong
    lines: list[dict[str, Any]] = []
    known = dict(tax_rates)
    for item in _data(session.get("line_items")):
        line = _line(item, session, known)
        if isinstance(line, Problem):
            return line
        lines.append(line)
    shipping = _shipping(session, known)
    if isinstance(shipping, Problem):
        return shipping
    wrong = _sums(session, lines, shipping)
    if wrong is not None:
        return wrong
    created = record.charge.get("created")
    invoice = {
        "id": record.stripe_id,
        "object": "invoice",
        "number": record.number,
        "status": "paid",
        "created": created,
        "effective_at": created,
        "status_transitions": {"finalized_at": created, "paid_at": created},
        "currency": record.charge.get("currency"),
        "customer": record.charge.get("customer"),
        "total": record.total_minor,
        "lines": {"data": lines},
        "discounts": _coupons(session),
        "total_discount_amounts": [],
        "total_taxes": [],
        "shipping_cost": shipping,
        "metadata": record.metadata,
        **buyer(record, session),
    }
    return InvoiceRecord(invoice, record.customer, products, prices, known, vat_numbers=record.vat_numbers)


def buyer(record: ChargeRecord, session: Raw) -> dict[str, Any]:
    """Who bought, as Checkout asked: what it did not ask is the payment's, then the customer's."""
    told, billing, customer = session.get("customer_details") or {}, record.charge.get("billing_details") or {}, record.customer
    own = customer or {}
    sources = (told, billing, own)
    address = next((one["address"] for one in sources if (one.get("address") or {}).get("country")), None)
    collected = session.get("collected_information") or {}
    shipping = collected.get("shipping_details") or session.get("shipping_details") or record.charge.get("shipping")
    ids = told.get("tax_ids") or (own.get("tax_ids") or {}).get("data")
    return {
        "customer_name": told.get("business_name") or told.get("name") or billing.get("name"),
        "customer_email": told.get("email") or billing.get("email") or record.charge.get("receipt_email"),
        "customer_phone": told.get("phone") or billing.get("phone"),
        "customer_address": address,
        "customer_shipping": shipping or None,
        "customer_tax_exempt": _exempt(told.get("tax_exempt"), own.get("tax_exempt")),
        "customer_tax_ids": [{"type": one.get("type"), "value": one.get("value")} for one in ids or ()],
    }


def _exempt(asked: Any, customers: Any) -> str:
    """Checkout's own word where it says more than that nothing is known."""
    return str(asked) if asked and asked != "none" else str(customers or "none")


def _unreadable(record: ChargeRecord, session: Raw) -> Problem | None:
    name = session.get("id")
    if session.get("unread"):
        message = f"it was taken by Checkout session {name}, which says what was sold and which the Stripe key may not read"
        return Problem("E-CONN-ROLE", message, field="checkout_session", found=str(name))
    if (session.get("invoice_creation") or {}).get("enabled") and not session.get("invoice"):
        message = f"Checkout session {name} makes an invoice of it, which Stripe has not made yet"
        return Problem("E-DEPENDENCY", message, field="checkout_session", found=str(name))
    currency = str(session.get("currency") or "").upper()
    if currency != record.currency or int(session.get("amount_total") or 0) != record.total_minor:
        theirs = _amount(int(session.get("amount_total") or 0), currency or record.currency)
        ours = _amount(record.total_minor, record.currency)
        return _sum_problem(f"Checkout session {name} comes to {theirs}, and {ours} was paid", "amount_total", theirs)
    if not _data(session.get("line_items")) or (session.get("line_items") or {}).get("has_more"):
        return _sum_problem(f"Checkout session {name} was read without all its lines", "line_items", str(name))
    return None


def _line(item: Raw, session: Raw, rates: dict[str, Raw]) -> dict[str, Any] | Problem:
    """A line of the session as a line of an invoice; the tax rates that it names are added to `rates`."""
    subtotal, discount, total = (int(item.get(name) or 0) for name in ("amount_subtotal", "amount_discount", "amount_total"))
    taxes = _taxes(item, subtotal - discount, total, rates)
    if taxes is None:
        return _line_problem(item, session)
    allocated = item.get("discounts") or ()
    given: list[dict[str, Any]] = [{"amount": int(one["amount"]), "discount": id_of(one.get("discount"))} for one in allocated]
    if sum(one["amount"] for one in given) != discount:
        given = [{"amount": discount, "discount": None}]
    price = item.get("price") or {}
    product = id_of(price.get("product"))
    return {
        "id": item.get("id"),
        "object": "line_item",
        "amount": subtotal,
        "currency": item.get("currency"),
        "description": item.get("description"),
        "discount_amounts": given if discount else [],
        "discounts": [],
        "metadata": item.get("metadata") or {},
        "period": None,
        "pricing": {
            "price_details": {"price": id_of(price), "product": product},
            "type": "price_details",
            "unit_amount_decimal": price.get("unit_amount_decimal"),
        }
        if product
        else None,
        "quantity": item.get("quantity"),
        "taxes": taxes,
    }


def _shipping(session: Raw, rates: dict[str, Raw]) -> dict[str, Any] | Problem | None:
    cost = session.get("shipping_cost") or {}
    if not cost.get("amount_total"):
        return None
    taxes = _taxes(cost, int(cost.get("amount_subtotal") or 0), int(cost.get("amount_total") or 0), rates)
    return _line_problem({**cost, "description": "shipping"}, session) if taxes is None else {**cost, "taxes": taxes}


def _taxes(taxed: Raw, before: int, total: int, rates: dict[str, Raw]) -> list[dict[str, Any]] | None:
    """The taxes of a line in the shape of an invoice's; None where they do not make its amounts what Stripe states."""
    found: list[dict[str, Any]] = []
    for tax in taxed.get("taxes") or ():
        rate = tax.get("rate")
        if isinstance(rate, Mapping):
            rates[str(rate["id"])] = rate
        known = rates.get(id_of(rate) or "") or {}
        found.append({
            "amount": int(tax.get("amount") or 0),
            "taxable_amount": int(tax.get("taxable_amount") or 0),
            "tax_behavior": "inclusive" if known.get("inclusive") else "exclusive",
            "taxability_reason": tax.get("taxability_reason"),
            "tax_rate_details": {"tax_rate": id_of(rate)},
            "type": "tax_rate_details",
        })  # fmt: skip
    on_top = sum(tax["amount"] for tax in found if tax["tax_behavior"] == "exclusive")
    whole = sum(tax["amount"] for tax in found) == int(taxed.get("amount_tax") or 0)
    return found if whole and before + on_top == total else None


def _sums(session: Raw, lines: Sequence[Raw], shipping: Raw | None) -> Problem | None:
    """What is wrong with the session's totals beside its lines; None when both say the same."""
    currency, name = str(session.get("currency") or "").upper(), session.get("id")
    items = _data(session.get("line_items"))
    whole = sum(int(item.get("amount_total") or 0) for item in items) + int((shipping or {}).get("amount_total") or 0)
    stated = int(session.get("amount_total") or 0)
    if whole != stated:
        parts = f"its lines and shipping come to {_amount(whole, currency)}, its total is {_amount(stated, currency)}"
        return _sum_problem(f"Checkout session {name}: {parts}", "amount_total", str(stated))
    told = (session.get("total_details") or {}).get("amount_tax")
    tax = sum(one["amount"] for line in lines for one in line["taxes"]) + int((shipping or {}).get("amount_tax") or 0)
    if told is not None and int(told) != tax:
        parts = f"its lines bear {_amount(tax, currency)} of tax, its total has {_amount(int(told), currency)}"
        return _sum_problem(f"Checkout session {name}: {parts}", "total_details.amount_tax", str(told))
    return None


def _line_problem(item: Raw, session: Raw) -> Problem:
    currency = str(session.get("currency") or "").upper()
    names = ("amount_subtotal", "amount_discount", "amount_tax", "amount_total")
    stated = ", ".join(f"{name.removeprefix('amount_')} {_amount(int(item.get(name) or 0), currency)}" for name in names)
    what = item.get("description") or item.get("id")
    message = f"Checkout session {session.get('id')}, {what}: the taxes that are stated do not make {stated}"
    return _sum_problem(message, "line_items.taxes", str(item.get("amount_tax")))


def _coupons(session: Raw) -> list[Any]:
    return [one for one in session.get("discounts") or () if isinstance(one, Mapping)]


def _data(listed: Any) -> list[Raw]:
    return list((listed or {}).get("data") or ())


def _amount(minor: int, currency: str) -> str:
    return format_money(from_minor(minor, currency), currency)


def _sum_problem(message: str, field: str, found: str) -> Problem:
    return Problem("E-STRIPE-SUM", message, field=field, found=found)
