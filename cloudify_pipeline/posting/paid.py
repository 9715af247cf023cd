"""The last look before an invoice is posted: whether a payment of it stands in the ledger by itself.

The plan may be older than what the log knows, which may have been lost and read from the ledger again.
"""

from collections.abc import Mapping, Sequence

from cloudify_pipeline.errors import Problem
from cloudify_pipeline.planning.paid_twice import INVOICED, paid_twice
from cloudify_pipeline.planning.plans import Hold, PlannedDocument, Skip
from cloudify_pipeline.posting.log.store import Identity
from cloudify_pipeline.posting.protocol import Executor
from cloudify_pipeline.posting.standing import PREFIX, named


async def paid_already(executor: Executor, plans: Sequence[PlannedDocument | Hold | Skip]) -> dict[str, Problem]:
    """Why some of `plans` are not posted, by Stripe id. Nothing is asked of the ledger but what was sent and not answered."""
    paid = {plan.stripe_id: plan.paid_by for plan in plans if isinstance(plan, PlannedDocument) and plan.paid_by}
    payments = sorted({one for several in paid.values() for one in several})
    if not payments:
        return {}
    asked = [*payments, *(f"{one}{INVOICED}" for one in payments)]
    log = executor.log.identities(executor.connection, "document", asked)
    own = {one: _words(log[one]) for one in payments if one in log}
    own |= await _unanswered(executor, [one for one in payments if one not in log])
    booked = {plan.stripe_id for plan in plans if isinstance(plan, PlannedDocument) and plan.document.kind == "booked_invoice"}
    stands = {
        i: {one: own[one] for one in several if one in own and not _taken_back(log.get(f"{one}{INVOICED}"), surely=i in booked)}
        for i, several in paid.items()
    }
    return {stripe_id: paid_twice(stripe_id, these) for stripe_id, these in stands.items() if these}


def _taken_back(back: Identity | None, *, surely: bool) -> bool:
    """Whether a payment's document is taken back; `surely`: by a document that is booked, as the invoice is to be."""
    return back is not None and (back.ledger_kind == "booked_invoice" or not surely)


async def _unanswered(executor: Executor, payments: Sequence[str]) -> Mapping[str, str]:
    """What a create that was never answered has made after all."""
    open_ = {key for _, key in executor.log.open_keys(executor.connection)} if payments else set()
    keys = [f"{PREFIX}{one}" for one in payments if f"{PREFIX}{one}" in open_]
    hits = await executor.ledger.documents(keys) if keys else {}
    return {key.removeprefix(PREFIX): named(found[0]) for key, found in hits.items() if found}


def _words(standing: Identity) -> str:
    return f"{(standing.ledger_kind or 'document').replace('_', ' ')} {standing.number}"
