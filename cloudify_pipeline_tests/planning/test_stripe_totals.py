"""Whatever Stripe computed: the ledger's predicted gross is Stripe's total to the minor unit, or the document is held."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudify_pipeline.accounting.money import from_minor, round_half_up, to_minor
from cloudify_pipeline.catalogue import CATALOGUE
from cloudify_pipeline.planning.plans import Hold, PlannedDocument, Skip
from cloudify_pipeline.planning.records import InvoiceRecord
from cloudify_pipeline.planning.rules import DueDocument, due
from cloudify_pipeline_tests.planning import books

HOLDS = {"E-TOTAL", "E-DECIMALS", "E-NEGATIVE"}


def _half_up(amount: Decimal) -> int:
    return int(round_half_up(amount, 0))


@st.composite
def invoices(draw: st.DrawFn) -> InvoiceRecord:
    """Invoices of several lines as Stripe computes them: tax rounded per line, discounts allocated, amounts in minor units."""
    currency = draw(st.sampled_from(["dkk", "eur", "usd", "jpy", "kwd"]))
    danish, inclusive = draw(st.booleans()), draw(st.booleans())
    lines = []
    for index in range(draw(st.integers(1, 5))):
        unit = draw(st.decimals("0.01", "50000", places=draw(st.sampled_from([0, 2, 6]))))
        quantity = draw(
            st.one_of(st.integers(0, 120).map(Decimal), st.decimals("0.01", "20", places=draw(st.sampled_from([1, 2, 3]))))
        )
        amount = _half_up(unit * quantity) * draw(st.sampled_from([1, 1, 1, -1]))
        if currency == "kwd":
            amount -= amount % 10
        discount = _half_up(abs(amount) * Decimal(draw(st.sampled_from([0, 0, 10, 33, 100]))) / 100) if amount > 0 else 0
        taxable = amount - discount
        taxes = []
        if danish and inclusive:
            vat = _half_up(Decimal(taxable) * 25 / 125)
            taxes = [books.tax(vat, taxable - vat, rate="txr_25i", inclusive=True)]
        elif danish:
            taxes = [books.tax(_half_up(Decimal(taxable) * 25 / 100), taxable)]
        lines.append(
            books.line(
                amount,
                id=f"il_{index}",
                unit=unit,
                quantity=int(quantity),
                quantity_decimal=str(quantity),
                discount_amounts=[{"amount": discount, "discount": "di_1"}] if discount else [],
                taxes=taxes,
            )
        )
    address = books.DK_ADDRESS if danish else books.US_ADDRESS
    return books.record(lines, currency=currency, customer_address=address)


@settings(max_examples=400, deadline=None)
@given(record=invoices(), discounts=st.sampled_from(["line", "product_line"]), correct=st.booleans())
def test_the_total_is_stripes_or_the_document_is_held(record: InvoiceRecord, discounts: str, correct: bool) -> None:
    connection = books.settings(
        invoices={"discounts": discounts}, products={"discount_product": "DISC", "rounding_product": "ROUND" if correct else None}
    )
    planned = books.plan(record, connection)
    if isinstance(planned, Hold):
        assert planned.problem.code in HOLDS, planned.problem
        return
    assert isinstance(planned, PlannedDocument)
    document = planned.document
    assert document.predicted.gross == document.stripe_total == from_minor(record.total_minor, record.currency)
    assert to_minor(document.predicted.gross, record.currency) == record.total_minor
    for one in document.lines:
        assert round_half_up(one.quantity * one.unit_price) == one.net
        assert round_half_up(one.quantity) == one.quantity
        assert round_half_up(one.unit_price) == one.unit_price >= 0


@settings(max_examples=200, deadline=None)
@given(amounts=st.lists(st.integers(1, 10_000_000), min_size=1, max_size=4), currency=st.sampled_from(["dkk", "eur", "jpy"]))
def test_without_vat_nothing_is_ever_held(amounts: list[int], currency: str) -> None:
    lines = [books.line(amount, id=f"il_{index}") for index, amount in enumerate(amounts)]
    planned = books.plan(books.record(lines, currency=currency, customer_address=books.US_ADDRESS))
    assert isinstance(planned, PlannedDocument)


RECORDED = [
    "02-new-2026-03-25.dahlia-paid.json",
    "03-new-2025-10-29.clover-simple.json",
    "04-new-2025-10-29.clover-proration-negline-payments.json",
    "05-new-2025-10-29.clover-proration-swap-and-invoice.json",
    "07-new-2025-10-29.clover-discount-50pct.json",
    "08-both-2025-discounts-line-and-invoice-exclusive-tax.json",
    "10-both-2022-11-15-event-eur-recorded-2026.json",
]


def _recorded(folder: Path, name: str, **changed: Any) -> InvoiceRecord:
    found = json.loads((folder / name).read_text(), parse_float=Decimal)
    invoice = found["data"]["object"] if found["object"] == "event" else found
    rates = {"txr_1REBcPKXBGcbgpbZad52Yd7V": {"percentage": Decimal("7.95")}}
    products: dict[str, Any] = {line["pricing"]["price_details"]["product"]: {} for line in invoice["lines"]["data"]}
    return InvoiceRecord({**invoice, **changed}, None, products, {}, rates, None)


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_invoices_are_planned_or_held_for_a_named_reason(name: str, shared: Any) -> None:
    folder = shared("fixtures/stripe/invoices")
    for changed in ({}, {"customer_address": books.US_ADDRESS}):
        record = _recorded(folder, name, **changed)
        assert isinstance(due(record, books.settings()), DueDocument)
        product = {key: books.replace_product(key) for key in record.products}
        planned = books.plan(record, products=product)
        if isinstance(planned, PlannedDocument):
            assert planned.document.predicted.gross == planned.document.stripe_total == record.total
        else:
            assert isinstance(planned, Hold)
            assert planned.problem.code in CATALOGUE
            assert planned.problem.code in {"E-VAT-ZONE", "E-VAT-RATE"}


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("02-new-2026-03-25.dahlia-paid.json", ["10.00"]),
        ("04-new-2025-10-29.clover-proration-negline-payments.json", ["-25.00", "250.00"]),
        ("07-new-2025-10-29.clover-discount-50pct.json", ["9.50"]),
    ],
)
def test_recorded_invoices_to_a_buyer_abroad(name: str, lines: list[str], shared: Any) -> None:
    record = _recorded(shared("fixtures/stripe/invoices"), name, customer_address=books.US_ADDRESS, effective_at=books.NOV)
    planned = books.plan(record, products={key: books.replace_product(key) for key in record.products})
    assert isinstance(planned, PlannedDocument), planned
    assert [str(one.net) for one in planned.document.lines] == lines


def test_american_sales_tax_is_not_silently_dropped(shared: Any) -> None:
    record = _recorded(shared("fixtures/stripe/invoices"), RECORDED[5])
    held = books.plan(record, products={key: books.replace_product(key) for key in record.products})
    assert isinstance(held, Hold)
    assert held.problem.code == "E-VAT-RATE"
    assert "7.95 %" in held.problem.message


@pytest.mark.parametrize("name", ["01-new-2026-03-25.dahlia-draft.json", "06-new-2025-10-29.clover-draft-zero-nolines.json"])
def test_recorded_drafts_are_not_due(name: str, shared: Any) -> None:
    skipped = due(_recorded(shared("fixtures/stripe/invoices"), name), books.settings())
    assert isinstance(skipped, Skip)
    assert skipped.code == "S-NOT-DUE"
