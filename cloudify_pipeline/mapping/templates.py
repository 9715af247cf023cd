"""Templates: text with paths in braces, ``Order {number} {metadata.po}``; ``{{`` and ``}}`` are braces themselves."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cloudify_pipeline.mapping.paths import Path, PathError, quote, scan_path
from cloudify_pipeline.mapping.values import is_empty, to_text

_SPACES = re.compile(r"[ \t]+")
_AROUND_BREAKS = re.compile(r" ?\n ?")


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template: literal texts and paths in turn."""

    text: str
    pieces: tuple[str | Path, ...]

    @classmethod
    def parse(cls, text: str) -> "Template":
        """Read a template.

        Raises:
            PathError: a brace stays open or alone, or a path in it is not written as paths are.
        """
        pieces: list[str | Path] = []
        literal, at = "", 0
        while at < len(text):
            sign, pair = text[at], text[at : at + 2]
            if pair in {"{{", "}}"}:
                literal, at = literal + sign, at + 2
            elif sign == "{":
                path, at = _placeholder(text, at)
                pieces.extend((literal, path))
                literal = ""
            elif sign == "}":
                raise PathError(text, "a closing brace stands alone", "}} for the sign itself")
            else:
                literal, at = literal + sign, at + 1
        return cls(text, tuple(piece for piece in (*pieces, literal) if piece != ""))

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every path in it, in order."""
        return tuple(piece for piece in self.pieces if isinstance(piece, Path))

    def render(self, record: Mapping[str, Any], as_text: Callable[[Path, Any], str] | None = None) -> str:
        """The text for `record`. An empty part leaves no gap: spaces in a row become one. All parts empty: empty.

        `as_text` writes a value as text where the plain way is not enough (timestamps, money).
        """
        write = as_text or (lambda _path, value: to_text(value))
        values = {path: path.read(record) for path in self.paths}
        if values and all(is_empty(value) for value in values.values()):
            return ""
        filled = "".join(
            piece if isinstance(piece, str) else "" if is_empty(values[piece]) else write(piece, values[piece])
            for piece in self.pieces
        )
        return _AROUND_BREAKS.sub("\n", _SPACES.sub(" ", filled)).strip()


def _placeholder(text: str, brace: int) -> tuple[Path, int]:
    start = brace + 1
    while text[start : start + 1] == " ":
        start += 1
    try:
        path, end = scan_path(text, start)
    except PathError as error:
        closing = text.find("}", start)
        if closing <= start:
            raise PathError(text, "between braces stands a path, as in {number}; {{ and }} are braces themselves") from error
        path, end = scan_path(text[start:closing].rstrip(), 0)
    while text[end : end + 1] == " ":
        end += 1
    if text[end : end + 1] != "}":
        closing = text.find("}", end)
        inside = text[start:closing] if closing > 0 else text[start:]
        reason = "a key with a space stands in quotes" if closing > 0 else "a brace is not closed"
        suggestion = "{" + ".".join(_quoted(inside)) + "}"
        raise PathError(text, reason, suggestion)
    return path, end + 1


def _quoted(inside: str) -> list[str]:
    """The parts of a path that lacks its quotes, with them."""
    return [quote(part) for part in inside.strip().replace('"', "").split(".") if part]
