"""What people do in the ledger with documents that were posted: deleted, booked, renamed, turned into invoices."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from cloudify_pipeline.control.accept import accept
from cloudify_pipeline.sandbox.economic.documents import book
from cloudify_pipeline.sandbox.stripe.credit_notes import CreditLine
from cloudify_pipeline_tests.whole_runs.conftest import Company
from cloudify_pipeline_tests.whole_runs.test_changes import only

DRAFTS = {"rules": [{"when": "finalized", "create": "draft_invoice"}]}
GROSS = Decimal("125.00")


def posted(company: Company, create: str = "draft_invoice") -> str:
    company.configure(invoices={"rules": [{"when": "finalized", "create": create}]})
    invoice = company.invoice(company.customer(), days_until_due=14)
    assert company.sync().counts() == {"posted": 1}
    company.now += timedelta(minutes=20)
    return invoice


def row(company: Company) -> dict[str, Any]:
    opened = company.connection()
    (found,) = opened.log.records("nordlys")
    opened.log.close()
    return found


def decide(company: Company, stripe_id: str, **word: Any) -> None:
    opened = company.connection()
    accept(opened, stripe_id, by="anna", **word)
    opened.log.close()


def delete_draft(company: Company) -> int:
    ledger = company.sandbox.economic
    number = int(only(ledger.drafts())["draftInvoiceNumber"])
    ledger.delete("drafts", number)
    return number


def rename(company: Company, reference: str, **more: Any) -> int:
    ledger = company.sandbox.economic
    draft = only(ledger.drafts())
    ledger.put("drafts", draft["draftInvoiceNumber"], {**draft, "references": {"other": reference}, **more})
    return int(draft["draftInvoiceNumber"])


@pytest.mark.parametrize("changed", [False, True], ids=["nothing is due", "something else is due"])
def test_a_draft_that_was_deleted_by_hand_is_noticed_by_the_next_run(company: Company, *, changed: bool) -> None:
    invoice = posted(company)
    number = delete_draft(company)
    if changed:
        company.invoice(company.customer("Ny ApS"), days_until_due=14)
        company.now += timedelta(hours=1)
    run = company.sync()
    assert run.codes() == {invoice: "E-GONE"}
    held = next(one for one in run.endings if one.stripe_id == invoice)
    assert str(held.problem) == f"E-GONE: draft invoice {number} is no longer in the ledger"
    company.now += timedelta(hours=1)
    assert company.sync().writes == [], "it is a person's"
    decide(company, invoice)
    company.sync()
    company.now += timedelta(hours=1)
    assert company.sync().counts() == {"skipped": 1}


def test_a_deleted_draft_that_is_replayed_by_name_within_the_hour_is_a_new_draft(company: Company) -> None:
    """The ledger remembers the answer that made the first one."""
    invoice = posted(company)
    first = delete_draft(company)
    company.sync()
    company.sandbox.economic.set_fact("last_booked_draft", first)
    run = company.sync(ids=(invoice,), again=True, named=(invoice,))
    assert run.counts() == {"posted": 1}
    assert int(only(company.sandbox.economic.drafts())["draftInvoiceNumber"]) == first + 1
    assert company.documents() == {f"stripe:{invoice}": ("draft_invoice", GROSS)}


@pytest.mark.exhaustive
def test_a_deleted_draft_among_all_that_failed_is_not_posted_anew(company: Company) -> None:
    invoice = posted(company)
    delete_draft(company)
    run = company.sync(ids=(invoice,), again=True)
    assert (run.writes, run.codes()) == ([], {invoice: "E-GONE"})


def test_a_draft_that_was_booked_by_hand_is_booked_here_too(company: Company) -> None:
    invoice = posted(company)
    draft = only(company.sandbox.economic.drafts())
    book(company.sandbox.economic, {"draftInvoice": {"draftInvoiceNumber": draft["draftInvoiceNumber"]}})
    run = company.sync()
    assert (run.writes, run.counts()) == ([], {"booked": 1})
    booked = only(company.sandbox.economic.booked())
    assert (row(company)["state"], row(company)["number"]) == ("booked", str(booked["bookedInvoiceNumber"]))
    company.now += timedelta(hours=1)
    assert company.sync().calls == [("GET", "/self")], "there is no draft any more to look for"
    assert f"stripe:{invoice}" in company.documents()


@pytest.mark.exhaustive
def test_an_order_that_somebody_made_an_invoice_of_is_not_held(company: Company) -> None:
    invoice = posted(company, "draft_order")
    ledger = company.sandbox.economic
    order = only(ledger.orders())
    number = int(order["orderNumber"])
    ledger.delete("orders", number)
    ledger.put("orders.archived", number, order)
    draft = {name: value for name, value in order.items() if name != "orderNumber"}
    ledger.put("drafts", number + 1, {**draft, "draftInvoiceNumber": number + 1})
    for state, kind in (("posted", "draft_invoice"), ("booked", "booked_invoice")):
        run = company.sync()
        assert (run.writes, run.counts(), run.codes()) == ([], {state: 1}, {})
        assert (row(company)["state"], row(company)["ledger_kind"]) == (state, kind)
        company.now += timedelta(hours=1)
        assert company.sync().endings == []
        if kind == "draft_invoice":
            book(ledger, {"draftInvoice": {"draftInvoiceNumber": number + 1}})
    assert f"stripe:{invoice}" in company.documents()


def test_a_reference_that_somebody_wrote_over_is_not_gone(company: Company) -> None:
    invoice = posted(company)
    number = rename(company, "PO 4711")
    run = company.sync()
    held = next(one for one in run.endings if one.stripe_id == invoice)
    assert held.problem is not None
    assert (held.problem.code, held.problem.message, run.writes) == (
        "E-KEY-LOST",
        f"draft invoice {number} has “PO 4711” for a reference where its key stripe:{invoice} stood",
        [],
    )
    decide(company, invoice)
    company.now += timedelta(hours=1)
    assert company.sync().counts() == {"posted": 1}
    company.now += timedelta(hours=1)
    assert company.sync().endings == [], "a person has said which it is"
    assert len(company.sandbox.economic.drafts()) == 1


@pytest.mark.exhaustive
def test_a_reference_of_a_booked_invoice_that_somebody_wrote_over_changes_nothing(company: Company) -> None:
    """A booked number is given once: it is the same document, to a replay and to what corrects it."""
    invoice = company.pay(company.invoice(company.customer()))
    company.sync()
    ledger = company.sandbox.economic
    booked = only(ledger.booked())
    ledger.put("booked", booked["bookedInvoiceNumber"], {**booked, "references": {"other": "PO 4711"}})
    company.now += timedelta(hours=1)
    note = company.sandbox.stripe.create_credit_note(invoice, at=company.now)
    company.now += timedelta(minutes=1)
    run = company.sync()
    assert run.codes() == {}
    assert run.counts()["booked"] >= 1
    assert f"stripe:{note}" in company.documents()
    company.now += timedelta(hours=1)
    assert company.sync(ids=(invoice,), again=True, named=(invoice,)).writes == []


@pytest.mark.exhaustive
def test_what_corrects_a_draft_whose_reference_was_written_over_says_so(company: Company) -> None:
    invoice = company.pay(company.invoice(company.customer()))
    company.configure(invoices={"rules": [{"when": "paid", "create": "draft_invoice"}]})
    company.sync()
    number = rename(company, "PO 4711")
    company.now += timedelta(hours=1)
    line = str(company.sandbox.stripe.invoice(invoice)["lines"]["data"][0]["id"])
    note = company.sandbox.stripe.create_credit_note(invoice, [CreditLine(line, 2_000)], at=company.now)
    company.now += timedelta(minutes=1)
    run = company.sync()
    assert run.codes() == {invoice: "E-KEY-LOST", note: "E-DEPENDENCY"}
    held = next(one.problem for one in run.endings if one.stripe_id == note)
    assert held is not None
    assert f"which it corrects: draft invoice {number} has “PO 4711” for a reference" in held.message


@pytest.mark.exhaustive
def test_a_key_that_is_written_back_ends_the_hold(company: Company) -> None:
    invoice = posted(company)
    rename(company, "")
    assert company.sync().codes() == {invoice: "E-KEY-LOST"}
    rename(company, f"stripe:{invoice}")
    company.now += timedelta(hours=1)
    run = company.sync()
    assert (run.writes, run.counts(), run.codes()) == ([], {"posted": 1}, {})


@pytest.mark.exhaustive
def test_a_number_that_another_customers_draft_has_by_now_is_gone(company: Company) -> None:
    invoice = posted(company)
    rename(company, "an offer of ours", customer={"customerNumber": 9_999})
    assert company.sync().codes() == {invoice: "E-GONE"}


@pytest.mark.exhaustive
@pytest.mark.parametrize("word", ["post", "link"])
def test_post_anew_looks_for_what_somebody_has_put_in_its_place(company: Company, word: str) -> None:
    """The draft was deleted and keyed again by hand, without the key."""
    invoice = posted(company)
    ledger = company.sandbox.economic
    draft = only(ledger.drafts())
    number = delete_draft(company)
    ledger.put("drafts", number + 7, {**draft, "draftInvoiceNumber": number + 7, "references": {"other": "ring til Per"}})
    assert company.sync().codes() == {invoice: "E-GONE"}
    decide(company, invoice, post=True)
    company.now += timedelta(minutes=5)
    run = company.sync()
    assert (run.writes, run.codes()) == ([], {invoice: "E-DUP-HUMAN"})
    decide(company, invoice, post=word == "post")
    company.now += timedelta(minutes=5)
    assert company.sync().counts() == {"posted": 1}
    assert len(ledger.drafts()) == (2 if word == "post" else 1)
    company.now += timedelta(hours=1)
    assert company.sync().writes == []
