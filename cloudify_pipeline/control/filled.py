"""How well the mapped ledger fields are filled over all that is staged, and which records lack or cannot fill one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cloudify_pipeline.control.affected import line_name, staged_invoices, staged_records
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.mapping.apply import map_record
from cloudify_pipeline.mapping.compile import CompiledMappings, FieldMapping

EMPTY = "nothing"
"""What a mapping says it found where a field that is needed has no value."""
NAMED = 1000
"""Records of one field that are named; all are counted."""


@dataclass(slots=True)
class Filled:
    """One mapped ledger field: filled in `filled` of `of` staged records.

    `missing` records need it and have no value for it, and in `unfit` records the field cannot take the value; either is held.
    `lacking` and `unable` name them, the first :data:`NAMED` of each.
    """

    section: str
    target: str
    source: str
    required: bool
    filled: int = 0
    of: int = 0
    missing: int = 0
    lacking: list[str] = field(default_factory=list)
    unfit: int = 0
    unable: list[str] = field(default_factory=list)

    @property
    def rate(self) -> float | None:
        """Share of the records in which it is filled, 0 to 1."""
        return self.filled / self.of if self.of else None


def filled(opened: OpenConnection) -> tuple[Filled, ...]:
    """Every mapped field of customers, products, documents, their lines, and payments without an invoice."""
    mappings, staging = opened.loaded.mappings, opened.staging
    sections = [
        _Section("customers", mappings.customers),
        _Section("products", mappings.products),
        _Section("documents", mappings.documents),
        _Section("lines", mappings.lines),
    ]
    if opened.settings.invoices.include_charges:
        sections.append(_Section("charges", mappings.charges))
    _, _, documents, lines, *_ = sections
    for section in sections:
        if section not in (documents, lines):
            for stripe_id, record in staged_records(staging, section.name):
                section.count(stripe_id, record)
    # Reading an invoice costs more than filling its fields: once for it and its lines.
    for stripe_id, invoice, sold in staged_invoices(staging):
        documents.count(stripe_id, invoice)
        for place, line in enumerate(sold, start=1):
            lines.count(line_name(stripe_id, place), line)
    return tuple(one for section in sections for one in section.fields())


class _Section:
    """The fields of one kind of record, while records are counted."""

    def __init__(self, name: str, compiled: CompiledMappings) -> None:
        self.name = name
        self._compiled = compiled
        self._found = {one.target.path: _field(name, one) for one in compiled.mappings}
        self._of = 0

    def count(self, name: str, record: Mapping[str, Any]) -> None:
        """Fill the fields of one record, and count how that went."""
        self._of += 1
        mapped = map_record(self._compiled, record)
        for target in mapped.values:
            self._found[target].filled += 1
        for problem in mapped.problems:
            one = self._found[str(problem.field)]
            empty = problem.found == EMPTY and one.required
            one.missing += empty
            one.unfit += not empty
            named = one.lacking if empty else one.unable
            if len(named) < NAMED:
                named.append(name)

    def fields(self) -> Iterator[Filled]:
        """What was counted."""
        for one in self._found.values():
            one.of = self._of
            yield one


def _field(section: str, mapping: FieldMapping) -> Filled:
    required = mapping.target.required or mapping.on_empty == "error"
    source = ", ".join(" ".join(str(one).split()) for one in mapping.sources)
    return Filled(section, mapping.target.path, source.replace('template "', '"'), required)
