"""Fills the mapped fields of one record, and says for each where its value came from."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cloudify_pipeline.accounting.documents import FieldValue
from cloudify_pipeline.accounting.money import from_minor
from cloudify_pipeline.errors import Problem
from cloudify_pipeline.mapping.compile import CompiledMappings, FieldMapping, Source
from cloudify_pipeline.mapping.fields import Field
from cloudify_pipeline.mapping.lineage import Lineage
from cloudify_pipeline.mapping.sources import PathSource, TemplateSource, Value, ValueSource
from cloudify_pipeline.mapping.texts import clean_text, sendable
from cloudify_pipeline.mapping.transforms import Step
from cloudify_pipeline.mapping.types import is_single_line
from cloudify_pipeline.mapping.values import Unfit, is_empty, to_date, to_text, typed

COPENHAGEN = "Europe/Copenhagen"
"""Where a Stripe instant becomes a day: the books' own time zone."""


@dataclass(frozen=True, slots=True)
class Mapped:
    """The fields of one record by target path, where each came from, and what could not be filled.

    A field that was left out has a lineage with an empty result and no value.
    """

    values: Mapping[str, FieldValue]
    lineage: tuple[Lineage, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass(slots=True)
class _Found:
    """A value on its way: the source it came from, how it read there, and what was done to it."""

    source: str
    raw: str
    value: Any
    done: list[str] = field(default_factory=list)


def map_record(mappings: CompiledMappings | Iterable[FieldMapping], record: Mapping[str, Any], *, tz: str = COPENHAGEN) -> Mapped:
    """Fill every mapping from `record`. Values have the target's type: int, Decimal, date, bool or text.

    Never raises for what a record holds: a field that cannot be filled is a problem, E-MAPPING or E-TOO-LONG.
    """
    values: dict[str, FieldValue] = {}
    lineage, problems = [], []
    for mapping in mappings.mappings if isinstance(mappings, CompiledMappings) else mappings:
        outcome = _fill(mapping, record, tz)
        if isinstance(outcome, Problem):
            problems.append(outcome)
            continue
        value, trace = outcome
        lineage.append(trace)
        if value is not None:
            values[mapping.target.path] = value
    return Mapped(values, tuple(lineage), tuple(problems))


def _fill(mapping: FieldMapping, record: Mapping[str, Any], tz: str) -> tuple[FieldValue | None, Lineage] | Problem:
    target = mapping.target
    found: _Found | None = None
    try:
        for source in mapping.sources:
            candidate = _read(source, record, mapping, tz)
            if not is_empty(candidate.value):
                found = candidate
                break
        if found is None:
            return _empty(mapping)
        value = typed(found.value, target, tz)
    except ValueError as error:
        return _unfit(target, found.source if found else _tried(mapping), found.raw if found else "", error)
    return _finished(mapping, found, value)


def _read(source: Source, record: Mapping[str, Any], mapping: FieldMapping, tz: str) -> _Found:
    """The value of one source after its own transforms and the mapping's."""
    steps = (*source.transforms, *mapping.transforms)
    if isinstance(source, ValueSource):
        found = _Found(str(source), to_text(source.value), source.value)
    elif isinstance(source, TemplateSource):
        text = source.template.render(record, lambda path, value: to_text(_plain(value, source.types[path], record, tz)))
        found = _Found(str(source), text, text)
    else:
        raw = source.path.read(record)
        found = _Found(str(source), to_text(raw), raw)
        if not is_empty(raw):
            _convert(found, source, steps, record, tz)
    for step in steps:
        if is_empty(found.value):
            break
        try:
            found.value = step(found.value)
        except ValueError as error:
            raise _StepFailed(found, step, error) from error
        found.done.append(str(step))
    if isinstance(found.value, str) and not (found.value.isprintable() and found.value.strip()):
        # What only looks like a value (a control character alone) must not shadow the next source.
        found.value = found.value if clean_text(found.value, single_line=False)[0] else ""
    return found


class _StepFailed(Unfit):
    """A transform could not take a value."""

    def __init__(self, found: _Found, step: Step, error: ValueError) -> None:
        super().__init__(f"{step} cannot take it: {error}")
        self.found = found


def _convert(found: _Found, source: PathSource, steps: tuple[Step, ...], record: Mapping[str, Any], tz: str) -> None:
    """Stripe's own forms of instants and money, unless the mapping's first transform reads the instant itself."""
    if source.type == "timestamp" and any(step.transform.name == "date" for step in steps):
        return
    value = _plain(found.value, source.type, record, tz)
    if value is not found.value:
        found.done.append(f"date(tz={tz!r})" if source.type == "timestamp" else "minor units to amount")
    found.value = value


def _plain(value: Any, kind: str, record: Mapping[str, Any], tz: str) -> Any:
    if kind == "timestamp" and isinstance(value, int) and not isinstance(value, bool):
        return to_date(value, tz)
    currency = record.get("currency")
    if kind == "money" and isinstance(value, int) and isinstance(currency, str):
        return from_minor(value, currency)
    return value


def _tried(mapping: FieldMapping) -> str:
    return " | ".join(map(str, mapping.sources))


def _empty(mapping: FieldMapping) -> tuple[FieldValue | None, Lineage] | Problem:
    target, tried = mapping.target, _tried(mapping)
    if isinstance(mapping.on_empty, Value):
        value = mapping.on_empty.value
        return value, Lineage(target.path, "on_empty", "", (), to_text(value), (f"empty: {tried}",))
    if mapping.on_empty == "error" or target.required:
        return Problem("E-MAPPING", f"{target.path} is needed, and {tried} is empty", target.path, "nothing")
    return None, Lineage(target.path, tried, "", (), "", ("left out: empty",))


def _finished(mapping: FieldMapping, found: _Found, value: FieldValue) -> tuple[FieldValue | None, Lineage] | Problem:
    target = mapping.target
    cleaned: tuple[str, ...] = ()
    if isinstance(value, str):
        cut = mapping.on_too_long == "truncate"
        value, cleaned = clean_text(value, target.max_length, is_single_line(target), truncate=cut)
        if problem := _limits(target, found.source, value):
            return problem
    return value, Lineage(target.path, sendable(found.source), sendable(found.raw), tuple(found.done), to_text(value), cleaned)


def _limits(target: Field, source: str, value: str) -> Problem | None:
    if target.max_length is not None and len(value) > target.max_length:
        message = f"{target.path} from {source} has {len(value)} characters, the ledger takes {target.max_length}"
        return Problem("E-TOO-LONG", message, target.path, value)
    if target.min_length is not None and len(value) < target.min_length:
        message = f"{target.path} from {source} has {len(value)} characters, the ledger needs {target.min_length}"
        return Problem("E-MAPPING", message, target.path, value)
    if target.allowed and value not in target.allowed:
        message = f"{target.path} from {source} is {value!r}; allowed are {', '.join(target.allowed)}"
        return Problem("E-MAPPING", message, target.path, value)
    return None


def _unfit(target: Field, source: str, raw: str, error: ValueError) -> Problem:
    if isinstance(error, _StepFailed):
        source, raw = error.found.source, error.found.raw
    source, raw = sendable(source), sendable(raw)
    return Problem("E-MAPPING", sendable(f"{target.path} from {source}: {error}; found {raw!r}"), target.path, raw)
