"""What a command says: one JSON document, or tables and lines for people. Logs and progress go to stderr."""

import dataclasses
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, TextIO
from zoneinfo import ZoneInfo

import msgspec
import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cloudify_pipeline.accounting.money import format_money

DONE, ATTENTION, WRONG_CALL, FAILED = 0, 1, 2, 3
"""Exit codes: all done · some records failed or are held · settings or call wrong · could not run."""

COPENHAGEN = ZoneInfo("Europe/Copenhagen")
_PIPE_WIDTH = 180
"""Columns where there is no terminal to ask: wide enough that no cell is broken in two."""

_STYLES = {
    "booked": "green", "posted": "green", "planned": "cyan", "skipped": "dim", "held": "yellow", "failed": "red",
    "posting": "cyan", "error": "red", "warning": "yellow",
}  # fmt: skip

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, nothing else.")]


def show_json(document: Mapping[str, Any]) -> None:
    """Write `document` as the one JSON document of this command."""
    encoded = msgspec.json.encode(plain(document))
    sys.stdout.write(msgspec.json.format(encoded, indent=2).decode() + "\n")
    sys.stdout.flush()


def plain(value: Any) -> Any:
    """Dataclasses, amounts and times as JSON has them: amounts are exact text, times ISO 8601."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {one.name: plain(getattr(value, one.name)) for one in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(one) for one in value]
    return value


def show_error(
    code: str, message: str, remedy: str, *, as_json: bool, problems: Sequence[str] = (), more: Mapping[str, Any] | None = None
) -> None:
    """What went wrong and what to do: on stderr for people, as the JSON document with --json."""
    if as_json:
        show_json({"error": {"code": code, "message": message, "problems": list(problems), "remedy": remedy, **(more or {})}})
        return
    lines = [f"{code}: {message}", f"What to do: {remedy}"]
    console(sys.stderr).print("\n".join(map(printable_lines, lines)), style="red", soft_wrap=True)


def console(stream: TextIO | None = None) -> Console:
    """A console on stdout, or `stream`. Text is shown as it is: no markup, no emoji codes, no guessed highlights."""
    file = stream or sys.stdout
    width = None if file.isatty() else _PIPE_WIDTH
    return Console(file=file, width=width, markup=False, highlight=False, emoji=False, soft_wrap=False)


def say(text: str = "", style: str | None = None) -> None:
    """One line, or several, for people."""
    console().print(Text(printable_lines(text), style=style or ""), soft_wrap=True)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table; a column whose name ends with ``>`` is set to the right (amounts, counts). States get their colour."""
    built = Table(title=title or None, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        right = column.endswith(">")
        built.add_column(column.removesuffix(">"), justify="right" if right else "left", no_wrap=right, overflow="fold")
    for row in rows:
        built.add_row(*(_cell(value) for value in row))
    console().print(built)


def money(amount: Decimal | str | None, currency: str | None) -> str:
    """``1,250.00 DKK``, or nothing."""
    return "" if amount is None or currency is None else format_money(Decimal(amount), currency)


def moneys(sums: Mapping[str, Decimal]) -> str:
    """Sums per currency: ``1,250.00 DKK · 99.00 EUR``."""
    return " · ".join(format_money(amount, currency) for currency, amount in sorted(sums.items()))


def local(at: datetime | str | None) -> str:
    """A time as a Danish bookkeeper's clock shows it."""
    if at is None:
        return ""
    instant = datetime.fromisoformat(at) if isinstance(at, str) else at
    return instant.astimezone(COPENHAGEN).strftime("%Y-%m-%d %H:%M")


def document_name(kind: str | None, number: object) -> str:
    """``booked invoice 20001``; a dash where there is none."""
    return f"{(kind or '').replace('_', ' ')} {number or ''}".strip() if number else "–"


def printable(text: str) -> str:
    """One line without control characters: a customer's name must not be able to steer the terminal."""
    return "".join(" " if char in "\r\n\t" else char if unicodedata.category(char) not in {"Cc", "Cs"} else "�" for char in text)


def printable_lines(text: str) -> str:
    """As :func:`printable`, with its lines kept."""
    return "\n".join(printable(line) for line in text.split("\n"))


def _cell(value: Any) -> Text:
    text = "" if value is None else printable(str(value))
    return Text(text, style=_STYLES.get(text, ""))
