"""What the audit chain tells of each table's rows, so that a row can be compared with its last entry."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, func, select

from cloudify_pipeline.posting.log import schema as t

Told = tuple[str, str, dict[str, Any]]
"""Entry, subject, facts."""

ENDED = ("state", "ended_at", "number")
"""What an outcome changes of its operation."""


def binding(row: Mapping[str, Any]) -> Told:
    """The books a connection is bound to."""
    return "binding", "binding", _without(row, "connection")


def stripe_binding(row: Mapping[str, Any]) -> Told:
    """The Stripe account and mode that a connection reads."""
    return "stripe_binding", "stripe_binding", _without(row, "connection")


def identity(row: Mapping[str, Any]) -> Told:
    """Which ledger record a Stripe id became."""
    return "identity", f"{row['kind']}:{row['stripe_id']}", _without(row, "connection")


def record(row: Mapping[str, Any]) -> Told:
    """A record's present ending: state, reason, revision."""
    return "record", f"{row['kind']}:{row['stripe_id']}", _without(row, "connection")


def intent(row: Mapping[str, Any]) -> Told:
    """An operation; its body is told by its hash."""
    return "intent", row["key"], _without(row, "connection", "body")


def outcome(attempt: Mapping[str, Any], operation: Mapping[str, Any]) -> Told:
    """An attempt, and what it made of its operation."""
    return "outcome", operation["key"], {**attempt, **{name: operation[name] for name in ENDED}}


def person(row: Mapping[str, Any]) -> Told:
    """What a person decided about a held record."""
    return "person", f"{row['stripe_id']}:{row['code']}", _without(row, "connection")


def vat_number(row: Mapping[str, Any]) -> Told:
    """What VIES or Stripe said of a VAT number; the instant is a text, as the chain writes it."""
    return "vat_number", f"{row['number']}:{row['source']}:{row['asked_at']}:{row['tax_id']}", _without(row, "connection")


def vat_sale(row: Mapping[str, Any]) -> Told:
    """What a posted document is to the VAT return."""
    return "vat_sale", str(row["stripe_id"]), _without(row, "connection")


def decision(row: Mapping[str, Any]) -> Told:
    """What was decided of a record before it was sent; the plan itself is told by its hash."""
    facts = {**_without(row, "connection"), "body": hashlib.sha256(str(row["body"]).encode()).hexdigest()}
    return "decision", f"{row['kind']}:{row['stripe_id']}:{row['number']}", facts


def settings_check(row: Mapping[str, Any]) -> Told:
    """Whether settings fit the ledger of an agreement."""
    return "check", f"{row['settings_hash']}:{row['agreement']}", _without(row, "connection")


def existing(db: Connection, connection: str) -> Iterator[Told]:
    """Everything that stands in the log of `connection`, as entries would tell it."""
    for told, table in ((binding, t.bindings), (identity, t.identities)):
        for row in db.execute(_of(table, connection)).mappings():
            yield told(dict(row))
    for row in db.execute(_of(t.operations, connection).order_by(t.operations.c.id)).mappings():
        yield intent(dict(row))
    attempts = select(t.attempts, t.operations.c.key, *(t.operations.c[name] for name in ENDED)).join(t.operations)
    for row in db.execute(attempts.where(t.operations.c.connection == connection).order_by(t.attempts.c.id)).mappings():
        yield outcome({column.name: row[column.name] for column in t.attempts.columns}, dict(row))
    for row in db.execute(_of(t.records, connection)).mappings():
        yield record(dict(row))


def sizes(db: Connection, connection: str) -> dict[str, int]:
    """Rows of each table that the chain tells of."""
    counts = {
        table.name: select(func.count()).select_from(table).where(table.c.connection == connection)
        for table in (t.bindings, t.identities, t.operations, t.records)
    }
    counts["attempts"] = (
        select(func.count()).select_from(t.attempts.join(t.operations)).where(t.operations.c.connection == connection)
    )
    return {name: db.scalar(query) or 0 for name, query in counts.items()}


def _of(table: Any, connection: str) -> Any:
    return select(table).where(table.c.connection == connection)


def _without(row: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}
