"""`cloudify replay`: tries chosen records again, as a recorded Dagster run; what stands in the ledger is never posted twice."""

import asyncio
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from cloudify_pipeline.cli.names import chosen_and_records, documents_only, opening
from cloudify_pipeline.cli.output import DONE, FAILED, WRONG_CALL, AsJson, console, say, show_json, table
from cloudify_pipeline.cli.progress import watching
from cloudify_pipeline.cli.status import counts_line, documents_table, reasons
from cloudify_pipeline.cli.sync import Synced, document, run_job_here, say_mode, show_stopped
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.control.preview import Preview
from cloudify_pipeline.control.preview import preview as look_ahead
from cloudify_pipeline.control.replay import Selection, selected, to_fetch
from cloudify_pipeline.control.status import status
from cloudify_pipeline.control.sync import stage

Words = Annotated[list[str] | None, typer.Argument(metavar="[NAME] [INVOICE]...", help="The connection, and which invoices.")]
Failed = Annotated[bool, typer.Option("--failed", help="Every document that is failed or held.")]
Error = Annotated[str | None, typer.Option("--error", metavar="CODE", help="Every record whose reason has this code.")]
Number = Annotated[list[str] | None, typer.Option("--number", metavar="N", help="The document with this number in the ledger.")]
Since = Annotated[str | None, typer.Option("--since", metavar="TIME", help="Whose state changed at or after this time.")]
Until = Annotated[str | None, typer.Option("--until", metavar="TIME", help="And before this time.")]
Revision = Annotated[str | None, typer.Option("--revision", metavar="R", help="What was planned as this revision.")]
Everything = Annotated[bool, typer.Option("--all", help="Every document; what stands in the ledger is left as it is.")]
PlanOnly = Annotated[bool, typer.Option("--plan", help="Only show what would be done; send nothing.")]

_SHOWN = 25


def replay(
    words: Words = None,
    *,
    failed: Failed = False,
    error: Error = None,
    number: Number = None,
    since: Since = None,
    until: Until = None,
    revision: Revision = None,
    everything: Everything = False,
    plan_only: PlanOnly = False,
    as_json: AsJson = False,
) -> int:
    """Try chosen records again, in order. What is booked stays; a draft whose plan has changed is replaced under its number."""
    name, ids = chosen_and_records(words or [])
    chosen = Selection(
        invoice_ids=tuple(documents_only(ids)),
        ledger_numbers=tuple(number or ()),
        failed=failed,
        error_code=error,
        revision=revision,
        changed_since=since,
        changed_until=until,
        everything=everything,
    )
    with opening(name) as opened:
        records = selected(opened, chosen)
        before = status(opened)["counts"]
        plan = None
        if records:
            with watching(quiet=as_json):
                plan = asyncio.run(_looked_ahead(opened, records))
    if not as_json:
        _show_plan(plan, len(records))
    if plan is None or plan_only:
        if as_json:
            show_json({"connection": name, "ids": records, "plan": _plan(plan), "counts": before, "run_id": None})
        return DONE
    replayed = run_job_here(name, "replay", _scope(chosen), ids=records, quiet=as_json)
    if replayed.exit_code in {WRONG_CALL, FAILED}:
        return show_stopped(replayed, as_json=as_json, more={"connection": name})
    if as_json:
        show_json({**document(replayed), "ids": records, "plan": _plan(plan), "counts_before": before})
    else:
        _show(replayed, before)
    return replayed.exit_code


async def _looked_ahead(opened: OpenConnection, records: Sequence[str]) -> Preview:
    """What the replay would do, with Stripe as it is now: whoever mended a record there wants to see that."""
    await stage(opened, ids=to_fetch(records))
    return await look_ahead(opened, ids=records)


def _scope(chosen: Selection) -> dict[str, Any]:
    values = {
        "invoice_ids": list(chosen.invoice_ids),
        "ledger_numbers": list(chosen.ledger_numbers),
        "failed": chosen.failed,
        "error_code": chosen.error_code,
        "revision": chosen.revision,
        "changed_since": chosen.changed_since,
        "changed_until": chosen.changed_until,
        "everything": chosen.everything,
    }
    return {name: value for name, value in values.items() if value}


def _plan(plan: Preview | None) -> dict[str, Any]:
    if plan is None:
        return {"documents": [], "writes": 0}
    documents = [
        {"stripe_id": one.stripe_id, "does": one.does, "stands": one.stands, "requests": len(one.requests)}
        for one in plan.documents
    ]
    return {"documents": documents, "writes": plan.writes, "counts": plan.counts}


def _show_plan(plan: Preview | None, records: int) -> None:
    if plan is None:
        say("Nothing is chosen: no record fits.")
        return
    rows = [(one.stripe_number or one.stripe_id, one.customer, one.stands or "", one.does) for one in plan.documents]
    if rows:
        table(
            f"What the replay of {records} would do, {plan.writes} writes",
            ("Stripe", "Customer", "Stands", "Does"),
            rows[:_SHOWN],
        )
    held, skipped = plan.counts["held"], plan.counts["skipped"]
    if held or skipped:
        say(f"{held} would be held and {skipped} skipped, as they are.")


def _show(replayed: Synced, before: dict[str, int]) -> None:
    done = replayed.outcome
    moved = [row for row in done.documents if row["state"] in {"booked", "posted"}]
    if moved:
        documents_table(f"In the ledger by this replay, {len(moved)} in all", moved[:_SHOWN])
    troubled = [row for row in done.documents if row["state"] in {"held", "failed"}]
    if troubled:
        reasons("Still held or failed", troubled[:_SHOWN])
    for failure in replayed.failures:
        console(sys.stderr).print(str(failure), style="red")
    if done.resting.payments:
        say(str(done.resting))
    elif not done.documents:
        say("Nothing changed: everything stands as it should.")
    say_mode(done)
    say(f"before  {counts_line(before)}")
    say(f"after   {counts_line(done.counts)}")
    say(f"Run {done.run_id}, {replayed.seconds:.1f} s. Next: cloudify status {done.connection}")
