"""What was decided of each document, customer and product when it was sent: plans and settings are others by the next run.

A decision is written with the intent of the request that it leads to, so it is in the log before anything leaves. Which one
a record stands by is told by its last operation that the ledger confirmed, whatever was planned or tried since.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Boolean, Column, Connection, DateTime, Integer, RowMapping, String, Table, Text, select

from cloudify_pipeline.posting.endings import RecordKind
from cloudify_pipeline.posting.log import evidence
from cloudify_pipeline.posting.log import schema as t
from cloudify_pipeline.posting.log.chain import page
from cloudify_pipeline.posting.log.packed import PackedText
from cloudify_pipeline.posting.log.store import LogChange, PostingLog

decisions = Table(
    "decisions",
    t.metadata,
    Column("connection", String(64), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("stripe_id", String(255), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("revision", String(64), nullable=False),
    Column("settings_hash", String(64), nullable=False),
    Column("rule", Text, nullable=False),
    # A record of the ledger that was only linked has no operation: its decision took effect by itself.
    Column("sent", Boolean, nullable=False),
    Column("body", PackedText, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision that is to be kept. `body` is the plan as JSON, with what was looked at and where each field comes from."""

    kind: RecordKind
    stripe_id: str
    revision: str
    rule: str
    body: str
    sent: bool = True


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision as it was kept: when, by which settings, and what."""

    kind: RecordKind
    stripe_id: str
    at: datetime
    revision: str
    settings_hash: str
    rule: str
    body: str


@dataclass(frozen=True, slots=True)
class Stands:
    """What the log knows of how a record came to stand as it does.

    `confirmed_at` is when the ledger last confirmed a write to it, None where this log never sent one; `decision` is None
    where it was sent by a version that kept none, or not by this log.
    """

    confirmed_at: datetime | None
    run_id: str | None
    decision: Decision | None


def decision_change(connection: str, decided: Decided, settings_hash: str, now: datetime) -> LogChange:
    """The change that keeps `decided`. One that says what the last one says is kept once."""

    def apply(db: Connection) -> None:
        # The chain is locked first: nobody else numbers a decision of the same record between the look and the writing.
        chain = page(db, connection, now)
        last = db.execute(_of(connection, decided.kind, decided.stripe_id).limit(1)).mappings().first()
        if last is not None and _says(last, decided, settings_hash) and _aware(last["at"]) <= now:
            return
        row = {
            "connection": connection,
            "kind": decided.kind,
            "stripe_id": decided.stripe_id,
            "number": 1 if last is None else last["number"] + 1,
            "at": now,
            "revision": decided.revision,
            "settings_hash": settings_hash,
            "rule": decided.rule,
            "sent": decided.sent,
            "body": decided.body,
        }
        chain.tell(evidence.decision(row), now)
        db.execute(decisions.insert().values(**row))

    return LogChange(apply)


def stands_by(log: PostingLog, connection: str, kind: RecordKind, stripe_id: str, key: str) -> Stands:
    """What the record that was sent under `key` stands by."""
    o = t.operations.c
    sent = (
        select(o.revision, o.intended_at, o.ended_at, o.run_id)
        .where(o.connection == connection, o.key == key, o.state == "confirmed")
        .order_by(o.id.desc())
        .limit(1)
    )
    with log.engine.connect() as db:
        operation = db.execute(sent).first()
        rows = db.execute(_of(connection, kind, stripe_id)).mappings().all()
    # The highest that was kept when the request was intended: its own, or an earlier one that said the same.
    led_to = (
        row
        for row in rows
        if not row["sent"]
        or (
            operation is not None and row["revision"] == operation.revision and _aware(row["at"]) <= _aware(operation.intended_at)
        )
    )
    row = next(led_to, None)
    decision = None if row is None else _decision(row)
    if operation is None:
        return Stands(None, None, decision)
    return Stands(_aware(operation.ended_at or operation.intended_at), operation.run_id, decision)


def _of(connection: str, kind: RecordKind, stripe_id: str) -> Any:
    c = decisions.c
    mine = (c.connection == connection, c.kind == kind, c.stripe_id == stripe_id)
    return select(decisions).where(*mine).order_by(c.number.desc())


def _says(row: RowMapping, decided: Decided, settings_hash: str) -> bool:
    before = (row["revision"], row["settings_hash"], row["rule"], row["sent"], row["body"])
    return before == (decided.revision, settings_hash, decided.rule, decided.sent, decided.body)


def _decision(row: RowMapping) -> Decision:
    return Decision(
        row["kind"], row["stripe_id"], _aware(row["at"]), row["revision"], row["settings_hash"], row["rule"], row["body"]
    )


def _aware(value: datetime) -> datetime:
    return value if value.tzinfo else value.replace(tzinfo=UTC)
