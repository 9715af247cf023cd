"""Documents by what stands on them, or by whom they are for: what a person or another program made is found so.

Lists show the reference, the heading and the two text lines of a document and filter by them. The texts of its lines are
shown of a single document only, so nothing is found by those.
"""

import asyncio
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cloudify_pipeline.accounting.chart import Number
from cloudify_pipeline.accounting.mentions import marks, may_name
from cloudify_pipeline.ledgers.economic import filters, wire
from cloudify_pipeline.ledgers.economic.client import EconomicClient
from cloudify_pipeline.ledgers.economic.lookups import COLLECTIONS, fetch, fetch_calls
from cloudify_pipeline.ledgers.economic.records import NUMBER_OF, TEXTS, at, document_record
from cloudify_pipeline.ledgers.port import LedgerDocument, StoredKind

_PLACES = tuple((place, kind) for place, kind in COLLECTIONS if place != "/orders/archived")
"""Archived orders became something else, which stands in its own list."""


async def mentioning(client: EconomicClient, texts: Sequence[str]) -> list[LedgerDocument]:
    """Every document in whose :data:`TEXTS` one of `texts` stands as a word."""
    groups = _naming(texts)
    if not groups:
        return []
    # A whole list may be long; of it, only what a filter would have given is kept.
    marked = marks(texts)

    def named(item: Any) -> bool:
        return any(may_name(str(text), marked) for path in TEXTS if (text := at(item, path)))

    return await _listed(client, groups, named)


async def documents_of(client: EconomicClient, customers: Sequence[Number]) -> list[LedgerDocument]:
    """Every document of these customers."""
    groups = list(filters.numbered("customer.customerNumber", [int(number) for number in dict.fromkeys(customers)]))
    if not groups:
        return []
    wanted = {int(number) for number in customers}
    return await _listed(client, groups, lambda item: at(item, "customer.customerNumber") in wanted)


def mention_calls(texts: Sequence[str], stored: Mapping[StoredKind, int]) -> int:
    """How many reads :func:`mentioning` makes where about `stored` documents of each kind stand."""
    groups = _naming(texts)
    return sum(fetch_calls(groups, stored.get(kind, 0)) for _, kind in _PLACES)


def _naming(texts: Sequence[str]) -> list[str]:
    """Filters by which one of `texts` is contained in one of :data:`TEXTS`; a letter is asked for in both its forms."""
    normal = dict.fromkeys(wire.normal(text).strip() for text in texts if text.strip())
    forms = dict.fromkeys(form for text in normal for form in (text, unicodedata.normalize("NFD", text)))
    return list(filters.joined(filters.contains(path, form) for form in forms for path in TEXTS))


async def _listed(client: EconomicClient, groups: Sequence[str], keep: Callable[[Any], bool]) -> list[LedgerDocument]:
    listed = await asyncio.gather(*(fetch(client, place, NUMBER_OF[kind], groups, keep) for place, kind in _PLACES))
    return [document_record(kind, item) for (_, kind), items in zip(_PLACES, listed, strict=True) for item in items]
