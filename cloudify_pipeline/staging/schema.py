"""The tables of the staging file. Typed columns are for people and joins; the raw JSON beside them is what planning reads."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb

from cloudify_pipeline.stripe_objects import Kind

SCHEMA_VERSION = 4

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Table:
    """A table's name and its columns (name → DuckDB type), in order."""

    name: str
    columns: dict[str, str]

    def create(self) -> str:
        """Its CREATE TABLE statement. Bodies are zstd: a tenth of the size, and five times faster to close than the default."""
        columns = ", ".join(
            f"{name} {kind}" + (" USING COMPRESSION zstd" if name == "body" else "") for name, kind in self.columns.items()
        )
        return f"CREATE TABLE {self.name} ({columns})"

    def arrow(self, rows: list[tuple[object, ...]]) -> "pa.Table":
        """`rows` as an Arrow table with this table's columns; a body is UTF-8 bytes."""
        # Whoever only reads staging does not wait for Arrow, and numpy behind it, to load.
        import pyarrow as pa  # noqa: PLC0415

        columns = list(zip(*rows, strict=True)) if rows else [()] * len(self.columns)
        return pa.table(
            {name: _array(name, kind, list(values)) for (name, kind), values in zip(self.columns.items(), columns, strict=True)}
        )


def _array(name: str, kind: str, values: list[object]) -> "pa.Array":
    import pyarrow as pa  # noqa: PLC0415

    types: dict[str, Any] = {
        "VARCHAR": pa.string(),
        "BIGINT": pa.int64(),
        "BOOLEAN": pa.bool_(),
        "TIMESTAMP": pa.timestamp("s"),
        "DECIMAL(18,6)": pa.decimal128(18, 6),
    }
    if name == "body":
        return pa.array(values, type=pa.binary()).cast(pa.string())
    return pa.array(values, type=types[kind])


# Times are UTC; amounts are Stripe's minor units, hence the names.
_HEAD = {"id": "VARCHAR", "created": "TIMESTAMP", "livemode": "BOOLEAN", "deleted": "BOOLEAN", "content_hash": "VARCHAR"}
_COLUMNS: dict[Kind, tuple[str, dict[str, str]]] = {
    "customer": (
        "customers",
        {
            "status": "VARCHAR", "email": "VARCHAR", "name": "VARCHAR", "currency": "VARCHAR", "country": "VARCHAR",
            "tax_exempt": "VARCHAR",
        },
    ),
    "product": ("products", {"status": "VARCHAR", "name": "VARCHAR"}),
    "price": ("prices", {"status": "VARCHAR", "product": "VARCHAR", "currency": "VARCHAR", "amount_minor": "BIGINT"}),
    "tax_rate": (
        "tax_rates",
        {"status": "VARCHAR", "name": "VARCHAR", "percentage": "DECIMAL(18,6)", "country": "VARCHAR", "inclusive": "BOOLEAN"},
    ),
    "invoice": (
        "invoices",
        {
            "status": "VARCHAR", "customer": "VARCHAR", "currency": "VARCHAR", "amount_minor": "BIGINT", "number": "VARCHAR",
            "collection_method": "VARCHAR", "due_date": "TIMESTAMP", "finalized_at": "TIMESTAMP", "paid_at": "TIMESTAMP",
            "sum_fault": "VARCHAR", "off_stripe_minor": "BIGINT",
        },
    ),
    "charge": (
        "charges",
        {
            "status": "VARCHAR", "customer": "VARCHAR", "currency": "VARCHAR", "amount_minor": "BIGINT",
            "payment_intent": "VARCHAR", "disputed": "BOOLEAN", "captured": "BOOLEAN", "invoice": "VARCHAR",
        },
    ),
    "invoice_payment": (
        "invoice_payments",
        {
            "status": "VARCHAR", "currency": "VARCHAR", "amount_minor": "BIGINT", "invoice": "VARCHAR",
            "payment_intent": "VARCHAR", "charge": "VARCHAR",
        },
    ),
    "credit_note": (
        "credit_notes",
        {
            "status": "VARCHAR", "customer": "VARCHAR", "currency": "VARCHAR", "amount_minor": "BIGINT", "number": "VARCHAR",
            "invoice": "VARCHAR", "refunds": "VARCHAR", "out_of_band_minor": "BIGINT",
        },
    ),
    "refund": (
        "refunds",
        {
            "status": "VARCHAR", "currency": "VARCHAR", "amount_minor": "BIGINT", "charge": "VARCHAR",
            "payment_intent": "VARCHAR",
        },
    ),
    "dispute": (
        "disputes",
        {
            "status": "VARCHAR", "currency": "VARCHAR", "amount_minor": "BIGINT", "charge": "VARCHAR",
            "payment_intent": "VARCHAR",
        },
    ),
    "checkout_session": (
        "checkout_sessions",
        {
            "status": "VARCHAR", "customer": "VARCHAR", "currency": "VARCHAR", "amount_minor": "BIGINT",
            "payment_intent": "VARCHAR", "invoice": "VARCHAR", "makes_invoice": "BOOLEAN",
        },
    ),
}  # fmt: skip

