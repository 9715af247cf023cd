"""Credit notes of invoices that were read: an invoice that is older than what was listed has credit notes that are older too.

Posted without them, a sale would stand in the books that Stripe has taken back.
"""

import asyncio

from cloudify_pipeline.stripe_source.again import add_whole
from cloudify_pipeline.stripe_source.client import StripeReader
from cloudify_pipeline.stripe_source.kinds import SOURCES
from cloudify_pipeline.stripe_source.sink import Buffer, Sink
from cloudify_pipeline.stripe_source.together import each


async def crediting(reader: StripeReader, sink: Sink, buffer: Buffer) -> None:
    """Read the credit notes of the invoices in `buffer` that Stripe says are lowered by more than the staged ones do.

    Raises as :meth:`StripeReader.page`.
    """
    staged = await asyncio.to_thread(sink.credited, list(buffer.credited))
    source = SOURCES["credit_note"]

    async def read(invoice: str) -> None:
        params = {"invoice": invoice}
        while True:
            page = await reader.page(source.path, params)
            await add_whole(reader, buffer, "credit_note", page.objects)
            if not page.has_more or not page.objects:
                break
            params = {"invoice": invoice, "starting_after": page.objects[-1].id}

    lacking = [invoice for invoice, minor in buffer.credited.items() if staged.get(invoice, 0) < minor]
    await each(lacking, read, in_flight=source.in_flight)
