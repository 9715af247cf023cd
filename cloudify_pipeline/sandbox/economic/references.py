"""References between resources: resolving what a body points at, and the links an answer shows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cloudify_pipeline.sandbox.economic.errors import ROOT, Findings, Json, Path
from cloudify_pipeline.sandbox.economic.store import EconomicStore, Key

# e-conomic's own encoding of a key in a path, applied before the ordinary one.
_CODES = dict(zip("<>*%:&/\\_ ?.#+", range(14), strict=True))
_LINKS: Mapping[str, tuple[str, str]] = {
    "customer": ("customers", "customerNumber"),
    "customerGroup": ("customer-groups", "customerGroupNumber"),
    "paymentTerms": ("payment-terms", "paymentTermsNumber"),
    "vatZone": ("vat-zones", "vatZoneNumber"),
    "layout": ("layouts", "layoutNumber"),
    "product": ("products", "productNumber"),
    "productGroup": ("product-groups", "productGroupNumber"),
    "unit": ("units", "unitNumber"),
    "account": ("accounts", "accountNumber"),
    "salesAccount": ("accounts", "accountNumber"),
    "vatAccount": ("vat-accounts", "vatCode"),
    "vatType": ("vat-types", "vatTypeNumber"),
    "salesPerson": ("employees", "employeeNumber"),
    "vendorReference": ("employees", "employeeNumber"),
}


@dataclass(frozen=True, slots=True)
class Reference:
    """A property that names another record; `code` is the error code when that record does not exist."""

    field: str
    kind: str
    key: str
    code: str = "E06000"
    title: str = ""


def encoded(key: Key) -> str:
    """`key` as e-conomic writes it in a path: ``My Product_5%`` is ``My_9_Product_8_5_3_``."""
    return "".join(f"_{_CODES[character]}_" if character in _CODES else character for character in str(key))


def decoded(part: str) -> str:
    """The key behind a path part written with :func:`encoded`."""
    characters = {f"_{number}_": character for character, number in _CODES.items()}
    key, at = "", 0
    while at < len(part):
        end = part.find("_", at + 1) if part[at] == "_" else -1
        code = part[at : end + 1] if end > 0 else ""
        if code in characters:
            key, at = key + characters[code], end + 1
        else:
            key, at = key + part[at], at + 1
    return key


def resolve(store: EconomicStore, reference: Reference, holder: Json, path: Path, findings: Findings) -> Json | None:
    """The record that `holder` points at, by number or by ``self``; a dangling reference is a finding. Tidies the reference."""
    here, sent = (*path, reference.field), holder[reference.field]
    key: Any = sent.get(reference.key)
    if key is None and "self" in sent:
        part = decoded(sent["self"].rstrip("/").rsplit("/", 1)[-1])
        key = part if reference.kind in ("products", "currencies") else int(part) if part.isdigit() else 0
    listed = f"Find a list of {reference.kind} at {ROOT}/{reference.kind} ."
    if key is None:
        message = f"No identifiers present on {reference.field}. Please include either a self link or a {reference.key}."
        findings.add(here, message, "E04500", hint=listed)
        return None
    record = store.get(reference.kind, key)
    if record is None:
        title = reference.title or reference.field[0].upper() + reference.field[1:]
        findings.add(here, f"{title} '{key}' not found.", reference.code, key, listed)
        return None
    holder[reference.field] = {reference.key: record[reference.key]}
    return record


def linked(value: Any, base: str) -> Any:
    """`value` with a ``self`` link on every reference in it."""
    if isinstance(value, list):
        return [linked(item, base) for item in value]
    if not isinstance(value, dict):
        return value
    shown = {}
    for name, inner in value.items():
        shown[name] = linked(inner, base)
        kind, key = _LINKS.get(name, ("", ""))
        if kind and isinstance(inner, dict) and key in inner:
            shown[name]["self"] = f"{base}/{kind}/{encoded(inner[key])}"
    return shown
