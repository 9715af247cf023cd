"""What can be mapped: the fields of a Stripe object and of a ledger's record, with type and limits."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

FieldType = Literal[
    "text", "integer", "decimal", "money", "boolean", "date", "timestamp", "email", "phone", "country", "currency", "address",
    "list", "object",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `path` is dotted (``address.city``, ``recipient.name``); limits count characters after NFC."""

    path: str
    type: FieldType
    description: str = ""
    max_length: int | None = None
    min_length: int | None = None
    decimals: int | None = None
    minimum: int | None = None
    maximum: int | None = None
    allowed: tuple[str, ...] = ()
    required: bool = False
    writable: bool = True
    filterable: bool = False
    reserved: str | None = None
    """Why no mapping may write it although the ledger would let it (a setting decides it, or it holds the durable key)."""


class FieldCatalogue(Mapping[str, Field]):
    """The fields of one kind of record, by path. `open_paths` take any key below them (metadata)."""

    def __init__(self, name: str, fields: Iterable[Field], *, open_paths: Iterable[str] = ()) -> None:
        self.name = name
        self.open_paths = frozenset(open_paths)
        self._fields = {field.path: field for field in fields}

    def __getitem__(self, path: str) -> Field:
        return self._fields[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def nearest(self, path: str) -> str | None:
        """The known path most like `path`, for “did you mean …?”."""
        close = get_close_matches(path, self._fields, n=1, cutoff=0.6)
        return close[0] if close else None
