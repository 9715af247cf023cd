"""Posting exactly once: what stands in the ledger after faults, and what the log says of it."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from cloudify_pipeline.accounting.documents import DocumentKind
from cloudify_pipeline.accounting.parties import LedgerRecord
from cloudify_pipeline.ledgers.port import Write
from cloudify_pipeline.posting.log.store import PostingLog
from cloudify_pipeline.posting.log.verify import verify
from cloudify_pipeline.posting.protocol import idempotency_key
from cloudify_pipeline_tests.posting.conftest import Poster
from cloudify_pipeline_tests.posting.fake_ledger import FakeLedger, Fault, killed, not_sent, refused, unknown


def states(poster: Poster) -> dict[str, str]:
    return {stripe_id: state for stripe_id, (state, _, _) in poster.log.states("nordlys").items()}


@pytest.mark.parametrize(
    ("kind", "stands", "state", "calls"),
    [
        ("draft_invoice", [("draft_invoice", 1)], "posted", 3),
        ("draft_order", [("draft_order", 1)], "posted", 3),
        ("booked_invoice", [("booked_invoice", 1)], "booked", 4),
    ],
)
def test_one_invoice_is_one_document_and_a_second_run_writes_nothing(
    poster: Poster, kind: DocumentKind, stands: list[tuple[str, int]], state: str, calls: int
) -> None:
    poster.run(kind)
    assert list(poster.ledger.stored) == stands
    assert states(poster) == {"in_1": state}
    assert len(poster.ledger.sent) == calls
    again = poster.run(kind)
    assert [ending.made for ending in again if ending.kind == "document"] == [False]
    assert [w.operation for w in poster.ledger.sent[calls:] if "document" in w.operation] == []


def test_order_is_customer_product_draft_book(poster: Poster) -> None:
    poster.run()
    assert [write.operation for write in poster.ledger.sent] == [
        "create_customer",
        "create_product",
        "create_document",
        "book_document",
    ]
    assert poster.ledger.lookups == 2, "one look for all new customers and one for all new products, before any is made"


def test_fifty_invoices_of_one_new_customer_make_one_customer(poster: Poster) -> None:
    poster.run(invoices=50)
    assert len(poster.ledger.stored_customers) == 1
    assert len(poster.ledger.stored) == 50


OPERATIONS = ["create_customer", "create_product", "create_document", "book_document"]


@pytest.mark.parametrize("later", [timedelta(minutes=1), timedelta(hours=3)], ids=["a minute later", "three hours later"])
@pytest.mark.parametrize("how", [unknown, killed], ids=["no answer", "killed"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_after_a_fault_and_a_rerun_the_ledger_is_as_without_it(
    poster: Poster, operation: str, when: str, how: Callable[[], BaseException], later: timedelta
) -> None:
    poster.ledger.faults = [Fault(operation, when, how) for _ in range(2)]
    poster.run_until_killed()
    poster.ledger.faults.clear()
    poster.clock.forward(later)
    if later > timedelta(hours=1):
        poster.ledger.forget_idempotency_keys()
    poster.run()
    assert list(poster.ledger.stored) == [("booked_invoice", 1)]
    assert len(poster.ledger.stored_customers) == 1
    assert len(poster.ledger.stored_products) == 1
    assert states(poster) == {"in_1": "booked"}
    assert not poster.log.open_keys("nordlys")


def test_a_lost_answer_is_looked_up_before_anything_is_sent_again(poster: Poster) -> None:
    poster.ledger.faults = [Fault("create_document", "after", unknown)]
    poster.run()
    assert [w.operation for w in poster.ledger.sent].count("create_document") == 1
    assert poster.ledger.lookups == 2 + 1
    assert states(poster) == {"in_1": "booked"}


def test_a_repeat_has_the_same_bytes(poster: Poster) -> None:
    poster.ledger.faults = [Fault("create_document", "before", unknown)]
    poster.run()
    first, second = (w for w in poster.ledger.sent if w.operation == "create_document")
    assert first == second
    assert states(poster) == {"in_1": "booked"}


@pytest.mark.parametrize(
    ("how", "code", "retry"), [(refused, "E-REFUSED", False), (not_sent, "E-RATE", True), (unknown, "E-SERVER", True)]
)
def test_what_did_not_happen_fails_with_its_code(
    poster: Poster, how: Callable[[], BaseException], code: str, retry: bool
) -> None:
    poster.ledger.faults = [Fault("create_document", "before", how) for _ in range(2)]
    ending = next(e for e in poster.run() if e.kind == "document")
    assert (ending.state, ending.problem.code if ending.problem else None, ending.retry) == ("failed", code, retry)
    assert not poster.ledger.stored


def test_a_difference_of_one_oere_is_held_as_draft_and_never_booked(poster: Poster) -> None:
    poster.ledger.extra_gross = Decimal("0.01")
    for _ in range(2):
        ending = next(e for e in poster.run() if e.kind == "document")
        assert ending.state == "held"
        assert ending.problem is not None
        assert ending.problem.code == "E-TOTAL"
        assert "125.00 DKK" in ending.problem.message
        assert "125.01 DKK" in ending.problem.message
    assert list(poster.ledger.stored) == [("draft_invoice", 1)]


def test_a_draft_that_lost_a_field_is_held_and_stays_held(poster: Poster) -> None:
    poster.ledger.dropped = ("delivery.city",)
    for _ in range(2):
        ending = next(e for e in poster.run() if e.kind == "document")
        assert (ending.state, ending.problem.code if ending.problem else "") == ("held", "E-DROPPED")
    assert list(poster.ledger.stored) == [("draft_invoice", 1)]


def test_an_update_writes_the_mapped_fields_once(poster: Poster) -> None:
    poster.ledger.stored_customers[7] = LedgerRecord(7, "Frøstrup", False, {"email": "old@example.com", "name": "Frøstrup ApS"})
    poster.run(action="update")
    poster.run(action="update")
    assert [w.operation for w in poster.ledger.sent].count("update_customer") == 1
    assert poster.ledger.stored_customers[7].fields["email"] == "billing@example.com"


def test_two_documents_with_one_key_are_held_with_both_named(poster: Poster, new_log: Callable[[], PostingLog]) -> None:
    poster.run()
    twin = Poster(FakeLedger(), new_log())
    twin.run()
    (number,) = (n for k, n in poster.ledger.stored)
    poster.ledger.stored["booked_invoice", number + 1] = poster.ledger.stored["booked_invoice", number]
    lost = Poster(poster.ledger, new_log())
    poster.ledger.faults = [Fault("create_document", "before", unknown)]
    ending = next(e for e in lost.run() if e.kind == "document")
    assert (ending.state, ending.problem.code if ending.problem else "") == ("failed", "E-DUP-KEY")


def test_every_attempt_is_in_the_log_with_what_was_sent(poster: Poster) -> None:
    poster.ledger.faults = [Fault("create_document", "after", unknown)]
    poster.run()
    history = poster.log.history("nordlys", ["stripe:in_1"])
    assert [(h["operation"], h["outcome"]) for h in history] == [
        ("create_document", "unknown"),
        ("create_document", "found"),
        ("book_document", "confirmed"),
    ]


def test_a_deleted_draft_is_noticed_and_not_posted_again(poster: Poster) -> None:
    poster.run("draft_invoice")
    poster.ledger.stored.clear()
    ending = next(e for e in poster.run("draft_invoice") if e.kind == "document")
    assert (ending.state, ending.problem.code if ending.problem else "") == ("held", "E-GONE")
    assert not poster.ledger.stored


# -- the ledger's own memory ----------------------------------------------------------------------------------------------


def test_two_logs_that_mean_the_same_write_send_the_same_key(poster: Poster, new_log: Callable[[], PostingLog]) -> None:
    """Two homes in the same minute: the ledger answers the second from its memory, and each document stands once."""
    poster.run()
    stands = dict(poster.ledger.stored)
    other = Poster(poster.ledger, new_log())
    endings = other.run()
    assert poster.ledger.stored == stands
    assert len(poster.ledger.stored_customers) == 1
    assert [ending.made for ending in endings] == [False, False, False], "what another process made is not counted here"
    assert states(other) == {"in_1": "booked"}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_was_mended_is_not_answered_from_the_memory_of_its_refusal(poster: Poster, operation: str) -> None:
    poster.ledger.remembers_refusals = True
    poster.ledger.faults = [Fault(operation, "before", refused)]
    poster.run()
    poster.clock.forward(timedelta(minutes=5))
    poster.run()
    assert states(poster) == {"in_1": "booked"}


def test_a_try_that_never_left_is_taken_up_under_its_own_key(poster: Poster, new_log: Callable[[], PostingLog]) -> None:
    """The ledger asked one of two homes to slow down: the two still mean the same write."""
    poster.ledger.faults = [Fault("create_document", "before", not_sent)]
    poster.run()
    Poster(poster.ledger, new_log()).run()
    poster.run()
    assert list(poster.ledger.stored) == [("booked_invoice", 1)]
    assert states(poster) == {"in_1": "booked"}
    assert verify(poster.log.engine, "nordlys").findings == []


def test_a_draft_that_the_ledger_remembers_and_somebody_deleted_is_made_anew(
    poster: Poster, new_log: Callable[[], PostingLog]
) -> None:
    poster.run("draft_invoice")
    poster.ledger.stored.clear()
    lost = Poster(poster.ledger, new_log())
    lost.run("draft_invoice")
    assert list(poster.ledger.stored) == [("draft_invoice", 1)]
    outcomes = [(one["operation"], one["outcome"]) for one in lost.log.history("nordlys", ["stripe:in_1"])]
    assert outcomes == [("create_document", "absent"), ("create_document", "confirmed")]


def test_a_debtor_that_the_ledger_remembers_and_somebody_deleted_is_made_anew(
    poster: Poster, new_log: Callable[[], PostingLog]
) -> None:
    """Its number is another debtor's by now."""
    poster.run("draft_invoice")
    (number,) = poster.ledger.stored_customers
    poster.ledger.stored_customers[number] = LedgerRecord(number, "Somebody Else ApS", False, {})
    lost = Poster(poster.ledger, new_log())
    lost.run("draft_invoice")
    names = {one.number: one.name for one in poster.ledger.stored_customers.values()}
    assert names == {number: "Somebody Else ApS", number + 1: "Frøstrup ApS"}
    assert lost.log.identities("nordlys", "customer")["cus_1"].number == number + 1


