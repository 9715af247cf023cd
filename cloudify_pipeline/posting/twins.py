"""Documents that stand in the ledger already although no key of ours says so: a person or another program made them.

Either they name what is about to be posted (a Stripe id or number in their reference, heading or text lines, whatever their
day and debtor), or they look like it: same customer, currency and amount within three days. Both are asked for once for a
whole portion: never one look-up for a document.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from cloudify_pipeline.accounting.chart import Number
from cloudify_pipeline.accounting.documents import SalesDocument
from cloudify_pipeline.accounting.mentions import names, runs
from cloudify_pipeline.accounting.money import format_money
from cloudify_pipeline.errors import Problem
from cloudify_pipeline.ledgers.port import Ledger, LedgerDocument, StoredKind
from cloudify_pipeline.planning.plans import PlannedDocument
from cloudify_pipeline.posting.log.persons import linked
from cloudify_pipeline.posting.log.store import PostingLog
from cloudify_pipeline.posting.standing import ACCEPTED, named

DAYS = timedelta(days=3)
"""How far the dates of two that look alike may lie apart (reference/product.md N-04)."""
SHORT = 6
"""A number of fewer signs, or of digits alone, stands in many a text by chance: then currency and gross must agree too."""

_KINDS: tuple[StoredKind, ...] = ("draft_order", "draft_invoice", "booked_invoice")
_KEY = re.compile(r"\s*stripe:[a-z]+_[A-Za-z0-9]")
"""What a durable key begins with; ``stripe:INV-7`` is something that a person wrote."""
_SALE_ID = re.compile(r"(?:in|ch|py|pi|cn|re|pyr|dp|du|cs)_\w+")
"""Ids that one sale or correction has; a customer's or subscription's are those of many."""


@dataclass(frozen=True, slots=True)
class Name:
    """What a document may be named by in the ledger. `alone`: it says enough; else currency and gross must agree as well."""

    text: str
    alone: bool


def names_of(plan: PlannedDocument) -> tuple[Name, ...]:
    """Every name of what `plan` is for: its Stripe id and number, and the ids of what pays it.

    A correction has its own, and those of what it takes back, which the document that it takes back bears rightly: they
    count only where currency and gross agree, and a correction's gross is the negative.
    """
    document = plan.document
    own, _, event = document.stripe_id.partition(":")
    found = {own: not event}
    number = (document.stripe_number or "").strip()
    original = () if plan.corrects is None else (plan.corrects, *(term for term in plan.terms if _is_name(term)))
    if number:
        found.setdefault(number, number not in original and not number.isdigit() and len(number) >= SHORT)
    if plan.corrects is None:
        found |= {term: True for term in plan.terms if _SALE_ID.fullmatch(term)}
    for text in original:
        found.setdefault(text, False)
    return tuple(Name(text, alone) for text, alone in found.items())


def texts_of(plans: Sequence[PlannedDocument]) -> list[str]:
    """All names of `plans`, as one question to the ledger."""
    return list(dict.fromkeys(name.text for plan in plans for name in names_of(plan)))


async def hand_made(
    ledger: Ledger, log: PostingLog, connection: str, plans: Sequence[tuple[PlannedDocument, Number | None]]
) -> Mapping[str, tuple[LedgerDocument, ...]]:
    """Stripe id → its twins; those without any are absent. `plans` come with the ledger number of their customer, if it has one.

    What carries a key of ours is no twin, nor what somebody has said is another invoice's.
    """
    if not plans:
        return {}
    alike = await _alike(ledger, [(plan.document, number) for plan, number in plans if number is not None])
    naming = await _naming(ledger, [plan for plan, _ in plans])
    taken = _taken(log, connection) if alike or naming else {}
    twins: dict[str, tuple[LedgerDocument, ...]] = {}
    for plan, _ in plans:
        both = {(one.kind, str(one.number)): one for some in (alike, naming) for one in some.get(plan.stripe_id, ())}
        free = [one for place, one in both.items() if taken.get(place, plan.stripe_id) == plan.stripe_id]
        if free:
            twins[plan.stripe_id] = tuple(sorted(free, key=_order))
    return twins


def twin_problem(plan: PlannedDocument, twins: Sequence[LedgerDocument]) -> Problem:
    """Both shown: what Stripe has, and what stands in the ledger without a key."""
    document = plan.document
    ours = f"{document.stripe_number or document.stripe_id} of {document.date}"
    total = format_money(document.stripe_total, document.currency)
    said = [(one, _named_by(plan, one)) for one in twins]
    naming = ", ".join(f"{_shown(one)} names {name}" for one, name in said if name is not None)
    alike = ", ".join(_shown(one) for one, name in said if name is None)
    looks = f"looks like {alike} for the same customer, which carries no key and may have been entered by hand"
    why = f"may stand in the ledger already, entered by hand or by another program: {naming}" if naming else looks
    return Problem(
        "E-DUP-HUMAN",
        f"{ours} over {total} {why}" + (f"; it also {looks}" if naming and alike else ""),
        found=", ".join(named(one) for one in twins),
    )


async def _alike(ledger: Ledger, documents: Sequence[tuple[SalesDocument, Number]]) -> Mapping[str, tuple[LedgerDocument, ...]]:
    """Those of the same customer, currency and gross, near in time."""
    if not documents:
        return {}
    days = [day for document, _ in documents for day in _days(document)]
    kinds = _KINDS if any(document.kind == "draft_order" for document, _ in documents) else _KINDS[1:]
    by_facts: dict[tuple[str, str, object], list[LedgerDocument]] = {}
    for found in await ledger.documents_dated(min(days) - DAYS, max(days) + DAYS, kinds):
        if not keyed(found):
            by_facts.setdefault((str(found.customer), found.currency, found.totals.gross), []).append(found)
    twins: dict[str, tuple[LedgerDocument, ...]] = {}
    for document, customer in documents:
        same = by_facts.get((str(customer), document.currency, document.stripe_total), ())
        near = tuple(one for one in same if _near(one.date, document))
        if near:
            twins[document.stripe_id] = near
    return twins


async def _naming(ledger: Ledger, plans: Sequence[PlannedDocument]) -> Mapping[str, tuple[LedgerDocument, ...]]:
    """Those that name what is about to be posted."""
    found = [one for one in await ledger.mentioning(texts_of(plans)) if not keyed(one)]
    by_run: dict[str, list[LedgerDocument]] = {}
    for one in found:
        for run in {run for text in one.texts for run in runs(text)}:
            by_run.setdefault(run, []).append(one)
    twins: dict[str, tuple[LedgerDocument, ...]] = {}
    for plan in plans if found else ():
        likely = [one for name in names_of(plan) for one in _with_all(by_run, runs(name.text))]
        those = {(one.kind, str(one.number)): one for one in likely if _named_by(plan, one) is not None}
        if those:
            twins[plan.stripe_id] = tuple(those.values())
    return twins


def _with_all(by_run: Mapping[str, Sequence[LedgerDocument]], sought: Sequence[str]) -> Sequence[LedgerDocument]:
    """The fewest documents among which those with every run are: no name is compared with every document."""
    return min((by_run.get(run, ()) for run in sought), key=len, default=())


def _named_by(plan: PlannedDocument, found: LedgerDocument) -> str | None:
    """The first name of `plan` that stands on `found`, where it says enough."""
    document = plan.document
    equal = (found.currency, found.totals.gross) == (document.currency, document.stripe_total)
    return next(
        (name.text for name in names_of(plan) if name.alone or equal if any(names(text, name.text) for text in found.texts)),
        None,
    )


def keyed(found: LedgerDocument) -> bool:
    """Whether a document carries a durable key: it is known by that, whatever else stands on it."""
    return _KEY.match(found.key) is not None


def _taken(log: PostingLog, connection: str) -> Mapping[tuple[str | None, str | None], str]:
    """(kind, number) of every ledger document that somebody has said is a Stripe invoice's already → that invoice."""
    accepted: dict[tuple[str | None, str | None], str] = {
        (identity.ledger_kind, str(identity.number)): identity.stripe_id
        for identity in log.identities(connection, "document").values()
        if identity.how == ACCEPTED
    }
    return {**accepted, **linked(log, connection)}


def _days(document: SalesDocument) -> tuple[date, ...]:
    """The days on which somebody may have entered it: its own, and the one it had before a closed period moved it."""
    return (document.date,) if document.original_date is None else (document.date, document.original_date)


def _near(day: date | None, document: SalesDocument) -> bool:
    return day is not None and any(abs(day - own) <= DAYS for own in _days(document))


def _is_name(term: str) -> bool:
    return "@" not in term and not term.startswith("cus_")


def _shown(one: LedgerDocument) -> str:
    return f"{named(one)} of {one.date} over {format_money(one.totals.gross, one.currency)}"


def _order(one: LedgerDocument) -> tuple[int, int, str]:
    number = str(one.number)
    return _KINDS.index(one.kind), len(number), number
