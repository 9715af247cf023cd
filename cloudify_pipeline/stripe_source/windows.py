"""Listing everything that was created in a span of time, in windows that are read side by side.

A list is newest first and can only be followed page by page, so one cursor costs pages × latency. A window that turns
out long gives its older half to an idle reader; nobody needs to know beforehand how the objects lie in time.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from cloudify_pipeline.stripe_objects import RawObject
from cloudify_pipeline.stripe_source.client import Page, Params, RequestRefused, StripeReader
from cloudify_pipeline.stripe_source.kinds import Source
from cloudify_pipeline.stripe_source.together import together

Take = Callable[[Sequence[RawObject]], Awaitable[None]]


async def read_span(reader: StripeReader, source: Source, first: int, last: int, take: Take) -> None:
    """Hand every object created from `first` to `last` (epoch seconds, both included) to `take`, page by page.

    An object may be handed over twice, none is left out; what is created meanwhile lies behind `last`.
    Raises as :meth:`StripeReader.page`.
    """
    await _Span(reader, source, take).read(first, last)


class _Span:
    def __init__(self, reader: StripeReader, source: Source, take: Take) -> None:
        self._reader = reader
        self._source = source
        self._take = take
        self._waiting: asyncio.Queue[tuple[int, int] | None] = asyncio.Queue()
        self._open = 0
        self._idle = 0

    async def read(self, first: int, last: int) -> None:
        self._add(first, last)
        await together(*(self._work() for _ in range(self._source.in_flight)))

    def _add(self, first: int, last: int) -> None:
        self._open += 1
        self._waiting.put_nowait((first, last))

    async def _work(self) -> None:
        while True:
            self._idle += 1
            window = await self._waiting.get()
            self._idle -= 1
            if window is None:
                return
            await self._read_window(*window)
            self._open -= 1
            if not self._open:
                for _ in range(self._source.in_flight):
                    self._waiting.put_nowait(None)

    async def _read_window(self, first: int, last: int) -> None:
        after: str | None = None
        reached = last
        while first <= last:
            page = await self._page(first, last, after)
            if page is None:
                # The object the cursor stood on was deleted: its second is read again from the start.
                last, after = reached, None
                continue
            await self._take(page.objects)
            if not page.has_more or not page.objects:
                return
            oldest = page.objects[-1]
            first = self._share(first, oldest.created, page.objects[0].created)
            reached, after = oldest.created, oldest.id

    async def _page(self, first: int, last: int, after: str | None) -> Page | None:
        created = {"gte": first, "lt": last + 1}
        params: Params = {**self._source.list_params, "created": created, **({"starting_after": after} if after else {})}
        try:
            return await self._reader.page(self._source.path, params)
        except RequestRefused as refused:
            if after is None or refused.param != "starting_after":
                raise
            return None

    def _share(self, first: int, oldest: int, newest: int) -> int:
        """Give the older half of what is left to an idle reader; returns where this window now begins."""
        worth_it = oldest - first > max(newest - oldest, 1)
        if not (self._idle and self._waiting.empty() and worth_it):
            return first
        middle = (first + oldest) // 2
        self._add(first, middle)
        return middle + 1
