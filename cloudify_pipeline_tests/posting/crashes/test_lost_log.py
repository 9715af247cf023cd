"""The log is gone: documents are linked again by their keys, from lists of 1,000, and nothing is posted twice."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import pytest

from cloudify_pipeline.ledgers.economic.ledger import EconomicLedger
from cloudify_pipeline.planning.plans import PlannedDocument
from cloudify_pipeline.posting.adoption import look
from cloudify_pipeline.posting.log.commits import GroupCommit
from cloudify_pipeline.posting.log.lease import held
from cloudify_pipeline.posting.log.store import PostingLog
from cloudify_pipeline.posting.protocol import Executor
from cloudify_pipeline.sandbox.economic.demo_agreement import AGREEMENT_GRANT_TOKEN, APP_SECRET_TOKEN
from cloudify_pipeline_tests.posting.crashes.embedded import Books
from cloudify_pipeline_tests.posting.crashes.matrix import Stage
from cloudify_pipeline_tests.posting.crashes.run import CONNECTION, post
from cloudify_pipeline_tests.posting.crashes.scenarios import SCENARIOS, Work, customer, invoice, product

pytestmark = pytest.mark.exhaustive

STANDING = 1_200


FILLED = {
    "booked": "book_document(new draft)",
    "drafts": "create_document(draft invoice)",
    "orders": "create_document(draft order)",
}


@pytest.mark.parametrize("kind", FILLED)
def test_thousands_of_documents_are_linked_again_from_a_few_lists(stage: Stage, kind: str) -> None:
    scenario = SCENARIOS[FILLED[kind]]
    books, log = stage.prepared(scenario)
    asyncio.run(post(scenario.work, log_url=log, ledger_url=stage.ledger.url, clock=lambda: books.now))
    multiply(books, kind)
    (plan,) = scenario.work.documents
    keys = {f"in_{n}": f"stripe:in_{n}" for n in range(1, STANDING + 1)}
    wanted = [replace(plan, document=replace(plan.document, key=key, stripe_id=stripe_id)) for stripe_id, key in keys.items()]
    before = len(books.store.calls)
    empty = f"{log}-new"
    assert asyncio.run(linked(empty, stage.ledger.url, books.now, wanted)) == STANDING
    calls = Counter(call.method for call in list(books.store.calls)[before:])
    assert calls == {"GET": calls["GET"]}, "nothing is written"
    # Five places: a first question each, then their lists, which are two pages where the documents are.
    assert calls["GET"] <= 5 + 5 + 2
    opened = PostingLog(empty)
    assert {stripe_id: found.fingerprint for stripe_id, found in opened.identities(CONNECTION, "document").items()} == keys
    opened.close()


def test_after_relinking_a_run_posts_only_what_is_missing(stage: Stage) -> None:
    work = Work((customer(number=70_001),), (product(),), tuple(invoice("booked_invoice", n) for n in range(1, 6)))
    books, log = stage.prepared(SCENARIOS["create_document(to be booked)"])
    first = replace(work, documents=work.documents[:3])
    asyncio.run(post(first, log_url=log, ledger_url=stage.ledger.url, clock=lambda: books.now))
    empty = f"{log}-new"
    asyncio.run(linked(empty, stage.ledger.url, books.now, work.documents))
    sent = len(books.store.writes())
    known = Work(
        (replace(work.customers[0], action="use"),), (replace(work.products[0], action="use"),), work.documents
    )  # what planning says of a customer and a product that stand there
    asyncio.run(post(known, log_url=empty, ledger_url=stage.ledger.url, clock=lambda: books.now))
    paths = [call.path for call in books.store.writes()[sent:]]
    assert Counter(paths) == {"/invoices/drafts": 2, "/invoices/booked": 2}
    assert books.keys() == [f"stripe:in_{n}" for n in range(1, 6)]


def multiply(books: Books, kind: str) -> None:
    """Fill the ledger with copies of its one document, each with a number and a key of its own."""
    number_of = {"booked": "bookedInvoiceNumber", "drafts": "draftInvoiceNumber", "orders": "orderNumber"}[kind]
    with books.store.transaction():
        (one,) = books.store.all(kind)
        for n in range(2, STANDING + 1):
            number = one[number_of] + n
            references = {**one["references"], "other": f"stripe:in_{n}"}
            books.store.put(kind, number, {**one, number_of: number, "references": references})


async def linked(log_url: str, ledger_url: str, now: datetime, plans: Sequence[PlannedDocument]) -> int:
    log = PostingLog(log_url)
    ledger = EconomicLedger(APP_SECRET_TOKEN, AGREEMENT_GRANT_TOKEN, api_base=ledger_url, openapi_base=ledger_url)
    try:
        with held(log.engine, CONNECTION, now=now) as lease:
            async with GroupCommit(log.engine) as commits:
                executor = Executor(ledger, log, commits, lease=lease, run_id="run", clock=lambda: now)
                return len((await look(executor, lambda ids: ids, [])).adopted)
    finally:
        await ledger.close()
        log.close()
