"""Where a mapped value may come from: a Stripe path, a constant or a template, each checked against the target's type."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cloudify_pipeline.accounting.documents import FieldValue
from cloudify_pipeline.mapping.fields import Field, FieldCatalogue
from cloudify_pipeline.mapping.paths import Path, PathError, parse_path
from cloudify_pipeline.mapping.templates import Template
from cloudify_pipeline.mapping.transforms import Step, TransformError, step
from cloudify_pipeline.mapping.types import fit, way_out
from cloudify_pipeline.mapping.values import Unfit, typed

_NUMBERS = {"integer", "decimal", "money", "date", "timestamp", "boolean"}


@dataclass(frozen=True, slots=True)
class Refusal:
    """What stood there and what is allowed."""

    found: str
    allowed: str


@dataclass(frozen=True, slots=True)
class Value:
    """A constant of the target's type."""

    value: FieldValue


@dataclass(frozen=True, slots=True)
class PathSource:
    """A Stripe path. `type` is the Stripe field's; `transforms` are this source's own."""

    path: Path
    type: str
    transforms: tuple[Step, ...] = ()

    @property
    def paths(self) -> tuple[Path, ...]:
        """The paths it reads."""
        return (self.path,)

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True, slots=True)
class ValueSource:
    """A constant."""

    value: Any
    transforms: tuple[Step, ...] = ()

    @property
    def paths(self) -> tuple[Path, ...]:
        """It reads none."""
        return ()

    def __str__(self) -> str:
        return "a constant"


@dataclass(frozen=True, slots=True)
class TemplateSource:
    """A template, with the Stripe type of each of its paths."""

    template: Template
    types: Mapping[Path, str]
    transforms: tuple[Step, ...] = ()

    @property
    def paths(self) -> tuple[Path, ...]:
        """The paths it reads."""
        return self.template.paths

    def __str__(self) -> str:
        return f'template "{self.template.text}"'


def type_of(path: Path, catalogue: FieldCatalogue) -> str | None:
    """The type of the Stripe field at `path`; None: there is none. Metadata and the elements of named lists are text."""
    if found := catalogue.get(str(path)):
        return found.type
    parent = str(Path(path.parts[:-1]))
    if len(path.parts) > 1 and (parent in catalogue.open_paths or _is_list(catalogue, parent)):
        return "text"
    return None


def unknown_path(path: Path, catalogue: FieldCatalogue) -> str:
    """Why `path` is refused, with what was probably meant."""
    for length in range(1, len(path.parts) - 1):
        if (parent := Path(path.parts[:length])) and str(parent) in catalogue.open_paths:
            joined = Path((*path.parts[:length], ".".join(path.parts[length:])))
            return f"a metadata key is one part; a key with a dot stands in quotes: {joined}"
    if str(path) in catalogue.open_paths:
        return f"name a key below it, as in {path}.order_number"
    near = catalogue.nearest(str(path))
    return f"no {catalogue.name} has such a field" + (f"; did you mean {near}?" if near else "")


