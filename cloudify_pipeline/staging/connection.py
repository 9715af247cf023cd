"""The one door to the staging file: an advisory lock first, one short transaction, closed whatever happens.

DuckDB lets one process write a file, and a reader blocks it too. Behind the lock nobody meets DuckDB's own
lock error; a shell that somebody left open on the file is waited for and then named.
"""

import fcntl
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import duckdb

from cloudify_pipeline.errors import RunStopped
from cloudify_pipeline.staging.schema import SCHEMA_VERSION, create_tables, file_version

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.05
"""How often a waiting run asks again for the lock."""


class StagingFile:
    """A staging file that is opened for one transaction at a time.

    `wait_seconds` bounds the wait for another holder; `monotonic` and `sleep` are the clock it is measured with.
    """

    def __init__(
        self,
        path: Path,
        *,
        wait_seconds: float = 120,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.path = path
        self._lock_path = path.with_name(path.name + ".lock")
        self._wait_seconds = wait_seconds
        self._monotonic = monotonic
        self._sleep = sleep

    @contextmanager
    def transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """One transaction: committed when the block ends, rolled back when it raises. No network call belongs inside.

        Raises:
            RunStopped: E-LEASE when another holder keeps the file longer than the wait.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        deadline = self._monotonic() + self._wait_seconds
        with self._locked(deadline):
            connection = self._connect(deadline)
            try:
                connection.begin()
                try:
                    yield connection
                except BaseException:
                    connection.rollback()
                    raise
                connection.commit()
            finally:
                connection.close()

    @contextmanager
    def _locked(self, deadline: float) -> Iterator[None]:
        with self._lock_path.open("a+", encoding="utf-8") as lock:
            while not _try_lock(lock):
                if self._monotonic() >= deadline:
                    lock.seek(0)
                    raise self._busy(lock.read().strip() or "an unknown process")
                self._sleep(POLL_SECONDS)
            try:
                lock.truncate(0)
                lock.write(f"process {os.getpid()}")
                lock.flush()
                yield
            finally:
                fcntl.flock(lock, fcntl.LOCK_UN)

    def _connect(self, deadline: float) -> duckdb.DuckDBPyConnection:
        while True:
            try:
                return self._open()
            except duckdb.IOException as error:
                if "Could not set lock" not in str(error):
                    raise
                if self._monotonic() >= deadline:
                    raise self._busy("a program that opened the file itself") from error
                self._sleep(POLL_SECONDS)

    def _open(self) -> duckdb.DuckDBPyConnection:
        try:
            connection = duckdb.connect(str(self.path))
        except duckdb.Error as error:
            if _is_environment(error):
                raise
            reason = f"it is not readable ({type(error).__name__})"
        else:
            version = file_version(connection)
            if version is None:
                create_tables(connection)
            if version in {None, SCHEMA_VERSION}:
                return connection
            connection.close()
            reason = f"it has version {version}, this software writes {SCHEMA_VERSION}"
        self._discard(reason)
        connection = duckdb.connect(str(self.path))
        create_tables(connection)
        return connection

    def _discard(self, reason: str) -> None:
        # Staging is a copy of Stripe: reading it again costs minutes, repairing it could cost a wrong document.
        logger.warning("The staging file %s is thrown away, because %s; the next sync reads Stripe anew.", self.path.name, reason)
        for path in (self.path, self.path.with_name(self.path.name + ".wal")):
            path.unlink(missing_ok=True)

    def _busy(self, holder: str) -> RunStopped:
        return RunStopped(f"{self.path.name} is in use by {holder}; waited {self._wait_seconds:g} s", code="E-LEASE")


def _try_lock(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_environment(error: duckdb.Error) -> bool:
    """Whether the file may be sound and the trouble lies around it: another holder, rights, a full disk."""
    text = str(error)
    return any(sign in text for sign in ("Could not set lock", "Permission denied", "No space left", "Too many open files"))
