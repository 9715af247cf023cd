"""Running requests side by side: the first failure ends them all and is raised as itself."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def together(*works: Coroutine[Any, Any, None]) -> None:
    """Run all `works` to their end. A task group would wrap the error that callers tell apart by its class."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def each(items: Iterable[T], work: Callable[[T], Awaitable[None]], *, in_flight: int) -> None:
    """Do `work` for each item, at most `in_flight` at once."""
    waiting = iter(items)

    async def worker() -> None:
        for item in waiting:
            await work(item)

    await together(*(worker() for _ in range(in_flight)))
