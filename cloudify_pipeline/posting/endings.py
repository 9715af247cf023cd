"""How one record ended: the four endings and the states on the way, as values."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from cloudify_pipeline.accounting.chart import Number
from cloudify_pipeline.errors import Problem
from cloudify_pipeline.planning.plans import LATER, Hold, Skip

RecordKind = Literal["customer", "product", "document"]
State = Literal["planned", "held", "posting", "posted", "booked", "failed", "skipped"]

SETTLED: frozenset[State] = frozenset({"posted", "booked"})


@dataclass(frozen=True, slots=True)
class Ending:
    """What became of one record in one run.

    `made` says whether this run changed the ledger for it; a record that already stood there ends `posted` with `made` false.
    `retry` marks a failure that the next attempt can cure by itself (not reached, no answer).
    """

    kind: RecordKind
    stripe_id: str
    state: State
    number: Number | None = None
    ledger_kind: str | None = None
    total: Decimal | None = None
    currency: str | None = None
    stripe_number: str | None = None
    name: str | None = None
    problem: Problem | None = None
    revision: str | None = None
    made: bool = False
    retry: bool = False
    url: str | None = None
    terms: tuple[str, ...] = ()
    """What else the record is found by: ids and e-mails that Stripe joins to it."""


def undone(kind: RecordKind, plan: Hold | Skip) -> Ending:
    """The ending of a record that planning held or skipped; what only waits for its turn is planned."""
    subject = plan.subject
    state: State = "held" if isinstance(plan, Hold) else "planned" if plan.code in LATER else "skipped"
    return Ending(
        kind,
        plan.stripe_id,
        state,
        problem=plan.problem if isinstance(plan, Hold) else Problem(plan.code, plan.reason),
        total=subject.total if subject else None,
        currency=subject.currency if subject else None,
        stripe_number=subject.number if subject else None,
        name=subject.name if subject else None,
        terms=subject.terms if subject else (),
    )
