"""Documents that stand in the ledger: finding them by key, reading them again, and remembering which is ours."""

from collections.abc import Sequence

from cloudify_pipeline.accounting.documents import SalesDocument
from cloudify_pipeline.errors import Problem
from cloudify_pipeline.ledgers.port import LedgerDocument, StoredKind
from cloudify_pipeline.planning.plans import PlannedDocument
from cloudify_pipeline.posting.log.store import Identity, LogChange
from cloudify_pipeline.posting.protocol import Executor, Find, Found

ACCEPTED = "accepted"
"""How an identity came about that a person's word made: the document carries no key of ours."""


def named(document: LedgerDocument) -> str:
    """``booked invoice 20188``."""
    return f"{document.kind.replace('_', ' ')} {document.number}"


async def relink(executor: Executor, plans: Sequence[PlannedDocument]) -> int:
    """Find documents that already carry our keys and remember them: how a lost log is rebuilt without posting again."""
    unknown = {plan.document.key: plan for plan in plans}
    found = await executor.ledger.documents(list(unknown))
    linked = 0
    for key, hits in found.items():
        if len(hits) == 1:
            plan = unknown[key]
            await executor.commit(linking(executor, plan.stripe_id, hits[0], "found by key", plan.source_hash))
            linked += 1
    return linked


async def stands(executor: Executor, document: SalesDocument, standing: Identity) -> LedgerDocument | Problem:
    """The document an earlier run left, read again: numbers are reused after deletion, so its key must still be ours."""
    kind: StoredKind = standing.ledger_kind or "draft_invoice"
    stored = await executor.ledger.document(kind, standing.number)
    if stored is not None and (standing.how == ACCEPTED or _ours(stored.key, document.key)):
        return stored
    hits = (await executor.ledger.documents([document.key])).get(document.key, ())
    if len(hits) == 1:
        await executor.commit(linking(executor, document.stripe_id, hits[0], "found by key", standing.source_hash))
        if hits[0].kind == "booked_invoice":
            await executor.conclude("book_document", document.key, hits[0].number)
        return hits[0]
    if hits:
        return several(document.key, hits)
    return Problem("E-GONE", f"{kind.replace('_', ' ')} {standing.number} is no longer in the ledger")


def finder(executor: Executor, document: SalesDocument, *, booked: bool = False) -> Find:
    """Looks for what an unanswered create made; with `booked`, for what an unanswered booking made."""

    async def find() -> Found | Problem | None:
        hits = (await executor.ledger.documents([document.key])).get(document.key, ())
        if booked:
            hits = tuple(hit for hit in hits if hit.kind == "booked_invoice")
        if len(hits) > 1:
            return several(document.key, hits)
        return next((Found(hit.number, document=hit) for hit in hits), None)

    return find


def several(key: str, hits: Sequence[LedgerDocument]) -> Problem:
    """One key on several documents."""
    return Problem("E-DUP-KEY", f"{key} stands in the ledger {len(hits)} times: {', '.join(map(named, hits))}")


def linking(executor: Executor, stripe_id: str, stored: LedgerDocument, how: str, source_hash: str) -> LogChange:
    """The change that remembers `stored` as what `stripe_id` became."""
    identity = Identity(stripe_id, stored.number, stored.kind, fingerprint=stored.key, how=how, source_hash=source_hash)
    return executor.log.identity_change(executor.connection, "document", identity, executor.clock())


def _ours(found: str, key: str) -> bool:
    return found == key or (found.startswith(key) and not found[len(key)].isalnum())
