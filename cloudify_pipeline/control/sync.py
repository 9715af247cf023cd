"""The steps of a sync, in dependency order: stage, plan, customers, products, documents, and one more try.

Each step stands alone: it opens its clients, reads what the step before left in staging and the log, and says what it did.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime

from cloudify_pipeline.catalogue import entry
from cloudify_pipeline.control.account import check_staged, contact
from cloudify_pipeline.control.adopted import concerned, forget_adopted, of_own_account, tell_of_adopted
from cloudify_pipeline.control.audit import note_settings
from cloudify_pipeline.control.books import refuse_second
from cloudify_pipeline.control.calls import PlannedCalls, in_portions, is_sent, planned_calls
from cloudify_pipeline.control.check_first import check_first
from cloudify_pipeline.control.health import Health, check_health
from cloudify_pipeline.control.joined import own_object
from cloudify_pipeline.control.opened import OpenConnection, check_books
from cloudify_pipeline.control.planner import Planned, plan_connection
from cloudify_pipeline.control.progress import tell
from cloudify_pipeline.control.search import fill_terms
from cloudify_pipeline.errors import Problem, RunStopped
from cloudify_pipeline.planning.plans import (
    Hold,
    Plan,
    PlannedCustomer,
    PlannedDocument,
    PlannedProduct,
    Skip,
    dump,
    load,
    revision,
)
from cloudify_pipeline.posting.adoption import Look, look
from cloudify_pipeline.posting.document import Portion
from cloudify_pipeline.posting.documents import post_documents
from cloudify_pipeline.posting.endings import Ending, RecordKind, undone
from cloudify_pipeline.posting.log.chain import settings_in_force
from cloudify_pipeline.posting.log.commits import GroupCommit
from cloudify_pipeline.posting.log.lease import TERM, BooksBusy, held_with_books, turn_missed
from cloudify_pipeline.posting.log.looks import last_look
from cloudify_pipeline.posting.log.vat_numbers import keep_vat_answers
from cloudify_pipeline.posting.parties import FOUND, let_go, post_customers, post_products
from cloudify_pipeline.posting.protocol import Executor
from cloudify_pipeline.staging.writing import PlanRow
from cloudify_pipeline.stripe_source.extract import ExtractReport, extract

logger = logging.getLogger(__name__)

PORTION = 500
Progress = Callable[[Ending], None]
Stages = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class Stepped:
    """What one posting step did: endings, and the calls it made to the ledger.

    `adopted` are documents that stood in the ledger with a key of this connection's and were not known to the log.
    `turn`: why nothing was sent, where another connection had the books for as long as a run waits.
    """

    endings: list[Ending]
    reads: int = 0
    writes: int = 0
    waited: int = 0
    adopted: frozenset[str] = frozenset()
    turn: str | None = None


async def stage(
    opened: OpenConnection,
    *,
    since: datetime | None = None,
    ids: Sequence[str] = (),
    progress: Stages | None = None,
    bind: bool = True,
) -> ExtractReport:
    """Copy what is new or changed in Stripe into staging; only `ids` when they are named.

    Without `bind` the log is left as it is, also at the first contact with Stripe.

    Raises:
        NotAuthorised: the key is refused, or is for another account or mode than the one that is bound.
        Unreachable: Stripe does not answer.
    """
    objects = list(dict.fromkeys(map(own_object, ids)))
    async with opened.stripe() as reader:
        belongs = await contact(opened, reader, bind=bind)
        return await extract(
            reader,
            opened.staging,
            now=opened.clock(),
            since=since,
            ids=objects,
            livemode=belongs.livemode,
            progress=progress,
        )


@dataclass(frozen=True, slots=True)
class Looked:
    """What one planning step found: the plans, how the connection is, and the calls that posting will make."""

    planned: Planned
    health: Health
    calls: PlannedCalls


async def plan(opened: OpenConnection, *, ids: Sequence[str] | None = None, posting: bool = True) -> Looked:
    """Plan what is due and keep the plans in staging for the posting steps.

    `posting`: whether those follow, so that the settings are checked first.
    """
    note_settings(opened)
    if posting:
        await check_first(opened)
    forget_adopted(opened)
    _wait_no_longer(opened)
    async with opened.ledger() as ledger:
        identity = await check_books(opened, ledger)
        refuse_second(opened, identity.agreement)
        planned = await plan_connection(opened, ledger, ids=ids, again=ids is not None)
        keep_vat_answers(opened.log.engine, opened.name, planned.vat_answers, opened.clock())
        health = await check_health(opened, ledger, identity, now=opened.clock(), planned=planned, products=planned.numbered)
        calls = planned_calls(opened, ledger, planned)
    opened.staging.replace_plans("plan_customers", _rows(planned.customers.values()), only=None)
    opened.staging.replace_plans("plan_products", _rows(planned.products.values()), only=None)
    opened.staging.replace_plans("plan_documents", _rows(planned.documents.values()), only=None)
    return Looked(planned, health, calls)


async def post_planned_customers(opened: OpenConnection, run_id: str, *, ids: Sequence[str] | None = None) -> Stepped:
    """Create, update and link the planned customers; those over limits.max_new_customers_per_run wait."""
    plans = [plan for plan in _plans(opened, "plan_customers", ids) if isinstance(plan, PlannedCustomer | Hold)]
    over = [plan for plan in plans if isinstance(plan, PlannedCustomer) and plan.action == "create"]
    waiting = {plan.stripe_id for plan in over[opened.settings.limits.max_new_customers_per_run :]}
    now_due = [plan for plan in plans if plan.stripe_id not in waiting]
    later = [plan for plan in plans if plan.stripe_id in waiting]
    if not opened.may_write:
        return Stepped(_only_planned(opened, "customer", plans, run_id))

    async def post(executor: Executor) -> list[Ending]:
        await let_go(executor, "customer", plans)
        endings = await post_customers(executor, now_due)
        await _record(executor, endings)
        await _store_numbers(opened)
        return [*endings, *_over_limit(opened, later, run_id)]

    return await _in_turn(opened, "customer", plans, run_id, post)


async def post_planned_products(opened: OpenConnection, run_id: str, *, ids: Sequence[str] | None = None) -> Stepped:
    """Create, update and link the planned products."""
    plans = [plan for plan in _plans(opened, "plan_products", ids) if isinstance(plan, PlannedProduct | Hold)]
    if not opened.may_write:
        return Stepped(_only_planned(opened, "product", plans, run_id))

    async def post(executor: Executor) -> list[Ending]:
        endings = await post_products(executor, plans)
        await _record(executor, endings)
        return endings

    return await _in_turn(opened, "product", plans, run_id, post)


async def post_planned_documents(
    opened: OpenConnection,
    run_id: str,
    *,
    ids: Sequence[str] | None = None,
    progress: Progress | None = None,
    again: bool = False,
    named: Collection[str] = (),
) -> Stepped:
    """Bring the planned documents into the ledger; held and skipped ones get their reason in the log.

    `again`: a person asked for just these, so that what is in quarantine is tried once more; `named` as
    :class:`~cloudify_pipeline.posting.document.Portion` has them.
    """
    plans = [plan for plan in _plans(opened, "plan_documents", ids) if isinstance(plan, PlannedDocument | Hold | Skip)]
    if not opened.may_write:
        return Stepped(_only_planned(opened, "document", plans, run_id))

    adopted: set[str] = set()

    async def post(executor: Executor) -> list[Ending]:
        how = Portion(opened.settings.limits.quarantine_after, again, frozenset(named))
        if any(isinstance(plan, PlannedDocument) for plan in plans):
            # Terms and layouts decide what a document's body holds, and periods whether it may have its date.
            how = replace(how, chart=await executor.ledger.chart())
        endings: list[Ending] = []
        seen: Look | None = None
        # What a new log holds may stand in the ledger all the same.
        new = last_look(opened.log, opened.name) is None
        for portion in in_portions(plans, PORTION):
            planned = [plan.stripe_id for plan in portion if isinstance(plan, PlannedDocument)]
            if (planned or new) and (seen is None or not seen.is_fresh(opened.clock())):
                seen = await look(executor, lambda ids: of_own_account(opened, ids), concerned(plans))
                adopted.update(seen.adopted)
                how = replace(how, seen=seen.found, adopted=seen.adopted)
            endings += await post_documents(executor, portion, progress=progress, portion=how)
        tell_of_adopted(opened, adopted)
        fill_terms(opened)
        return endings

    stepped = await _in_turn(opened, "document", plans, run_id, post)
    return replace(stepped, adopted=frozenset(adopted))


async def settle(opened: OpenConnection, run_id: str) -> Stepped:
    """Try once more what could not be reached, in order; the endings are those that were tried."""
    customers = _retriable(opened, "customer")
    products = _retriable(opened, "product")
    documents = _retriable(opened, "document")
    if not opened.may_write or not (customers or products or documents):
        return Stepped([])
    steps = [
        await post_planned_customers(opened, run_id, ids=customers),
        await post_planned_products(opened, run_id, ids=products),
        await post_planned_documents(opened, run_id, ids=documents),
    ]
    return Stepped(
        [ending for step in steps for ending in step.endings],
        reads=sum(step.reads for step in steps),
        writes=sum(step.writes for step in steps),
        waited=sum(step.waited for step in steps),
        turn=next((step.turn for step in steps if step.turn), None),
    )


def unreached(endings: Sequence[Ending]) -> list[Ending]:
    """The endings that another try may cure."""
    return [ending for ending in endings if ending.state == "failed" and ending.retry]


async def _in_turn(
    opened: OpenConnection,
    kind: RecordKind,
    plans: Sequence[Plan],
    run_id: str,
    post: Callable[[Executor], Awaitable[list[Ending]]],
) -> Stepped:
    """Let `post` write when it is this connection's turn; where that does not come in time, `plans` stay planned by name.

    A step that comes after one that missed its turn in the same run waits no second time: its records need the other's.
    """
    try:
        if missed := turn_missed(opened.log.engine, opened.name, run_id):
            return Stepped(_wait_for_the_next(opened, kind, plans, run_id, missed), turn=missed)
        async with _executor(opened, run_id, sending=any(map(is_sent, plans))) as executor:
            endings = await post(executor)
            return _stepped(executor, endings)
    except BooksBusy as busy:
        return Stepped(_wait_for_the_next(opened, kind, plans, run_id, busy.message), turn=busy.message)


def _wait_for_the_next(opened: OpenConnection, kind: RecordKind, plans: Sequence[Plan], run_id: str, why: str) -> list[Ending]:
    logger.warning("%s: %s; %d %ss wait for the next run", opened.name, why, len(plans), kind)
    endings = [_planned_ending(kind, plan) for plan in plans]
    endings = [replace(one, problem=Problem(BooksBusy.code, why)) if one.state == "planned" else one for one in endings]
    opened.log.record(opened.name, endings, run_id=run_id, now=opened.clock())
    return endings


def _wait_no_longer(opened: OpenConnection) -> None:
    """What waited for another connection is due like anything else in this run."""
    kinds: tuple[RecordKind, ...] = ("customer", "product", "document")
    for kind in kinds:
        endings = [Ending(kind, stripe_id, "planned") for stripe_id in opened.log.waiting(opened.name, kind, BooksBusy.code)]
        opened.log.record(opened.name, endings, run_id="plan", now=opened.clock())


@asynccontextmanager
async def _executor(opened: OpenConnection, run_id: str, *, sending: bool) -> AsyncIterator[Executor]:
    """Who writes, for one step; where something is to be sent, whose books the tokens are for by now is asked first."""
    check_staged(opened)
    await check_first(opened)
    books = opened.books
    if books is None:
        # Posting by itself, without the step that plans: whose books these are is asked before anything else.
        async with opened.ledger() as ledger:
            await check_books(opened, ledger)
        books = str(opened.books)
    async with (
        held_with_books(
            opened.log.engine, opened.name, books, clock=opened.clock, sleep=opened.sleep, waiting=_tell_of_waiting
        ) as lease,
        opened.ledger() as ledger,
        GroupCommit(opened.log.engine) as commits,
    ):
        refuse_second(opened, depth="unknown")
        if sending:
            # The step that planned may have run long ago, with other tokens.
            await check_books(opened, ledger)
        planned_by = settings_in_force(opened.log.engine, opened.name) or opened.loaded.hash
        executor = Executor(ledger, opened.log, commits, lease=lease, run_id=run_id, clock=opened.clock, settings_hash=planned_by)
        beating = asyncio.create_task(_keep_lease(executor))
        try:
            yield executor
        finally:
            beating.cancel()
            with suppress(asyncio.CancelledError, RunStopped):
                await beating


def _tell_of_waiting(connection: str) -> None:
    tell(f"waiting for connection {connection}, which is writing to the same books", 0)


async def _keep_lease(executor: Executor) -> None:
    """A run that waits for the ledger's rate limit is alive: nobody may take over while it waits."""
    while True:
        await asyncio.sleep(TERM.total_seconds() / 5)
        await executor.commit()


