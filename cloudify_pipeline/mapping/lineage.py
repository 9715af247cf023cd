"""Where a mapped value came from."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where one value came from: ledger field, Stripe path, raw value, transforms, result, and what was cleaned."""

    target: str
    source: str
    raw: str
    transforms: tuple[str, ...]
    result: str
    cleaned: tuple[str, ...] = ()
