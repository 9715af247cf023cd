"""Customers and products as they stand in a ledger, and the questions by which they are found."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cloudify_pipeline.accounting.chart import Number
from cloudify_pipeline.accounting.documents import FieldValue


@dataclass(frozen=True, slots=True)
class Lookup:
    """One question: the records whose `field` (catalogue path; ``number`` is the record's own key) equals `value`."""

    field: str
    value: str


@dataclass(frozen=True, slots=True)
class LedgerRecord:
    """A customer or product as it stands in the ledger: its values by catalogue path, and the whole answer in `raw`."""

    number: Number
    name: str
    barred: bool
    fields: Mapping[str, FieldValue]
    group: Number | None = None
    vat_zone: Number | None = None
    """A customer's own VAT zone, payment terms and layout, where the ledger tells them."""
    payment_terms: Number | None = None
    layout: Number | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False)


Candidates = Mapping[Lookup, tuple[LedgerRecord, ...]]
"""What the ledger answered to each question. Servers compare loosely: whoever uses a hit checks equality again."""
