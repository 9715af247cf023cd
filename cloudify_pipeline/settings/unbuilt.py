"""Keys of the connection file that are agreed and not built yet.

A key that is written and asks for something not built is refused by name. A default that is not built counts as off.
The table is the whole truth about it: a line goes when its work is done.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cloudify_pipeline.errors import SettingsProblem


@dataclass(frozen=True, slots=True)
class Unbuilt:
    """One key. `values`: only these are not built; None: none is."""

    key: str
    instead: str
    values: tuple[Any, ...] | None = None


UNBUILT = (
    Unbuilt("ledger", "use economic", values=("business_central",)),
    Unbuilt("business_central", "remove the section"),
    Unbuilt("journal", "remove the section"),
    Unbuilt("invoices.send_by", "use none", values=("ean",)),
)


def written_unbuilt(written: Mapping[str, Any]) -> list[SettingsProblem]:
    """A problem for each written key of `written` that is not built."""
    problems = []
    for unbuilt in UNBUILT:
        found, value = _at(written, unbuilt.key)
        if not found or not (unbuilt.values is None or value in unbuilt.values):
            continue
        shown = f"{value}" if isinstance(value, str | bool | int) else "a value"
        problems.append(SettingsProblem(unbuilt.key, shown, f"{_name(unbuilt, value)}: not built yet; {unbuilt.instead}"))
    return problems


def default_is_off(key: str) -> bool:
    """Whether the default of `key` (dotted) stands in the model but does nothing yet."""
    return any(unbuilt.values is None and (key == unbuilt.key or key.startswith(f"{unbuilt.key}.")) for unbuilt in UNBUILT)


def _name(unbuilt: Unbuilt, value: Any) -> str:
    if unbuilt.values is not None:
        return f"{unbuilt.key}: {value}"
    if isinstance(value, Mapping) and value:
        return ", ".join(f"{unbuilt.key}.{key}" for key in value)
    return unbuilt.key


def _at(written: Any, key: str) -> tuple[bool, Any]:
    for part in key.split("."):
        if not isinstance(written, Mapping) or part not in written:
            return False, None
        written = written[part]
    return True, written
