"""Documents that somebody entered by hand: same customer, currency and amount within three days, and no key of ours.

Asked for once for a whole portion, by days and in lists of 1,000: never one look-up for a document.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from cloudify_pipeline.accounting.chart import Number
from cloudify_pipeline.accounting.documents import SalesDocument
from cloudify_pipeline.accounting.money import format_money
from cloudify_pipeline.errors import Problem
from cloudify_pipeline.ledgers.port import Ledger, LedgerDocument, StoredKind
from cloudify_pipeline.posting.standing import PREFIX, named

DAYS = timedelta(days=3)
"""How far the dates of the two may lie apart (reference/product.md N-04)."""


async def hand_made(
    ledger: Ledger, documents: Sequence[tuple[SalesDocument, Number]]
) -> Mapping[str, tuple[LedgerDocument, ...]]:
    """Stripe id → its twins; those without any are absent. `documents` come with the ledger number of their customer."""
    if not documents:
        return {}
    days = [day for document, _ in documents for day in _days(document)]
    kinds: tuple[StoredKind, ...] = ("draft_invoice", "booked_invoice")
    if any(document.kind == "draft_order" for document, _ in documents):
        kinds = ("draft_order", *kinds)
    by_facts: dict[tuple[str, str, object], list[LedgerDocument]] = {}
    for found in await ledger.documents_dated(min(days) - DAYS, max(days) + DAYS, kinds):
        if not found.key.startswith(PREFIX):
            by_facts.setdefault((str(found.customer), found.currency, found.totals.gross), []).append(found)
    twins: dict[str, tuple[LedgerDocument, ...]] = {}
    for document, customer in documents:
        alike = by_facts.get((str(customer), document.currency, document.stripe_total), ())
        near = tuple(one for one in alike if _near(one.date, document))
        if near:
            twins[document.stripe_id] = near
    return twins


def _days(document: SalesDocument) -> tuple[date, ...]:
    """The days on which somebody may have entered it: its own, and the one it had before a closed period moved it."""
    return (document.date,) if document.original_date is None else (document.date, document.original_date)


def _near(day: date | None, document: SalesDocument) -> bool:
    return day is not None and any(abs(day - own) <= DAYS for own in _days(document))


def twin_problem(document: SalesDocument, twins: Sequence[LedgerDocument]) -> Problem:
    """Both shown: what Stripe has, and what stands in the ledger without a key."""
    shown = ", ".join(f"{named(one)} of {one.date} over {format_money(one.totals.gross, one.currency)}" for one in twins)
    ours = f"{document.stripe_number or document.stripe_id} of {document.date}"
    total = format_money(document.stripe_total, document.currency)
    return Problem(
        "E-DUP-HUMAN",
        f"{ours} over {total} looks like {shown} for the same customer, which carries no key and may have been entered by hand",
        found=", ".join(named(one) for one in twins),
    )
