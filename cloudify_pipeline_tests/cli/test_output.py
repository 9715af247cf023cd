"""What a command says: exact amounts, one JSON document, nothing that steers the terminal."""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudify_pipeline.cli.output import document_name, local, money, moneys, plain, printable, show_error, show_json, table


@dataclass(frozen=True, slots=True)
class Row:
    amount: Decimal
    day: date
    tags: tuple[str, ...]


def test_amounts_are_exact_text_and_times_are_iso() -> None:
    row = Row(Decimal("1250.50"), date(2026, 11, 1), ("a",))
    assert plain({"row": row, "at": datetime(2026, 11, 1, 12, tzinfo=UTC)}) == {
        "row": {"amount": "1250.50", "day": "2026-11-01", "tags": ["a"]},
        "at": "2026-11-01T12:00:00+00:00",
    }


def test_an_embedded_body_keeps_its_own_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    show_json({"body": msgspec.Raw(b'{"net": 1250.50, "big": 12345678901234567890.10}')})
    shown = capsys.readouterr().out
    assert "1250.50" in shown
    assert "12345678901234567890.10" in shown


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        (Decimal("1250"), "dkk", "1,250.00 DKK"),
        ("-99.5", "EUR", "-99.50 EUR"),
        (Decimal("1250000"), "JPY", "1,250,000 JPY"),
        (None, "DKK", ""),
    ],
)
def test_money_has_separators_and_its_currency(amount: Decimal | str | None, currency: str, shown: str) -> None:
    assert money(amount, currency) == shown


def test_sums_are_listed_by_currency() -> None:
    assert moneys({"EUR": Decimal("99"), "DKK": Decimal("12500.5")}) == "12,500.50 DKK · 99.00 EUR"


def test_times_are_danish_and_names_are_words() -> None:
    assert local("2026-06-30T22:30:00+00:00") == "2026-07-01 00:30"
    assert document_name("booked_invoice", 20001) == "booked invoice 20001"
    assert document_name("booked_invoice", None) == "–"


def test_amounts_are_set_to_the_right(capsys: pytest.CaptureFixture[str]) -> None:
    table("", ("Customer", "Amount>"), [("Sölvtorvet [bold]", "1.00 DKK"), ("A", "12,500.00 DKK")])
    lines = capsys.readouterr().out.splitlines()
    one = next(line for line in lines if "1.00 DKK" in line)
    other = next(line for line in lines if "12,500.00 DKK" in line)
    assert one.rstrip().endswith(" 1.00 DKK")
    assert one.index("DKK") == other.index("DKK")
    assert "[bold]" in one


@given(st.text())
def test_no_text_can_steer_the_terminal(text: str) -> None:
    assert not [char for char in printable(text) if ord(char) < 32 or 0x7F <= ord(char) < 0xA0]


def test_an_error_is_one_document_with_json_and_words_on_stderr_without(capsys: pytest.CaptureFixture[str]) -> None:
    show_error("E-SERVER", "no answer", "Wait.", as_json=True)
    captured = capsys.readouterr()
    assert json.loads(captured.out)["error"] == {"code": "E-SERVER", "message": "no answer", "problems": [], "remedy": "Wait."}
    show_error("E-SERVER", "no answer", "Wait.", as_json=False)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "E-SERVER: no answer\nWhat to do: Wait.\n" in captured.err
