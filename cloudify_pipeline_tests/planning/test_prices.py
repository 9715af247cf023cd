from decimal import Decimal
from typing import Any

import pytest

from cloudify_pipeline.errors import Problem
from cloudify_pipeline.planning.prices import PricedLine, price_lines, two_decimals
from cloudify_pipeline.planning.stripe_amounts import stripe_totals
from cloudify_pipeline_tests.planning.books import line, record, tax


def priced(*lines: dict[str, Any], discounts: str = "line", **more: Any) -> tuple[PricedLine, ...]:
    found = price_lines(record(lines, **more), discounts=discounts)
    assert not isinstance(found, Problem), found
    return found


def shown(one: PricedLine) -> tuple[str, str, str]:
    return str(one.quantity), str(one.unit_price), str(one.net)


@pytest.mark.parametrize(
    ("net", "quantity", "stated", "price"),
    [
        ("29.00", "1", "29", ("1", "29")),
        ("149.97", "3", "49.99", ("3", "49.99")),
        ("100.00", "3", None, None),
        ("134.97", "3", "49.99", ("3", "44.99")),
        ("0.30", "3", "0.1", ("3", "0.1")),
        ("12.35", "1000", "0.01235", None),
        ("1.38", "1.12", "1.23", ("1.12", "1.23")),
        ("0.02", "1.50", "0.01", None),  # 0.015 lies half-way: up or to even is not documented
        ("10.00", "0.333", None, None),
        ("-25.00", "1", None, ("-1", "25.00")),
        ("-25.00", "2", "-12.5", ("-2", "12.5")),
        ("5.00", "0", None, None),
    ],
)
def test_two_decimal_prices(net: str, quantity: str, stated: str | None, price: tuple[str, str] | None) -> None:
    found = two_decimals(Decimal(net), Decimal(quantity), None if stated is None else Decimal(stated))
    assert (None if found is None else tuple(map(Decimal, price or ()))) == found


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([line(17400, quantity=6, unit=2900)], ("6", "29.00", "174.00")),
        ([line(10000, quantity=3, unit="3333.333333333")], ("1", "100.00", "100.00")),
        ([line(250, quantity=1, quantity_decimal="2.5", unit=100)], ("2.5", "1.00", "2.50")),
        ([line(-2500)], ("-1", "25.00", "-25.00")),
        ([line(4999, taxes=[tax(1000, 3999, rate="txr_25i", inclusive=True)], unit=4999)], ("1", "39.99", "39.99")),
        (
            [line(14997, quantity=3, unit=4999, taxes=[tax(2999, 11998, rate="txr_25i", inclusive=True)])],
            ("1", "119.98", "119.98"),
        ),
        ([line(8700, quantity=3, unit=2900, discount_amounts=[{"amount": 1653, "discount": "di"}])], ("3", "23.49", "70.47")),
        ([line(1000, discount_amounts=[{"amount": 1000, "discount": "di"}])], ("0", "0", "0.00")),
    ],
)
def test_one_line(lines: list[dict[str, Any]], expected: tuple[str, str, str]) -> None:
    (one,) = priced(*lines)
    assert tuple(map(Decimal, shown(one))) == tuple(map(Decimal, expected))


def test_a_line_that_no_price_fits_says_its_quantity_and_price_in_words() -> None:
    (odd,) = priced(line(10000, quantity=3, unit="3333.333333"))
    assert odd.in_words == "3 × 33.33333333 DKK"
    (inside,) = priced(line(14997, quantity=3, unit=4999, taxes=[tax(2999, 11998, rate="txr_25i", inclusive=True)]))
    assert inside.in_words == "3 × 49.99 DKK incl. VAT"
    assert inside.evidence[0].decision == "rounding"


