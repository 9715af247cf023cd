"""The exact requests: bodies as the ledger wants them, and merges that keep what is not ours.

The server refuses explicit null and 0 as a key, and drops unknown names without a word, so empties are left out and
only names of the field catalogue are written (reference/economic.md §4, §6, §11).
"""

import datetime
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from cloudify_pipeline.accounting.chart import Chart, Number
from cloudify_pipeline.accounting.documents import FieldValue, SalesDocument, SalesLine
from cloudify_pipeline.accounting.money import round_half_up
from cloudify_pipeline.errors import PipelineError
from cloudify_pipeline.ledgers.economic import wire
from cloudify_pipeline.ledgers.economic.fields import CUSTOMER_FIELDS, DOCUMENT_FIELDS, LINES, NUMBER, PRODUCT_FIELDS
from cloudify_pipeline.ledgers.economic.filters import path
from cloudify_pipeline.ledgers.economic.records import at, same
from cloudify_pipeline.ledgers.port import CustomerWrite, Operation, ProductWrite, Write
from cloudify_pipeline.mapping.fields import FieldCatalogue

_READ_ONLY = frozenset(
    "balance contacts deliveryLocations dueAmount invoices lastUpdated metaData pricing self templates totals".split()  # noqa: SIM905
)
_READ_ONLY_STOCK = frozenset({"available", "inStock", "orderedByCustomers", "orderedFromSuppliers", "grossWeight", "netWeight"})

_SEND_BY = {"ean": "EAN", "email": "Email"}
"""Our words to the schema's enumeration, whose case the server minds (§6.6)."""


def create_customer(customer: CustomerWrite) -> Write:
    """POST /customers. Without a number the ledger gives one."""
    body = nested(customer.fields, CUSTOMER_FIELDS)
    _put(body, "name", customer.name)
    _put(body, "currency", customer.currency.upper())
    _put(body, "customerNumber", _integer(customer.number))
    _put(body, "customerGroup.customerGroupNumber", _integer(customer.group))
    _put(body, "paymentTerms.paymentTermsNumber", _integer(customer.payment_terms))
    _put(body, "vatZone.vatZoneNumber", _integer(customer.vat_zone))
    _put(body, "layout.layoutNumber", _integer(customer.layout))
    return Write("create_customer", f"customer:{customer.stripe_id}", "POST", path("customers"), wire.dump(body))


def create_product(product: ProductWrite) -> Write:
    """POST /products."""
    body = nested(product.fields, PRODUCT_FIELDS)
    _put(body, "productNumber", product.number)
    _put(body, "name", product.name)
    _put(body, "productGroup.productGroupNumber", _integer(product.group))
    _put(body, "unit.unitNumber", _integer(product.unit))
    return Write("create_product", f"product:{product.stripe_id}", "POST", path("products"), wire.dump(body))


def update_customer(stored: Mapping[str, Any], number: Number, fields: Mapping[str, FieldValue], key: str) -> Write | None:
    """PUT /customers/{number} with all of `stored` and `fields` over it; None when nothing differs."""
    return _replace("update_customer", stored, number, fields, key)


def update_product(stored: Mapping[str, Any], number: str, fields: Mapping[str, FieldValue], key: str) -> Write | None:
    """PUT /products/{number}, likewise."""
    return _replace("update_product", stored, number, fields, key)


def create_document(
    document: SalesDocument, customer: Number, products: Mapping[str, str], *, layout: Number | None, chart: Chart | None
) -> Write:
    """POST a draft invoice, or a draft order. A booked invoice begins as a draft.

    `layout` comes before the document's own; the API demands one, so without any it is the lowest of the chart's.

    Raises:
        PipelineError: a layout is needed and the chart has not been read or has none, or a line's product has no number.
    """
    header = {target: value for target, value in document.fields.items() if not target.startswith(LINES)}
    body = nested(header, DOCUMENT_FIELDS)
    _put(body, "date", document.date)
    _put(body, "currency", document.currency.upper())
    _put(body, "layout.layoutNumber", _integer(_layout(layout or document.layout, chart)))
    _put(body, "paymentTerms.paymentTermsNumber", _integer(document.payment_terms))
    _put(body, "customer.customerNumber", _integer(customer))
    _put(body, "recipient.vatZone.vatZoneNumber", _integer(document.vat_zone))
    _put(body, "references.other", document.key)
    if document.due_date is not None and _takes_due_date(document.payment_terms, chart):
        _put(body, "dueDate", document.due_date)
    body["lines"] = [_line(line, position, products) for position, line in enumerate(document.lines, start=1)]
    place = ("orders", "drafts") if document.kind == "draft_order" else ("invoices", "drafts")
    return Write("create_document", document.key, "POST", path(*place), wire.dump(body))


def book_document(draft: Number, key: str, send_by: str) -> Write:
    """POST /invoices/booked; `sendBy` is left out when nothing is to be sent, which is the server's own default."""
    number = _integer(draft)
    if not isinstance(number, int) or number < 1:
        raise PipelineError(f"{draft!r} is no draft number")
    body: dict[str, Any] = {"draftInvoice": {"draftInvoiceNumber": number}}
    if send_by.lower() in _SEND_BY:
        body["sendBy"] = _SEND_BY[send_by.lower()]
    return Write("book_document", key, "POST", path("invoices", "booked"), wire.dump(body))


