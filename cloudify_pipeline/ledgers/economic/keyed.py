"""Documents that carry a key of ours: all of them, or those since an earlier look.

The growing collections are asked for what has a higher number than was seen, so a look costs a handful of calls however long the
ledger is.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cloudify_pipeline.ledgers.economic import filters
from cloudify_pipeline.ledgers.economic.client import EconomicClient
from cloudify_pipeline.ledgers.economic.lookups import COLLECTIONS, REFERENCE, fetch, settled
from cloudify_pipeline.ledgers.economic.records import NUMBER_OF, document_record
from cloudify_pipeline.ledgers.port import Keyed, LedgerDocument, StoredKind

LOOK_READS = len(COLLECTIONS)
"""Calls of a look, as long as no list is longer than a page."""


async def keyed_documents(client: EconomicClient, prefix: str, *, after: str | None = None) -> Keyed:
    """Every document whose reference begins with `prefix`, in its present place; of an archived order what it became.

    A booked number is given once and only goes up, so what was booked since the mark `after` has a higher one; an order that
    was archived before it was ever seen open likewise. Drafts and open orders are few, and are all read.
    """
    seen = _Mark.read(after)
    found = await _keyed(client, prefix, COLLECTIONS, seen)
    return Keyed(await _present(client, found), str(seen.beyond(found)))


async def unbooked_documents(client: EconomicClient, prefix: str, kinds: Collection[StoredKind]) -> list[LedgerDocument]:
    """The drafts and open orders of these `kinds` whose reference begins with `prefix`."""
    places = [(place, kind) for place, kind in COLLECTIONS if kind in kinds and place not in _GROWING]
    return [document for _, document in await _keyed(client, prefix, places, _Mark())]


_Found = list[tuple[str, LedgerDocument]]
"""(collection, document)."""


async def _keyed(client: EconomicClient, prefix: str, places: Sequence[tuple[str, StoredKind]], seen: "_Mark") -> _Found:
    found: _Found = []
    for collection, kind in places:
        number = NUMBER_OF[kind]
        where = filters.contains(REFERENCE, prefix) + seen.clause(collection, number)
        documents = (document_record(kind, item) for item in await fetch(client, collection, number, [where]))
        found += [(collection, document) for document in documents if document.key.startswith(prefix)]
    return found


async def _present(client: EconomicClient, found: _Found) -> list[LedgerDocument]:
    once: dict[tuple[str, Any], LedgerDocument] = {}
    for _, document in found:
        once.setdefault((document.kind, document.number), document)
    by_key: dict[str, list[LedgerDocument]] = {}
    for document in once.values():
        by_key.setdefault(document.key, []).append(document)
    return [document for several in by_key.values() for document in await settled(client, several)]


_GROWING = {"/invoices/booked": "booked", "/orders/archived": "archived"}
"""Collections that only ever grow, and what a mark calls them."""
_OVERLAP = 200
"""So many numbers before the mark are read again: two bookings at one moment may appear in either order."""


@dataclass(frozen=True, slots=True)
class _Mark:
    """The highest numbers that were seen: ``archived 55, booked 20188``."""

    numbers: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str | None) -> "_Mark":
        return cls({name: int(number) for name, number in re.findall(r"(booked|archived) (\d+)", text or "")})

    def clause(self, collection: str, own_number: str) -> str:
        """What is added to the filter of `collection`; nothing where all of it is asked for."""
        seen = self.numbers.get(_GROWING.get(collection, ""), 0) - _OVERLAP
        return f"$and:{own_number}$gt:{seen}" if seen > 0 else ""

    def beyond(self, found: _Found) -> "_Mark":
        """The mark after `found` was seen."""
        highest = dict(self.numbers)
        for collection, document in found:
            name = _GROWING.get(collection)
            if name is not None:
                highest[name] = max(highest.get(name, 0), int(document.number))
        return _Mark(highest)

    def __str__(self) -> str:
        return ", ".join(f"{name} {number}" for name, number in sorted(self.numbers.items()))
