"""`cloudify check`: preflight of the settings against the live ledger and the staged data."""

import asyncio

from cloudify_pipeline.cli.names import Name, chosen, opening
from cloudify_pipeline.cli.output import ATTENTION, DONE, WRONG_CALL, AsJson, moneys, say, show_json, table
from cloudify_pipeline.cli.progress import watching
from cloudify_pipeline.control.causes import Cause
from cloudify_pipeline.control.preflight import Preflight
from cloudify_pipeline.control.preflight import check as preflight


def check(name: Name = None, as_json: AsJson = False) -> int:
    """Preflight: every number, account and mapping against the live ledger and the staged data. Sends only GET."""
    with opening(chosen(name)) as opened, watching(quiet=as_json):
        found = asyncio.run(preflight(opened))
    if as_json:
        show_json({"ready": not found.errors, "exit_code": _code(found), **_document(found)})
    else:
        _show(found)
    return _code(found)


def _code(found: Preflight) -> int:
    if found.errors:
        return WRONG_CALL
    return ATTENTION if any(cause.record_kind == "document" for cause in found.problems) else DONE


def _document(found: Preflight) -> dict[str, object]:
    return {
        "connection": found.connection,
        "counts": found.counts,
        "facts": found.facts,
        "findings": found.findings,
        "fields": [
            {
                "section": one.section,
                "target": one.target,
                "required": one.required,
                "fill_rate": one.rate,
                "lacking": one.lacking,
            }
            for one in found.filled
        ],
        "never_sent": found.never_sent,
        "problems": found.problems,
    }


def _show(found: Preflight) -> None:
    table(f"What {found.connection} relies on", ("Setting", "In the ledger"), found.facts.items())
    if found.findings:
        rows = ((one.severity, one.key, one.found, one.remedy, one.code) for one in found.findings)
        table(f"Settings of {found.connection}", ("", "Setting", "Found", "What to do", "Code"), rows)
    else:
        say(f"Settings of {found.connection}: every number stands in the ledger.", style="green")
    if found.filled:
        rows_of_fields = (
            (
                one.section,
                one.target,
                "required" if one.required else "",
                "" if one.rate is None else f"{one.filled} of {one.of}",
                _ids(one.lacking),
            )
            for one in found.filled
        )
        table("Mapped fields, over what is due", ("Section", "Ledger field", "", "Filled>", "Lacking in"), rows_of_fields)
    problems_table(found.problems)
    say(" · ".join(f"{what} {count}" for what, count in found.counts.items() if count) or "nothing is staged")
    words = f"{len(found.errors)} errors. Mend the file, then: cloudify check" if found.errors else "Next: cloudify preview"
    say(f"{words} {found.connection}", style="red" if found.errors else "green")


def problems_table(problems: tuple[Cause, ...]) -> None:
    """What holds records back, by cause, with sums and ids."""
    if not problems:
        say("No record is held.", style="green")
        return
    table(
        "Held, by cause",
        ("Records>", "Of", "Amount>", "Cause", "What to do", "Code", "Which"),
        (
            (
                len(cause.records),
                f"{cause.record_kind}s",
                moneys(cause.sums),
                cause.cause,
                cause.remedy,
                cause.code,
                _ids(tuple(one.stripe_number or one.stripe_id for one in cause.records)),
            )
            for cause in problems
        ),
    )
    for cause in problems:
        for one in cause.records[:5]:
            say(f"  {one.stripe_number or one.stripe_id}: {one.message}")


def _ids(ids: tuple[str, ...]) -> str:
    return ", ".join(ids[:4]) + (f" and {len(ids) - 4} more" if len(ids) > 4 else "")
