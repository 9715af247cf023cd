"""One sale and two objects: a payment whose own document stands in the ledger, and an invoice that turns out to be paid by it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from cloudify_pipeline.accounting.documents import Totals
from cloudify_pipeline.accounting.money import format_money, from_minor
from cloudify_pipeline.errors import Problem
from cloudify_pipeline.planning.records import InvoiceRecord, Record

INVOICED = ":invoiced"
"""What the key of a document ends with that takes back a payment's own document, since an invoice stands for the sale."""


def paid_twice(invoice: str, standing: Mapping[str, str]) -> Problem:
    """Why `invoice` is not posted: `standing` are the payments of it that stand by themselves, each with its ledger document."""
    named = [f"{charge}, which stands in the ledger as {words}" for charge, words in sorted(standing.items())]
    found = ", ".join(words for _, words in sorted(standing.items()))
    return Problem("E-PAID-TWICE", f"{invoice} is paid by {' and by '.join(named)}", found=found)


def not_credited(problem: Problem, why: str) -> Problem:
    """`problem` of a payment whose document the settings would have taken back, and why it is not."""
    return replace(problem, message=f"{problem.message}; it is not taken back by itself: {why}")


def why_not_credited(
    minor: int, currency: str, paid: Mapping[str, int | None], totals: Mapping[str, int], taken_back: Sequence[str]
) -> str | None:
    """Why the document of a payment over `minor` is not taken back; None when all of it pays invoices, to the minor unit.

    `paid` is how much of each invoice it pays, where that is known, `totals` what the invoices come to, `taken_back` what
    has taken of the document already.
    """
    if taken_back:
        return f"{', '.join(taken_back)} took back a part of it"
    whole = format_money(from_minor(minor, currency), currency)
    known = [one for one in paid.values() if one is not None]
    if len(known) < len(paid):
        pays = next(iter(totals.values())) if len(paid) == 1 and len(totals) == 1 else None
        return None if pays == minor else f"how much of its {whole} is for which invoice is not known"
    used = format_money(from_minor(sum(known), currency), currency)
    return None if sum(known) == minor else f"it is over {whole}, and pays {used} of {', '.join(sorted(paid))}"


def totals_differ(planned: Totals, original: Totals | None, words: str) -> Problem | None:
    """Why a document that takes all of another one back is not posted: it does not come to the same, with the same VAT."""
    if original is not None and (-planned.net, -planned.vat, -planned.gross) == (original.net, original.vat, original.gross):
        return None
    theirs = "nobody can tell" if original is None else f"net {original.net}, VAT {original.vat}"
    message = f"{words} has {theirs}; what takes it back would have net {-planned.net}, VAT {-planned.vat}"
    return Problem("E-PAID-TWICE", message, found=theirs)


def both_stand(charge: str, words: str, invoices: Mapping[str, str]) -> Problem:
    """What is wrong with a payment that stands as `words` beside the `invoices` that it pays."""
    named = [f"{invoice}, which stands in the ledger as {known}" for invoice, known in sorted(invoices.items())]
    message = f"{charge} stands in the ledger as {words} and pays {' and '.join(named)}"
    return Problem("E-PAID-TWICE", message, found=", ".join(known for _, known in sorted(invoices.items())))


def like_each_other(record: Record, other: str, words: str | None) -> Problem:
    """Why one of an invoice marked as paid outside Stripe, and a payment of the same buyer and amount, waits for a person.

    `other` is the other one, `words` what it stands as in the ledger, None before it is posted: the question is the same.
    """
    amount = format_money(record.total, record.currency)
    if isinstance(record, InvoiceRecord):
        told = f"{record.stripe_id} is marked as paid outside Stripe, and {other} of the same buyer came through Stripe by itself"
    else:
        told = (
            f"{record.stripe_id} over {amount} may be the money of {other}, which the same buyer is said to have paid outside it"
        )
    return Problem("E-PAID-ALIKE", told, found=words or other)


def pairs(alike: Sequence[tuple[str, str, timedelta]]) -> dict[str, str]:
    """Each invoice of `alike` (invoice, payment, how far apart) with one payment, and the other way round; the nearest first.

    One payment is the money of one invoice: of several that are alike, each is asked about once.
    """
    found: dict[str, str] = {}
    for invoice, charge, _ in sorted(alike, key=lambda one: (one[2], one[0], one[1])):
        if invoice not in found and charge not in found:
            found[invoice], found[charge] = charge, invoice
    return found
