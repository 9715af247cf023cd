"""Form and query parameters with brackets: `a[b]=1`, `a[]=1` and `a[0]=1` alike."""

import re
from collections.abc import Iterable
from typing import Any, Literal
from urllib.parse import parse_qsl

from cloudify_pipeline.sandbox.stripe.errors import StripeFault, invalid

_PART = re.compile(r"\[([^\[\]]*)\]")


def parse(text: str) -> dict[str, Any]:
    """The nested parameters of a query string or a form-encoded body."""
    return nested(parse_qsl(text, keep_blank_values=True))


def nested(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Parameters as Stripe reads them; a list is a dict with number keys until it is read with `as_list`."""
    root: dict[str, Any] = {}
    for name, value in pairs:
        head, _, rest = name.partition("[")
        parts = [head, *_PART.findall(f"[{rest}")] if rest else [head]
        if rest and not _PART.sub("", f"[{rest}") == "":
            raise invalid(f"Invalid parameter name: {name}", name)
        _set(root, parts, value, name)
    return root


def _set(root: dict[str, Any], parts: list[str], value: str, name: str) -> None:
    at = root
    for part in parts[:-1]:
        deeper = at.setdefault(_key(at, part), {})
        if not isinstance(deeper, dict):
            raise invalid(f"Invalid parameter: {name}", name)
        at = deeper
    at[_key(at, parts[-1])] = value


def _key(at: dict[str, Any], part: str) -> str:
    return part or str(len(at))


def as_list(value: Any, name: str) -> list[str]:
    """The values of a list parameter."""
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise invalid("Invalid array", name)
    return list(value.values())


def as_int(value: Any, name: str) -> int:
    """A whole number."""
    if not isinstance(value, str) or not re.fullmatch(r"-?\d{1,18}", value):
        raise invalid(f"Invalid integer: {value}", name, "parameter_invalid_integer")
    return int(value)


def as_bool(value: Any, name: str) -> bool:
    """`true` or `false`."""
    if value not in {"true", "false"}:
        raise invalid(f"Invalid boolean: {value}", name)
    return bool(value == "true")


Bound = tuple[Literal["=", ">", ">=", "<", "<="], int]
_OPERATORS: dict[str, Literal[">", ">=", "<", "<="]] = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def as_range(value: Any, name: str) -> list[Bound]:
    """A timestamp, or the bounds gt, gte, lt and lte."""
    if not isinstance(value, dict):
        return [("=", as_int(value, name))]
    bounds: list[Bound] = []
    for operator, number in value.items():
        if operator not in _OPERATORS:
            raise StripeFault(
                400, f"Received unknown parameter: {name}[{operator}]", code="parameter_unknown", param=f"{name}[{operator}]"
            )
        bounds.append((_OPERATORS[operator], as_int(number, f"{name}[{operator}]")))
    return bounds


def metadata_changes(value: Any) -> dict[str, str] | None:
    """The keys to set (an empty value unsets one), or None where all metadata is to be cleared.

    Limits: keys of at most 40 characters without brackets, values of at most 500 characters.
    """
    if value == "":
        return None
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise invalid("Invalid object", "metadata")
    for key, text in value.items():
        if len(key) > 40:
            raise invalid(f"Metadata keys can be at most 40 characters long: {key[:40]}…", f"metadata[{key}]")
        if len(text) > 500:
            raise invalid(
                f"Metadata values can have up to 500 characters, but you passed in a value that is {len(text)} characters.",
                f"metadata[{key}]",
            )
    return value


def merged(metadata: dict[str, str], changes: dict[str, str] | None) -> dict[str, str]:
    """Metadata after a change: keys are merged, an empty value removes its key, at most 50 keys stay."""
    if changes is None:
        return {}
    result = {key: value for key, value in {**metadata, **changes}.items() if value != ""}
    if len(result) > 50:
        raise invalid("Metadata can have at most 50 keys.", "metadata")
    return result
