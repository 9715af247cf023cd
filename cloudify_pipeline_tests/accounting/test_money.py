"""Stripe's currencies, against a table that somebody else wrote down from its documentation."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudify_pipeline.accounting.money import decimals, from_minor, round_half_up, smallest, to_minor
from cloudify_pipeline_tests.planning.stripe_arithmetic import THREE, TWO, WHOLE, ZERO, exponent, grain


@pytest.mark.parametrize("code", [*ZERO, *THREE, *WHOLE, *TWO])
def test_every_currency_has_stripes_decimals(code: str) -> None:
    assert (decimals(code), decimals(code.lower()), smallest(code)) == (exponent(code), exponent(code), grain(code))


@given(minor=st.integers(-(10**14), 10**14))
def test_minor_units_there_and_back_lose_nothing_in_any_currency(minor: int) -> None:
    for code in (*ZERO, *THREE, *WHOLE, *TWO):
        amount = from_minor(minor, code)
        assert to_minor(amount, code) == to_minor(amount, code.lower()) == minor
        assert amount * 10 ** exponent(code) == minor


@pytest.mark.parametrize("code", [*ZERO, *THREE, *WHOLE, *TWO])
def test_half_a_minor_unit_is_refused_in_every_currency(code: str) -> None:
    with pytest.raises(ValueError, match=f"{code} is finer than a minor unit"):
        to_minor(from_minor(1, code) / 2, code)


@pytest.mark.parametrize(
    ("code", "minor", "amount"),
    [
        ("DKK", 12345, "123.45"),
        ("JPY", 500, "500"),
        ("KWD", 5120, "5.120"),
        # Not as in ISO 4217: króna and Ugandan shilling have none there, ariary two.
        ("ISK", 500, "5.00"),
        ("UGX", 500, "5.00"),
        ("MGA", 500, "500"),
        ("HUF", 1045, "10.45"),
    ],
)
def test_minor_units(code: str, minor: int, amount: str) -> None:
    assert str(from_minor(minor, code)) == amount
    assert to_minor(Decimal(amount), code) == minor


def test_money_is_never_rounded_silently() -> None:
    with pytest.raises(ValueError, match="finer than a minor unit"):
        to_minor(Decimal("0.5"), "JPY")


@pytest.mark.parametrize(
    ("amount", "rounded"), [("0.125", "0.13"), ("-0.125", "-0.13"), ("0.1249", "0.12"), ("2.5", "2.50"), ("-0.001", "0.00")]
)
def test_halves_go_away_from_zero(amount: str, rounded: str) -> None:
    assert str(round_half_up(Decimal(amount))) == rounded
