"""Drafts: making one, replacing one under its own number, and comparing its totals with Stripe's."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from cloudify_pipeline.accounting.chart import Number
from cloudify_pipeline.accounting.documents import EXCHANGE_RATE, SalesDocument, carries
from cloudify_pipeline.accounting.money import format_money
from cloudify_pipeline.errors import Problem, Refused
from cloudify_pipeline.ledgers.port import Ledger, LedgerDocument, Write
from cloudify_pipeline.planning.plans import PlannedDocument
from cloudify_pipeline.posting.decided import decided
from cloudify_pipeline.posting.log.parties import GONE
from cloudify_pipeline.posting.log.standing import last_body, meant_change
from cloudify_pipeline.posting.log.store import Identity, LogChange, PostingLog
from cloudify_pipeline.posting.protocol import Done, Executor, Found, NotDone
from cloudify_pipeline.posting.standing import finder, linking, named


@dataclass(frozen=True, slots=True)
class Numbers:
    """Which ledger numbers the Stripe customers and products have by now."""

    customers: Mapping[str, Identity]
    products: Mapping[str, Identity]

    def customer(self, document: SalesDocument) -> Number | None:
        """The ledger customer of `document`, or None while it has none."""
        if document.customer.number is not None:
            return document.customer.number
        linked = self.customers.get(document.customer.stripe_id or "")
        return None if linked is None or linked.how == GONE else linked.number


@dataclass(frozen=True, slots=True)
class Written:
    """A draft as it stands after a write, or without one (`made` false). `problem`: the ledger did not keep all of it."""

    stored: LedgerDocument
    made: bool
    problem: Problem | None = None


async def draft(executor: Executor, plan: PlannedDocument, mark: str, numbers: Numbers) -> Written | NotDone | Problem:
    """Make the draft of `plan`, once."""
    resolved = _resolved(plan.document, numbers)
    if isinstance(resolved, Problem):
        return resolved
    write = executor.ledger.create_document(plan.document, *resolved)

    def link(done: Done) -> LogChange:
        return linking(executor, plan.stripe_id, done.stored, "created", plan.source_hash)

    find = finder(executor, plan.document)
    done = await executor.perform(write, revision=mark, find=find, then=link, decided=decided(plan))
    if isinstance(done, NotDone) or not done.earlier or done.stored.kind == "booked_invoice":
        return _written(done)
    # An earlier plan made it, which may have said something else.
    replaced = await replace_draft(executor, plan, done.stored, mark, numbers)
    return replace(replaced, made=replaced.made or done.made) if isinstance(replaced, Written) else replaced


@dataclass(frozen=True, slots=True)
class Replacement:
    """What makes a standing draft say what is planned. `write` None: it does already; `checked`: by reading it, not by memory."""

    meant: bytes
    previous: bytes | None
    wanted: Write
    write: Write | None
    checked: bool = True


async def replacement(
    document: SalesDocument,
    stored: LedgerDocument,
    numbers: Numbers,
    *,
    ledger: Ledger,
    log: PostingLog,
    connection: str,
    surely: bool = False,
) -> Replacement | Problem:
    """Read the draft that is `stored` and prepare the request that replaces it; sends nothing.

    The draft is not read when our plan is the one that was written last, unless it must be known `surely`.
    """
    resolved = _resolved(document, numbers)
    if isinstance(resolved, Problem):
        return resolved
    wanted = ledger.create_document(document, *resolved)
    previous = last_body(log, connection, wanted.key)
    if previous == wanted.body and not surely:
        return Replacement(wanted.body, previous, wanted, None, checked=False)
    try:
        write = await ledger.update_document(stored, wanted, previous=previous)
    except Refused as gone:
        return Problem(gone.code, f"{named(stored)} cannot be replaced: {gone.message}")
    return Replacement(wanted.body, previous, wanted, write)


async def replace_draft(
    executor: Executor, plan: PlannedDocument, stored: LedgerDocument, mark: str, numbers: Numbers, *, surely: bool = False
) -> Written | NotDone | Problem:
    """Make the draft that is `stored` say what `plan` says, under its own number; nothing is sent when it does already."""
    ledger, connection = executor.ledger, executor.connection
    prepared = await replacement(
        plan.document, stored, numbers, ledger=ledger, log=executor.log, connection=connection, surely=surely
    )
    if isinstance(prepared, Problem):
        return prepared
    meant = meant_change(connection, plan.document.key, prepared.meant)
    if prepared.write is None:
        if prepared.checked:
            await executor.commit(meant, *executor.concluding("update_document", plan.document.key, stored.number))
        return Written(stored, made=False)

    async def find() -> Found | Problem | None:
        if await ledger.update_document(stored, prepared.wanted, previous=prepared.previous) is not None:
            return None
        now = await ledger.document(stored.kind, stored.number)
        return None if now is None else Found(now.number, document=now)

    return _written(await executor.perform(prepared.write, revision=mark, find=find, then=lambda _: meant, decided=decided(plan)))


def total_difference(document: SalesDocument, stored: LedgerDocument) -> Problem | None:
    """The ledger's gross against Stripe's total, to the minor unit; both sides are in the message."""
    if stored.totals.gross == document.stripe_total and stored.currency == document.currency:
        return None
    ledger = format_money(stored.totals.gross, stored.currency)
    net, vat = format_money(stored.totals.net, stored.currency), format_money(stored.totals.vat, stored.currency)
    return Problem(
        "E-TOTAL",
        f"Stripe's total is {format_money(document.stripe_total, document.currency)}; "
        f"{named(stored)} has {ledger} (net {net}, VAT {vat})",
        field="total",
        found=ledger,
    )


def booking_difference(document: SalesDocument, drafted: LedgerDocument, booked: LedgerDocument) -> Problem | None:
    """What the booked invoice no longer says of what its draft said; the totals are compared by :func:`total_difference`.

    Without its key above all, nobody would find it again when the log is lost.
    """
    # A rate that is the ledger's own may be another one on the day of the booking.
    rate = ("exchange_rate",) if EXCHANGE_RATE in document.fields else ()
    facts = ("customer", "date", "currency", "vat_zone", *rate)
    lost = [] if carries(booked.key, document.key) else ["key"]
    # What a ledger does not tell of drafts says nothing about the booking.
    lost += [fact for fact in facts if getattr(drafted, fact) not in {None, getattr(booked, fact)}]
    if not lost:
        return None
    return Problem("E-DROPPED", f"{named(booked)} did not keep from its draft: {', '.join(lost)}", field=lost[0])


def resolved_body(ledger: Ledger, document: SalesDocument, numbers: Numbers) -> bytes | None:
    """What a create of `document` would send now, or None while its customer or a product has no number."""
    resolved = _resolved(document, numbers)
    return None if isinstance(resolved, Problem) else ledger.create_document(document, *resolved).body


def _written(done: Done | NotDone) -> Written | NotDone:
    if isinstance(done, NotDone):
        return done
    if not done.dropped:
        return Written(done.stored, done.made)
    problem = Problem("E-DROPPED", f"the ledger did not keep {', '.join(done.dropped)}", field=done.dropped[0])
    return Written(done.stored, done.made, problem)


def _resolved(document: SalesDocument, numbers: Numbers) -> tuple[Number, dict[str, str]] | Problem:
    customer = numbers.customer(document)
    if customer is None:
        return Problem("E-DEPENDENCY", f"its customer {document.customer.stripe_id} is not in the ledger yet")
    wanted = {
        line.product.stripe_id for line in document.lines if line.product and line.product.stripe_id and not line.product.number
    }
    products = {stripe_id: linked for stripe_id in wanted if (linked := numbers.products.get(stripe_id)) and linked.how != GONE}
    missing = sorted(wanted - products.keys())
    if missing:
        return Problem("E-DEPENDENCY", f"its product {missing[0]} is not in the ledger yet")
    return customer, {stripe_id: str(linked.number) for stripe_id, linked in products.items()}
