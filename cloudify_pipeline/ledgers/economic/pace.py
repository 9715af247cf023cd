"""How fast one agreement may be asked: a bound on calls in flight, and the ledger's own budget.

The budget is a bucket of tokens shared by every app on the agreement and by both hosts. It is told with each answer,
``X-RateLimiting: token-limit-10000-per-60-seconds: 147/10000`` (used/limit), and may be missing (reference/economic.md §9).
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from cloudify_pipeline.ledgers.port import Requests

_LIMIT = re.compile(r"-per-(?P<seconds>\d+)-seconds?:\s*(?P<used>\d+)\s*/\s*(?P<limit>\d+)")
_EASY = 0.8
"""Share of the bucket up to which nothing is slowed down: others on the agreement need the rest."""
_MAX_WAIT = 300.0


class Pace:
    """The limiter of one agreement. `clock` counts seconds, `sleep` waits them."""

    def __init__(
        self,
        *,
        concurrency: int,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        requests: Requests,
    ) -> None:
        self._slots = asyncio.Semaphore(concurrency)
        self._clock = clock
        self._sleep = sleep
        self._requests = requests
        self._closed_until = 0.0
        self._next = 0.0
        self._used = 0.0
        self._limit = 0.0
        self._window = 60.0
        self._cost = 1.0
        self._read_at = 0.0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """One call's turn: waits for a free slot, for a `Retry-After`, and for the bucket."""
        async with self._slots:
            # A wait may be prolonged by what another call hears meanwhile; after a few rounds the ledger decides.
            for _ in range(5):
                wait = min(self._closed_until - self._clock(), _MAX_WAIT)
                if wait <= 0:
                    break
                await self._sleep(wait)
            now = self._clock()
            start = max(now, self._next)
            self._next = start + self.spacing()
            if start > now:
                self._requests.waited += 1
                await self._sleep(start - now)
            yield

    def heard(self, headers: Mapping[str, str]) -> None:
        """Take the budget from an answer's headers, where they tell it."""
        told = _LIMIT.search(headers.get("X-RateLimiting", ""))
        if told is None or not int(told["limit"]) or not int(told["seconds"]):
            return
        self._used, self._limit, self._window = float(told["used"]), float(told["limit"]), float(told["seconds"])
        self._read_at = self._clock()
        cost = headers.get("X-CallCost", "")
        self._cost = float(cost) if cost.isdigit() and int(cost) else self._cost

    def told_to_wait(self, headers: Mapping[str, str], otherwise: float = 5.0) -> None:
        """A 429: nobody on this agreement calls before `Retry-After` seconds are over."""
        told = headers.get("Retry-After", "")
        seconds = float(told) if told.isdigit() else otherwise
        self._requests.waited += 1
        self._closed_until = max(self._closed_until, self._clock() + min(seconds, _MAX_WAIT))

    def spacing(self) -> float:
        """Seconds between two calls: none in the easy part, from there up to twenty times the refill time of a call."""
        if not self._limit:
            return 0.0
        refilled = (self._clock() - self._read_at) * self._limit / self._window
        load = max(0.0, self._used - refilled) / self._limit
        if load <= _EASY:
            return 0.0
        strain = min((load - _EASY) / (1 - _EASY), 0.95)
        return self._cost * self._window / self._limit / (1 - strain)
