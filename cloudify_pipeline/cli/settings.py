"""`cloudify settings`: the JSON Schema, what can be mapped, and the effective settings with secrets masked."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from cloudify_pipeline.cli.names import Name, chosen, opening
from cloudify_pipeline.cli.output import DONE, AsJson, plain, say, show_json, table
from cloudify_pipeline.connection import catalogues, load_connection
from cloudify_pipeline.control.fields import Mappable, mappable
from cloudify_pipeline.settings.load import LoadedConnection
from cloudify_pipeline.settings.paths import connection_names
from cloudify_pipeline.settings.schema import json_schema
from cloudify_pipeline.settings.show import effective_settings

settings = typer.Typer(help="The settings: their schema, the fields that can be mapped, and what is in force.")

_SECTIONS = ("customers", "products", "documents", "lines", "charges")
_SAMPLE_LENGTH = 40
Section = Annotated[
    str | None, typer.Option("--section", help="Only customers, products, invoices, documents, lines or charges.")
]


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
