"""The resources that can be written: customers, products, draft invoices and orders, and the booking of invoices."""

from dataclasses import dataclass
from typing import Any

from cloudify_pipeline.sandbox.economic import documents, parties
from cloudify_pipeline.sandbox.economic.errors import Json, not_found
from cloudify_pipeline.sandbox.economic.exchange import Reply, Request
from cloudify_pipeline.sandbox.economic.filters import allowed_fields, compile_filter
from cloudify_pipeline.sandbox.economic.listing import listed
from cloudify_pipeline.sandbox.economic.references import decoded, encoded, linked
from cloudify_pipeline.sandbox.economic.rules import COLLECTIONS
from cloudify_pipeline.sandbox.economic.store import EconomicStore, Key


@dataclass(frozen=True, slots=True)
class Kind:
    """A written resource: where it is stored, its address and its key property."""

    stored: str
    address: str
    key: str

    @property
    def collection(self) -> str:
        """Its name in the rules."""
        return self.address.replace("/", ".")


CUSTOMERS = Kind("customers", "customers", "customerNumber")
PRODUCTS = Kind("products", "products", "productNumber")
DRAFTS = Kind("drafts", "invoices/drafts", "draftInvoiceNumber")
BOOKED = Kind("booked", "invoices/booked", "bookedInvoiceNumber")
ORDERS = Kind("orders", "orders/drafts", "orderNumber")
SENT_ORDERS = Kind("orders.sent", "orders/sent", "orderNumber")
ARCHIVED_ORDERS = Kind("orders.archived", "orders/archived", "orderNumber")
KINDS = {kind.address: kind for kind in (CUSTOMERS, PRODUCTS, DRAFTS, BOOKED, ORDERS, SENT_ORDERS, ARCHIVED_ORDERS)}


@dataclass(frozen=True, slots=True)
class Resources:
    """The written side of one agreement."""

    store: EconomicStore

    def page(self, request: Request, kind: Kind) -> Reply:
        """A page of a collection; documents are listed without their lines."""

        def show(record: Json) -> Json:
            shown = self._shown(request, kind, record)
            shown.pop("lines", None)
            return shown

        return listed(request, kind.collection, self.store.all(kind.stored), show)

    def one(self, request: Request, kind: Kind, part: str) -> Reply:
        """One record, whole."""
        record = self.store.get(kind.stored, self._key(kind, part))
        if record is None:
            raise not_found()
        return Reply(200, self._shown(request, kind, record))

    def create(self, request: Request, kind: Kind) -> Reply:
        """POST to a collection: 201, Location and the whole record."""
        if kind is CUSTOMERS:
            record, _ = parties.write_customer(self.store, request.body(), request.now)
        elif kind is PRODUCTS:
            record, _ = parties.write_product(self.store, request.body(), request.now)
        elif kind is BOOKED:
            record = documents.book(self.store, request.body())
        else:
            record = documents.written(self.store, f"{kind.stored}.post", request.body(), request.now)
            record = {kind.key: self.store.next_document_number(), **record}
            self.store.put(kind.stored, record[kind.key], record)
        return self._created(request, kind, record)

    def replace(self, request: Request, kind: Kind, part: str) -> Reply:
        """PUT: a full replace. Customers and products are created when they are not there; documents are not."""
        if kind is CUSTOMERS:
            record, new = parties.write_customer(self.store, request.body(), request.now, self._number(part))
        elif kind is PRODUCTS:
            record, new = parties.write_product(self.store, request.body(), request.now, decoded(part))
        elif kind is BOOKED:
            record, new = documents.book(self.store, request.body(), self._number(part)), True
        else:
            before = self.store.get(kind.stored, self._number(part))
            if before is None:
                raise not_found("E06000")
            record = documents.written(self.store, f"{kind.stored}.put", request.body(), request.now, before=before)
            record, new = {**record, kind.key: before[kind.key]}, False
            self.store.put(kind.stored, record[kind.key], record)
        return self._created(request, kind, record) if new else Reply(200, self._shown(request, kind, record))

    def remove(self, request: Request, kind: Kind, part: str) -> Reply:
        """DELETE: 204, but 200 with a body for draft invoices."""
        if kind is CUSTOMERS:
            parties.delete_customer(self.store, self._number(part))
        elif kind is PRODUCTS:
            parties.delete_product(self.store, decoded(part))
        else:
            record = self.store.delete(kind.stored, self._number(part))
            if record is None:
                raise not_found("E06000")
            if kind is DRAFTS:
                return self._deleted(request, [record])
        return Reply(204)

    def remove_all_drafts(self, request: Request) -> Reply:
        """DELETE without a number: every draft goes, or every draft the filter finds. The real one does that, too."""
        drafts = self.store.all("drafts")
        if "filter" in request.query:
            allowed = allowed_fields("invoices.drafts", COLLECTIONS["invoices.drafts"]["filterable"])
            drafts = list(filter(compile_filter(request.query["filter"], "invoices.drafts", allowed), drafts))
        for draft in drafts:
            self.store.delete("drafts", draft["draftInvoiceNumber"])
        return self._deleted(request, drafts)

    def _deleted(self, request: Request, drafts: list[Json]) -> Reply:
        items = [
            {"draftInvoiceNumber": draft["draftInvoiceNumber"], "self": self._address(request, DRAFTS, draft)} for draft in drafts
        ]
        count = len(items)
        message = "Deleted invoice." if count == 1 else f"Deleted {count} invoices."
        return Reply(200, {"message": message, "deletedCount": count, "deletedItems": items})

    def _created(self, request: Request, kind: Kind, record: Json) -> Reply:
        return Reply(201, self._shown(request, kind, record), {"Location": self._address(request, kind, record)})

    def _shown(self, request: Request, kind: Kind, record: Json) -> Json:
        shown = {**linked(record, request.base), "self": self._address(request, kind, record)}
        return _with_carriage_returns(shown) if self.store.carriage_returns else shown

    def _address(self, request: Request, kind: Kind, record: Json) -> str:
        return f"{request.base}/{kind.address}/{encoded(record[kind.key])}"

    def _key(self, kind: Kind, part: str) -> Key:
        return decoded(part) if kind is PRODUCTS else self._number(part)

    def _number(self, part: str) -> int:
        if not part.isdecimal() or int(part) < 1:
            raise not_found("E06000")
        return int(part)


def _with_carriage_returns(value: Any) -> Any:
    """`value` with every line end of its texts as a CR."""
    if isinstance(value, str):
        return value.replace("\r\n", "\n").replace("\n", "\r")
    if isinstance(value, dict):
        return {name: _with_carriage_returns(inner) for name, inner in value.items()}
    return [_with_carriage_returns(inner) for inner in value] if isinstance(value, list) else value
