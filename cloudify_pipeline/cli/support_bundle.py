"""`cloudify support-bundle`: a redacted archive for whoever is asked for help."""

from pathlib import Path
from typing import Annotated

import typer

from cloudify_pipeline.cli.names import chosen, opening
from cloudify_pipeline.cli.output import DONE, AsJson, say, show_json, table
from cloudify_pipeline.control.support_bundle import Bundle, write_bundle
from cloudify_pipeline.errors import SettingsError, SettingsProblem
from cloudify_pipeline.orchestration.recent_runs import recent_runs

_WHAT = {
    "versions.json": "versions of this software, Python and what it stands on",
    "settings.json": "every setting in force; secrets as their reference only",
    "settings_warnings.json": "what loading the file warned of",
    "connection.json": "whose books, and what changed in them",
    "chart.json": "the parts of the ledger's chart that the settings rely on",
    "counts.json": "how many records are in each state",
    "records.json": "what is held or failed, with the reason",
    "calls.json": "the last writes to the ledger, with request ids; texts replaced",
    "objects.json": "the Stripe objects of what is held or failed; texts replaced",
    "alerts.json": "open alerts",
    "runs.json": "the last runs, and what their failed steps said",
}


def support_bundle(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The connection.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder that the archive is written into.")],
    as_json: AsJson = False,
) -> int:
    """A redacted archive for whoever is asked for help. Asks neither Stripe nor the ledger."""
    connection = chosen(name)
    runs = recent_runs(connection)
    with opening(connection) as opened:
        try:
            bundle = write_bundle(opened, folder, runs=runs, now=opened.clock())
        except OSError as error:
            allowed = "a folder that can be written"
            raise SettingsError("the call", [SettingsProblem("DIR", f"{folder} ({error.strerror})", allowed)]) from error
    if as_json:
        show_json({"file": str(bundle.file), "parts": bundle.parts, "replaced": bundle.replaced, "left_out": bundle.left_out})
    else:
        _show(bundle)
    return DONE


def _show(bundle: Bundle) -> None:
    rows = [(part, entries, _WHAT.get(part, "")) for part, entries in bundle.parts.items()]
    table(str(bundle.file), ("File", "Entries>", "What is in it"), rows)
    replaced = sum(bundle.replaced.values())
    say(f"{replaced} different values are replaced by pseudonyms: equal values by equal ones, under a key that is not kept.")
    if bundle.replaced:
        say("  " + " · ".join(f"{kind} {count}" for kind, count in bundle.replaced.items()))
    say("Amounts, currencies, countries, dates and ids are left as they are. Look it through before you hand it on.")
    for one in bundle.left_out:
        say(f"Left out: {one}", style="yellow")
