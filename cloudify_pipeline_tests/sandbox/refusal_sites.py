"""Every place in the embedded servers' sources that says no: read from the sources, so that a new refusal is found by itself.

A refusal is a call of one of the constructors in the server's own ``errors.py`` (or of a shorthand for one). Its words are
evaluated with a stand-in where the source puts in a value.
"""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cloudify_pipeline.sandbox

SANDBOX = Path(cloudify_pipeline.sandbox.__file__).parent
STAND_IN = "7"
"""What stands for a value that is known only when the server runs."""


@dataclass(frozen=True)
class Site:
    """One call of `constructor`, with what can be known of its arguments; `place` is file and line."""

    place: str
    constructor: str
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any] = field(default_factory=dict)


def sites(server: str, constructors: frozenset[str]) -> Iterator[Site]:
    """The calls of `constructors` in the sources of `server`, but for the module that defines them."""
    for file in sorted((SANDBOX / server).glob("*.py")):
        if file.name == "errors.py":
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and (name := _name(node.func)) in constructors:
                keywords = {word.arg: _value(word.value) for word in node.keywords if word.arg}
                arguments = tuple(_value(argument) for argument in node.args)
                yield Site(f"{file.name}:{node.lineno}", name, arguments, keywords)


def raised(server: str) -> set[str]:
    """The names of everything that is raised in the sources of `server`."""
    found = set()
    for file in (SANDBOX / server).glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                found.add(_name(node.exc.func))
    return found


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _value(node: ast.expr) -> Any:
    """A constant as it is, text with stand-ins, a tuple of such, ``Name`` for a name, else the stand-in."""
    match node:
        case ast.Constant(value=value):
            return value
        case ast.JoinedStr(values=parts):
            return "".join(str(part.value) if isinstance(part, ast.Constant) else STAND_IN for part in parts)
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            return tuple(_value(part.value if isinstance(part, ast.Starred) else part) for part in parts)
        case ast.Dict(keys=keys, values=values):
            return {_value(key): _value(value) for key, value in zip(keys, values, strict=True) if key is not None}
        case ast.Name(id=name):
            return Named(name)
    return STAND_IN


class Named(str):
    """The name of a variable or constant."""
