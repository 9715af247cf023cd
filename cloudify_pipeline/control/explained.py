"""What explain answers: one record as it was decided when it was posted, and beside it what would be planned today."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from cloudify_pipeline.accounting.documents import SalesDocument, SalesLine
from cloudify_pipeline.accounting.documents import Totals as LedgerTotals
from cloudify_pipeline.catalogue import entry
from cloudify_pipeline.errors import Problem
from cloudify_pipeline.mapping.lineage import Lineage
from cloudify_pipeline.planning.plans import LATER, Evidence, Hold, Plan, PlannedCustomer, PlannedDocument, PlannedProduct, Skip
from cloudify_pipeline.posting.endings import RecordKind

PlanFrom = Literal["as posted", "not known", "staged plan", "planned now", "none"]


@dataclass(frozen=True, slots=True)
class Trouble:
    """A problem with its catalogue entry."""

    code: str
    message: str
    cause: str
    remedy: str
    field: str | None = None
    found: str | None = None


@dataclass(frozen=True, slots=True)
class Totals:
    """Predicted by the ledger's chart, and Stripe's own; exact, in `currency`."""

    currency: str
    net: Decimal
    vat: Decimal
    gross: Decimal
    stripe_total: Decimal


@dataclass(frozen=True, slots=True)
class Origin:
    """How a record came to stand in the ledger: the last write that the ledger confirmed, and the settings in force then.

    `unknown` says why it is not known what was decided; the rest is then None, but for when and by which run.
    """

    confirmed_at: datetime | None = None
    run_id: str | None = None
    revision: str | None = None
    decided_at: datetime | None = None
    settings_hash: str | None = None
    settings_since: datetime | None = None
    unknown: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What was decided then and would be decided otherwise today; None where there is none on that side."""

    what: str
    then: str | None
    today: str | None


@dataclass(frozen=True, slots=True)
class Today:
    """What would be planned today for a record that stands in the ledger: no part of what stands there."""

    settings_hash: str
    same_settings: bool | None
    planned: str | None
    plan_from: PlanFrom
    rule: str | None = None
    trouble: Trouble | None = None
    decisions: tuple[Evidence, ...] = ()
    totals: Totals | None = None
    lines: tuple[SalesLine, ...] = ()
    fields: tuple[Lineage, ...] = ()
    changes: tuple[Change, ...] = ()
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Explained:
    """One record. `planned` is what it was or is planned as, `plan_from` where that plan came from, `state` how it stands.

    Of a record that stands in the ledger everything but `today` is what was decided when it was posted (`origin`), and
    `actual` are the ledger's own totals; of another it is what is planned.
    """

    stripe_id: str
    kind: RecordKind
    planned: str | None
    plan_from: PlanFrom
    state: str | None
    ledger_kind: str | None = None
    ledger_number: str | None = None
    stripe_number: str | None = None
    name: str | None = None
    url: str | None = None
    rule: str | None = None
    trouble: Trouble | None = None
    decisions: tuple[Evidence, ...] = ()
    totals: Totals | None = None
    actual: LedgerTotals | None = None
    lines: tuple[SalesLine, ...] = ()
    fields: tuple[Lineage, ...] = ()
    attempts: tuple[Mapping[str, Any], ...] = ()
    customer: "Explained | None" = None
    products: "tuple[Explained, ...]" = ()
    note: str | None = None
    origin: Origin | None = None
    today: Today | None = None


def planned_as(plan: Plan | None) -> str | None:
    """Kind of document, action, held or skipped."""
    match plan:
        case Hold():
            return "held"
        case Skip():
            return "planned" if plan.code in LATER else "skipped"
        case PlannedDocument():
            return plan.document.kind
        case PlannedCustomer() | PlannedProduct():
            return plan.action
        case None:
            return None


def trouble(plan: Plan | None, row: Mapping[str, Any]) -> Trouble | None:
    """What stands in the way: the log's last word when there is one, else the plan's."""
    problem: Problem | None = None
    if row.get("code"):
        problem = Problem(row["code"], row["message"] or "", row["field"], row["found"])
    elif isinstance(plan, Hold):
        problem = plan.problem
    elif isinstance(plan, Skip):
        problem = Problem(plan.code, plan.reason)
    if problem is None:
        return None
    known = entry(problem.code)
    return Trouble(problem.code, problem.message, known.cause, known.remedy, problem.field, problem.found)


def rule_of(plan: Plan | None) -> str | None:
    """The invoice rule of a planned document."""
    return plan.rule if isinstance(plan, PlannedDocument) else None


def fields_of(plan: Plan | None) -> tuple[Lineage, ...]:
    """Every mapped field with where it comes from."""
    return plan.lineage if isinstance(plan, PlannedCustomer | PlannedProduct | PlannedDocument) else ()


def document_of(plan: Plan | None) -> SalesDocument | None:
    """The document of a planned one."""
    return plan.document if isinstance(plan, PlannedDocument) else None


def totals_of(document: SalesDocument | None) -> Totals | None:
    """What the chart predicts, beside Stripe's total."""
    if document is None:
        return None
    predicted = document.predicted
    return Totals(document.currency.upper(), predicted.net, predicted.vat, predicted.gross, document.stripe_total)


def number_of(plan: Plan | None) -> str | None:
    """The ledger number that a planned customer or product has or gets."""
    number = plan.number if isinstance(plan, PlannedCustomer | PlannedProduct) else None
    return None if number is None else str(number)


def name_of(plan: Plan | None) -> str | None:
    """Whom or what it names."""
    if isinstance(plan, PlannedCustomer | PlannedProduct):
        return plan.name
    if isinstance(plan, PlannedDocument):
        return str(plan.document.fields.get("recipient.name", "")) or None
    return None


def changes(then: Plan, today: Plan) -> tuple[Change, ...]:
    """What was decided `then` and would be decided otherwise `today`; a number that the ledger gave since is no change."""
    before, after = dict(_said(then)), dict(_said(today))
    if isinstance(today, Hold | Skip):
        # Nothing else is planned, which says nothing about the rest.
        before = {name: said for name, said in before.items() if name in after}
    names = [*before, *(name for name in after if name not in before)]
    return tuple(Change(name, before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name))


def _said(plan: Plan) -> Iterator[tuple[str, str]]:
    if not isinstance(plan, PlannedCustomer | PlannedProduct):
        # A party that was created then is used today.
        yield "planned as", _held(plan) or str(planned_as(plan)).replace("_", " ")
    if isinstance(plan, PlannedDocument):
        document = plan.document
        yield "rule", plan.rule
        yield "date", document.date.isoformat()
        yield "Stripe's total", f"{document.stripe_total} {document.currency}"
        yield "net + VAT", f"{document.predicted.net} + {document.predicted.vat} {document.currency}"
        for position, line in enumerate(document.lines, 1):
            yield f"line {position}", f"{line.description}: {line.quantity} × {line.unit_price}, {line.vat_rate} % VAT"
    for one in plan.evidence:
        if one.decision in {"vat_zone", "vat_return"}:
            yield one.decision.replace("_", " "), f"{one.outcome}, by {one.rule}"
    yield from ((one.target, one.result) for one in fields_of(plan))


def _held(plan: Plan) -> str | None:
    match plan:
        case Hold():
            return f"held: {plan.problem.code}: {plan.problem.message}"
        case Skip():
            return f"skipped: {plan.code}: {plan.reason}"
    return None
