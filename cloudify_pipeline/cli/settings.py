"""`cloudify settings`: schema, fields that can be mapped, effective settings, changes of single keys, and which data go where."""

import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from cloudify_pipeline.cli.names import Name, chosen, opening
from cloudify_pipeline.cli.output import DONE, AsJson, plain, say, show_json, table
from cloudify_pipeline.connection import catalogues, load_connection, staged
from cloudify_pipeline.control.affected import Effect, affected
from cloudify_pipeline.control.data_flow import DataFlow, data_flow
from cloudify_pipeline.control.data_page import markdown
from cloudify_pipeline.control.fields import Mappable, mappable
from cloudify_pipeline.errors import SettingsError, SettingsProblem
from cloudify_pipeline.settings.change import Proposal, propose, write
from cloudify_pipeline.settings.edit import Change
from cloudify_pipeline.settings.load import LoadedConnection
from cloudify_pipeline.settings.paths import connection_file, connection_names
from cloudify_pipeline.settings.schema import json_schema
from cloudify_pipeline.settings.show import effective_settings

settings = typer.Typer(help="The settings: their schema, the fields that can be mapped, and what is in force.")

_SECTIONS = ("customers", "products", "documents", "lines", "charges")
_SAMPLE_LENGTH = 40
Section = Annotated[
    str | None, typer.Option("--section", help="Only customers, products, invoices, documents, lines or charges.")
]

Words = Annotated[list[str] | None, typer.Argument(metavar="[NAME] [KEY VALUE]...", help="The connection, keys and values.")]
Unset = Annotated[list[str] | None, typer.Option("--unset", metavar="KEY", help="Take this key out of the file.")]
AsMarkdown = Annotated[bool, typer.Option("--markdown", help="A Markdown page, for a file on data protection.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the change and its effect; write nothing.")]


@settings.command()
def schema(as_json: AsJson = False) -> int:
    """The JSON Schema of a connection file, for editors. It is JSON with and without --json."""
    del as_json
    show_json(json_schema())
    return DONE


@settings.command()
def show(name: Name = None, as_json: AsJson = False) -> int:
    """The effective settings, each with where it comes from; secrets are shown as references only."""
    loaded = load_connection(chosen(name))
    rows = effective_settings(loaded)
    mapped = _mapped(loaded)
    if as_json:
        file = {"connection": loaded.name, "file": str(loaded.path), "hash": loaded.hash}
        show_json({**file, "settings": rows, "mappings": mapped, "warnings": loaded.warnings})
        return DONE
    table(f"Settings of {loaded.name} ({loaded.path})", ("Setting", "Value", "From"), ((r.key, r.value, r.origin) for r in rows))
    mappings = ((one["section"], one["target"], one["source"], one["origin"]) for one in mapped)
    table("Field mappings in force", ("Section", "Ledger field", "Source", "From"), mappings)
    for warning in loaded.warnings:
        say(f"warning: {warning}", style="yellow")
    return DONE


@settings.command()
def fields(name: Name = None, section: Section = None, as_json: AsJson = False) -> int:
    """Stripe and ledger fields that can be mapped; with a connection, fill rate and samples from what is staged."""
    if name is None and len(connection_names()) != 1:
        found = mappable(catalogues())
    else:
        with opening(chosen(name)) as opened:
            found = mappable(catalogues(), opened.staging)
    if as_json:
        show_json(plain(_only(found, section)))
    else:
        _show_fields(found, section)
    return DONE


@settings.command(name="set")
def set_(words: Words = None, unset: Unset = None, dry_run: DryRun = False, as_json: AsJson = False) -> int:
    """Change keys of the connection file, all or none: checked first, shown as a diff, comments and order kept.

    VALUE is YAML: cloudify settings set demo customers.fields.ean 'metadata."EAN nr"'. null removes a pre-mapped field.
    A value that begins with - stands behind --.
    """
    name, changes = _changes(words or [], unset or [])
    proposal = propose(connection_file(name), changes, catalogues=catalogues())
    before, after = proposal.before, proposal.after
    effect = affected(staged(name), before.mappings, after.mappings) if before else Effect(unknown="the file was not in order")
    written = proposal.changes and not dry_run
    if written:
        write(proposal)
    if as_json:
        file = {"connection": name, "file": str(proposal.path), "hash_before": before.hash if before else None}
        facts = {"hash": after.hash, "changed": proposal.changes, "written": written, "dry_run": dry_run}
        show_json({**file, **facts, "diff": proposal.diff(), "affected": effect, "warnings": after.warnings})
        return DONE
    _show_change(proposal, effect, written=written)
    return DONE


