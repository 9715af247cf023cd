"""What can be mapped: Stripe's fields with fill rate and samples from staging, and the ledger's with their limits."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cloudify_pipeline.mapping.fields import Field, FieldCatalogue
from cloudify_pipeline.settings.load import Catalogues
from cloudify_pipeline.staging.profile import SampledKind
from cloudify_pipeline.staging.store import Staging

SAMPLES = 3

_STAGED: Mapping[str, SampledKind] = {
    "customers": "customer",
    "products": "product",
    "invoices": "invoice",
    "lines": "line",
    "charges": "charge",
}
_DIFFERENT_METADATA = 200
"""How many different sets of metadata are looked through for keys."""

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class StripeField:
    """A Stripe path, written as a mapping takes it. `fill_rate` is 0 to 1, None when nothing is staged."""

    path: str
    type: str
    description: str
    fill_rate: float | None = None
    samples: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class LedgerField:
    """A ledger field. `reserved` is why no mapping may write it; `searchable`: customers and products can be matched on it."""

    path: str
    type: str
    description: str
    required: bool
    searchable: bool
    max_length: int | None
    decimals: int | None
    allowed: tuple[str, ...]
    reserved: str | None


@dataclass(frozen=True, slots=True)
class Mappable:
    """Both sides, by section: customers, products, invoices/documents, lines, charges."""

    stripe: Mapping[str, tuple[StripeField, ...]]
    ledger: Mapping[str, tuple[LedgerField, ...]]


def mappable(catalogues: Catalogues, staging: Staging | None = None) -> Mappable:
    """Everything that can be mapped; with `staging`, how well it is filled there, and the metadata keys that occur."""
    return Mappable(
        stripe={name: _stripe_fields(name, fields, staging) for name, fields in catalogues.stripe.items()},
        ledger={name: tuple(map(_ledger_field, fields.values())) for name, fields in catalogues.ledger.items()},
    )


def metadata_path(root: str, key: str) -> str:
    """The path of a metadata key: quoted where it is not plain (``metadata."order ref"``)."""
    return f"{root}.{key}" if _PLAIN_KEY.fullmatch(key) else f'{root}."{key}"'


def _stripe_fields(name: str, fields: FieldCatalogue, staging: Staging | None) -> tuple[StripeField, ...]:
    known = [StripeField(field.path, field.type, field.description) for field in fields.values() if field.type != "object"]
    kind = _STAGED.get(name)
    if staging is None or kind is None:
        return tuple(known)
    seen = [StripeField(path, "text", "seen in the staged records") for path in _metadata_paths(fields, staging, kind)]
    wanted = [*known, *(field for field in seen if field.path not in fields)]
    profiles = staging.profile(kind, [field.path for field in wanted], limit=SAMPLES)
    return tuple(
        StripeField(field.path, field.type, field.description, profile.fill_rate, profile.samples)
        for field in wanted
        if (profile := profiles[field.path])
    )


def _metadata_paths(fields: FieldCatalogue, staging: Staging, kind: SampledKind) -> Sequence[str]:
    """Paths of the metadata keys that occur in staging, below every open path of the catalogue."""
    paths: dict[str, None] = {}
    for root in sorted(fields.open_paths):
        for value in staging.samples(kind, root, _DIFFERENT_METADATA):
            if isinstance(value, Mapping):
                paths.update((metadata_path(root, str(key)), None) for key in sorted(value))
    return list(paths)


def _ledger_field(field: Field) -> LedgerField:
    return LedgerField(
        path=field.path,
        type=field.type,
        description=field.description,
        required=field.required,
        searchable=field.filterable,
        max_length=field.max_length,
        decimals=field.decimals,
        allowed=field.allowed,
        reserved=field.reserved or (None if field.writable else "it is read-only in the ledger"),
    )
