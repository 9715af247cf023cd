"""How many calls the posting of a plan will make, how long that takes, and what share of the day's budget it is.

Exact when every planned write is made: a document that is held or gone on the way, or a list that is longer than a page,
changes the count. What a log that is new reads once to find its documents again is not in it, nor the second look at the
ledger in a run that takes more than twenty minutes.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import select

from cloudify_pipeline.control.joined import PORTION, portions
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.control.planner import Planned
from cloudify_pipeline.ledgers.port import Ledger
from cloudify_pipeline.planning.paid_twice import INVOICED
from cloudify_pipeline.planning.plans import Hold, Plan, PlannedCustomer, PlannedDocument, PlannedProduct, Skip
from cloudify_pipeline.posting.drafts import Numbers, resolved_body
from cloudify_pipeline.posting.log import schema as t
from cloudify_pipeline.posting.log.standing import last_body
from cloudify_pipeline.posting.parties import sought
from cloudify_pipeline.posting.protocol import CONCURRENCY
from cloudify_pipeline.posting.twins import texts_of

DocumentPlan = PlannedDocument | Hold | Skip

_RECENT = 100
_UNTRIED = 0.3
"""Seconds of a write before any was made."""


@dataclass(frozen=True, slots=True)
class PlannedCalls:
    """Writes and reads of the ledger, the seconds they take at the pace of the last writes, and the ledger's budget of a day."""

    writes: int
    reads: int
    seconds: float
    daily: int | None

    def __str__(self) -> str:
        """``2,110 writes and 46 reads, about 2 min; 4.3 % of the 50,000 calls of a day``."""
        calls = self.writes + self.reads
        time = f"{math.ceil(self.seconds / 60)} min" if self.seconds > 90 else f"{math.ceil(self.seconds)} s"
        share = f"; {calls / self.daily:.1%} of the {self.daily:,} calls of a day" if self.daily else ""
        return f"{self.writes:,} writes and {self.reads:,} reads, about {time}{share}"


def planned_calls(opened: OpenConnection, ledger: Ledger, planned: Planned) -> PlannedCalls:
    """The calls that the posting steps make for `planned`; asks nobody."""
    parties = [plan for plans in (planned.customers, planned.products) for plan in plans.values()]
    updates = sum(isinstance(one, PlannedCustomer | PlannedProduct) and one.action == "update" for one in parties)
    creates = sum(isinstance(one, PlannedCustomer | PlannedProduct) and one.action == "create" for one in parties)
    documents = [plan for plan in planned.documents.values() if isinstance(plan, PlannedDocument)]
    writes, reads = _documents(opened, ledger, documents)
    if documents:
        reads += planned.chart_reads + ledger.look_reads + _lists(opened, planned) + _mentions(opened, ledger, planned)
    reads += _looks(opened, ledger, planned)
    # Each step that sends anything asks first whose books these are.
    reads += sum(any(map(is_sent, plans)) for plans in (planned.customers.values(), planned.products.values(), documents))
    calls = updates + creates + writes + updates + reads
    seconds = calls / CONCURRENCY * _pace(opened)
    return PlannedCalls(updates + creates + writes, updates + reads, seconds, ledger.daily_calls)


def is_sent(plan: Plan) -> bool:
    """Whether `plan` is one that posting acts on."""
    return not isinstance(plan, Hold | Skip)


def in_portions(plans: Sequence[DocumentPlan], size: int) -> Iterator[Sequence[DocumentPlan]]:
    """Plans of documents as they are posted: an invoice follows when the document of its payment is taken back."""
    backs = [plan for plan in plans if plan.stripe_id.endswith(INVOICED)]
    for group in (backs, [plan for plan in plans if not plan.stripe_id.endswith(INVOICED)]):
        yield from portions(group, size)


def _documents(opened: OpenConnection, ledger: Ledger, plans: list[PlannedDocument]) -> tuple[int, int]:
    """(writes, reads) of the documents themselves: a draft and its booking, or what a standing one still needs."""
    log, connection = opened.log, opened.name
    standing = log.identities(connection, "document", [plan.stripe_id for plan in plans])
    numbers = Numbers(log.identities(connection, "customer"), log.identities(connection, "product"))
    writes = reads = 0
    for plan in plans:
        stands = standing.get(plan.stripe_id)
        booking = plan.document.kind == "booked_invoice"
        if stands is None:
            writes += 1 + booking
            continue
        if stands.ledger_kind == "booked_invoice":
            reads += 1
        else:
            # The look at the ledger shows all drafts and open orders.
            changed = resolved_body(ledger, plan.document, numbers) != last_body(log, connection, plan.document.key)
            writes += changed + booking
            reads += changed
    return writes, reads


def _lists(opened: OpenConnection, planned: Planned) -> int:
    """The lists in which documents entered by hand are looked for: of drafts and booked invoices, of orders where one is due."""
    standing = opened.log.identities(opened.name, "document", list(planned.documents))
    lists = 0
    for part in in_portions(list(planned.documents.values()), PORTION):
        new = [plan.document for plan in part if isinstance(plan, PlannedDocument) and plan.stripe_id not in standing]
        if new:
            lists += 4 if any(document.kind == "draft_order" for document in new) else 2
    return lists


def _looks(opened: OpenConnection, ledger: Ledger, planned: Planned) -> int:
    """The look for what the creates of customers and products would make, each once before anything is made."""
    calls = 0
    kinds: tuple[tuple[Literal["customer", "product"], Iterable[Plan]], ...] = (
        ("customer", planned.customers.values()),
        ("product", planned.products.values()),
    )
    for kind, plans in kinds:
        new = [one for one in plans if isinstance(one, PlannedCustomer | PlannedProduct) and one.action == "create"]
        if kind == "customer":
            new = new[: opened.settings.limits.max_new_customers_per_run]
        if new:
            lookups = list(dict.fromkeys(map(sought, new)))
            calls += ledger.lookup_calls(kind, lookups, len(opened.log.identities(opened.name, kind)))
    return calls


def _mentions(opened: OpenConnection, ledger: Ledger, planned: Planned) -> int:
    """The lists in which documents are looked for that name what is about to be posted."""
    standing = opened.log.identities(opened.name, "document")
    stored = Counter(one.ledger_kind for one in standing.values() if one.ledger_kind is not None)
    calls = 0
    for part in in_portions(list(planned.documents.values()), PORTION):
        new = [plan for plan in part if isinstance(plan, PlannedDocument) and plan.stripe_id not in standing]
        if new:
            calls += ledger.mention_calls(texts_of(new), stored)
    return calls


def _pace(opened: OpenConnection) -> float:
    """Mean seconds of the last writes that the ledger answered."""
    a = t.attempts.c
    query = select(a.milliseconds).where(a.outcome == "confirmed").order_by(a.id.desc()).limit(_RECENT)
    with opened.log.engine.connect() as db:
        took = list(db.scalars(query))
    return sum(took) / len(took) / 1000 if took else _UNTRIED
