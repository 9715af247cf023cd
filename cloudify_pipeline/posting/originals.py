"""What a correction takes from the document that it takes back, as that stands in the ledger by the time it is posted."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from cloudify_pipeline.accounting.chart import Chart
from cloudify_pipeline.accounting.documents import EXCHANGE_RATE
from cloudify_pipeline.errors import Problem
from cloudify_pipeline.planning.corrections import refunded_already
from cloudify_pipeline.planning.plans import Hold, PlannedDocument, Skip, naming_booked
from cloudify_pipeline.posting.log.store import Identity
from cloudify_pipeline.posting.protocol import Executor
from cloudify_pipeline.posting.standing import still_ours

Plan = PlannedDocument | Hold | Skip
RETURNED = ":returned"
"""What the id of a refund's own reversal ends with."""


def corrects(plan: Plan) -> str | None:
    """The document that `plan` takes back, None for one that takes nothing back."""
    return plan.corrects if isinstance(plan, PlannedDocument) else None


async def as_originals(executor: Executor, plans: Sequence[Plan], chart: Chart | None) -> list[Plan]:
    """Corrections with what only the ledger knows of originals that were posted a moment ago: their number and rate.

    A later run plans both itself, with the same answer.
    """
    originals = executor.log.identities(executor.connection, "document", [*filter(None, map(corrects, plans))]) if plans else {}
    return [await _as_original(executor, plan, originals.get(corrects(plan) or ""), chart) for plan in plans]


async def _as_original(executor: Executor, plan: Plan, original: Identity | None, chart: Chart | None) -> Plan:
    if not isinstance(plan, PlannedDocument) or original is None:
        return plan
    named = naming_booked(plan, original.number) if original.ledger_kind == "booked_invoice" else plan
    return await _rated(executor, named, original, chart)


async def _rated(executor: Executor, plan: PlannedDocument, original: Identity, chart: Chart | None) -> PlannedDocument:
    """`plan` at the rate of its original; what is taken back was converted once."""
    document = plan.document
    if chart is None or document.currency == chart.base_currency or document.fields.get(EXCHANGE_RATE) is not None:
        return plan
    stored = await executor.ledger.document(original.ledger_kind or "draft_invoice", original.number)
    if stored is None or stored.exchange_rate is None or not still_ours(stored, original):
        return plan
    fields = dict(sorted({**document.fields, EXCHANGE_RATE: stored.exchange_rate}.items()))
    return replace(plan, document=replace(document, fields=fields))


def uncorrected(executor: Executor, plan: PlannedDocument) -> Problem | None:
    """Why a correction is not posted: its original must stand, booked where it is to be booked itself, and be taken back once.

    The plan may be older than what the log knows, which may have been lost and read from the ledger again.
    """
    corrected = plan.corrects
    if corrected is None:
        return None
    backs = [f"{refund}{RETURNED}" for refund in plan.explains]
    log: Mapping[str, Identity] = executor.log.identities(executor.connection, "document", [corrected, *plan.explains, *backs])
    standing = log.get(corrected)
    if standing is None:
        return Problem("E-DEPENDENCY", f"its invoice {corrected} is not in the ledger yet", found=corrected)
    if plan.document.kind == "booked_invoice" and standing.ledger_kind != "booked_invoice":
        return Problem("E-DEPENDENCY", f"its invoice {corrected} is not booked yet", found=corrected)
    posted = [log[refund] for refund in plan.explains if refund in log and f"{refund}{RETURNED}" not in log]
    if posted:
        return refunded_already(
            f"{one.stripe_id} ({(one.ledger_kind or 'document').replace('_', ' ')} {one.number})" for one in posted
        )
    return None
