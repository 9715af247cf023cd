"""Changes single keys in the text of a connection file and leaves every other character as it is.

The text is not written anew from its data: the place of the key is found and that place alone is replaced, so comments,
order, quotes and alignment of all the rest stay. What comes out is read again; where it would not say exactly what was
asked for (an anchor that is used twice, say), nothing is changed and a person has to edit the file.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import yaml

from cloudify_pipeline.errors import SettingsError, SettingsProblem
from cloudify_pipeline.settings import splice
from cloudify_pipeline.settings.source import compose, read_mapping, read_value
from cloudify_pipeline.settings.splice import Part, Refused


@dataclass(frozen=True, slots=True)
class Change:
    """One key (``customers.fields.ean``, ``invoices.rules[0].when``) and its new value as YAML text; None takes it out."""

    key: str
    value: str | None


def edited(text: str, changes: Sequence[Change], *, where: str) -> str:
    """`text` with all `changes` in it. It is YAML, and not checked as settings. `where` names the file in messages.

    Raises:
        SettingsError: with a problem for each change that cannot be made, or when `text` is no YAML mapping.
    """
    read_mapping(text, where)
    problems = [SettingsProblem(key, "the key twice", "once in a call") for key in _twice([one.key for one in changes])]
    for change in changes:
        try:
            text = _with(text, change)
        except Refused as refused:
            problems.append(SettingsProblem(change.key, refused.found, refused.allowed))
    if problems:
        raise SettingsError(where, problems)
    return text


def parse_key(key: str) -> tuple[Part, ...]:
    """The parts of a key. Behind ``<section>.fields.`` the rest is one name: a ledger field has dots of its own.

    Raises:
        Refused: it is not written as keys are.
    """
    names = key.split(".")
    if len(names) > 2 and names[1] == "fields":
        names = [*names[:2], ".".join(names[2:])]
        parts: list[Part] = list(names)
    else:
        parts = [part for name in names for part in _indexed(name)]
    if not all(str(part).strip() == str(part) != "" for part in parts):
        raise Refused(repr(key), "a key such as customers.fields.email or invoices.rules[0].when")
    return tuple(parts)


def _indexed(name: str) -> Iterator[Part]:
    own, *places = name.split("[")
    yield own
    for place in places:
        number = place.removesuffix("]")
        if not (place.endswith("]") and number.isascii() and number.isdigit()):
            raise Refused(repr(name), "a place in a list is written [0], [1] and so on")
        yield int(number)


def _with(text: str, change: Change) -> str:
    parts = parse_key(change.key)
    data = read_value(text, "file") or {}
    root = compose(text)
    if change.value is None:
        return _checked(splice.without(text, root, parts), _data_without(data, parts))
    if not change.value.strip():
        raise Refused("an empty text", "a value; write null for nothing, or --unset to take the key out of the file")
    try:
        value = read_value(change.value, change.key)
    except SettingsError as error:
        raise Refused(error.problems[0].found, error.problems[0].allowed) from None
    # As it was typed, if the file then says it; a comma or bracket inside {…} needs the quotes of the second form.
    for form in (change.value.strip(), _one_line(value)):
        found = splice.having(text, root, parts, form)
        if len(form.splitlines()) == 1 and _says(found, _data_with(data, parts, value)):
            return found
    raise _BY_HAND


def _checked(text: str, wanted: Any) -> str:
    if not _says(text, wanted):
        raise _BY_HAND
    return text


_BY_HAND = Refused("a place that is written with anchors or in an unusual form", "edit the file by hand")


def _says(text: str, wanted: Any) -> bool:
    try:
        # Not ==: true equals 1 there, and 1.10 equals 1.1.
        return repr(read_mapping(text, "file")) == repr(wanted)
    except SettingsError:
        return False


def _data_with(data: Any, parts: Sequence[Part], value: Any) -> Any:
    """`data` as it should be read afterwards. New objects all the way: an anchor's value must not change elsewhere."""
    if not parts:
        return value
    part, *rest = parts
    if isinstance(part, int):
        return [_data_with(one, rest, value) if place == part else one for place, one in enumerate(data)]
    inside = data if isinstance(data, dict) else {}
    key = _own_key(inside, part)
    return {**inside, key: _data_with(inside.get(key), rest, value)}


def _data_without(data: Any, parts: Sequence[Part]) -> Any:
    part, *rest = parts
    if isinstance(part, int):
        return [_data_without(one, rest) if place == part else one for place, one in enumerate(data)]
    key = _own_key(data, part)
    left = _data_without(data[key], rest) if rest else {}
    # A section that has lost its last key goes too; an element of a list stays, as {}.
    if left == {} and isinstance(left, dict):
        return {name: one for name, one in data.items() if name != key}
    return {**data, key: left}


def _own_key(data: Any, part: str) -> Any:
    return next((key for key in data if str(key) == part), part)


class _OneLine(yaml.SafeDumper):
    """YAML on one line, quoted wherever any reader could take it for something else."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = '"' if any(sign in value for sign in "\n\r\x85\u2028\u2029") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_OneLine.add_representer(str, _text)
_OneLine.add_representer(Decimal, lambda dumper, value: dumper.represent_scalar("tag:yaml.org,2002:float", str(value)))


def _one_line(value: Any) -> str:
    # As the element of a list, so that a comma or bracket is quoted as {…} needs it.
    listed = yaml.dump([value], Dumper=_OneLine, default_flow_style=True, width=float("inf"), allow_unicode=True, sort_keys=False)
    return str(listed).removesuffix("\n")[1:-1]


def _twice(keys: Sequence[str]) -> list[str]:
    return [key for key in dict.fromkeys(keys) if keys.count(key) > 1]
