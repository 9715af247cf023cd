"""The audit chain: every decision, intent and outcome of a connection, each hashed with its predecessor.

An entry is made in the transaction of the change it tells of, so neither can be there without the other. The head's row
is locked first: whoever writes for the same connection waits, and the chain cannot fork.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, RootTransaction, select

from cloudify_pipeline.posting.log import evidence
from cloudify_pipeline.posting.log import schema as t
from cloudify_pipeline.posting.log.evidence import Told
from cloudify_pipeline.posting.log.inserting import insert

GENESIS = "0" * 64
"""What the first entry of a connection follows."""
_OPEN = "audit pages"
_PORTION = 5000


@dataclass(slots=True)
class Page:
    """The end of one connection's chain in one transaction; its entries are written when that commits."""

    connection: str
    seq: int
    hash: str
    waiting: list[dict[str, Any]] = field(default_factory=list)

    def append(self, entry: str, subject: str, facts: Mapping[str, Any], at: datetime) -> None:
        """Enter `facts` (texts, numbers, instants) about `subject`.

        `entry` is adopted, binding, stripe_binding, settings, identity, intent, outcome, record, person, vat_number, vat_sale,
        decision, check or restored.
        """
        row = {
            "connection": self.connection,
            "seq": self.seq + 1,
            "at": instant_text(at),
            "entry": entry,
            "subject": subject,
            "payload": canonical(facts),
            "previous": self.hash,
        }
        row["hash"] = entry_hash(row)
        self.seq += 1
        self.hash = str(row["hash"])
        self.waiting.append(row)

    def tell(self, told: Told, at: datetime) -> None:
        """Enter a row as :mod:`evidence` tells it."""
        entry, subject, facts = told
        self.append(entry, subject, facts, at)

    def write(self, db: Connection) -> None:
        """Write what waits, and the new head."""
        if self.waiting:
            db.execute(t.audit.insert(), self.waiting)
            heads = t.audit_heads
            db.execute(heads.update().where(heads.c.connection == self.connection).values(seq=self.seq, hash=self.hash))
            self.waiting = []


@dataclass(slots=True)
class _Pages:
    transaction: RootTransaction | None
    by_connection: dict[str, Page] = field(default_factory=dict)


def page(db: Connection, connection: str, now: datetime) -> Page:
    """The chain of `connection` in `db`'s transaction, locked until it ends.

    The first entry of a log that is older than its chain says what was there, and the entries behind it hold it all.
    """
    pages = _pages(db)
    found = pages.by_connection.get(connection)
    if found is None:
        head = db.execute(_locked(db.dialect.name), {"connection": connection, "seq": 0, "hash": GENESIS}).one()
        found = pages.by_connection[connection] = Page(connection, head.seq, head.hash)
        if found.seq == 0:
            _adopt(db, found, now)
    return found


def is_open(db: Connection, connection: str) -> bool:
    """Whether `db`'s transaction holds the chain already, so that what it reads cannot change under it."""
    return connection in _pages(db).by_connection


def write_pages(db: Connection) -> None:
    """Write what was entered in `db`'s transaction; called by the engine right before it commits."""
    pages = db.info.pop(_OPEN, None)
    if pages is None or pages.transaction is not db.get_transaction():
        return
    for one in pages.by_connection.values():
        one.write(db)


def note_settings(engine: Engine, connection: str, settings_hash: str, now: datetime) -> bool:
    """Enter the settings in force when they are others than the last ones entered; True when they are."""
    if settings_in_force(engine, connection) == settings_hash:
        return False
    with engine.begin() as db:
        page(db, connection, now).append("settings", "settings", {"hash": settings_hash}, now)
    return True


def settings_in_force(engine: Engine, connection: str) -> str | None:
    """The settings by which the last planning was done, as a hash; None before the first."""
    c = t.audit.c
    query = select(c.payload).where(c.connection == connection, c.entry == "settings", c.subject == "settings")
    with engine.connect() as db:
        payload = db.scalar(query.order_by(c.seq.desc()).limit(1))
    return None if payload is None else str(orjson.loads(payload)["hash"])


def settings_since(engine: Engine, connection: str, settings_hash: str, at: datetime) -> datetime | None:
    """Since when the settings of `settings_hash` were in force at the instant `at`; None where the chain does not say."""
    c = t.audit.c
    query = select(c.at).where(
        c.connection == connection,
        c.entry == "settings",
        c.subject == "settings",
        c.payload == canonical({"hash": settings_hash}),
        c.at <= instant_text(at),
    )
    with engine.connect() as db:
        found = db.scalar(query.order_by(c.seq.desc()).limit(1))
    return None if found is None else datetime.fromisoformat(found)


def canonical(facts: Mapping[str, Any]) -> str:
    """`facts` as JSON that is the same for the same facts: keys sorted, no spaces, instants in UTC to the microsecond."""
    plain = {str(name): instant_text(value) if isinstance(value, datetime) else value for name, value in facts.items()}
    return orjson.dumps(plain, option=orjson.OPT_SORT_KEYS).decode()


def instant_text(at: datetime) -> str:
    """`at` as text that sorts by time; a database without zones holds UTC."""
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC).isoformat(timespec="microseconds")


def entry_hash(row: Mapping[str, Any]) -> str:
    """SHA-256 over everything in the row but the hash itself."""
    fields = ("connection", "seq", "at", "entry", "subject", "payload", "previous")
    return hashlib.sha256(orjson.dumps([row[name] for name in fields], default=repr)).hexdigest()


@cache
def _locked(dialect: str) -> Any:
    """One statement that locks the head's row and reads it, whether or not it was there."""
    heads = t.audit_heads.c
    statement = insert(dialect, t.audit_heads)
    locked = statement.on_conflict_do_update(index_elements=["connection"], set_={"seq": heads.seq})
    return locked.returning(heads.seq, heads.hash)


def _adopt(db: Connection, found: Page, now: datetime) -> None:
    sizes = evidence.sizes(db, found.connection)
    if not any(sizes.values()):
        return
    found.append("adopted", "log", sizes, now)
    for told in evidence.existing(db, found.connection):
        found.tell(told, now)
        if len(found.waiting) >= _PORTION:
            found.write(db)


def _pages(db: Connection) -> _Pages:
    pages: _Pages | None = db.info.get(_OPEN)
    transaction = db.get_transaction()
    if pages is None or pages.transaction is not transaction:
        if not isinstance(transaction, RootTransaction):
            message = "a change of the log needs a transaction"
            raise RuntimeError(message)
        pages = db.info[_OPEN] = _Pages(transaction)
    return pages
