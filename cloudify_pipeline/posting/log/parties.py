"""Which ledger numbers of customers and products are spoken for, by which Stripe ids, and which of them are gone."""

from collections.abc import Mapping

from sqlalchemy import or_, select

from cloudify_pipeline.accounting.chart import Number
from cloudify_pipeline.posting.endings import RecordKind
from cloudify_pipeline.posting.log import schema as t
from cloudify_pipeline.posting.log.store import PostingLog

GONE = "gone"
"""How an identity stands whose record somebody deleted in the ledger: its number may be given to somebody else at any time."""


def numbers_taken(log: PostingLog, connection: str, kind: RecordKind) -> Mapping[Number, frozenset[str]]:
    """Ledger number → the Stripe ids that it stands for, in every connection to the same books. What is gone is free."""
    i, bindings = t.identities.c, t.bindings.c
    books = select(bindings.agreement).where(bindings.connection == connection).scalar_subquery()
    beside = select(bindings.connection).where(bindings.agreement == books)
    query = select(i.number, i.numeric, i.stripe_id).where(
        i.kind == kind, i.how != GONE, or_(i.connection == connection, i.connection.in_(beside))
    )
    taken: dict[Number, set[str]] = {}
    with log.engine.connect() as db:
        for row in db.execute(query):
            taken.setdefault(int(row.number) if row.numeric else row.number, set()).add(row.stripe_id)
    return {number: frozenset(stripe_ids) for number, stripe_ids in taken.items()}
