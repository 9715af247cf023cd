"""Explain: everything that is known of one record. Which rule looked at which value, what was decided, what was sent.

Of a record that stands in the ledger it says what was decided when it was posted, from the posting log: the settings may be
others by now, and staging may be gone. Of any other it plans.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from cloudify_pipeline.accounting.documents import Totals as LedgerTotals
from cloudify_pipeline.control.explained import (
    Explained,
    Origin,
    PlanFrom,
    Today,
    changes,
    document_of,
    fields_of,
    name_of,
    number_of,
    planned_as,
    rule_of,
    totals_of,
    trouble,
)
from cloudify_pipeline.control.joined import staged_kind, staged_objects
from cloudify_pipeline.control.opened import OpenConnection, check_books
from cloudify_pipeline.control.planner import Planned, plan_connection
from cloudify_pipeline.errors import NotAuthorised, RunStopped, SettingsError, SettingsProblem, Unreachable
from cloudify_pipeline.planning.plans import Plan, PlannedDocument, load
from cloudify_pipeline.posting.decided import Posted, posted
from cloudify_pipeline.posting.endings import RecordKind
from cloudify_pipeline.posting.log.chain import settings_in_force, settings_since
from cloudify_pipeline.posting.log.store import Identity
from cloudify_pipeline.posting.log.vat_sales import kept_sales
from cloudify_pipeline.posting.standing import ACCEPTED
from cloudify_pipeline.stripe_objects import Kind

_DOCUMENTS = ("in", "ch", "py", "cn", "re", "pyr", "du", "dp")
_KINDS: dict[str, RecordKind] = {**dict.fromkeys(_DOCUMENTS, "document"), "cus": "customer", "prod": "product"}

BY_HAND = "a person entered it in the ledger and linked it: nothing was decided here"
EARLIER_VERSION = "an earlier version posted it and kept no decisions: what was decided then is not known"
BEFORE_LOG = "posted before this log: what was decided then is not known"


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
    return _record(opened, kind, stripe_id) is not None or bool(opened.staging.objects(staged, [stripe_id]))


def _record(opened: OpenConnection, kind: RecordKind, stripe_id: str) -> Mapping[str, Any] | None:
    return next((row for row in opened.log.records(opened.name, kind, find=stripe_id) if row["stripe_id"] == stripe_id), None)


class _Explainer:
    def __init__(self, opened: OpenConnection) -> None:
        self._opened = opened
        self._note: str | None = None
        self._fresh: Planned | None = None

    async def explain(self, kind: RecordKind, stripe_id: str) -> Explained:
        standing, then = self._standing(kind, stripe_id)
        plan = self._staged_plan(kind, stripe_id)
        plan_from: PlanFrom = "staged plan"
        if plan is None or not self._by_these_settings():
            now = await self._plan_now(kind, stripe_id)
            if now is not None or plan is None or standing is not None:
                plan, plan_from = now, "planned now"
        customer, products = self._named(kind, stripe_id, then.plan or plan)
        parties = self._party("customer", customer) if customer else None, *(self._party("product", one) for one in products)
        return self._explained(kind, stripe_id, plan, plan_from, standing, then, parties)

    def _by_these_settings(self) -> bool:
        """Whether the staged plans were made by the settings of now."""
        return settings_in_force(self._opened.log.engine, self._opened.name) == self._opened.loaded.hash

    def _standing(self, kind: RecordKind, stripe_id: str) -> tuple[Identity | None, Posted]:
        """The ledger's record of it, and what was decided when it was posted; of one that does not stand, neither."""
        identity = self._opened.log.identities(self._opened.name, kind, [stripe_id]).get(stripe_id)
        return identity, posted(self._opened.log, self._opened.name, kind, stripe_id) if identity else Posted()

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
        fresh = self._from_fresh(kind, stripe_id)
        plan = self._staged_plan(kind, stripe_id) if fresh is None else fresh
        plan_from: PlanFrom = "staged plan" if fresh is None else "planned now"
        return self._explained(kind, stripe_id, plan, plan_from, *self._standing(kind, stripe_id))

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
        plan = self._from_fresh(kind, stripe_id)
        if plan is None:
            self._note = "not planned now: what Stripe says of it is not staged; the next sync reads it again"
        return plan

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

    def _explained(  # noqa: PLR0917
        self,
        kind: RecordKind,
        stripe_id: str,
        plan: Plan | None,
        plan_from: PlanFrom,
        standing: Identity | None,
        then: Posted,
        parties: Sequence[Explained | None] = (None,),
    ) -> Explained:
        row = _record(self._opened, kind, stripe_id) or {}
        key = f"stripe:{stripe_id}" if kind == "document" else f"{kind}:{stripe_id}"
        shown: Plan | None = plan if standing is None else then.plan
        shown_from: PlanFrom = "none" if plan is None else plan_from
        if standing is not None:
            shown_from = "not known" if then.plan is None else "as posted"
        document = document_of(shown)
        return Explained(
            stripe_id=stripe_id,
            kind=kind,
            planned=planned_as(shown),
            plan_from=shown_from,
            state=row.get("state"),
            ledger_kind=row.get("ledger_kind"),
            ledger_number=row.get("number") or (str(standing.number) if standing else number_of(plan)),
            stripe_number=row.get("stripe_number") or (document.stripe_number if document else None),
            name=row.get("name") or name_of(shown or plan),
            url=row.get("url"),
            rule=rule_of(shown),
            trouble=trouble(shown, row),
            decisions=shown.evidence if shown else (),
            totals=totals_of(document),
            actual=self._actual(kind, stripe_id) if standing else None,
            lines=document.lines if document else (),
            fields=fields_of(shown),
            attempts=tuple(map(_aware, self._opened.log.history(self._opened.name, [key]))),
            customer=parties[0],
            products=tuple(one for one in parties[1:] if one is not None),
            note=None if standing else self._note,
            origin=self._origin(standing, then) if standing else None,
            today=self._today(plan, plan_from, then) if standing else None,
        )

    def _actual(self, kind: RecordKind, stripe_id: str) -> LedgerTotals | None:
        if kind != "document":
            return None
        sale = kept_sales(self._opened.log, self._opened.name, ids=[stripe_id]).get(stripe_id)
        return None if sale is None else sale.stored

    def _origin(self, standing: Identity, then: Posted) -> Origin:
        if then.plan is None or then.settings_hash is None or then.decided_at is None:
            why = BY_HAND if standing.how == ACCEPTED else EARLIER_VERSION if then.confirmed_at else BEFORE_LOG
            return Origin(then.confirmed_at, then.run_id, unknown=why)
        since = settings_since(self._opened.log.engine, self._opened.name, then.settings_hash, then.decided_at)
        return Origin(then.confirmed_at, then.run_id, then.revision, then.decided_at, then.settings_hash, since)

    def _today(self, plan: Plan | None, plan_from: PlanFrom, then: Posted) -> Today:
        now = self._opened.loaded.hash
        document = document_of(plan)
        return Today(
            settings_hash=now,
            same_settings=None if then.settings_hash is None else then.settings_hash == now,
            planned=planned_as(plan),
            plan_from="none" if plan is None else plan_from,
            rule=rule_of(plan),
            trouble=trouble(plan, {}),
            decisions=plan.evidence if plan else (),
            totals=totals_of(document),
            lines=document.lines if document else (),
            fields=fields_of(plan),
            changes=changes(then.plan, plan) if then.plan is not None and plan is not None else (),
            note=self._note,
        )


def _aware(attempt: Mapping[str, Any]) -> dict[str, Any]:
    """An attempt with its times in UTC; SQLite hands them out without a zone."""
    return {
        name: value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value
        for name, value in attempt.items()
    }


def _products(invoice: Mapping[str, Any]) -> Sequence[str]:
    lines = (invoice.get("lines") or {}).get("data") or ()
    prices = (((line.get("pricing") or {}).get("price_details") or {}) for line in lines)
    return [str(price["product"]) for price in prices if price.get("product")]
