"""What came after a document was posted: the changes in Stripe that a ledger document cannot simply follow.

Everything else that changes (texts, references, mapped metadata) is planned again: a draft is replaced, a booked invoice
keeps its words. What is credited by documents of its own (:mod:`.corrections`) needs nobody (reference/product.md §4.7).
"""

from collections.abc import Collection
from decimal import Decimal

from cloudify_pipeline.accounting.money import format_money, from_minor
from cloudify_pipeline.errors import Problem
from cloudify_pipeline.planning.records import ChargeRecord, Record
from cloudify_pipeline.planning.stripe_amounts import stripe_totals


def changed_after_posting(
    record: Record,
    posted: str,
    total: Decimal | None,
    currency: str | None,
    *,
    explained: int = 0,
    credited: Collection[str] = (),
) -> Problem | None:
    """Why `record`, which stands in the ledger as `posted` (``booked invoice 20188``), needs a person; None when it does not.

    `total` and `currency` are what it was posted with (major units), None when nobody knows; `explained` is what corrections
    that are documents of their own take off (minor units), `credited` are the states that are credited by one.
    """
    if isinstance(record, ChargeRecord):
        refunded = int(record.charge.get("amount_refunded") or 0) - explained
        if refunded > 0:
            amount = format_money(from_minor(refunded, record.currency), record.currency)
            return Problem("E-CREDITED", f"{amount} of the payment was refunded after it was posted as {posted}", found=amount)
    else:
        status = "deleted" if record.invoice.get("deleted") else str(record.invoice.get("status"))
        if status in {"void", "deleted"} and status not in credited:
            return Problem("E-VOIDED", f"the invoice is {status} in Stripe and stands in the ledger as {posted}", found=status)
        if status == "uncollectible" and status not in credited:
            return Problem("E-UNCOLLECTIBLE", f"the invoice is uncollectible and stands in the ledger as {posted}", found=status)
        names = ("pre_payment_credit_notes_amount", "post_payment_credit_notes_amount")
        unexplained = sum(int(record.invoice.get(name) or 0) for name in names) - explained
        if unexplained > 0:
            amount = format_money(from_minor(unexplained, record.currency), record.currency)
            return Problem(
                "E-CREDITED", f"a credit note of {amount} reduces the invoice, which was posted as {posted}", found=amount
            )
    if total is not None and currency is not None and (record.total, record.currency) != (total, currency):
        now, then = format_money(record.total, record.currency), format_money(total, currency)
        return Problem("E-CHANGED", f"its total in Stripe is now {now}; it was posted as {posted} with {then}", "total", now)
    return None


def taxed_otherwise(record: Record, posted: str, vat: Decimal | None) -> Problem | None:
    """Why a payment that is booked as `posted` needs a person: its Checkout session, known since, has another VAT.

    `vat` is what it was booked with (major units), None where nobody knows.
    """
    sale = record.sale if isinstance(record, ChargeRecord) else None
    stated = stripe_totals(sale) if sale is not None else None
    if vat is None or stated is None or isinstance(stated, Problem) or stated.totals.vat == vat:
        return None
    now, then = (format_money(one, record.currency) for one in (stated.totals.vat, vat))
    return Problem("E-CHANGED", f"its Checkout session has VAT {now}; it was posted as {posted} with VAT {then}", "taxes", now)
