"""Secrets are named in the connection file, never written there: ``{env: NAME}`` or ``{file: PATH}``.

A :class:`Secret` knows where its value is and reads it only when asked; printing, comparing or dumping it shows the
reference alone. A literal in the file is refused, and the literal itself is never repeated in the message.
"""

import os
from pathlib import Path
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from cloudify_pipeline.errors import SettingsError, SettingsProblem

_LITERALS = ("sk_", "rk_", "whsec_")
"""How Stripe's keys begin: a key written where its variable's name belongs would be shown as a name."""


def looks_secret(text: str) -> bool:
    """Whether `text` is a key of Stripe's that stands where none belongs."""
    return text.strip().startswith(_LITERALS)


class Secret:
    """A reference to a secret value: the environment variable or file that holds it."""

    __slots__ = ("kind", "name")

    def __init__(self, kind: str, name: str) -> None:
        self.kind = kind
        self.name = name

    def reveal(self, key: str = "secret") -> str:
        """The value itself, for a client's header. `key` names the setting in the error.

        Raises:
            SettingsError: the variable or file is missing or empty, or holds more than one line.
        """
        if self.kind == "env":
            value = os.environ.get(self.name, "").strip()
            allowed = f"set the environment variable {self.name}"
        else:
            path = Path(self.name)
            value = path.read_text(encoding="utf-8").strip() if path.is_file() else ""
            allowed = f"the file {self.name} must exist and hold the value"
        if not value:
            raise SettingsError("connection", [SettingsProblem(key, "no value", allowed)])
        if not value.isprintable():
            # A header with such a value is refused in words that repeat it.
            found, allowed = "a value of several lines or with control characters", f"{allowed} on one line"
            raise SettingsError("connection", [SettingsProblem(key, found, allowed)])
        return value

    def __repr__(self) -> str:
        return f"{{{self.kind}: {self.name}}}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and (self.kind, self.name) == (other.kind, other.name)

    def __hash__(self) -> int:
        return hash((self.kind, self.name))

    @classmethod
    def _parse(cls, value: Any) -> "Secret":
        if isinstance(value, cls):
            return value
        if isinstance(value, dict) and len(value) == 1:
            (kind, name), *_ = value.items()
            if kind in {"env", "file"} and isinstance(name, str) and name and not name.startswith(_LITERALS):
                return cls(str(kind), name)
            value = name
        kind_code = "secret_literal" if isinstance(value, str) else "secret_reference"
        raise PydanticCustomError(kind_code, "a secret is never written here: use {{env: NAME}} or {{file: PATH}}")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Pydantic's hook: parse the reference, dump the reference."""
        return core_schema.no_info_plain_validator_function(
            cls._parse, serialization=core_schema.plain_serializer_function_ser_schema(lambda s: {s.kind: s.name})
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The JSON Schema that editors use."""
        one = {"type": "object", "additionalProperties": False}
        return {
            "description": "A secret: the environment variable or file that holds it, never the value.",
            "oneOf": [
                {**one, "properties": {"env": {"type": "string"}}, "required": ["env"]},
                {**one, "properties": {"file": {"type": "string"}}, "required": ["file"]},
            ],
        }
