"""What people decided about held records: link it to a document in the ledger, post it as planned, or leave it as it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from sqlalchemy import Column, Connection, DateTime, String, Table, Text, select

from cloudify_pipeline.accounting.chart import Number
from cloudify_pipeline.ledgers.port import StoredKind
from cloudify_pipeline.posting.log import evidence
from cloudify_pipeline.posting.log import schema as t
from cloudify_pipeline.posting.log.chain import page
from cloudify_pipeline.posting.log.store import LogChange, PostingLog

Decision = Literal["link", "post", "keep"]

accepted = Table(
    "accepted",
    t.metadata,
    Column("connection", String(64), primary_key=True),
    Column("stripe_id", String(255), primary_key=True),
    Column("code", String(32), primary_key=True),
    Column("decision", String(8), nullable=False),
    Column("message", Text, nullable=False),
    Column("ledger_kind", String(32)),
    Column("number", String(64)),
    Column("by", String(255), nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
)


@dataclass(frozen=True, slots=True)
class Word:
    """A person's word on one held document, for the problem (`code`, `message`) that it was held for; another one holds it again.

    `number` and `ledger_kind` say which document in the ledger it is linked to.
    """

    stripe_id: str
    code: str
    message: str
    decision: Decision
    by: str
    at: datetime
    number: Number | None = None
    ledger_kind: StoredKind | None = None


def words(log: PostingLog, connection: str, stripe_ids: Sequence[str]) -> Mapping[str, tuple[Word, ...]]:
    """What was said about each of `stripe_ids`."""
    c = accepted.c
    found: dict[str, list[Word]] = {}
    with log.engine.connect() as db:
        for start in range(0, len(stripe_ids), 500):
            part = stripe_ids[start : start + 500]
            for row in db.execute(select(accepted).where(c.connection == connection, c.stripe_id.in_(part))).mappings():
                number = row["number"]
                if number is not None and number.isdigit():
                    number = int(number)
                at = row["at"] if row["at"].tzinfo else row["at"].replace(tzinfo=UTC)
                word = Word(
                    row["stripe_id"], row["code"], row["message"], row["decision"], row["by"], at, number, row["ledger_kind"]
                )
                found.setdefault(word.stripe_id, []).append(word)
    return {stripe_id: tuple(several) for stripe_id, several in found.items()}


def linked(log: PostingLog, connection: str) -> Mapping[tuple[str | None, str | None], str]:
    """(kind, number) of every ledger document that somebody has said is a Stripe invoice's already → that invoice."""
    c = accepted.c
    query = select(c.ledger_kind, c.number, c.stripe_id).where(c.connection == connection, c.decision == "link")
    with log.engine.connect() as db:
        return {(row.ledger_kind, row.number): row.stripe_id for row in db.execute(query)}


def word_change(connection: str, word: Word) -> LogChange:
    """The change that keeps `word`; a later one on the same code takes its place."""

    def apply(db: Connection) -> None:
        mine = (accepted.c.connection == connection, accepted.c.stripe_id == word.stripe_id, accepted.c.code == word.code)
        row = {
            "connection": connection,
            "stripe_id": word.stripe_id,
            "code": word.code,
            "decision": word.decision,
            "message": word.message,
            "ledger_kind": word.ledger_kind,
            "number": None if word.number is None else str(word.number),
            "by": word.by,
            "at": word.at,
        }
        page(db, connection, word.at).tell(evidence.person(row), word.at)
        db.execute(accepted.delete().where(*mine))
        db.execute(accepted.insert().values(**row))

    return LogChange(apply)
