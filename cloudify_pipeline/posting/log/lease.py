"""One writer per connection, and one per books: leases with fencing tokens.

A connection has one run at a time; a second one leaves. Books (an agreement or a company) may be written by several
connections, one for each Stripe account: their runs take turns.

Every intent extends the leases in its own transaction, under the tokens it was given. A process that was paused while
another took over cannot record an intent any more, and what has no intent is never sent.
"""

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Column, Connection, DateTime, Engine, Integer, String, Table, select

from cloudify_pipeline.errors import RunStopped
from cloudify_pipeline.posting.log.inserting import insert
from cloudify_pipeline.posting.log.schema import leases, metadata, records

logger = logging.getLogger(__name__)

TERM = timedelta(minutes=5)
"""How long a holder that is silent keeps the lease; one on this machine that is gone loses it at once."""
PATIENCE = timedelta(minutes=10)
"""How long a run waits for its turn at books that another connection is writing to."""
POLL = timedelta(seconds=2)
"""How often it asks."""

Sleep = Callable[[float], Awaitable[None]]

book_leases = Table(
    "book_leases",
    metadata,
    Column("books", String(128), primary_key=True),
    Column("connection", String(64), nullable=False),
    Column("token", Integer, nullable=False),
    Column("holder", String(255), nullable=False),
    Column("expires_at", DateTime(timezone=True)),
)


class BooksBusy(RunStopped):
    """Another connection wrote to the same books for as long as a run waits; what is planned is taken by the next run."""

    code = "E-TURN"

    def __init__(self, books: str, connection: str, holder: str) -> None:
        super().__init__(f"connection {connection} ({holder}) is writing to the same books ({books})")
        self.connection = connection


