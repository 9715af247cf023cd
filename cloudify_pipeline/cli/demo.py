"""`cloudify demo`: the main job with no accounts, against the embedded sandbox."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any

import typer

from cloudify_pipeline.cli.demo_expected import differences
from cloudify_pipeline.cli.demo_home import NAME, DemoHome
from cloudify_pipeline.cli.names import opening
from cloudify_pipeline.cli.output import (
    ATTENTION,
    DONE,
    FAILED,
    WRONG_CALL,
    AsJson,
    document_name,
    moneys,
    say,
    show_json,
    table,
)
from cloudify_pipeline.cli.status import counts_line, documents_table, reasons
from cloudify_pipeline.cli.sync import Synced, Verbose, document, run_sync, show_stopped
from cloudify_pipeline.cli.ui import serve
from cloudify_pipeline.control.causes import add
from cloudify_pipeline.control.status import status
from cloudify_pipeline.settings.paths import home

Ui = Annotated[bool, typer.Option("--ui", help="Keep the sandbox running and serve the web interface until Ctrl-C.")]
Host = Annotated[str, typer.Option("--host", help="With --ui: the address to listen on.")]
Port = Annotated[int | None, typer.Option("--port", min=1, max=65535, help="With --ui: its port.")]

_LATEST = 8
_IN_LEDGER = ("booked", "posted")


def demo(ui: Ui = False, host: Host = "127.0.0.1", port: Port = None, verbose: Verbose = False, as_json: AsJson = False) -> int:
    """The main job with no accounts: an embedded Stripe and ledger, a realistic data set, what arrived and what is held."""
    with DemoHome(home()) as running:
        synced = run_sync(NAME, verbose=verbose, quiet=as_json)
        ended = _report(synced, running, as_json=as_json, ui=ui)
        if ui and ended != FAILED:
            served = serve(host, port, as_json=False, quiet=as_json)
            return served or ended
    return ended


def _report(synced: Synced, running: DemoHome, *, as_json: bool, ui: bool) -> int:
    if synced.exit_code in {WRONG_CALL, FAILED}:
        return show_stopped(synced, as_json=as_json, more={"failures": [str(failure) for failure in synced.failures]})
    with opening(NAME) as opened:
        documents = status(opened)["documents"]
        parties = {kind: opened.log.identities(NAME, kind).values() for kind in ("customer", "product")}
    unlike = [*differences(running.sandbox.expected, documents), *map(str, synced.failures)]
    new = [row for row in synced.outcome.documents if row["state"] in _IN_LEDGER]
    made = {f"{kind}s": sum(one.how == "created" for one in several) for kind, several in parties.items()}
    if as_json:
        show_json(
            {
                **document(synced),
                "as_expected": not unlike,
                "differences": unlike,
                "new_documents": len(new),
                "arrived": _arrived(documents),
                "created": made,
            }
        )
    else:
        _show(synced, documents, new, unlike, made)
        _where_next(running, ui=ui)
    return ATTENTION if unlike else DONE


def _arrived(documents: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What stands in the ledger, by kind of document: how many, and sums per currency."""
    rows = [row for row in documents if row["state"] in _IN_LEDGER]
    kinds = sorted({str(row["kind"]) for row in rows})
    return [
        {
            "kind": kind,
            "documents": sum(row["kind"] == kind for row in rows),
            "sums": add((row["currency"], Decimal(row["total"])) for row in rows if row["kind"] == kind),
        }
        for kind in kinds
    ]


def _show(
    synced: Synced,
    documents: Sequence[Mapping[str, Any]],
    new: Sequence[Mapping[str, Any]],
    unlike: Sequence[str],
    made: Mapping[str, int],
) -> None:
    arrived = ((one["kind"].replace("_", " "), one["documents"], moneys(one["sums"])) for one in _arrived(documents))
    created = ((f"{kind} created", count, "") for kind, count in made.items() if count)
    table("In the ledger", ("What", "Number>", "Amount>"), [*arrived, *created])
    standing = [row for row in documents if row["state"] in _IN_LEDGER]
    documents_table("Latest documents", standing[:_LATEST])
    troubled = [row for row in documents if row["state"] in {"held", "failed"}]
    reasons("Held: a person must decide", troubled)
    say(counts_line(synced.outcome.counts))
    if new:
        newest = document_name(new[0]["kind"], new[0]["ledger_number"])
        say(f"{len(new)} new documents in {synced.seconds:.1f} s, the last is {newest}.", style="green")
    else:
        say(f"0 new documents in {synced.seconds:.1f} s: everything stands in the ledger already, nothing is posted twice.")
    for difference in unlike:
        say(f"Not as expected: {difference}", style="red")
    if not unlike:
        say("All of it, holds included, is what the data set expects.", style="green")


def _where_next(running: DemoHome, *, ui: bool) -> None:
    if ui:
        say(f"Embedded Stripe: {running.sandbox.urls['stripe']}   embedded ledger: {running.sandbox.urls['ledger']}")
        return
    say(f"Look closer: CLOUDIFY_CONNECTIONS={running.connections} cloudify status {NAME}")
    say("Next: cloudify demo --ui")
