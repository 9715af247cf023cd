"""Completeness: whatever is due has an ending, so that no invoice is lost between Stripe and the ledger.

Eligible − (created + held + skipped + failed + planned) must be empty. A record that was skipped is looked at again: the
rules may say by now that it is due. What is over ``limits.max_documents_per_run`` waits for the next run and is not missing,
nor is a payment that rests.
So it is with what corrects a document: a credit note, a refund, a voided or written-off invoice.
"""

from collections.abc import Collection, Mapping, Sequence

from cloudify_pipeline.control.corrections_due import due_corrections
from cloudify_pipeline.control.joined import joined_records
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.planning.plans import Skip
from cloudify_pipeline.planning.rules import due

_ENDED = frozenset({"planned", "held", "posted", "booked", "failed"})
_WAITED = frozenset({"S-NOT-DUE", "S-NEVER-SENT", "S-NO-ORIGINAL"})
"""Why a correction is skipped as long as its original is no document."""


def missing(opened: OpenConnection, ids: Sequence[str] | None = None) -> list[str]:
    """Stripe ids, oldest first, for which a document is due and nothing is known of it; among `ids` when they are named."""
    states = opened.log.states(opened.name)
    wanted = None if ids is None else set(ids)
    with opened.staging.reading():
        candidates = [one.id for one in opened.staging.candidates()]
        resting = opened.staging.resting()
    doubtful = [
        one
        for one in candidates
        if (wanted is None or one in wanted) and one not in resting and states.get(one, ("",))[0] not in _ENDED
    ]  # fmt: skip
    without = [
        record.stripe_id
        for record in joined_records(opened.staging, doubtful)
        if not isinstance(due(record, opened.settings), Skip)
    ]
    waiting = _waiting(opened, candidates, without) if without else set()
    return [*(one for one in without if one not in waiting), *_corrections(opened, states, wanted)]


def _corrections(
    opened: OpenConnection, states: Mapping[str, tuple[str, str | None, str | None]], wanted: Collection[str] | None
) -> list[str]:
    skipped = {row["stripe_id"]: row["code"] for row in opened.log.records(opened.name, states=("skipped",))}
    ended = {i for i, (state, *_) in states.items() if state in _ENDED or (i in skipped and skipped[i] not in _WAITED)}
    with opened.staging.reading():
        due = due_corrections(opened.staging, opened.settings, lambda one: states.get(one, (None,))[0], but=ended)
    return [one.stripe_id for one in due if wanted is None or one.stripe_id in wanted]


def _waiting(opened: OpenConnection, candidates: Sequence[str], without: Sequence[str]) -> set[str]:
    """Those behind the last planned one of a run that planned as many as it may: plans are made oldest first."""
    planned = {row.stripe_id for row in opened.staging.plans("plan_documents") if row.kind != Skip.__name__}
    places = [place for place, one in enumerate(candidates) if one in planned]
    if not places or len(planned) < opened.settings.limits.max_documents_per_run:
        return set()
    return set(candidates[places[-1] + 1 :]) & set(without)
