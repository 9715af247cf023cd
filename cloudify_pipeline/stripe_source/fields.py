"""The Stripe fields that a mapping may name: `CATALOGUES`, by the section of the connection file.

Names and types are those of API version 2026-10-28 (``fields.json``); the words are our own (``words.json``). Joined
objects are part of their owner: an invoice has its customer's fields, a line its product's and price's.
"""

import json
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

from cloudify_pipeline.mapping.fields import Field, FieldCatalogue

_TAX_IDS = ("tax_ids", "customer_tax_ids")
_OPEN = ("metadata", "custom_fields")
"""Below these any name is allowed: whoever runs the account invents them."""
_JOINED = {"invoices": ("customer",), "charges": ("customer",), "lines": ("product", "price")}


def _load(name: str) -> Any:
    return json.loads(resources.files(__package__).joinpath(name).read_text(encoding="utf-8"))


def _catalogue(
    name: str, objects: Mapping[str, Mapping[str, str]], tax_id_types: list[str], words: Mapping[str, str]
) -> FieldCatalogue:
    types = dict(objects[name])
    for joined in _JOINED.get(name, ()):
        types[joined] = "object"
        types |= {f"{joined}.{path}": kind for path, kind in objects[f"{joined}s"].items()}
    for path in [path for path in types if path.rsplit(".", maxsplit=1)[-1] in _TAX_IDS]:
        types |= {f"{path}.{kind}": "text" for kind in tax_id_types}
    opened = [path for path in types if path.rsplit(".", maxsplit=1)[-1] in _OPEN]
    return FieldCatalogue(name, _fields(types, words), open_paths=opened)


def _fields(types: Mapping[str, str], words: Mapping[str, str]) -> Iterator[Field]:
    for path, kind in sorted(types.items()):
        yield Field(path, kind, describe(path, words))  # type: ignore[arg-type]


def describe(path: str, words: Mapping[str, str]) -> str:
    """A few words for `path`: those written for it or for its last part, after what it belongs to."""
    if path in words:
        return words[path]
    owner, _, last = path.rpartition(".")
    if owner.endswith(_TAX_IDS):
        return f"Tax number of type {last}"
    text = words.get(last) or last.replace("_", " ").capitalize()
    return f"{describe(owner, words)}: {text[0].lower()}{text[1:]}" if owner else text


def _build() -> dict[str, FieldCatalogue]:
    data = _load("fields.json")
    words: dict[str, str] = _load("words.json")
    names = ("customers", "products", "invoices", "lines", "charges")
    return {name: _catalogue(name, data["objects"], data["tax_id_types"], words) for name in names}


CATALOGUES: dict[str, FieldCatalogue] = _build()
"""``customers``, ``products``, ``invoices``, ``lines`` and ``charges``."""
