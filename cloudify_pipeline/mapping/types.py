"""Which type of Stripe field fits which type of ledger field. What stands in neither column is refused."""

from functools import lru_cache
from typing import Literal

from cloudify_pipeline.mapping.fields import Field, FieldType

Fit = Literal["fine", "warn", "refuse"]

# source: (fits, fits but is probably not meant)
COMPATIBLE: dict[FieldType, tuple[frozenset[FieldType], frozenset[FieldType]]] = {
    "text": (frozenset({"text", "address", "phone"}), frozenset({"email", "country", "currency"})),
    "email": (frozenset({"email", "text"}), frozenset({"address", "phone"})),
    "phone": (frozenset({"phone", "text"}), frozenset({"address"})),
    "country": (frozenset({"country", "text"}), frozenset({"address"})),
    "currency": (frozenset({"currency", "text"}), frozenset({"address"})),
    "address": (frozenset({"address", "text"}), frozenset({"phone"})),
    "integer": (frozenset({"integer", "decimal", "text"}), frozenset({"phone", "address", "money"})),
    "decimal": (frozenset({"decimal", "money", "text"}), frozenset({"address"})),
    "money": (frozenset({"money", "decimal", "text"}), frozenset({"address"})),
    "boolean": (frozenset({"boolean"}), frozenset({"text"})),
    "date": (frozenset({"date", "timestamp", "text"}), frozenset({"address"})),
    "timestamp": (frozenset({"timestamp", "date", "text"}), frozenset({"address"})),
    "list": (frozenset(), frozenset()),
    "object": (frozenset(), frozenset()),
}

_HOW: dict[tuple[str, str], str] = {
    ("text", "integer"): "add transform: [digits]",
    ("text", "decimal"): "add transform: [number]",
    ("text", "money"): "add transform: [number]",
    ("text", "date"): "add transform: [date]",
    ("text", "boolean"): "add a lookup: transform: [{lookup: {table: {…: true}}}]",
}
_FREE_TEXT = ("address", "description", "note", "text", "terms", "heading", "comment")
_ONE_LINE_AT_MOST = 100


def fit(source: str, target: FieldType, *, loose: bool = False) -> Fit:
    """Whether a `source` type fits. `loose`: what metadata holds is anybody's guess, so any text target is fine."""
    if source == "any":
        return "fine"
    fine, warn = COMPATIBLE[source]  # type: ignore[index]
    if target in fine or (loose and target in warn):
        return "fine"
    return "warn" if target in warn else "refuse"


def way_out(source: str, target: str) -> str:
    """How a refused pair can be made to fit."""
    if source in {"list", "object"}:
        return "add transform: [join]" if source == "list" else "name one field below it"
    return _HOW.get((source, target), f"choose a {target} field")


def is_free_text(field: Field) -> bool:
    """Whether `field` holds prose that may be cut: addresses, descriptions, notes, terms. Names, numbers and codes may not."""
    return _free_text(field.path, field.type)


def _free_text(path: str, kind: str) -> bool:
    return kind == "address" or (kind == "text" and any(word in _last(path) for word in _FREE_TEXT))


def _last(path: str) -> str:
    return path.rpartition(".")[2].lower()


def is_single_line(field: Field) -> bool:
    """Whether line breaks become spaces: everywhere but in addresses, descriptions and notes."""
    return _single_line(field.path, field.type, field.max_length)


@lru_cache(maxsize=4096)
def _single_line(path: str, kind: str, max_length: int | None) -> bool:
    # Asked of every field of every record.
    short = kind != "address" and max_length is not None and max_length <= _ONE_LINE_AT_MOST
    return not _free_text(path, kind) or short or "heading" in _last(path)