async def _record(executor: Executor, endings: Sequence[Ending]) -> None:
    for start in range(0, len(endings), PORTION):
        part = endings[start : start + PORTION]
        change = executor.log.record_changes(executor.connection, part, run_id=executor.run_id, now=executor.clock())
        await executor.commit(change)


def _stepped(executor: Executor, endings: list[Ending]) -> Stepped:
    made = executor.ledger.requests
    return Stepped(endings, reads=made.reads, writes=made.writes, waited=made.waited)


def _rows(plans: Iterable[Plan]) -> list[PlanRow]:
    rows = []
    for plan in plans:
        kind, body = dump(plan)
        rows.append(PlanRow(plan.stripe_id, kind, revision(plan), body))
    return rows


def _plans(opened: OpenConnection, table: str, ids: Sequence[str] | None) -> list[Plan]:
    if ids is not None and not ids:
        return []
    return [load(row.kind, row.body) for row in opened.staging.plans(table, ids)]


def _only_planned(opened: OpenConnection, kind: RecordKind, plans: Sequence[Plan], run_id: str) -> list[Ending]:
    """What would happen, kept in the log without a call: nothing is sent in dry_run and read_only."""
    endings = [_planned_ending(kind, plan) for plan in plans]
    opened.log.record(opened.name, endings, run_id=run_id, now=opened.clock())
    return endings


