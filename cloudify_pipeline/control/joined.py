"""Staged invoices and payments with everything that planning joins to them, in portions."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from cloudify_pipeline.errors import Problem
from cloudify_pipeline.planning.checkout import sold_by
from cloudify_pipeline.planning.records import ChargeRecord, InvoiceRecord, Record, id_of
from cloudify_pipeline.staging.store import Staging
from cloudify_pipeline.stripe_objects import Kind

T = TypeVar("T")

DISPUTES = ("du_", "dp_")
"""What the id of a dispute begins with, by its age."""

PORTION = 500
"""Records that are in memory at one time."""


def joined_records(staging: Staging, ids: Sequence[str], *, charges: bool = False) -> Iterator[Record]:
    """The records of `ids` in their order; what is not staged is left out. Staging is closed between two portions.

    `charges`: invoices with the charges that pay them.
    """
    for part in portions(ids):
        with staging.reading():
            records = _portion(staging, part, paying=charges)
        yield from records


def lines_of(invoice: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The lines of a Stripe invoice, or of a Checkout session."""
    return list((invoice.get("lines") or invoice.get("line_items") or {}).get("data") or ())


def priced(line: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a Stripe line says of its price: the ids of `price` and `product`. A Checkout session's has the price itself."""
    price = line.get("price")
    if isinstance(price, Mapping):
        return {"price": price.get("id"), "product": id_of(price.get("product"))}
    return (line.get("pricing") or {}).get("price_details") or {}


def portions(ids: Sequence[T], size: int = PORTION) -> Iterator[Sequence[T]]:
    """`ids` in pieces of `size`."""
    return (ids[start : start + size] for start in range(0, len(ids), size))


def _portion(staging: Staging, ids: Sequence[str], *, paying: bool) -> list[Record]:
    invoices = staging.objects("invoice", [i for i in ids if not is_charge(i)])
    charges = staging.objects("charge", [i for i in ids if is_charge(i)])
    sent = staging.sent_at(list(invoices))
    payments = staging.payments_of(list(invoices))
    paid_by = staging.objects("charge", _ids(one for some in payments.values() for one in some)) if paying else {}
    customers = staging.objects("customer", _ids(o.get("customer") for o in (*invoices.values(), *charges.values())))
    products, prices = goods_of(staging, invoices.values())
    rates = staging.objects("tax_rate", None)
    found: dict[str, Record] = {
        stripe_id: InvoiceRecord(
            i,
            customers.get(i.get("customer") or ""),
            products,
            prices,
            rates,
            sent.get(stripe_id),
            tuple(payments.get(stripe_id, ())),
            charges=tuple(paid_by[one] for one in payments.get(stripe_id, ()) if one in paid_by),
        )
        for stripe_id, i in invoices.items()
    }
    sessions = staging.sessions_of(_ids(c.get("payment_intent") for c in charges.values()))
    goods = goods_of(staging, sessions.values())
    for stripe_id, c in charges.items():
        charge = ChargeRecord(c, customers.get(c.get("customer") or ""))
        session = sessions.get(id_of(c.get("payment_intent")) or "")
        found[stripe_id] = charge if session is None else _sold(charge, session, goods, rates)
    return [found[stripe_id] for stripe_id in ids if stripe_id in found]


def _sold(
    charge: ChargeRecord,
    session: Mapping[str, Any],
    goods: tuple[Mapping[str, Any], Mapping[str, Any]],
    rates: Mapping[str, Any],
) -> ChargeRecord:
    sale = sold_by(charge, session, products=goods[0], prices=goods[1], tax_rates=rates)
    return replace(charge, unsold=sale) if isinstance(sale, Problem) else replace(charge, sale=sale)


def goods_of(
    staging: Staging, invoices: Iterable[Mapping[str, Any]]
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """The products and prices that the lines of `invoices`, or of Checkout sessions, name, by id."""
    details = [priced(line) for invoice in invoices for line in lines_of(invoice)]
    products = staging.objects("product", _ids(one.get("product") for one in details))
    return products, staging.objects("price", _ids(one.get("price") for one in details))


def _ids(values: Iterable[Any]) -> list[str]:
    return sorted({str(value) for value in values if value})


def staged_kind(stripe_id: str) -> Kind:
    """What kind of Stripe object a document is made of."""
    if stripe_id.startswith("cn_"):
        return "credit_note"
    if stripe_id.startswith(("re_", "pyr_")):
        return "refund"
    if stripe_id.startswith(DISPUTES):
        return "dispute"
    return "charge" if is_charge(stripe_id) else "invoice"


def own_object(stripe_id: str) -> str:
    """The Stripe object of a document: ``in_…:void`` takes back ``in_…``, and has no object of its own."""
    return stripe_id.partition(":")[0]


def staged_objects(staging: Staging, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The staged objects of these documents, of whatever kind they are."""
    found: dict[str, dict[str, Any]] = {}
    for kind in dict.fromkeys(map(staged_kind, ids)):
        found |= staging.objects(kind, [own_object(one) for one in ids if staged_kind(one) == kind])
    return {one: found[own_object(one)] for one in ids if own_object(one) in found}


def is_charge(stripe_id: str) -> bool:
    """Whether an id is a payment's; all other documents are invoices."""
    return stripe_id.startswith(("ch_", "py_"))