TABLES: dict[Kind, Table] = {
    kind: Table(name, {**_HEAD, **columns, "body": "VARCHAR"}) for kind, (name, columns) in _COLUMNS.items()
}
LINES = Table(
    "invoice_lines",
    {
        "invoice_id": "VARCHAR", "line_id": "VARCHAR", "position": "BIGINT", "product": "VARCHAR", "price": "VARCHAR",
        "quantity": "BIGINT", "amount_minor": "BIGINT", "currency": "VARCHAR", "description": "VARCHAR",
        "period_start": "TIMESTAMP", "period_end": "TIMESTAMP",
    },
)  # fmt: skip
SESSION_LINES = Table("session_lines", {"session_id": "VARCHAR", "product": "VARCHAR", "price": "VARCHAR"})
"""What Checkout sessions sold, for the products and prices that are read with them."""
PAYS = Table(
    "invoice_pays",
    {
        "invoice_id": "VARCHAR", "payment_intent": "VARCHAR", "charge": "VARCHAR", "status": "VARCHAR",
        "amount_minor": "BIGINT",
    },
)  # fmt: skip
"""What an invoice itself says of its payments: one that is read alone comes without its invoice payments."""
PLAN_TABLES = {
    name: Table(name, {"stripe_id": "VARCHAR", "kind": "VARCHAR", "revision": "VARCHAR", "body": "VARCHAR"})
    for name in ("plan_customers", "plan_products", "plan_documents")
}
EVENTS_SEEN = Table("events_seen", {"id": "VARCHAR", "created": "TIMESTAMP"})
SENT = Table("sent", {"invoice_id": "VARCHAR", "sent_at": "TIMESTAMP"})
CHARGE_VERDICTS = Table("charge_verdicts", {"charge_id": "VARCHAR", "invoice": "VARCHAR"})
"""Charges that Stripe was asked about: the invoice they pay, or NULL for a payment without an invoice."""
RESTING = Table("resting", {"charge_id": "VARCHAR", "rests_until": "TIMESTAMP"})
"""Payments that may still get an invoice, and until when that is waited for, by our clock; NULL before they are captured."""
CURSORS = Table("cursors", {"name": "VARCHAR", "value": "VARCHAR"})

EVERY = (
    *TABLES.values(),
    LINES,
    SESSION_LINES,
    PAYS,
    *PLAN_TABLES.values(),
    EVENTS_SEEN,
    SENT,
    CHARGE_VERDICTS,
    RESTING,
    CURSORS,
)


def create_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """Make every table in an empty file, with its version, in one transaction."""
    connection.begin()
    for table in EVERY:
        connection.execute(table.create())
    connection.execute("CREATE TABLE staging_schema (version INTEGER)")
    connection.execute("INSERT INTO staging_schema VALUES (?)", [SCHEMA_VERSION])
    connection.commit()


def file_version(connection: duckdb.DuckDBPyConnection) -> int | None:
    """The version an open file was written with; None for an empty file, -1 for a file that is not staging."""
    try:
        row = connection.execute("SELECT version FROM staging_schema").fetchone()
    except duckdb.CatalogException:
        return None if connection.execute("SELECT 1 FROM duckdb_tables() LIMIT 1").fetchone() is None else -1
    return int(row[0]) if row else -1
