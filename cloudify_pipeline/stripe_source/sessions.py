"""Checkout sessions: what they sold decides what a payment without an invoice is. A key may lack the right to read them."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta

from cloudify_pipeline.errors import NotAuthorised
from cloudify_pipeline.stripe_objects import RawObject
from cloudify_pipeline.stripe_source.again import add_whole, read_again
from cloudify_pipeline.stripe_source.client import StripeReader
from cloudify_pipeline.stripe_source.events import Taken
from cloudify_pipeline.stripe_source.kinds import SOURCES
from cloudify_pipeline.stripe_source.sink import Buffer, Sink
from cloudify_pipeline.stripe_source.together import each

SESSIONS = "checkout_sessions"
"""Cursor: whether the Checkout sessions of all that is staged were read."""
BEFORE = 2 * 86_400
"""How long before its payment a session may have been made; Stripe lets one live for a day."""

_AWAITED = timedelta(days=30)
_IN_FLIGHT = 8


async def allowed(buffer: Buffer, reading: Callable[[], Awaitable[object]]) -> bool:
    """Whether the key may do `reading`, which is done; a key without the right to Checkout sessions stops nobody."""
    try:
        await reading()
    except NotAuthorised as refused:
        if refused.code != "E-CONN-ROLE":
            raise
        await buffer.flush()
        return False
    return True


async def of_events(reader: StripeReader, sink: Sink, buffer: Buffer, taken: Mapping[str, Taken]) -> None:
    """Read the sessions that events name. Of one that may not be read its ids are staged: its payment is known by them."""
    wanted = {stripe_id: one.created for stripe_id, one in taken.items()}
    if not wanted or await allowed(buffer, lambda: read_again(reader, sink, buffer, "checkout_session", wanted)):
        return
    known = await asyncio.to_thread(sink.objects, "checkout_session", list(taken))
    unread = [
        _unread(i, one) for i, one in taken.items() if one.payment_intent and known.get(i, {}).get("unread", i not in known)
    ]
    await buffer.add("checkout_session", unread)


async def of_payments(reader: StripeReader, sink: Sink, buffer: Buffer, intents: Sequence[str]) -> None:
    """Ask for the session of each of these new payments that none is staged of; an event may come later than the payment."""
    without = await asyncio.to_thread(sink.without_session, intents)
    source = SOURCES["checkout_session"]

    async def ask(intent: str) -> None:
        page = await reader.page(source.path, {**source.list_params, "payment_intent": intent})
        await add_whole(reader, buffer, "checkout_session", page.objects)

    await allowed(buffer, lambda: each(sorted(without), ask, in_flight=_IN_FLIGHT))


async def awaited(reader: StripeReader, sink: Sink, buffer: Buffer, now: int) -> None:
    """Read sessions again that make an invoice of their payment and had none: no event tells when it is there."""
    waiting = await asyncio.to_thread(sink.awaiting_invoice, now - int(_AWAITED.total_seconds()))
    if waiting:
        await allowed(buffer, lambda: read_again(reader, sink, buffer, "checkout_session", dict.fromkeys(waiting, 0)))


def _unread(stripe_id: str, taken: Taken) -> RawObject:
    body = {
        "id": stripe_id,
        "object": "checkout.session",
        "created": taken.created,
        "status": "complete",
        "payment_intent": taken.payment_intent,
        "invoice": taken.invoice,
        "unread": True,
    }
    return RawObject(stripe_id, taken.created, json.dumps(body).encode())
