"""One page of Stripe's events behind a place in their order: what has happened since the last look.

Stripe lists newest first; ``ending_before`` gives the events that follow one event, the nearest page of them. Without an
event to stand on, the page is the newest one since an instant.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from cloudify_pipeline.settings.models import InvoiceSettings
from cloudify_pipeline.stripe_source.client import Params, RequestRefused, StripeReader
from cloudify_pipeline.stripe_source.events import CAPTURED, KEPT

REACH = KEPT - timedelta(days=1)
"""How old an event may be for the next page to be asked for behind it: Stripe still lists it, with a day to spare."""
SKEW = timedelta(minutes=5)
"""This machine's clock and Stripe's may differ by so much."""
CHARGE = "charge.succeeded"
PAYMENT = "invoice_payment.paid"
UPDATED = "invoice.updated"


class _Object(msgspec.Struct):
    id: str = ""
    object: str = ""
    invoice: Any = None
    metadata: dict[str, str] | None = None
    payment: dict[str, Any] | None = None
    payment_intent: Any = None
    captured: bool | None = None


class _Data(msgspec.Struct):
    object: _Object
    previous_attributes: dict[str, Any] | None = None


class LiveEvent(msgspec.Struct, frozen=True):
    """What a look at an event needs: which record it is about, and which metadata it changed."""

    id: str
    created: int
    type: str
    data: _Data
    livemode: bool | None = None

    @property
    def record(self) -> str:
        """The invoice's or charge's id."""
        return self.data.object.id

    @property
    def pays_invoice(self) -> bool:
        """Whether a charge says itself that it pays an invoice: accounts of an old version still do."""
        return self.data.object.invoice is not None

    @property
    def takes_money(self) -> bool:
        """Whether a charge's money is taken; of one that is only authorised nothing is due."""
        return self.data.object.captured is not False

    @property
    def intent(self) -> str | None:
        """The payment intent that a charge or an invoice payment belongs to."""
        changed = self.data.object
        found = changed.payment_intent or (changed.payment or {}).get("payment_intent")
        return found if isinstance(found, str) else None

    def metadata_became(self, key: str) -> str | None:
        """The value that this event itself gave to the metadata `key`; None when it did not touch it."""
        previous = self.data.previous_attributes or {}
        if "metadata" not in previous:
            return None
        before = previous["metadata"]
        if isinstance(before, dict) and key not in before:
            return None
        return (self.data.object.metadata or {}).get(key)


_event = msgspec.json.Decoder(LiveEvent)


@dataclass(frozen=True, slots=True)
class Place:
    """How far the events were seen: up to `event`, made at `event_at`; at `looked_at` there was nothing more. Epoch seconds."""

    looked_at: int
    event: str | None = None
    event_at: int = 0

    def may_be_followed(self, now: datetime) -> bool:
        """Whether Stripe still lists everything behind this place."""
        return int(now.timestamp()) - self.looked_at < REACH.total_seconds()

    def stands_on(self, now: datetime) -> str | None:
        """The event to ask behind; None when there is none, or it is about to leave Stripe's list."""
        return self.event if int(now.timestamp()) - self.event_at < REACH.total_seconds() else None


@dataclass(frozen=True, slots=True)
class LivePage:
    """The events behind a place, oldest first. `complete` is False when events before these were not read.

    `livemode` is the mode that the connection reads, where it is known.
    """

    events: tuple[LiveEvent, ...]
    has_more: bool
    complete: bool = True
    livemode: bool | None = None
    ahead: timedelta | None = None
    """How far Stripe's clock was ahead of ours."""

    @property
    def ours(self) -> tuple[LiveEvent, ...]:
        """The events that do not say they are of the other mode: only these ask for anything."""
        return tuple(one for one in self.events if self.livemode is None or one.livemode in {None, self.livemode})


def asked_types(invoices: InvoiceSettings) -> tuple[str, ...]:
    """The events by which a document can become due under these rules; payments tell which charges belong to invoices.

    ``invoice.updated`` is not among them: it is what our own metadata writes cause.
    """
    triggers = [f"invoice.{rule.when}" for rule in invoices.rules]
    return tuple(dict.fromkeys([*triggers, *([CHARGE, CAPTURED, PAYMENT] if invoices.include_charges else [])]))


async def events_after(
    reader: StripeReader, types: Sequence[str], place: Place, now: datetime, *, pages: int = 1
) -> LivePage | None:
    """The next page of events behind `place`, in one request; None when Stripe does not know the place any more.

    Without an event to stand on, up to `pages` are read, from the newest back to `place`.

    Raises:
        NotAuthorised: the key is refused or lacks a right.
        Unreachable: Stripe gave no whole answer.
    """
    behind = place.stands_on(now)
    params: Params = {"types": tuple(types)}
    if behind is not None:
        params = {**params, "ending_before": behind}
    else:
        params = {**params, "created": {"gte": place.looked_at - int(SKEW.total_seconds())}}
    try:
        page = await reader.page("/v1/events", params)
    except RequestRefused as refused:
        if refused.param != "ending_before":
            raise
        return None
    found = [_event.decode(one.body) for one in page.objects]
    while behind is None and page.has_more and found and (pages := pages - 1) > 0:
        page = await reader.page("/v1/events", {**params, "starting_after": found[-1].id})
        found += [_event.decode(one.body) for one in page.objects]
    # Events of one second keep Stripe's own order: reversed, not sorted.
    events = found[::-1]
    return LivePage(tuple(events), page.has_more, complete=behind is not None or not page.has_more, ahead=reader.ahead)
