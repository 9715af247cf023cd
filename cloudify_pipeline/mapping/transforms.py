"""Named transforms of a mapped value, and the way to add one's own.

A transform is a function of one value with keyword-only options. It is registered here with :func:`transform`, at run time
with :func:`register_transform`, or by any installed package through the entry-point group ``cloudify_pipeline.transforms``::

    [project.entry-points."cloudify_pipeline.transforms"]
    order_code = "my_package.transforms:order_code"

An empty result counts as an empty field. A transform raises ``ValueError`` for a value it cannot take.
"""

import datetime
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Literal, TypeVar, get_type_hints
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from pydantic import TypeAdapter, ValidationError
from stdnum.dk import cvr

from cloudify_pipeline.mapping.fields import FieldType
from cloudify_pipeline.mapping.paths import elements
from cloudify_pipeline.mapping.values import is_empty, to_date, to_decimal, to_text

ENTRY_POINTS = "cloudify_pipeline.transforms"

Gives = FieldType | Literal["any"] | None
"""The type of a transform's result: `any` is known only at run time, None is the type that came in."""

_F = TypeVar("_F", bound=Callable[..., Any])
_registry: dict[str, "Transform"] = {}


class TransformError(ValueError):
    """A transform is unknown or its options are wrong; the message says what is allowed."""


@dataclass(frozen=True, slots=True)
class Transform:
    """A registered transform. `takes_list`: lists and objects too."""

    name: str
    function: Callable[..., Any]
    gives: Gives = None
    takes_list: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """A transform with its options, as a mapping uses it; `str()` is how lineage names it."""

    transform: Transform
    options: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        if not self.options:
            return self.transform.name
        written = ", ".join(f"{name}={value!r}" for name, value in self.options.items())
        return f"{self.transform.name}({written})"

    def __call__(self, value: Any) -> Any:
        """The result for `value`. A value it cannot take: ``ValueError``."""
        return self.transform.function(value, **self.options)


def register_transform(name: str, function: Callable[..., Any], *, gives: Gives = "text", takes_list: bool = False) -> None:
    """Make `function` known to mappings as `name`.

    Raises:
        TransformError: another function has that name.
    """
    known = _registry.get(name)
    if known is not None and known.function is not function:
        raise TransformError(f"there is already a transform {name}")
    _registry[name] = Transform(name, function, gives, takes_list)


def transform(name: str, *, gives: Gives = "text", takes_list: bool = False) -> Callable[[_F], _F]:
    """:func:`register_transform` as a decorator."""

    def register(function: _F) -> _F:
        register_transform(name, function, gives=gives, takes_list=takes_list)
        return function

    return register


def transform_names() -> list[str]:
    """Every transform there is, installed ones included."""
    _installed()
    return sorted(_registry)


