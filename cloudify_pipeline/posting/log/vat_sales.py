"""What each posted document is to the VAT return, as it was decided when it was posted: plans are gone with the next run."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from functools import cache

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, Connection, func, select

from cloudify_pipeline.accounting.vat_return import Sale
from cloudify_pipeline.posting.log import evidence
from cloudify_pipeline.posting.log import schema as t
from cloudify_pipeline.posting.log.chain import page
from cloudify_pipeline.posting.log.database import upsert
from cloudify_pipeline.posting.log.schema import vat_sales
from cloudify_pipeline.posting.log.store import LogChange, PostingLog

_PART = 500


def sale_change(connection: str, sale: Sale, now: datetime, *, made: bool, decided: bool = False) -> LogChange:
    """The change that keeps `sale`. Unless this run `made` its document, what was kept when it was made stays.

    `decided`: it is what was decided when the document was sent; a run that died right behind that has kept none, or the one
    of the draft before.
    """
    row = {
        "connection": connection,
        "stripe_id": sale.stripe_id,
        "day": sale.date.isoformat(),
        "eu_consumer": sale.eu_consumer,
        "sale": _adapter().dump_json(sale).decode(),
        "at": now,
    }

    def apply(db: Connection) -> None:
        # The chain is locked first: nobody else keeps the same sale between the look and the writing.
        chain = page(db, connection, now)
        mine = (vat_sales.c.connection == connection, vat_sales.c.stripe_id == sale.stripe_id)
        kept = db.scalar(select(vat_sales.c.sale).where(*mine))
        if kept == row["sale"] or (kept is not None and not made and not (decided and _another(kept, sale))):
            return
        chain.tell(evidence.vat_sale(row), now)
        upsert(db, vat_sales, [row])

    return LogChange(apply)


def kept_sales(
    log: PostingLog,
    connection: str,
    *,
    first: date | None = None,
    last: date | None = None,
    ids: Sequence[str] | None = None,
    eu_consumers: bool = False,
) -> dict[str, Sale]:
    """Stripe id → sale, of the documents dated from `first` to `last`, or of those in `ids`; `eu_consumers`: of those alone.

    A draft that is gone from the ledger, and that a person does not want back, was no sale.
    """
    c = vat_sales.c
    query = select(c.sale).where(c.connection == connection, ~_given_up())
    if first is not None:
        query = query.where(c.day >= first.isoformat())
    if last is not None:
        query = query.where(c.day <= last.isoformat())
    if eu_consumers:
        query = query.where(c.eu_consumer)
    with log.engine.connect() as db:
        if ids is None:
            rows = list(db.scalars(query))
        else:
            parts = (ids[start : start + _PART] for start in range(0, len(ids), _PART))
            rows = [row for part in parts for row in db.scalars(query.where(c.stripe_id.in_(part)))]
    sales = (_adapter().validate_json(row) for row in rows)
    return {sale.stripe_id: sale for sale in sales}


def posted_elsewhere(log: PostingLog, connection: str, ids: Sequence[str]) -> dict[str, str]:
    """Stripe id → the connection of this installation, other than `connection`, that posted it: two may share their books."""
    c = t.identities.c
    query = select(c.stripe_id, c.connection).where(c.kind == "document", c.connection != connection)
    with log.engine.connect() as db:
        parts = (ids[start : start + _PART] for start in range(0, len(ids), _PART))
        return {row.stripe_id: row.connection for part in parts for row in db.execute(query.where(c.stripe_id.in_(part)))}


def without_sale(log: PostingLog, connection: str) -> int:
    """How many documents stand in the ledger of which nobody kept what they are to the VAT return."""
    c = t.identities.c
    kept = select(vat_sales.c.stripe_id).where(vat_sales.c.connection == c.connection, vat_sales.c.stripe_id == c.stripe_id)
    query = select(func.count()).select_from(t.identities).where(c.connection == connection, c.kind == "document", ~kept.exists())
    with log.engine.connect() as db:
        return int(db.scalar(query) or 0)


def _another(kept: str, sale: Sale) -> bool:
    """Whether `sale` was decided otherwise than the one that is kept; what the ledger tells of it may come and go."""
    before, after = (replace(one, base=None, number=None, stored=None) for one in (_adapter().validate_json(kept), sale))
    return before != after


def _given_up() -> ColumnElement[bool]:
    r = t.records.c
    mine = (r.connection == vat_sales.c.connection, r.kind == "document", r.stripe_id == vat_sales.c.stripe_id)
    return select(r.stripe_id).where(*mine, r.state == "skipped").exists()


@cache
def _adapter() -> TypeAdapter[Sale]:
    return TypeAdapter(Sale)