@pytest.mark.parametrize("arrives", [True, False], ids=["it arrives", "it was lost"])
def test_a_slow_draft_whose_invoice_changed_meanwhile_is_settled_by_its_own_bytes(poster: Poster, *, arrives: bool) -> None:
    """The process was killed under a slow POST, and the next run planned another text: one draft, with the new text."""
    poster.ledger.faults = [Fault("create_document", "before", killed)]
    poster.run_until_killed("draft_invoice")
    if arrives:
        poster.ledger.late = poster.ledger.sent[-1]
    poster.clock.forward(timedelta(minutes=2))
    poster.run("draft_invoice", text="PO-2")
    assert list(poster.ledger.stored) == [("draft_invoice", 1)]
    assert poster.ledger.contents["draft_invoice", 1]["notes.heading"] == "PO-2"
    operations = [write.operation for write in poster.ledger.sent if "document" in write.operation]
    assert operations == ["create_document", "create_document", "update_document"]
    assert len({write.body for write in poster.ledger.sent if write.operation == "create_document"}) == 1


def test_a_slow_draft_is_given_up_when_the_ledger_has_forgotten_its_key(poster: Poster) -> None:
    poster.ledger.faults = [Fault("create_document", "before", killed)]
    poster.run_until_killed("draft_invoice")
    poster.clock.forward(timedelta(hours=3))
    poster.ledger.forget_idempotency_keys()
    poster.run("draft_invoice", text="PO-2")
    assert list(poster.ledger.stored) == [("draft_invoice", 1)]
    assert [w.operation for w in poster.ledger.sent if "document" in w.operation] == ["create_document", "create_document"]


KEY_FACTS = {
    "other books": ("economic:2", "create_document", "stripe:in_1", b"{}", 0),
    "another operation": ("economic:1", "book_document", "stripe:in_1", b"{}", 0),
    "another document": ("economic:1", "create_document", "stripe:in_2", b"{}", 0),
    "another body": ("economic:1", "create_document", "stripe:in_1", b"{ }", 0),
    "a try that is over": ("economic:1", "create_document", "stripe:in_1", b"{}", 1),
}


@pytest.mark.parametrize("differs", KEY_FACTS)
def test_the_idempotency_key_is_a_function_of_what_is_meant(differs: str) -> None:
    def key(books: str, operation: Any, about: str, body: bytes, tries: int) -> str:
        return idempotency_key(books, Write(operation, about, "POST", "/invoices/drafts", body), tries)

    first = ("economic:1", "create_document", "stripe:in_1", b"{}", 0)
    assert key(*first) == key(*first)
    assert key(*first) != key(*KEY_FACTS[differs])
