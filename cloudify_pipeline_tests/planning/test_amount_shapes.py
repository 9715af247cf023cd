"""The invoices that are hard to post, one of each shape: what stands in the ledger, to the øre, or what it is held for."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from cloudify_pipeline.planning.plans import Hold, PlannedDocument, Skip
from cloudify_pipeline.planning.rules import DueDocument, due
from cloudify_pipeline.staging.sums import sum_fault
from cloudify_pipeline_tests.planning import books
from cloudify_pipeline_tests.planning.books import line, record, tax

ALL = {"no_product": "NONE", "discount_product": "DISC", "rounding_product": "ROUND"}
LINE = books.settings(products=ALL)
PRODUCT_LINE = books.settings(products=ALL, invoices={"discounts": "product_line"})
FREE = replace(books.PLANNED_PRODUCT, stripe_id="prod_F", number="F-1", group=books.VAT_FREE)
PRODUCTS = {"prod_A": books.PLANNED_PRODUCT, "prod_F": FREE}


def taxed(amount: int, *discounts: tuple[str, int], own: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    """A line with 25 % on what its discounts leave."""
    left = amount - sum(taken for _, taken in discounts)
    vat = (abs(left) * 25 + 50) // 100 * (1 if left >= 0 else -1)
    given = [{"amount": taken, "discount": name} for name, taken in discounts]
    return line(amount, unit=abs(amount), discount_amounts=given, discounts=list(own), taxes=[tax(vat, left)], **more)


def untaxed(amount: int, **more: Any) -> dict[str, Any]:
    return line(amount, product="prod_F", taxes=[tax(0, amount, rate="txr_0")], **more)


# Name, lines, rest of the invoice, nets with discounts in the lines, nets with the discount as a line, gross.
SHAPES: list[tuple[str, list[dict[str, Any]], dict[str, Any], list[str], list[str], str]] = [
    ("a percentage", [taxed(29900, ("di_10", 2990))], {}, ["269.10"], ["299.00", "-29.90"], "336.38"),
    ("an amount", [taxed(89900, ("di_100", 10000))], {}, ["799.00"], ["899.00", "-100.00"], "998.75"),
    (
        "several on the invoice",
        [taxed(29900, ("di_10", 2990), ("di_62", 4990)), taxed(10000, ("di_10", 1000), ("di_62", 1248))],
        {},
        ["219.20", "77.52"],
        ["299.00", "100.00", "-102.28"],
        "370.90",
    ),
    (
        "on a line and on the invoice",
        [taxed(29900, ("di_line", 5980), ("di_10", 2392), own=("di_line",)), taxed(10000, ("di_10", 1000))],
        {},
        ["215.28", "90.00"],
        ["239.20", "100.00", "-33.92"],
        "381.60",
    ),
    (
        "several on one line",
        [taxed(29900, ("di_line", 2990), ("di_10kr", 1000), own=("di_line", "di_10kr"))],
        {},
        ["259.10"],
        ["259.10"],
        "323.88",
    ),
    (
        "with the tax inside",
        [
            line(
                12500,
                unit=12500,
                discount_amounts=[{"amount": 1250, "discount": "di_10"}],
                taxes=[tax(2250, 9000, rate="txr_25i", inclusive=True)],
            )
        ],
        {},
        ["90.00"],
        ["100.00", "-10.00"],
        "112.50",
    ),
    (
        "100 % of the lines, and shipping is left",
        [taxed(10000, ("di_free", 10000)), taxed(2500, ("di_free", 2500))],
        {"shipping_cost": {"amount_subtotal": 4900, "amount_tax": 1225, "amount_total": 6125, "taxes": [tax(1225, 4900)]}},
        ["0", "0", "49.00"],
        ["100.00", "25.00", "49.00", "-125.00"],
        "61.25",
    ),
    (
        "all of one line",
        [taxed(29900, ("di_free", 29900)), taxed(10000)],
        {},
        ["0", "100.00"],
        ["299.00", "100.00", "-299.00"],
        "125.00",
    ),
    (
        "proration",
        [taxed(-15000, description="Unused time"), taxed(45000, description="Remaining time"), taxed(89900)],
        {},
        ["-150.00", "450.00", "899.00"],
        ["-150.00", "450.00", "899.00"],
        "1498.75",
    ),
    (
        "mixed rates",
        [taxed(10000), untaxed(45000)],
        {},
        ["100.00", "450.00"],
        ["100.00", "450.00"],
        "575.00",
    ),
    (
        "a discount over mixed rates stays in the lines",
        [taxed(10000, ("di_10", 1000)), untaxed(45000, discount_amounts=[{"amount": 4500, "discount": "di_10"}])],
        {},
        ["90.00", "405.00"],
        ["90.00", "405.00"],
        "517.50",
    ),
    (
        "shipping with tax",
        [taxed(10000)],
        {"shipping_cost": {"amount_subtotal": 4900, "amount_tax": 1225, "amount_total": 6125, "taxes": [tax(1225, 4900)]}},
        ["100.00", "49.00"],
        ["100.00", "49.00"],
        "186.25",
    ),
    (
        "shipping with its tax inside",
        [taxed(10000)],
        {
            "shipping_cost": {
                "amount_subtotal": 4900,
                "amount_tax": 980,
                "amount_total": 4900,
                "taxes": [tax(980, 3920, rate="txr_25i", inclusive=True)],
            }
        },
        ["100.00", "39.20"],
        ["100.00", "39.20"],
        "174.00",
    ),
    (
        # The customer's credit is payment: it lowers what is due, not what was sold.
        "credit balance",
        [taxed(10000)],
        {"starting_balance": -5000, "ending_balance": 0, "amount_due": 7500},
        ["100.00"],
        ["100.00"],
        "125.00",
    ),
    (
        "a credit balance that pays it all",
        [taxed(10000)],
        {"starting_balance": -20000, "ending_balance": -7500, "amount_due": 0},
        ["100.00"],
        ["100.00"],
        "125.00",
    ),
    (
        "shipping of goods at two rates",
        [untaxed(45000), taxed(10000)],
        {"shipping_cost": {"amount_subtotal": 4900, "amount_tax": 1225, "amount_total": 6125, "taxes": [tax(1225, 4900)]}},
        ["450.00", "100.00", "49.00"],
        ["450.00", "100.00", "49.00"],
        "636.25",
    ),
    (
        "below zero at two rates",
        [taxed(-45000, description="Unused time"), untaxed(-10000), taxed(10000)],
        {"amount_due": 0, "ending_balance": -53750},
        ["-450.00", "-100.00", "100.00"],
        ["-450.00", "-100.00", "100.00"],
        "-537.50",
    ),
    (
        "below zero",
        [taxed(-45000, description="Unused time"), taxed(10000)],
        {"amount_due": 0, "ending_balance": -43750},
        ["-450.00", "100.00"],
        ["-450.00", "100.00"],
        "-437.50",
    ),
]


@pytest.mark.parametrize(
    ("lines", "rest", "in_lines", "as_line", "gross"), [one[1:] for one in SHAPES], ids=[one[0] for one in SHAPES]
)
def test_a_shape(lines: list[dict[str, Any]], rest: dict[str, Any], in_lines: list[str], as_line: list[str], gross: str) -> None:
    lines = [{**one, "id": f"il_{n}"} for n, one in enumerate(lines)]
    for connection, nets in ((LINE, in_lines), (PRODUCT_LINE, as_line)):
        planned = books.plan(record(lines, **rest), connection, products=PRODUCTS)
        assert isinstance(planned, PlannedDocument), planned
        document = planned.document
        assert [str(one.net) for one in document.lines] == nets
        assert str(document.predicted.gross) == str(document.stripe_total) == gross
        for one in document.lines:
            assert one.unit_price >= 0, "what goes back is a negative quantity"


def test_the_discount_is_stripes_to_the_oere_either_way() -> None:
    lines = [taxed(999, ("di_33", 330), id="il_1"), taxed(1999, ("di_33", 660), id="il_2")]
    sums = []
    for connection in (LINE, PRODUCT_LINE):
        planned = books.plan(record(lines), connection)
        assert isinstance(planned, PlannedDocument)
        sums.append(sum(one.net for one in planned.document.lines))
    assert sums == [Decimal("20.08"), Decimal("20.08")]


def test_a_discount_that_its_product_would_tax_otherwise_stays_in_the_lines() -> None:
    lines = [untaxed(45000, discount_amounts=[{"amount": 4500, "discount": "di_10"}])]
    planned = books.plan(record(lines), PRODUCT_LINE, products=PRODUCTS)
    assert isinstance(planned, PlannedDocument)
    assert [str(one.net) for one in planned.document.lines] == ["405.00"]
    (why,) = [one for one in planned.evidence if one.decision == "discount"]
    assert "Stripe charged 0 % VAT, the ledger will use 25 %" in why.inputs["because"]


def test_a_discount_whose_line_would_need_a_correction_stays_in_the_lines() -> None:
    """Rounded by line, 0.13 and −0.03 bear 0.03 and −0.01 of VAT; Stripe has 0.03 on the 0.10 that is left."""
    lines = [taxed(13, ("di_3", 3))]
    for rounding, nets in (("per_document", ["0.13", "-0.03"]), ("per_line", ["0.10"])):
        more = {"discounts": "product_line", "rounding": {"vat": rounding}}
        planned = books.plan(record(lines), books.settings(products=ALL, invoices=more))
        assert isinstance(planned, PlannedDocument)
        assert [str(one.net) for one in planned.document.lines] == nets


@pytest.mark.parametrize(
    "lines",
    [[taxed(29900, ("di_free", 29900))], [taxed(-10000), taxed(10000, id="il_2")], [line(0, unit=0)]],
    ids=["100 %", "evens out", "free"],
)
def test_nothing_is_due_for_nothing(lines: list[dict[str, Any]]) -> None:
    skipped = due(record(lines, total=0), LINE)
    assert isinstance(skipped, Skip)
    assert skipped.code == "S-ZERO"


def test_an_order_cannot_be_negative() -> None:
    below = record([taxed(-45000)])
    assert isinstance(due(below, LINE), DueDocument)
    held = books.plan(below, LINE, as_kind="draft_order")
    assert isinstance(held, Hold)
    assert held.problem.code == "E-NEGATIVE"
    assert "an order cannot be negative" in held.problem.message
    planned = books.plan(below, LINE)
    assert isinstance(planned, PlannedDocument)
    assert (planned.document.kind, str(planned.document.lines[0].quantity)) == ("booked_invoice", "-1")


def test_a_hundred_and_fifty_lines_with_vat_add_up() -> None:
    lines = [taxed(400 + 4 * n, id=f"il_{n}") for n in range(150)]
    planned = books.plan(record(lines), LINE)
    assert isinstance(planned, PlannedDocument)
    assert len(planned.document.lines) == 150
    assert str(planned.document.predicted.gross) == "1308.75"


@pytest.mark.parametrize(
    ("currency", "lines", "ending"),
    [
        ("jpy", [line(5000, unit=5000)], "5000"),
        ("isk", [line(50000, unit=50000)], "500.00"),
        ("kwd", [line(12340, unit=12340)], "12.34"),
        ("kwd", [line(12345, unit=12345)], "E-CURRENCY-DECIMALS"),
        ("kwd", [line(12340, unit=12340, taxes=[tax(3085, 12340)])], "E-CURRENCY-DECIMALS"),
        ("usd", [line(1, unit=1)], "0.01"),
        ("pln", [line(100, unit=100)], "E-CURRENCY"),
    ],
)
def test_a_currency(currency: str, lines: list[dict[str, Any]], ending: str) -> None:
    planned = books.plan(record(lines, currency=currency, customer_address=books.US_ADDRESS), LINE, also=frozenset({"ISK"}))
    if isinstance(planned, Hold):
        assert planned.problem.code == ending
        assert currency.upper() in planned.problem.message
    else:
        assert isinstance(planned, PlannedDocument)
        assert planned.document.predicted.gross == Decimal(ending) == planned.document.stripe_total


@pytest.mark.parametrize(
    ("tolerance", "ending"), [("0.05", "0.25 is over invoices.rounding.tolerance (0.05)"), ("1", ["39.00", "0.25"])]
)
def test_a_currency_without_decimals_has_vat_in_whole_units_and_the_ledger_has_not(tolerance: str, ending: Any) -> None:
    """39 yen bear 10 of VAT at Stripe and 9.75 in the ledger."""
    connection = books.settings(products=ALL, invoices={"rounding": {"tolerance": tolerance}})
    planned = books.plan(record([line(39, unit=39, taxes=[tax(10, 39)])], currency="jpy"), connection)
    if isinstance(ending, str):
        assert isinstance(planned, Hold)
        assert planned.problem.message.endswith(ending)
    else:
        assert isinstance(planned, PlannedDocument)
        assert [str(one.net) for one in planned.document.lines] == ending
        assert planned.document.predicted.gross == planned.document.stripe_total == 49


def test_prediction_and_stripe_are_shown_per_rate() -> None:
    planned = books.plan(record([taxed(10000), untaxed(45000, id="il_2")]), LINE, products=PRODUCTS)
    assert isinstance(planned, PlannedDocument)
    (totals,) = [one for one in planned.evidence if one.decision == "totals"]
    assert totals.inputs == {
        "net": "550.00",
        "vat": "25.00",
        "stripe_vat": "25.00",
        "0 %": "VAT 0.00, Stripe 0.00",
        "25 %": "VAT 25.00, Stripe 25.00",
        "vat_rounding": "per_document",
    }


def grants(*amounts: int) -> list[dict[str, Any]]:
    """What credit grants take off before tax, beside a discount that Stripe lists with them."""
    taken = [
        {"amount": one, "credit_balance_transaction": "cbtxn_1", "discount": None, "type": "credit_balance_transaction"}
        for one in amounts
    ]
    return [*taken, {"amount": 1_000, "credit_balance_transaction": None, "discount": "di_10", "type": "discount"}]


def credited(amount: int, grant: int, *, inside: bool = False, discount: int = 0) -> dict[str, Any]:
    """A line that a credit grant lowers before its tax is computed."""
    left = amount - discount - grant
    vat = (left * 2 * 25 + 125) // 250 if inside else (left * 25 + 50) // 100
    rate = "txr_25i" if inside else "txr_25"
    taxes = [tax(vat, left - vat if inside else left, rate=rate, inclusive=inside)]
    given = [{"amount": discount, "discount": "di_10"}] if discount else []
    return line(amount, unit=amount, taxes=taxes, discount_amounts=given, pretax_credit_amounts=grants(grant))


@pytest.mark.parametrize(
    ("lines", "total", "nets", "gross"),
    [
        ([credited(100_000, 30_000)], 87_500, ["700.00"], "875.00"),
        ([credited(10_000, 10_000), taxed(5_000, id="il_2")], 6_250, ["0", "50.00"], "62.50"),
        ([credited(100_000, 30_000, discount=10_000)], 75_000, ["600.00"], "750.00"),
        ([credited(12_500, 2_500, inside=True)], 10_000, ["80.00"], "100.00"),
        # Where Stripe's total is without them, they are payment and lower nothing.
        ([taxed(100_000, pretax_credit_amounts=grants(30_000))], 125_000, ["1000.00"], "1250.00"),
    ],
    ids=["on top", "a whole line", "beside a discount", "inside", "as payment"],
)
def test_billing_credits_lower_the_lines_to_stripes_total(
    lines: list[dict[str, Any]], total: int, nets: list[str], gross: str
) -> None:
    listed = [one for each in lines for one in each.get("pretax_credit_amounts") or ()]
    sold = record(lines, total=total, total_pretax_credit_amounts=listed)
    planned = books.plan(sold, LINE, products=PRODUCTS)
    assert isinstance(planned, PlannedDocument), planned
    assert [str(one.net) for one in planned.document.lines] == nets
    assert str(planned.document.predicted.gross) == str(planned.document.stripe_total) == gross
    on_top = [one for each in lines for one in each["taxes"]]
    invoice = {
        **sold.invoice,
        "total_taxes": on_top,
        "total_discount_amounts": [d for each in lines for d in each["discount_amounts"]],
    }
    assert sum_fault(invoice) is None


def test_billing_credits_that_do_not_add_up_are_held_by_name() -> None:
    held = books.plan(record([credited(100_000, 30_000)], total=90_000), LINE)
    assert isinstance(held, Hold)
    assert held.problem.code == "E-STRIPE-SUM"
    assert sum_fault({**record([credited(100_000, 30_000)], total=90_000).invoice}) is not None
