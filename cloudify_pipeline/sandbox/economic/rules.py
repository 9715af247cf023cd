"""What a request body must look like: the official schemas as packaged data, and the check against them."""

import json
import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from importlib import resources
from typing import Any

from cloudify_pipeline.sandbox.economic.errors import Findings, Json, Path

RULES: Json = json.loads(resources.files(__package__).joinpath("rules.json").read_text("utf-8"))
BODIES: Mapping[str, Json] = RULES["bodies"]
COLLECTIONS: Mapping[str, Mapping[str, list[str]]] = RULES["collections"]

# The PUT schema of an order calls a unit's name required; a name is nothing a caller decides, and the live server takes none.
_NOT_ENFORCED = frozenset({("orders.put", ("lines", "unit", "name"))})
_TYPES: Mapping[str, tuple[str, tuple[type, ...]]] = {
    "string": ("String", (str,)),
    "integer": ("Integer", (int,)),
    "number": ("Number", (int, Decimal)),
    "boolean": ("Boolean", (bool,)),
    "object": ("Object", (dict,)),
    "array": ("Array", (list,)),
}


def check(name: str, body: Json, findings: Findings) -> Json:
    """The writable part of `body`. Unknown and read-only properties vanish without a word, as on the live server."""
    return _object(name, BODIES[name], body, (), findings)


def _object(name: str, rules: Mapping[str, Json], body: Json, path: Path, findings: Findings) -> Json:
    kept: Json = {}
    plain = tuple(part for part in path if isinstance(part, str))
    for field, rule in rules.items():
        here = (*path, field)
        if field not in body:
            if rule.get("required") and not rule.get("readOnly") and (name, (*plain, field)) not in _NOT_ENFORCED:
                findings.add(here, f"Required properties are missing from object: {field}.")
            continue
        if rule.get("readOnly"):
            continue
        value = body[field]
        before = len(findings)
        _value(rule, value, here, findings)
        if len(findings) > before:
            continue
        if isinstance(value, dict):
            nested = _object(name, rule.get("properties", {}), value, here, findings)
            kept[field] = {**nested, "self": value["self"]} if isinstance(value.get("self"), str) else nested
        elif isinstance(value, list):
            kept[field] = _items(name, rule.get("items", {}), value, here, findings)
        else:
            kept[field] = value
    return kept


def _items(name: str, rule: Json, values: list[Any], path: Path, findings: Findings) -> list[Any]:
    kept = []
    for index, value in enumerate(values):
        before = len(findings)
        _value(rule, value, (*path, index), findings)
        if len(findings) == before:
            kept.append(_object(name, rule.get("properties", {}), value, (*path, index), findings))
    return kept


def _value(rule: Json, value: object, path: Path, findings: Findings) -> None:
    wanted = rule.get("type")
    if "enum" in rule:
        if value not in rule["enum"]:
            findings.add(path, f"Value {json.dumps(value, default=str)} is not defined in enum.", value=value)
        return
    if wanted is None:
        return
    title, types = _TYPES[wanted]
    if not isinstance(value, types) or (isinstance(value, bool) and wanted != "boolean"):
        findings.add(path, f"Invalid type. Expected {title} but got {_got(value)}.")
    elif isinstance(value, str):
        _text(rule, value, path, findings)
    elif isinstance(value, int | Decimal) and not isinstance(value, bool):
        _number(rule, value, path, findings)


def _got(value: object) -> str:
    if value is None:
        return "Null"
    if isinstance(value, bool):
        return "Boolean"
    return next((title for title, types in _TYPES.values() if isinstance(value, types)), "Number")


def _text(rule: Json, value: str, path: Path, findings: Findings) -> None:
    if len(value) > rule.get("maxLength", len(value)):
        findings.add(path, f"String '{value}' exceeds maximum length of {rule['maxLength']}.", value=value)
    elif len(value) < rule.get("minLength", 0):
        findings.add(path, f"String '{value}' is less than minimum length of {rule['minLength']}.", value=value)
    elif rule.get("date") and not _is_date(value):
        findings.add(path, f"String '{value}' does not validate against format 'date'.", value=value)
    elif "pattern" in rule and re.fullmatch(rule["pattern"], value) is None:
        findings.add(path, f"String '{value}' does not match regex pattern '{rule['pattern']}'.", value=value)


def _is_date(value: str) -> bool:
    try:
        return date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


def _number(rule: Json, value: int | Decimal, path: Path, findings: Findings) -> None:
    kind = "Integer" if isinstance(value, int) else "Float"
    decimals = rule.get("decimals")
    if value < rule.get("minimum", value):
        findings.add(path, f"{kind} {value} is less than minimum value of {rule['minimum']}.", value=value)
    elif value > rule.get("maximum", value):
        findings.add(path, f"{kind} {value} exceeds maximum value of {rule['maximum']}.", value=value)
    elif decimals is not None and value != round(value, decimals):
        words = "two" if decimals == 2 else str(decimals)
        findings.add(
            path,
            f"{path[-1]} scale cannot be greater than {words} decimal places.",
            "E04740",
            value,
            "Please check the format of your data.",
        )