@pytest.mark.parametrize(
    ("currency", "amount", "net"),
    [("jpy", 5000, "5000"), ("isk", 500, "5.00"), ("kwd", 12340, "12.34"), ("kwd", 12345, None), ("usd", 1, "0.01")],
)
def test_currencies_with_other_decimals(currency: str, amount: int, net: str | None) -> None:
    found = price_lines(record([line(amount)], currency=currency))
    if net is None:
        assert isinstance(found, Problem)
        assert found.code == "E-CURRENCY-DECIMALS"
    else:
        assert not isinstance(found, Problem)
        assert found[0].net == Decimal(net)


BOTH_DISCOUNTS = [
    line(
        17400,
        id="il_1",
        quantity=6,
        unit=2900,
        discount_amounts=[{"amount": 1740, "discount": "di_inv"}],
        taxes=[tax(3915, 15660)],
    ),
    line(
        8700,
        id="il_2",
        quantity=3,
        unit=2900,
        discounts=["di_line"],
        discount_amounts=[{"amount": 870, "discount": "di_line"}, {"amount": 783, "discount": "di_inv"}],
        taxes=[tax(1762, 7047)],
    ),
]
COUPON = {"id": "di_inv", "source": {"coupon": {"id": "10OFF", "name": "10% Off"}}}


def test_discounts_lower_the_lines_that_stripe_allocated_them_to() -> None:
    assert [shown(one) for one in priced(*BOTH_DISCOUNTS)] == [("6", "26.10", "156.60"), ("3", "23.49", "70.47")]


def test_the_invoices_discount_can_be_a_line_and_the_lines_keep_their_own() -> None:
    lines = priced(*BOTH_DISCOUNTS, discounts="product_line")
    assert [str(one.net) for one in lines] == ["174.00", "78.30", "-25.23"]
    assert (lines[2].role, shown(lines[2])) == ("discount", ("-1", "25.23", "-25.23"))
    named = price_lines(record(BOTH_DISCOUNTS, discounts=[COUPON]), discounts="product_line")
    assert not isinstance(named, Problem)
    assert named[2].description == "Discount 10% Off"


def test_a_discount_that_one_line_cannot_carry_stays_in_the_lines() -> None:
    first = line(1000, discount_amounts=[{"amount": 100, "discount": "di_inv"}], taxes=[tax(225, 900)])
    second = line(1000, discount_amounts=[{"amount": 100, "discount": "di_inv"}], taxes=[tax(0, 900, rate="txr_0")])
    lines = priced(first, second, discounts="product_line")
    assert [str(one.net) for one in lines] == ["9.00", "9.00"]
    assert lines[0].evidence[0].rule == "product_line not possible"
    # A line that the discount does not touch may have any rate.
    untouched = line(1000, taxes=[tax(0, 1000, rate="txr_0")])
    assert [str(one.net) for one in priced(first, untouched, discounts="product_line")] == ["10.00", "10.00", "-1.00"]


def test_a_discount_with_its_tax_inside_is_what_it_takes_off_the_net() -> None:
    inside = line(
        1250, discount_amounts=[{"amount": 125, "discount": "di_inv"}], taxes=[tax(225, 900, rate="txr_25i", inclusive=True)]
    )
    on_top = line(1000, discount_amounts=[{"amount": 100, "discount": "di_inv"}], taxes=[tax(225, 900)])
    assert [str(one.net) for one in priced(on_top, inside, discounts="product_line")] == ["10.00", "10.00", "-2.00"]
    # 9.99 is 7.99 without tax; a third of it off leaves 6.66, which is 5.33: the discount is the 2.66 between them.
    odd = line(
        999, discount_amounts=[{"amount": 333, "discount": "di_inv"}], taxes=[tax(133, 533, rate="txr_25i", inclusive=True)]
    )
    assert [str(one.net) for one in priced(odd, discounts="product_line")] == ["7.99", "-2.66"]


def test_a_line_in_words_tells_its_discount() -> None:
    (odd,) = priced(line(10000, quantity=3, unit="3333.333333", discount_amounts=[{"amount": 50, "discount": "di"}]))
    assert (odd.in_words, str(odd.net)) == ("3 × 33.33333333 DKK, less 0.50", "99.50")


