"""Filters and paths of the ledger's URLs, with its own two kinds of escaping.

Sources: reference/economic.md §4 (path encoding of keys) and §4.2 (filter grammar, live-verified escapes).
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from urllib.parse import quote

MAX_IN = 200
"""Values the server takes in one `$in`; 201 is a 400."""

MAX_FILTER = 1800
"""Longest encoded filter that is sent: web servers of this family stop at 2,048 characters of query string."""

_ESCAPES = str.maketrans({"$": "$$", "(": "$(", ")": "$)", "*": "$*", ",": "$,"})

_KEY_CODES = {
    "<": "_0_", ">": "_1_", "*": "_2_", "%": "_3_", ":": "_4_", "&": "_5_", "/": "_6_", "\\": "_7_", "_": "_8_",
    " ": "_9_", "?": "_10_", ".": "_11_", "#": "_12_", "+": "_13_",
}  # fmt: skip


def escape(text: str) -> str:
    """`text` as a value of `$eq`; brackets stay bare, because their documented escapes do not work.

    Raises:
        ValueError: `text` is empty; an empty value would match what is not meant.
    """
    if not text.strip():
        message = "a filter value may not be empty"
        raise ValueError(message)
    return text.translate(_ESCAPES)


def equals(field: str, text: str) -> str:
    """`field` equals `text`, without regard to case: the server compares so."""
    return f"{field}$eq:{escape(text)}"


def contains(field: str, text: str) -> str:
    """`field` contains `text`. `[` opens a class of characters in the server's pattern, so it is put in one."""
    return f"{field}$like:{escape(text).replace('[', '[[]')}"


def among(field: str, numbers: Sequence[int]) -> str:
    """`field` is one of `numbers`.

    Raises:
        ValueError: none, or more than the server takes.
    """
    if not 0 < len(numbers) <= MAX_IN:
        message = f"$in takes 1 to {MAX_IN} values, not {len(numbers)}"
        raise ValueError(message)
    return f"{field}$in:[{','.join(str(number) for number in numbers)}]"


def between(field: str, first: date, last: date) -> str:
    """`field` lies from `first` to `last`, both included."""
    return f"{field}$gte:{first.isoformat()}$and:{field}$lte:{last.isoformat()}"


def any_of(clauses: Sequence[str]) -> str:
    """At least one of `clauses` holds."""
    return "$or:".join(clauses)


def encode(text: str) -> str:
    """Percent-encoding for a query value."""
    return quote(text, safe="", errors="replace")


def joined(clauses: Iterable[str], limit: int = MAX_FILTER) -> Iterator[str]:
    """`clauses` joined by or into as few filters as stay within `limit` encoded characters."""
    group: list[str] = []
    length = 0
    for clause in clauses:
        more = len(encode(clause)) + len(encode("$or:"))
        if group and length + more > limit:
            yield any_of(group)
            group, length = [], 0
        group.append(clause)
        length += more
    if group:
        yield any_of(group)


def numbered(field: str, numbers: Iterable[int], limit: int = MAX_FILTER) -> Iterator[str]:
    """`$in` filters that together ask for all `numbers`, each within both limits."""
    group: list[int] = []
    for number in numbers:
        if group and (len(group) == MAX_IN or len(encode(among(field, [*group, number]))) > limit):
            yield among(field, group)
            group = []
        group.append(number)
    if group:
        yield among(field, group)


def encode_key(key: str) -> str:
    """A key as it stands in a path: ``My Product_5%`` → ``My_9_Product_8_5_3_``; the rest is percent-encoded."""
    return quote("".join(_KEY_CODES.get(char, char) for char in key), safe="", errors="replace")


def path(*parts: str | int) -> str:
    """A path below the host, each part encoded.

    Raises:
        ValueError: a part is empty or 0. Without its number a path means the whole collection, which is never meant.
    """
    if any(part in {"", 0} or not str(part).strip() for part in parts):
        message = f"a path may not have an empty part: {parts}"
        raise ValueError(message)
    return "".join(f"/{encode_key(str(part))}" for part in parts)
