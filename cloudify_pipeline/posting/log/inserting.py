"""The insert that each database has beyond SQL: over a row that stands there already, or beside it."""

from functools import cache
from importlib import import_module
from typing import Any

from sqlalchemy import Table


def insert(dialect: str, table: Table) -> Any:
    """An insert into `table` in the words of `dialect` (``sqlite`` or ``postgresql``), which knows conflicts."""
    return _made(dialect)(table)


# Only the database that is in use is loaded: the other one's words would cost every command a start.
@cache
def _made(dialect: str) -> Any:
    return import_module(f"sqlalchemy.dialects.{dialect}").insert
