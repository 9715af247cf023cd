"""A ledger in memory behind the port: it numbers, stores and books, and can lose answers on command."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Literal

from cloudify_pipeline.accounting.chart import Chart, Number
from cloudify_pipeline.accounting.documents import FieldValue, SalesDocument, Totals
from cloudify_pipeline.accounting.parties import Candidates, LedgerRecord, Lookup
from cloudify_pipeline.errors import NotSent, OutcomeUnknown, Refused
from cloudify_pipeline.ledgers.port import (
    Answer,
    CustomerWrite,
    Keyed,
    LedgerDocument,
    LedgerIdentity,
    ProductWrite,
    Requests,
    SalesEntry,
    StoredKind,
    Write,
)
from cloudify_pipeline.mapping.fields import FieldCatalogue

NOTHING = FieldCatalogue("nothing", [])


class Killed(BaseException):
    """The process ends here."""


@dataclass
class Fault:
    """What happens to the next write of `operation`: at `when` (before, after the commit), `how`."""

    operation: str
    when: str
    how: Callable[[], BaseException]


@dataclass
class FakeLedger:
    """State, an idempotency cache, and a log of sent writes."""

    name: str = "fake"
    idempotency_window: timedelta = timedelta(minutes=50)
    daily_calls: int | None = None
    look_reads: int = 1
    stored_customers: dict[int, LedgerRecord] = field(default_factory=dict)
    stored_products: dict[str, LedgerRecord] = field(default_factory=dict)
    stored: dict[tuple[str, int], LedgerDocument] = field(default_factory=dict)
    sent: list[Write] = field(default_factory=list)
    lookups: int = 0
    faults: list[Fault] = field(default_factory=list)
    extra_gross: Decimal = Decimal(0)
    dropped: tuple[str, ...] = ()
    requests: Requests = field(default_factory=Requests)
    contents: dict[tuple[str, int], dict[str, object]] = field(default_factory=dict)
    """What each document says: the body of its create, with what people wrote over it."""
    remembers_refusals: bool = False
    late: Write | None = None
    """A write that is on its way and arrives before the next one."""
    keys: dict[Write, str] = field(default_factory=dict)
    _cache: dict[str, Answer] = field(default_factory=dict)
    _refused: dict[str, Refused] = field(default_factory=dict)
    _documents: dict[str, SalesDocument] = field(default_factory=dict)

    @property
    def customer_fields(self) -> FieldCatalogue:
        return NOTHING

    @property
    def product_fields(self) -> FieldCatalogue:
        return NOTHING

    @property
    def document_fields(self) -> FieldCatalogue:
        return NOTHING

    async def identify(self) -> LedgerIdentity:
        return LedgerIdentity("1", "Nordlys", "DKK")

    @property
    def known_chart(self) -> Chart | None:
        return None

    async def chart(self) -> Chart:
        raise AssertionError("posting never reads the chart")

    async def customers(self, lookups: Sequence[Lookup]) -> Candidates:
        self.lookups += 1
        return {lookup: _hits(lookup, self.stored_customers.values()) for lookup in lookups}

    async def products(self, lookups: Sequence[Lookup]) -> Candidates:
        self.lookups += 1
        return {lookup: _hits(lookup, self.stored_products.values()) for lookup in lookups}

    async def documents(self, keys: Sequence[str]) -> Mapping[str, tuple[LedgerDocument, ...]]:
        self.lookups += 1
        return {key: tuple(d for d in self.stored.values() if d.key == key) for key in keys}

    async def document(self, kind: StoredKind, number: Number) -> LedgerDocument | None:
        return self.stored.get((kind, int(number)))

    def create_customer(self, customer: CustomerWrite) -> Write:
        body = {"name": customer.name, "number": customer.number, "fields": {k: str(v) for k, v in customer.fields.items()}}
        return _write("create_customer", f"customer:{customer.stripe_id}", body)

    async def update_customer(self, number: Number, fields: Mapping[str, FieldValue], *, key: str) -> Write | None:
        present = self.stored_customers[int(number)]
        if all(present.fields.get(path) == value for path, value in fields.items()):
            return None
        return _write("update_customer", key, {"number": number, "fields": {k: str(v) for k, v in fields.items()}})

    def create_product(self, product: ProductWrite) -> Write:
        return _write("create_product", f"product:{product.stripe_id}", {"name": product.name, "number": product.number})

    async def update_product(self, number: str, fields: Mapping[str, FieldValue], *, key: str) -> Write | None:
        return _write("update_product", key, {"number": number, "fields": {k: str(v) for k, v in fields.items()}})

    def create_document(
        self, document: SalesDocument, customer: Number, products: Mapping[str, str], *, layout: Number | None = None
    ) -> Write:
        self._documents[document.key] = document
        texts = {path: str(value) for path, value in document.fields.items()}
        body = {"customer": customer, "products": dict(sorted(products.items())), "total": str(document.stripe_total), **texts}
        return _write("create_document", document.key, body)

    async def update_document(self, stored: LedgerDocument, wanted: Write, *, previous: bytes | None) -> Write | None:
        place = (stored.kind, int(stored.number))
        if place not in self.stored:
            raise Refused("it is gone", code="E-GONE", status=404)
        want, base, now = json.loads(wanted.body), json.loads(previous or b"{}"), self.contents[place]
        merged = {**now, **{path: value for path, value in want.items() if base.get(path) != value}}
        merged = {path: value for path, value in merged.items() if path in want or path not in base}
        if merged == now:
            return None
        return _write("update_document", wanted.key, {"number": stored.number, "kind": stored.kind, "body": merged})

    async def keyed_documents(self, prefix: str, *, after: str | None = None) -> Keyed:
        self.lookups += 1
        return Keyed([document for document in self.stored.values() if document.key.startswith(prefix)], "all")

    async def unbooked_documents(self, prefix: str, kinds: Collection[StoredKind]) -> Sequence[LedgerDocument]:
        self.lookups += 1
        return [one for one in self.stored.values() if one.kind in kinds and one.key.startswith(prefix)]

    async def documents_dated(self, first: date, last: date, kinds: Sequence[StoredKind]) -> Sequence[LedgerDocument]:
        found = (d for d in self.stored.values() if d.kind in kinds)
        return [document for document in found if document.date is not None and first <= document.date <= last]

    def lookup_calls(self, kind: Literal["customer", "product"], lookups: Sequence[Lookup], stored: int) -> int:
        return 1

    def made_by(self, write: Write, record: LedgerRecord) -> bool:
        body = json.loads(write.body)
        same_fields = all(record.fields.get(path) == value for path, value in body.get("fields", {}).items())
        return same_fields and record.name == body["name"] and body["number"] in {None, record.number}

    async def mentioning(self, texts: Sequence[str]) -> Sequence[LedgerDocument]:
        return [one for one in self.stored.values() if any(text.lower() in said.lower() for text in texts for said in one.texts)]

    def mention_calls(self, texts: Sequence[str], stored: Mapping[StoredKind, int]) -> int:
        return 1

    async def documents_of(self, customers: Sequence[Number]) -> Sequence[LedgerDocument]:
        return [one for one in self.stored.values() if one.customer in customers]

    async def sales_entries(self, first: date, last: date) -> Sequence[SalesEntry] | None:
        return None

    def book_document(self, draft: Number, *, key: str, send_by: str = "none") -> Write:
        return _write("book_document", key, {"draft": draft})

    async def send(self, write: Write, idempotency_key: str, *, before: Callable[[], None] = lambda: None) -> Answer:
        before()
        self.sent.append(write)
        if self.late is not None:
            late, self.late = self.late, None
            self._cache[self.keys[late]] = self._apply(late)
        self.keys[write] = idempotency_key
        if idempotency_key in self._refused:
            raise self._refused[idempotency_key]
        try:
            self._fault(write, "before")
        except Refused as refused:
            if self.remembers_refusals:
                self._refused[idempotency_key] = refused
            raise
        answer = self._cache.get(idempotency_key)
        if answer is None:
            answer = self._cache[idempotency_key] = self._apply(write)
        else:
            answer = replace(answer, from_cache=True)
        self._fault(write, "after")
        return answer

    def forget_idempotency_keys(self) -> None:
        """More than an hour has passed."""
        self._cache.clear()

    async def close(self) -> None:
        return None

    def _fault(self, write: Write, when: str) -> None:
        for fault in self.faults:
            if fault.operation == write.operation and fault.when == when:
                self.faults.remove(fault)
                raise fault.how()

    def _apply(self, write: Write) -> Answer:
        body = json.loads(write.body)
        match write.operation:
            case "create_customer":
                number = body["number"] or 1 + max(self.stored_customers, default=100)
                record = LedgerRecord(number, body["name"], False, body["fields"])
                self.stored_customers[number] = record
                return Answer(number, "req", record=record)
            case "update_customer":
                old = self.stored_customers[body["number"]]
                record = replace(old, fields={**old.fields, **body["fields"]})
                self.stored_customers[old.number] = record  # type: ignore[index]
                return Answer(old.number, "req", record=record)
            case "create_product":
                record = LedgerRecord(body["number"], body["name"], False, {})
                self.stored_products[body["number"]] = record
                return Answer(body["number"], "req", record=record)
            case "update_product":
                return Answer(body["number"], "req", record=self.stored_products[body["number"]])
            case "create_document":
                document = self._documents[write.key]
                kind: StoredKind = "draft_order" if document.kind == "draft_order" else "draft_invoice"
                answer = self._store(kind, write.key, document, None)
                self.contents[kind, int(answer.number)] = body
                return answer
            case "update_document":
                place = (body["kind"], body["number"])
                self.contents[place] = body["body"]
                old_one = self.stored[place]
                gross = Decimal(body["body"]["total"])
                self.stored[place] = replace(old_one, totals=replace(old_one.totals, gross=gross))
                return Answer(old_one.number, "req", document=self.stored[place], dropped=self.dropped)
            case "book_document":
                draft = self.stored.pop(("draft_invoice", body["draft"]), None)
                if draft is None:
                    raise Refused("no such draft", code="E-REFUSED", status=404)
                answer = self._store("booked_invoice", write.key, self._documents[write.key], draft.number)
                self.contents["booked_invoice", int(answer.number)] = self.contents.pop(("draft_invoice", body["draft"]))
                return answer

    def _store(self, kind: StoredKind, key: str, document: SalesDocument, draft: Number | None) -> Answer:
        number = 1 + max((n for k, n in self.stored if k == kind), default=0)
        predicted = document.predicted
        totals = Totals(predicted.net, predicted.vat + self.extra_gross, predicted.gross + self.extra_gross)
        stored = LedgerDocument(kind, number, key, document.currency, totals, date=document.date, draft_number=draft)
        self.stored[kind, number] = stored
        return Answer(number, "req", document=stored, dropped=self.dropped)


def unknown() -> BaseException:
    return OutcomeUnknown("no answer", code="E-SERVER")


def not_sent() -> BaseException:
    return NotSent("slow down", code="E-RATE")


def refused() -> BaseException:
    return Refused("no", code="E-REFUSED", status=400)


def killed() -> BaseException:
    return Killed()


def _write(operation: str, key: str, body: object) -> Write:
    return Write(operation, key, "POST", "/", json.dumps(body, sort_keys=True).encode())  # type: ignore[arg-type]


def _hits(lookup: Lookup, records: object) -> tuple[LedgerRecord, ...]:
    return tuple(
        record
        for record in records  # type: ignore[attr-defined]
        if lookup.value == str({"number": record.number, "name": record.name}.get(lookup.field, record.fields.get(lookup.field)))
    )
