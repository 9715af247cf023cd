"""The few fields of each Stripe object that become typed columns; everything else stays in the raw JSON."""

import json
import re
from collections.abc import Callable
from decimal import Decimal
from hashlib import blake2b
from typing import Any

import msgspec

from cloudify_pipeline.staging.sums import sum_fault
from cloudify_pipeline.stripe_objects import STATE_KEYS, Kind

Row = tuple[object, ...]

# Links that Stripe signs anew on every read; an object that differs in them alone has not changed.
_SIGNED_LINKS = re.compile(
    rb'"(?:hosted_invoice_url|invoice_pdf|receipt_url)":"[^"]*"|"pdf":"https://pay\.stripe\.com/credit_notes/[^"]*"'
)

_KEYS = "|".join(STATE_KEYS).encode()
_STATE = re.compile(rb',"(?:%b)":"(?:[^"\\]|\\.)*"|"(?:%b)":"(?:[^"\\]|\\.)*",?' % (_KEYS, _KEYS))

_OWN_PART = re.compile(r"\.[0-9a-f]+")

_STRINGS_OR_SPACE = re.compile(rb'("(?:[^"\\]|\\.)*")|\s+')

_SETTLED = b'"balance_transaction":{'
_parts = msgspec.json.Decoder(dict[str, msgspec.Raw])
_decoder = msgspec.json.Decoder(float_hook=Decimal)


def parse(body: bytes | str) -> dict[str, Any]:
    """An object's JSON with every number exact: integers as int, all others as Decimal."""
    try:
        parsed: dict[str, Any] = _decoder.decode(body)
    except msgspec.DecodeError:
        # A half of a surrogate pair, which JSON may escape and msgspec refuses.
        parsed = json.loads(body, parse_float=Decimal)
    return parsed


def compact(body: bytes) -> bytes:
    """`body` without the white space between its parts: the same object is indented differently in a list and alone."""
    try:
        return msgspec.json.format(body, indent=-1)
    except msgspec.DecodeError:
        return _STRINGS_OR_SPACE.sub(lambda found: found[1] or b"", body)


def content_hash(kind: Kind, compacted: bytes) -> str:
    """What tells one state of an object from another, whoever asked for it and when.

    Of an invoice or charge, what this software itself writes into the metadata stands apart, behind a dot: the object has
    changed and is staged again, but nothing that a document is made of has (:func:`source_hash`). So does how a payment was
    settled, which Stripe tells those who ask and goes on changing until the money is paid out.
    """
    settled, compacted = _settled(compacted) if kind == "charge" and _SETTLED in compacted else (b"", compacted)
    unsigned = _SIGNED_LINKS.sub(b"", compacted)
    state = _STATE.findall(unsigned) if kind in {"invoice", "charge"} and b'"ledger_' in unsigned else []
    state += [settled] if settled else []
    if not state:
        return blake2b(unsigned, digest_size=16).hexdigest()
    rest = blake2b(_STATE.sub(b"", unsigned), digest_size=16).hexdigest()
    return f"{rest}.{blake2b(b''.join(state), digest_size=8).hexdigest()}"


def _settled(charge: bytes) -> tuple[bytes, bytes]:
    """The balance transaction of a charge, and the charge with its id alone, as who does not ask for it gets it."""
    try:
        parts = _parts.decode(charge)
        settled = bytes(parts["balance_transaction"])
        parts["balance_transaction"] = msgspec.Raw(msgspec.json.encode(str(msgspec.json.decode(settled)["id"])))
    except (msgspec.DecodeError, KeyError, TypeError):
        return b"", charge
    return settled, msgspec.json.encode(parts)


def source_hash(hashed: str) -> str:
    """A content hash without the part that this software's own writing changes."""
    return _OWN_PART.sub("", hashed)


def columns(kind: Kind, stripe_object: dict[str, Any]) -> Row:
    """The typed columns of one object of `kind`, in the order of its table (after the head, before the body)."""
    return _COLUMNS[kind](stripe_object)


def line_rows(invoice: dict[str, Any]) -> list[Row]:
    """One row for each line of an invoice, in Stripe's order."""
    return [_line(str(invoice["id"]), position, line) for position, line in enumerate(_list(invoice.get("lines")), start=1)]


def session_rows(session: dict[str, Any]) -> list[Row]:
    """One row for each line of a Checkout session that names a product or price."""
    prices = [one.get("price") or {} for one in _list(session.get("line_items"))]
    return [(str(session["id"]), _id(price.get("product")), _id(price)) for price in prices if price]


def pay_rows(invoice: dict[str, Any]) -> list[Row]:
    """One row for each payment that an invoice names, in the shape of today or in an older one."""
    paid = _list(invoice.get("payments"))
    named = [(one.get("payment") or {}, one.get("status"), one.get("amount_paid")) for one in paid if isinstance(one, dict)]
    if invoice.get("payment_intent") or invoice.get("charge"):
        named.append((invoice, "paid" if invoice.get("status") == "paid" else "open", invoice.get("amount_paid")))
    rows = [(_id(by.get("payment_intent")), _id(by.get("charge")), status, minor) for by, status, minor in named]
    return [(str(invoice["id"]), *row) for row in rows if row[0] or row[1]]


