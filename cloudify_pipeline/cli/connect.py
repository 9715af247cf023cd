"""`cloudify connect`: both sides of a connection, and what to do when one does not answer."""

import asyncio
import sys
from collections.abc import Iterator
from typing import Annotated

import typer

from cloudify_pipeline.cli.names import Name, chosen, opening
from cloudify_pipeline.cli.output import DONE, FAILED, WRONG_CALL, AsJson, console, printable, say, show_json, table
from cloudify_pipeline.control.connect import TEST_MODE, ConnectionReport
from cloudify_pipeline.control.connect import connect as ask_both
from cloudify_pipeline.control.grant import PUBLIC_TOKEN, receive_grant

Rebind = Annotated[
    bool,
    typer.Option(
        "--rebind",
        help="Bind to other books (only while nothing was posted), or another Stripe account or mode, and say what happens.",
    ),
]
PublicToken = Annotated[
    str | None,
    typer.Option(
        PUBLIC_TOKEN, metavar="TOKEN", help="The app's public token (no secret): print the link where the ledger grants access."
    ),
]
Receive = Annotated[bool, typer.Option("--receive", help="Wait for the grant that the link gives, and keep it in its file.")]
Port = Annotated[
    int, typer.Option("--port", min=0, max=65535, help="The port to wait on, on this machine only; 0 takes a free one.")
]
Timeout = Annotated[float, typer.Option("--timeout", min=0, help="Seconds to wait for the grant.")]


def connect(
    name: Name = None,
    *,
    rebind: Rebind = False,
    app_public_token: PublicToken = None,
    receive: Receive = False,
    port: Port = 0,
    timeout: Timeout = 300,
    as_json: AsJson = False,
) -> int:
    """Check both sides: Connected, or what is wrong and how to mend it."""
    with opening(chosen(name)) as opened:
        if receive:
            file = receive_grant(opened, app_public_token, announce=_announce, port=port, timeout=timeout)
            _tell(f"The grant is kept in {file}.")
        report = asyncio.run(ask_both(opened, rebind=rebind, app_public_token=app_public_token))
        mode = opened.settings.write_mode
    if as_json:
        show_json({"connected": report.connected, "write_mode": mode, **_document(report)})
    else:
        _show(report, mode)
    if report.connected:
        return DONE
    return WRONG_CALL if report.mistaken else FAILED


def _announce(link: str) -> None:
    _tell("Open this link while logged in to the agreement, and accept:", link, "Waiting for the grant …")


def _tell(*lines: str) -> None:
    """On stderr: stdout is the report's."""
    for line in lines:
        console(sys.stderr).print(printable(line), soft_wrap=True)


def _document(report: ConnectionReport) -> dict[str, object]:
    return {
        "connection": report.connection,
        "status": report.status,
        "stripe": report.stripe,
        "ledger": report.ledger,
        "points_to": report.points_to,
        "bound": report.bound,
        "findings": report.findings,
        "next": report.next_command,
        "install_link": report.install_link,
    }


def _show(report: ConnectionReport, mode: str) -> None:
    say(f"{report.connection}: {report.status}", style="bold green" if report.connected else "bold red")
    if report.stripe.facts.get("mode") == "test":
        say(TEST_MODE, style="yellow")
    rows = [
        (side if first else "", name.replace("_", " "), value)
        for side, facts in (("Stripe", report.stripe), ("Ledger", report.ledger))
        for first, (name, value) in _firsts([("status", facts.status), *facts.facts.items()])
    ]
    rows += [
        ("Settings" if first else "", name, value)
        for first, (name, value) in _firsts([("write mode", mode), *report.points_to.items()])
    ]
    table("", ("Side", "What", "Found"), rows)
    for finding in report.findings:
        say(f"{finding.severity}: {finding.code}: {finding.message}", style="red" if finding.severity == "error" else "yellow")
        say(f"  What to do: {finding.remedy}")
    if report.install_link:
        say(f"Grant access: {report.install_link}")
    say(f"Next: {report.next_command}")


def _firsts(rows: list[tuple[str, str]]) -> Iterator[tuple[bool, tuple[str, str]]]:
    """Each row, and whether it is the first of its side."""
    return ((place == 0, row) for place, row in enumerate(rows))
