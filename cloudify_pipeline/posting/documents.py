"""The documents of one portion, each brought into the ledger once; what planning held or skipped keeps its reason."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from cloudify_pipeline.errors import Problem
from cloudify_pipeline.planning.plans import Hold, PlannedDocument, Skip
from cloudify_pipeline.posting.decided import left_sale
from cloudify_pipeline.posting.document import DocumentPosting, Known, Portion, accepted, remember
from cloudify_pipeline.posting.drafts import Numbers
from cloudify_pipeline.posting.endings import Ending, State, undone
from cloudify_pipeline.posting.log.persons import words
from cloudify_pipeline.posting.log.standing import refusals
from cloudify_pipeline.posting.originals import as_originals, corrects
from cloudify_pipeline.posting.paid import paid_already
from cloudify_pipeline.posting.protocol import Executor
from cloudify_pipeline.posting.twins import hand_made

Progress = Callable[[Ending], None]
Plan = PlannedDocument | Hold | Skip

AFTER_POSTING = frozenset({"E-VOIDED", "E-UNCOLLECTIBLE", "E-CREDITED", "E-CHANGED", "E-PAID-TWICE"})
"""Holds that concern a booked invoice; another reason to hold comes too late for it."""


USUAL = Portion()
"""A portion of a run of which nothing special is known."""


async def post_documents(
    executor: Executor, plans: Sequence[Plan], *, progress: Progress | None = None, portion: Portion = USUAL
) -> list[Ending]:
    """Bring every planned document into the ledger, once; endings in the order of `plans`."""
    known = await _known(executor, plans, portion)

    async def one(plan: Plan) -> Ending:
        if isinstance(plan, Hold | Skip):
            ending = await _left(executor, plan, known)
            kept = left_sale(executor, ending) if plan.stripe_id in known.standing else None
        else:
            post = DocumentPosting(executor, plan, known, portion)
            ending = await post.ending()
            kept = post.sold(ending)
        recorded = executor.log.record_changes(executor.connection, [ending], run_id=executor.run_id, now=executor.clock())
        await executor.commit(recorded, *([kept] if kept is not None else []))
        if progress is not None:
            progress(ending)
        return ending

    # A correction comes after what it corrects, which may be in the same portion.
    first = [plan for plan in plans if corrects(plan) is None]
    then = [plan for plan in plans if corrects(plan) is not None]
    endings = {ending.stripe_id: ending for ending in await asyncio.gather(*(one(plan) for plan in first))}
    then = await as_originals(executor, then, portion.chart)
    endings |= {ending.stripe_id: ending for ending in await asyncio.gather(*(one(plan) for plan in then))}
    return [endings[plan.stripe_id] for plan in plans]


async def _known(executor: Executor, plans: Sequence[Plan], portion: Portion) -> Known:
    log, connection = executor.log, executor.connection
    numbers = Numbers(log.identities(connection, "customer"), log.identities(connection, "product"))
    ids = [plan.stripe_id for plan in plans]
    standing = log.identities(connection, "document", ids)
    new = [plan for plan in plans if isinstance(plan, PlannedDocument) and plan.stripe_id not in standing]
    twins = await hand_made(executor.ledger, log, connection, [(plan, numbers.customer(plan.document)) for plan in new])
    return Known(
        numbers,
        standing,
        words(log, connection, ids),
        twins,
        {}
        if portion.again
        else refusals(log, connection, [plan.document.key for plan in plans if isinstance(plan, PlannedDocument)]),
        log.revisions_with(connection, "E-DROPPED"),
        await paid_already(executor, plans),
    )


async def _left(executor: Executor, plan: Hold | Skip, known: Known) -> Ending:
    """The ending of what planning held or skipped; what stands in the ledger already does not vanish by it."""
    ending = undone("document", plan)
    standing = known.standing.get(plan.stripe_id)
    if standing is None:
        said = known.word(plan.stripe_id, plan.problem) if isinstance(plan, Hold) else None
        return ending if said is None else replace(ending, state="skipped", problem=accepted(said))
    ending = replace(ending, number=standing.number, ledger_kind=standing.ledger_kind)
    stands_as: State = "booked" if standing.ledger_kind == "booked_invoice" else "posted"
    if isinstance(plan, Skip) and plan.code == "E-LIMIT":
        # A look found it after it was put off to a later run; that run compares the two.
        return replace(ending, state=stands_as, problem=None)
    word = known.word(plan.stripe_id, plan.problem) if isinstance(plan, Hold) else None
    if word is not None:
        note = accepted(word)
    elif isinstance(plan, Hold) and (stands_as == "posted" or plan.problem.code in AFTER_POSTING):
        return ending
    else:
        reason = plan.problem.message if isinstance(plan, Hold) else plan.reason
        note = Problem("S-CHANGED", f"changed in Stripe since it was posted, and stays as it is: {reason}")
    await remember(executor, standing, plan.source_hash)
    return replace(ending, state=stands_as, problem=note)