def _over_limit(opened: OpenConnection, plans: Sequence[Plan], run_id: str) -> list[Ending]:
    limit = opened.settings.limits.max_new_customers_per_run
    reason = f"one run creates {limit} customers (limits.max_new_customers_per_run); this one follows in a later run"
    endings = [replace(_planned_ending("customer", plan), problem=Problem("E-LIMIT", reason)) for plan in plans]
    opened.log.record(opened.name, endings, run_id=run_id, now=opened.clock())
    return endings


def _planned_ending(kind: RecordKind, plan: Plan) -> Ending:
    if isinstance(plan, Hold | Skip):
        return undone(kind, plan)
    if isinstance(plan, PlannedDocument):
        document = plan.document
        return Ending(
            kind,
            plan.stripe_id,
            "planned",
            total=document.stripe_total,
            currency=document.currency,
            stripe_number=document.stripe_number,
            name=str(document.fields.get("recipient.name", "")) or None,
            revision=revision(plan),
            terms=plan.terms,
        )
    return Ending(kind, plan.stripe_id, "planned", number=plan.number, name=plan.name, revision=revision(plan))


async def _store_numbers(opened: OpenConnection) -> None:
    """Keep the number of each customer this software created, here or in another home, in the Stripe customer's metadata.

    Driven by what staging shows, so a write that failed is tried by the next run and one that arrived is not repeated.
    """
    field = opened.settings.customers.number.store_in
    if field is None or opened.settings.customers.number.source != "ledger":
        return
    key = field.removeprefix("metadata.").strip('"')
    identities = opened.log.identities(opened.name, "customer").values()
    created = {one.stripe_id: one.number for one in identities if one.how in {"created", FOUND}}
    staged = opened.staging.objects("customer", list(created))
    missing = {
        stripe_id: str(created[stripe_id])
        for stripe_id, customer in staged.items()
        if not customer.get("deleted") and (customer.get("metadata") or {}).get(key) != str(created[stripe_id])
    }
    if not missing:
        return
    writer = opened.new_stripe_writer()
    for stripe_id, number in missing.items():
        problem = await writer.set_customer_metadata(stripe_id, {key: number})
        if problem is not None and not entry(problem.code).retry:
            # Not authorised to write: the same answer for every customer, so one call is enough.
            return


def _retriable(opened: OpenConnection, kind: RecordKind) -> list[str]:
    rows = opened.log.records(opened.name, kind, states=("failed", "held"))
    return [row["stripe_id"] for row in rows if row["code"] and _may_cure(row["state"], row["code"])]


def _may_cure(state: str, code: str) -> bool:
    return (state == "failed" and entry(code).retry) or (state == "held" and code == "E-DEPENDENCY")
