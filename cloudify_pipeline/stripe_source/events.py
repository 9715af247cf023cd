"""Stripe's events, read as one thing only: the id of an object that has changed, or is gone, or was sent.

An event's own copy of the object has the API version of the account's default, so it is never staged (the object is read
again at the pinned version).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import msgspec

from cloudify_pipeline.stripe_objects import Kind
from cloudify_pipeline.stripe_source.client import Page, Params, RequestRefused, StripeReader

KEPT = timedelta(days=30)
"""How far back Stripe lists events."""

SENT = "invoice.sent"
CAPTURED = "charge.captured"
CAPTURING = ("charge.succeeded", CAPTURED)
"""The events by which a payment's money is taken; the first tells of a payment that is only authorised as well."""

# Three lists, because Stripe takes at most twenty types in one request.
DOCUMENT_TYPES = (
    "invoice.created", "invoice.updated", "invoice.finalized", "invoice.paid", SENT, "invoice.voided",
    "invoice.marked_uncollectible", "invoice.overpaid", "invoice.deleted", "invoice_payment.paid",
    "credit_note.created", "credit_note.updated", "credit_note.voided",
    "refund.created", "refund.updated", "refund.failed",
)  # fmt: skip
PAYMENT_TYPES = (
    "charge.succeeded", CAPTURED, "charge.updated", "charge.refunded",
    "charge.dispute.created", "charge.dispute.updated", "charge.dispute.closed", "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated", "checkout.session.completed", "checkout.session.async_payment_succeeded",
)  # fmt: skip
PARTY_TYPES = (
    "customer.created", "customer.updated", "customer.deleted", "customer.tax_id.created", "customer.tax_id.updated",
    "customer.tax_id.deleted", "product.created", "product.updated", "product.deleted", "price.created", "price.updated",
    "price.deleted", "tax_rate.created", "tax_rate.updated",
)  # fmt: skip
EVENT_LISTS = (DOCUMENT_TYPES, PAYMENT_TYPES, PARTY_TYPES)

_KINDS = frozenset(get_args(Kind))
_OTHER_NAMES: dict[str, Kind] = {"checkout.session": "checkout_session"}


class _Object(msgspec.Struct):
    object: str = ""
    id: str | None = None
    created: int | None = None
    customer: Any = None
    invoice: Any = None
    captured: bool | None = None
    payment_intent: Any = None


class _Data(msgspec.Struct):
    object: _Object


class Event(msgspec.Struct):
    """What is read of an event."""

    id: str
    created: int
    type: str
    data: _Data
    livemode: bool | None = None


_event = msgspec.json.Decoder(Event)


@dataclass(frozen=True, slots=True)
class Taken:
    """What an event tells of a Checkout session, for a key that may not read the session itself: no amount, but its ids."""

    created: int
    payment_intent: str | None
    invoice: str | None


@dataclass(slots=True)
class Changes:
    """What events say happened: objects to read again (id → created, 0 when unknown), deletions, and sendings."""

    again: dict[Kind, dict[str, int]] = field(default_factory=dict)
    gone: dict[Kind, set[str]] = field(default_factory=dict)
    sent: dict[str, datetime] = field(default_factory=dict)
    taken: dict[str, Taken] = field(default_factory=dict)
    """Checkout sessions by id."""


async def read_events(reader: StripeReader, types: Iterable[str], since: int) -> list[Event]:
    """Events of `types` created at `since` (epoch seconds) or later. Raises as :meth:`StripeReader.page`."""
    params: Params = {"types": tuple(types), "created": {"gte": since}}
    events: list[Event] = []
    after: dict[str, str] = {}
    while True:
        page = await _page(reader, {**params, **after})
        if page is None:
            # The event the cursor stood on has passed Stripe's thirty days, and everything behind it with it.
            return events
        events += [_event.decode(one.body) for one in page.objects]
        if not page.has_more or not page.objects:
            return events
        after = {"starting_after": page.objects[-1].id}


async def _page(reader: StripeReader, params: Params) -> Page | None:
    try:
        return await reader.page("/v1/events", params)
    except RequestRefused as refused:
        if refused.param != "starting_after":
            raise
        return None


def interpret(events: Iterable[Event]) -> Changes:
    """What `events` say, oldest first. A deletion is final: Stripe never uses an id again."""
    changes = Changes()
    for event in sorted(events, key=lambda one: (one.created, one.id)):
        changed = event.data.object
        if changed.object == "tax_id":
            _again(changes, "customer", changed.customer, 0)
        elif (changed.object not in _KINDS and changed.object not in _OTHER_NAMES) or changed.id is None:
            continue
        elif event.type == f"{changed.object}.deleted":
            changes.gone.setdefault(_kind(changed), set()).add(changed.id)
        else:
            _again(changes, _kind(changed), changed.id, changed.created or 0)
            if changed.object in {"invoice_payment", "credit_note"}:
                _again(changes, "invoice", changed.invoice, 0)
            elif changed.object == "checkout.session":
                changes.taken[changed.id] = Taken(event.created, _id(changed.payment_intent), _id(changed.invoice))
        if event.type == SENT and changed.id is not None:
            changes.sent.setdefault(changed.id, datetime.fromtimestamp(event.created, UTC))
    for kind, ids in changes.gone.items():
        for stripe_id in ids:
            changes.again.get(kind, {}).pop(stripe_id, None)
    return changes


def captures(events: Iterable[Event]) -> dict[str, int]:
    """When charges were captured, as far as `events` tell (epoch seconds of Stripe's clock): the last time of each."""
    found: dict[str, int] = {}
    for event in events:
        charge = event.data.object
        if event.type in CAPTURING and charge.id is not None and charge.captured is not False:
            found[charge.id] = max(event.created, found.get(charge.id, 0))
    return found


def _kind(changed: _Object) -> Kind:
    return _OTHER_NAMES.get(changed.object, changed.object)  # type: ignore[arg-type]


def _id(reference: Any) -> str | None:
    found = reference.get("id") if isinstance(reference, dict) else reference
    return str(found) if found else None


def _again(changes: Changes, kind: Kind, stripe_id: Any, created: int) -> None:
    if isinstance(stripe_id, str):
        known = changes.again.setdefault(kind, {})
        known[stripe_id] = created or known.get(stripe_id, 0)
