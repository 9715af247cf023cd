"""The state in Stripe's metadata after whole runs: written once, silent afterwards, and never in a document's way."""

import asyncio
import dataclasses
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from cloudify_pipeline.control.write_back import GIVE_UP_AFTER, WrittenBack, write_back
from cloudify_pipeline.errors import Problem
from cloudify_pipeline.posting.log.lease import held as lease
from cloudify_pipeline.posting.log.written_back import written_back
from cloudify_pipeline.sandbox.faults import Fault
from cloudify_pipeline.sandbox.stripe.bulk import add_invoices
from cloudify_pipeline.stripe_source.metadata import StripeWriter
from cloudify_pipeline_tests.whole_runs.conftest import Company, Run

OURS = ("ledger_status", "ledger_document", "ledger_error", "ledger_synced_at")


def told(company: Company, tried: tuple[str, ...] = (), writer: Any = None) -> WrittenBack:
    opened = company.connection()
    try:
        if writer is not None:
            opened = dataclasses.replace(opened, new_stripe_writer=lambda: writer)
        return asyncio.run(write_back(opened, tried))
    finally:
        opened.log.close()


def whole(company: Company, **scope: Any) -> tuple[Run, WrittenBack]:
    """A sync with its write-back, an hour after the last."""
    company.now += timedelta(hours=1)
    run = company.sync(**scope)
    return run, told(company, tuple(ending.stripe_id for ending in run.endings if ending.kind == "document"))


def metadata(company: Company, stripe_id: str) -> dict[str, str]:
    found: dict[str, str] = company.sandbox.stripe.get("charge" if stripe_id.startswith("ch_") else "invoice", stripe_id)[
        "metadata"
    ]
    return found


def posts(company: Company) -> int:
    return sum(call.method == "POST" for call in company.sandbox.stripe.calls)


def number(company: Company) -> str:
    return str(company.sandbox.economic.booked()[0]["bookedInvoiceNumber"])


def held(company: Company) -> str:
    return company.pay(company.invoice(company.customer("Nowhere", country=None), tax_rates=[]))


def ask(company: Company, stripe_id: str) -> None:
    company.sandbox.stripe.update_invoice(
        stripe_id, at=company.now, metadata={**metadata(company, stripe_id), "ledger_status": "replay"}
    )


def test_every_ending_is_shown_in_stripe(company: Company) -> None:
    buyer = company.customer()
    company.sandbox.stripe.update_invoice(booked := company.pay(company.invoice(buyer)), at=company.now, metadata={"po": "PO 7"})
    nowhere, waiting = held(company), company.invoice(buyer)
    payment = company.sandbox.stripe.charge(buyer, 12_500, at=company.now)
    _, report = whole(company)
    assert (report.written, report.problems) == (3, ())
    at = "2026-11-02T10:00:00+00:00"
    shown = metadata(company, booked)
    assert shown == {"po": "PO 7", "ledger_status": "booked", "ledger_document": shown["ledger_document"], "ledger_synced_at": at}
    numbers = {f"booked_invoice {one['bookedInvoiceNumber']}" for one in company.sandbox.economic.booked()}
    assert shown["ledger_document"] in numbers
    assert metadata(company, nowhere)["ledger_status"] == "held"
    assert metadata(company, nowhere)["ledger_error"].startswith("E-VAT-ZONE: ")
    assert "ledger_document" not in metadata(company, nowhere)
    assert metadata(company, payment)["ledger_status"] in {"booked", "held"}
    assert metadata(company, waiting) == {}


def test_after_one_sync_nothing_is_written_to_either_side_and_the_ledger_is_left_alone(company: Company) -> None:
    buyer = company.customer()
    for _ in range(3):
        company.pay(company.invoice(buyer))
    held(company)
    whole(company)
    before = posts(company)
    later = [whole(company) for _ in range(3)]
    assert [run.writes for run, _ in later] == [[], [], []]
    assert [report.written for _, report in later] == [0, 0, 0]
    assert posts(company) == before
    # Our own write makes an event; the invoice is read again, and what was posted is not looked at again for it.
    assert later[0][0].report.kinds["invoice"].changed == 4
    assert [run.report.kinds["invoice"].changed for run, _ in later[1:]] == [0, 0]
    assert not [path for run, _ in later for _, path in run.calls if path.startswith(("/invoices/drafts", "/invoices/booked"))]


@pytest.mark.parametrize("off", [{"invoices": {"write_back": False}}, {"write_mode": "dry_run"}, {"write_mode": "read_only"}])
def test_nothing_is_written_when_it_is_off(company: Company, off: dict[str, Any]) -> None:
    company.configure(customers={"number": {"store_in": None}}, **off)
    company.pay(company.invoice(company.customer()))
    whole(company)
    assert posts(company) == 0


