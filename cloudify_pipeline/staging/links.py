"""Which payment pays which invoice, by all that is staged: invoice payments, invoices themselves, Checkout sessions, old charges.

A link may be found long after the payment: an invoice that a payment is attached to, a receipt that Checkout makes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import duckdb

from cloudify_pipeline.staging.heads import source_hash

Connection = duckdb.DuckDBPyConnection

LINKS = """(
    SELECT invoice, payment_intent, charge, amount_minor, 'invoice payment' AS source FROM invoice_payments
    WHERE invoice IS NOT NULL AND NOT deleted AND status IS DISTINCT FROM 'canceled'
    UNION ALL
    SELECT invoice_id, payment_intent, charge, amount_minor, 'invoice' FROM invoice_pays WHERE status IS DISTINCT FROM 'canceled'
    UNION ALL
    SELECT invoice, payment_intent, NULL, NULL, 'session' FROM checkout_sessions
    WHERE invoice IS NOT NULL AND payment_intent IS NOT NULL AND NOT deleted
    UNION ALL
    SELECT invoice, NULL, id, NULL, 'charge' FROM charges WHERE invoice IS NOT NULL
)"""
"""Invoice, payment intent and charge of each link, the last two where they are known, and how much is paid where that is;
a link may stand there twice."""

BARE = f"""(id NOT IN (SELECT charge FROM {LINKS} WHERE charge IS NOT NULL)
    AND (payment_intent IS NULL
        OR payment_intent NOT IN (SELECT payment_intent FROM {LINKS} WHERE payment_intent IS NOT NULL)))"""
"""That a charge pays no invoice that is known."""

ALIKE_BEFORE, ALIKE_AFTER = timedelta(days=31), timedelta(days=1)
"""How long before its invoice was made, and after that was marked as paid, a payment may be the money that somebody meant."""


@dataclass(frozen=True, slots=True)
class LinkedCharge:
    """A payment that pays invoices, and the hash of its own state."""

    id: str
    content_hash: str
    paid: Mapping[str, int | None]
    """How much of each invoice it pays, where that is known (minor units)."""

    @property
    def invoices(self) -> tuple[str, ...]:
        """The invoices that it pays."""
        return tuple(self.paid)


@dataclass(frozen=True, slots=True)
class Alike:
    """An invoice that somebody marked as paid outside Stripe, and a payment of the same buyer, currency and amount."""

    invoice: str
    charge: str
    apart: timedelta
    """How far the payment lies from the marking."""


def linked_charges(connection: Connection, ids: Sequence[str]) -> list[LinkedCharge]:
    """Those of the charges `ids` that pay an invoice by now."""
    if not ids:
        return []
    rows = connection.execute(
        f"""
        WITH asked AS (SELECT id, content_hash, payment_intent FROM charges WHERE NOT deleted AND id IN (SELECT unnest(?))),
        found AS (
            SELECT a.id, l.invoice, l.amount_minor, l.source FROM asked a JOIN {LINKS} l ON l.charge = a.id
            UNION ALL
            SELECT a.id, l.invoice, l.amount_minor, l.source FROM asked a
            JOIN {LINKS} l ON l.payment_intent = a.payment_intent AND l.charge IS NULL),
        told AS (SELECT id, invoice, sum(amount_minor) AS minor FROM found GROUP BY id, invoice, source)
        SELECT id, any_value(content_hash), invoice, max(minor) FROM told JOIN asked USING (id)
        GROUP BY id, invoice ORDER BY id, invoice""",
        [list(ids)],
    ).fetchall()
    paid: dict[tuple[str, str], dict[str, int | None]] = {}
    for one, digest, invoice, minor in rows:
        paid.setdefault((str(one), source_hash(str(digest))), {})[str(invoice)] = None if minor is None else int(minor)
    return [LinkedCharge(one, digest, invoices) for (one, digest), invoices in paid.items()]


def alike(connection: Connection, ids: Sequence[str]) -> list[Alike]:
    """Invoices marked as paid outside Stripe with payments that may be that money, where either is among `ids`."""
    if not ids:
        return []
    before, after = (int(one.total_seconds()) for one in (ALIKE_BEFORE, ALIKE_AFTER))
    rows = connection.execute(
        f"""
        WITH asked AS (SELECT unnest(?) AS id),
        bare AS (
            SELECT id, customer, currency, amount_minor, created FROM charges
            WHERE status = 'succeeded' AND NOT deleted AND customer IS NOT NULL AND {BARE}),
        outside AS (
            SELECT id, customer, currency, off_stripe_minor AS amount_minor, created, coalesce(paid_at, created) AS paid_at
            FROM invoices WHERE status = 'paid' AND NOT deleted AND off_stripe_minor > 0)
        SELECT o.id, b.id, o.paid_at, b.created FROM outside o JOIN bare b USING (customer, currency, amount_minor)
        WHERE (o.id IN (SELECT id FROM asked) OR b.id IN (SELECT id FROM asked))
            AND b.created BETWEEN o.created - to_seconds({before}) AND o.paid_at + to_seconds({after})
        ORDER BY o.paid_at, o.id, b.created, b.id""",
        [list(ids)],
    ).fetchall()
    return [Alike(str(invoice), str(charge), abs(_utc(paid) - _utc(made))) for invoice, charge, paid, made in rows]


def _utc(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC)
