"""The group *plan*: what would be posted, and why."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from time import monotonic

import dagster as dg

from cloudify_pipeline.accounting.money import format_money
from cloudify_pipeline.catalogue import entry
from cloudify_pipeline.control.planner import Planned
from cloudify_pipeline.control.settings_checked import check_words, last_check
from cloudify_pipeline.control.sync import Looked, plan
from cloudify_pipeline.orchestration.partitions import connections
from cloudify_pipeline.orchestration.resources import RunScope, posts
from cloudify_pipeline.orchestration.words import SHOWN, sums
from cloudify_pipeline.planning.plans import Hold, Plan, PlannedCustomer, PlannedDocument, PlannedProduct, Skip
from cloudify_pipeline.planning.rests import RESTS

_DESCRIPTIONS = {
    "customers": (
        "For every customer of a due document: the ledger customer that is used, created or updated, or why a person must decide."
    ),
    "products": (
        "For every product of a due document: the ledger product that is used, created or updated, or why a person must decide."
    ),
    "documents": (
        "For every invoice and payment that is not in the ledger yet: the document that is due, with its predicted total, "
        "or the rule that skips it, or the reason it is held. Nothing has been sent."
    ),
}
_SOURCES = {
    "customers": [["stripe", "customers"], ["stripe", "invoices"], ["stripe", "charges"]],
    "products": [["stripe", "products"], ["stripe", "prices"], ["stripe", "invoices"]],
    "documents": [
        ["stripe", "invoices"],
        ["stripe", "charges"],
        ["stripe", "credit_notes"],
        ["stripe", "refunds"],
        ["stripe", "disputes"],
        ["stripe", "tax_rates"],
    ],
}


@dg.multi_asset(
    name="plan",
    group_name="plan",
    partitions_def=connections,
    specs=[
        dg.AssetSpec(["plan", name], deps=_SOURCES[name], description=text, kinds={"python"})
        for name, text in _DESCRIPTIONS.items()
    ],
)
def plan_assets(context: dg.AssetExecutionContext, scope: RunScope) -> Iterator[dg.MaterializeResult]:
    """Decides what is due, against the ledger as it is now; sends nothing."""
    started = monotonic()
    with scope.opened(context.partition_key) as opened:
        looked = asyncio.run(plan(opened, ids=scope.records(opened, context.job_name), posting=posts(context)))
        checked = check_words(last_check(opened))
    planned = looked.planned
    groups: dict[str, Mapping[str, Plan]] = {
        "customers": planned.customers,
        "products": planned.products,
        "documents": planned.documents,
    }
    for name, plans in groups.items():
        yield dg.MaterializeResult(
            asset_key=["plan", name],
            metadata={
                **dict(sorted(Counter(map(_ending, plans.values())).items())),
                "problems": _problems(plans),
                **(_document_facts(planned) if name == "documents" else {}),
                **({**_step_facts(looked), "settings check": checked} if name == "documents" else {}),
                "seconds": round(monotonic() - started, 1),
            },
        )


def _document_facts(planned: Planned) -> dict[str, dg.MetadataValue | int | str]:
    documents = [p.document for p in planned.documents.values() if isinstance(p, PlannedDocument)]
    rows = [{"state": "planned", "total": d.stripe_total, "currency": d.currency} for d in documents]
    lines = ["| Stripe | Customer | Document | Date | Net | VAT | Total |", "|---|---|---|---|--:|--:|--:|"]
    for d in documents[:SHOWN]:
        name = str(d.fields.get("recipient.name", "")).replace("|", "\\|")
        net, vat = format_money(d.predicted.net, d.currency), format_money(d.predicted.vat, d.currency)
        total = format_money(d.stripe_total, d.currency)
        lines.append(
            f"| {d.stripe_number or d.stripe_id} | {name} | {d.kind.replace('_', ' ')} | {d.date} | {net} | {vat} | {total} |"
        )
    return {
        "already in the ledger": planned.settled,
        "waiting for the next run": planned.waiting,
        **({"resting": str(planned.resting)} if planned.resting.payments else {}),
        "planned totals": sums(rows, ("planned",)),
        "documents": dg.MetadataValue.md("\n".join(lines) if documents else "Nothing is due."),
    }


def _step_facts(looked: Looked) -> dict[str, dg.MetadataValue | str]:
    warnings = "\n".join(f"- {line}" for line in looked.health.lines) or "None."
    connection = {f"connection: {name}": words for name, words in looked.health.facts.items()}
    return {"calls that posting makes": str(looked.calls), "connection warnings": dg.MetadataValue.md(warnings), **connection}


def _problems(plans: Mapping[str, Plan]) -> dg.MarkdownMetadataValue:
    causes = Counter(plan.problem.code for plan in plans.values() if isinstance(plan, Hold))
    if not causes:
        return dg.MetadataValue.md("None.")
    lines = ["| Records | Cause | What to do | Code |", "|--:|---|---|---|"]
    lines += [f"| {n} | {entry(code).cause} | {entry(code).remedy} | {code} |" for code, n in causes.most_common()]
    return dg.MetadataValue.md("\n".join(lines))


def _ending(plan: Plan) -> str:
    match plan:
        case Hold():
            return "held"
        case Skip():
            return "resting" if plan.code == RESTS else "skipped"
        case PlannedCustomer() | PlannedProduct():
            return {"use": "found", "create": "to create", "update": "to update"}[plan.action]
        case PlannedDocument():
            return {"draft_invoice": "draft invoices", "booked_invoice": "booked invoices", "draft_order": "draft orders"}[
                plan.document.kind
            ]
