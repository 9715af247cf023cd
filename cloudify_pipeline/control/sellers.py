"""Which due documents are another account's sale, seen by the payments as well: an invoice does not tell of a transfer itself."""

from collections.abc import Sequence
from typing import Any

from cloudify_pipeline.control.joined import is_charge, portions
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.errors import Problem
from cloudify_pipeline.planning.records import ChargeRecord, InvoiceRecord
from cloudify_pipeline.planning.sellers import another_seller
from cloudify_pipeline.posting.log.stripe_bindings import stripe_binding


def sold_by_another(opened: OpenConnection, ids: Sequence[str]) -> dict[str, Problem]:
    """Those of `ids` that another account sells, and which field says so; none where the settings say to post them."""
    found: dict[str, Problem] = {}
    own = own_account(opened)
    for part in portions(ids) if opened.settings.invoices.sold_by_another == "hold" else ():
        invoices, charges, payments = _staged(opened, part)
        for stripe_id in part:
            record = InvoiceRecord(invoices[stripe_id]) if stripe_id in invoices else None
            if record is None and stripe_id not in charges:
                continue
            paid_by = [charges[one] for one in payments.get(stripe_id, ()) if one in charges]
            problem = another_seller(record or ChargeRecord(charges[stripe_id]), own, paid_by)
            if problem is not None:
                found[stripe_id] = problem
    return found


def own_account(opened: OpenConnection) -> str | None:
    """The Stripe account of the connection: pinned, bound, or read from; None where its key may not name it."""
    if opened.settings.stripe.account is not None:
        return opened.settings.stripe.account
    bound = stripe_binding(opened.log.engine, opened.name)
    if bound is not None and bound.account is not None:
        return bound.account
    staged = opened.staging.whose()
    return None if staged is None else staged.account


Objects = dict[str, dict[str, Any]]


def _staged(opened: OpenConnection, ids: Sequence[str]) -> tuple[Objects, Objects, dict[str, list[str]]]:
    staging = opened.staging
    with staging.reading():
        invoices = staging.objects("invoice", [one for one in ids if not is_charge(one)])
        payments = staging.payments_of(list(invoices))
        paying = [one for several in payments.values() for one in several if is_charge(one)]
        charges = staging.objects("charge", [*(one for one in ids if is_charge(one)), *paying])
    return invoices, charges, payments
