"""One look at Stripe's events for several connections at once: who could be read, what it leads to, who could not."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from cloudify_pipeline.catalogue import entry
from cloudify_pipeline.connection import open_connection
from cloudify_pipeline.control.account import check_key, check_mode
from cloudify_pipeline.control.alerts import clear_alert, raise_alert
from cloudify_pipeline.control.books import refuse_second
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.errors import PipelineError, Unreachable
from cloudify_pipeline.orchestration.sensor_decisions import Decision, Mark, is_due
from cloudify_pipeline.posting.log import hints
from cloudify_pipeline.posting.log.store import PostingLog
from cloudify_pipeline.posting.log.stripe_bindings import stripe_binding
from cloudify_pipeline.settings.models import ConnectionSettings
from cloudify_pipeline.settings.paths import posting_url
from cloudify_pipeline.stripe_source.live import LivePage, events_after

LOOK_SECONDS = 40.0
"""Dagster ends a tick after 60 seconds."""
UNREADABLE = "connection:stripe-events"
"""The alert's key."""

Clock = Callable[[], datetime]
Types = Callable[[ConnectionSettings], Sequence[str]]
Start = Callable[[datetime], Mark | None]
Decide = Callable[[str, Mark | None, LivePage | None, datetime], Decision]


@dataclass(slots=True)
class Look:
    """`failed` is connection → why its events could not be read. Whoever was not due is in neither."""

    decisions: dict[str, Decision] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def none_could_be_read(self) -> bool:
        """Whether there was somebody to read and nobody answered."""
        return bool(self.failed) and not self.decisions


def look(
    names: Sequence[str],
    marks: Mapping[str, Mark],
    types: Types,
    decide: Decide,
    *,
    start: Start = lambda now: None,
    pages: int = 1,
    clock: Clock = lambda: datetime.now(UTC),
) -> Look:
    """Read the next page of every connection that is due; `start` is the mark of one that has none.

    `pages` is how many are read where no event is known to stand on.
    """
    log = PostingLog(posting_url())
    try:
        asked = hints.asked(log.engine)
    finally:
        log.close()
    due = [name for name in names if is_due(marks.get(name), asked.get(name), clock())]
    looked = Look()
    with ExitStack() as closing:
        opened: list[OpenConnection] = []
        for name in due:
            try:
                one = open_connection(name, clock=clock)
            except PipelineError as error:
                looked.failed[name] = _told(error)
                continue
            closing.callback(one.log.close)
            opened.append(one)
        asyncio.run(_all(opened, looked, types, decide, lambda one: marks.get(one.name) or start(one.clock()), pages=pages))
        _alert(opened, looked)
    return looked


async def _all(
    opened: Sequence[OpenConnection],
    looked: Look,
    types: Types,
    decide: Decide,
    mark_of: Callable[[OpenConnection], Mark | None],
    *,
    pages: int,
) -> None:
    async def one(connection: OpenConnection) -> None:
        now, mark = connection.clock(), mark_of(connection)
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                page = await _page(connection, mark, types(connection.settings), now, pages)
                decision = decide(connection.name, mark, page, now)
                if decision.run_key:
                    # A run that would be refused is not asked for; what asks for nothing costs Stripe no second question.
                    async with connection.stripe(hurry=True) as reader:
                        await check_key(connection, reader)
        except PipelineError as error:
            looked.failed[connection.name] = _told(error)
        except TimeoutError:
            looked.failed[connection.name] = _told(Unreachable("Stripe did not answer in time"))
        else:
            looked.decisions[connection.name] = decision

    await asyncio.gather(*(one(connection) for connection in opened))


async def _page(
    connection: OpenConnection, mark: Mark | None, types: Sequence[str], now: datetime, pages: int
) -> LivePage | None:
    check_mode(connection)
    refuse_second(connection, depth="names")
    if mark is None or not mark.place.may_be_followed(now):
        return None
    if not types:
        return LivePage((), has_more=False)
    bound = stripe_binding(connection.log.engine, connection.name)
    async with connection.stripe(hurry=True) as reader:
        page = await events_after(reader, types, mark.place, now, pages=pages)
    return page if page is None or bound is None else replace(page, livemode=bound.livemode)


def _alert(opened: Sequence[OpenConnection], looked: Look) -> None:
    for connection in opened:
        reason = looked.failed.get(connection.name)
        if reason is None:
            clear_alert(connection, UNREADABLE)
        else:
            message = f"Stripe's events are not read, so new invoices are not noticed. {reason}"
            raise_alert(connection, "connection", UNREADABLE, message, facts={"code": reason.split(":")[0]})


def _told(error: PipelineError) -> str:
    return f"{error.code}: {error.message}. {entry(error.code).remedy}"
