"""Whose sale a Stripe record is: on a platform's account Stripe also keeps what other accounts sell.

A charge that another's app made on this account (`application`, with an `application_fee`) is this account's own sale, and
so is one that a platform paid on to it (`source_transfer`).
"""

from collections.abc import Iterable, Iterator
from typing import Any

from cloudify_pipeline.errors import Problem
from cloudify_pipeline.planning.records import InvoiceRecord, Raw, Record, id_of


def another_seller(record: Record, own: str | None, paid_by: Iterable[Raw] = ()) -> Problem | None:
    """Why `record` is not the sale of the account `own`: the field that names another account, and which; None when it is.

    `paid_by` are the payments of an invoice: Stripe says of the payment alone that its money went to another account.
    Where `own` is not known, every account that is named is another one.
    """
    named = _of_invoice(record.invoice) if isinstance(record, InvoiceRecord) else _of_payment(record.charge)
    found = next((one for one in named if one[1] != own), None)
    if found is not None:
        return _problem(*found)
    for charge in paid_by:
        through = next((one for one in _of_payment(charge) if one[1] != own), None)
        if through is not None:
            return _problem(*through, of=f" of {charge.get('id')}, which pays it,")
    return None


def _of_invoice(invoice: Raw) -> Iterator[tuple[str, str]]:
    """Every field of an invoice that names the account it is sold for, and that account."""
    issuer = invoice.get("issuer") or {}
    account = id_of(issuer.get("account"))
    if account is not None:
        yield "issuer.account", account
    elif issuer.get("type") not in {None, "self"}:
        yield "issuer.type", str(issuer["type"])
    yield from _of_either(invoice)


def _of_payment(charge: Raw) -> Iterator[tuple[str, str]]:
    yield from _of_either(charge)
    destination = id_of(charge.get("destination"))
    if destination is not None:
        yield "destination", destination
    transfer = charge.get("transfer")
    if transfer and destination is None and not (charge.get("transfer_data") or {}).get("destination"):
        yield "transfer", (id_of(transfer.get("destination")) if isinstance(transfer, dict) else None) or str(id_of(transfer))


def _of_either(stripe_object: Raw) -> Iterator[tuple[str, str]]:
    account = id_of(stripe_object.get("on_behalf_of"))
    if account is not None:
        yield "on_behalf_of", account
    data: Any = stripe_object.get("transfer_data") or {}
    destination = id_of(data.get("destination"))
    if destination is not None:
        yield "transfer_data.destination", destination


def _problem(field: str, account: str, of: str = "") -> Problem:
    message = f"{field}{of} is {account}: it is sold for another account than the one this connection reads"
    return Problem("E-OTHER-SELLER", message, field=field, found=account)