def test_shipping_is_a_line_without_a_product() -> None:
    cost = {"amount_subtotal": 4900, "amount_tax": 1225, "amount_total": 6125, "taxes": [tax(1225, 4900)]}
    lines = priced(line(10000, taxes=[tax(2500, 10000)]), shipping_cost=cost)
    assert (lines[1].role, lines[1].product, str(lines[1].net), str(lines[1].tax_amount)) == ("shipping", None, "49.00", "12.25")


@pytest.mark.parametrize(
    ("taxes", "rate"),
    [
        ([], "0"),
        ([tax(2500, 10000)], "25"),
        ([tax(0, 10000, reason="reverse_charge")], "0"),
        ([tax(0, 1)], "25"),
        ([tax(0, 2)], "0"),
        ([tax(0, 2, rate="txr_25i", inclusive=True)], "25"),
        ([tax(0, 0)], "25"),
        ([tax(0, 0, reason="reverse_charge")], "0"),
        ([tax(0, 1, reason="reverse_charge")], "0"),
        ([tax(700, 10000, rate="txr_gone")], None),
        ([tax(2500, 10000), tax(2000, 10000, rate="txr_20")], "45"),
    ],
)
def test_stripes_own_rate(taxes: list[dict[str, Any]], rate: str | None) -> None:
    assert priced(line(10000, taxes=taxes))[0].tax_rate == (None if rate is None else Decimal(rate))


def test_a_line_without_text_takes_its_products_name() -> None:
    assert priced(line(1000, description=None))[0].description == "Pro plan"


def test_stripes_totals_add_up_or_are_held() -> None:
    good = stripe_totals(record(BOTH_DISCOUNTS))
    assert not isinstance(good, Problem)
    assert (str(good.totals.net), str(good.totals.vat), str(good.totals.gross)) == ("227.07", "56.77", "283.84")
    bad = stripe_totals(record([line(10000)], total=10001))
    assert isinstance(bad, Problem)
    assert bad.code == "E-STRIPE-SUM"
    assert "100.01" in bad.message


def test_tax_in_the_shape_of_an_old_api_version_is_not_taken_for_no_tax() -> None:
    old = stripe_totals(record([line(4000)], total_tax_amounts=[{"amount": 522, "inclusive": True, "tax_rate": "txr_1"}]))
    assert isinstance(old, Problem)
    assert (old.code, old.found) == ("E-STRIPE-SUM", "5.22")


def test_a_tax_inside_that_is_rounded_once_is_brought_to_the_lines() -> None:
    # Twice 10.03: 2.006 of tax is 2.01 on each line, and 4.012 is 4.01 on both.
    lines = [line(1003, id=f"il_{n}", taxes=[tax(201, 802, rate="txr_25i", inclusive=True)]) for n in (1, 2)]
    once = record(lines, total_taxes=[tax(401, 1605, rate="txr_25i", inclusive=True)])
    found, stated = price_lines(once), stripe_totals(once)
    assert not isinstance(found, Problem)
    assert not isinstance(stated, Problem)
    assert [str(one.net) for one in found] == ["8.03", "8.02"]
    assert (str(stated.totals.net), str(stated.totals.vat)) == ("16.05", "4.01")


def test_tax_rounded_once_for_the_invoice_adds_up_by_stripes_totals() -> None:
    lines = [line(1002, id="il_1", taxes=[tax(251, 1002)]), line(1002, id="il_2", taxes=[tax(251, 1002)])]
    once = stripe_totals(record(lines, total=2505, total_taxes=[tax(501, 2004)]))
    assert not isinstance(once, Problem)
    assert (str(once.totals.net), str(once.totals.vat)) == ("20.04", "5.01")
    assert once.once == {Decimal(25): Decimal("5.01")}