def step(written: Any) -> Step:
    """A transform as written: its name, or ``{name: {option: value}}``.

    Raises:
        TransformError: unknown, or its options are wrong.
    """
    _installed()
    name: Any = written
    options: Any = None
    if isinstance(written, Mapping) and len(written) == 1:
        ((name, options),) = written.items()
    if not isinstance(name, str) or not (options is None or isinstance(options, Mapping)):
        raise TransformError("a transform is a name, or {name: {option: value}}")
    found = _registry.get(name)
    if found is None:
        close = get_close_matches(name, _registry, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        raise TransformError(f"no transform {name}; {hint}there are {', '.join(sorted(_registry))}")
    return Step(found, _checked(found, options or {}))


@cache
def _installed() -> None:
    """Load what other packages register, once."""
    for point in entry_points(group=ENTRY_POINTS):
        register_transform(point.name, point.load())


def _checked(found: Transform, options: Mapping[str, Any]) -> dict[str, Any]:
    parameters = [p for p in inspect.signature(found.function).parameters.values() if p.kind is p.KEYWORD_ONLY]
    hints = get_type_hints(found.function)
    names = [parameter.name for parameter in parameters]
    unknown = [str(name) for name in options if name not in names]
    if unknown:
        raise TransformError(f"{found.name} has no option {', '.join(unknown)}; it has {', '.join(names) or 'none'}")
    missing = [p.name for p in parameters if p.default is p.empty and p.name not in options]
    if missing:
        raise TransformError(f"{found.name} needs the option {', '.join(missing)}")
    checked = {}
    for name, value in options.items():
        try:
            checked[name] = TypeAdapter(hints[name]).validate_python(value, strict=True)
        except ValidationError as error:
            raise TransformError(f"{found.name}.{name}: {error.errors()[0]['msg']}") from None
    try:
        # A language, zone or pattern is only known to be wrong when it is used.
        found.function("", **checked)
    except (TransformError, re.error) as error:
        raise TransformError(f"{found.name}: {error}") from None
    except ValueError:
        return checked  # it does not take an empty value, and is never given one
    return checked


@transform("trim", gives=None)
def _trim(value: Any) -> str:
    return to_text(value).strip()


@transform("upper", gives=None)
def _upper(value: Any) -> str:
    return to_text(value).upper()


@transform("lower", gives=None)
def _lower(value: Any) -> str:
    return to_text(value).lower()


@transform("digits", gives="integer")
def _digits(value: Any) -> str:
    """The digits alone; leading zeros stay, for text fields."""
    return re.sub(r"[^0-9]", "", to_text(value))


@transform("number", gives="decimal")
def _number(value: Any, *, decimal_comma: bool = False) -> Any:
    """A text as a number; with `decimal_comma`, 1.250,50 is one."""
    text = to_text(value).strip()
    if decimal_comma:
        text = text.replace(".", "").replace(",", ".")
    return to_decimal(text) if text else ""


@transform("country_name", gives="country")
def _country_name(value: Any, *, language: str = "en") -> str:
    """An ISO country code as the country's name; anything else stays."""
    text = to_text(value).strip()
    try:
        names = Locale.parse(language, sep="-" if "-" in language else "_").territories
    except (UnknownLocaleError, ValueError):
        raise TransformError(f"no language {language}") from None
    return str(names.get(text.upper(), text)) if len(text) == 2 else text


@transform("date", gives="date")
def _date(value: Any, *, tz: str = "Europe/Copenhagen") -> datetime.date | str:
    """A Unix time or ISO text as the day in `tz`."""
    try:
        ZoneInfo(tz)
    except (KeyError, ValueError):
        raise TransformError(f"no time zone {tz}") from None
    return "" if is_empty(value) else to_date(value, tz)


@transform("join", takes_list=True)
def _join(value: Any, *, separator: str = ", ") -> str:
    """The elements of a list as one text."""
    listed = elements(value)
    return to_text(value) if listed is None else separator.join(to_text(item) for item in listed if not is_empty(item))


@transform("split")
def _split(value: Any, *, separator: str = ",", index: int = 0) -> str:
    """One part of a text, from 0; -1 is the last. No such part: empty."""
    parts = to_text(value).split(separator) if separator else [to_text(value)]
    return parts[index].strip() if -len(parts) <= index < len(parts) else ""


@transform("regex_extract")
def _regex_extract(value: Any, *, pattern: str) -> str:
    """The first group (else the whole) of the first match; no match: empty."""
    found = re.search(pattern, to_text(value))
    return "" if found is None else (found[1] if found.re.groups else found[0]) or ""


@transform("truncate", gives=None)
def _truncate(value: Any, *, length: int) -> str:
    """The first `length` characters, without a mark."""
    if length < 1:
        raise TransformError("length must be at least 1")
    return to_text(value)[:length]


@transform("lookup", gives="any")
def _lookup(value: Any, *, table: dict[str, Any], default: Any = None) -> Any:
    """The entry of `table` under the value as text; else `default`; else empty."""
    return table.get(to_text(value).strip(), default)


@transform("danish_cvr")
def _danish_cvr(value: Any) -> str:
    """A Danish VAT number (DK12345678, or 8 digits with the right check digit) as CVR number; anything else: empty."""
    text = re.sub(r"[\s.]", "", to_text(value)).upper()
    if re.fullmatch(r"DK[0-9]{8}", text):
        return text[2:]
    return text if re.fullmatch(r"[0-9]{8}", text) and cvr.is_valid(text) else ""
