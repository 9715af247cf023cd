"""The evidence of buyers' VAT numbers: every answer of VIES and Stripe, as long as the books are kept. Nothing is taken away."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Boolean, Column, Connection, DateTime, Engine, String, Table, Text, select

from cloudify_pipeline.accounting.vat_evidence import Answer
from cloudify_pipeline.posting.log import evidence
from cloudify_pipeline.posting.log.chain import instant_text, page
from cloudify_pipeline.posting.log.schema import metadata

_PART = 500

vat_numbers = Table(
    "vat_numbers",
    metadata,
    Column("connection", String(64), primary_key=True),
    Column("number", String(32), primary_key=True),
    Column("source", String(8), primary_key=True),
    Column("asked_at", DateTime(timezone=True), primary_key=True),
    # Two customers may have one number, each with a verification of its own; VIES has none of these.
    Column("tax_id", String(128), primary_key=True, default=""),
    Column("valid", Boolean, nullable=False),
    Column("name", Text),
    Column("address", Text),
    Column("consultation_number", Text),
    Column("requester", String(32)),
    Column("customer", String(255)),
)


def vat_answers(engine: Engine, connection: str, numbers: Iterable[str]) -> Mapping[str, tuple[Answer, ...]]:
    """Every answer about each of `numbers`, the oldest first."""
    wanted = sorted(set(numbers))
    found: dict[str, tuple[Answer, ...]] = {}
    if not wanted:
        return found
    c = vat_numbers.c
    with engine.connect() as db:
        for start in range(0, len(wanted), _PART):
            query = select(vat_numbers).where(c.connection == connection, c.number.in_(wanted[start : start + _PART]))
            for row in db.execute(query.order_by(c.asked_at)).mappings():
                one = Answer(
                    number=row["number"],
                    source=row["source"],
                    valid=row["valid"],
                    at=_aware(row["asked_at"]),
                    name=row["name"],
                    address=row["address"],
                    consultation_number=row["consultation_number"],
                    requester=row["requester"],
                    tax_id=row["tax_id"] if row["source"] == "stripe" else None,
                    customer=row["customer"],
                )
                found[one.number] = (*found.get(one.number, ()), one)
    return found


def keep_vat_answers(engine: Engine, connection: str, answers: Sequence[Answer], now: datetime) -> None:
    """Keep `answers`, each with its entry in the audit chain; of a verification by Stripe, the first sight of it."""
    if not answers:
        return
    with engine.begin() as db:
        chain = page(db, connection, now)
        # Another process may have kept the same since it was looked for.
        kept = _kept(db, connection, [one.number for one in answers])
        for one in answers:
            row = {
                "connection": connection,
                "number": one.number,
                "source": one.source,
                "asked_at": one.at,
                "tax_id": one.tax_id or "",
                "valid": one.valid,
                "name": one.name,
                "address": one.address,
                "consultation_number": one.consultation_number,
                "requester": one.requester,
                "customer": one.customer,
            }
            if _key(row) in kept:
                continue
            kept.add(_key(row))
            chain.tell(evidence.vat_number({**row, "asked_at": instant_text(one.at)}), now)
            db.execute(vat_numbers.insert().values(**row))


def _kept(db: Connection, connection: str, numbers: Sequence[str]) -> set[tuple[str, ...]]:
    found: set[tuple[str, ...]] = set()
    c = vat_numbers.c
    for start in range(0, len(numbers), _PART):
        query = select(vat_numbers).where(c.connection == connection, c.number.in_(numbers[start : start + _PART]))
        found |= {_key(dict(row)) for row in db.execute(query).mappings()}
    return found


def _key(row: Mapping[str, Any]) -> tuple[str, ...]:
    told = row["tax_id"] if row["source"] == "stripe" else instant_text(row["asked_at"])
    return row["number"], row["source"], told


def _aware(value: datetime) -> datetime:
    return value if value.tzinfo else value.replace(tzinfo=UTC)
