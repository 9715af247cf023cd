"""Amounts that are hard to post, through a whole sync into the embedded ledger: what is booked is Stripe's total to the øre."""

from datetime import timedelta
from decimal import Decimal
from typing import Literal

import pytest

from cloudify_pipeline.sandbox.economic.demo_agreement import DISCOUNT_PRODUCT, ROUNDING_PRODUCT
from cloudify_pipeline.sandbox.stripe.invoices import Line
from cloudify_pipeline_tests.whole_runs.conftest import Company

Rounding = Literal["per_document", "per_line"]


def product(company: Company) -> str:
    return str(company.sandbox.stripe.get("price", company.price)["product"])


def gross(company: Company, invoice: str) -> Decimal:
    kind, amount = company.documents()[f"stripe:{invoice}"]
    assert kind == "booked_invoice"
    return amount


@pytest.mark.parametrize("rounding", ["per_document", "per_line"])
def test_prices_with_vat_inside_are_booked_to_the_oere(company: Company, rounding: Rounding) -> None:
    company.sandbox.economic.vat_rounding = rounding
    company.configure(products={"rounding_product": ROUNDING_PRODUCT}, invoices={"rounding": {"vat": rounding}})
    inside = company.sandbox.stripe.add_tax_rate(25, at=company.now - timedelta(days=2), inclusive=True)
    sold = {(7, 4999): "349.93", (100, 99): "99.00", (3, 4999): "149.97", (10, 1299): "129.90", (1, 4997): "49.97"}
    expected = {}
    for (quantity, unit), total in sold.items():
        line = Line(product=product(company), unit_amount=Decimal(unit), quantity=quantity)
        expected[company.pay(company.invoice(company.customer(total), lines=[line], tax_rates=[inside]))] = Decimal(total)
    several = [Line(product=product(company), unit_amount=Decimal(unit), quantity=count) for count, unit in sold]
    expected[company.pay(company.invoice(company.customer("Alle"), lines=several, tax_rates=[inside]))] = Decimal("778.77")
    company.sync()
    assert {invoice: gross(company, invoice) for invoice in expected} == expected


def test_an_invoice_below_zero_is_booked_as_a_credit_note(company: Company) -> None:
    lines = [
        Line(company.price, amount=-45_000, description="Unused time", proration=True),
        Line(company.price, amount=10_000, description="Remaining time", proration=True),
    ]
    invoice = company.invoice(company.customer(), lines=lines)
    assert company.sandbox.stripe.invoice(invoice)["status"] == "paid"
    company.sync()
    assert gross(company, invoice) == Decimal("-437.50")
    assert company.sync().writes == [], "it is posted once"


@pytest.mark.parametrize("discounts", ["line", "product_line"])
def test_more_lines_than_stripe_lists_at_once_with_a_discount_on_all(company: Company, discounts: str) -> None:
    """130 lines of 4.00 to 520.00 less a tenth: 34,060.00 − 3,406.00, and a quarter of that in VAT."""
    coupon = company.sandbox.stripe.add_coupon("Ti procent", at=company.now - timedelta(days=2), percent=10)
    company.configure(products={"discount_product": DISCOUNT_PRODUCT}, invoices={"discounts": discounts})
    lines = [Line(product=product(company), unit_amount=Decimal(400 * n), description=f"Del {n}") for n in range(1, 131)]
    invoice = company.pay(company.invoice(company.customer(), lines=lines, discounts=[coupon]))
    run = company.sync()
    assert run.codes() == {}
    assert gross(company, invoice) == Decimal("38317.50")
    (document,) = company.sandbox.economic.booked()
    assert len(document["lines"]) == 130 + (discounts == "product_line")


def test_a_credit_balance_pays_and_lowers_nothing(company: Company) -> None:
    invoice = company.invoice(company.customer(balance=-5_000))
    assert company.sandbox.stripe.invoice(invoice)["amount_due"] == 7_500
    company.pay(invoice)
    company.sync()
    assert gross(company, invoice) == Decimal("125.00")


def test_lines_that_only_a_ledger_rounding_by_line_adds_up(company: Company) -> None:
    """Three times ten øre: Stripe and such a ledger have 0.09 of VAT, one that rounds the sum has 0.08."""
    company.sandbox.economic.vat_rounding = "per_line"
    company.configure(invoices={"rounding": {"vat": "per_line"}})
    price = company.sandbox.stripe.add_price(product(company), 10, at=company.now - timedelta(days=2))
    invoice = company.pay(company.invoice(company.customer(), lines=[Line(price, description=f"Del {n}") for n in range(3)]))
    company.sync()
    assert gross(company, invoice) == Decimal("0.39")


def test_a_wrong_word_about_the_rounding_is_found_out_before_booking(company: Company) -> None:
    """The file says by line and the ledger rounds the sum: the draft's answer differs, and it is not booked."""
    company.configure(invoices={"rounding": {"vat": "per_line"}})
    price = company.sandbox.stripe.add_price(product(company), 10, at=company.now - timedelta(days=2))
    invoice = company.pay(company.invoice(company.customer(), lines=[Line(price, description=f"Del {n}") for n in range(3)]))
    run = company.sync()
    assert run.codes()[invoice] == "E-TOTAL"
    assert company.documents() == {f"stripe:{invoice}": ("draft_invoice", Decimal("0.38"))}


def test_the_ledgers_answer_teaches_where_it_rounds(company: Company) -> None:
    company.sandbox.economic.vat_rounding = "per_line"
    company.configure(products={"rounding_product": ROUNDING_PRODUCT})
    price = company.sandbox.stripe.add_price(product(company), 10, at=company.now - timedelta(days=2))
    lines = [Line(price, description=f"Del {n}") for n in range(3)]
    first = company.pay(company.invoice(company.customer(), lines=lines))
    run = company.sync()
    assert run.codes()[first] == "E-TOTAL"
    assert company.documents() == {f"stripe:{first}": ("draft_invoice", Decimal("0.40"))}
    company.now += timedelta(days=1)
    second = company.pay(company.invoice(company.customer("To"), lines=lines))
    company.sync()
    assert gross(company, second) == Decimal("0.39")
    assert gross(company, first) == Decimal("0.39")
