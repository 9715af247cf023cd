"""Usage: how many documents were created in the ledger, per month. What created nothing counts nothing.

A document counts once, in the month in Copenhagen in which the ledger confirmed it, under the kind it has now: booking or
replacing a draft makes no second one. Refusals, holds and replays that changed nothing are no documents.

A document that a lost or older log has found in the ledger by its key counts once too, as soon as a run has met it in this
Stripe account: in the month of its own date, and in the month in which it was found while nothing tells that date.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import select

from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.planning.records import BOOKS
from cloudify_pipeline.posting.log.schema import identities, operations, records, vat_sales
from cloudify_pipeline.posting.standing import FOUND, PREFIX, SEVERAL, stripe_id_of


@dataclass(frozen=True, slots=True)
class Month:
    """The documents that were created in one month (``2026-11``)."""

    month: str
    draft_invoices: int = 0
    booked_invoices: int = 0
    draft_orders: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.draft_invoices + self.booked_invoices + self.draft_orders


def usage(opened: OpenConnection) -> list[Month]:
    """Every month in which a document was created, oldest first."""
    kinds = _kinds(opened)
    counted: Counter[tuple[str, str]] = Counter()
    for key, confirmed_at in _created(opened):
        month = _aware(confirmed_at).astimezone(BOOKS).strftime("%Y-%m")
        counted[month, kinds.get(stripe_id_of(key)) or "draft_invoice"] += 1
    for month, kind in _found(opened):
        counted[month, kind] += 1
    return [
        Month(month, counted[month, "draft_invoice"], counted[month, "booked_invoice"], counted[month, "draft_order"])
        for month in sorted({month for month, _ in counted})
    ]


def _created(opened: OpenConnection) -> list[tuple[str, datetime]]:
    """The durable key of each document that the ledger confirmed, and when it first did: one for each of its numbers."""
    c = operations.c
    query = (
        select(c.key, c.number, c.ended_at)
        .where(c.connection == opened.name, c.operation == "create_document", c.state == "confirmed", c.ended_at.is_not(None))
        .order_by(c.id)
    )
    first: dict[tuple[str, str], datetime] = {}
    with opened.log.engine.connect() as db:
        for row in db.execute(query):
            first.setdefault((row.key, row.number), row.ended_at)
    return [(key, at) for (key, _), at in first.items()]


def _found(opened: OpenConnection) -> Iterator[tuple[str, str]]:
    """Month and kind of each document that stands by our key and that this log did not create."""
    i, r, o, v = identities.c, records.c, operations.c, vat_sales.c
    created = select(o.id).where(
        o.connection == i.connection,
        o.key == PREFIX + i.stripe_id,
        o.operation == "create_document",
        o.state == "confirmed",
    )
    # Where two Stripe accounts share their books, a run has met those of its own account alone.
    met = select(r.stripe_id).where(r.connection == i.connection, r.kind == i.kind, r.stripe_id == i.stripe_id)
    query = (
        select(i.ledger_kind, i.linked_at, v.day)
        .select_from(identities.outerjoin(vat_sales, (v.connection == i.connection) & (v.stripe_id == i.stripe_id)))
        .where(i.connection == opened.name, i.kind == "document", i.how.in_((FOUND, SEVERAL)), met.exists(), ~created.exists())
    )
    with opened.log.engine.connect() as db:
        for row in db.execute(query):
            month = row.day[:7] if row.day else _aware(row.linked_at).astimezone(BOOKS).strftime("%Y-%m")
            yield month, row.ledger_kind or "draft_invoice"


def _kinds(opened: OpenConnection) -> dict[str, str | None]:
    """The kind that each document has now, by its Stripe id."""
    c = identities.c
    query = select(c.stripe_id, c.ledger_kind).where(c.connection == opened.name, c.kind == "document")
    with opened.log.engine.connect() as db:
        return {row.stripe_id: row.ledger_kind for row in db.execute(query)}


def _aware(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)
