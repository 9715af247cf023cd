"""Documents that stand in the ledger with a key of ours and that the log did not know: whose they are, and who is told."""

from collections.abc import Collection, Iterable, Sequence

from cloudify_pipeline.control.alerts import clear_alert, raise_alert
from cloudify_pipeline.control.joined import own_object, staged_kind
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.ledgers.port import Ledger
from cloudify_pipeline.planning.plans import Plan, PlannedDocument
from cloudify_pipeline.posting.adoption import open_kinds, unseen
from cloudify_pipeline.posting.standing import PREFIX

ADOPTED = "connection:adopted"
"""The alert that says so."""
_NAMED = 10


def of_own_account(opened: OpenConnection, stripe_ids: Sequence[str]) -> Collection[str]:
    """Those of `stripe_ids` whose Stripe object this connection has; the others belong to another account's connection."""
    found: set[str] = set()
    with opened.staging.reading():
        for kind in dict.fromkeys(map(staged_kind, stripe_ids)):
            found |= opened.staging.content_hashes(
                kind, [own_object(one) for one in stripe_ids if staged_kind(one) == kind]
            ).keys()
    return {one for one in stripe_ids if own_object(one) in found}


def concerned(plans: Iterable[Plan]) -> list[str]:
    """Every Stripe id that `plans` are about: their own, what pays them, what they take back, and what explains that."""
    ids: dict[str, None] = {}
    for plan in plans:
        ids[plan.stripe_id] = None
        if isinstance(plan, PlannedDocument):
            ids |= dict.fromkeys((*plan.paid_by, *plan.explains, *filter(None, (plan.corrects,))))
    return list(ids)


async def moved_on(opened: OpenConnection, ledger: Ledger) -> set[str]:
    """Stripe ids whose draft or open order stands there no longer: somebody has booked, deleted or renamed it."""
    standing = opened.log.identities(opened.name, "document")
    kinds = open_kinds(standing)
    return unseen(standing, await ledger.unbooked_documents(PREFIX, kinds)) if kinds else set()


def tell_of_adopted(opened: OpenConnection, adopted: Collection[str]) -> None:
    """Say that the ledger knew more than the log, and which documents that were; the next run ends it."""
    if not adopted:
        return
    names = ", ".join(sorted(adopted)[:_NAMED]) + (" …" if len(adopted) > _NAMED else "")
    message = (
        f"{len(adopted)} documents stood in the ledger that the posting log did not know: {names}. They are linked now, and none "
        "was posted again. The log is older than the ledger, or another home posts for this connection: see that only one does."
    )
    raise_alert(opened, "connection", ADOPTED, message, facts={"documents": len(adopted)})


def forget_adopted(opened: OpenConnection) -> None:
    """A new run: what the last one found has been told."""
    clear_alert(opened, ADOPTED)
