"""Which charges pay an invoice. Since 2025 a charge no longer says so itself; only an invoice payment knows.

Booking such a charge by itself would put the sale into the books twice, so a charge counts as a payment without an
invoice only after Stripe was asked. An invoice payment that is staged later overrules the answer.
"""

import asyncio

from cloudify_pipeline.stripe_source.client import StripeReader
from cloudify_pipeline.stripe_source.kinds import SOURCES
from cloudify_pipeline.stripe_source.sink import Buffer, Sink
from cloudify_pipeline.stripe_source.together import each

IN_FLIGHT = 8


async def judge(reader: StripeReader, sink: Sink, buffer: Buffer, *, payments_complete: bool) -> dict[str, str | None]:
    """The verdict on every staged charge that has none: always None, or the charge is left to the invoice payment found.

    `payments_complete`: every invoice payment was listed after the charges were, so none needs to be asked for.
    Raises as :meth:`StripeReader.page`.
    """
    undecided = await asyncio.to_thread(sink.unjudged_charges)
    verdicts: dict[str, str | None] = {}

    async def ask(charge: tuple[str, str | None]) -> None:
        charge_id, intent = charge
        if intent is None or payments_complete:
            verdicts[charge_id] = None
            return
        source = SOURCES["invoice_payment"]
        page = await reader.page(source.path, {"payment[type]": "payment_intent", "payment[payment_intent]": intent})
        if page.objects:
            await buffer.add("invoice_payment", page.objects)
        else:
            verdicts[charge_id] = None

    await each(undecided, ask, in_flight=IN_FLIGHT)
    return verdicts
