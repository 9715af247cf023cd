"""Which corrections should have an ending, seen from outside planning: by staging, the settings and the original's own ending.

A second look at what :mod:`.corrections` decides, for the checks that nothing is lost on the way and nothing waits unseen.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from cloudify_pipeline.control.claims import LOST
from cloudify_pipeline.planning.records import instant
from cloudify_pipeline.settings.models import ConnectionSettings
from cloudify_pipeline.staging.store import Staging

IN_LEDGER = frozenset({"posting", "posted", "booked", "failed"})
ENDED = IN_LEDGER | {"planned", "held"}
"""States of a document that is due: what corrects it is due too. One that is left to a person waits for the ledger."""
INSTANTS = {"void": "voided_at", "uncollectible": "marked_uncollectible_at"}

StateOf = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class DueCorrection:
    """A credit note, refund, lost dispute or closed invoice that should be a document, held or failed, and since when."""

    stripe_id: str
    original: str
    since: datetime


def due_corrections(
    staging: Staging, settings: ConnectionSettings, state_of: StateOf, *, but: Collection[str] = ()
) -> list[DueCorrection]:
    """Those that are due, oldest first, leaving out `but`; `state_of` tells how an original ended, None where nobody knows."""
    refunds = ENDED if settings.invoices.corrections.refunds == "credit" else IN_LEDGER
    disputes = ENDED if settings.invoices.corrections.disputes == "credit" else IN_LEDGER
    due = [
        *(one for one in _notes(staging, settings, but) if state_of(one.original) in ENDED),
        *(one for one in _refunds(staging, settings, but) if state_of(one.original) in refunds),
        *(one for one in _disputes(staging, but) if state_of(one.original) in disputes),
        *_closed(staging, settings, state_of, but),
    ]
    return sorted(due, key=lambda one: (one.since, one.stripe_id))


def _notes(staging: Staging, settings: ConnectionSettings, but: Collection[str]) -> Iterator[DueCorrection]:
    for note in staging.credit_notes() if settings.invoices.credit_notes else ():
        if note.id not in but and note.status == "issued" and note.amount_minor:
            yield DueCorrection(note.id, note.invoice, note.created)


def _refunds(staging: Staging, settings: ConnectionSettings, but: Collection[str]) -> Iterator[DueCorrection]:
    """One of a payment that is left to a person is told by the payment's own hold."""
    explained: dict[str, int] = {}
    for note in staging.credit_notes():
        for refund_id, minor in note.refunds.items():
            explained[refund_id] = explained.get(refund_id, 0) + (minor if note.status == "issued" else 0)
    credited = settings.invoices.corrections.refunds == "credit"
    for refund in staging.refunds():
        original = refund.invoice or refund.charge
        if original is None or refund.id in but or refund.status != "succeeded":
            continue
        if refund.amount_minor > explained.get(refund.id, 0) and (credited or refund.invoice is not None):
            yield DueCorrection(refund.id, original, refund.created)


def _disputes(staging: Staging, but: Collection[str]) -> Iterator[DueCorrection]:
    for dispute in staging.disputes():
        original = dispute.invoice or dispute.charge
        if original is not None and dispute.id not in but and dispute.status == LOST and dispute.amount_minor:
            yield DueCorrection(dispute.id, original, dispute.created)


def _closed(staging: Staging, settings: ConnectionSettings, state_of: StateOf, but: Collection[str]) -> Iterator[DueCorrection]:
    own = settings.invoices.corrections
    wanted = {"void": own.voided == "credit", "uncollectible": own.uncollectible == "credit"}
    ids = {
        invoice_id: status
        for invoice_id, (status, _) in staging.closed_invoices().items()
        if wanted[status] and f"{invoice_id}:{status}" not in but and state_of(invoice_id) == "booked"
    }
    for invoice_id, invoice in staging.objects("invoice", list(ids)).items():
        moments = invoice.get("status_transitions") or {}
        since = instant(moments.get(INSTANTS[ids[invoice_id]])) or instant(invoice.get("created"))
        # What credit notes have taken back already leaves nothing to take back.
        left = int(invoice.get("total") or 0) - int(invoice.get("pre_payment_credit_notes_amount") or 0)
        if since is not None and left - int(invoice.get("post_payment_credit_notes_amount") or 0) > 0:
            yield DueCorrection(f"{invoice_id}:{ids[invoice_id]}", invoice_id, since)
