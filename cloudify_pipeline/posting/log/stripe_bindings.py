"""Which Stripe account, in which mode, each connection reads; and who else writes to the same books."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Boolean, Column, ColumnElement, DateTime, Engine, String, Table, exists, select

from cloudify_pipeline.posting.log import evidence
from cloudify_pipeline.posting.log import schema as t
from cloudify_pipeline.posting.log.chain import page
from cloudify_pipeline.posting.log.database import upsert

_PART = 5_000

stripe_bindings = Table(
    "stripe_bindings",
    t.metadata,
    Column("connection", String(64), primary_key=True),
    # A restricted key may not be told its account; then the mode alone is known.
    Column("account", String(64)),
    Column("livemode", Boolean, nullable=False),
    Column("bound_at", DateTime(timezone=True), nullable=False),
)


@dataclass(frozen=True, slots=True)
class StripeBinding:
    """The account (None: not known yet) and mode that a connection reads, since `bound_at`."""

    account: str | None
    livemode: bool
    bound_at: datetime


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another connection that is bound to the same books. `posted`: it has sent something to them."""

    connection: str
    bound_at: datetime
    posted: bool
    stripe: StripeBinding | None


def stripe_binding(engine: Engine, connection: str) -> StripeBinding | None:
    """What `connection` is bound to in Stripe; None before its first contact."""
    with engine.connect() as db:
        row = db.execute(select(stripe_bindings).where(stripe_bindings.c.connection == connection)).mappings().first()
    return None if row is None else StripeBinding(row["account"], row["livemode"], _aware(row["bound_at"]))


def bind_stripe(engine: Engine, connection: str, account: str | None, *, livemode: bool, now: datetime) -> None:
    """Bind `connection` to a Stripe account and mode, with an entry in the audit chain."""
    row = {"connection": connection, "account": account, "livemode": livemode, "bound_at": now}
    with engine.begin() as db:
        page(db, connection, now).tell(evidence.stripe_binding(row), now)
        upsert(db, stripe_bindings, [row])


def has_posted(engine: Engine, connection: str) -> bool:
    """Whether `connection` has ever sent anything to a ledger, or found its own documents there."""
    with engine.connect() as db:
        return bool(db.scalar(select(_posted(connection))))


def neighbours(engine: Engine, connection: str, agreement: str) -> list[Neighbour]:
    """The other connections of this log that are bound to `agreement`, by name."""
    b, s = t.bindings.c, stripe_bindings.c
    query = (
        select(b.connection, b.bound_at, s.livemode, s.account, s.bound_at.label("since"))
        .select_from(t.bindings.outerjoin(stripe_bindings, s.connection == b.connection))
        .where(b.agreement == agreement, b.connection != connection)
        .order_by(b.connection)
    )
    with engine.connect() as db:
        rows = db.execute(query).mappings().all()
        return [
            Neighbour(
                row["connection"],
                _aware(row["bound_at"]),
                bool(db.scalar(select(_posted(row["connection"])))),
                None if row["since"] is None else StripeBinding(row["account"], row["livemode"], _aware(row["since"])),
            )
            for row in rows
        ]


def known_records(engine: Engine, connection: str) -> Iterator[Sequence[str]]:
    """The Stripe ids of everything that `connection` has brought to an ending, a portion at a time.

    What it only found in the ledger by its key may be another's.
    """
    c = t.records.c
    with engine.connect() as db:
        yield from db.execute(select(c.stripe_id).where(c.connection == connection)).scalars().partitions(_PART)


def some_records(engine: Engine, connection: str, limit: int) -> list[str]:
    """Stripe ids of documents and customers that `connection` has brought into a ledger, the newest of each first."""
    c = t.identities.c
    query = select(c.stripe_id).where(c.connection == connection).order_by(c.linked_at.desc(), c.stripe_id).limit(limit)
    with engine.connect() as db:
        found = (db.execute(query.where(c.kind == kind)).scalars() for kind in ("customer", "document"))
        return [str(one) for several in found for one in several]


def _posted(connection: str) -> ColumnElement[bool]:
    i, o = t.identities.c, t.operations.c
    linked = exists().where(i.connection == connection, i.kind == "document")
    return linked | exists().where(o.connection == connection)


def _aware(value: datetime) -> datetime:
    return value if value.tzinfo else value.replace(tzinfo=UTC)
