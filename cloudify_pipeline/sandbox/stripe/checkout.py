"""Checkout: a session that somebody paid, the payment that it took, and the receipt it may make afterwards as an invoice."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from cloudify_pipeline.sandbox.stripe import invoices, objects
from cloudify_pipeline.sandbox.stripe.catalogue import second
from cloudify_pipeline.sandbox.stripe.invoices import Line
from cloudify_pipeline.sandbox.stripe.objects import Json
from cloudify_pipeline.sandbox.stripe.store import StripeStore

GUEST: Mapping[str, Any] = {
    "name": "Karen Blixen",
    "email": "karen@example.com",
    "phone": None,
    "tax_exempt": "none",
    "tax_ids": [],
}


def check_out(
    store: StripeStore,
    lines: Sequence[Line],
    *,
    at: datetime,
    customer: str | None = None,
    currency: str = "dkk",
    tax_rates: Sequence[str] = (),
    discounts: Sequence[str] = (),
    shipping: int = 0,
    details: Mapping[str, Any] | None = None,
    makes_invoice: bool = False,
    **given: Any,
) -> tuple[str, str]:
    """Somebody buys `lines` in Checkout; returns the ids of the session and of the payment.

    `details` replace what the buyer typed (``address``, ``tax_ids``, …), `given` fields of the session, such as a
    `payment_link`. With `makes_invoice`, :func:`make_invoice` follows.
    """
    with store.transaction():
        buyer = store.get("customer", customer) if customer else None
        typed = {**GUEST, **(_known(store, buyer) if buyer else {}), **(details or {})}
        sold = _scratch(
            store, [_priced(store, line, currency, at) for line in lines], typed, at, currency, tax_rates, discounts, shipping
        )
        charge = store.charge(
            customer,
            sold["total"],
            at=at,
            currency=currency,
            billing_details={**{name: typed.get(name) for name in ("address", "email", "name", "phone")}, "tax_id": None},
        )
        id_ = store.new_id("cs_test", 56)
        items = [_item(store, line) for line in sold["lines"]["data"]]
        store.note(f"items:{id_}", items)
        for item in items:
            store.note(f"session of {item['id']}", id_)
        session = {
            **_session(id_, sold, typed, at),
            "customer": customer,
            "payment_intent": store.get("charge", charge)["payment_intent"],
            "invoice_creation": {"enabled": makes_invoice, "invoice_data": {"metadata": {}}},
            **given,
        }
        store.save(session)
        store.emit("checkout.session.completed", session, at)
        return id_, charge


def make_invoice(store: StripeStore, session: str, *, at: datetime, linked: bool = True) -> str:
    """The receipt of a paid session, an invoice that is paid by its payment; without `linked` the session alone tells."""
    with store.transaction():
        taken = store.get("checkout.session", session)
        lines = [Line(item["price"]["id"], item["quantity"], tax_rates=tuple(t["rate"]["id"] for t in item["taxes"]))
                 for item in store.noted(f"items:{session}")]  # fmt: skip
        invoice = store.create_invoice(taken["customer"], lines, at=at, currency=taken["currency"], billing_reason="manual")
        store.finalize(invoice, at=at)
        if linked:
            (charge,) = store.rows("charge", [("intent = ?", [taken["payment_intent"]])])
            store.attach_payment(invoice, charge["id"], at=at)
        else:
            store.pay(invoice, at=at, out_of_band=True)
        taken["invoice"] = invoice
        store.save(taken)
        return invoice


def _known(store: StripeStore, customer: Json) -> Json:
    ids = [{"type": one["type"], "value": one["value"]} for one in store.tax_ids(customer["id"])]
    return {**{name: customer[name] for name in ("address", "email", "name", "phone", "tax_exempt")}, "tax_ids": ids}


def _priced(store: StripeStore, line: Line, currency: str, at: datetime) -> Line:
    """`line` with a price: Checkout sells nothing without one, and makes it where a shop gives the amount alone."""
    if line.price is not None:
        return line
    product = line.product or store.add_product(line.description or "Sale", at=at)
    unit = line.unit_amount if line.unit_amount is not None else Decimal(line.amount or 0)
    return replace(line, price=store.add_price(product, unit, currency, at=at), product=None, unit_amount=None, amount=None)


def _scratch(  # noqa: PLR0917
    store: StripeStore,
    lines: Sequence[Line],
    typed: Mapping[str, Any],
    at: datetime,
    currency: str,
    tax_rates: Sequence[str],
    discounts: Sequence[str],
    shipping: int,
) -> Json:
    """The amounts of the sale, as Stripe computes them for an invoice of the same lines."""
    buyer = objects.customer(store.new_id("cus", 14), second(at), address=objects.address(None), shipping=None)
    buyer["tax_exempt"] = typed["tax_exempt"]
    sold = invoices.fresh(store.new_id("in"), second(at), buyer, currency)
    store.write_lines(sold, buyer, lines, tax_rates=tax_rates, discounts=discounts, shipping=shipping, subscription=None)
    return sold


def _item(store: StripeStore, line: Json) -> Json:
    on_top = sum(tax["amount"] for tax in line["taxes"] if tax["tax_behavior"] == "exclusive")
    given = sum(one["amount"] for one in line["discount_amounts"])
    return {
        "id": store.new_id("li"),
        "object": "item",
        "adjustable_quantity": None,
        "amount_discount": given,
        "amount_subtotal": line["amount"],
        "amount_tax": sum(tax["amount"] for tax in line["taxes"]),
        "amount_total": line["amount"] - given + on_top,
        "currency": line["currency"],
        "description": line["description"],
        "discounts": [
            {"amount": one["amount"], "discount": store.get("discount", one["discount"])} for one in line["discount_amounts"]
        ],
        "metadata": {},
        "price": store.get("price", line["pricing"]["price_details"]["price"]),
        "quantity": line["quantity"],
        "taxes": [
            {
                "amount": tax["amount"],
                "rate": store.get("tax_rate", tax["tax_rate_details"]["tax_rate"]),
                "taxability_reason": tax["taxability_reason"],
                "taxable_amount": tax["taxable_amount"],
            }
            for tax in line["taxes"]
        ],
    }


def _session(id_: str, sold: Json, typed: Mapping[str, Any], at: datetime) -> Json:
    lines = sold["lines"]["data"]
    cost = sold["shipping_cost"]
    return {
        "id": id_,
        "object": "checkout.session",
        "adaptive_pricing": {"enabled": False},
        "after_expiration": None,
        "allow_promotion_codes": None,
        "amount_subtotal": sum(line["amount"] for line in lines),
        "amount_total": sold["total"],
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "billing_address_collection": "auto",
        "cancel_url": None,
        "client_reference_id": None,
        "collected_information": {"business_name": None, "individual_name": None, "shipping_details": None},
        "created": second(at),
        "currency": sold["currency"],
        "currency_conversion": None,
        "custom_fields": [],
        "customer_creation": "if_required",
        "customer_details": {"business_name": None, "individual_name": None, "address": None, **typed},
        "customer_email": None,
        "discounts": [{"coupon": None, "promotion_code": None} for _ in sold["discounts"]],
        "expires_at": second(at) + 86_400,
        "invoice": None,
        "livemode": False,
        "locale": None,
        "metadata": {},
        "mode": "payment",
        "payment_link": None,
        "payment_method_types": ["card"],
        "payment_status": "paid",
        "shipping_cost": {**cost, "taxes": []} if cost else None,
        "status": "complete",
        "subscription": None,
        "total_details": {
            "amount_discount": sum(one["amount"] for line in lines for one in line["discount_amounts"]),
            "amount_shipping": sold["amount_shipping"],
            "amount_tax": sum(tax["amount"] for line in lines for tax in line["taxes"]),
        },
        "ui_mode": "hosted",
        "url": None,
    }
