"""Finding records and documents with the fewest calls: filters for a few, whole lists of 1,000 for many.

Fair use is 50,000 calls a day for an agreement (performance.md §3): ten thousand customers are ten pages, not as many filters.
"""

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from cloudify_pipeline.accounting.documents import carries
from cloudify_pipeline.accounting.parties import Candidates, LedgerRecord, Lookup
from cloudify_pipeline.ledgers.economic import filters, wire
from cloudify_pipeline.ledgers.economic.client import PAGE, EconomicClient
from cloudify_pipeline.ledgers.economic.fields import CUSTOMER_FIELDS, NUMBER, PRODUCT_FIELDS
from cloudify_pipeline.ledgers.economic.records import NUMBER_OF, customer_record, document_record, product_record
from cloudify_pipeline.ledgers.port import LedgerDocument, StoredKind
from cloudify_pipeline.mapping.fields import FieldCatalogue

REFERENCE = "references.other"

COLLECTIONS: tuple[tuple[str, StoredKind], ...] = (
    # In the order in which a document moves on, so that one that moves while it is looked for is met at least once.
    ("/orders/drafts", "draft_order"),
    ("/orders/sent", "draft_order"),
    ("/orders/archived", "draft_order"),
    ("/invoices/drafts", "draft_invoice"),
    ("/invoices/booked", "booked_invoice"),
)


@dataclass(frozen=True, slots=True)
class Kind:
    """What is looked for: its collection, the name of its key, its fields, and how an item is read."""

    collection: str
    own_number: str
    catalogue: FieldCatalogue
    read: Callable[[Mapping[str, Any]], LedgerRecord]


CUSTOMERS = Kind("/customers", "customerNumber", CUSTOMER_FIELDS, customer_record)
PRODUCTS = Kind("/products", "productNumber", PRODUCT_FIELDS, product_record)


async def records(client: EconomicClient, kind: Kind, lookups: Sequence[Lookup]) -> Candidates:
    """Candidates for each of `lookups` among the records of `kind`, in the order of their keys."""
    catalogue, own_number = kind.catalogue, kind.own_number
    askable = [lookup for lookup in dict.fromkeys(lookups) if _comparable(catalogue, lookup) is not None]
    if not askable:
        return dict.fromkeys(lookups, ())
    groups = list(_filters(catalogue, own_number, askable))
    # A field that cannot be searched needs the whole list, and then the list answers everything.
    whole = any(not catalogue[lookup.field].filterable for lookup in askable)
    items = await fetch(client, kind.collection, own_number, [None] if whole else groups)
    found: dict[tuple[str, str], list[LedgerRecord]] = {}
    fields = {lookup.field for lookup in askable}
    for item in items:
        record = kind.read(item)
        for field in fields:
            if field in record.fields:
                found.setdefault((field, _folded(record.fields[field])), []).append(record)
    return {lookup: tuple(found.get((lookup.field, _comparable(catalogue, lookup) or ""), ())) for lookup in lookups}


def record_calls(kind: Kind, lookups: Sequence[Lookup], stored: int) -> int:
    """How many reads :func:`records` makes where about `stored` records stand."""
    askable = [lookup for lookup in dict.fromkeys(lookups) if _comparable(kind.catalogue, lookup) is not None]
    return fetch_calls(list(_filters(kind.catalogue, kind.own_number, askable)), stored)


async def documents(client: EconomicClient, keys: Sequence[str]) -> Mapping[str, tuple[LedgerDocument, ...]]:
    """Every document whose reference is one of `keys`, or begins with one and goes on with an account or revision."""
    wanted = [key for key in dict.fromkeys(keys) if key.strip()]
    found: dict[str, list[LedgerDocument]] = {key: [] for key in wanted}
    if not wanted:
        return {}
    groups = list(filters.joined(filters.contains(REFERENCE, key) for key in wanted))
    for collection, kind in COLLECTIONS:
        archived = collection == "/orders/archived"
        for item in await fetch(client, collection, NUMBER_OF[kind], list(groups)):
            document = document_record(kind, item)
            for key in carried(document.key, found):
                if not (archived and document.number in {other.number for other in found[key]}):
                    found[key].append(document)
    return {key: tuple(await settled(client, documents)) for key, documents in found.items()}


async def documents_dated(client: EconomicClient, first: date, last: date, kinds: Sequence[StoredKind]) -> list[LedgerDocument]:
    """Every document of these `kinds` and days, both included. Archived orders became something else, and are left out."""
    places = [(place, kind) for place, kind in COLLECTIONS if kind in kinds and place != "/orders/archived"]
    where = filters.between("date", first, last)
    listed = await asyncio.gather(*(fetch(client, place, NUMBER_OF[kind], [where]) for place, kind in places))
    return [document_record(kind, item) for (_, kind), items in zip(places, listed, strict=True) for item in items]


