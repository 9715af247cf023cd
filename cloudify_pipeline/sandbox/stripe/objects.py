"""Stripe objects as they stand on the wire in API version 2026-10-28.endive, freshly made."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

Json = dict[str, Any]
API_VERSION = "2026-10-28.endive"
ACCOUNT = "acct_1NordlysSandbox00"


def number(value: Decimal) -> int | float:
    """A percentage or a rate as a JSON number. Amounts are whole minor units."""
    return int(value) if value == value.to_integral_value() else float(value)


def plain(value: Decimal) -> str:
    """A decimal string without exponent or trailing zeros."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def address(fields: Mapping[str, str | None] | None) -> Json | None:
    """An address with all six fields, or None."""
    if fields is None:
        return None
    return {key: fields.get(key) for key in ("city", "country", "line1", "line2", "postal_code", "state")}


def customer(id_: str, created: int, **given: Any) -> Json:
    """A customer; `given` replaces fields of the empty one."""
    return {
        "id": id_,
        "object": "customer",
        "address": None,
        "balance": 0,
        "business_name": None,
        "created": created,
        "currency": None,
        "customer_account": None,
        "default_source": None,
        "delinquent": False,
        "description": None,
        "discount": None,
        "email": None,
        "individual_name": None,
        "invoice_prefix": id_[-8:].upper(),
        "invoice_settings": {"custom_fields": None, "default_payment_method": None, "footer": None, "rendering_options": None},
        "livemode": False,
        "metadata": {},
        "name": None,
        "next_invoice_sequence": 1,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
        **given,
    }


def tax_id(id_: str, customer_id: str, created: int, *, type_: str, value: str, status: str) -> Json:
    """A customer's tax number; `status` is what the registry said: verified, unverified, pending or unavailable."""
    verified = status == "verified"
    return {
        "id": id_,
        "object": "tax_id",
        "country": value[:2] if type_ == "eu_vat" else type_[:2].upper(),
        "created": created,
        "customer": customer_id,
        "customer_account": None,
        "livemode": False,
        "owner": {"account": None, "application": None, "customer": customer_id, "customer_account": None, "type": "customer"},
        "type": type_,
        "value": value,
        "verification": {
            "status": status,
            "verified_address": "--- ---" if verified else None,
            "verified_name": "--- ---" if verified else None,
        },
    }


def product(id_: str, created: int, **given: Any) -> Json:
    """A product; `given` replaces fields of the empty one."""
    return {
        "id": id_,
        "object": "product",
        "active": True,
        "created": created,
        "default_price": None,
        "description": None,
        "images": [],
        "livemode": False,
        "marketing_features": [],
        "metadata": {},
        "name": "",
        "package_dimensions": None,
        "shippable": None,
        "statement_descriptor": None,
        "tax_code": None,
        "tax_details": None,
        "type": "service",
        "unit_label": None,
        "updated": created,
        "url": None,
        **given,
    }


def price(id_: str, created: int, product_id: str, currency: str, unit_amount: Decimal, **given: Any) -> Json:
    """A price per unit; `unit_amount` is null on the wire when it has decimals below the minor unit."""
    whole = unit_amount == unit_amount.to_integral_value()
    return {
        "id": id_,
        "object": "price",
        "active": True,
        "billing_scheme": "per_unit",
        "created": created,
        "currency": currency,
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": None,
        "metadata": {},
        "nickname": None,
        "product": product_id,
        "recurring": None,
        "tax_behavior": "unspecified",
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "one_time",
        "unit_amount": int(unit_amount) if whole else None,
        "unit_amount_decimal": plain(unit_amount),
        **given,
    }


def recurring(interval: str) -> Json:
    """The `recurring` part of a subscription's price."""
    return {"interval": interval, "interval_count": 1, "meter": None, "trial_period_days": None, "usage_type": "licensed"}


def tax_rate(id_: str, created: int, percent: Decimal, *, inclusive: bool, country: str | None, display_name: str) -> Json:
    """A manual tax rate."""
    return {
        "id": id_,
        "object": "tax_rate",
        "active": True,
        "country": country,
        "created": created,
        "description": None,
        "display_name": display_name,
        "effective_percentage": number(percent),
        "flat_amount": None,
        "inclusive": inclusive,
        "jurisdiction": country,
        "jurisdiction_level": "country" if country else None,
        "livemode": False,
        "metadata": {},
        "percentage": number(percent),
        "rate_type": "percentage",
        "state": None,
        "tax_type": "vat",
    }


def coupon(id_: str, created: int, name: str, *, percent: Decimal | None, amount_off: int | None, currency: str | None) -> Json:
    """A coupon of a percentage or of an amount in one currency."""
    return {
        "id": id_,
        "object": "coupon",
        "amount_off": amount_off,
        "created": created,
        "currency": currency if amount_off is not None else None,
        "duration": "once",
        "duration_in_months": None,
        "livemode": False,
        "max_redemptions": None,
        "metadata": {},
        "name": name,
        "percent_off": number(percent) if percent is not None else None,
        "redeem_by": None,
        "times_redeemed": 0,
        "valid": True,
    }


def discount(id_: str, coupon_id: str, customer_id: str, start: int, *, invoice: str | None, invoice_item: str | None) -> Json:
    """A coupon applied to an invoice or to one item of it."""
    return {
        "id": id_,
        "object": "discount",
        "checkout_session": None,
        "customer": customer_id,
        "customer_account": None,
        "end": None,
        "invoice": invoice,
        "invoice_item": invoice_item,
        "promotion_code": None,
        "source": {"coupon": coupon_id, "type": "coupon"},
        "start": start,
        "subscription": None,
        "subscription_item": None,
    }


def event(id_: str, created: int, type_: str, data: Json, request: Json) -> Json:
    """An event; its object is rendered in the account's old default version, whatever version asks for it."""
    return {
        "id": id_,
        "object": "event",
        "api_version": "2022-11-15",
        "created": created,
        "data": data,
        "livemode": False,
        "pending_webhooks": 0,
        "request": request,
        "type": type_,
    }


def account(id_: str = ACCOUNT) -> Json:
    """The account of the demo company, or one like it."""
    return {
        "id": id_,
        "object": "account",
        "business_profile": {
            "mcc": "5734",
            "name": "Nordlys Software ApS",
            "support_email": "support@nordlys.example",
            "url": "https://nordlys.example",
        },
        "business_type": "company",
        "capabilities": {"card_payments": "active", "transfers": "active"},
        "charges_enabled": True,
        "controller": {"type": "account"},
        "country": "DK",
        "created": 1577880000,
        "default_currency": "dkk",
        "details_submitted": True,
        "email": "regnskab@nordlys.example",
        "metadata": {},
        "payouts_enabled": True,
        "settings": {"dashboard": {"display_name": "Nordlys Software", "timezone": "Europe/Copenhagen"}},
        "type": "standard",
    }