@settings.command()
def data(name: Name = None, as_markdown: AsMarkdown = False, as_json: AsJson = False) -> int:
    """Which data go where: Stripe fields, ledger fields, what is kept here and what is written back. Calls nobody."""
    flow = data_flow(load_connection(chosen(name)), catalogues())
    if as_json:
        show_json(plain(flow))
    elif as_markdown:
        sys.stdout.write(markdown(flow))
    else:
        _show_data(flow)
    return DONE


def _show_data(flow: DataFlow) -> None:
    for section in flow.sections:
        rows = ((one.target, ", ".join(one.sources), one.how, "yes" if one.always else "", one.origin) for one in section.fields)
        columns = ("Ledger field", "Stripe fields", "How", "Always", "From")
        table(f"{section.name} ({flow.ledger}): {section.written}", columns, rows)
    decided = ((one.what, one.setting, ", ".join(one.sources)) for one in flow.decisions)
    table("Read to decide", ("For", "Setting", "Stripe fields"), decided)
    back = [(one.target, one.what, one.setting) for one in flow.written_back]
    table("Written back to Stripe", ("Stripe field", "What", "Setting"), back or [("nothing", "", "")])
    others = [(one.to, one.what, ", ".join(one.sources), one.setting) for one in flow.elsewhere]
    table("Sent to others", ("To", "What", "Stripe fields", "Setting"), others or [("nobody", "", "", "")])
    kept = ((one.place, one.table, one.what, "yes" if one.personal else "") for one in flow.kept)
    table("Kept here", ("Place", "Table", "What", "Persons"), kept)


def _changes(words: Sequence[str], unset: Sequence[str]) -> tuple[str, list[Change]]:
    """The connection and what to change in it; with a key and a value each, an odd word out is the connection's name."""
    named = len(words) % 2 == 1
    name = chosen(words[0] if named else None)
    pairs = words[1:] if named else words
    changes = [Change(key, value) for key, value in zip(pairs[::2], pairs[1::2], strict=True)]
    changes += [Change(key, None) for key in unset]
    if not changes:
        raise SettingsError(
            "the call", [SettingsProblem("KEY VALUE", "nothing to change", "a key and its value, or --unset KEY")]
        )
    return name, changes


def _show_change(proposal: Proposal, effect: Effect, *, written: bool) -> None:
    if not proposal.changes:
        say(f"{proposal.path} says so already; nothing is changed.")
        return
    for line in proposal.diff():
        say(line, style={"+": "green", "-": "red", "@": "cyan"}.get(line[:1]))
    for one in effect.fields:
        say(f"{one.section} {one.target}: {one.changed} of {one.of} staged records would get another value")
        for sample in one.samples:
            say(f"  {sample.stripe_id}: {_sample(_or_empty(sample.before))} → {_sample(_or_empty(sample.after))}")
    if effect.fields:
        say("What stands in the ledger already keeps its values.")
    if effect.unknown:
        say(f"Not counted how many records it concerns: {effect.unknown}.")
    for warning in proposal.after.warnings:
        say(f"warning: {warning}", style="yellow")
    say(f"Written to {proposal.path}." if written else f"Nothing is written (--dry-run); {proposal.path} is as it was.")


def _or_empty(value: str | None) -> str:
    return "(empty)" if value is None else value


def _mapped(loaded: LoadedConnection) -> list[dict[str, str]]:
    return [
        {
            "section": section,
            "target": mapping.target.path,
            "source": " | ".join(map(str, mapping.sources)),
            "origin": "file" if mapping.written else "pre-mapped",
        }
        for section in _SECTIONS
        for mapping in getattr(loaded.mappings, section).mappings
    ]


def _only(found: Mappable, section: str | None) -> dict[str, Mapping[str, Any]]:
    sides: dict[str, Mapping[str, Any]] = {"stripe": found.stripe, "ledger": found.ledger}
    if section is None:
        return sides
    return {side: {name: known for name, known in fields.items() if name == section} for side, fields in sides.items()}


def _show_fields(found: Mappable, section: str | None) -> None:
    for name, stripe in found.stripe.items():
        if section in {None, name}:
            rows = ((f.path, f.type, _rate(f.fill_rate), ", ".join(map(_sample, f.samples)), f.description) for f in stripe)
            table(f"Stripe {name}", ("Path", "Type", "Filled>", "Samples", "What it is"), rows)
    for name, ledger in found.ledger.items():
        if section in {None, name}:
            rows_of_ledger = (
                (
                    f.path,
                    f.type,
                    f.max_length,
                    "yes" if f.required else "",
                    "yes" if f.searchable else "",
                    f.reserved or f.description,
                )
                for f in ledger
            )
            columns = ("Field", "Type", "Longest>", "Required", "Searchable", "Note")
            table(f"Ledger {name}", columns, rows_of_ledger)


def _rate(rate: float | None) -> str:
    return "" if rate is None else f"{rate:.0%}"


def _sample(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _SAMPLE_LENGTH else f"{text[: _SAMPLE_LENGTH - 1]}…"
