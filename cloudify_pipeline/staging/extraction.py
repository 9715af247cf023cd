"""What extraction asks of staging: what is known, what is missing, and which charges are still undecided."""

from collections.abc import Sequence
from typing import Any

import duckdb

from cloudify_pipeline.staging.links import BARE, LINKS
from cloudify_pipeline.staging.schema import TABLES
from cloudify_pipeline.stripe_objects import Kind, UndecidedCharge

Connection = duckdb.DuckDBPyConnection

_REFERENCES: dict[Kind, str] = {
    "customer": "SELECT customer AS id FROM invoices UNION SELECT customer FROM charges WHERE status = 'succeeded'",
    "product": "SELECT product AS id FROM invoice_lines UNION SELECT product FROM session_lines",
    "price": "SELECT price AS id FROM invoice_lines UNION SELECT price FROM session_lines",
}


_SOLD = """SELECT {named} AS id FROM invoice_lines WHERE invoice_id IN (SELECT id FROM named)
    UNION SELECT l.{named} FROM session_lines l JOIN checkout_sessions s ON s.id = l.session_id
    JOIN charges c ON c.payment_intent = s.payment_intent WHERE c.id IN (SELECT id FROM named)"""
_NAMED: dict[Kind, str] = {
    "customer": (
        "SELECT customer AS id FROM (SELECT id, customer FROM invoices UNION ALL SELECT id, customer FROM charges) "
        "AS known WHERE known.id IN (SELECT id FROM named)"
    ),
    "product": _SOLD.format(named="product"),
    "price": _SOLD.format(named="price"),
}


def cursor(connection: Connection, name: str) -> str | None:
    """A cursor's value, or None before it was ever set."""
    row = connection.execute("SELECT value FROM cursors WHERE name = ?", [name]).fetchone()
    return str(row[0]) if row else None


def unseen_events(connection: Connection, ids: Sequence[str]) -> set[str]:
    """Those of `ids` that no earlier run has processed."""
    rows = connection.execute("SELECT id FROM events_seen WHERE id IN (SELECT unnest(?))", [list(ids)]).fetchall() if ids else []
    return set(ids) - _ids(rows)


def live_ids(connection: Connection, kind: Kind, created_from: int, created_to: int, status: str | None) -> set[str]:
    """What is staged and not deleted, created between two epoch seconds (both included), with `status` when given."""
    sql = f"SELECT id FROM {TABLES[kind].name} WHERE NOT deleted AND epoch(created)::BIGINT BETWEEN ? AND ?"
    if status is None:
        return _ids(connection.execute(sql, [created_from, created_to]).fetchall())
    return _ids(connection.execute(f"{sql} AND status = ?", [created_from, created_to, status]).fetchall())


def created_times(connection: Connection, kind: Kind) -> list[int]:
    """When the staged objects of a kind were created: epoch seconds, ascending."""
    sql = f"SELECT epoch(created)::BIGINT FROM {TABLES[kind].name} WHERE NOT deleted AND created IS NOT NULL ORDER BY 1"
    return [int(row[0]) for row in connection.execute(sql).fetchall()]


def undecided_charges(connection: Connection) -> list[UndecidedCharge]:
    """Succeeded charges of which Stripe was not asked, or asked too early, whether they pay an invoice, oldest first."""
    rows = connection.execute(f"""
        SELECT c.id, c.payment_intent, epoch(c.created)::BIGINT, c.captured, v.charge_id IS NOT NULL, r.charge_id IS NOT NULL,
            epoch(r.rests_until)::BIGINT
        FROM (SELECT * FROM charges WHERE status = 'succeeded' AND NOT deleted AND {BARE}) c
        LEFT JOIN charge_verdicts v ON v.charge_id = c.id LEFT JOIN resting r ON r.charge_id = c.id
        WHERE v.charge_id IS NULL OR r.charge_id IS NOT NULL
        ORDER BY c.created, c.id""").fetchall()
    return [UndecidedCharge(*row) for row in rows]


def without_session(connection: Connection, intents: Sequence[str]) -> set[str]:
    """Those of `intents` that no staged Checkout session took."""
    sql = "SELECT payment_intent FROM checkout_sessions WHERE payment_intent IN (SELECT unnest(?))"
    return set(intents) - _ids(connection.execute(sql, [list(intents)]).fetchall()) if intents else set()


def awaiting_invoice(connection: Connection, since: int) -> list[str]:
    """Checkout sessions made at `since` (epoch seconds) or later that make an invoice of their payment; none is known yet."""
    rows = connection.execute(
        f"""
        SELECT id FROM checkout_sessions
        WHERE makes_invoice AND invoice IS NULL AND status = 'complete' AND NOT deleted AND epoch(created)::BIGINT >= ?
          AND payment_intent NOT IN (SELECT payment_intent FROM {LINKS} WHERE payment_intent IS NOT NULL)
        ORDER BY created, id""",
        [since],
    ).fetchall()
    return [str(row[0]) for row in rows]


def is_disputed(connection: Connection) -> bool:
    """Whether any staged payment is, or was, disputed."""
    return connection.execute("SELECT 1 FROM charges WHERE disputed AND NOT deleted LIMIT 1").fetchone() is not None


def missing_references(connection: Connection) -> dict[Kind, list[str]]:
    """Customers, products and prices that staged invoices or charges name and that are not staged themselves."""
    missing: dict[Kind, list[str]] = {}
    for kind, references in _REFERENCES.items():
        rows: list[tuple[Any, ...]] = connection.execute(
            f"SELECT id FROM ({references}) WHERE id IS NOT NULL AND id NOT IN (SELECT id FROM {TABLES[kind].name}) ORDER BY id"
        ).fetchall()
        if rows:
            missing[kind] = [str(row[0]) for row in rows]
    return missing


def references_of(connection: Connection, ids: Sequence[str]) -> dict[Kind, list[str]]:
    """Customers, products and prices that these staged invoices and charges name."""
    named: dict[Kind, list[str]] = {}
    for kind, question in _NAMED.items():
        rows = connection.execute(
            f"WITH named AS (SELECT unnest(?) AS id) SELECT DISTINCT id FROM ({question}) WHERE id IS NOT NULL ORDER BY id",
            [list(ids)],
        ).fetchall()
        if rows:
            named[kind] = [str(row[0]) for row in rows]
    return named


def _ids(rows: Sequence[tuple[Any, ...]]) -> set[str]:
    return {str(row[0]) for row in rows}
