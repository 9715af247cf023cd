"""`cloudify connect`: both sides of a connection, and what to do when one does not answer."""

import asyncio
from typing import Annotated

import typer

from cloudify_pipeline.cli.names import Name, chosen, opening
from cloudify_pipeline.cli.output import DONE, FAILED, AsJson, say, show_json, table
from cloudify_pipeline.control.connect import ConnectionReport
from cloudify_pipeline.control.connect import connect as ask_both

Rebind = Annotated[bool, typer.Option("--rebind", help="Bind to other books than before; only while nothing was posted.")]


def connect(name: Name = None, rebind: Rebind = False, as_json: AsJson = False) -> int:
    """Check both sides: Connected, or what is wrong and how to mend it."""
    with opening(chosen(name)) as opened:
        report = asyncio.run(ask_both(opened, rebind=rebind))
        mode = opened.settings.write_mode
    if as_json:
        show_json({"connected": report.connected, "write_mode": mode, **_document(report)})
    else:
        _show(report, mode)
    return DONE if report.connected else FAILED


def _document(report: ConnectionReport) -> dict[str, object]:
    return {
        "connection": report.connection,
        "status": report.status,
        "stripe": report.stripe,
        "ledger": report.ledger,
        "bound": report.bound,
        "findings": report.findings,
        "next": report.next_command,
    }


def _show(report: ConnectionReport, mode: str) -> None:
    say(f"{report.connection}: {report.status}", style="bold green" if report.connected else "bold red")
    rows = [
        (side if first else "", name, value)
        for side, facts in (("Stripe", report.stripe), ("Ledger", report.ledger))
        for first, (name, value) in zip([True, *[False] * 50], [("status", facts.status), *facts.facts.items()], strict=False)
    ]
    table("", ("Side", "What", "Found"), [*rows, ("Settings", "write mode", mode)])
    for finding in report.findings:
        say(f"{finding.severity}: {finding.code}: {finding.message}", style="red" if finding.severity == "error" else "yellow")
        say(f"  What to do: {finding.remedy}")
    say(f"Next: {report.next_command}")
