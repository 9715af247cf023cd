"""The ledger's answers as the rest of the program knows them: records, documents, and what of a write was not kept."""

import datetime
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from cloudify_pipeline.accounting.documents import FieldValue, Totals
from cloudify_pipeline.accounting.parties import LedgerRecord
from cloudify_pipeline.ledgers.economic import wire
from cloudify_pipeline.ledgers.economic.fields import CUSTOMER_FIELDS, NUMBER, PRODUCT_FIELDS
from cloudify_pipeline.ledgers.port import LedgerDocument, StoredKind
from cloudify_pipeline.mapping.fields import FieldCatalogue

TEXTS = ("references.other", "notes.heading", "notes.textLine1", "notes.textLine2")
"""What lists of documents show, and filter by, of the words on them; lines are shown of a single document only (§4)."""

NUMBER_OF: dict[StoredKind, str] = {
    "draft_invoice": "draftInvoiceNumber",
    "booked_invoice": "bookedInvoiceNumber",
    "draft_order": "orderNumber",
}


_NOT_SHOWN = frozenset({"recipient.mobilePhone", "dueDate", "lineNumber", "sortKey", "self"})
"""Not compared with what was sent: the schema of a read document lacks the first, terms that are not of type dueDate compute
their own date, and the server may renumber lines."""


def at(raw: Mapping[str, Any], path: str) -> Any:
    """What stands at a dotted `path`, or None."""
    value: Any = raw
    for name in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def customer_record(raw: Mapping[str, Any]) -> LedgerRecord:
    """A customer as read; an absent `barred` is false (booleans that are false are left out, §4)."""
    return LedgerRecord(
        number=raw["customerNumber"],
        name=raw.get("name", ""),
        barred=bool(raw.get("barred", False)),
        fields=_fields(raw, CUSTOMER_FIELDS, "customerNumber"),
        group=at(raw, "customerGroup.customerGroupNumber"),
        vat_zone=at(raw, "vatZone.vatZoneNumber"),
        payment_terms=at(raw, "paymentTerms.paymentTermsNumber"),
        layout=at(raw, "layout.layoutNumber"),
        raw=raw,
    )


def product_record(raw: Mapping[str, Any]) -> LedgerRecord:
    """A product as read."""
    return LedgerRecord(
        number=raw["productNumber"],
        name=raw.get("name", ""),
        barred=bool(raw.get("barred", False)),
        fields=_fields(raw, PRODUCT_FIELDS, "productNumber"),
        group=at(raw, "productGroup.productGroupNumber"),
        raw=raw,
    )


def document_record(kind: StoredKind, raw: Mapping[str, Any]) -> LedgerDocument:
    """A draft, booked invoice or order as read, alone or from a collection."""
    net, vat = _amount(raw, "netAmount"), _amount(raw, "vatAmount")
    return LedgerDocument(
        kind=kind,
        number=raw[NUMBER_OF[kind]],
        key=at(raw, "references.other") or "",
        currency=raw.get("currency", ""),
        totals=Totals(net, vat, _amount(raw, "grossAmount") if "grossAmount" in raw else net + vat),
        customer=at(raw, "customer.customerNumber"),
        date=datetime.date.fromisoformat(raw["date"]) if raw.get("date") else None,
        # A booked invoice's orderNumber was seen to be the number its draft had (§6.6).
        draft_number=raw.get("orderNumber") if kind == "booked_invoice" else None,
        vat_zone=at(raw, "recipient.vatZone.vatZoneNumber"),
        exchange_rate=_amount(raw, "exchangeRate") if raw.get("exchangeRate") else None,
        base=_in_base_currency(raw),
        texts=tuple(str(text) for path in TEXTS if (text := at(raw, path))),
    )


def not_kept(sent: Any, stored: Any, path: str = "") -> Iterator[str]:
    """Paths of what was `sent` and does not stand so in what was `stored`: unknown names vanish silently (§4)."""
    if isinstance(sent, Mapping):
        for name, value in sent.items():
            where = f"{path}.{name}" if path else name
            if name not in _NOT_SHOWN and where not in _NOT_SHOWN:
                yield from not_kept(value, stored.get(name) if isinstance(stored, Mapping) else None, where)
    elif isinstance(sent, list):
        have = stored if isinstance(stored, list) else []
        for index, value in enumerate(sent):
            yield from not_kept(value, have[index] if index < len(have) else None, f"{path}[{index}]")
    elif not same(sent, stored):
        yield path


def same(sent: Any, stored: Any) -> bool:
    """Whether the ledger holds `sent`: numbers by value, texts without regard to form of letters and line ends.

    False, zero and empty text are left out of answers, so absent equals each of them.
    """
    if stored is None:
        return sent in (None, False, "") or (isinstance(sent, int | Decimal) and sent == 0)
    if isinstance(sent, bool) or isinstance(stored, bool):
        return sent is stored
    if isinstance(sent, int | Decimal) and isinstance(stored, int | Decimal | str):
        try:
            return Decimal(sent) == Decimal(stored)
        except InvalidOperation:
            return False
    return wire.normal(str(sent)) == wire.normal(str(stored))


_TELLING = frozenset({
    "customerNumber", "productNumber", "email", "address", "corporateIdentificationNumber", "pNumber", "ean",
    "publicEntryNumber", "vatNumber", "telephoneAndFaxNumber", "mobilePhone", "website",
})  # fmt: skip
"""What tells one customer or product from another of its name."""
_DEFAULTS = frozenset("currency customerGroup paymentTerms vatZone layout productGroup unit".split())  # noqa: SIM905
"""What the settings give every new record: no sign of which one it is, and people change it later."""


def made_by(sent: Mapping[str, Any], record: LedgerRecord) -> bool:
    """Whether `record` shows what a create `sent`, so that it is what the create made or would make.

    A name and defaults alone are many a record's. One that agrees in all of them and says nothing more about who it is
    cannot be told by anybody from the one that the create would make, so it is that one; a record that says more is somebody
    of whom this customer told nothing.
    """
    if _TELLING & sent.keys():
        return not any(not_kept({name: value for name, value in sent.items() if name not in _DEFAULTS}, record.raw))
    own = {"customerNumber", "productNumber"}
    return not any(not_kept(sent, record.raw)) and not any(record.raw.get(name) for name in _TELLING - own)


def _fields(raw: Mapping[str, Any], catalogue: FieldCatalogue, own_number: str) -> dict[str, FieldValue]:
    values = {path: at(raw, own_number if path == NUMBER else path) for path in catalogue}
    return {path: value for path, value in values.items() if isinstance(value, str | int | Decimal)}


def _in_base_currency(raw: Mapping[str, Any]) -> Totals | None:
    if "netAmountInBaseCurrency" not in raw or "grossAmountInBaseCurrency" not in raw:
        return None
    net, gross = _amount(raw, "netAmountInBaseCurrency"), _amount(raw, "grossAmountInBaseCurrency")
    return Totals(net, gross - net, gross)


def _amount(raw: Mapping[str, Any], name: str) -> Decimal:
    return Decimal(raw.get(name, 0))