def books_of(ledger: str, agreement: str) -> str:
    """The name of some books, whoever writes them: ``economic:123456``."""
    return f"{ledger}:{agreement}"


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to post for `connection`, and to write to `books`, until somebody with a higher token has it.

    `turn` is the token at the books; 0 for a lease of the connection alone, under which nothing is sent to a ledger.
    """

    connection: str
    token: int
    books: str = ""
    turn: int = 0

    def extend(self, db: Connection, now: datetime) -> None:
        """Keep the lease for another term, in `db`'s transaction.

        Raises:
            RunStopped: E-LEASE; another run has taken it, so nothing may be sent any more.
        """
        for table, held_by_us in self._rows():
            kept = db.execute(table.update().where(*held_by_us).values(expires_at=now + TERM))
            if kept.rowcount != 1:
                raise self._lost()

    def check(self, db: Connection) -> None:
        """As :meth:`extend`, without writing.

        Raises:
            RunStopped: E-LEASE.
        """
        for table, held_by_us in self._rows():
            if db.scalar(select(table.c.token).where(*held_by_us)) is None:
                raise self._lost()

    def release(self, db: Connection) -> None:
        """Give the lease back, where it is still ours."""
        for table, held_by_us in self._rows():
            db.execute(table.update().where(*held_by_us).values(expires_at=None))

    def _rows(self) -> list[tuple[Table, tuple[Any, ...]]]:
        rows: list[tuple[Table, tuple[Any, ...]]] = [
            (leases, (leases.c.connection == self.connection, leases.c.token == self.token))
        ]
        if self.turn:
            books = book_leases.c
            ours = (books.books == self.books, books.connection == self.connection, books.token == self.turn)
            rows.append((book_leases, ours))
        return rows

    def _lost(self) -> RunStopped:
        return RunStopped(f"another run has taken over from this one of {self.connection}, which stops", code="E-LEASE")


def turn_missed(engine: Engine, connection: str, run_id: str) -> str | None:
    """Why run `run_id` has left records planned for the sake of another connection; None when it has not."""
    c = records.c
    query = select(c.message).where(c.connection == connection, c.state == "planned", c.code == BooksBusy.code)
    with engine.connect() as db:
        return db.scalar(query.where(c.run_id == run_id).limit(1))


@contextmanager
def held(engine: Engine, connection: str, *, now: datetime) -> Iterator[Lease]:
    """The lease on `connection` alone while the block runs.

    Raises:
        RunStopped: E-LEASE, naming the holder, while another run is at work.
    """
    lease = _acquire(engine, connection, now)
    try:
        yield lease
    finally:
        with engine.begin() as db:
            lease.release(db)


@asynccontextmanager
async def held_with_books(
    engine: Engine,
    connection: str,
    books: str,
    *,
    clock: Callable[[], datetime],
    sleep: Sleep = asyncio.sleep,
    waiting: Callable[[str], None] = lambda whom: None,
    patience: timedelta = PATIENCE,
) -> AsyncIterator[Lease]:
    """The lease on `connection` and on its `books` while the block runs; waits while another connection has the books.

    `waiting` is told for whom, once for each; the wait is counted in what was slept.

    Raises:
        BooksBusy: E-TURN, another connection had the books for as long as `patience`.
        RunStopped: E-LEASE, another run of this connection is at work.
    """
    with held(engine, connection, now=clock()) as alone:
        lease = await _turn(engine, alone, books, clock=clock, sleep=sleep, waiting=waiting, patience=patience)
        try:
            yield lease
        finally:
            with engine.begin() as db:
                lease.release(db)


async def _turn(
    engine: Engine,
    alone: Lease,
    books: str,
    *,
    clock: Callable[[], datetime],
    sleep: Sleep,
    waiting: Callable[[str], None],
    patience: timedelta,
) -> Lease:
    waited = timedelta(0)
    told: str | None = None
    while True:
        taken = _take_books(engine, alone, books, clock())
        if isinstance(taken, Lease):
            return taken
        if waited >= patience:
            raise taken
        if told != taken.connection:
            told = taken.connection
            logger.info("%s waits for its turn: %s", alone.connection, taken.message)
            waiting(told)
        await sleep(POLL.total_seconds())
        waited += POLL
        with engine.begin() as db:
            # Whoever waits is alive: a second run of this connection still finds it at work.
            alone.extend(db, clock())


def _take_books(engine: Engine, alone: Lease, books: str, now: datetime) -> Lease | BooksBusy:
    """The lease with its turn at `books`, or who has it."""
    c, mine = book_leases.c, _this_process()
    with engine.begin() as db:
        # Two may come first at once: one row for both, and the token below decides.
        first = insert(db.dialect.name, book_leases).values(
            books=books, connection=alone.connection, token=0, holder=mine, expires_at=None
        )
        row = db.execute(select(book_leases).where(c.books == books)).mappings().first()
        if row is None:
            db.execute(first.on_conflict_do_nothing())
            row = db.execute(select(book_leases).where(c.books == books)).mappings().one()
        if row["connection"] != alone.connection and _at_work(row, now):
            return BooksBusy(books, row["connection"], row["holder"])
        # One of this connection can only be left behind: its lease of the connection is ours by now.
        taken = db.execute(
            book_leases.update()
            .where(c.books == books, c.token == row["token"])
            .values(connection=alone.connection, token=row["token"] + 1, holder=mine, expires_at=now + TERM)
        )
        if taken.rowcount == 1:
            return replace(alone, books=books, turn=row["token"] + 1)
        row = db.execute(select(book_leases).where(c.books == books)).mappings().one()
        return BooksBusy(books, row["connection"], row["holder"])


def _acquire(engine: Engine, connection: str, now: datetime) -> Lease:
    holder = _this_process()
    for _ in range(3):
        with engine.begin() as db:
            row = db.execute(select(leases).where(leases.c.connection == connection)).mappings().first()
            if row is None:
                # Two may come first at once: one row for both, and the token below decides.
                first = insert(db.dialect.name, leases).values(connection=connection, token=0, holder=holder, expires_at=None)
                db.execute(first.on_conflict_do_nothing())
                continue
            if _at_work(row, now):
                until = in_utc(row["expires_at"])
                raise RunStopped(
                    f"another run of {connection} is at work ({row['holder']}, until {until:%H:%M:%S} UTC at the latest)",
                    code="E-LEASE",
                )
            # The old token in the condition decides between two that come at the same moment.
            taken = db.execute(
                leases.update()
                .where(leases.c.connection == connection, leases.c.token == row["token"])
                .values(token=row["token"] + 1, holder=holder, expires_at=now + TERM)
            )
            if taken.rowcount == 1:
                return Lease(connection, row["token"] + 1)
    raise RunStopped(f"another run of {connection} was faster", code="E-LEASE")


def _at_work(row: Any, now: datetime) -> bool:
    """Whether the holder of a lease's row still has it."""
    until = None if row["expires_at"] is None else in_utc(row["expires_at"])
    return until is not None and until > now and not _gone(row["holder"])


def _this_process() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def in_utc(at: datetime) -> datetime:
    """`at` as the database gives it: SQLite without a zone, in UTC; PostgreSQL in the zone that its server is set to."""
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def _gone(holder: str) -> bool:
    """Whether the holder was a process of this machine that has ended."""
    host, _, process = holder.rpartition(":")
    if host != socket.gethostname():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
