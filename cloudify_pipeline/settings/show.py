"""The settings that are in force, row by row, each with where it comes from. Secrets are shown as their reference."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cloudify_pipeline.settings.load import LoadedConnection
from cloudify_pipeline.settings.unbuilt import default_is_off

Origin = Literal["file", "default", "default, not built yet"]


@dataclass(frozen=True, slots=True)
class Row:
    """One setting in force."""

    key: str
    value: str
    origin: Origin


def effective_settings(loaded: LoadedConnection) -> tuple[Row, ...]:
    """Every setting in the file's own order and names. Lists are one row for each element, named by its place."""
    dumped = loaded.settings.model_dump(mode="json", by_alias=True)
    return tuple(_rows(dumped, loaded.written, "", in_file=True))


def _rows(value: Any, written: Any, key: str, *, in_file: bool) -> Iterator[Row]:
    if isinstance(value, Mapping) and value and not _is_secret(value, key):
        for name, inside in value.items():
            here = in_file and isinstance(written, Mapping) and name in written
            yield from _rows(inside, written[name] if here else None, f"{key}.{name}" if key else name, in_file=here)
    elif isinstance(value, list) and value and not all(isinstance(one, str | int) for one in value):
        for place, inside in enumerate(value):
            here = in_file and isinstance(written, list)
            yield from _rows(inside, written[place] if here else None, f"{key}[{place}]", in_file=here)
    else:
        origin: Origin = "file" if in_file else "default, not built yet" if default_is_off(key) else "default"
        yield Row(key, _text(value), origin)


def _is_secret(value: Mapping[str, Any], key: str) -> bool:
    return set(value) in ({"env"}, {"file"}) and key.rpartition(".")[2].endswith(("key", "token", "secret", "url"))


def _text(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {inside}" for name, inside in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_text, value)) + "]"
    return str(value)