def test_the_next_run_does_not_write_again_before_the_invoice_was_read_again(company: Company) -> None:
    invoice = company.pay(company.invoice(company.customer()))
    whole(company)
    before = posts(company)
    assert told(company, (invoice,)) == WrittenBack(unchanged=1)
    assert posts(company) == before


def test_when_what_was_written_is_forgotten_staging_knows_it(company: Company) -> None:
    company.pay(company.invoice(company.customer()))
    whole(company)
    opened = company.connection()
    with opened.log.engine.begin() as db:
        db.execute(written_back.delete())
    opened.log.close()
    assert [whole(company)[1] for _ in range(2)] == [WrittenBack(unchanged=1)] * 2


def test_a_mended_hold_replaces_the_error_by_the_document(company: Company) -> None:
    invoice = held(company)
    whole(company)
    company.configure(
        vat={"missing_country": "customer_zone"}, customers={"defaults": {"payment_terms": 1, "group": 1, "vat_zone": 3}}
    )
    _, report = whole(company)
    shown = metadata(company, invoice)
    assert (report.written, shown["ledger_status"], "ledger_error" in shown) == (1, "booked", False)


def test_a_replay_that_was_asked_for_is_answered_once_also_with_the_same_ending(company: Company) -> None:
    invoice = company.pay(company.invoice(company.customer()))
    whole(company)
    ask(company, invoice)
    company.now += timedelta(hours=1)
    company.sync()
    assert told(company).written == 0, "a run that did not try it leaves the request"
    assert metadata(company, invoice)["ledger_status"] == "replay"
    run, report = whole(company, ids=(invoice,))
    assert (run.writes, report.written) == ([], 1)
    assert metadata(company, invoice)["ledger_status"] == "booked"
    assert told(company, (invoice,)).written == 0
    assert whole(company)[1].written == 0
    ask(company, invoice)
    assert whole(company, ids=(invoice,))[1].written == 1


def test_keys_that_a_person_deletes_stay_deleted(company: Company) -> None:
    invoice = company.pay(company.invoice(company.customer()))
    whole(company)
    company.sandbox.stripe.update_invoice(invoice, at=company.now, metadata={})
    assert [whole(company)[1].written for _ in range(2)] == [0, 0]
    assert metadata(company, invoice) == {}


def test_a_full_set_of_metadata_is_left_alone_and_named(company: Company) -> None:
    full = {f"key {place}": "x" for place in range(48)}
    company.sandbox.stripe.update_invoice(
        invoice := company.pay(company.invoice(company.customer())), at=company.now, metadata=full
    )
    before = posts(company)
    run, report = whole(company)
    assert run.counts() == {"booked": 1}
    assert [(problem.code, invoice in problem.message) for problem in report.problems] == [("E-METADATA-FULL", True)]
    assert posts(company) == before + 1, "the customer's number alone"
    company.sandbox.stripe.update_invoice(invoice, at=company.now, metadata={"key 1": "x"})
    assert whole(company)[1].written == 1


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault("POST", "/v1/invoices/", "status", times=1, status=429), "E-RATE"),
        (Fault("POST", "/v1/invoices/", "read_only_licence", times=1), "E-CONN-ROLE"),
        (Fault("POST", "/v1/invoices/", "revoked", times=1), "E-CONN-GRANT"),
    ],
)
def test_what_stripe_does_not_take_is_written_by_the_next_run(company: Company, fault: Fault, code: str) -> None:
    invoice = company.pay(company.invoice(company.customer()))
    company.sandbox.faults_stripe.add(fault)
    run, report = whole(company)
    assert run.counts() == {"booked": 1}
    assert ([problem.code for problem in report.problems], report.left) == ([code], 1)
    assert metadata(company, invoice) == {}
    run, report = whole(company)
    assert (run.writes, report.written) == ([], 1)
    assert metadata(company, invoice)["ledger_status"] == "booked"


@pytest.mark.parametrize("kind", ["status", "drop_before", "drop_after_commit"])
def test_one_passing_trouble_is_overcome_at_once_and_writes_once(company: Company, kind: Any) -> None:
    invoice = company.pay(company.invoice(company.customer()))
    company.sandbox.faults_stripe.add(Fault("POST", "/v1/invoices/", kind, times=1, status=500))
    assert whole(company)[1] == WrittenBack(written=1)
    told_once = [
        one for one in company.sandbox.stripe.rows("event") if "metadata" in (one["data"].get("previous_attributes") or {})
    ]
    assert [one["data"]["object"]["id"] for one in told_once if one["type"] == "invoice.updated"] == [invoice]
    assert metadata(company, invoice)["ledger_status"] == "booked"
    assert whole(company)[1].written == 0


