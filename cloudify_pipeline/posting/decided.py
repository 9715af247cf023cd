"""Decisions between planning and the log: what is kept of a plan, and the plan that a record in the ledger stands by."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from cloudify_pipeline.accounting.vat_return import Sale
from cloudify_pipeline.ledgers.port import LedgerDocument
from cloudify_pipeline.planning.plans import PlannedCustomer, PlannedDocument, PlannedProduct, dump, load, revision
from cloudify_pipeline.planning.vat_return import sale_of
from cloudify_pipeline.posting.endings import SETTLED, Ending, RecordKind
from cloudify_pipeline.posting.log.decisions import Decided, stands_by
from cloudify_pipeline.posting.log.store import LogChange, PostingLog
from cloudify_pipeline.posting.log.vat_sales import sale_change
from cloudify_pipeline.posting.protocol import Executor

Decidable = PlannedDocument | PlannedCustomer | PlannedProduct

_NAMES: dict[RecordKind, str] = {"document": "PlannedDocument", "customer": "PlannedCustomer", "product": "PlannedProduct"}
_KEYS: dict[RecordKind, str] = {"document": "stripe", "customer": "customer", "product": "product"}


@dataclass(frozen=True, slots=True)
class Posted:
    """How a record came to stand in the ledger. `plan` is what was decided then, None where this log does not know.

    `confirmed_at` is None where this log never wrote to it.
    """

    confirmed_at: datetime | None = None
    run_id: str | None = None
    revision: str | None = None
    settings_hash: str | None = None
    decided_at: datetime | None = None
    plan: Decidable | None = None


def decided(plan: Decidable, *, sent: bool = True) -> Decided:
    """What the log keeps of `plan`; `sent` false: nothing is sent, a record that stands there is linked."""
    if isinstance(plan, PlannedDocument):
        # What it is found by is kept once, and how its text came about is in the text.
        kept = dump(replace(plan, terms=(), naming=None))[1].decode()
        return Decided("document", plan.stripe_id, revision(plan), plan.rule, kept, sent)
    kind: RecordKind = "customer" if isinstance(plan, PlannedCustomer) else "product"
    return Decided(kind, plan.stripe_id, revision(plan), plan.action, dump(plan)[1].decode(), sent)


def posted_sale(executor: Executor, plan: PlannedDocument, stored: LedgerDocument | None, *, made: bool) -> LogChange | None:
    """The change that keeps what the document of `plan` is to the VAT return, as it was decided when it was sent.

    `plan` itself is asked where this log never sent the document; not when the ledger has it in another zone than `plan`.
    """
    then = decided_sale(executor.log, executor.connection, plan.stripe_id)
    sale = then or (sale_of(plan) if made or stored is None or in_zone(stored, plan) else None)
    if sale is None:
        return None
    if stored is not None:
        number = str(stored.number) if stored.kind == "booked_invoice" else None
        sale = replace(sale, base=stored.base, number=number, stored=stored.totals)
    return sale_change(executor.connection, sale, executor.clock(), made=made, decided=then is not None)


def left_sale(executor: Executor, ending: Ending) -> LogChange | None:
    """The change that keeps the sale of a document that stands and is planned no more, where a run died before it did."""
    if ending.state not in SETTLED and ending.ledger_kind != "booked_invoice":
        return None
    sale = decided_sale(executor.log, executor.connection, ending.stripe_id)
    if sale is None:
        return None
    if ending.ledger_kind == "booked_invoice":
        sale = replace(sale, number=str(ending.number))
    return sale_change(executor.connection, sale, executor.clock(), made=False, decided=True)


def decided_sale(log: PostingLog, connection: str, stripe_id: str) -> Sale | None:
    """What the document of `stripe_id` was to the VAT return when it was sent; None where this log does not know."""
    then = posted(log, connection, "document", stripe_id).plan
    return sale_of(then) if isinstance(then, PlannedDocument) else None


def in_zone(stored: LedgerDocument, plan: PlannedDocument) -> bool:
    """Whether the ledger has a document in the VAT zone of `plan`, as far as it tells: else it was decided otherwise."""
    return stored.vat_zone is None or str(stored.vat_zone) == str(plan.document.vat_zone)


def posted(log: PostingLog, connection: str, kind: RecordKind, stripe_id: str) -> Posted:
    """What the log knows of how the record of `stripe_id` came to stand in the ledger."""
    found = stands_by(log, connection, kind, stripe_id, f"{_KEYS[kind]}:{stripe_id}")
    kept = found.decision
    if kept is None:
        return Posted(found.confirmed_at, found.run_id)
    plan: Any = load(_NAMES[kind], kept.body.encode())
    return Posted(found.confirmed_at, found.run_id, kept.revision, kept.settings_hash, kept.at, plan)
