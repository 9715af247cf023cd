"""One writer per connection: a lease with a fencing token.

Every intent extends the lease in its own transaction, under the token it was given. A process that was paused while
another took over cannot record an intent any more, and what has no intent is never sent.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Engine, select

from cloudify_pipeline.errors import RunStopped
from cloudify_pipeline.posting.log.inserting import insert
from cloudify_pipeline.posting.log.schema import leases

TERM = timedelta(minutes=5)
"""How long a holder that is silent keeps the lease; one on this machine that is gone loses it at once."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to post for `connection`, until somebody with a higher token has it."""

    connection: str
    token: int

    def extend(self, db: Connection, now: datetime) -> None:
        """Keep the lease for another term, in `db`'s transaction.

        Raises:
            RunStopped: E-LEASE; another run has taken it, so nothing may be sent any more.
        """
        kept = db.execute(
            leases.update()
            .where(leases.c.connection == self.connection, leases.c.token == self.token)
            .values(expires_at=now + TERM)
        )
        if kept.rowcount != 1:
            raise self._lost()

    def check(self, db: Connection) -> None:
        """As :meth:`extend`, without writing.

        Raises:
            RunStopped: E-LEASE.
        """
        if db.scalar(select(leases.c.token).where(leases.c.connection == self.connection)) != self.token:
            raise self._lost()

    def _lost(self) -> RunStopped:
        return RunStopped(f"another run of {self.connection} has taken over; this one stops", code="E-LEASE")


@contextmanager
def held(engine: Engine, connection: str, *, now: datetime) -> Iterator[Lease]:
    """The lease on `connection` while the block runs.

    Raises:
        RunStopped: E-LEASE, naming the holder, while another run is at work.
    """
    lease = _acquire(engine, connection, now)
    try:
        yield lease
    finally:
        with engine.begin() as db:
            db.execute(
                leases.update().where(leases.c.connection == connection, leases.c.token == lease.token).values(expires_at=None)
            )


def _acquire(engine: Engine, connection: str, now: datetime) -> Lease:
    holder = f"{socket.gethostname()}:{os.getpid()}"
    for _ in range(3):
        with engine.begin() as db:
            row = db.execute(select(leases).where(leases.c.connection == connection)).mappings().first()
            if row is None:
                # Two may come first at once: one row for both, and the token below decides.
                first = insert(db.dialect.name, leases).values(connection=connection, token=0, holder=holder, expires_at=None)
                db.execute(first.on_conflict_do_nothing())
                continue
            until = None if row["expires_at"] is None else in_utc(row["expires_at"])
            if until is not None and until > now and not _gone(row["holder"]):
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
