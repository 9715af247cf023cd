"""Loads a connection file: every mistake in it at once, each with its key, its line, what stood there and what is allowed.

``customers.fields``, ``products.fields`` and ``invoices.fields`` are merged over the ledger's pre-mapped sets, target by
target; ``fields: {target: null}`` removes a pre-mapped one. Keys of ``invoices.fields`` that begin with ``lines.`` belong to
the lines and read the Stripe line; the others belong to the document and read the Stripe invoice.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cloudify_pipeline.errors import SettingsError, SettingsProblem
from cloudify_pipeline.mapping.compile import CompiledMappings, compile_mappings
from cloudify_pipeline.mapping.fields import FieldCatalogue
from cloudify_pipeline.settings.findings import Finding, Seen
from cloudify_pipeline.settings.messages import check_shape
from cloudify_pipeline.settings.models import ConnectionSettings
from cloudify_pipeline.settings.rules import check_rules
from cloudify_pipeline.settings.source import key_lines, read_mapping, read_text
from cloudify_pipeline.settings.unbuilt import written_unbuilt

_LINES = "lines."


@dataclass(frozen=True, slots=True)
class Catalogues:
    """What can be mapped. `ledger` and `stripe` by section; `premapped` is what is mapped when the file says nothing.

    Sections: customers, products and documents (with the lines' fields below ``lines.``) of the ledger; customers,
    products, invoices, lines and charges of Stripe. `decided` names the ledger fields that settings and rules fill, by
    section: field → the fact that stands there.
    """

    ledger: Mapping[str, FieldCatalogue]
    premapped: Mapping[str, Mapping[str, Any]]
    stripe: Mapping[str, FieldCatalogue]
    decided: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


_NONE = CompiledMappings()


@dataclass(frozen=True, slots=True)
class Mappings:
    """The compiled mappings of a connection. `charges` fills the document of a payment without an invoice."""

    customers: CompiledMappings = _NONE
    products: CompiledMappings = _NONE
    documents: CompiledMappings = _NONE
    lines: CompiledMappings = _NONE
    charges: CompiledMappings = _NONE


@dataclass(frozen=True, slots=True)
class LoadedConnection:
    """A connection file that was checked. `hash` names the effective settings; no secret's value is in it.

    `written` is the file as it stands, for telling what was written from what is a default.
    """

    name: str
    path: Path
    settings: ConnectionSettings
    mappings: Mappings = field(default_factory=Mappings)
    warnings: tuple[str, ...] = ()
    hash: str = ""
    written: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


def load_settings(path: Path, *, catalogues: Catalogues | None) -> LoadedConnection:
    """Load and check the file at `path`. Without `catalogues`, match pairs and mappings are not checked.

    Secrets are not read: whether their variables and files exist is seen when they are used.

    Raises:
        SettingsError: with all problems of the file.
    """
    return load_text(read_text(path), path, catalogues=catalogues)


def load_text(text: str, path: Path, *, catalogues: Catalogues | None) -> LoadedConnection:
    """As :func:`load_settings`, of a text that is not in the file at `path` yet.

    Raises:
        SettingsError: with all problems of the text.
    """
    written = read_mapping(text, path.name)
    problems = written_unbuilt(written)
    settings = check_shape(written, problems)
    if settings is None:
        raise _error(path.name, text, problems)
    findings = check_rules(Seen(settings, written, catalogues))
    problems += [SettingsProblem(found.key, found.found, found.allowed) for found in findings if found.refused]
    mappings = _mappings(settings, catalogues, problems) if catalogues else Mappings()
    if problems:
        raise _error(path.name, text, problems)
    warnings = _warnings(findings, mappings)
    return LoadedConnection(path.stem, path, settings, mappings, warnings, settings_hash(settings), written)


def settings_hash(settings: ConnectionSettings) -> str:
    """SHA-256 of what differs from the defaults, as canonical JSON: equal settings, equal hash, however they were written.

    A key that a later release adds changes nothing as long as it has its default.
    """
    return _hash(settings)


def checked_hash(settings: ConnectionSettings) -> str:
    """As :func:`settings_hash`, for a check against the ledger: it says the same in every write mode."""
    return _hash(settings, without={"write_mode"})


def _hash(settings: ConnectionSettings, *, without: set[str] | None = None) -> str:
    content = settings.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude=without)
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(canonical.encode("utf-8", "backslashreplace")).hexdigest()


def _warnings(findings: list[Finding], mappings: Mappings) -> tuple[str, ...]:
    odd = [f"{found.key}: {found.allowed}" for found in findings if not found.refused]
    compiled = (mappings.customers, mappings.products, mappings.documents, mappings.lines)
    return (*odd, *(warning for one in compiled for warning in one.warnings))


def _error(where: str, text: str, problems: list[SettingsProblem]) -> SettingsError:
    """All problems, each with the line of its key, or of the nearest key above it that is written."""
    lines = key_lines(text)
    placed = []
    for problem in dict.fromkeys(problems):
        key = problem.key
        while key and key not in lines:
            key = key[: max(key.rfind("."), key.rfind("["), 0)]
        place = f"{problem.key} (line {lines[key]})" if key else problem.key
        placed.append(SettingsProblem(place, problem.found, problem.allowed))
    return SettingsError(where, placed)


def _mappings(settings: ConnectionSettings, catalogues: Catalogues, problems: list[SettingsProblem]) -> Mappings:
    header, lines = _divided(settings.invoices.fields)
    ledger, stripe, premapped = catalogues.ledger, catalogues.stripe, catalogues.premapped
    document_targets, line_targets = _targets(ledger["documents"])

    def compiled(kind: str, written: Mapping[str, Any], targets: FieldCatalogue, source: str, where: str) -> CompiledMappings:
        try:
            return compile_mappings(
                written, premapped=premapped.get(kind, {}), targets=targets, sources=stripe[source], where=where
            )
        except SettingsError as error:
            problems.extend(error.problems)
            return CompiledMappings()

    return Mappings(
        customers=compiled("customers", settings.customers.fields, ledger["customers"], "customers", "customers.fields"),
        products=compiled("products", settings.products.fields, ledger["products"], "products", "products.fields"),
        documents=compiled("documents", header, document_targets, "invoices", "invoices.fields"),
        lines=compiled("lines", lines, line_targets, "lines", "invoices.fields.lines"),
        charges=_charges(header, document_targets, catalogues),
    )


def _charges(header: Mapping[str, Any], targets: FieldCatalogue, catalogues: Catalogues) -> CompiledMappings:
    """The pre-mapped set of charges, and those written document fields that a charge can fill too (metadata, constants)."""
    sources = catalogues.stripe.get("charges")
    if sources is None or "charges" not in catalogues.premapped:
        return CompiledMappings()
    # A mapping that only an invoice can fill leaves the charge its pre-mapped one.
    fitting = {target: mapping for target, mapping in header.items() if _fits(target, mapping, targets, sources)}
    premapped = catalogues.premapped["charges"]
    return compile_mappings(fitting, premapped=premapped, targets=targets, sources=sources, where="invoices.fields")


def _fits(target: str, mapping: Any, targets: FieldCatalogue, sources: FieldCatalogue) -> bool:
    try:
        compile_mappings({target: mapping}, premapped={}, targets=targets, sources=sources, where="invoices.fields")
    except SettingsError:
        return False
    return True


def _divided(fields: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    header = {key: value for key, value in fields.items() if not key.startswith(_LINES)}
    return header, {key.removeprefix(_LINES): value for key, value in fields.items() if key.startswith(_LINES)}


def _targets(documents: FieldCatalogue) -> tuple[FieldCatalogue, FieldCatalogue]:
    header = [one for path, one in documents.items() if not path.startswith(_LINES)]
    lines = [replace(one, path=path.removeprefix(_LINES)) for path, one in documents.items() if path.startswith(_LINES)]
    return FieldCatalogue(documents.name, header), FieldCatalogue(f"{documents.name} line", lines)
