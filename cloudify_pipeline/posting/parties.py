"""Customers and products: make the ledger agree with their plans, and remember which number each became."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from cloudify_pipeline.accounting.chart import Number
from cloudify_pipeline.accounting.parties import LedgerRecord, Lookup
from cloudify_pipeline.errors import Problem, Refused
from cloudify_pipeline.ledgers.port import CustomerWrite, Ledger, Operation, ProductWrite, Write
from cloudify_pipeline.planning.plans import Hold, PlannedCustomer, PlannedProduct, revision
from cloudify_pipeline.posting.decided import decided
from cloudify_pipeline.posting.endings import Ending, RecordKind, undone
from cloudify_pipeline.posting.log.parties import GONE, numbers_taken
from cloudify_pipeline.posting.log.store import Identity, LogChange
from cloudify_pipeline.posting.protocol import Done, Executor, Found, NotDone

Party = PlannedCustomer | PlannedProduct
FOUND = "found"
"""How a link came about to what stood in the ledger as if an earlier create had made it, which this log does not know of."""


async def post_customers(executor: Executor, plans: Sequence[PlannedCustomer | Hold]) -> list[Ending]:
    """Create, update or link every planned customer; held ones keep their reason. One Stripe customer is one operation."""
    return await _post(executor, "customer", plans)


async def post_products(executor: Executor, plans: Sequence[PlannedProduct | Hold]) -> list[Ending]:
    """As :func:`post_customers`, for products."""
    return await _post(executor, "product", plans)


async def let_go(executor: Executor, kind: RecordKind, plans: Sequence[Party | Hold]) -> None:
    """Remember of every record that is no longer in the ledger that it is gone: its number may be somebody else's by now.

    Before anything is made again, and also for what is not made in this run: no document may go to such a number.
    """
    lost = [plan for plan in plans if not isinstance(plan, Hold) and plan.gone is not None]
    known = executor.log.identities(executor.connection, kind, [plan.stripe_id for plan in lost]) if lost else {}
    gone = [
        replace(identity, how=GONE)
        for plan in lost
        if (identity := known.get(plan.stripe_id)) is not None and identity.number == plan.gone and identity.how != GONE
    ]
    if gone:
        now = executor.clock()
        await executor.commit(*(executor.log.identity_change(executor.connection, kind, one, now) for one in gone))


async def _post(executor: Executor, kind: RecordKind, plans: Sequence[Party | Hold]) -> list[Ending]:
    await let_go(executor, kind, plans)
    linked = executor.log.identities(executor.connection, kind, [plan.stripe_id for plan in plans])
    linked = {stripe_id: identity for stripe_id, identity in linked.items() if identity.how != GONE}
    # A plan from before the link was made must not make a second one.
    new = [plan for plan in plans if not isinstance(plan, Hold) and plan.action == "create" and plan.stripe_id not in linked]
    made = await _standing(executor, kind, new)
    return list(
        await asyncio.gather(
            *(_ending(executor, kind, plan, linked.get(plan.stripe_id), made.get(plan.stripe_id)) for plan in plans)
        )
    )


async def _ending(
    executor: Executor, kind: RecordKind, plan: Party | Hold, linked_before: Identity | None, standing: Found | Problem | None
) -> Ending:
    if isinstance(plan, Hold):
        return undone(kind, plan)
    mark = revision(plan)
    if plan.action == "create" and linked_before is not None:
        return Ending(kind, plan.stripe_id, "posted", number=linked_before.number, name=plan.name, revision=mark)
    if isinstance(standing, Problem):
        return Ending(kind, plan.stripe_id, "failed", name=plan.name, problem=standing, revision=mark)
    if standing is not None:
        done: Done | NotDone = await _use(executor, kind, plan, standing.number, linked_before, record=standing.record)
    elif plan.action == "use" and plan.number is not None:
        done = await _use(executor, kind, plan, plan.number, linked_before)
    elif plan.action == "update" and plan.number is not None:
        done = await _update(executor, kind, plan, plan.number, linked_before)
    else:
        done = await _create(executor, kind, plan, mark)
    if isinstance(done, NotDone):
        return Ending(kind, plan.stripe_id, "failed", name=plan.name, problem=done.problem, revision=mark, retry=done.retry)
    dropped = (
        Problem("E-DROPPED", f"the ledger did not keep {', '.join(done.dropped)}", field=done.dropped[0])
        if done.dropped
        else None
    )
    return Ending(
        kind, plan.stripe_id, "posted", number=done.number, name=plan.name, problem=dropped, revision=mark, made=done.made
    )


async def _use(
    executor: Executor,
    kind: RecordKind,
    plan: Party,
    number: Number,
    before: Identity | None,
    *,
    record: LedgerRecord | None = None,
) -> Done:
    """Link what was found. Where an earlier create was never answered, what is found now is what it made."""
    done = Done(number, made=False, record=record)
    concluding = executor.concluding("create_customer" if kind == "customer" else "create_product", _key(plan), number)
    how = "created" if concluding else FOUND if plan.action == "create" else "matched"
    link = _linked(executor, kind, plan, executor.clock(), how)
    await executor.commit(link(done), *concluding, *([] if concluding else _newly_linked(executor, plan, number, before)))
    return done


def _newly_linked(executor: Executor, plan: Party, number: Number, before: Identity | None) -> list[LogChange]:
    """The change that keeps why a record of the ledger was taken for this one; it was decided once."""
    if before is not None and str(before.number) == str(number):
        return []
    return [executor.keeping(decided(plan, sent=False), executor.clock())]


async def _update(executor: Executor, kind: RecordKind, plan: Party, number: Number, before: Identity | None) -> Done | NotDone:
    key = _key(plan)
    try:
        if isinstance(plan, PlannedCustomer):
            write = await executor.ledger.update_customer(number, plan.fields, key=key)
        else:
            write = await executor.ledger.update_product(str(number), plan.fields, key=key)
    except Refused as gone:
        return NotDone(Problem(gone.code, gone.message), retry=False)
    link = _linked(executor, kind, plan, executor.clock())
    if write is None:
        done = Done(number, made=False)
        operation: Operation = "update_customer" if kind == "customer" else "update_product"
        concluding = executor.concluding(operation, key, number)
        await executor.commit(link(done), *concluding, *([] if concluding else _newly_linked(executor, plan, number, before)))
        return done

    async def find() -> Found | Problem | None:
        # A replacement that was lost is simply sent again: it writes the same values over the same record.
        return None

    return await executor.perform(write, revision=revision(plan), find=find, then=link, decided=decided(plan))


async def _create(executor: Executor, kind: RecordKind, plan: Party, mark: str) -> Done | NotDone:
    write = _write(executor.ledger, plan)

    async def find() -> Found | Problem | None:
        return (await _standing(executor, kind, [plan])).get(plan.stripe_id)

    link = _linked(executor, kind, plan, executor.clock(), "created")
    return await executor.perform(write, revision=mark, find=find, then=link, decided=decided(plan))


def _write(ledger: Ledger, plan: Party) -> Write:
    if isinstance(plan, PlannedCustomer):
        return ledger.create_customer(
            CustomerWrite(
                plan.stripe_id, plan.number, plan.name, plan.currency, plan.group, plan.payment_terms, plan.vat_zone,
                plan.layout, plan.fields,
            )
        )  # fmt: skip
    return ledger.create_product(ProductWrite(plan.stripe_id, plan.number, plan.name, plan.group, plan.unit, plan.fields))


async def _standing(executor: Executor, kind: RecordKind, plans: Sequence[Party]) -> Mapping[str, Found | Problem]:
    """What stands in the ledger of what the creates of `plans` would make, whatever this log remembers; one look for all.

    This log may be older than the ledger, or another's run may have been here a moment ago, or an answer was lost. A record
    that no other Stripe id has, and that says what would be sent, is what the create would make: it is linked. Where more of
    them stand than plans ask for, nobody can say which is whose. Two Stripe customers with the very same words remain two.
    """
    if not plans:
        return {}
    lookups = {plan.stripe_id: sought(plan) for plan in plans}
    ask = executor.ledger.customers if kind == "customer" else executor.ledger.products
    candidates = await ask(list(dict.fromkeys(lookups.values())))
    own = {plan.stripe_id for plan in plans}
    taken = numbers_taken(executor.log, executor.connection, kind)
    same: dict[tuple[Lookup, bytes], list[Party]] = {}
    for plan in plans:
        same.setdefault((lookups[plan.stripe_id], _write(executor.ledger, plan).body), []).append(plan)
    found: dict[str, Found | Problem] = {}
    for (lookup, _), alike in same.items():
        write = _write(executor.ledger, alike[0])
        theirs = {number for number, stripe_ids in taken.items() if stripe_ids - own} | executor.claimed[kind]
        hits = {
            record.number: record
            for record in candidates.get(lookup, ())
            if record.number not in theirs and executor.ledger.made_by(write, record)
        }
        found |= _divided(alike, hits)
    # Each record is one customer's: a later look may not find it again for another.
    executor.claimed[kind] |= {one.number for one in found.values() if isinstance(one, Found)}
    return found


def _divided(alike: Sequence[Party], hits: Mapping[Number, LedgerRecord]) -> dict[str, Found | Problem]:
    """Each of the `hits` to one of the plans that would make the very same; a problem for all where there are more of them."""
    if len(hits) > len(alike):
        numbers = ", ".join(str(number) for number in sorted(hits, key=str))
        words = f"the ledger has {numbers} with the very fields that would be sent"
        return {plan.stripe_id: Problem("E-MATCH-MANY", f"{plan.name}: {words}") for plan in alike}
    in_order = sorted(hits.values(), key=lambda record: (len(str(record.number)), str(record.number)))
    return {plan.stripe_id: Found(one.number, record=one) for plan, one in zip(alike, in_order, strict=False)}


def sought(plan: Party) -> Lookup:
    """How what the create of `plan` makes is looked for: by its number where we chose it, else by e-mail or name."""
    if plan.number is not None:
        return Lookup("number", str(plan.number))
    return Lookup("email", str(plan.fields["email"])) if plan.fields.get("email") else Lookup("name", plan.name)


def _linked(
    executor: Executor, kind: RecordKind, plan: Party, now: datetime, how: str = "matched"
) -> Callable[[Done], LogChange]:
    def change(done: Done) -> LogChange:
        # Until this is in the log, a look for another customer's lost create with the same words may not take it for that.
        executor.claimed[kind].add(done.number)
        name = done.record.name if done.record is not None else plan.name
        identity = Identity(plan.stripe_id, done.number, None, fingerprint=name, how=how, source_hash=plan.source_hash)
        return executor.log.identity_change(executor.connection, kind, identity, now)

    return change


def _key(plan: Party) -> str:
    return f"{'customer' if isinstance(plan, PlannedCustomer) else 'product'}:{plan.stripe_id}"
