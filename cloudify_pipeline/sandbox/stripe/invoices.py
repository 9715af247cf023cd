"""Invoices as they stand on the wire: the fresh draft, its lines, and the amounts that follow from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from cloudify_pipeline.sandbox.stripe import amounts
from cloudify_pipeline.sandbox.stripe.objects import Json, plain

_SNAPSHOT = {"address": "customer_address", "email": "customer_email", "name": "customer_name", "phone": "customer_phone"}


@dataclass(frozen=True, slots=True)
class Line:
    """One line to be invoiced: of a price, or of a `product` with its own `unit_amount`, or of neither with an `amount`.

    Amounts in minor units. `tax_rates` None takes the invoice's; `discounts` are coupon ids.
    """

    price: str | None = None
    quantity: int | Decimal = 1
    product: str | None = None
    unit_amount: Decimal | None = None
    amount: int | None = None
    description: str | None = None
    tax_rates: tuple[str, ...] | None = None
    discounts: tuple[str, ...] = ()
    proration: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)
    period: tuple[int, int] | None = None


def fresh(id_: str, created: int, customer: Json, currency: str) -> Json:
    """A draft without lines."""
    return {
        "id": id_,
        "object": "invoice",
        "account_country": "DK",
        "account_name": "Nordlys Software ApS",
        "account_tax_ids": None,
        "amount_due": 0,
        "amount_overpaid": 0,
        "amount_paid": 0,
        "amount_paid_off_stripe": 0,
        "amount_remaining": 0,
        "amount_shipping": 0,
        "application": None,
        "attempt_count": 0,
        "attempted": False,
        "auto_advance": False,
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None, "provider": None, "status": None},
        "automatically_finalizes_at": None,
        "billing_reason": "manual",
        "collection_method": "charge_automatically",
        "created": created,
        "currency": currency,
        "custom_fields": None,
        "customer": customer["id"],
        "customer_account": None,
        "customer_shipping": customer["shipping"],
        "customer_tax_exempt": customer["tax_exempt"],
        "customer_tax_ids": [],
        **{name: customer[source] for source, name in _SNAPSHOT.items()},
        "default_payment_method": None,
        "default_source": None,
        "default_tax_rates": [],
        "description": None,
        "discounts": [],
        "due_date": None,
        "effective_at": None,
        "ending_balance": None,
        "footer": None,
        "from_invoice": None,
        "hosted_invoice_url": None,
        "invoice_pdf": None,
        "issuer": {"type": "self"},
        "last_finalization_error": None,
        "latest_revision": None,
        "lines": {"object": "list", "data": [], "has_more": False, "total_count": 0, "url": f"/v1/invoices/{id_}/lines"},
        "livemode": False,
        "metadata": {},
        "next_payment_attempt": None,
        "number": None,
        "on_behalf_of": None,
        "parent": None,
        "payment_settings": {"default_mandate": None, "payment_method_options": None, "payment_method_types": None},
        "period_end": created,
        "period_start": created,
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "receipt_number": None,
        "rendering": None,
        "shipping_cost": None,
        "shipping_details": None,
        "starting_balance": 0,
        "statement_descriptor": None,
        "status": "draft",
        "status_details": None,
        "status_transitions": {"finalized_at": None, "marked_uncollectible_at": None, "paid_at": None, "voided_at": None},
        "subtotal": 0,
        "subtotal_excluding_tax": 0,
        "test_clock": None,
        "total": 0,
        "total_discount_amounts": [],
        "total_excluding_tax": 0,
        "total_pretax_credit_amounts": [],
        "total_taxes": [],
        "webhooks_delivered_at": created,
    }


def snapshot(invoice: Json, customer: Json, tax_ids: Sequence[Json]) -> None:
    """Copy the buyer into the invoice, as finalization freezes it."""
    for source, name in _SNAPSHOT.items():
        invoice[name] = customer[source]
    invoice["customer_shipping"] = customer["shipping"]
    invoice["customer_tax_exempt"] = customer["tax_exempt"]
    invoice["customer_tax_ids"] = [{"type": tax_id["type"], "value": tax_id["value"]} for tax_id in tax_ids]


def line_item(id_: str, item: str, invoice: Json, line: Line, *, price: Json | None, subscription: str | None) -> Json:
    """A line without its discounts and taxes."""
    unit_amount = line.unit_amount if line.unit_amount is not None or price is None else Decimal(price["unit_amount_decimal"])
    quantity = Decimal(line.quantity)
    amount = line.amount if line.amount is not None else amounts.line_amount(quantity, unit_amount or Decimal(0))
    # A proration has no unit price: its amount is a share of time.
    if line.proration or (unit_amount is None and quantity != 1):
        unit_text = None
    else:
        unit_text = plain(unit_amount if unit_amount is not None else Decimal(amount))
    product = line.product or (price["product"] if price else None)
    start, end = line.period or (invoice["created"], invoice["created"])
    return {
        "id": id_,
        "object": "line_item",
        "amount": amount,
        "currency": invoice["currency"],
        "description": line.description,
        "discount_amounts": [],
        # Prorations and credits take no invoice discount.
        "discountable": not line.proration and amount >= 0,
        "discounts": [],
        "invoice": invoice["id"],
        "livemode": False,
        "metadata": dict(line.metadata),
        "parent": _parent(item, line, subscription),
        "period": {"end": end, "start": start},
        "pretax_credit_amounts": [],
        "pricing": {
            "price_details": {"price": price["id"] if price else None, "product": product},
            "type": "price_details",
            "unit_amount_decimal": unit_text,
        }
        if product
        else None,
        # `quantity` is whole: what stands behind the point is only in quantity_decimal.
        "quantity": int(quantity),
        "quantity_decimal": plain(quantity),
        "subscription": subscription,
        "subtotal": amount,
        "taxes": [],
    }


def _parent(item: str, line: Line, subscription: str | None) -> Json:
    details = {
        "invoice_item": item,
        "proration": line.proration,
        "proration_details": {"credited_items": None},
        "subscription": subscription,
    }
    if subscription is None or line.price is None:
        return {"invoice_item_details": details, "subscription_item_details": None, "type": "invoice_item_details"}
    details["invoice_item"] = item if line.proration else None
    details["subscription_item"] = f"si_{item[3:]}"
    return {"invoice_item_details": None, "subscription_item_details": details, "type": "subscription_item_details"}


def write_amounts(invoice: Json, computed: Sequence[amounts.LineAmounts], totals: amounts.InvoiceAmounts) -> None:
    """Put what was computed into the lines and the totals."""
    for line, sums in zip(invoice["lines"]["data"], computed, strict=True):
        line["discount_amounts"] = [{"amount": taken, "discount": discount} for discount, taken in sums.discounts]
        line["pretax_credit_amounts"] = [
            {"amount": taken, "discount": discount, "type": "discount"} for discount, taken in sums.discounts
        ]
        line["taxes"] = [_tax(tax) for tax in sums.taxes]
    invoice["subtotal"] = totals.subtotal
    invoice["subtotal_excluding_tax"] = totals.subtotal_excluding_tax
    invoice["total"] = totals.total
    invoice["total_excluding_tax"] = totals.total_excluding_tax
    invoice["total_discount_amounts"] = [{"amount": taken, "discount": discount} for discount, taken in totals.discounts]
    invoice["total_pretax_credit_amounts"] = [
        {"amount": taken, "discount": discount, "type": "discount"} for discount, taken in totals.discounts
    ]
    invoice["total_taxes"] = [_tax(tax) for tax in totals.taxes]
    invoice["amount_due"] = invoice["amount_remaining"] = max(totals.total, 0)


def _tax(tax: amounts.TaxAmount) -> Json:
    return {
        "amount": tax.amount,
        "tax_behavior": "inclusive" if tax.terms.inclusive else "exclusive",
        "tax_rate_details": {"tax_rate": tax.terms.rate},
        "taxability_reason": tax.terms.reason,
        "taxable_amount": tax.taxable,
        "type": "tax_rate_details",
    }
