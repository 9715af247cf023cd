"""A second look at invoices that are not finished, in case an event was missed: a few pages in each run.

The look goes round: it takes up where the last run stopped, so that its cost stays the same however many are open.
"""

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Literal

from cloudify_pipeline.stripe_objects import RawObject
from cloudify_pipeline.stripe_source.again import add_whole, read_again
from cloudify_pipeline.stripe_source.client import StripeReader
from cloudify_pipeline.stripe_source.kinds import SOURCES, is_cut
from cloudify_pipeline.stripe_source.sink import Buffer, Sink

PAGES = 3
"""List pages in one run, for each status."""
MISSING = 100
"""At most so many invoices that have left the list unnoticed are read again in one run."""

Status = Literal["open", "draft"]


def bookmark(status: Status) -> str:
    """The name of the cursor that holds where the next look begins."""
    return f"sweep:{status}"


async def sweep(reader: StripeReader, sink: Sink, buffer: Buffer, status: Status, now: int) -> str:
    """Compare some invoices of `status` with what is staged; returns the bookmark for the next run.

    Raises as :meth:`StripeReader.page`.
    """
    top = int(sink.cursor(bookmark(status)) or now)
    bottom, listed = 0, set[str]()
    after: dict[str, str] = {}
    for _ in range(PAGES):
        params = {**SOURCES["invoice"].list_params, "status": status, "created": {"lte": top}, **after}
        page = await reader.page(SOURCES["invoice"].path, params)
        listed |= {one.id for one in page.objects}
        await add_whole(reader, buffer, "invoice", _worth_reading(sink, page.objects))
        if not page.has_more or not page.objects:
            bottom = 0
            break
        bottom = page.objects[-1].created
        after = {"starting_after": page.objects[-1].id}
    left = sorted(sink.live_ids("invoice", bottom + 1, top, status) - listed)[:MISSING]
    await read_again(reader, sink, buffer, "invoice", dict.fromkeys(left, 0))
    # With more open invoices in one second than a run looks at, the second is left behind rather than stood on for ever.
    return "" if not bottom else str(bottom if bottom < top else bottom - 1)


def _worth_reading(sink: Sink, objects: Sequence[RawObject]) -> list[RawObject]:
    """Those whose body is whole, and of the long ones those that changed: the rest of their lines costs requests."""
    long = [one for one in objects if is_cut(one)]
    staged = sink.objects("invoice", [one.id for one in long]) if long else {}
    unchanged = {one.id for one in long if one.id in staged and same_but_lines(one.body, staged[one.id])}
    return [one for one in objects if one.id not in unchanged]


def same_but_lines(body: bytes, staged: dict[str, Any]) -> bool:
    """Whether an invoice equals its staged form in everything but the lines and the links that Stripe signs anew."""
    return _comparable(json.loads(body, parse_float=Decimal)) == _comparable(staged)


def _comparable(invoice: dict[str, Any]) -> dict[str, Any]:
    left_out = {"lines", "hosted_invoice_url", "invoice_pdf"}
    return {name: value for name, value in invoice.items() if name not in left_out}
