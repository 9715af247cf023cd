"""How well the mapped ledger fields are filled over all that is staged, and which records lack or cannot fill one."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from cloudify_pipeline.control.affected import staged_records
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
    mappings = opened.loaded.mappings
    sections: dict[str, CompiledMappings] = {
        "customers": mappings.customers,
        "products": mappings.products,
        "documents": mappings.documents,
        "lines": mappings.lines,
    }
    if opened.settings.invoices.include_charges:
        sections["charges"] = mappings.charges
    return tuple(one for section, compiled in sections.items() for one in _section(opened, section, compiled))


def _section(opened: OpenConnection, section: str, compiled: CompiledMappings) -> Iterator[Filled]:
    found = {one.target.path: _field(section, one) for one in compiled.mappings}
    of = 0
    for stripe_id, record in staged_records(opened.staging, section):
        of += 1
        mapped = map_record(compiled, record)
        for target in mapped.values:
            found[target].filled += 1
        for problem in mapped.problems:
            one = found[str(problem.field)]
            empty = problem.found == EMPTY and one.required
            one.missing += empty
            one.unfit += not empty
            named = one.lacking if empty else one.unable
            if len(named) < NAMED:
                named.append(stripe_id)
    for one in found.values():
        one.of = of
    return iter(found.values())


def _field(section: str, mapping: FieldMapping) -> Filled:
    required = mapping.target.required or mapping.on_empty == "error"
    source = ", ".join(" ".join(str(one).split()) for one in mapping.sources)
    return Filled(section, mapping.target.path, source.replace('template "', '"'), required)
