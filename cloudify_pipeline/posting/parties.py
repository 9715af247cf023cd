"""Customers and products: make the ledger agree with their plans, and remember which number each became."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from cloudify_pipeline.accounting.chart import Number
from cloudify_pipeline.accounting.parties import LedgerRecord, Lookup
from cloudify_pipeline.errors import Problem, Refused
from cloudify_pipeline.ledgers.port import CustomerWrite, Operation, ProductWrite
from cloudify_pipeline.planning.plans import Hold, PlannedCustomer, PlannedProduct, revision
from cloudify_pipeline.posting.decided import decided
from cloudify_pipeline.posting.endings import Ending, RecordKind, undone
from cloudify_pipeline.posting.log.store import Identity, LogChange
from cloudify_pipeline.posting.protocol import Done, Executor, Found, NotDone


async def post_customers(executor: Executor, plans: Sequence[PlannedCustomer | Hold]) -> list[Ending]:
    """Create, update or link every planned customer; held ones keep their reason. One Stripe customer is one operation."""
    return list(await asyncio.gather(*(_ending(executor, "customer", plan) for plan in plans)))


async def post_products(executor: Executor, plans: Sequence[PlannedProduct | Hold]) -> list[Ending]:
    """As :func:`post_customers`, for products."""
    return list(await asyncio.gather(*(_ending(executor, "product", plan) for plan in plans)))


async def _ending(executor: Executor, kind: RecordKind, plan: PlannedCustomer | PlannedProduct | Hold) -> Ending:
    if isinstance(plan, Hold):
        return undone(kind, plan)
    mark = revision(plan)
    linked_before = executor.log.identities(executor.connection, kind, [plan.stripe_id]).get(plan.stripe_id)
    if plan.action == "create" and linked_before is not None:
        # A plan from before the link was made must not make a second one.
        return Ending(kind, plan.stripe_id, "posted", number=linked_before.number, name=plan.name, revision=mark)
    if plan.action == "use" and plan.number is not None:
        done: Done | NotDone = await _use(executor, kind, plan, plan.number, linked_before)
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
    executor: Executor, kind: RecordKind, plan: PlannedCustomer | PlannedProduct, number: Number, before: Identity | None
) -> Done:
    """Link what was found. Where an earlier create was never answered, what is found now is what it made."""
    done = Done(number, made=False)
    concluding = executor.concluding("create_customer" if kind == "customer" else "create_product", _key(plan), number)
    link = _linked(executor, kind, plan, executor.clock(), created=bool(concluding))
    await executor.commit(link(done), *concluding, *([] if concluding else _newly_linked(executor, plan, number, before)))
    return done


def _newly_linked(
    executor: Executor, plan: PlannedCustomer | PlannedProduct, number: Number, before: Identity | None
) -> list[LogChange]:
    """The change that keeps why a record of the ledger was taken for this one; it was decided once."""
    if before is not None and str(before.number) == str(number):
        return []
    return [executor.keeping(decided(plan, sent=False), executor.clock())]


async def _update(
    executor: Executor, kind: RecordKind, plan: PlannedCustomer | PlannedProduct, number: Number, before: Identity | None
) -> Done | NotDone:
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


async def _create(executor: Executor, kind: RecordKind, plan: PlannedCustomer | PlannedProduct, mark: str) -> Done | NotDone:
    if isinstance(plan, PlannedCustomer):
        write = executor.ledger.create_customer(
            CustomerWrite(
                plan.stripe_id, plan.number, plan.name, plan.currency, plan.group, plan.payment_terms, plan.vat_zone,
                plan.layout, plan.fields,
            )
        )  # fmt: skip
    else:
        write = executor.ledger.create_product(
            ProductWrite(plan.stripe_id, plan.number, plan.name, plan.group, plan.unit, plan.fields)
        )

    async def find() -> Found | Problem | None:
        return await _find(executor, kind, plan)

    link = _linked(executor, kind, plan, executor.clock())
    return await executor.perform(write, revision=mark, find=find, then=link, decided=decided(plan))


async def _find(executor: Executor, kind: RecordKind, plan: PlannedCustomer | PlannedProduct) -> Found | Problem | None:
    """What an unanswered create made: by number where we chose it, else by the fields that were sent."""
    sent = {**plan.fields, "name": plan.name}
    if plan.number is not None:
        lookup = Lookup("number", str(plan.number))
    else:
        path = "email" if plan.fields.get("email") else "name"
        lookup = Lookup(path, str(sent[path]))
    ask = executor.ledger.customers if kind == "customer" else executor.ledger.products
    candidates = await ask((lookup,))
    identities = executor.log.identities(executor.connection, kind).values()
    taken = {identity.number for identity in identities if identity.stripe_id != plan.stripe_id} | executor.claimed[kind]
    hits = {
        record.number: record for record in candidates.get(lookup, ()) if record.number not in taken and _agrees(record, sent)
    }
    if len(hits) > 1:
        numbers = ", ".join(str(number) for number in sorted(hits, key=str))
        return Problem("E-MATCH-MANY", f"{plan.name}: the ledger has {numbers} with the very fields that were sent")
    found = next((Found(record.number, record=record) for record in hits.values()), None)
    if found is not None:
        # Two customers may have been sent with the same words, and one of them not have arrived: each record is one customer's.
        executor.claimed[kind].add(found.number)
    return found


def _agrees(record: LedgerRecord, sent: Mapping[str, object]) -> bool:
    """Whether a record says what was sent; its name is always told, other fields where the ledger shows them."""
    if record.name.strip() != str(sent["name"]).strip():
        return False
    return all(str(record.fields.get(path)) == str(value) for path, value in sent.items() if path in record.fields)


def _linked(
    executor: Executor, kind: RecordKind, plan: PlannedCustomer | PlannedProduct, now: datetime, *, created: bool = False
) -> Callable[[Done], LogChange]:
    how = "created" if created or plan.action == "create" else "matched"

    def change(done: Done) -> LogChange:
        name = done.record.name if done.record is not None else plan.name
        identity = Identity(plan.stripe_id, done.number, None, fingerprint=name, how=how, source_hash=plan.source_hash)
        return executor.log.identity_change(executor.connection, kind, identity, now)

    return change


def _key(plan: PlannedCustomer | PlannedProduct) -> str:
    return f"{'customer' if isinstance(plan, PlannedCustomer) else 'product'}:{plan.stripe_id}"
