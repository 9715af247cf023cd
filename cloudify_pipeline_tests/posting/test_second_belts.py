"""What protects where the first belt cannot: each test fails when the belt that its name tells of is taken out."""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from cloudify_pipeline.errors import RunStopped
from cloudify_pipeline.ledgers.port import Answer, Write
from cloudify_pipeline.planning.plans import PlannedCustomer
from cloudify_pipeline.posting.drafts import total_difference
from cloudify_pipeline.posting.endings import Ending
from cloudify_pipeline.posting.log.commits import GroupCommit
from cloudify_pipeline.posting.log.lease import TERM, held
from cloudify_pipeline.posting.log.schema import leases
from cloudify_pipeline.posting.log.store import PostingLog
from cloudify_pipeline.posting.parties import post_customers
from cloudify_pipeline.posting.protocol import Executor
from cloudify_pipeline_tests.posting.conftest import Clock, Poster, customer, invoice
from cloudify_pipeline_tests.posting.fake_ledger import FakeLedger, Fault, Killed, killed

# -- the fence right before a request leaves ---------------------------------------------------------------------------------


@dataclass
class SlowToLeave(FakeLedger):
    """The process sleeps after it wrote its intent to `operation`, and before the request leaves."""

    operation: str = ""
    sleeping: Callable[[], None] = lambda: None

    async def send(self, write: Write, idempotency_key: str, *, before: Callable[[], None] = lambda: None) -> Answer:
        if write.operation == self.operation:
            self.sleeping()
        return await super().send(write, idempotency_key, before=before)


@pytest.mark.parametrize("operation", ["create_customer", "create_product", "create_document", "book_document"])
def test_a_run_that_slept_between_its_intent_and_its_request_and_was_taken_over_sends_nothing(
    log: PostingLog, operation: str
) -> None:
    with ExitStack() as successor:
        poster = Poster(SlowToLeave(operation=operation, sleeping=lambda: taken_over(poster, successor)), log)
        with pytest.raises(RunStopped) as stopped:
            poster.run()
        assert stopped.value.code == "E-LEASE"
        assert operation not in {write.operation for write in poster.ledger.sent}


def taken_over(poster: Poster, successor: ExitStack) -> None:
    """The lease runs out, and a run on another machine takes it."""
    with poster.log.engine.begin() as db:
        db.execute(leases.update().values(holder="otherhost:17"))
    successor.enter_context(held(poster.log.engine, "nordlys", now=poster.clock() + 2 * TERM))
    with poster.log.engine.connect() as db:
        assert db.execute(select(leases.c.token)).scalar_one() == 2


# -- the claimed records of a run --------------------------------------------------------------------------------------------


def test_of_two_customers_sent_with_the_same_words_one_of_which_arrived_each_gets_a_record_of_its_own(log: PostingLog) -> None:
    ledger, clock = FakeLedger(), Clock()
    first, second = customer(), replace(customer(), stripe_id="cus_2")
    ledger.faults = [Fault("create_customer", "before", killed)]
    post(ledger, log, clock, second)
    ledger.faults = [Fault("create_customer", "after", killed)]
    post(ledger, log, clock, first)
    assert len(log.open_keys("nordlys")) == 2
    assert len(ledger.stored_customers) == 1, "nobody heard of it, and the other never arrived"

    endings = post(ledger, log, clock, first, second)

    numbers = {ending.stripe_id: ending.number for ending in endings}
    assert len(ledger.stored_customers) == 2
    assert set(numbers.values()) == set(ledger.stored_customers)
    assert {i: one.number for i, one in log.identities("nordlys", "customer").items()} == numbers


def post(ledger: FakeLedger, log: PostingLog, clock: Clock, *plans: PlannedCustomer) -> list[Ending]:
    async def run() -> list[Ending]:
        with held(log.engine, "nordlys", now=clock()) as lease:
            async with GroupCommit(log.engine) as commits:
                executor = Executor(ledger, log, commits, lease=lease, run_id="run", clock=clock)
                return await post_customers(executor, plans)

    with suppress(Killed):
        return asyncio.run(run())
    return []


# -- the currency in the comparison of totals --------------------------------------------------------------------------------


@dataclass
class ConvertsNothing(FakeLedger):
    """A ledger that stores each document's amounts as they came, in a currency of its own."""

    currency: str = "EUR"

    def _store(self, *given: Any) -> Answer:
        answer = super()._store(*given)
        assert answer.document is not None
        document = replace(answer.document, currency=self.currency)
        self.stored[document.kind, int(document.number)] = document
        return replace(answer, document=document)


def test_the_same_amount_in_another_currency_is_another_total(log: PostingLog) -> None:
    poster = Poster(ConvertsNothing(), log)
    poster.run("draft_invoice")
    (stored,) = poster.ledger.stored.values()
    assert stored.totals.gross == Decimal("125.00")

    problem = total_difference(invoice().document, stored)

    assert problem is not None
    assert (problem.code, problem.found) == ("E-TOTAL", "125.00 EUR")
    assert "125.00 DKK" in problem.message
    assert total_difference(invoice().document, replace(stored, currency="DKK")) is None


def test_a_draft_that_the_ledger_keeps_in_another_currency_is_not_booked(log: PostingLog) -> None:
    poster = Poster(ConvertsNothing(), log)
    endings = poster.run("booked_invoice")
    (document,) = [ending for ending in endings if ending.kind == "document"]
    assert (document.state, document.problem and document.problem.code) == ("held", "E-TOTAL")
    assert list(poster.ledger.stored) == [("draft_invoice", 1)]
    assert "book_document" not in {write.operation for write in poster.ledger.sent}
