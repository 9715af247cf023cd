"""What a booking's answer shows is held against its draft, and what was refused once and taken later is not refused."""

import asyncio
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from cloudify_pipeline.accounting.documents import EXCHANGE_RATE
from cloudify_pipeline.ledgers.port import Answer, Write
from cloudify_pipeline.planning.plans import PlannedDocument
from cloudify_pipeline.posting.document import Portion
from cloudify_pipeline.posting.documents import post_documents
from cloudify_pipeline.posting.endings import Ending
from cloudify_pipeline.posting.log.commits import GroupCommit
from cloudify_pipeline.posting.log.lease import held
from cloudify_pipeline.posting.log.store import PostingLog
from cloudify_pipeline.posting.parties import post_customers, post_products
from cloudify_pipeline.posting.protocol import Executor
from cloudify_pipeline_tests.posting.conftest import Clock, customer, invoice, product
from cloudify_pipeline_tests.posting.fake_ledger import FakeLedger, Fault, refused

ONCE = Portion(tries=1)


class Telling(FakeLedger):
    """A ledger that tells more of its documents, and forgets `forgotten` when it books."""

    forgotten: dict[str, Any] = {}  # noqa: RUF012

    def _apply(self, write: Write) -> Answer:
        answer = super()._apply(write)
        if answer.document is None:
            return answer
        told = {"customer": 101, "vat_zone": 1, "exchange_rate": Decimal(100)}
        changed = self.forgotten if write.operation == "book_document" else {}
        document = replace(answer.document, **{**told, **changed})
        self.stored[document.kind, int(document.number)] = document
        return replace(answer, document=document)


def run(ledger: FakeLedger, log: PostingLog, portion: Portion = ONCE, plan: PlannedDocument | None = None) -> Ending:
    async def post() -> Ending:
        clock = Clock()
        with held(log.engine, "nordlys", now=clock()) as lease:
            async with GroupCommit(log.engine) as commits:
                executor = Executor(ledger, log, commits, lease=lease, run_id="run", clock=clock)
                await post_customers(executor, [customer()])
                await post_products(executor, [product()])
                (ending,) = await post_documents(executor, [plan or invoice()], portion=portion)
                return ending

    return asyncio.run(post())


def with_a_rate() -> PlannedDocument:
    plan = invoice()
    return replace(plan, document=replace(plan.document, fields={**plan.document.fields, EXCHANGE_RATE: Decimal(100)}))


FORGOTTEN: list[tuple[str, dict[str, Any]]] = [
    ("key", {"key": ""}),
    ("key", {"key": "stripe:in_10"}),
    ("customer", {"customer": 102}),
    ("date", {"date": date(2026, 12, 1)}),
    ("vat_zone", {"vat_zone": 3}),
    ("exchange_rate", {"exchange_rate": Decimal("746.04")}),
]


@pytest.mark.parametrize(("name", "forgotten"), FORGOTTEN)
def test_what_booking_dropped_is_an_error_with_its_name(log: PostingLog, name: str, forgotten: dict[str, Any]) -> None:
    ledger = Telling()
    ledger.forgotten = forgotten
    ending = run(ledger, log, plan=with_a_rate())
    assert (ending.state, ending.number, ending.ledger_kind) == ("held", 1, "booked_invoice")
    assert ending.problem is not None
    assert (ending.problem.code, ending.problem.field) == ("E-DROPPED", name)
    assert run(ledger, log, plan=with_a_rate()).state == "held"
    assert list(ledger.stored) == [("booked_invoice", 1)], "nothing is booked beside it"


@pytest.mark.parametrize("forgotten", [{}, {"exchange_rate": Decimal("746.04")}], ids=["all kept", "the ledger's own rate"])
def test_a_booking_that_kept_all_that_was_written_is_booked(log: PostingLog, forgotten: dict[str, Any]) -> None:
    ledger = Telling()
    ledger.forgotten = forgotten
    assert run(ledger, log).state == "booked"


@pytest.mark.parametrize("operation", ["create_document", "book_document"])
def test_what_was_in_quarantine_and_then_taken_is_not_held_again(log: PostingLog, operation: str) -> None:
    ledger = FakeLedger()
    ledger.faults = [Fault(operation, "before", refused)]
    assert run(ledger, log).state == "failed"
    quarantined = run(ledger, log)
    assert quarantined.problem is not None
    assert quarantined.problem.code == "E-QUARANTINE"
    assert run(ledger, log, replace(ONCE, again=True)).state == "booked", "a person asked for one more try"
    after = run(ledger, log)
    assert (after.state, after.problem) == ("booked", None)
