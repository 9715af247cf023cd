"""Which charges pay an invoice. Since 2025 a charge no longer says so itself; only an invoice payment knows.

Booking such a charge by itself would put the sale into the books twice, so a charge counts as a payment without an
invoice only after Stripe was asked, and for good only after it was asked once more behind its rest. An invoice payment
that is staged later overrules the answer.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from cloudify_pipeline.stripe_objects import UndecidedCharge
from cloudify_pipeline.stripe_source.again import read_again
from cloudify_pipeline.stripe_source.client import StripeReader
from cloudify_pipeline.stripe_source.kinds import SOURCES, source_of
from cloudify_pipeline.stripe_source.resting import waits
from cloudify_pipeline.stripe_source.sessions import of_payments
from cloudify_pipeline.stripe_source.sink import Buffer, Sink
from cloudify_pipeline.stripe_source.together import each

IN_FLIGHT = 8
RATES = "rates"
"""Cursor: whether the staged payments came with the rates at which Stripe converted them."""


class _Payment(msgspec.Struct):
    status: str | None = None


_payment = msgspec.json.Decoder(_Payment)


@dataclass(frozen=True, slots=True)
class Judged:
    """`verdicts`: always None, or the charge is left to the invoice payment found; `left` are those of no invoice so far."""

    verdicts: dict[str, str | None]
    left: tuple[UndecidedCharge, ...]


async def judge(
    reader: StripeReader, sink: Sink, buffer: Buffer, now: int, *, payments_complete: bool, sessions_complete: bool
) -> Judged:
    """The verdict on every staged charge that has none, or was given one before it had rested.

    `payments_complete`: every invoice payment was listed after the charges were, so none needs to be asked for.
    `sessions_complete`: likewise of Checkout sessions, by which a payment is known for what it sold.
    Raises as :meth:`StripeReader.page`.
    """
    undecided = await asyncio.to_thread(sink.undecided_charges)
    verdicts: dict[str, str | None] = {}
    of_invoices: set[str] = set()

    async def ask(charge: UndecidedCharge) -> None:
        if charge.intent is None or payments_complete or waits(charge, now):
            verdicts[charge.id] = None
            return
        source = SOURCES["invoice_payment"]
        page = await reader.page(source.path, {"payment[type]": "payment_intent", "payment[payment_intent]": charge.intent})
        await buffer.add("invoice_payment", page.objects)
        if all(_payment.decode(one.body).status == "canceled" for one in page.objects):
            verdicts[charge.id] = None
        else:
            of_invoices.add(charge.id)

    await each(undecided, ask, in_flight=IN_FLIGHT)
    left = tuple(one for one in undecided if one.id not in of_invoices)
    if not sessions_complete:
        await of_payments(reader, sink, buffer, [one.intent for one in left if one.intent is not None and not waits(one, now)])
    return Judged(verdicts, left)


async def paying(reader: StripeReader, sink: Sink, buffer: Buffer, invoices: Sequence[str]) -> None:
    """Read the payments of these staged invoices that are not staged, or not with their rates where those are asked for.

    Raises as :meth:`StripeReader.page`.
    """
    staged = await asyncio.to_thread(sink.objects, "invoice", invoices)
    known = await asyncio.to_thread(sink.payments_of, invoices)
    charges = await asyncio.to_thread(sink.objects, "charge", sorted({one for several in known.values() for one in several}))
    whole = [one for one in charges.values() if not reader.rates or isinstance(one.get("balance_transaction"), dict)]
    found = {reference for one in whole for reference in (one["id"], one.get("payment_intent"))}
    payments = [
        paid.get("payment") or {} for one in staged.values() for paid in (one.get("payments") or {}).get("data") or ()
    ]  # fmt: skip

    async def ask(intent: str) -> None:
        source = source_of(reader, "charge")
        page = await reader.page(source.path, {**source.list_params, "payment_intent": intent})
        await buffer.add("charge", page.objects)

    intents = [one["payment_intent"] for one in payments if one.get("payment_intent") not in {None, *found}]
    await each(list(dict.fromkeys(intents)), ask, in_flight=IN_FLIGHT)
    direct = [one["charge"] for one in payments if one.get("charge") not in {None, *found}]
    await read_again(reader, sink, buffer, "charge", dict.fromkeys(direct, 0))
