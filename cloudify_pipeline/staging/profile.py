"""How well a mapping path is filled in what is staged: for choosing fields before anything is sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import duckdb

from cloudify_pipeline.mapping.paths import parse_path
from cloudify_pipeline.staging.reading import newest, objects
from cloudify_pipeline.stripe_objects import Kind

SampledKind = Literal["customer", "product", "invoice", "line", "charge"]

SAMPLE_SIZE = 1000
"""Newest records that are looked at: what is filled today says more than what was ten years ago."""


@dataclass(frozen=True, slots=True)
class FieldProfile:
    """One path: the share of records with a value (None without records), and some different values, newest first."""

    fill_rate: float | None
    samples: tuple[Any, ...]


def profile(
    connection: duckdb.DuckDBPyConnection, kind: SampledKind, paths: Sequence[str], limit: int
) -> dict[str, FieldProfile]:
    """Read each path in the newest records of `kind`, joined as mappings see them.

    Raises:
        SettingsError: a path is not written as paths are.
    """
    records = _records(connection, kind)
    found: dict[str, FieldProfile] = {}
    for path in paths:
        parsed = parse_path(path)
        values = [value for value in (parsed.read(record) for record in records) if value not in (None, "", [], {})]
        rate = len(values) / len(records) if records else None
        found[path] = FieldProfile(rate, tuple(_different(values, limit)))
    return found


def _records(connection: duckdb.DuckDBPyConnection, kind: SampledKind) -> list[dict[str, Any]]:
    if kind == "line":
        lines = [
            line
            for invoice in newest(connection, "invoice", SAMPLE_SIZE)
            for line in (invoice.get("lines") or {}).get("data") or ()
        ]
        products = _named(connection, "product", [_price_details(line).get("product") for line in lines])
        prices = _named(connection, "price", [_price_details(line).get("price") for line in lines])
        return [
            {
                **line,
                "product": products.get(_price_details(line).get("product")),
                "price": prices.get(_price_details(line).get("price")),
            }
            for line in lines
        ]
    records = newest(connection, kind, SAMPLE_SIZE)
    if kind != "invoice":
        return records
    customers = _named(connection, "customer", [record.get("customer") for record in records])
    return [{**record, "customer": customers.get(record.get("customer"))} for record in records]


def _named(connection: duckdb.DuckDBPyConnection, kind: Kind, ids: Sequence[str | None]) -> dict[str | None, dict[str, Any]]:
    return dict(objects(connection, kind, [one for one in ids if one]).items())


def _price_details(line: dict[str, Any]) -> dict[str, Any]:
    return (line.get("pricing") or {}).get("price_details") or {}


def _different(values: Sequence[Any], limit: int) -> list[Any]:
    different: list[Any] = []
    for value in values:
        if len(different) == limit:
            break
        if value not in different:
            different.append(value)
    return different
