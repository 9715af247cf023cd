"""Explain: everything that is known of one record. Which rule looked at which value, what was decided, what was sent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

from cloudify_pipeline.accounting.documents import SalesDocument, SalesLine
from cloudify_pipeline.catalogue import entry
from cloudify_pipeline.control.joined import staged_kind, staged_objects
from cloudify_pipeline.control.opened import OpenConnection, check_books
from cloudify_pipeline.control.planner import Planned, plan_connection
from cloudify_pipeline.errors import NotAuthorised, Problem, RunStopped, SettingsError, SettingsProblem, Unreachable
from cloudify_pipeline.mapping.lineage import Lineage
from cloudify_pipeline.planning.plans import (
    LATER,
    Evidence,
    Hold,
    Plan,
    PlannedCustomer,
    PlannedDocument,
    PlannedProduct,
    Skip,
    load,
)
from cloudify_pipeline.posting.endings import RecordKind
from cloudify_pipeline.stripe_objects import Kind

_DOCUMENTS = ("in", "ch", "py", "cn", "re", "pyr", "du", "dp")
_KINDS: dict[str, RecordKind] = {**dict.fromkeys(_DOCUMENTS, "document"), "cus": "customer", "prod": "product"}


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
class Explained:
    """One record. `planned` is what it is planned as, `plan_from` where that plan came from, `state` how it stands."""

    stripe_id: str
    kind: RecordKind
    planned: str | None
    plan_from: Literal["staged plan", "planned now", "none"]
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
    lines: tuple[SalesLine, ...] = ()
    fields: tuple[Lineage, ...] = ()
    attempts: tuple[Mapping[str, Any], ...] = ()
    customer: "Explained | None" = None
    products: "tuple[Explained, ...]" = ()
    note: str | None = None


async def explain(opened: OpenConnection, wanted: str) -> Explained:
    """What is known of `wanted`: a Stripe id, a Stripe invoice number or a ledger number.

    Raises:
        SettingsError: nothing of that name is known; nothing was sent.
    """
    kind, stripe_id = _find(opened, wanted)
    return await _Explainer(opened).explain(kind, stripe_id)


def _find(opened: OpenConnection, wanted: str) -> tuple[RecordKind, str]:
    """Which record is meant: an id speaks for itself, anything else is looked for among the records."""
    kind = _KINDS.get(wanted.split("_", 1)[0]) if "_" in wanted else None
    if kind is not None and _known(opened, kind, wanted):
        return kind, wanted
    kinds: tuple[RecordKind, ...] = ("document", "customer", "product")
    for each in kinds:
        for row in opened.log.records(opened.name, each, find=wanted):
            if wanted in {row["stripe_id"], row["number"], row["stripe_number"]}:
                return each, row["stripe_id"]
    allowed = "a Stripe invoice, charge, credit note, customer or product id, or a number that status lists"
    raise SettingsError(opened.name, [SettingsProblem("ID", f"{wanted}, which is not known here", allowed)])


def _known(opened: OpenConnection, kind: RecordKind, stripe_id: str) -> bool:
    staged: Kind = "customer"
    match kind:
        case "document":
            staged = staged_kind(stripe_id)
        case "product":
            staged = "product"
    return bool(opened.staging.objects(staged, [stripe_id])) or _record(opened, kind, stripe_id) is not None


def _record(opened: OpenConnection, kind: RecordKind, stripe_id: str) -> Mapping[str, Any] | None:
    return next((row for row in opened.log.records(opened.name, kind, find=stripe_id) if row["stripe_id"] == stripe_id), None)


class _Explainer:
    def __init__(self, opened: OpenConnection) -> None:
        self._opened = opened
        self._note: str | None = None
        self._fresh: Planned | None = None

    async def explain(self, kind: RecordKind, stripe_id: str) -> Explained:
        plan = self._staged_plan(kind, stripe_id)
        fresh = plan is None
        if plan is None:
            plan = await self._plan_now(kind, stripe_id)
        customer, products = self._named(kind, stripe_id, plan)
        return self._explained(
            kind,
            stripe_id,
            plan,
            fresh=fresh,
            customer=self._party("customer", customer) if customer else None,
            products=tuple(self._party("product", product) for product in products),
        )

    def _named(self, kind: RecordKind, stripe_id: str, plan: Plan | None) -> tuple[str | None, Sequence[str]]:
        """The Stripe customer and products of a document; of one that is held, as the staged object names them."""
        if isinstance(plan, PlannedDocument):
            lines = plan.document.lines
            products = {line.product.stripe_id for line in lines if line.product and line.product.stripe_id}
            return plan.document.customer.stripe_id, sorted(products)
        if kind != "document":
            return None, ()
        record = staged_objects(self._opened.staging, [stripe_id]).get(stripe_id, {})
        customer = record.get("customer")
        return (str(customer) if customer else None), sorted(set(_products(record)))

    def _party(self, kind: RecordKind, stripe_id: str) -> Explained:
        plan = self._from_fresh(kind, stripe_id) or self._staged_plan(kind, stripe_id)
        return self._explained(kind, stripe_id, plan, fresh=self._fresh is not None)

    def _staged_plan(self, kind: RecordKind, stripe_id: str) -> Plan | None:
        rows = self._opened.staging.plans(f"plan_{kind}s", [stripe_id])
        return load(rows[0].kind, rows[0].body) if rows else None

    async def _plan_now(self, kind: RecordKind, stripe_id: str) -> Plan | None:
        """Plan afresh, with GET only; without a ledger the record is explained by the log alone."""
        ids = [stripe_id] if kind == "document" else self._documents_of(kind, stripe_id)
        if not ids:
            self._note = "no staged invoice or payment needs it"
            return None
        try:
            async with self._opened.ledger() as ledger:
                await check_books(self._opened, ledger)
                self._fresh = await plan_connection(self._opened, ledger, ids=ids)
        except (NotAuthorised, Unreachable, RunStopped) as stopped:
            self._note = f"not planned now: {stopped.code}: {stopped.message}"
            return None
        return self._from_fresh(kind, stripe_id)

    def _from_fresh(self, kind: RecordKind, stripe_id: str) -> Plan | None:
        if self._fresh is None:
            return None
        plans: Mapping[RecordKind, Mapping[str, Plan]] = {
            "customer": self._fresh.customers,
            "product": self._fresh.products,
            "document": self._fresh.documents,
        }
        return plans[kind].get(stripe_id)

    def _documents_of(self, kind: RecordKind, stripe_id: str) -> list[str]:
        """The newest invoice or payment that names a customer or product; one is enough to plan it."""
        candidates = self._opened.staging.candidates()
        if kind == "customer":
            return [one.id for one in candidates if one.customer == stripe_id][-1:]
        for start in range(len(candidates), 0, -500):
            part = [one.id for one in candidates[max(0, start - 500) : start] if one.kind == "invoice"]
            for invoice_id, invoice in self._opened.staging.objects("invoice", part).items():
                if stripe_id in _products(invoice):
                    return [invoice_id]
        return []

    def _explained(
        self,
        kind: RecordKind,
        stripe_id: str,
        plan: Plan | None,
        *,
        fresh: bool,
        customer: Explained | None = None,
        products: tuple[Explained, ...] = (),
    ) -> Explained:
        row = _record(self._opened, kind, stripe_id) or {}
        key = f"stripe:{stripe_id}" if kind == "document" else f"{kind}:{stripe_id}"
        document = plan.document if isinstance(plan, PlannedDocument) else None
        return Explained(
            stripe_id=stripe_id,
            kind=kind,
            planned=_planned_as(plan),
            plan_from="none" if plan is None else "planned now" if fresh else "staged plan",
            state=row.get("state"),
            ledger_kind=row.get("ledger_kind"),
            ledger_number=row.get("number") or _number(plan),
            stripe_number=row.get("stripe_number") or (document.stripe_number if document else None),
            name=row.get("name") or _name(plan),
            url=row.get("url"),
            rule=plan.rule if isinstance(plan, PlannedDocument) else None,
            trouble=_trouble(plan, row),
            decisions=plan.evidence if plan else (),
            totals=_totals(document) if document else None,
            lines=document.lines if document else (),
            fields=plan.lineage if isinstance(plan, PlannedCustomer | PlannedProduct | PlannedDocument) else (),
            attempts=tuple(map(_aware, self._opened.log.history(self._opened.name, [key]))),
            customer=customer,
            products=products,
            note=self._note,
        )


def _aware(attempt: Mapping[str, Any]) -> dict[str, Any]:
    """An attempt with its times in UTC; SQLite hands them out without a zone."""
    return {
        name: value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value
        for name, value in attempt.items()
    }


def _planned_as(plan: Plan | None) -> str | None:
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


def _trouble(plan: Plan | None, row: Mapping[str, Any]) -> Trouble | None:
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


def _totals(document: SalesDocument) -> Totals:
    predicted = document.predicted
    return Totals(document.currency.upper(), predicted.net, predicted.vat, predicted.gross, document.stripe_total)


def _number(plan: Plan | None) -> str | None:
    number = plan.number if isinstance(plan, PlannedCustomer | PlannedProduct) else None
    return None if number is None else str(number)


def _name(plan: Plan | None) -> str | None:
    if isinstance(plan, PlannedCustomer | PlannedProduct):
        return plan.name
    if isinstance(plan, PlannedDocument):
        return str(plan.document.fields.get("recipient.name", "")) or None
    return None


def _products(invoice: Mapping[str, Any]) -> Sequence[str]:
    lines = (invoice.get("lines") or {}).get("data") or ()
    prices = (((line.get("pricing") or {}).get("price_details") or {}) for line in lines)
    return [str(price["product"]) for price in prices if price.get("product")]
