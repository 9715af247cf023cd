"""Group commit: many operations in flight, few flushes to the disk.

A full-sync commit costs milliseconds and every write to the ledger needs two. Whatever is waiting while one commit runs
goes into the next, in the order it came; nobody is told “written” before the commit that holds it has returned.
"""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, Engine

Change = Callable[[Connection], Any]


class GroupCommit:
    """Runs changes of the log in a background task, several to a transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiting: list[tuple[Change, asyncio.Future[Any]]] = []
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await self._task

    async def commit(self, change: Change) -> Any:
        """Apply `change` in a transaction; returns its result after the commit, or raises what it raised."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((change, future))
        self._wake.set()
        return await future

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            batch, self._waiting = self._waiting, []
            if batch:
                outcomes = await asyncio.to_thread(self._apply, [change for change, _ in batch])
                for (_, future), (result, error) in zip(batch, outcomes, strict=True):
                    if future.cancelled():
                        continue
                    if error is None:
                        future.set_result(result)
                    else:
                        future.set_exception(error)
            if self._closing and not self._waiting:
                return

    def _apply(self, changes: list[Change]) -> list[tuple[Any, BaseException | None]]:
        try:
            with self._engine.begin() as connection:
                return [(change(connection), None) for change in changes]
        except Exception as error:
            if len(changes) == 1:
                return [(None, error)]
        # One change spoilt the transaction: alone, each of the others still stands.
        return [outcome for change in changes for outcome in self._apply([change])]
