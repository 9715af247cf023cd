"""Documents that stand in the ledger: finding them by key, reading them again, and remembering which is ours."""

import re
from collections.abc import Sequence

from cloudify_pipeline.accounting.chart import Number
from cloudify_pipeline.accounting.documents import CORRECTED, SalesDocument, carries
from cloudify_pipeline.errors import Problem
from cloudify_pipeline.ledgers.port import LedgerDocument, Operation, StoredKind
from cloudify_pipeline.posting.log.standing import posted_amounts
from cloudify_pipeline.posting.log.store import Identity, LogChange, PostingLog
from cloudify_pipeline.posting.protocol import Executor, Find, Found

PREFIX = "stripe:"
"""What every durable key begins with (INTERFACE.md §6)."""
FOUND, SEVERAL = "found by key", "several"
"""How an identity came about that was read from the ledger: one document carried the key, or more than one."""
ACCEPTED = "accepted"
"""How an identity came about that a person's word made: the document carries no key of ours."""


_KEY = re.compile(rf"stripe:([a-z]+_[A-Za-z0-9]+(?:{CORRECTED})?)")


def named(document: LedgerDocument) -> str:
    """``booked invoice 20188``."""
    return f"{document.kind.replace('_', ' ')} {document.number}"


def stripe_id_of(key: str) -> str:
    """The Stripe id that a key begins with; an account or revision may follow it."""
    found = _KEY.match(key)
    return found[1] if found else key.removeprefix(PREFIX)


def still_ours(stored: LedgerDocument, standing: Identity) -> bool:
    """Whether what has the number of `standing` by now is what was linked: drafts' numbers are used again after a deletion.

    A booked number is given once, so a reference that somebody wrote over makes no other document of it.
    """
    if standing.how == ACCEPTED or carries(stored.key, f"{PREFIX}{standing.stripe_id}"):
        return True
    return stored.kind == "booked_invoice" and _KEY.match(stored.key) is None


async def stands(
    executor: Executor,
    document: SalesDocument,
    standing: Identity,
    *,
    seen: Sequence[LedgerDocument] = (),
    customer: Number | None = None,
) -> LedgerDocument | Problem:
    """The document an earlier run left, as it stands now: numbers are reused after deletion, so its key must still be ours.

    `seen` are the documents with its key that a look at the ledger has just shown; `customer` is its customer there.
    """
    kind: StoredKind = standing.ledger_kind or "draft_invoice"
    stored = None
    hits = tuple(seen)
    if not hits:
        stored = None if standing.how == SEVERAL else await executor.ledger.document(kind, standing.number)
        if stored is not None and still_ours(stored, standing):
            return stored
        hits = (await executor.ledger.documents([document.key])).get(document.key, ())
    if len(hits) > 1:
        return several(document.key, hits)
    if not hits:
        return gone(executor.log, executor.connection, standing, stored, customer)
    found = hits[0]
    if (found.kind, found.number) != (standing.ledger_kind, standing.number) or standing.how == SEVERAL:
        link = linking(executor, document.stripe_id, found, FOUND, standing.source_hash)
        await executor.commit(link, *concluded(executor, document.key, found))
    return found


def concluded(executor: Executor, key: str, found: LedgerDocument) -> list[LogChange]:
    """The changes that close what this log has sent on `key` and has no answer to: what it made stands as `found`."""
    operations: tuple[Operation, ...] = ("create_document",)
    if found.kind == "booked_invoice":
        operations = ("create_document", "update_document", "book_document")
    return [change for operation in operations for change in executor.concluding(operation, key, found.number)]


def gone(log: PostingLog, connection: str, standing: Identity, stored: LedgerDocument | None, customer: Number | None) -> Problem:
    """Why nothing that carries the key of `standing` is found. `stored` is what has its number by now.

    A reference that somebody wrote over is another matter than a number that was given again.
    """
    words = f"{(standing.ledger_kind or 'document').replace('_', ' ')} {standing.number}"
    if stored is not None and not stored.key.startswith(PREFIX):
        posted = posted_amounts(log, connection, [standing.stripe_id]).get(standing.stripe_id)
        alike = (
            posted == (stored.totals.gross, stored.currency) and customer is not None and str(customer) == str(stored.customer)
        )
        if alike:
            key, now = f"{PREFIX}{standing.stripe_id}", f"“{stored.key}”" if stored.key else "nothing"
            return Problem(
                "E-KEY-LOST", f"{words} has {now} for a reference where its key {key} stood", "references.other", words
            )
    return Problem("E-GONE", f"{words} is no longer in the ledger")


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
