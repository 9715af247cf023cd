import datetime
from decimal import Decimal
from typing import Any

import pytest

from cloudify_pipeline.mapping.transforms import TransformError, register_transform, step, transform_names


@pytest.mark.parametrize(
    ("written", "value", "result"),
    [
        ("trim", " a ", "a"),
        ("upper", "dkk", "DKK"),
        ("lower", "DKK", "dkk"),
        ("digits", "DK 00 12-3", "00123"),
        ("number", "12.50", Decimal("12.50")),
        ({"number": {"decimal_comma": True}}, "1.250,50", Decimal("1250.50")),
        ("country_name", "DK", "Denmark"),
        ({"country_name": {"language": "da"}}, "dk", "Danmark"),
        ("country_name", "Norge", "Norge"),
        # 23:30 UTC on New Year's Eve is the next year in Copenhagen.
        ("date", 1798759800, datetime.date(2027, 1, 1)),
        ({"date": {"tz": "UTC"}}, 1798759800, datetime.date(2026, 12, 31)),
        ("date", "2026-11-21", datetime.date(2026, 11, 21)),
        ("join", ["a", "", "b"], "a, b"),
        ({"join": {"separator": "/"}}, {"object": "list", "data": [{"value": "a"}, {"value": "b"}]}, "a/b"),
        ({"lookup": {"table": {"gold": 1}, "default": 9}}, "gold", 1),
        ({"lookup": {"table": {"gold": 1}, "default": 9}}, "tin", 9),
        ({"lookup": {"table": {"gold": 1}}}, "tin", None),
        ({"split": {"separator": "-", "index": -1}}, "a-b-c", "c"),
        ({"split": {"index": 5}}, "a,b", ""),
        ({"regex_extract": {"pattern": r"PO-(\d+)"}}, "see PO-77", "77"),
        ({"truncate": {"length": 2}}, "abc", "ab"),
        ("danish_cvr", "DK12345678", "12345678"),
        ("danish_cvr", "13585628", "13585628"),
        ("danish_cvr", "12345678", ""),
        ("danish_cvr", "DE123456789", ""),
    ],
)
def test_transforms(written: Any, value: Any, result: Any) -> None:
    assert step(written)(value) == result


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("diggits", "did you mean digits"),
        ({"lookup": {}}, "needs the option table"),
        ({"truncate": {"length": "2"}}, "truncate.length"),
        ({"truncate": {"length": 0}}, "at least 1"),
        ({"country_name": {"lang": "da"}}, "no option lang"),
        ({"country_name": {"language": "xx"}}, "no language xx"),
        ({"date": {"tz": "Europe/Kopenhagen"}}, "no time zone"),
        ({"regex_extract": {"pattern": "("}}, "regex_extract"),
        (7, "a name"),
    ],
)
def test_wrong_options_are_refused_before_use(written: Any, says: str) -> None:
    with pytest.raises(TransformError) as raised:
        step(written)
    assert says in str(raised.value)


def order_code(value: str, *, prefix: str = "O") -> str:
    """An example of one's own transform: 42 → O-0042."""
    return f"{prefix}-{int(value):04d}"


def test_ones_own_transform() -> None:
    register_transform("order_code", order_code)
    assert "order_code" in transform_names()
    assert step({"order_code": {"prefix": "X"}})("42") == "X-0042"
    with pytest.raises(TransformError, match="already"):
        register_transform("order_code", lambda value: value)