def carried(reference: str, keys: Mapping[str, Any]) -> list[str]:
    """Those of `keys` that `reference` is, or begins with before a separator: ``stripe:in_12`` does not carry ``stripe:in_1``.

    An account or a revision may follow the key. Whole lists are long, so prefixes are looked up, not keys compared.
    """
    reference = reference.strip()
    cuts = [index for index, char in enumerate(reference) if index and not char.isalnum()]
    prefixes = (*(reference[:cut] for cut in cuts), reference)
    return [prefix for prefix in prefixes if prefix in keys and carries(reference, prefix)]


async def settled(client: EconomicClient, documents: list[LedgerDocument]) -> list[LedgerDocument]:
    """`documents` without those that moved on while they were read: one document is not two."""
    kinds = {document.kind for document in documents}
    if len(documents) < 2 or len(kinds) < 2:
        return documents
    still = await asyncio.gather(*(_stands(client, document) for document in documents))
    return [document for document, stands in zip(documents, still, strict=True) if stands] or documents


async def _stands(client: EconomicClient, document: LedgerDocument) -> bool:
    if document.kind == "booked_invoice":
        return True
    # An order that became an invoice is archived with the same reference: the invoice is the document then.
    place = ("invoices", "drafts") if document.kind == "draft_invoice" else ("orders", "drafts")
    if await client.read(filters.path(*place, document.number), tolerate={404}) is not None:
        return True
    if document.kind == "draft_invoice":
        return False
    return await client.read(filters.path("orders", "sent", document.number), tolerate={404}) is not None


async def fetch(
    client: EconomicClient,
    collection: str,
    own_number: str,
    groups: Sequence[str | None],
    keep: Callable[[Any], bool] | None = None,
) -> list[Any]:
    """The items of `collection` that answer all `groups` of filters, once each, by key. None in `groups`: the whole list.

    What `keep` does not want of a whole list is not held in memory.
    """

    async def listed(where: str | None) -> tuple[list[Any], int]:
        return await client.items(collection, where=where, sort=own_number, keep=keep)

    first, total = await listed(groups[0])
    rest = groups[1:]
    if rest and math.ceil(total / PAGE) < len(rest):
        answers = [(await listed(None))[0]]
    else:
        answers = [first, *(items for items, _ in await asyncio.gather(*map(listed, rest)))]
    unique = {item[own_number]: item for items in answers for item in items}
    return [unique[number] for number in sorted(unique)]


def fetch_calls(groups: Sequence[str], stored: int) -> int:
    """How many reads :func:`fetch` makes of a list of about `stored` items, where no answer is longer than a page."""
    return min(len(groups), 1 + max(1, math.ceil(stored / PAGE)))


def _filters(catalogue: FieldCatalogue, own_number: str, lookups: Sequence[Lookup]) -> Iterable[str]:
    numbers = [
        int(lookup.value)
        for lookup in lookups
        if catalogue[lookup.field].type == "integer" and lookup.field in {NUMBER, own_number}
    ]
    yield from filters.numbered(own_number, dict.fromkeys(numbers))
    others = (
        lookup for lookup in lookups if not (catalogue[lookup.field].type == "integer" and lookup.field in {NUMBER, own_number})
    )
    yield from filters.joined(
        filters.equals(own_number if lookup.field == NUMBER else lookup.field, wire.normal(lookup.value).strip())
        for lookup in others
    )


def _comparable(catalogue: FieldCatalogue, lookup: Lookup) -> str | None:
    """The value of `lookup` in the form that hits are compared in; None when no record can have it."""
    field = catalogue.get(lookup.field)
    text = wire.normal(lookup.value).strip()
    if field is None or not text or (field.max_length is not None and len(text) > field.max_length):
        return None
    if field.type == "integer":
        # Out of range is a 400 from the server, and one bad number would spoil the whole group.
        fits = text.isascii() and text.isdigit() and (field.minimum or 0) <= int(text) <= (field.maximum or 2**31 - 1)
        return str(int(text)) if fits else None
    if field.type == "decimal":
        try:
            return _folded(Decimal(text))
        except (InvalidOperation, TypeError):
            return None
    if field.type == "boolean":
        return text.lower() if text.lower() in {"true", "false"} else None
    return _folded(text)


def _folded(value: object) -> str:
    """A value as the server compares it: without regard to case; numbers by value."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal):
        return wire.plain(value)
    return wire.normal(str(value)).strip().casefold()
