"""Turns what the models refuse into problems for people. A value that could be a secret is never repeated."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from cloudify_pipeline.errors import SettingsProblem
from cloudify_pipeline.settings.models import ConnectionSettings
from cloudify_pipeline.settings.secrets import looks_secret

_SECRETS = ("secret_literal", "secret_reference")
_SHOWN = 60
Location = tuple[int | str, ...]


def check_shape(written: Mapping[str, Any], problems: list[SettingsProblem]) -> ConnectionSettings | None:
    """The settings, or None with the mistakes added to `problems`. Nothing of pydantic's own error leaves this function."""
    refused: list[Any]
    try:
        return ConnectionSettings.model_validate(written)
    except ValidationError as error:
        refused = error.errors(include_url=False, include_context=True)
    known = {problem.key for problem in problems}
    found: dict[str, SettingsProblem] = {}
    for one in refused:
        problem = _problem(one)
        if not any(problem.key == key or problem.key.startswith(f"{key}.") for key in known):
            found.setdefault(problem.key, problem)
    problems.extend(found.values())
    return None


def key_of(location: Location) -> str:
    """A place as people write it: ``invoices.rules[0].when``."""
    text = ""
    for written in _written_parts(location):
        part = "…" if isinstance(written, str) and looks_secret(written) else written
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "file"


def _problem(error: Mapping[str, Any]) -> SettingsProblem:
    location: Location = error["loc"]
    key, kind, context = key_of(location), error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return SettingsProblem(key, "an unknown key", _known_names(location))
    if kind == "missing":
        return SettingsProblem(key, "nothing", "it is required")
    if kind in _SECRETS:
        found = "a literal secret" if kind == "secret_literal" else "no secret reference"
        return SettingsProblem(key, found, error["msg"])
    found = _shown(error.get("input"))
    if kind in {"literal_error", "enum"}:
        return SettingsProblem(key, found, f"allowed: {context.get('expected', '')}")
    if kind in {"model_type", "model_attributes_type", "dict_type"}:
        # A token that stands one level too high is not repeated.
        return SettingsProblem(key, "a plain value", "a section with keys of its own is needed")
    message = str(context.get("error") or error["msg"]).removeprefix("Value error, ")
    return SettingsProblem(key, found, message[:1].lower() + message[1:])


def _shown(value: Any) -> str:
    if isinstance(value, Mapping | list):
        return "a section" if isinstance(value, Mapping) else "a list"
    text = "nothing" if value is None else repr(value)
    hidden = isinstance(value, str) and (looks_secret(value) or len(value) > _SHOWN)
    return "a text that is not repeated here" if hidden else text


def _known_names(location: Location) -> str:
    *parents, name = location
    model = _model_at(ConnectionSettings, tuple(parents))
    names = [field.alias or own for own, field in model.model_fields.items()] if model else []
    near = get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"{hint}known here: {', '.join(names)}"


def _model_at(model: type[BaseModel], parents: Location) -> type[BaseModel] | None:
    for part in parents:
        if isinstance(part, int):
            continue
        fields = {field.alias or own: field for own, field in model.model_fields.items()}
        found = next(_models(fields[part].annotation), None) if part in fields else None
        if found is None:
            return None
        model = found
    return model


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in {Union, UnionType, list, dict}:
        for argument in get_args(annotation):
            yield from _models(argument)


def _written_parts(location: Location) -> Iterator[int | str]:
    """Pydantic adds the branch of a union (``int``, ``literal['auto']``) and ``[key]``, which nobody has written."""
    for part in location:
        if isinstance(part, int) or not (part in {"int", "str", "[key]"} or part.startswith(("literal[", "function-"))):
            yield part
