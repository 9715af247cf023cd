"""`cloudify check`: preflight of the settings against the live ledger and the staged data."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal

from cloudify_pipeline.cli.names import Name, chosen, opening
from cloudify_pipeline.cli.output import ATTENTION, DONE, WRONG_CALL, AsJson, moneys, say, show_json, table
from cloudify_pipeline.cli.paragraphs import heading, paragraph
from cloudify_pipeline.cli.progress import watching
from cloudify_pipeline.control.causes import Cause
from cloudify_pipeline.control.filled import Filled
from cloudify_pipeline.control.matrix import Cell
from cloudify_pipeline.control.preflight import Preflight
from cloudify_pipeline.control.preflight import check as preflight
from cloudify_pipeline.control.settings_checked import check_words
from cloudify_pipeline.control.triggers import Tally, Trial
from cloudify_pipeline.control.vat_threshold import threshold_document
from cloudify_pipeline.control.vat_threshold import words as threshold_words

_SHOWN = 5
"""Held records of one cause that are told with their own reason."""
_NAMED = 4
_SOURCE = 22
"""Characters of a field's source that are shown: `cloudify explain` and --json have all of it."""
_SECTIONS = {"customers": "customer", "products": "product", "documents": "invoice", "lines": "line", "charges": "payment"}


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
        "settings_check": found.settings_check,
        "vat_matrix": found.matrix,
        "fields": [
            {
                "section": one.section,
                "target": one.target,
                "source": one.source,
                "required": one.required,
                "filled": one.filled,
                "of": one.of,
                "fill_rate": one.rate,
                "missing": one.missing,
                "lacking": one.lacking,
                "unfit": one.unfit,
                "unable": one.unable,
            }
            for one in found.filled
        ],
        "triggers": found.triggers,
        "never_sent": found.never_sent,
        "problems": found.problems,
        "eu_consumers": None if found.eu_consumers is None else threshold_document(found.eu_consumers),
    }


def _show(found: Preflight) -> None:
    table(f"What {found.connection} relies on", ("Setting", "In the ledger"), found.facts.items())
    _findings(found)
    _matrix(found.matrix)
    _fields(found.filled)
    _triggers(found.triggers)
    problems_list(found.problems)
    if found.eu_consumers is not None:
        say()
        level = found.eu_consumers.level
        say(f"EU consumers: {threshold_words(found.eu_consumers)}.", style="red" if level == 100 else "yellow" if level else None)
    say()
    say(f"Settings and chart: {check_words(found.settings_check)}.")
    say(" · ".join(f"{what} {count}" for what, count in found.counts.items() if count) or "nothing is staged")
    words = f"{len(found.errors)} errors. Mend the file, then: cloudify check" if found.errors else "Next: cloudify preview"
    say(f"{words} {found.connection}", style="red" if found.errors else "green")


def _findings(found: Preflight) -> None:
    if not found.findings:
        say(f"Settings of {found.connection}: every number stands in the ledger.", style="green")
        return
    heading(f"Settings of {found.connection}")
    for one in sorted(found.findings, key=lambda one: one.severity):
        paragraph(f"{one.severity}: {one.key}   {one.code}", indent=1, style=one.severity)
        paragraph(one.found, indent=4)
        paragraph(f"→ {one.remedy}", indent=4)


def _matrix(cells: Sequence[Cell]) -> None:
    """Account, VAT code and rate of each product group in each zone: what decides the VAT of every line."""
    zones = {cell.zone: cell.zone_name for cell in cells}
    groups = {cell.group: cell.group_name for cell in cells}
    if not cells:
        return
    at = {(cell.group, cell.zone): cell for cell in cells}
    rows = ((f"{group} {name}", *(_cell(at.get((group, zone))) for zone in zones)) for group, name in groups.items())
    heading("VAT: account, code and rate of a product group in a VAT zone")
    table("", ("Product group", *(f"{zone} {name}" for zone, name in zones.items())), rows)


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return ""
    if cell.rate is None:
        return "none" if cell.account is None else f"{cell.account} cannot be used"
    return f"{cell.account} {cell.vat_code or 'no code'} {cell.rate.normalize():f} %"


def _fields(fields: Sequence[Filled]) -> None:
    if not fields:
        return
    rows = (
        (
            _SECTIONS[one.section],
            f"{one.target} (needed)" if one.required else one.target,
            one.source if len(one.source) <= _SOURCE else f"{one.source[: _SOURCE - 1]}…",
            f"{one.filled} of {one.of}",
            "" if one.rate is None else f"{100 * one.filled // one.of} %",
            _ids((*one.lacking, *one.unable), one.missing + one.unfit),
        )
        for one in fields
    )
    heading("Mapped fields, over all that is staged")
    table("", ("Of", "Ledger field", "From", "Filled>", ">", "Held for it"), rows)


def _triggers(trials: Sequence[Trial]) -> None:
    heading("Triggers, over all invoices and payments in Stripe")
    if not any(one.taken.records or one.missed.records for one in trials):
        paragraph("Nothing is finalized or paid yet.", indent=1)
        return
    for one in trials:
        used = " (in use)" if one.used else ""
        paragraph(f"when: {one.trigger}{used} would take {_tally(one.taken)}", indent=1)
        waiting = one.missed.records - one.never.records
        if one.never.records:
            paragraph(f"and miss for ever {_tally(one.never)}: charged automatically, so never sent", indent=4, style="warning")
        if waiting:
            sums = {name: amount - one.never.sums.get(name, Decimal(0)) for name, amount in one.missed.sums.items()}
            amounts = moneys({name: amount for name, amount in sums.items() if amount})
            paragraph(f"and leave waiting {_records(waiting)}, {amounts}: it has not happened to them yet", indent=4)


def _tally(tally: Tally) -> str:
    return f"{_records(tally.records)}, {moneys(tally.sums)}" if tally.records else "none"


def _records(count: int) -> str:
    return f"{count} document{'' if count == 1 else 's'}"


def problems_list(problems: Sequence[Cause]) -> None:
    """What holds records back, by cause, with sums, ids and what to do."""
    if not problems:
        say("No record is held.", style="green")
        return
    heading("Held, by cause")
    told = "\n".join(one.message for cause in problems if cause.record_kind == "document" for one in cause.records)
    for cause in problems:
        if cause.record_kind != "document" and all(one.stripe_id in told for one in cause.records):
            continue  # its documents say so themselves
        count = f"{len(cause.records)} {cause.record_kind}{'' if len(cause.records) == 1 else 's'}"
        amounts = f" · {moneys(cause.sums)}" if cause.sums else ""
        paragraph(f"{count}{amounts}   {cause.code}", indent=1, style="held")
        paragraph(cause.cause, indent=4)
        paragraph(f"→ {cause.remedy}", indent=4)
        for one in cause.records[:_SHOWN]:
            paragraph(f"{one.stripe_number or one.stripe_id}: {one.message}", indent=6)
        if len(cause.records) > _SHOWN:
            more = tuple(one.stripe_number or one.stripe_id for one in cause.records[_SHOWN:])
            paragraph(f"and {_ids(more)}", indent=6)


def _ids(ids: Sequence[str], count: int | None = None) -> str:
    """The first few, and how many more; `count` where not all are named."""
    count = len(ids) if count is None else count
    return ", ".join(ids[:_NAMED]) + (f" and {count - _NAMED} more" if count > _NAMED else "")