class Answers(StripeWriter):
    """A writer that answers as told, and keeps what it was asked."""

    def __init__(self, problems: Mapping[int, Problem] | Problem | None = None) -> None:
        self.problems = problems
        self.asked: list[str] = []

    async def set_metadata(self, kind: Any, stripe_id: str, metadata: Mapping[str, str]) -> Problem | None:
        self.asked.append(stripe_id)
        answer = self.problems.get(len(self.asked)) if isinstance(self.problems, Mapping) else self.problems
        await asyncio.sleep(0)
        return answer


def many(company: Company, count: int = 20) -> None:
    buyer = company.customer()
    for _ in range(count):
        company.pay(company.invoice(buyer))
    company.sync()


def test_a_key_that_may_not_write_is_asked_once(company: Company) -> None:
    many(company)
    writer = Answers(Problem("E-CONN-ROLE", "may not write", "metadata"))
    report = told(company, writer=writer)
    assert len(writer.asked) == 1
    assert (report.written, report.left, [problem.code for problem in report.problems]) == (0, 20, ["E-CONN-ROLE"])


def test_a_right_that_is_revoked_half_way_ends_the_writing(company: Company) -> None:
    many(company)
    role = Problem("E-CONN-ROLE", "may not write", "metadata")
    writer = Answers(dict.fromkeys(range(4, 100), role))
    report = told(company, writer=writer)
    assert report.written == 3
    assert len(writer.asked) <= 3 + 6, "those in flight"
    assert [problem.code for problem in report.problems] == ["E-CONN-ROLE"]
    assert told(company).written == 17


def test_a_key_that_may_not_write_payments_is_no_trouble(company: Company) -> None:
    buyer = company.customer()
    payments = [company.sandbox.stripe.charge(buyer, 12_500, at=company.now) for _ in range(3)]
    company.pay(company.invoice(buyer))
    company.sandbox.stripe.rights.discard("rak_charge_write")
    company.settings["stripe"]["api_key"] = {"env": "RESTRICTED"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RESTRICTED", company.sandbox.stripe.restricted_key)
        _, report = whole(company)
    assert (report.written, report.left, report.problems) == (1, 3, ())
    refused = [call for call in company.sandbox.stripe.calls if call.method == "POST" and call.path.startswith("/v1/charges")]
    assert [call.status for call in refused] == [403]
    assert all(metadata(company, payment) == {} for payment in payments)


def test_a_service_in_trouble_is_left_alone_after_a_few_tries(company: Company) -> None:
    many(company)
    writer = Answers(Problem("E-SERVER", "no answer", "metadata"))
    report = told(company, writer=writer)
    assert GIVE_UP_AFTER <= len(writer.asked) < GIVE_UP_AFTER + 6
    assert report.left == 20


def test_what_stripe_refuses_for_good_is_not_asked_again_until_something_changes(company: Company) -> None:
    many(company, 2)
    writer = Answers({1: Problem("E-STRIPE-GONE", "resource_missing", "metadata")})
    first = told(company, writer=writer)
    assert (first.written, first.left, len(first.problems)) == (1, 1, 1)
    assert told(company, writer=(again := Answers())).written == 0
    assert again.asked == []


def test_one_run_writes_no_more_than_it_may_post_its_own_documents_first(company: Company) -> None:
    many(company, 6)
    company.configure(limits={"max_documents_per_run": 4})
    ours = next(iter(company.documents())).removeprefix("stripe:")
    writer = Answers()
    report = told(company, (ours,), writer=writer)
    assert (report.written, report.left, writer.asked[0]) == (4, 2, ours)
    assert told(company).written == 2


def test_another_run_at_work_leaves_it_to_the_next(company: Company) -> None:
    company.pay(company.invoice(company.customer()))
    company.sync()
    opened = company.connection()
    with lease(opened.log.engine, opened.name, now=company.now):
        report = told(company)
    opened.log.close()
    assert [problem.code for problem in report.problems] == ["E-LEASE"]


def test_hundreds_of_writes_cost_the_next_run_a_few_list_requests_and_the_ledger_nothing(company: Company) -> None:
    company.configure(customers={"number": {"store_in": None}})
    add_invoices(company.sandbox.stripe, 120, until=company.now - timedelta(minutes=5), customers=10, every=timedelta(seconds=5))
    assert whole(company)[1].written == 120
    run, report = whole(company)
    assert (run.report.kinds["invoice"].changed, report.written) == (120, 0)
    assert run.report.requests <= 12
    assert len(run.calls) <= 2
