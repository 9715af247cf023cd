"""The group *ledger*: what was posted, and what was not and why. Three ops each: due → post → summarise."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from time import monotonic
from typing import Any

import dagster as dg

from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.control.progress import tell
from cloudify_pipeline.control.sync import (
    Stepped,
    post_planned_customers,
    post_planned_documents,
    post_planned_products,
    settle,
    unreached,
)
from cloudify_pipeline.control.write_back import write_back
from cloudify_pipeline.orchestration.partitions import connections
from cloudify_pipeline.orchestration.resources import REPLAY, RunScope
from cloudify_pipeline.orchestration.words import counts, documents_table, reasons_table, sums
from cloudify_pipeline.posting.endings import Ending, RecordKind

Step = Callable[[OpenConnection, dg.OpExecutionContext, Sequence[str], Sequence[str]], Coroutine[Any, Any, Stepped]]
"""Posts the plans of the ids; the second ids are those that a person replays by name."""


async def _customers(opened: OpenConnection, context: dg.OpExecutionContext, ids: Sequence[str], named: Sequence[str]) -> Stepped:
    return await post_planned_customers(opened, context.run_id, ids=ids)


async def _products(opened: OpenConnection, context: dg.OpExecutionContext, ids: Sequence[str], named: Sequence[str]) -> Stepped:
    return await post_planned_products(opened, context.run_id, ids=ids)


async def _documents(opened: OpenConnection, context: dg.OpExecutionContext, ids: Sequence[str], named: Sequence[str]) -> Stepped:
    done = 0

    def progress(_: Ending) -> None:
        nonlocal done
        done += 1
        tell("posting documents", done, len(ids))

    again = context.job_name == REPLAY
    return await post_planned_documents(opened, context.run_id, ids=ids, progress=progress, again=again, named=named)


def _ledger_asset(name: str, kind: RecordKind, step: Step, after: Sequence[dg.AssetKey], text: str) -> dg.AssetsDefinition:
    """A graph asset: which plans are there, post them, say what became of them. Ops hand on ids, never rows."""

    @dg.op(name=f"due_{name}", ins={"after": dg.In(dg.Nothing)})
    def due(context: dg.OpExecutionContext, scope: RunScope) -> list[str]:
        with scope.opened(context.partition_key) as opened:
            return [row.stripe_id for row in opened.staging.plans(f"plan_{name}")]

    @dg.op(name=f"post_{name}")
    def post(context: dg.OpExecutionContext, scope: RunScope, ids: list[str]) -> dict[str, Any]:
        started = monotonic()
        with scope.opened(context.partition_key) as opened:
            named = scope.invoice_ids if context.job_name == REPLAY else ()
            stepped = asyncio.run(step(opened, context, ids, named))
        return {
            "ids": ids,
            "made": sum(ending.made for ending in stepped.endings),
            "adopted": len(stepped.adopted),
            "requests": stepped.reads + stepped.writes,
            "writes": stepped.writes,
            "turn": stepped.turn,
            "seconds": round(monotonic() - started, 1),
        }

    @dg.op(name=f"summarise_{name}")
    def summarise(context: dg.OpExecutionContext, scope: RunScope, posted: dict[str, Any]) -> dg.MaterializeResult:
        ids = set(posted["ids"])
        with scope.opened(context.partition_key) as opened:
            rows = [row for row in opened.log.records(opened.name, kind) if row["stripe_id"] in ids]
            return dg.MaterializeResult(metadata=_metadata(opened, kind, rows, posted))

    @dg.graph_asset(
        key=["ledger", name],
        group_name="ledger",
        partitions_def=connections,
        kinds={"ledger"},
        description=text,
        ins={"_".join(key.path): dg.AssetIn(key=key, dagster_type=dg.Nothing) for key in after},
    )
    def asset(**upstream: Any) -> Any:
        return summarise(post(due(list(upstream.values()))))

    return asset


def _metadata(opened: OpenConnection, kind: RecordKind, rows: Sequence[dict[str, Any]], posted: dict[str, Any]) -> dict[str, Any]:
    live = not opened.staging.test_mode()
    problems = [row for row in rows if row["state"] in {"held", "failed"}]
    facts: dict[str, Any] = {
        **counts(rows),
        "created or changed in this run": posted["made"],
        **({"found in the ledger and not known before": posted["adopted"]} if posted["adopted"] else {}),
        "held and failed": reasons_table(problems, live=live),
    }
    if kind == "document":
        facts["in the ledger"] = sums(rows, ("posted", "booked"))
        facts["held back"] = sums(rows, ("held", "failed"))
        shown = [row for row in rows if row["state"] in {"posted", "booked", "planned"}]
        facts["documents"] = documents_table(shown, live=live)
    mode = opened.settings.write_mode
    if posted["turn"]:
        facts["waits for its turn"] = posted["turn"]
    facts["write mode"] = mode if mode == "write" else f"{mode}: nothing was sent"
    return {**facts, "requests to the ledger": posted["requests"], "writes": posted["writes"], "seconds": posted["seconds"]}


ledger_customers = _ledger_asset(
    "customers",
    "customer",
    _customers,
    [dg.AssetKey(["plan", "customers"])],
    "The ledger's customers for the due documents: found, created or updated. A customer that is held holds its documents.",
)
ledger_products = _ledger_asset(
    "products",
    "product",
    _products,
    [dg.AssetKey(["plan", "products"]), dg.AssetKey(["ledger", "customers"])],
    "The ledger's products for the due documents: found, created or updated.",
)
ledger_documents = _ledger_asset(
    "documents",
    "document",
    _documents,
    [dg.AssetKey(["plan", "documents"]), dg.AssetKey(["ledger", "customers"]), dg.AssetKey(["ledger", "products"])],
    "The draft invoices, booked invoices and draft orders in the ledger, each once, each with the total Stripe has.",
)


@dg.asset(
    key=["ledger", "settled"],
    group_name="ledger",
    partitions_def=connections,
    kinds={"ledger"},
    deps=[ledger_customers, ledger_products, ledger_documents],
)
def ledger_settled(context: dg.AssetExecutionContext, scope: RunScope) -> dg.MaterializeResult:
    """One more try for what could not be reached; then Stripe is told where each document stands.

    Red when something remains: the reason names each record. Everything else of the run stands; *re-execute from
    failure* runs just this.
    """
    with scope.opened(context.partition_key) as opened:
        stepped = asyncio.run(settle(opened, context.run.run_id))
        told = asyncio.run(write_back(opened, [row.stripe_id for row in opened.staging.plans("plan_documents")]))
    remaining = unreached(stepped.endings)
    facts: dict[str, Any] = {
        "tried again": len(stepped.endings),
        "not reached": len(remaining),
        "states written to Stripe": told.written,
        "left for the next run": told.left,
        "problems in Stripe": "; ".join(str(problem) for problem in told.problems[:10]) or "none",
    }
    if remaining:
        names = ", ".join(f"{ending.stripe_id} ({ending.problem})" for ending in remaining[:10])
        what = f"{len(remaining)} records could not be reached: {names}"
        raise dg.Failure(description=what, metadata={"code": "E-SERVER", "what happened": what, **facts}, allow_retries=False)
    return dg.MaterializeResult(metadata=facts)
