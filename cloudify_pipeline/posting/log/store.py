"""The posting log: what was intended, sent and answered, and which ledger number a Stripe id became."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, RowMapping, func, select
from sqlalchemy.exc import SQLAlchemyError

from cloudify_pipeline.accounting.chart import Number
from cloudify_pipeline.errors import LogUnavailable, Problem
from cloudify_pipeline.ledgers.port import LedgerIdentity, Operation, StoredKind, Write
from cloudify_pipeline.posting.endings import Ending, RecordKind
from cloudify_pipeline.posting.log import evidence
from cloudify_pipeline.posting.log import schema as t
from cloudify_pipeline.posting.log.chain import is_open, page
from cloudify_pipeline.posting.log.database import open_engine, prepare, upsert
from cloudify_pipeline.posting.log.endings import record_row
from cloudify_pipeline.posting.log.terms import add_terms, found, keep


@dataclass(frozen=True, slots=True)
class Identity:
    """The ledger record that one Stripe id became or was matched to."""

    stripe_id: str
    number: Number
    ledger_kind: StoredKind | None
    fingerprint: str
    """What the ledger record was called or keyed when it was linked: numbers are used again after a deletion."""
    how: str
    source_hash: str = ""
    """The staged Stripe object at that time."""


@dataclass(frozen=True, slots=True)
class OpenOperation:
    """An operation that was sent and has no outcome: it may or may not stand in the ledger."""

    id: int
    revision: str
    write: Write
    """The very request, to the byte."""
    idempotency_key: str
    intended_at: datetime


class PostingLog:
    """The log of all connections, on SQLite by default and PostgreSQL by URL.

    Raises:
        LogUnavailable: it cannot be opened, read or written; without it nothing may be sent.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        try:
            self.engine = open_engine(url)
            found = prepare(self.engine)
        except SQLAlchemyError as error:
            raise LogUnavailable(f"the posting log cannot be opened: {type(error).__name__}") from error
        if found > t.SCHEMA_VERSION:
            raise LogUnavailable(f"the posting log was written by a newer version (schema {found}); install that one")

    def close(self) -> None:
        """Let go of the database."""
        self.engine.dispose()

    # -- books ----------------------------------------------------------------------------------------------------------

    def binding(self, connection: str) -> Mapping[str, Any] | None:
        """The books that `connection` is bound to, or None before the first contact."""
        with self.engine.connect() as db:
            row = db.execute(select(t.bindings).where(t.bindings.c.connection == connection)).mappings().first()
        return dict(row) if row else None

    def bind(self, connection: str, identity: LedgerIdentity, now: datetime) -> None:
        """Pin `connection` to these books; ids of one agreement mean nothing in another."""
        values = {
            "agreement": identity.agreement,
            "company": identity.company,
            "base_currency": identity.base_currency,
            "bound_at": now,
        }
        row = {"connection": connection, **values}
        with self.engine.begin() as db:
            page(db, connection, now).tell(evidence.binding(row), now)
            upsert(db, t.bindings, [row])

    # -- identities -----------------------------------------------------------------------------------------------------

    def identities(self, connection: str, kind: RecordKind, stripe_ids: Iterable[str] | None = None) -> dict[str, Identity]:
        """Ledger numbers by Stripe id; all of `kind` when no ids are named."""
        c = t.identities.c
        query = select(t.identities).where(c.connection == connection, c.kind == kind)
        with self.engine.connect() as db:
            if stripe_ids is None:
                rows = db.execute(query).mappings().all()
            else:
                rows = [
                    row for part in _parts(list(stripe_ids)) for row in db.execute(query.where(c.stripe_id.in_(part))).mappings()
                ]
        return {row["stripe_id"]: _identity(row) for row in rows}

    def identity_change(self, connection: str, kind: RecordKind, identity: Identity, now: datetime) -> "LogChange":
        """The change that links a Stripe id to a ledger number."""
        row = {
            "connection": connection,
            "kind": kind,
            "stripe_id": identity.stripe_id,
            "number": str(identity.number),
            "numeric": isinstance(identity.number, int),
            "ledger_kind": identity.ledger_kind,
            "fingerprint": identity.fingerprint,
            "how": identity.how,
            "source_hash": identity.source_hash,
            "linked_at": now,
        }

        def apply(db: Connection) -> None:
            page(db, connection, now).tell(evidence.identity(row), now)
            upsert(db, t.identities, [row])
            # A draft has a number of its own, by which people go on looking for it when it is booked.
            keep(db, connection, [(kind, identity.stripe_id, str(identity.number))])

        return LogChange(apply)

    # -- operations -----------------------------------------------------------------------------------------------------

    def open_operation(self, connection: str, operation: Operation, key: str) -> OpenOperation | None:
        """The latest operation on `key` that was sent and whose outcome nobody knows."""
        c = t.operations.c
        query = (
            select(t.operations)
            .where(c.connection == connection, c.key == key, c.operation == operation, c.state.in_(("sent", "unknown")))
            .order_by(c.id.desc())
            .limit(1)
        )
        with self.engine.connect() as db:
            row = db.execute(query).mappings().first()
        if row is None:
            return None
        write = Write(operation, key, row["method"], row["path"], bytes(row["body"]))
        return OpenOperation(row["id"], row["revision"], write, row["idempotency_key"], _aware(row["intended_at"]))

    def tries_over(self, connection: str, operation: Operation, key: str) -> int:
        """How many writes of `operation` on `key` have ended: carried out, refused, or looked up and found nowhere.

        One that never left is no try.
        """
        c = t.operations.c
        mine = (c.connection == connection, c.key == key, c.operation == operation)
        ended = c.state.in_(("confirmed", "refused", "superseded"))
        with self.engine.connect() as db:
            return int(db.scalar(select(func.count()).where(*mine, ended)) or 0)

    def open_keys(self, connection: str) -> set[tuple[str, str]]:
        """(operation, key) of everything sent without a known outcome."""
        c = t.operations.c
        query = select(c.operation, c.key).where(c.connection == connection, c.state.in_(("sent", "unknown")))
        with self.engine.connect() as db:
            return {(row.operation, row.key) for row in db.execute(query)}

    def intent_change(
        self, connection: str, write: Write, *, revision: str, idempotency_key: str, run_id: str, now: datetime
    ) -> "LogChange":
        """The change that records an intent before anything is sent; gives the operation's id.

        One that never left the house is taken up again under its own id: it has the same key.
        """
        values = {
            "connection": connection,
            "operation": write.operation,
            "key": write.key,
            "revision": revision,
            "method": write.method,
            "path": write.path,
            "body": write.body,
            "body_hash": body_hash(write.body),
            "idempotency_key": idempotency_key,
            "state": "sent",
            "run_id": run_id,
            "intended_at": now,
        }

        def insert(db: Connection) -> int:
            chain = page(db, connection, now)
            row = {**values, "ended_at": None, "number": None}
            o = t.operations.c
            unsent = (o.connection == connection, o.idempotency_key == idempotency_key, o.state == "not_sent")
            operation_id = db.scalar(t.operations.update().where(*unsent).values(**row).returning(o.id))
            if operation_id is None:
                result = db.execute(t.operations.insert().values(**row))
                operation_id = int(result.inserted_primary_key[0])  # type: ignore[index]
            chain.tell(evidence.intent({"id": operation_id, **row}), now)
            return int(operation_id)

        return LogChange(insert)

    def outcome_change(
        self,
        operation_id: int,
        *,
        outcome: str,
        run_id: str,
        now: datetime,
        milliseconds: int = 0,
        number: Number | None = None,
        request_id: str | None = None,
        code: str | None = None,
        message: str | None = None,
    ) -> "LogChange":
        """The change that records how an attempt ended: confirmed, found, absent, refused, not_sent, unknown or superseded."""

        def update(db: Connection) -> None:
            state = {"found": "confirmed", "absent": "superseded"}.get(outcome, outcome)
            ended = {"state": state, "ended_at": now, "number": None if number is None else str(number)}
            o = t.operations.c
            changed = t.operations.update().where(o.id == operation_id).values(**ended).returning(o.connection, o.key)
            operation = db.execute(changed).one()
            chain = page(db, operation.connection, now)
            attempt = {
                "operation_id": operation_id,
                "run_id": run_id,
                "at": now,
                "outcome": outcome,
                "milliseconds": milliseconds,
                "request_id": request_id,
                "code": code,
                "message": message,
            }
            result = db.execute(t.attempts.insert().values(**attempt))
            attempt["id"] = int(result.inserted_primary_key[0])  # type: ignore[index]
            chain.tell(evidence.outcome(attempt, {"key": operation.key, **ended}), now)

        return LogChange(update)

    # -- records --------------------------------------------------------------------------------------------------------

    def record_changes(self, connection: str, endings: Sequence[Ending], *, run_id: str, now: datetime) -> "LogChange":
        """The change that sets the present ending of records. A settled document never falls back to planned or skipped."""

        def changed(db: Connection) -> list[dict[str, Any]]:
            present = self._present(db, connection, endings)
            rows = (record_row(connection, one, present.get((one.kind, one.stripe_id)), run_id, now) for one in endings)
            return [row for row in rows if row is not None]

        def apply(db: Connection) -> None:
            held = is_open(db, connection)
            rows = changed(db)
            if rows:
                chain = page(db, connection, now)
                # Until the chain was locked, another process may have ended these records otherwise.
                rows = rows if held else changed(db)
                for row in rows:
                    chain.tell(evidence.record(row), now)
            if rows:
                upsert(db, t.records, rows)
            add_terms(db, connection, endings, rows)

        return LogChange(apply)

    def record(self, connection: str, endings: Sequence[Ending], *, run_id: str, now: datetime) -> None:
        """Set the present ending of records, at once."""
        for part in _parts(list(endings), 500):
            with self.engine.begin() as db:
                self.record_changes(connection, part, run_id=run_id, now=now).apply(db)

    def records(
        self, connection: str, kind: RecordKind = "document", *, states: Sequence[str] | None = None, find: str | None = None
    ) -> list[dict[str, Any]]:
        """Present records, newest first; `find` as :func:`terms.found` has it."""
        c = t.records.c
        query = select(t.records).where(c.connection == connection, c.kind == kind)
        if states is not None:
            query = query.where(c.state.in_(states))
        with self.engine.connect() as db:
            if find:
                query = query.where(found(db, connection, kind, find))
            rows = db.execute(query.order_by(c.updated_at.desc(), c.stripe_id)).mappings().all()
        return [{**row, "updated_at": _aware(row["updated_at"]), "total": _decimal(row["total"])} for row in rows]

    def states(self, connection: str, kind: RecordKind = "document") -> dict[str, tuple[str, str | None, str | None]]:
        """Stripe id → (state, kind of ledger document, revision) of every record."""
        c = t.records.c
        query = select(c.stripe_id, c.state, c.ledger_kind, c.revision).where(c.connection == connection, c.kind == kind)
        with self.engine.connect() as db:
            return {row.stripe_id: (row.state, row.ledger_kind, row.revision) for row in db.execute(query)}

    def revisions_with(self, connection: str, code: str) -> dict[str, str | None]:
        """Stripe id → revision of every document whose present ending carries `code`."""
        c = t.records.c
        query = select(c.stripe_id, c.revision).where(c.connection == connection, c.kind == "document", c.code == code)
        with self.engine.connect() as db:
            return {row.stripe_id: row.revision for row in db.execute(query)}

    def waiting(self, connection: str, kind: RecordKind, code: str) -> list[str]:
        """The Stripe ids of records that stay planned for the reason `code`."""
        c = t.records.c
        query = select(c.stripe_id).where(c.connection == connection, c.kind == kind, c.state == "planned", c.code == code)
        with self.engine.connect() as db:
            return [str(one) for one in db.execute(query).scalars()]

    def problem(self, connection: str, stripe_id: str) -> Problem | None:
        """Why a document is held or failed at present."""
        c = t.records.c
        query = select(t.records).where(c.connection == connection, c.kind == "document", c.stripe_id == stripe_id)
        with self.engine.connect() as db:
            row = db.execute(query).mappings().first()
        return Problem(row["code"], row["message"] or "", row["field"], row["found"]) if row and row["code"] else None

    def counts(self, connection: str, kind: RecordKind = "document") -> dict[str, int]:
        """How many records are in each state."""
        c = t.records.c
        query = select(c.state, func.count()).where(c.connection == connection, c.kind == kind).group_by(c.state)
        with self.engine.connect() as db:
            return dict(db.execute(query).tuples().all())

    def history(self, connection: str, keys: Sequence[str]) -> list[dict[str, Any]]:
        """Every attempt on the operations of `keys`, oldest first."""
        o, a = t.operations.c, t.attempts.c
        query = (
            select(
                o.operation, o.key, o.state, o.number, o.intended_at, o.revision, o.method, o.path,
                a.at, a.outcome, a.milliseconds, a.request_id, a.code, a.message, a.run_id,
            )
            .select_from(t.operations.outerjoin(t.attempts, a.operation_id == o.id))
            .where(o.connection == connection, o.key.in_(list(keys)))
            .order_by(o.id, a.id)
        )  # fmt: skip
        with self.engine.connect() as db:
            return [dict(row) for row in db.execute(query).mappings()]

    def _present(self, db: Connection, connection: str, endings: Sequence[Ending]) -> dict[tuple[str, str], RowMapping]:
        c = t.records.c
        query = select(t.records).where(c.connection == connection)
        rows = (
            row
            for part in _parts([ending.stripe_id for ending in endings])
            for row in db.execute(query.where(c.stripe_id.in_(part))).mappings()
        )
        return {(row["kind"], row["stripe_id"]): row for row in rows}


class LogChange:
    """A change of the log that somebody else commits, alone or with others."""

    __slots__ = ("_apply",)

    def __init__(self, apply: Any) -> None:
        self._apply = apply

    def apply(self, db: Connection) -> Any:
        """Apply it in `db`'s transaction."""
        return self._apply(db)


def body_hash(body: bytes) -> str:
    """The hash by which two request bodies are byte-identical."""
    return hashlib.sha256(body).hexdigest()


def _identity(row: RowMapping) -> Identity:
    number: Number = int(row["number"]) if row["numeric"] else row["number"]
    return Identity(row["stripe_id"], number, row["ledger_kind"], row["fingerprint"], row["how"], row["source_hash"])


def _parts(items: list[Any], size: int = 500) -> Iterable[list[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _aware(value: datetime) -> datetime:
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
