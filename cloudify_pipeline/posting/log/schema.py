"""The posting log's tables: append-only where it is evidence, current state where it is an index of it.

`operations` and `attempts` are what was intended, sent and answered; `records` is each record's present ending;
`identities` says which ledger number a Stripe id became; `bindings` pins a connection to its books. `audit` is the hash
chain over all of them, `audit_heads` its last link per connection; `vat_sales` says what each posted document is to the VAT
return; `search_terms` is what else a record is found by.
"""

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

SCHEMA_VERSION = 2
"""2: the audit chain. A program that knows only 1 would write rows the chain does not know; it refuses such a log."""
metadata = MetaData()

versions = Table("schema_version", metadata, Column("version", Integer, primary_key=True))

bindings = Table(
    "bindings",
    metadata,
    Column("connection", String(64), primary_key=True),
    Column("agreement", String(64), nullable=False),
    Column("company", Text, nullable=False),
    Column("base_currency", String(3), nullable=False),
    Column("bound_at", DateTime(timezone=True), nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("connection", String(64), primary_key=True),
    Column("token", Integer, nullable=False),
    Column("holder", String(255), nullable=False),
    Column("expires_at", DateTime(timezone=True)),
)

identities = Table(
    "identities",
    metadata,
    Column("connection", String(64), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("stripe_id", String(255), primary_key=True),
    Column("number", String(64), nullable=False),
    Column("numeric", Boolean, nullable=False),
    Column("ledger_kind", String(32)),
    Column("fingerprint", Text, nullable=False),
    Column("source_hash", String(64), nullable=False, default=""),
    Column("how", String(16), nullable=False),
    Column("linked_at", DateTime(timezone=True), nullable=False),
)
Index("identities_by_number", identities.c.connection, identities.c.kind, identities.c.number)

operations = Table(
    "operations",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("connection", String(64), nullable=False),
    Column("operation", String(32), nullable=False),
    Column("key", String(300), nullable=False),
    Column("revision", String(64), nullable=False),
    Column("method", String(8), nullable=False),
    Column("path", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("body_hash", String(64), nullable=False),
    Column("idempotency_key", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("run_id", String(64), nullable=False),
    Column("intended_at", DateTime(timezone=True), nullable=False),
    Column("ended_at", DateTime(timezone=True)),
    Column("number", String(64)),
    UniqueConstraint("connection", "idempotency_key"),
    sqlite_autoincrement=True,
)
Index("operations_by_key", operations.c.connection, operations.c.key, operations.c.operation)

attempts = Table(
    "attempts",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("operation_id", ForeignKey("operations.id"), nullable=False, index=True),
    Column("run_id", String(64), nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("milliseconds", Integer, nullable=False),
    Column("request_id", String(128)),
    Column("code", String(32)),
    Column("message", Text),
    sqlite_autoincrement=True,
)

records = Table(
    "records",
    metadata,
    Column("connection", String(64), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("stripe_id", String(255), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("stripe_number", String(255)),
    Column("name", Text),
    Column("ledger_kind", String(32)),
    Column("number", String(64)),
    Column("total", String(40)),
    Column("currency", String(3)),
    Column("code", String(32)),
    Column("message", Text),
    Column("field", Text),
    Column("found", Text),
    Column("revision", String(64)),
    Column("attempts", Integer, nullable=False, default=0),
    Column("run_id", String(64), nullable=False),
    Column("url", Text),
    Column("updated_at", DateTime(timezone=True), nullable=False),
)
Index("records_by_state", records.c.connection, records.c.kind, records.c.state)
Index("records_by_number", records.c.connection, records.c.number)
Index("records_by_stripe_number", records.c.connection, records.c.stripe_number)

audit = Table(
    "audit",
    metadata,
    Column("connection", String(64), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", String(32), nullable=False),
    Column("entry", String(16), nullable=False),
    Column("subject", String(320), nullable=False),
    Column("payload", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)
Index("audit_by_subject", audit.c.connection, audit.c.entry, audit.c.subject, audit.c.seq)

audit_heads = Table(
    "audit_heads",
    metadata,
    Column("connection", String(64), primary_key=True),
    Column("seq", Integer, nullable=False),
    Column("hash", String(64), nullable=False),
)

vat_sales = Table(
    "vat_sales",
    metadata,
    Column("connection", String(64), primary_key=True),
    Column("stripe_id", String(255), primary_key=True),
    Column("day", String(10), nullable=False),
    Column("eu_consumer", Boolean, nullable=False),
    Column("sale", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
)
Index("vat_sales_by_day", *(vat_sales.c[name] for name in ("connection", "eu_consumer", "day")))

search_terms = Table(
    "search_terms",
    metadata,
    Column("connection", String(64), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("stripe_id", String(255), primary_key=True),
    Column("term", String(255), primary_key=True),
)
# With the columns of the answer in it: SQLite would rather walk the whole key than look rows up.
Index("search_terms_by_term", *(search_terms.c[name] for name in ("connection", "term", "kind", "stripe_id")))
