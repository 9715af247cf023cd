"""Which decision a record stands by: that of the last write that the ledger confirmed, however many were made and refused."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from cloudify_pipeline.accounting.vat_return import CodeSum, Sale
from cloudify_pipeline.errors import NotSent, OutcomeUnknown, Refused
from cloudify_pipeline.planning.plans import Evidence, PlannedDocument, revision
from cloudify_pipeline.planning.vat_return import sale_of
from cloudify_pipeline.posting.decided import decided, posted
from cloudify_pipeline.posting.document import Portion
from cloudify_pipeline.posting.documents import post_documents
from cloudify_pipeline.posting.endings import Ending
from cloudify_pipeline.posting.log.commits import GroupCommit
from cloudify_pipeline.posting.log.decisions import decision_change, decisions
from cloudify_pipeline.posting.log.lease import held
from cloudify_pipeline.posting.log.store import PostingLog
from cloudify_pipeline.posting.log.verify import verify
from cloudify_pipeline.posting.parties import post_customers, post_products
from cloudify_pipeline.posting.protocol import Executor
from cloudify_pipeline_tests.posting.conftest import Poster, customer, invoice, product
from cloudify_pipeline_tests.posting.fake_ledger import Fault, Killed


def plan(rule: str = "rules[0]", text: str = "", kind: str = "booked_invoice") -> PlannedDocument:
    """One document; `rule` alone changes nothing of what is sent, `text` does."""
    made = invoice(kind)  # type: ignore[arg-type]
    return replace(made, rule=rule, document=replace(made.document, fields={**made.document.fields, "notes": text}))


def post(poster: Poster, one: PlannedDocument, settings: str, *, again: bool = True) -> list[Ending]:
    async def no_sleep(_: float) -> None:
        return None

    async def run() -> list[Ending]:
        with held(poster.log.engine, "nordlys", now=poster.clock()) as lease:
            async with GroupCommit(poster.log.engine) as commits:
                executor = Executor(
                    poster.ledger, poster.log, commits,
                    lease=lease, run_id="run", clock=poster.clock, settings_hash=settings, sleep=no_sleep,
                )  # fmt: skip
                await post_customers(executor, [customer()])
                await post_products(executor, [product()])
                return await post_documents(executor, [one], portion=Portion(again=again))

    return asyncio.run(run())


def stands(log: PostingLog, stripe_id: str = "in_1") -> tuple[str, str] | None:
    """(settings, rule) by which the document stands."""
    found = posted(log, "nordlys", "document", stripe_id)
    return (str(found.settings_hash), found.plan.rule) if isinstance(found.plan, PlannedDocument) else None


def count(log: PostingLog) -> int:
    with log.engine.connect() as db:
        return int(db.scalar(select(func.count()).select_from(decisions).where(decisions.c.kind == "document")) or 0)


def refuse(poster: Poster, operation: str) -> None:
    poster.ledger.faults.append(Fault(operation, "before", lambda: Refused("no", code="E-REFUSED", status=400)))


def test_a_document_stands_by_what_was_decided_when_it_was_taken_not_by_what_was_refused_before(poster: Poster) -> None:
    refuse(poster, "create_document")
    post(poster, plan("first"), "a" * 64)
    assert stands(poster.log) is None
    poster.clock.forward(timedelta(hours=2))
    post(poster, plan("second"), "b" * 64)
    assert stands(poster.log) == ("b" * 64, "second")
    assert count(poster.log) == 2


def test_a_replacement_that_is_refused_leaves_the_draft_by_what_made_it(poster: Poster) -> None:
    post(poster, plan("first", kind="draft_invoice"), "a" * 64)
    poster.clock.forward(timedelta(hours=2))
    refuse(poster, "update_document")
    post(poster, plan("second", "other words", "draft_invoice"), "b" * 64)
    assert stands(poster.log) == ("a" * 64, "first")
    poster.clock.forward(timedelta(hours=2))
    post(poster, plan("third", "other words", "draft_invoice"), "c" * 64)
    assert stands(poster.log) == ("c" * 64, "third")


def test_a_booked_invoice_stands_by_its_booking_whatever_is_planned_later(poster: Poster) -> None:
    post(poster, plan("first"), "a" * 64)
    poster.clock.forward(timedelta(hours=2))
    post(poster, plan("second", "other words"), "b" * 64)
    assert stands(poster.log) == ("a" * 64, "first")
    assert count(poster.log) == 1, "drafted and booked by one decision, and nothing was sent since"


@pytest.mark.parametrize("minutes", [20, 120], ids=["within the ledger's hour", "after it"])
@pytest.mark.parametrize("operation", ["create_document", "book_document"])
def test_a_run_that_is_killed_waiting_for_its_answer_is_found_standing_by_its_own_decision(
    poster: Poster, operation: str, minutes: int
) -> None:
    poster.ledger.faults.append(Fault(operation, "after", Killed))
    with pytest.raises(Killed):
        post(poster, plan("first"), "a" * 64)
    poster.clock.forward(timedelta(minutes=minutes))
    post(poster, plan("second"), "b" * 64)
    # The one that was killed while drafting has been booked by the second run, as that one decided.
    assert stands(poster.log) == (("b" * 64, "second") if operation == "create_document" else ("a" * 64, "first"))


def test_a_request_that_is_sent_again_with_its_own_bytes_stands_by_the_decision_it_was_made_with(poster: Poster) -> None:
    poster.ledger.faults.append(Fault("create_document", "before", lambda: OutcomeUnknown("silence", code="E-TIMEOUT")))
    poster.ledger.faults.append(Fault("create_document", "before", lambda: OutcomeUnknown("silence", code="E-TIMEOUT")))
    post(poster, plan("first", kind="draft_invoice"), "a" * 64)
    assert stands(poster.log) is None
    poster.clock.forward(timedelta(minutes=5))
    post(poster, plan("second", kind="draft_invoice"), "b" * 64)
    assert stands(poster.log) == ("a" * 64, "first")


def test_a_clock_that_was_fast_and_was_set_back_hides_no_decision(poster: Poster) -> None:
    post(poster, plan("first", kind="draft_invoice"), "a" * 64)
    poster.clock.forward(timedelta(hours=3))
    refuse(poster, "update_document")
    post(poster, plan("second", "other words", "draft_invoice"), "b" * 64)
    poster.clock.forward(timedelta(hours=-2))
    post(poster, plan("second", "other words", "draft_invoice"), "b" * 64)
    assert stands(poster.log) == ("b" * 64, "second")


def test_what_did_not_leave_decides_nothing(poster: Poster) -> None:
    poster.ledger.faults.append(Fault("create_document", "before", lambda: NotSent("down", code="E-SERVER")))
    post(poster, plan("first"), "a" * 64)
    assert stands(poster.log) is None
    assert verify(poster.log.engine, "nordlys").findings == []


def test_a_customer_and_a_product_stand_by_what_made_them(poster: Poster) -> None:
    post(poster, plan(), "a" * 64)
    poster.clock.forward(timedelta(hours=2))
    post(poster, plan(), "b" * 64)
    for kind, stripe_id in (("customer", "cus_1"), ("product", "prod_1")):
        found = posted(poster.log, "nordlys", kind, stripe_id)  # type: ignore[arg-type]
        assert (found.settings_hash, found.plan and found.plan.stripe_id) == ("a" * 64, stripe_id)


KEPT = (
    '{"document":{"key":"stripe:in_9","kind":"booked_invoice","stripe_id":"in_9","stripe_number":"N-9","currency":"DKK",'
    '"date":"2026-11-01","due_date":null,"customer":{"number":null,"stripe_id":"cus_9"},"payment_terms":1,"vat_zone":2,'
    '"layout":null,"lines":[{"description":"Pro plan","product":{"number":"PRO","stripe_id":"prod_9"},"quantity":"1",'
    '"unit_price":"100.00","discount_percentage":"0","net":"100.00","vat_rate":"0","stripe_line_id":"il_9","fields":{}}],'
    '"stripe_total":"100.00","predicted":{"net":"100.00","vat":"0.00","gross":"100.00"},"send_by":"none",'
    '"fields":{"recipient.name":"Müller GmbH"},"original_date":null},"rule":"rules[0]: paid → booked_invoice",'
    '"lineage":[{"target":"recipient.name","source":"customer_name","raw":" Müller GmbH","transforms":["trim"],'
    '"result":"Müller GmbH","cleaned":[]}],"evidence":[{"decision":"vat_zone","outcome":"2 (EU)","rule":"6: EU business",'
    '"inputs":{"country":"DE"}},{"decision":"vat_return","outcome":"eu","rule":"6: EU business","inputs":{"place":"DE",'
    '"vat_number":"DE136695976","tax_exempt":"none","supply":"services","taxed_by":"none"}},{"decision":"vat_code",'
    '"outcome":"UEUY","rule":"account 1120","inputs":{"account":"1120","rate":"0","net":"100.00","vat":"0.00",'
    '"supply":"services"}}],"source_hash":"d21a","terms":[],"corrects":null,"naming":null,"explains":[]}'
)
"""What the first version with decisions kept of a document. It is read for as long as the books are kept: never changed."""


def test_what_was_kept_once_is_read_by_every_later_version(poster: Poster, log: PostingLog) -> None:
    post(poster, plan("first"), "a" * 64)
    one = replace(decided(plan("first")), body=KEPT, sent=False)
    with log.engine.begin() as db:
        decision_change("nordlys", one, "b" * 64, poster.clock()).apply(db)
    found = posted(log, "nordlys", "document", "in_1").plan
    assert isinstance(found, PlannedDocument)
    assert (found.stripe_id, found.rule) == ("in_9", "rules[0]: paid → booked_invoice")
    assert (found.lineage[0].source, found.lineage[0].raw, found.lineage[0].transforms) == (
        "customer_name", " Müller GmbH", ("trim",),
    )  # fmt: skip
    assert found.evidence[0] == Evidence("vat_zone", "2 (EU)", "6: EU business", {"country": "DE"})
    sale = sale_of(found)
    assert isinstance(sale, Sale)
    assert (sale.kind, sale.place, sale.vat_number, sale.supply) == ("eu", "DE", "DE136695976", "services")
    assert [(one.code, one.supply) for one in sale.codes] == [("UEUY", "services")]
    assert isinstance(sale.codes[0], CodeSum)


def test_what_a_document_is_found_by_is_not_kept_twice() -> None:
    one = replace(plan(), terms=("faktura@example.com",))
    kept = decided(one)
    assert kept.revision == revision(one)
    assert json.loads(kept.body)["terms"] == []
