"""What an old ledger has of the customers that are due already, before this program has posted anything there."""

from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.control.planner import Planned
from cloudify_pipeline.ledgers.port import Ledger, LedgerDocument
from cloudify_pipeline.planning.plans import PlannedCustomer, PlannedDocument
from cloudify_pipeline.posting.twins import keyed


async def earlier_documents(opened: OpenConnection, ledger: Ledger, planned: Planned) -> tuple[LedgerDocument, ...]:
    """Documents without a key of ours, of customers who are about to be invoiced, the oldest first.

    Asked for only while nothing is posted and no `go_live_from` says where this program begins: later nobody needs to be told.
    """
    if opened.settings.go_live_from is not None or opened.log.identities(opened.name, "document"):
        return ()
    due = [plan.document.customer for plan in planned.documents.values() if isinstance(plan, PlannedDocument)]
    parties = [planned.customers.get(one.stripe_id or "") for one in due if one.number is None]
    known = [*(one.number for one in due), *(one.number for one in parties if isinstance(one, PlannedCustomer))]
    found = await ledger.documents_of(list(dict.fromkeys(number for number in known if number is not None)))
    dated = [one for one in found if one.date is not None and not keyed(one)]
    return tuple(sorted(dated, key=lambda one: (str(one.date), one.kind, str(one.number))))
