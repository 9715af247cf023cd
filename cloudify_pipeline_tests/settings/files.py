"""A connection file to begin with, and made-up catalogues."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from cloudify_pipeline.errors import SettingsError
from cloudify_pipeline.mapping.fields import Field, FieldCatalogue
from cloudify_pipeline.settings.load import Catalogues, LoadedConnection, load_settings

SMALLEST: dict[str, Any] = {
    "stripe": {"api_key": {"env": "STRIPE_API_KEY"}},
    "ledger": "economic",
    "economic": {"app_secret_token": {"env": "APP_TOKEN"}, "agreement_grant_token": {"file": "grant"}},
    "customers": {"defaults": {"payment_terms": 1, "group": 1}},
    "products": {"defaults": {"group": 1}},
}

_CUSTOMER = [Field("name", "text"), Field("email", "email"), Field("id", "text"), Field("phone", "phone")]
CATALOGUES = Catalogues(
    ledger={
        "customers": FieldCatalogue(
            "ledger customer",
            [
                Field("name", "text", max_length=255, required=True, filterable=True),
                Field("email", "email", filterable=True),
                Field("phone", "phone"),
            ],
        ),
        "products": FieldCatalogue("ledger product", [Field("name", "text", required=True, filterable=True)]),
        "documents": FieldCatalogue(
            "ledger document",
            [
                Field("notes.heading", "text", max_length=250),
                Field("exchangeRate", "decimal"),
                Field("references.other", "text", reserved="it holds the durable key"),
                Field("lines.description", "text", max_length=2500),
            ],
        ),
    },
    premapped={
        "customers": {"name": ["name", "id"], "email": "email"},
        "products": {"name": "name"},
        "documents": {"notes.heading": {"template": "Stripe invoice {number}"}},
        "charges": {"notes.heading": {"template": "Stripe payment {id}"}},
        "lines": {"description": "description"},
    },
    stripe={
        "customers": FieldCatalogue("Stripe customer", _CUSTOMER, open_paths=("metadata",)),
        "products": FieldCatalogue("Stripe product", [Field("name", "text"), Field("id", "text")], open_paths=("metadata",)),
        "invoices": FieldCatalogue("Stripe invoice", [Field("number", "text")], open_paths=("metadata",)),
        "lines": FieldCatalogue("Stripe line", [Field("description", "text")], open_paths=("metadata", "price.metadata")),
        "charges": FieldCatalogue("Stripe charge", [Field("id", "text")], open_paths=("metadata",)),
    },
)


def changed(**values: Any) -> dict[str, Any]:
    """The smallest file with other values; ``customers__match=…`` stands for ``customers: {match: …}``."""
    file = copy.deepcopy(SMALLEST)
    for key, value in values.items():
        *parents, last = key.split("__")
        inside = file
        for parent in parents:
            inside = inside.setdefault(parent, {})
        inside[last] = value
    return file


def load(folder: Path, content: Mapping[str, Any] | str, *, catalogues: Catalogues | None = CATALOGUES) -> LoadedConnection:
    """Write the file and load it."""
    path = folder / "acme.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(dict(content), sort_keys=False), encoding="utf-8")
    return load_settings(path, catalogues=catalogues)


def refused(folder: Path, content: Mapping[str, Any] | str) -> dict[str, str]:
    """What the file is refused for, by key."""
    try:
        load(folder, content)
    except SettingsError as error:
        return {problem.key.partition(" (line")[0]: f"{problem.found}; {problem.allowed}" for problem in error.problems}
    return {}
