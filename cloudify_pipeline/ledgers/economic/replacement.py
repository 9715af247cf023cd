"""Replacing a draft under its own number: a three-way merge of what we sent last, what is due now, and what stands there.

A PUT replaces everything, lines included, so whatever people added in the ledger has to be sent along, and what we once
wrote and no longer mean has to be left out (reference/economic.md §4, §6.6).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from cloudify_pipeline.ledgers.economic import wire
from cloudify_pipeline.ledgers.economic.filters import path
from cloudify_pipeline.ledgers.economic.records import at, not_kept, same
from cloudify_pipeline.ledgers.port import Write

_KEPT = (
    "date", "currency", "layout", "paymentTerms", "customer", "recipient", "deliveryLocation", "delivery", "notes", "references",
    "project",
)  # fmt: skip
"""Header fields that may be written back. The rate and the due date follow the date, which may be a new one."""

_OF_CUSTOMER = ("recipient.attention", "deliveryLocation", "references.customerContact")
"""They belong to the customer that stands in the draft, and mean nothing for another one."""

_LINE = ("lineNumber", "sortKey", "description", "accrual", "quantity", "unitNetPrice", "discountPercentage", "unitCostPrice")
_LINE_KEYS = {
    "unit": ("unitNumber",),
    "product": ("productNumber",),
    "departmentalDistribution": ("departmentalDistributionNumber", "distributionType"),
}
_BY_NUMBER = {"layout": "layoutNumber", "paymentTerms": "paymentTermsNumber", "customer": "customerNumber"}


def update_document(stored: Mapping[str, Any], wanted: Write, previous: bytes | None, number: int | str) -> Write | None:
    """PUT the draft that is `stored` as `wanted` (a create's exact request) says; None when it already agrees.

    `previous` is what we wrote last, or None when nobody knows. What we have not changed since keeps the words that people
    gave it in the ledger; what we no longer name is removed, unless people changed it.
    """
    want = wire.parse(wanted.body)
    base = {} if previous is None else wire.parse(previous)
    merged = _kept(stored)
    if not same(at(want, "customer.customerNumber"), at(stored, "customer.customerNumber")):
        for place in _OF_CUSTOMER:
            _remove(merged, place)
    removed = [place for place, value in _leaves(base) if at(want, place) is None and same(value, at(merged, place))]
    for place in removed:
        _remove(merged, place)
    for place, value in _leaves(want):
        untouched = at(base, place) is not None and same(at(base, place), value)
        if not (untouched and at(merged, place) is not None):
            _set(merged, place, value)
    stored_lines = [_line(line) for line in stored.get("lines") or ()]
    lines = stored_lines if base.get("lines") == want["lines"] else want["lines"]
    merged["lines"] = lines
    if not removed and len(lines) == len(stored_lines) and not any(not_kept(merged, stored)):
        return None
    collection = ("orders", "drafts") if wanted.path.startswith("/orders/") else ("invoices", "drafts")
    return Write("update_document", wanted.key, "PUT", path(*collection, number), wire.dump(merged))


def _kept(stored: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name in _KEPT:
        value = stored.get(name)
        if isinstance(value, Mapping):
            inner = {_BY_NUMBER[name]: value[_BY_NUMBER[name]]} if name in _BY_NUMBER else _without_links(value)
            if inner:
                kept[name] = inner
        elif value is not None:
            kept[name] = value
    # The server copies it from the customer; a draft cannot be given one.
    kept.get("recipient", {}).pop("cvr", None)
    return kept


def _line(stored: Mapping[str, Any]) -> dict[str, Any]:
    line = {name: stored[name] for name in _LINE if stored.get(name) is not None}
    for name, keys in _LINE_KEYS.items():
        inner = {key: stored[name][key] for key in keys if key in (stored.get(name) or {})}
        if inner:
            line[name] = inner
    return line


def _without_links(value: Mapping[str, Any]) -> dict[str, Any]:
    inner = {name: _without_links(one) if isinstance(one, Mapping) else one for name, one in value.items() if name != "self"}
    return {name: one for name, one in inner.items() if one not in (None, {})}


def _leaves(body: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted paths and values of a body's header."""
    for name, value in body.items():
        if prefix == "" and name == "lines":
            continue
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _set(body: dict[str, Any], place: str, value: Any) -> None:
    *parents, name = place.split(".")
    for parent in parents:
        body = body.setdefault(parent, {})
    body[name] = value


def _remove(body: dict[str, Any], place: str) -> None:
    *parents, name = place.split(".")
    for parent in parents:
        inner = body.get(parent)
        if not isinstance(inner, dict):
            return
        body = inner
    body.pop(name, None)
