"""What in staging takes sales back, without bodies: credit notes, refunds, disputes, voided and written-off invoices."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import duckdb

from cloudify_pipeline.staging.heads import source_hash
from cloudify_pipeline.staging.links import LINKS

Connection = duckdb.DuckDBPyConnection


@dataclass(frozen=True, slots=True)
class StagedNote:
    """A credit note: which invoice it corrects, and by how much (minor units). `refunds`: how much of each belongs to it."""

    id: str
    content_hash: str
    invoice: str
    status: str
    amount_minor: int
    created: datetime
    refunds: Mapping[str, int] = field(default_factory=dict)
    out_of_band: int = 0
    """What was given back outside Stripe."""


@dataclass(frozen=True, slots=True)
class StagedRefund:
    """A refund: of which payment, and which invoice that pays, if any (minor units)."""

    id: str
    content_hash: str
    charge: str | None
    invoice: str | None
    status: str
    amount_minor: int
    created: datetime


@dataclass(frozen=True, slots=True)
class StagedDispute:
    """A dispute: of which payment, and which invoice that pays, if any (minor units of `currency`)."""

    id: str
    content_hash: str
    charge: str | None
    invoice: str | None
    status: str
    amount_minor: int
    created: datetime
    currency: str


def credit_notes(connection: Connection) -> list[StagedNote]:
    """Every staged credit note of an invoice, oldest first."""
    rows = connection.execute("""
        SELECT id, content_hash, invoice, CASE WHEN deleted THEN 'deleted' ELSE status END, amount_minor, created, refunds,
            out_of_band_minor
        FROM credit_notes WHERE invoice IS NOT NULL ORDER BY created, id""").fetchall()
    return [
        StagedNote(
            stripe_id, source_hash(digest), invoice, status, int(minor or 0), _utc(at), _refunds(refunds), int(outside or 0)
        )
        for stripe_id, digest, invoice, status, minor, at, refunds, outside in rows
    ]


def credited(connection: Connection, invoices: Sequence[str]) -> dict[str, int]:
    """By how much the credit notes that are staged and stand lower each of these invoices (minor units)."""
    sql = """
        SELECT invoice, sum(amount_minor) FROM credit_notes
        WHERE status = 'issued' AND NOT deleted AND invoice IN (SELECT unnest(?)) GROUP BY invoice"""
    rows = connection.execute(sql, [list(invoices)]).fetchall() if invoices else []
    return {str(invoice): int(minor or 0) for invoice, minor in rows}


def refunds(connection: Connection) -> list[StagedRefund]:
    """Every staged refund, oldest first."""
    return [StagedRefund(*row[:-1]) for row in _of_payments(connection, "refunds")]


def disputes(connection: Connection) -> list[StagedDispute]:
    """Every staged dispute, oldest first."""
    return [StagedDispute(*row) for row in _of_payments(connection, "disputes")]


def _of_payments(connection: Connection, table: str) -> list[tuple[str, str, str | None, str | None, str, int, datetime, str]]:
    rows = connection.execute(f"""
        WITH by_charge AS (
            SELECT charge, min(invoice) AS invoice FROM {LINKS} WHERE charge IS NOT NULL GROUP BY charge),
        by_intent AS (
            SELECT payment_intent, min(invoice) AS invoice FROM {LINKS} WHERE payment_intent IS NOT NULL
            GROUP BY payment_intent)
        SELECT r.id, r.content_hash, r.charge, coalesce(by_charge.invoice, by_intent.invoice), r.status, r.amount_minor,
            r.created, r.currency
        FROM {table} r LEFT JOIN by_charge ON by_charge.charge = r.charge
        LEFT JOIN by_intent ON by_intent.payment_intent = r.payment_intent
        WHERE NOT r.deleted ORDER BY r.created, r.id""").fetchall()
    return [
        (stripe_id, digest, charge, invoice, status or "", int(minor or 0), _utc(at), str(currency or "").upper())
        for stripe_id, digest, charge, invoice, status, minor, at, currency in rows
    ]


def closed_invoices(connection: Connection) -> dict[str, tuple[str, str]]:
    """Invoices that are void or uncollectible: id → (status, content hash)."""
    rows = connection.execute("""
        SELECT id, status, content_hash FROM invoices WHERE status IN ('void', 'uncollectible') AND NOT deleted""").fetchall()
    return {str(stripe_id): (str(status), source_hash(str(digest))) for stripe_id, status, digest in rows}


def _refunds(text: str | None) -> dict[str, int]:
    parts = (part.partition("=") for part in (text or "").split())
    return {refund: int(minor) for refund, _, minor in parts if minor.isdigit()}


def _utc(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC)
