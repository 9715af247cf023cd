"""Which tables of the posting log an archive of one connection holds, and their columns' types in Parquet."""

from typing import Any

import pyarrow as pa
from sqlalchemy import Boolean, Connection, DateTime, Integer, LargeBinary, Select, Table, select

from cloudify_pipeline.posting.log import schema as t
from cloudify_pipeline.posting.log.packed import PackedText
from cloudify_pipeline.posting.log.rows import bare

MANIFEST = "manifest.json"
FORMAT = 1

EVIDENCE = (
    "bindings",
    "stripe_bindings",
    "identities",
    "operations",
    "attempts",
    "records",
    "accepted",
    "vat_numbers",
    "vat_sales",
    "decisions",
    "settings_checks",
    "audit",
    "audit_heads",
)
"""A connection that has rows in one of these has books of its own here; an archive is not put over them."""

YOUNGER = frozenset({"stripe_bindings", "vat_numbers", "vat_sales", "decisions", "settings_checks"})
"""Those of :data:`EVIDENCE` that archives of earlier versions do not have. One that was taken away, the chain misses."""

_LEFT_OUT = {"leases", "book_leases", "schema_version"}
"""Who writes at the moment is no part of the books; the schema's version stands in the manifest."""


def archived_tables() -> list[Table]:
    """The tables, those that others refer to first."""
    tables = [table for table in t.metadata.sorted_tables if table.name not in _LEFT_OUT]
    return [table for table in tables if table is t.attempts or "connection" in table.columns]


def rows_of(db: Connection, table: Table, connection: str) -> Select[Any]:
    """The rows of `connection` in `table`, in the order of their key."""
    query = bare(db, table).order_by(*table.primary_key.columns)
    if table is t.attempts:
        return query.where(table.c.operation_id.in_(select(t.operations.c.id).where(t.operations.c.connection == connection)))
    return query.where(table.c.connection == connection)


def parquet_schema(table: Table) -> pa.Schema:
    """The columns of `table` as Parquet has them: instants in UTC to the microsecond, amounts as the exact text they are."""
    return pa.schema([pa.field(column.name, _type(column.type), nullable=bool(column.nullable)) for column in table.columns])


def _type(kind: Any) -> pa.DataType:
    match kind:
        case DateTime():
            return pa.timestamp("us", tz="UTC")
        case Boolean():
            return pa.bool_()
        case Integer():
            return pa.int64()
        case PackedText():
            return pa.string()
        case LargeBinary():
            return pa.binary()
        case _:
            return pa.string()
