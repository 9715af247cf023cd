"""Documents: draft, compare the ledger's totals with Stripe's, and book only what agrees to the last minor unit."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cloudify_pipeline.accounting.chart import Number
from cloudify_pipeline.accounting.documents import SalesDocument
from cloudify_pipeline.accounting.money import format_money
from cloudify_pipeline.errors import PipelineError, Problem
from cloudify_pipeline.ledgers.port import LedgerDocument, StoredKind
from cloudify_pipeline.planning.plans import Hold, PlannedDocument, Skip, revision
from cloudify_pipeline.posting.endings import Ending, State, undone
from cloudify_pipeline.posting.log.store import Identity, LogChange
from cloudify_pipeline.posting.protocol import Done, Executor, Find, Found, NotDone

Progress = Callable[[Ending], None]


@dataclass(frozen=True, slots=True)
class Numbers:
    """Which ledger numbers the Stripe customers and products have by now."""

    customers: Mapping[str, Identity]
    products: Mapping[str, Identity]


async def post_documents(
    executor: Executor, plans: Sequence[PlannedDocument | Hold | Skip], *, progress: Progress | None = None
) -> list[Ending]:
    """Bring every planned document into the ledger, once; endings in the order of `plans`."""
    numbers = Numbers(
        executor.log.identities(executor.connection, "customer"), executor.log.identities(executor.connection, "product")
    )
    standing = executor.log.identities(executor.connection, "document", [plan.stripe_id for plan in plans])
    mutilated = executor.log.revisions_with(executor.connection, "E-DROPPED")

    async def one(plan: PlannedDocument | Hold | Skip) -> Ending:
        if mutilated.get(plan.stripe_id) == revision(plan):
            # A draft that lacks a field must not be booked by the next run just because it stands there.
            return Ending("document", plan.stripe_id, "held", problem=executor.log.problem(executor.connection, plan.stripe_id))
        ending = await _ending(executor, plan, numbers, standing.get(plan.stripe_id))
        await executor.commit(
            executor.log.record_changes(executor.connection, [ending], run_id=executor.run_id, now=executor.clock())
        )
        if progress is not None:
            progress(ending)
        return ending

    return list(await asyncio.gather(*(one(plan) for plan in plans)))


async def relink(executor: Executor, documents: Sequence[SalesDocument]) -> int:
    """Find documents that already carry our keys and remember them: how a lost log is rebuilt without posting again."""
    unknown = {document.key: document for document in documents}
    found = await executor.ledger.documents(list(unknown))
    linked = 0
    for key, hits in found.items():
        if len(hits) == 1:
            await executor.commit(_identity_change(executor, unknown[key], hits[0], "found by key"))
            linked += 1
    return linked


async def _ending(
    executor: Executor,
    plan: PlannedDocument | Hold | Skip,
    numbers: Numbers,
    standing: Identity | None,
) -> Ending:
    if isinstance(plan, Hold | Skip):
        return undone("document", plan)
    document = plan.document
    result = await _bring(executor, document, revision(plan), numbers, standing)
    if isinstance(result, Ending):
        return result
    stored, made = result
    state: State = "booked" if stored.kind == "booked_invoice" else "posted"
    return _ended(document, state, stored=stored, mark=revision(plan), made=made)


async def _bring(
    executor: Executor,
    document: SalesDocument,
    mark: str,
    numbers: Numbers,
    standing: Identity | None,
) -> tuple[LedgerDocument, bool] | Ending:
    made = False
    if standing is None:
        drafted = await _draft(executor, document, mark, numbers)
        if isinstance(drafted, Ending):
            return drafted
        stored, made = drafted
    else:
        again = await _stands(executor, document, standing)
        if isinstance(again, Problem):
            return _ended(document, "held", mark=mark, problem=again)
        stored = again
    if document.kind == "booked_invoice" and stored.kind == "draft_invoice":
        difference = total_difference(document, stored)
        if difference is not None:
            return _ended(document, "held", stored=stored, mark=mark, problem=difference, made=made)
        booked = await _book(executor, document, stored, mark)
        if isinstance(booked, Ending):
            return booked
        stored, made = booked
    difference = total_difference(document, stored)
    if difference is not None:
        return _ended(document, "held", stored=stored, mark=mark, problem=difference, made=made)
    return stored, made


async def _draft(
    executor: Executor, document: SalesDocument, mark: str, numbers: Numbers
) -> tuple[LedgerDocument, bool] | Ending:
    resolved = _resolve(document, numbers)
    if isinstance(resolved, Problem):
        return _ended(document, "held", mark=mark, problem=resolved)
    customer, by_product = resolved
    write = executor.ledger.create_document(document, customer, by_product)
    done = await executor.perform(
        write, revision=mark, find=_finder(executor, document), then=lambda done: _link(executor, document, done)
    )
    if isinstance(done, NotDone):
        return _ended(document, "failed", mark=mark, problem=done.problem, retry=done.retry)
    if done.dropped:
        problem = Problem("E-DROPPED", f"the ledger did not keep {', '.join(done.dropped)}", field=done.dropped[0])
        return _ended(document, "held", stored=_document(done), mark=mark, problem=problem, made=done.made)
    return _document(done), done.made


async def _book(
    executor: Executor, document: SalesDocument, draft: LedgerDocument, mark: str
) -> tuple[LedgerDocument, bool] | Ending:
    write = executor.ledger.book_document(draft.number, key=document.key, send_by=document.send_by)
    done = await executor.perform(
        write, revision=mark, find=_finder(executor, document, booked=True), then=lambda done: _link(executor, document, done)
    )
    if isinstance(done, NotDone):
        return _ended(document, "failed", stored=draft, mark=mark, problem=done.problem, retry=done.retry)
    return _document(done), done.made


async def _stands(executor: Executor, document: SalesDocument, standing: Identity) -> LedgerDocument | Problem:
    """The document an earlier run left, read again: numbers are reused after deletion, so its key must still be ours."""
    kind: StoredKind = standing.ledger_kind or "draft_invoice"
    stored = await executor.ledger.document(kind, standing.number)
    if stored is not None and _ours(stored.key, document.key):
        return stored
    hits = (await executor.ledger.documents([document.key])).get(document.key, ())
    if len(hits) == 1:
        await executor.commit(_identity_change(executor, document, hits[0], "found by key"))
        if hits[0].kind == "booked_invoice":
            await executor.conclude("book_document", document.key, hits[0].number)
        return hits[0]
    if hits:
        return _several(document, hits)
    return Problem("E-GONE", f"{kind.replace('_', ' ')} {standing.number} is no longer in the ledger")


def _finder(executor: Executor, document: SalesDocument, *, booked: bool = False) -> Find:
    async def find() -> Found | Problem | None:
        hits = (await executor.ledger.documents([document.key])).get(document.key, ())
        if booked:
            hits = tuple(hit for hit in hits if hit.kind == "booked_invoice")
        if len(hits) > 1:
            return _several(document, hits)
        return next((Found(hit.number, document=hit) for hit in hits), None)

    return find


def _several(document: SalesDocument, hits: Sequence[LedgerDocument]) -> Problem:
    shown = ", ".join(f"{hit.kind.replace('_', ' ')} {hit.number}" for hit in hits)
    return Problem("E-DUP-KEY", f"{document.key} stands in the ledger {len(hits)} times: {shown}")


def _resolve(document: SalesDocument, numbers: Numbers) -> tuple[Number, dict[str, str]] | Problem:
    customer = document.customer.number
    if customer is None:
        linked = numbers.customers.get(document.customer.stripe_id or "")
        if linked is None:
            return Problem("E-DEPENDENCY", f"its customer {document.customer.stripe_id} is not in the ledger yet")
        customer = linked.number
    wanted = {
        line.product.stripe_id for line in document.lines if line.product and line.product.stripe_id and not line.product.number
    }
    missing = sorted(stripe_id for stripe_id in wanted if stripe_id not in numbers.products)
    if missing:
        return Problem("E-DEPENDENCY", f"its product {missing[0]} is not in the ledger yet")
    return customer, {stripe_id: str(numbers.products[stripe_id].number) for stripe_id in wanted}


def total_difference(document: SalesDocument, stored: LedgerDocument) -> Problem | None:
    """The ledger's gross against Stripe's total, to the minor unit; both sides are in the message."""
    if stored.totals.gross == document.stripe_total and stored.currency == document.currency:
        return None
    ledger = format_money(stored.totals.gross, stored.currency)
    net, vat = format_money(stored.totals.net, stored.currency), format_money(stored.totals.vat, stored.currency)
    return Problem(
        "E-TOTAL",
        f"Stripe's total is {format_money(document.stripe_total, document.currency)}; "
        f"{stored.kind.replace('_', ' ')} {stored.number} has {ledger} (net {net}, VAT {vat})",
        field="total",
        found=ledger,
    )


def _link(executor: Executor, document: SalesDocument, done: Done) -> LogChange:
    return _identity_change(executor, document, _document(done), "created")


def _document(done: Done) -> LedgerDocument:
    if done.document is None:
        message = f"the ledger confirmed {done.number} without showing the document"
        raise PipelineError(message)
    return done.document


def _identity_change(executor: Executor, document: SalesDocument, stored: LedgerDocument, how: str) -> LogChange:
    identity = Identity(document.stripe_id, stored.number, stored.kind, fingerprint=stored.key, how=how)
    return executor.log.identity_change(executor.connection, "document", identity, executor.clock())


def _ours(found: str, key: str) -> bool:
    return found == key or (found.startswith(key) and not found[len(key)].isalnum())


def _ended(
    document: SalesDocument,
    state: State,
    *,
    mark: str,
    stored: LedgerDocument | None = None,
    problem: Problem | None = None,
    made: bool = False,
    retry: bool = False,
) -> Ending:
    return Ending(
        "document",
        document.stripe_id,
        state,
        number=stored.number if stored else None,
        ledger_kind=stored.kind if stored else None,
        total=document.stripe_total,
        currency=document.currency,
        stripe_number=document.stripe_number,
        name=str(document.fields.get("recipient.name", "")) or None,
        problem=problem,
        revision=mark,
        made=made,
        retry=retry,
        url=stored.url if stored else None,
    )
