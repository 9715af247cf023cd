"""The query language of collections: ``filter=``, ``sort=``, evaluated on records as they are stored.

Grammar and oddities: reference §4.2. Text compares without case; ``$like:`` knows ``*`` and SQL's ``[ ]`` classes.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from cloudify_pipeline.sandbox.economic.errors import Json, bad_filter, bad_sort, refusal

Predicate = Callable[[Json], bool]

_TERM = re.compile(r"([A-Za-z][A-Za-z0-9_.]*)\$(eq|ne|gte|gt|lte|lt|like|in|nin):")
_JOIN = re.compile(r"\$(and|or):")
_LONGEST_LIST = 200
# Clauses that make the live server fail instead of answering.
_BROKEN = {
    "products": re.compile(r"barred\$ne|departmentalDistribution\."),
    "orders.drafts": re.compile(r"paymentTerms\.paymentTermsNumber\$"),
    "orders.sent": re.compile(r"paymentTerms\.paymentTermsNumber\$"),
    "orders.archived": re.compile(r"paymentTerms\.paymentTermsNumber\$"),
}
# Called filterable by the schemas, refused by the live server; and the other way round.
_REFUSED = {
    "products": "inventory.",
    "customer-groups": "account.",
    "invoices.drafts": "references.customerContact.customer",
    "invoices.booked": "references.customerContact.customer",
}
_ALSO = {"customers": ["pNumber"]}


def allowed_fields(collection: str, filterable: Iterable[str]) -> list[str]:
    """What the live server lets one filter on, which is not quite what the schemas say."""
    refused = _REFUSED.get(collection)
    kept = [name for name in filterable if refused is None or not name.startswith(refused)]
    return kept + _ALSO.get(collection, [])


def read(record: Json, path: str) -> Any:
    """The value at a dotted path, None where there is none. Absent flags are false, as on the wire."""
    value: Any = record
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return False if value is None and path == "barred" else value


def compile_filter(text: str, collection: str, allowed: Sequence[str]) -> Predicate:
    """A predicate for `text`, or the 400 (500 for the clauses that break the live server)."""
    broken = _BROKEN.get(collection)
    if broken is not None and broken.search(text):
        raise refusal(500, "An unexpected error has occurred.")
    parser = _Parser(text, frozenset(allowed))
    try:
        return parser.parse()
    except _Unreadable as unreadable:
        raise bad_filter([str(unreadable)], allowed) from unreadable


def compile_sort(text: str, sortable: Sequence[str]) -> Callable[[list[Json]], list[Json]]:
    """A stable sort by ``-name,age,~number`` (minus: descending, tilde: numbers as text)."""
    steps: list[tuple[str, bool, bool]] = []
    for part in text.split(","):
        name = part.strip().lstrip("-~")
        if name not in sortable:
            raise bad_sort(f"Sorting is not allowed on property '{name}'.", sortable)
        steps.append((name, part.strip().startswith("-"), "~" in part))

    def ordered(records: list[Json]) -> list[Json]:
        for name, descending, as_text in reversed(steps):
            records = sorted(records, key=lambda record: _rank(read(record, name), as_text), reverse=descending)
        return records

    return ordered


def _rank(value: Any, as_text: bool) -> tuple[int, Any]:
    if value is None:
        return (0, 0)
    if as_text or isinstance(value, str):
        return (2, str(value).casefold())
    return (1, value)


class _Unreadable(Exception):
    """The filter cannot be parsed; the text says where."""


@dataclass(slots=True)
class _Text:
    """A value with its escapes resolved; `stars` are the positions of live wildcards."""

    text: str
    stars: frozenset[int]


class _Parser:
    def __init__(self, text: str, allowed: frozenset[str]) -> None:
        self._text = text
        self._allowed = allowed
        self._at = 0

    def parse(self) -> Predicate:
        predicate = self._either()
        if self._at != len(self._text):
            raise _Unreadable(f"Unexpected '{self._text[self._at]}' at position {self._at}.")
        return predicate

    def _either(self) -> Predicate:
        sides = [self._both()]
        while self._join("or"):
            sides.append(self._both())
        return sides[0] if len(sides) == 1 else lambda record: any(side(record) for side in sides)

    def _both(self) -> Predicate:
        sides = [self._one()]
        while self._join("and"):
            sides.append(self._one())
        return sides[0] if len(sides) == 1 else lambda record: all(side(record) for side in sides)

    def _join(self, word: str) -> bool:
        found = _JOIN.match(self._text, self._at)
        if found is None or found.group(1) != word:
            return False
        self._at = found.end()
        return True

    def _one(self) -> Predicate:
        if self._text.startswith("(", self._at):
            self._at += 1
            inner = self._either()
            if not self._text.startswith(")", self._at):
                raise _Unreadable("A closing parenthesis is missing.")
            self._at += 1
            return inner
        term = _TERM.match(self._text, self._at)
        if term is None:
            raise _Unreadable(f"Expected a property and an operator at position {self._at}.")
        name, operator = term.groups()
        if name not in self._allowed:
            raise _Unreadable(f"Filtering is not allowed on property '{name}'.")
        self._at = term.end()
        if operator in ("in", "nin"):
            return _membership(name, self._list(), operator == "in")
        value = self._value()
        if value is None:
            return _emptiness(name, operator)
        return _likeness(name, value) if operator == "like" else _comparison(name, operator, value.text)

    def _list(self) -> frozenset[Decimal]:
        end = self._text.find("]", self._at)
        if not self._text.startswith("[", self._at) or end < 0:
            raise _Unreadable("A list of values must stand in brackets.")
        parts = self._text[self._at + 1 : end].split(",")
        self._at = end + 1
        if len(parts) > _LONGEST_LIST:
            raise _Unreadable(f"A list can hold at most {_LONGEST_LIST} values.")
        return frozenset(_as_number(part.strip()) for part in parts)

    def _value(self) -> _Text | None:
        if self._text.startswith("$null:", self._at):
            self._at += len("$null:")
            return None
        characters: list[str] = []
        stars: set[int] = set()
        while self._at < len(self._text):
            character = self._text[self._at]
            if character == ")" or _JOIN.match(self._text, self._at):
                break
            if character == "(":
                raise _Unreadable("An opening parenthesis in a value must be escaped.")
            if character == "$":
                escaped = self._text[self._at + 1 : self._at + 2]
                if not escaped or escaped not in "$()*,":
                    raise _Unreadable(f"Unknown escape '${escaped}'.")
                characters.append(escaped)
                self._at += 2
                continue
            if character == "*":
                stars.add(len(characters))
            characters.append(character)
            self._at += 1
        return _Text("".join(characters), frozenset(stars))


def _as_number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as invalid:
        raise _Unreadable(f"'{text}' is not a number.") from invalid


def _membership(name: str, wanted: frozenset[Decimal], inside: bool) -> Predicate:
    return lambda record: (value := read(record, name)) is not None and (value in wanted) == inside


def _emptiness(name: str, operator: str) -> Predicate:
    if operator not in ("eq", "ne"):
        raise _Unreadable("$null: can only be compared with $eq: or $ne:.")
    return lambda record: (read(record, name) in (None, "")) == (operator == "eq")


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
}


def _comparison(name: str, operator: str, text: str) -> Predicate:
    compare, folded = _COMPARE[operator], text.casefold()

    def holds(record: Json) -> bool:
        value = read(record, name)
        if value is None:
            return False
        if isinstance(value, str):
            return compare(value.casefold(), folded)
        if isinstance(value, bool):
            return compare(value, folded == "true")
        try:
            return compare(value, Decimal(text))
        except InvalidOperation as invalid:
            raise bad_filter([f"'{text}' is not a number."], []) from invalid

    return holds


def _likeness(name: str, value: _Text) -> Predicate:
    pieces: list[str] = []
    at = 0
    while at < len(value.text):
        end = value.text.find("]", at + 1)
        if at in value.stars:
            pieces.append(".*")
        elif value.text[at] == "[" and end > at + 1:
            pieces.append(f"[{re.escape(value.text[at + 1 : end])}]")
            at = end
        else:
            pieces.append(re.escape(value.text[at]))
        at += 1
    body = "".join(pieces)
    pattern = re.compile(body if value.stars else f".*{body}.*", re.IGNORECASE | re.DOTALL)
    return lambda record: (found := read(record, name)) is not None and pattern.fullmatch(str(found)) is not None
