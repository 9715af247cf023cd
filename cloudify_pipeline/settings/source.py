"""Reads the text of a connection file: YAML, with doubled keys refused and the line of every key kept."""

import re
from collections.abc import Hashable
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from cloudify_pipeline.errors import SettingsError, SettingsProblem

_OWN = {"tag:yaml.org,2002:bool", "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"}


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, which would let the last of two equal keys win silently."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.doubled: list[tuple[str, int]] = []

    # YAML 1.1 reads NO (Norway) and on as booleans, 0123 (a product number) as 83 and 1.10 as a float.
    yaml_implicit_resolvers = {  # noqa: RUF012
        sign: [(tag, pattern) for tag, pattern in resolvers if tag not in _OWN]
        for sign, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    self.doubled.append((key.value, key.start_mark.line + 1))
                seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


def _decimal(loader: _Loader, node: yaml.ScalarNode) -> Decimal:
    return Decimal(node.value)


_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"), list("tTfF"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"-?(?:0|[1-9][0-9]*)\Z"), list("-0123456789"))
_Loader.add_implicit_resolver("!decimal", re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+\Z"), list("-0123456789"))
_Loader.add_constructor("!decimal", _decimal)


def read_text(path: Path) -> str:
    """The file's text, its line ends as they are.

    Raises:
        SettingsError: it cannot be read, or is no UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(path.name, [SettingsProblem("file", type(error).__name__, "a readable UTF-8 file")]) from None


def read_mapping(text: str, where: str) -> dict[str, Any]:
    """What the text of a connection file says. An empty text is an empty mapping; `where` names the file in messages.

    Raises:
        SettingsError: it is no YAML mapping, or has a key twice. Its text is never repeated: it may be a secret.
    """
    data = read_value(text, where)
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise SettingsError(where, [SettingsProblem("file", "no mapping", "sections such as stripe:, ledger:, customers:")])
    return data


def read_value(text: str, where: str) -> Any:
    """Any YAML value, read as a connection file is.

    Raises:
        SettingsError: as :func:`read_mapping`.
    """
    try:
        loader = _Loader(text)
    except yaml.YAMLError as error:
        raise SettingsError(where, [_broken(error)]) from None
    try:
        data = loader.get_single_data()
    except yaml.YAMLError as error:
        raise SettingsError(where, [_broken(error)]) from None
    except (ValueError, TypeError):
        raise SettingsError(where, [SettingsProblem("file", "a value YAML cannot read", "valid YAML")]) from None
    finally:
        loader.dispose()
    if loader.doubled:
        raise SettingsError(where, [SettingsProblem(key, f"the key twice (line {line})", "once") for key, line in loader.doubled])
    if _contains_itself(data, ()):
        raise SettingsError(where, [SettingsProblem("file", "an anchor that contains itself", "sections without a loop")])
    return data


def compose(text: str) -> yaml.Node | None:
    """The text's nodes with their places in it; None for an empty text. The text must have been read before."""
    node: yaml.Node | None = yaml.compose(text, Loader=_Loader)
    return node


def _contains_itself(value: Any, above: tuple[int, ...]) -> bool:
    if id(value) in above:
        return True
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(_contains_itself(one, (*above, id(value))) for one in inside)


def key_lines(text: str) -> dict[str, int]:
    """The line of every key (dotted, with list places), for messages."""
    lines: dict[str, int] = {}

    def visit(node: yaml.Node | None, prefix: str) -> None:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                name = f"{prefix}.{key.value}" if prefix else str(key.value)
                lines[name] = key.start_mark.line + 1
                visit(value, name)
        elif isinstance(node, yaml.SequenceNode):
            for place, value in enumerate(node.value):
                name = f"{prefix}[{place}]"
                lines[name] = value.start_mark.line + 1
                visit(value, name)

    visit(yaml.compose(text, Loader=yaml.SafeLoader), "")
    return lines


def _broken(error: yaml.YAMLError) -> SettingsProblem:
    mark = getattr(error, "problem_mark", None)
    place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "the file"
    return SettingsProblem("file", f"broken YAML at {place}", "valid YAML (indentation, quotes, a space after each colon)")