class SourceReader:
    """Reads the sources of one mapping, and keeps what is wrong or odd about them."""

    def __init__(self, target: Field, catalogue: FieldCatalogue, steps: Sequence[Step]) -> None:
        self.target = target
        self.catalogue = catalogue
        self.steps = tuple(steps)
        self.problems: list[Refusal] = []
        self.warnings: list[str] = []

    def read_all(self, options: Mapping[str, Any]) -> list[PathSource | ValueSource | TemplateSource]:
        """The sources that ``from``, ``value`` or ``template`` of the long form name, in order."""
        if "from" not in options:
            read = self._one({key: options[key] for key in ("value", "template") if key in options})
            return [read] if read else []
        named = options["from"]
        several = named if isinstance(named, list) else [named]
        if not several:
            self.problems.append(Refusal("an empty list", "name at least one source"))
        return [read for one in several if (read := self._one(one))]

    def _one(self, written: Any) -> PathSource | ValueSource | TemplateSource | None:
        if isinstance(written, str):
            return self._path(written, ())
        if not isinstance(written, Mapping):
            self.problems.append(
                Refusal(repr(written), "a source is a path, {value: …} or {template: …}; a constant is {value: …}")
            )
            return None
        extra = set(written) - {"from", "value", "template", "transform"}
        if extra or len(set(written) - {"transform"}) != 1:
            self.problems.append(
                Refusal(
                    ", ".join(map(str, written)) or "{}", "a source has exactly one of from, value and template, and transform"
                )
            )
            return None
        own = self._own_steps(written.get("transform"))
        if "value" in written:
            return self._value(written["value"], own)
        text = written.get("template", written.get("from"))
        if not isinstance(text, str):
            self.problems.append(Refusal(repr(text), "a path or template is a text"))
            return None
        return self._template(text, own) if "template" in written else self._path(text, own)

    def _own_steps(self, written: Any) -> tuple[Step, ...]:
        try:
            return tuple(step(one) for one in written or ())
        except TransformError as error:
            self.problems.append(Refusal(f"transform {written!r}", str(error)))
            return ()

    def _path(self, text: str, own: tuple[Step, ...]) -> PathSource | None:
        try:
            path = parse_path(text)
        except PathError as error:
            self.problems.append(Refusal(text, error.allowed))
            return None
        kind = type_of(path, self.catalogue)
        if kind is None:
            self.problems.append(Refusal(text, unknown_path(path, self.catalogue)))
            return None
        self._check_types(text, kind, own, loose=str(path) not in self.catalogue)
        return PathSource(path, kind, own)

    def _check_types(self, text: str, kind: str, own: tuple[Step, ...], *, loose: bool) -> None:
        steps = (*own, *self.steps)
        if kind in {"list", "object"} and steps and not steps[0].transform.takes_list:
            verdict, reached = "refuse", kind
        else:
            reached = result_type(kind, steps)
            verdict = fit(reached, self.target.type, loose=loose)
        pair = f"{reached} into {self.target.type}"
        if verdict == "refuse":
            self.problems.append(Refusal(f"{text} ({reached})", f"{pair} cannot fit: {way_out(reached, self.target.type)}"))
        elif verdict == "warn":
            self.warnings.append(f"{text}: {pair} is probably not meant")

    def _template(self, text: str, own: tuple[Step, ...]) -> TemplateSource | None:
        try:
            template = Template.parse(text)
        except PathError as error:
            self.problems.append(Refusal(text, error.allowed))
            return None
        types = {path: type_of(path, self.catalogue) for path in template.paths}
        unknown = [path for path, kind in types.items() if kind is None]
        self.problems.extend(Refusal(f"{{{path}}}", unknown_path(path, self.catalogue)) for path in unknown)
        kind = result_type("text", (*own, *self.steps))
        if kind == "text" and self.target.type in _NUMBERS:
            self.problems.append(Refusal(text, f"a template is text; {way_out('text', self.target.type)}"))
        return None if unknown else TemplateSource(template, {path: kind or "text" for path, kind in types.items()}, own)

    def _value(self, value: Any, own: tuple[Step, ...]) -> ValueSource | None:
        if value is None or isinstance(value, Mapping | list):
            self.problems.append(Refusal(repr(value), "a constant is a text, number, date, true or false"))
            return None
        if not own and not self.steps:
            try:
                typed(value, self.target, "UTC")
            except Unfit as error:
                self.problems.append(Refusal(repr(value), f"{self.target.path} {error}"))
                return None
        return ValueSource(value, own)


def result_type(kind: str, steps: Sequence[Step]) -> str:
    """The type after `steps`."""
    for one in steps:
        kind = one.transform.gives or ("text" if kind in {"list", "object"} else kind)
    return kind


def _is_list(catalogue: FieldCatalogue, path: str) -> bool:
    found = catalogue.get(path)
    return found is not None and found.type == "list"