def nested(fields: Mapping[str, FieldValue], catalogue: FieldCatalogue, prefix: str = "") -> dict[str, Any]:
    """Dotted `fields` as nested objects: empties left out, types and decimals as `catalogue` has them."""
    body: dict[str, Any] = {}
    for target in sorted(fields):
        field = catalogue.get(prefix + target)
        if field is None or not field.writable or field.reserved or target == NUMBER:
            continue
        _put(body, target, _fitted(fields[target], field.type, field.decimals))
    return body


def _line(line: SalesLine, position: int, products: Mapping[str, str]) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if line.product is not None:
        fields = {target.removeprefix(LINES): value for target, value in line.fields.items()}
        body = nested(fields, DOCUMENT_FIELDS, LINES)
        number = line.product.number or products.get(line.product.stripe_id or "")
        if not number:
            raise PipelineError(f"the product {line.product.stripe_id} of line {position} has no number in the ledger")
        _put(body, "product.productNumber", number)
        # Zero is meant here: without a price the server would take the product's own.
        body["quantity"] = round_half_up(line.quantity)
        body["unitNetPrice"] = round_half_up(line.unit_price)
        _put(body, "discountPercentage", round_half_up(line.discount_percentage) or None)
    body["lineNumber"] = body["sortKey"] = position
    _put(body, "description", line.description)
    return body


def _replace(
    operation: Operation, stored: Mapping[str, Any], number: Number, fields: Mapping[str, FieldValue], key: str
) -> Write | None:
    collection, catalogue = ("customers", CUSTOMER_FIELDS) if operation == "update_customer" else ("products", PRODUCT_FIELDS)
    changes = nested(fields, catalogue)
    flat = {target: at(changes, target) for target in fields if at(changes, target) is not None}
    differing = {target: value for target, value in flat.items() if not same(value, at(stored, target))}
    if not differing:
        return None
    body = _writable(stored)
    for target, value in differing.items():
        _put(body, target, value)
    return Write(operation, key, "PUT", path(collection, number), wire.dump(body))


def _writable(stored: Mapping[str, Any], *, top: bool = True) -> dict[str, Any]:
    """What was read, as it may be written back: PUT wipes what it does not name, so nothing else is left out."""
    body: dict[str, Any] = {}
    for name, value in stored.items():
        if value is None or (name in _READ_ONLY and top) or (name in _READ_ONLY_STOCK and not top):
            continue
        if isinstance(value, Mapping):
            inner = _writable(value, top=False)
            # A link is dropped beside a number, and kept where it is all that names the thing (price groups).
            body[name] = {k: v for k, v in inner.items() if k != "self"} or inner
        elif value != {}:
            body[name] = value
    return {name: value for name, value in body.items() if value != {}}


def _put(body: dict[str, Any], target: str, value: Any) -> None:
    """Set a dotted `target`; None, empty text and 0 as a key leave it out."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return
    if value == 0 and isinstance(value, int) and not isinstance(value, bool):
        return
    *parents, name = target.split(".")
    for parent in parents:
        body = body.setdefault(parent, {})
    body[name] = value


def _fitted(value: FieldValue, kind: str, decimals: int | None) -> Any:
    """`value` in the type of its field; what does not fit goes as it is, and the ledger says no to it by name."""
    try:
        if kind == "integer" and not isinstance(value, datetime.date):
            return int(value)
        if kind in {"decimal", "money"} and isinstance(value, str | int | Decimal):
            exact = Decimal(value)
            return exact if decimals is None else round_half_up(exact, decimals)
    except (ValueError, InvalidOperation):
        return value
    if kind == "boolean" and isinstance(value, str) and value.strip().lower() in {"true", "false"}:
        return value.strip().lower() == "true"
    return (
        value
        if kind in {"boolean", "integer", "decimal", "money", "date"} or isinstance(value, str | datetime.date)
        else _words(value)
    )


def _words(value: int | bool | Decimal) -> str:
    return wire.plain(value) if isinstance(value, Decimal) else str(value)


def _integer(number: Number | None) -> Any:
    """A key as the API types it: integers, also when the settings wrote ``"1"``."""
    return int(number) if isinstance(number, str) and number.strip().isdigit() else number


def _layout(wanted: Number | None, chart: Chart | None) -> Number:
    if wanted:
        return wanted
    if chart is None:
        raise PipelineError("a document without a layout needs the chart, which has not been read", code="E-INTERNAL")
    if not chart.layouts:
        raise PipelineError("the agreement has no layout", code="E-REFERENCE")
    return min(chart.layouts, key=int)


def _takes_due_date(terms: Number, chart: Chart | None) -> bool:
    """Only terms of type dueDate use one, and they demand it; where the type is not known, sending it does no harm."""
    known = chart.payment_terms.get(_integer(terms)) if chart is not None else None
    return known is None or known.type == "dueDate"