def _line(invoice_id: str, position: int, line: dict[str, Any]) -> Row:
    details = (line.get("pricing") or {}).get("price_details") or {}
    period = line.get("period") or {}
    return (
        invoice_id, line.get("id"), position, _id(details.get("product")), _id(details.get("price")), line.get("quantity"),
        line.get("amount"), line.get("currency"), _text(line.get("description")), period.get("start"), period.get("end"),
    )  # fmt: skip


def _customer(customer: dict[str, Any]) -> Row:
    address = customer.get("address") or {}
    return (
        None, _text(customer.get("email")), _text(customer.get("name")), customer.get("currency"), _text(address.get("country")),
        customer.get("tax_exempt"),
    )  # fmt: skip


def _product(product: dict[str, Any]) -> Row:
    return (_activity(product), _text(product.get("name")))


def _price(price: dict[str, Any]) -> Row:
    return (_activity(price), _id(price.get("product")), price.get("currency"), price.get("unit_amount"))


def _tax_rate(rate: dict[str, Any]) -> Row:
    percentage = rate.get("percentage")
    exact = None if percentage is None else Decimal(percentage)
    return (_activity(rate), _text(rate.get("display_name")), exact, rate.get("country"), rate.get("inclusive"))


def _invoice(invoice: dict[str, Any]) -> Row:
    moments = invoice.get("status_transitions") or {}
    return (
        invoice.get("status"), _id(invoice.get("customer")), invoice.get("currency"), invoice.get("total"),
        _text(invoice.get("number")), invoice.get("collection_method"), invoice.get("due_date"), moments.get("finalized_at"),
        moments.get("paid_at"), sum_fault(invoice), _off_stripe(invoice),
    )  # fmt: skip


def _off_stripe(invoice: dict[str, Any]) -> int:
    """What of an invoice was paid outside Stripe, as somebody has said; minor units."""
    stated = invoice.get("amount_paid_off_stripe")
    if stated is None and invoice.get("paid_out_of_band"):
        stated = invoice.get("amount_due")
    return int(stated or 0)


def _charge(charge: dict[str, Any]) -> Row:
    return (
        charge.get("status"), _id(charge.get("customer")), charge.get("currency"), charge.get("amount"),
        _id(charge.get("payment_intent")), bool(charge.get("disputed")), charge.get("captured") is not False,
        _id(charge.get("invoice")),
    )  # fmt: skip


def _invoice_payment(payment: dict[str, Any]) -> Row:
    paid_by = payment.get("payment") or {}
    return (
        payment.get("status"), payment.get("currency"), payment.get("amount_paid"), _id(payment.get("invoice")),
        _id(paid_by.get("payment_intent")), _id(paid_by.get("charge")),
    )  # fmt: skip


def _credit_note(note: dict[str, Any]) -> Row:
    refunds = [f"{_id(one['refund'])}={one.get('amount_refunded')}" for one in note.get("refunds") or () if one.get("refund")]
    return (
        note.get("status"), _id(note.get("customer")), note.get("currency"), note.get("total"), _text(note.get("number")),
        _id(note.get("invoice")), " ".join(refunds) or None, note.get("out_of_band_amount"),
    )  # fmt: skip


def _of_payment(taken: dict[str, Any]) -> Row:
    return (
        taken.get("status"), taken.get("currency"), taken.get("amount"), _id(taken.get("charge")),
        _id(taken.get("payment_intent")),
    )  # fmt: skip


def _checkout_session(session: dict[str, Any]) -> Row:
    creation = session.get("invoice_creation") or {}
    return (
        session.get("status"), _id(session.get("customer")), session.get("currency"), session.get("amount_total"),
        _id(session.get("payment_intent")), _id(session.get("invoice")), bool(creation.get("enabled")),
    )  # fmt: skip


_COLUMNS: dict[Kind, Callable[[dict[str, Any]], Row]] = {
    "customer": _customer,
    "product": _product,
    "price": _price,
    "tax_rate": _tax_rate,
    "invoice": _invoice,
    "charge": _charge,
    "invoice_payment": _invoice_payment,
    "credit_note": _credit_note,
    "refund": _of_payment,
    "dispute": _of_payment,
    "checkout_session": _checkout_session,
}


def _activity(stripe_object: dict[str, Any]) -> str:
    return "active" if stripe_object.get("active") else "inactive"


def _id(reference: Any) -> str | None:
    """An id, from a reference that may be expanded to the object itself."""
    if isinstance(reference, dict):
        reference = reference.get("id")
    return str(reference) if reference else None


def _list(listed: Any) -> list[dict[str, Any]]:
    return list((listed or {}).get("data") or ())


def _text(value: Any) -> str | None:
    """Text as a column takes it: half a surrogate pair, which UTF-8 cannot hold, becomes a question mark."""
    return None if value is None else str(value).encode("utf-8", "replace").decode()
