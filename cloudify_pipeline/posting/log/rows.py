"""Rows of the log as they really stand in the database, in the words in which the chain tells of them."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, Connection, DateTime, LargeBinary, Select, Table, select, type_coerce
from sqlalchemy.types import NullType

from cloudify_pipeline.posting.log.chain import instant_text
from cloudify_pipeline.posting.log.packed import PackedText, unpacked

_AT_ONCE = 2000


def bare(db: Connection, table: Table) -> Select[Any]:
    """All columns of `table`, without SQLAlchemy's reading of them: a column that was tampered with may hold anything.

    SQLite alone would keep a text in a number's column; it has no types that need reading.
    """
    if db.dialect.name != "sqlite":
        packed = (isinstance(column.type, PackedText) for column in table.columns)
        pairs = zip(table.columns, packed, strict=True)
        return select(
            *(type_coerce(column, LargeBinary()).label(column.name) if is_packed else column for column, is_packed in pairs)
        )
    return select(*(type_coerce(column, NullType()).label(column.name) for column in table.columns))


def read(db: Connection, table: Table, query: Select[Any]) -> Iterator[dict[str, Any]]:
    """The rows of `query`, a :func:`bare` one; instants as text in UTC, bodies as bytes."""
    kinds = {column.name: type(column.type) for column in table.columns}
    for row in db.execution_options(yield_per=_AT_ONCE).execute(query).mappings():
        yield {name: plain(kinds.get(name), value) for name, value in row.items()}


def plain(kind: type[Any] | None, value: Any) -> Any:
    """`value` of a column of `kind` as the chain writes it; what is none of that kind stays as it is."""
    if isinstance(value, datetime):
        return instant_text(value)
    if kind is PackedText:
        return unpacked(value)
    if kind is DateTime and isinstance(value, str):
        try:
            return instant_text(datetime.fromisoformat(value))
        except ValueError:
            return value
    if kind is Boolean and value in (0, 1):
        return bool(value)
    return value
