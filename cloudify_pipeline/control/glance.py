"""Questions about a whole connection that the posting log's database answers by itself, however long the log is."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import orjson
from sqlalchemy import ColumnElement, Connection, Function, Select, Text, cast, func, select, type_coerce

from cloudify_pipeline.posting.log import schema as t
from cloudify_pipeline.posting.log.store import PostingLog
from cloudify_pipeline.posting.log.terms import found

LISTED = {
    "stripe_id": "stripe_id", "stripe_number": "stripe_number", "kind": "ledger_kind", "state": "state",
    "ledger_number": "number", "total": "total", "currency": "currency", "customer": "name", "error_code": "code",
    "error": "message", "attempts": "attempts", "url": "url", "updated_at": "updated_at",
}  # fmt: skip
"""What `status` calls the columns of a record, in its order."""
_PORTION = 2000
_ANSWERED = ("confirmed", "found", "refused")


def listed(
    log: PostingLog, connection: str, *, find: str | None = None, limit: int | None = None
) -> tuple[list[dict[str, Any]], int]:
    """The documents as `status` lists them, those that changed last first, and how many there are without `limit`.

    `find` as :func:`terms.found` has it. Amounts and instants are texts: nothing is read that would be written out again.
    """
    c = t.records.c
    with log.engine.connect() as db:
        wanted = [c.connection == connection, c.kind == "document"]
        if find:
            wanted.append(found(db, connection, "document", find))
        query = (
            select(*(c[column] for column in LISTED.values()))
            .where(*wanted)
            .order_by(c.updated_at.desc(), c.stripe_id)
            .limit(limit)
        )
        rows = db.execute(query).all()
        known = len(rows)
        if limit is not None and known == limit:
            known = db.scalar(select(func.count()).select_from(t.records).where(*wanted)) or 0
    return [dict(zip(LISTED, (*row[:-1], _aware(row[-1]).isoformat()), strict=True)) for row in rows], known


def listed_json(log: PostingLog, connection: str, *, find: str | None = None) -> Iterator[Sequence[str]]:
    """As :func:`listed`, in portions, each document as the JSON text that the database makes of it."""
    c = t.records.c
    with log.engine.connect() as db:
        wanted = [c.connection == connection, c.kind == "document"]
        if find:
            wanted.append(found(db, connection, "document", find))
        columns = {**{name: c[column] for name, column in LISTED.items()}, "updated_at": _instant(db)}
        made = _json(db, "object")(*(part for pair in columns.items() for part in pair))
        query = select(cast(made, Text)).where(*wanted).order_by(c.updated_at.desc(), c.stripe_id)
        # In portions, so that a long list is never in memory as a whole.
        yield from db.execution_options(yield_per=_PORTION).scalars(query).partitions()


def documents_but(log: PostingLog, connection: str, states: Collection[str]) -> Sequence[str]:
    """Stripe ids of every document that is in none of `states`."""
    c = t.records.c
    with log.engine.connect() as db:
        ids = cast(_json(db, "array")(c.stripe_id), Text)
        query = select(ids).where(c.connection == connection, c.kind == "document", c.state.not_in(states))
        return [str(one) for one in orjson.loads(db.scalar(query) or "[]")]


def _json(db: Connection, what: Literal["object", "array"]) -> Callable[..., Function[Any]]:
    """The database's own function that makes JSON: one object of names and values, or one array of all rows."""
    names = {"sqlite": ("json_object", "json_group_array"), "postgresql": ("json_build_object", "json_agg")}
    single, many = names[db.dialect.name]
    made: Callable[..., Function[Any]] = getattr(func, single if what == "object" else many)
    return made


def _instant(db: Connection) -> ColumnElement[str]:
    """When a record changed, in the ISO form that the other lists have."""
    at = t.records.c.updated_at
    if db.dialect.name == "sqlite":
        text = func.replace(type_coerce(at, Text), " ", "T")
    else:
        text = func.to_char(func.timezone("UTC", at), 'YYYY-MM-DD"T"HH24:MI:SS.US')
    return func.replace(text, ".000000", "") + "+00:00"


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
