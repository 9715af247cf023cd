"""Questions about a whole connection that the posting log's database answers by itself, however long the log is."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Select, func, select

from cloudify_pipeline.posting.log import schema as t
from cloudify_pipeline.posting.log.store import PostingLog

_ANSWERED = ("confirmed", "found", "refused")


def newest_documents(log: PostingLog, connection: str, *, find: str | None, limit: int) -> tuple[list[dict[str, Any]], int]:
    """The `limit` documents that changed last, and how many there are; `find` as in :meth:`PostingLog.records`."""
    c = t.records.c
    wanted = [c.connection == connection, c.kind == "document"]
    if find:
        text = f"%{find}%"
        wanted.append(c.stripe_id.ilike(text) | c.number.ilike(text) | c.stripe_number.ilike(text) | c.name.ilike(text))
    newest = select(t.records).where(*wanted).order_by(c.updated_at.desc(), c.stripe_id).limit(limit)
    with log.engine.connect() as db:
        found = db.scalar(select(func.count()).where(*wanted)) or 0
        rows = db.execute(newest).mappings().all()
    return [{**row, "updated_at": _aware(row["updated_at"]), "total": _decimal(row["total"])} for row in rows], found


def document_states(log: PostingLog, connection: str) -> Mapping[str, str]:
    """Stripe id → state of every document."""
    c = t.records.c
    query = select(c.stripe_id, c.state).where(c.connection == connection, c.kind == "document")
    with log.engine.connect() as db:
        return dict(db.execute(query).tuples().all())


def document(log: PostingLog, connection: str, stripe_id: str) -> Mapping[str, Any] | None:
    """One document's present record."""
    c = t.records.c
    query = select(t.records).where(c.connection == connection, c.kind == "document", c.stripe_id == stripe_id)
    with log.engine.connect() as db:
        row = db.execute(query).mappings().first()
    return dict(row) if row else None


def last_change(log: PostingLog, connection: str) -> datetime | None:
    """When a record's ending changed last, or a write was answered last."""
    # Attempts are appended: the last one is the latest, and no other need be read.
    written = _of(connection, t.attempts.c.at).order_by(t.attempts.c.id.desc()).limit(1)
    ended = select(func.max(t.records.c.updated_at)).where(t.records.c.connection == connection)
    with log.engine.connect() as db:
        instants = [at for at in (db.scalar(written), db.scalar(ended)) if at is not None]
    return max(map(_aware, instants), default=None)


def refused_as_read_only(log: PostingLog, connection: str) -> datetime | None:
    """When the ledger refused the last write because its licence is read-only; None when a later one was accepted."""
    a = t.attempts.c
    query = _of(connection, a.at, a.code).where(a.outcome.in_(_ANSWERED)).order_by(a.id.desc()).limit(1)
    with log.engine.connect() as db:
        row = db.execute(query).first()
    return _aware(row.at) if row is not None and row.code == "E-CONN-READONLY" else None


def _of(connection: str, *columns: Any) -> Select[Any]:
    """A question about the attempts of one connection."""
    joined = t.attempts.join(t.operations, t.attempts.c.operation_id == t.operations.c.id)
    return select(*columns).select_from(joined).where(t.operations.c.connection == connection)


def _aware(value: datetime) -> datetime:
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
