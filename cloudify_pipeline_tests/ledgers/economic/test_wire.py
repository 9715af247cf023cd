import json
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudify_pipeline.ledgers.economic import wire

DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**12), max_value=10**12)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (Decimal("79.00"), "79"),
        (Decimal("1E+2"), "100"),
        (Decimal("-0.00"), "0"),
        (Decimal("0.10"), "0.1"),
        (Decimal("99999999999.99"), "99999999999.99"),
        ({"b": 1, "a": [True, "Rødspætteallé"]}, '{"a":[true,"Rødspætteallé"],"b":1}'),
        (date(2026, 11, 3), '"2026-11-03"'),
        ('"\n', '"\\"\\n"'),
        ("broken \ud800", '"broken ?"'),
    ],
)
def test_values_have_one_exact_form(value: object, written: str) -> None:
    assert wire.dump(value) == written.encode()


@pytest.mark.parametrize("value", [0.1, {"a": [1.5]}, Decimal("NaN"), b"x".hex])
def test_what_has_no_exact_form_is_not_written(value: object) -> None:
    with pytest.raises(TypeError):
        wire.dump(value)


@given(DECIMALS)
def test_decimals_survive_the_wire(value: Decimal) -> None:
    assert Decimal(str(wire.parse(wire.dump({"n": value}))["n"])) == value


@given(st.dictionaries(st.text(alphabet=st.characters(exclude_categories=["Cs"])), DECIMALS | st.booleans() | st.integers()))
def test_the_bytes_are_json_and_do_not_depend_on_the_order(value: dict[str, object]) -> None:
    turned = dict(reversed(value.items()))
    assert wire.dump(value) == wire.dump(turned)
    assert list(json.loads(wire.dump(value))) == sorted(value)


@pytest.mark.parametrize("body", [b"", b"{", b'{"collection":[{"customerNumber":1}', b"<html>", b'{"a":NaN}'])
def test_a_cut_off_answer_is_not_json(body: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        wire.parse(body)
