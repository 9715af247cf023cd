"""What a Checkout session sold, by its own figures: lines, VAT, discount and shipping; what does not add up is held."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from cloudify_pipeline.errors import Problem
from cloudify_pipeline.planning.checkout import sold_by
from cloudify_pipeline.planning.plans import Hold, PlannedDocument, Skip
from cloudify_pipeline.planning.records import ChargeRecord
from cloudify_pipeline_tests.planning import books

NO_PRODUCT = books.settings(products={"no_product": "NONE"})


def rate(percent: int = 25, *, inside: bool = False) -> dict[str, Any]:
    return {"id": f"txr_{percent}_{inside}", "percentage": percent, "inclusive": inside, "country": "DK"}


def item(subtotal: int, vat: int = 0, *, inside: bool = False, discount: int = 0, **more: Any) -> dict[str, Any]:
    taxes = [{"amount": vat, "taxable_amount": subtotal, "taxability_reason": "standard_rated", "rate": rate(inside=inside)}]
    return {
        "id": "li_1",
        "object": "item",
        "currency": "dkk",
        "description": "Pro plan",
        "quantity": 1,
        "price": {"id": "price_1", "product": "prod_A", "unit_amount_decimal": str(subtotal)},
        "amount_subtotal": subtotal,
        "amount_discount": discount,
        "amount_tax": vat,
        "amount_total": subtotal - discount + (0 if inside else vat),
        "discounts": [{"amount": discount, "discount": {"id": "di_1"}}] if discount else [],
        "taxes": taxes if vat else [],
        **more,
    }


def session(*items: dict[str, Any], **more: Any) -> dict[str, Any]:
    shipping = (more.get("shipping_cost") or {}).get("amount_total", 0)
    return {
        "id": "cs_1",
        "currency": "dkk",
        "amount_total": sum(one["amount_total"] for one in items) + shipping,
        "line_items": {"data": list(items), "has_more": False},
        "customer_details": {"name": "Karen Blixen", "email": "karen@example.com", "address": books.DK_ADDRESS},
        **more,
    }


def taken(told: dict[str, Any], amount: int | None = None, **more: Any) -> ChargeRecord:
    record = books.charge(told["amount_total"] if amount is None else amount, **more)
    found = sold_by(record, told, products={}, prices={}, tax_rates={})
    return replace(record, unsold=found) if isinstance(found, Problem) else replace(record, sale=found)


def planned(told: dict[str, Any], amount: int | None = None) -> PlannedDocument | Hold | Skip:
    return books.plan(taken(told, amount), NO_PRODUCT)


SHIPPING = {"amount_subtotal": 4_000, "amount_tax": 1_000, "amount_total": 5_000}
SHIPPED = {**SHIPPING, "taxes": [{"amount": 1_000, "taxable_amount": 4_000, "rate": rate()}]}
SALES = {
    "VAT on top": (session(item(10_000, 2_500)), "100.00", "25.00"),
    "VAT inside": (session(item(12_500, 2_500, inside=True)), "100.00", "25.00"),
    "a discount": (session(item(10_000, 2_000, discount=2_000)), "80.00", "20.00"),
    "a discount with VAT inside": (session(item(12_500, 2_000, inside=True, discount=2_500)), "80.00", "20.00"),
    "several lines": (session(item(10_000, 2_500), item(333, 83)), "103.33", "25.83"),
    "shipping": (session(item(10_000, 2_500), shipping_cost=SHIPPED), "140.00", "35.00"),
}


@pytest.mark.parametrize("sale", SALES)
def test_net_and_vat_are_the_sessions_own(sale: str) -> None:
    told, net, vat = SALES[sale]
    plan = planned(told)
    assert isinstance(plan, PlannedDocument), plan
    assert (str(plan.document.predicted.net), str(plan.document.predicted.vat)) == (net, vat)
    assert (plan.document.key, plan.document.stripe_total) == ("stripe:ch_1", Decimal(told["amount_total"]) / 100)
    assert plan.document.fields["recipient.name"] == "Karen Blixen"


UNTOLD = {
    "another amount was paid": (session(item(10_000, 2_500)), 12_400, "comes to 125.00 DKK, and 124.00 DKK was paid"),
    "another currency": (session(item(10_000, 2_500), currency="eur"), None, "comes to 125.00 EUR, and 125.00 DKK was paid"),
    "tax without a rate": (session(item(10_000, 2_500, taxes=[])), None, "tax 25.00 DKK"),
    "tax that is neither on top nor inside": (session(item(10_000, 2_500, amount_total=11_000)), None, "total 110.00 DKK"),
    "lines that are not its total": (session(item(10_000, 2_500), amount_total=13_000), None, "come to 125.00 DKK"),
    "another tax in all": (session(item(10_000, 2_500), total_details={"amount_tax": 2_499}), None, "its total has 24.99 DKK"),
    "no lines": (session(line_items=None, amount_total=12_500), None, "without all its lines"),
    "lines that were not all read": (
        session(item(10_000, 2_500), line_items={"data": [item(10_000, 2_500)], "has_more": True}),
        None,
        "without all its lines",
    ),
    "shipping whose tax has no rate": (session(item(10_000, 2_500), shipping_cost=SHIPPING), None, "shipping"),
}


@pytest.mark.parametrize("fault", UNTOLD)
def test_what_the_amounts_do_not_say_is_held_and_never_guessed(fault: str) -> None:
    told, amount, words = UNTOLD[fault]
    plan = planned(told, amount)
    assert isinstance(plan, Hold), plan
    assert (plan.problem.code, words in plan.problem.message) == ("E-STRIPE-SUM", True), plan.problem.message


def test_a_session_that_may_not_be_read_or_makes_an_invoice_is_held() -> None:
    unread, invoicing = (
        {"id": "cs_1", "unread": True, "amount_total": 1},
        session(item(10_000), invoice_creation={"enabled": True}),
    )
    plans = [planned(one, 10_000) for one in (unread, invoicing)]
    assert [plan.problem.code for plan in plans if isinstance(plan, Hold)] == ["E-CONN-ROLE", "E-DEPENDENCY"]


def test_the_buyer_is_who_typed_and_what_was_not_asked_is_the_payments() -> None:
    typed = {"name": "Jens", "business_name": "Jens A/S", "address": None, "tax_exempt": "none"}
    sale = taken(session(item(10_000), customer_details=typed), shipping={"address": books.DK_ADDRESS}).sale
    assert sale is not None
    names = ("customer_name", "customer_address", "customer_shipping", "customer_tax_exempt", "customer_tax_ids")
    assert [sale.invoice[name] for name in names] == [
        "Jens A/S", books.DK_ADDRESS, {"address": books.DK_ADDRESS}, "none", [],
    ]  # fmt: skip


def test_a_vat_number_that_was_typed_and_is_proven_by_nobody_is_held() -> None:
    german = {"name": "Müller GmbH", "address": {"country": "DE"}, "tax_ids": [{"type": "eu_vat", "value": "DE136695976"}]}
    plan = planned(session(item(10_000), customer_details=german))
    assert isinstance(plan, Hold), plan
    assert plan.problem.code == "E-VAT-ID"
