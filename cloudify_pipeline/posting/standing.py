"""Documents that stand in the ledger: finding them by key, reading them again, and remembering which is ours."""

import re
from collections.abc import Sequence

from cloudify_pipeline.accounting.documents import CORRECTED, SalesDocument, carries
from cloudify_pipeline.errors import Problem
from cloudify_pipeline.ledgers.port import LedgerDocument, StoredKind
from cloudify_pipeline.posting.log.standing import relinked, relinked_change
from cloudify_pipeline.posting.log.store import Identity, LogChange
from cloudify_pipeline.posting.protocol import Executor, Find, Found

PREFIX = "stripe:"
"""What every durable key begins with (INTERFACE.md §6)."""
FOUND, SEVERAL = "found by key", "several"
"""How an identity came about that was read from the ledger: one document carried the key, or more than one."""
ACCEPTED = "accepted"
"""How an identity came about that a person's word made: the document carries no key of ours."""


_PART = 500
_KEY = re.compile(rf"stripe:([a-z]+_[A-Za-z0-9]+(?:{CORRECTED})?)")


def named(document: LedgerDocument) -> str:
    """``booked invoice 20188``."""
    return f"{document.kind.replace('_', ' ')} {document.number}"


async def relink(executor: Executor) -> dict[str, LedgerDocument]:
    """Find every document in the ledger that carries a key of ours and remember it, once for each log.

    A log that has never done so is new, or lost: whatever a run is about, it may post nothing that stands there already.
    Gives what was found, by Stripe id, so that nobody need read it again.
    """
    log, connection = executor.log, executor.connection
    if relinked(log, connection):
        return {}
    known = log.identities(connection, "document")
    found: dict[str, list[LedgerDocument]] = {}
    for document in await executor.ledger.keyed_documents(PREFIX):
        found.setdefault(stripe_id_of(document.key), []).append(document)
    new = {stripe_id: documents for stripe_id, documents in found.items() if stripe_id not in known}
    links = [_linked(executor, stripe_id, documents) for stripe_id, documents in new.items()]
    for start in range(0, len(links), _PART):
        await executor.commit(*links[start : start + _PART])
    await executor.commit(relinked_change(connection, executor.clock(), len(new)))
    return {stripe_id: documents[0] for stripe_id, documents in new.items() if len(documents) == 1}


def _linked(executor: Executor, stripe_id: str, documents: Sequence[LedgerDocument]) -> LogChange:
    # Of several that carry one key, which is the right one is a person's to say; until then none is posted beside them.
    how = FOUND if len(documents) == 1 else SEVERAL
    booked = next((document for document in documents if document.kind == "booked_invoice"), documents[0])
    return linking(executor, stripe_id, booked, how, "")


def stripe_id_of(key: str) -> str:
    """The Stripe id that a key begins with; an account or revision may follow it."""
    found = _KEY.match(key)
    return found[1] if found else key.removeprefix(PREFIX)


def still_ours(stored: LedgerDocument, standing: Identity) -> bool:
    """Whether what has the number of `standing` by now is what was linked: numbers are used again after a deletion."""
    return standing.how == ACCEPTED or carries(stored.key, f"{PREFIX}{standing.stripe_id}")


async def stands(executor: Executor, document: SalesDocument, standing: Identity) -> LedgerDocument | Problem:
    """The document an earlier run left, read again: numbers are reused after deletion, so its key must still be ours."""
    kind: StoredKind = standing.ledger_kind or "draft_invoice"
    stored = None if standing.how == SEVERAL else await executor.ledger.document(kind, standing.number)
    if stored is not None and still_ours(stored, standing):
        return stored
    hits = (await executor.ledger.documents([document.key])).get(document.key, ())
    if len(hits) == 1:
        found = hits[0]
        booked = found.kind == "booked_invoice"
        concluding = executor.concluding("book_document", document.key, found.number) if booked else []
        await executor.commit(linking(executor, document.stripe_id, found, FOUND, standing.source_hash), *concluding)
        return found
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
