"""Reads field mappings as a connection file writes them, and refuses at once whatever cannot work.

`written` stands over the pre-mapped set, target by target; ``target: null`` removes a pre-mapped one. A mapping is a short
path (``email``), a list of sources of which the first non-empty one is taken, or the long form with exactly one of
``from``, ``value``, ``template`` and the options ``transform``, ``on_empty`` and ``on_too_long``. Each source of a list may
be a long form with its own ``transform``.

``on_too_long`` is ``error`` unless the target is free text (address, description, notes, terms), which is cut with “…”.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Literal

from cloudify_pipeline.errors import SettingsError, SettingsProblem
from cloudify_pipeline.mapping.fields import Field, FieldCatalogue
from cloudify_pipeline.mapping.paths import Path
from cloudify_pipeline.mapping.sources import PathSource, Refusal, SourceReader, TemplateSource, Value, ValueSource
from cloudify_pipeline.mapping.transforms import Step, TransformError, step
from cloudify_pipeline.mapping.types import is_free_text
from cloudify_pipeline.mapping.values import Unfit, typed

Source = PathSource | ValueSource | TemplateSource
OnEmpty = Literal["omit", "error"] | Value
TooLong = Literal["error", "truncate"]

_OPTIONS = ("from", "value", "template", "transform", "on_empty", "on_too_long")
_SOURCES = ("from", "value", "template")


@dataclass(frozen=True, slots=True)
class FieldMapping:
    """One target field, ready to be filled: sources in order, then transforms, then the options."""

    target: Field
    sources: tuple[Source, ...]
    transforms: tuple[Step, ...] = ()
    on_empty: OnEmpty = "omit"
    on_too_long: TooLong = "error"
    written: bool = True
    """From the connection file; else from the pre-mapped set."""


@dataclass(frozen=True, slots=True)
class CompiledMappings:
    """All mappings of one kind of record, and what is odd about them."""

    mappings: tuple[FieldMapping, ...] = ()
    warnings: tuple[str, ...] = ()

    def paths(self) -> tuple[Path, ...]:
        """Every Stripe path that is read."""
        return tuple(path for mapping in self.mappings for source in mapping.sources for path in source.paths)


def compile_mappings(
    written: Mapping[str, Any],
    *,
    premapped: Mapping[str, Any],
    targets: FieldCatalogue,
    sources: FieldCatalogue,
    where: str,
) -> CompiledMappings:
    """Compile every mapping; `where` is the settings key they stand under.

    Raises:
        SettingsError: with all problems; each key is ``where.target``.
    """
    compiling = _Compiling(targets, sources, where)
    for target, mapping in {**premapped, **written}.items():
        if mapping is None:
            compiling.removed(target, known=target in premapped)
        else:
            compiling.add(target, mapping, written=target in written)
    if compiling.problems:
        raise SettingsError(where, compiling.problems)
    return CompiledMappings(tuple(compiling.mappings), tuple(compiling.warnings))


@dataclass(slots=True)
class _Compiling:
    targets: FieldCatalogue
    sources: FieldCatalogue
    where: str
    mappings: list[FieldMapping] = field(default_factory=list)
    problems: list[SettingsProblem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def removed(self, target: str, *, known: bool) -> None:
        if not known and target not in self.targets:
            self._refuse(target, self._unknown_target(target))
        elif target in self.targets and self.targets[target].required and not self.targets[target].reserved:
            self._refuse(target, Refusal("null", "the ledger demands this field: map it from another source"))

    def add(self, target: str, mapping: Any, *, written: bool) -> None:
        found = self.targets.get(target)
        if found is None:
            self._refuse(target, self._unknown_target(target))
        elif found.reserved is not None:
            self._refuse(target, Refusal("a mapping", f"it cannot be mapped: {found.reserved}"))
        elif not found.writable:
            self._refuse(target, Refusal("a mapping", f"it is read-only in the {self.targets.name}"))
        else:
            self._compile(found, mapping, written=written)

    def _compile(self, target: Field, mapping: Any, *, written: bool) -> None:
        # A list of sources, a path and the long form differ in writing alone.
        options = mapping if isinstance(mapping, Mapping) else {"from": mapping}
        problems: list[Refusal] = list(_option_problems(options))
        steps = _steps(options.get("transform"), problems)
        reader = SourceReader(target, self.sources, steps)
        compiled = [] if problems else reader.read_all(options)
        on_empty = _on_empty(options.get("on_empty", "omit"), target, problems)
        problems.extend(reader.problems)
        for problem in problems:
            self._refuse(target.path, problem)
        if written:
            self.warnings.extend(f"{self.where}.{target.path}: {warning}" for warning in reader.warnings)
        if not problems:
            too_long: TooLong = options.get("on_too_long") or ("truncate" if is_free_text(target) else "error")
            self.mappings.append(FieldMapping(target, tuple(compiled), steps, on_empty, too_long, written))

    def _refuse(self, target: str, problem: Refusal) -> None:
        self.problems.append(SettingsProblem(f"{self.where}.{target}", problem.found, problem.allowed))

    def _unknown_target(self, target: str) -> Refusal:
        near = self.targets.nearest(target)
        hint = f"; did you mean {near}?" if near else ""
        return Refusal(target, f"the {self.targets.name} has no such field{hint}")


def _option_problems(options: Mapping[Any, Any]) -> list[Refusal]:
    problems = []
    for option in options:
        if option not in _OPTIONS:
            close = get_close_matches(str(option), _OPTIONS, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            problems.append(Refusal(str(option), f"{hint}a mapping has {', '.join(_OPTIONS)}"))
    if sum(key in options for key in _SOURCES) != 1 and not problems:
        given = ", ".join(key for key in _SOURCES if key in options) or "no source"
        problems.append(Refusal(given, "exactly one of from, value and template is needed"))
    if options.get("on_too_long") not in {None, "error", "truncate"}:
        problems.append(Refusal(f"on_too_long {options['on_too_long']!r}", "on_too_long is error or truncate"))
    return problems


def _steps(written: Any, problems: list[Refusal]) -> tuple[Step, ...]:
    if written is None:
        return ()
    if not isinstance(written, list):
        problems.append(Refusal(f"transform {written!r}", f"transform is a list: [{written}]"))
        return ()
    steps = []
    for one in written:
        try:
            steps.append(step(one))
        except TransformError as error:
            problems.append(Refusal(f"transform {one!r}", str(error)))
    return tuple(steps)


def _on_empty(written: Any, target: Field, problems: list[Refusal]) -> OnEmpty:
    if written == "omit":
        return "omit"
    if written == "error":
        return "error"
    if not isinstance(written, Mapping) or set(written) != {"value"} or written["value"] is None:
        problems.append(Refusal(f"on_empty {written!r}", "on_empty is omit, error or {value: …}"))
        return "omit"
    try:
        return Value(typed(written["value"], target, "UTC"))
    except Unfit as error:
        problems.append(Refusal(f"on_empty {written!r}", f"{target.path} {error}"))
        return "omit"
