"""What a dispute that was lost comes to: the sale is taken back, or a person decides (reference/product.md §4.6, 4.7).

While it is open, and when it is won, the sale stands. The money that the bank holds meanwhile is no document's affair.
"""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from cloudify_pipeline.accounting.money import format_money, from_minor
from cloudify_pipeline.control.claims import LOST, WON, Claim
from cloudify_pipeline.errors import Problem
from cloudify_pipeline.planning.corrections import Correction, named_original
from cloudify_pipeline.planning.plans import Hold, Skip
from cloudify_pipeline.planning.records import Raw, Record
from cloudify_pipeline.planning.reversals import Part, returned, reversal
from cloudify_pipeline.posting.originals import RETURNED


def concerns(one: Claim, standing: Collection[str]) -> bool:
    """Whether a dispute is looked at by itself: it was lost, or stands in the ledger as a document."""
    return one.id in standing or (one.status == LOST and bool(one.minor))


def none_lost(one: Claim) -> Skip:
    """What became of a dispute that was told of before, and is not lost any more."""
    return Skip(one.id, "S-NOT-LOST", f"the dispute is {one.status or 'without a status'} in Stripe")


def dispute(one: Claim, raw: Raw, original: Record, at: datetime, stands_as: str | None) -> Correction | Problem:
    """What a lost dispute takes off `original`, on the day of `at`: Stripe tells when it was opened, and not when it was lost.

    `stands_as` is the ledger's document of `original`, None while it has none.
    """
    currency = str(raw.get("currency") or original.currency).upper()
    amount = format_money(from_minor(one.minor or 0, currency), currency)
    where = f", which stands in the ledger as {stands_as}," if stands_as else ""
    lost = f"dispute {one.id} over {amount} of {named_original(original)}{where} was lost"
    if one.notes:
        return Problem("E-DISPUTED", f"{lost}, and a credit note after it may be for that: {', '.join(one.notes)}", found=amount)
    if not one.posted:
        return Problem("E-DISPUTED", lost, found=amount)
    if currency != original.currency:
        return Problem("E-DISPUTED", f"{lost}: that is another currency than {original.currency}", found=amount)
    found = reversal(one.id, original, Part(one.minor or 0, one.before), at, "dispute")
    return replace(found, code="E-DISPUTED", message=f"{lost}: {found.message}") if isinstance(found, Problem) else found


def reinstated(one: Claim, original: Record, at: datetime, stands_as: str | None) -> Correction | Problem:
    """A lost dispute that is posted and was won afterwards: the sale stands again, from the day of `at` on, when this is seen.

    `stands_as` is the document that says so, None while there is none.
    """
    if stands_as is not None and one.status == LOST:
        message = f"the dispute is lost again in Stripe, and {stands_as} took it back"
        return Problem("E-CHANGED", message, field="status", found=one.status)
    posted = reversal(one.id.removesuffix(RETURNED), original, Part(-(one.minor or 0)), at, "dispute")
    return posted if isinstance(posted, Problem) else returned(one.id, posted, original, at, WON)


def without_original(hold: Hold, original_id: str) -> Skip:
    """The end of a dispute of a sale that is not in the ledger."""
    reason = f"{original_id}, whose payment was disputed, is not in the ledger"
    return Skip(hold.stripe_id, "S-NO-ORIGINAL", reason, subject=hold.subject, source_hash=hold.source_hash)
