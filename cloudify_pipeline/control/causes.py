"""Problems grouped by cause: how many records, which sums, which ids, and what to do."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from cloudify_pipeline.accounting.money import from_minor
from cloudify_pipeline.catalogue import entry
from cloudify_pipeline.control.joined import staged_objects
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.control.planner import Planned
from cloudify_pipeline.planning.plans import Hold, Plan


@dataclass(frozen=True, slots=True)
class Affected:
    """One record with this problem; the amount is Stripe's total, where the record has one."""

    stripe_id: str
    stripe_number: str | None
    message: str
    total: Decimal | None = None
    currency: str | None = None
    field: str | None = None
    found: str | None = None


@dataclass(frozen=True, slots=True)
class Cause:
    """One code and everything it holds back; `sums` per currency, over documents only."""

    record_kind: str
    code: str
    cause: str
    remedy: str
    sums: dict[str, Decimal]
    records: tuple[Affected, ...]


def causes(opened: OpenConnection, planned: Planned, more: Iterable[Hold] = ()) -> tuple[Cause, ...]:
    """Everything that planning holds, and `more` documents, by kind of record and code, most records first."""
    held_documents = [*_held(planned.documents.values()), *more]
    ids = [hold.stripe_id for hold in held_documents]
    staged = staged_objects(opened.staging, ids)
    groups: dict[tuple[str, str], list[Affected]] = {}
    for kind, holds in (
        ("customer", _held(planned.customers.values())),
        ("product", _held(planned.products.values())),
        ("document", held_documents),
    ):
        for hold in holds:
            groups.setdefault((kind, hold.problem.code), []).append(_affected(hold, staged.get(hold.stripe_id)))
    found = [_cause(kind, code, records) for (kind, code), records in groups.items()]
    return tuple(sorted(found, key=lambda cause: (-len(cause.records), cause.record_kind, cause.code)))


def add(amounts: Iterable[tuple[str | None, Decimal | None]]) -> dict[str, Decimal]:
    """Exact sums per currency (upper case), in the order of the alphabet."""
    sums: dict[str, Decimal] = {}
    for currency, amount in amounts:
        if currency is not None and amount is not None:
            sums[currency.upper()] = sums.get(currency.upper(), Decimal(0)) + amount
    return dict(sorted(sums.items()))


def stripe_total(staged: dict[str, Any]) -> tuple[str | None, Decimal | None]:
    """Currency and total of a staged invoice or charge, as Stripe has it."""
    currency = staged.get("currency")
    minor = staged.get("total", staged.get("amount"))
    if not isinstance(currency, str) or not isinstance(minor, int):
        return None, None
    return currency.upper(), from_minor(minor, currency)


def _held(plans: Iterable[Plan]) -> list[Hold]:
    return [plan for plan in plans if isinstance(plan, Hold)]


def _affected(hold: Hold, staged: dict[str, Any] | None) -> Affected:
    currency, total = stripe_total(staged) if staged else (None, None)
    number = staged.get("number") if staged else None
    problem = hold.problem
    return Affected(hold.stripe_id, number, problem.message, total, currency, problem.field, problem.found)


def _cause(kind: str, code: str, records: list[Affected]) -> Cause:
    known = entry(code)
    return Cause(kind, code, known.cause, known.remedy, add((one.currency, one.total) for one in records), tuple(records))
