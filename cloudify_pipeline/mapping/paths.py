r"""Paths into a Stripe object: ``address.city``, ``metadata."order ref"``, ``tax_ids.eu_vat``.

Parts are divided by dots. A part with a space, a dot or any other unusual character stands in double quotes, in which
``\"`` and ``\\`` stand for a quote and a backslash; so every key that metadata can have can be written.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cloudify_pipeline.errors import SettingsError, SettingsProblem

_PLAIN = re.compile(r"[^\s.\"'{}\[\]\\]+")
_QUOTED = re.compile(r'"((?:[^"\\]|\\["\\])*)"', re.DOTALL)
_NAMED_BY = ("type", "name")


class PathError(SettingsError):
    """A path is not written as paths are; `suggestion` is the form that was probably meant."""

    def __init__(self, text: str, reason: str, suggestion: str | None = None) -> None:
        self.reason = reason
        self.suggestion = suggestion
        allowed = f"{reason}; write {suggestion}" if suggestion else reason
        super().__init__("path", [SettingsProblem("path", text or "nothing", allowed)])

    @property
    def allowed(self) -> str:
        """What to write instead."""
        return self.problems[0].allowed


@dataclass(frozen=True, slots=True)
class Path:
    """A parsed path; `str()` is its canonical text, quoted where it must be."""

    parts: tuple[str, ...]

    def __str__(self) -> str:
        return _written(self.parts)

    def read(self, record: Any) -> Any:
        """The value in `record`, or None where any part of the way is missing.

        In a list of ``{type, value}`` (tax ids) or ``{name, value}`` (custom fields) a part names the element, and gives
        the value of the first of that type or name; a number names the element by place, from 0.
        """
        value = record
        for part in self.parts:
            value = _step(value, part)
            if value is None:
                return None
        return value


@lru_cache(maxsize=4096)
def _written(parts: tuple[str, ...]) -> str:
    # Lineage names every path of every record.
    return ".".join(quote(part) for part in parts)


def quote(part: str) -> str:
    """`part` as it stands in a path: plain, or in quotes where it must be."""
    if _PLAIN.fullmatch(part):
        return part
    escaped = part.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def parse_path(text: str) -> Path:
    """Read a path as written.

    Raises:
        PathError: with the quoted form where quotes are what is missing.
    """
    path, end = scan_path(text.strip(" "), 0)
    if end != len(text.strip(" ")):
        raise _unreadable(text)
    return path


def scan_path(text: str, start: int) -> tuple[Path, int]:
    """The path that begins at `start`, and where it ends: for templates, where other text follows.

    Raises:
        PathError: no path begins there.
    """
    parts, at = [], start
    while True:
        if quoted := _QUOTED.match(text, at):
            parts.append(re.sub(r'\\(["\\])', r"\1", quoted[1]))
            at = quoted.end()
        elif plain := _PLAIN.match(text, at):
            parts.append(plain[0])
            at = plain.end()
        else:
            raise _unreadable(text[start:])
        if at >= len(text) or text[at] != ".":
            return Path(tuple(parts)), at
        at += 1


def is_object(value: Any) -> bool:
    """Whether `value` has named parts; JSON's own kind of it is told without asking the abstract class."""
    return type(value) is dict or isinstance(value, Mapping)


def elements(value: Any) -> Sequence[Any] | None:
    """The elements of a list, or of Stripe's list object; None for anything else."""
    if value is None or type(value) is str:
        return None
    if isinstance(value, list | tuple):
        return value
    if is_object(value) and value.get("object") == "list" and isinstance(value.get("data"), list):
        data: list[Any] = value["data"]
        return data
    return None


def _step(value: Any, part: str) -> Any:
    found = elements(value)
    if found is None or (part == "data" and is_object(value)):
        return value.get(part) if is_object(value) else None
    for element in found:
        if isinstance(element, Mapping) and any(element.get(key) == part for key in _NAMED_BY) and "value" in element:
            return element["value"]
    if part.isascii() and part.isdigit() and int(part) < len(found):
        return found[int(part)]
    return None


def _unreadable(text: str) -> PathError:
    stripped = text.strip()
    if not stripped:
        return PathError(text, "a path names a Stripe field, such as address.city")
    if '"' in stripped or "\\" in stripped:
        return PathError(text, 'quotes stand around one whole part, as in metadata."order ref"; inside them \\" is a quote')
    parts = stripped.split(".")
    if "" in parts:
        return PathError(text, "a part of the path is empty", ".".join(quote(part) for part in parts if part))
    return PathError(text, "a key with a space or another special character stands in quotes", ".".join(map(quote, parts)))
