"""What comes after a document was posted: the state of the document × the change in Stripe, in whole runs."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from cloudify_pipeline.sandbox.economic.documents import book
from cloudify_pipeline.sandbox.faults import Fault
from cloudify_pipeline.sandbox.stripe.invoices import Line
from cloudify_pipeline_tests.whole_runs.conftest import Company, Run

DRAFT = ("PUT", "/invoices/drafts/")
PO = {"notes.heading": "metadata.po", "notes.textLine1": "metadata.remark"}


def posted(company: Company, create: str, **invoice: Any) -> str:
    """An invoice with a purchase order, posted as `create` when it was finalized."""
    company.configure(invoices={"rules": [{"when": "finalized", "create": create}], "fields": PO})
    found = company.invoice(company.customer(), metadata={"po": "PO-1", "remark": "As agreed"}, days_until_due=14, **invoice)
    assert company.sync().counts() in ({"booked": 1}, {"posted": 1})
    company.now += timedelta(hours=1)
    return found


def edit(company: Company, invoice: str, **metadata: str) -> None:
    company.sandbox.stripe.update_invoice(invoice, at=company.now - timedelta(minutes=5), metadata=metadata)


def places(run: Run) -> list[tuple[str, str]]:
    return [(method, path.rstrip("0123456789")) for method, path in run.writes]


def only(documents: list[dict[str, Any]]) -> dict[str, Any]:
    (document,) = documents
    return document


@pytest.mark.parametrize("create", ["draft_invoice", "draft_order"])
def test_a_draft_whose_invoice_changed_is_replaced_under_the_same_number(company: Company, create: str) -> None:
    invoice = posted(company, create)
    stored: Callable[[], list[dict[str, Any]]] = {
        "draft_invoice": company.sandbox.economic.drafts,
        "draft_order": company.sandbox.economic.orders,
    }[create]
    number_of = {"draft_invoice": "draftInvoiceNumber", "draft_order": "orderNumber"}[create]
    before = only(stored())
    edit(company, invoice, po="PO-2", remark="As agreed")
    run = company.sync()
    after = only(stored())
    assert places(run) == [("PUT", "/orders/drafts/" if create == "draft_order" else "/invoices/drafts/")]
    assert after[number_of] == before[number_of]
    assert (before["notes"]["heading"], after["notes"]["heading"]) == ("PO-1", "PO-2")
    assert run.counts() == {"posted": 1}
    company.now += timedelta(hours=1)
    lists = {"draft_invoice": ["/invoices/drafts"], "draft_order": ["/orders/drafts", "/orders/sent"]}[create]
    looked = [("GET", path) for path in ("/self", *lists)]
    assert company.sync().calls == looked, "that it still stands is looked up; it is not read again"


def test_what_people_wrote_in_the_draft_stays(company: Company) -> None:
    invoice = posted(company, "draft_invoice")
    ledger = company.sandbox.economic
    draft = only(ledger.drafts())
    draft["notes"] |= {"textLine1": "Delivered by Per on Friday", "textLine2": "Thank you"}
    draft["lines"][0]["description"] = "Pro plan, November"
    ledger.put("drafts", draft["draftInvoiceNumber"], draft)
    edit(company, invoice, po="PO-2", remark="As agreed")
    company.sync()
    after = only(ledger.drafts())
    assert after["notes"] == {"heading": "PO-2", "textLine1": "Delivered by Per on Friday", "textLine2": "Thank you"}
    assert after["lines"][0]["description"] == "Pro plan, November"


def test_what_stripe_no_longer_says_leaves_the_draft(company: Company) -> None:
    invoice = posted(company, "draft_invoice")
    edit(company, invoice, po="PO-1", remark="")
    company.sync()
    assert only(company.sandbox.economic.drafts())["notes"] == {"heading": "PO-1"}


def test_a_change_that_no_field_shows_sends_nothing(company: Company) -> None:
    invoice = posted(company, "draft_invoice")
    edit(company, invoice, po="PO-1", remark="As agreed", internal="call Mette")
    run = company.sync()
    assert run.writes == []
    assert (run.counts(), run.codes()) == ({"posted": 1}, {})


def test_a_draft_of_a_finalized_invoice_is_booked_when_it_is_paid(company: Company) -> None:
    company.configure(
        invoices={"rules": [{"when": "paid", "create": "booked_invoice"}, {"when": "finalized", "create": "draft_invoice"}]}
    )
    invoice = company.invoice(company.customer(), days_until_due=14)
    company.sync()
    draft = only(company.sandbox.economic.drafts())["draftInvoiceNumber"]
    company.now += timedelta(hours=2)
    company.pay(invoice)
    run = company.sync()
    assert run.writes == [("POST", "/invoices/booked")]
    assert only(company.sandbox.economic.booked())["orderNumber"] == draft


def test_a_draft_of_a_sent_invoice_is_booked_although_the_invoice_itself_did_not_change(company: Company) -> None:
    company.configure(
        invoices={"rules": [{"when": "sent", "create": "booked_invoice"}, {"when": "finalized", "create": "draft_invoice"}]}
    )
    invoice = company.invoice(company.customer(), days_until_due=14)
    company.sync()
    company.now += timedelta(hours=1)
    company.sandbox.stripe.send(invoice, at=company.now - timedelta(minutes=1))
    assert company.sync().counts() == {"booked": 1}


def test_a_booked_invoice_keeps_its_words_and_says_so(company: Company) -> None:
    invoice = posted(company, "booked_invoice")
    edit(company, invoice, po="PO-2", remark="As agreed")
    run = company.sync()
    assert run.writes == []
    assert only(company.sandbox.economic.booked())["notes"]["heading"] == "PO-1"
    (ending,) = (ending for ending in run.endings if ending.kind == "document")
    assert (ending.state, ending.problem and ending.problem.code, ending.problem and ending.problem.field) == (
        "booked", "S-CHANGED", "notes.heading",
    )  # fmt: skip
    company.now += timedelta(hours=1)
    assert company.sync().calls == [("GET", "/self")]


CHANGES: dict[str, tuple[Callable[[Company, str], object], str]] = {
    "voided": (lambda c, i: c.sandbox.stripe.void(i, at=c.now), "E-VOIDED"),
    "uncollectible": (lambda c, i: c.sandbox.stripe.mark_uncollectible(i, at=c.now), "E-UNCOLLECTIBLE"),
    "credited": (
        lambda c, i: c.sandbox.stripe.update_invoice(i, at=c.now, pre_payment_credit_notes_amount=2_500),
        "E-CREDITED",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("create", ["draft_invoice", "booked_invoice", "draft_order"])
def test_what_no_document_can_follow_is_held_with_its_number(company: Company, create: str, change: str) -> None:
    invoice = posted(company, create)
    before = company.documents()
    happens, code = CHANGES[change]
    happens(company, invoice)
    company.now += timedelta(minutes=1)
    run = company.sync()
    assert run.writes == []
    assert run.codes() == {invoice: code}
    (row,) = company.connection().log.records("nordlys")
    assert (row["state"], row["ledger_kind"], row["number"] is not None) == ("held", create, True)
    assert company.documents() == before
    company.now += timedelta(hours=1)
    assert company.sync().codes() == {invoice: code}, "it is held until somebody has decided"


def test_a_refund_after_posting_is_held(company: Company) -> None:
    at = company.now - timedelta(hours=3)
    charge = company.sandbox.stripe.charge(company.customer(), 10_000, at=at, description="Workshop")
    assert company.sync().counts() == {"booked": 1}
    company.now += timedelta(hours=1)
    company.sandbox.stripe.update_charge(charge, at=company.now, amount_refunded=4_000)
    company.now += timedelta(minutes=1)
    run = company.sync()
    assert run.codes() == {charge: "E-CREDITED"}
    assert "40.00 DKK" in str(next(e.problem for e in run.endings if e.stripe_id == charge))


def test_a_document_of_another_kind_is_held_and_nothing_is_made_beside_it(company: Company) -> None:
    invoice = posted(company, "draft_order")
    company.configure(invoices={"rules": [{"when": "finalized", "create": "draft_invoice"}], "fields": PO})
    edit(company, invoice, po="PO-2", remark="")
    run = company.sync()
    assert (run.writes, run.codes()) == ([], {invoice: "E-KIND"})


def test_a_draft_that_somebody_booked_meanwhile_is_booked_and_no_second_one_is_made(company: Company) -> None:
    invoice = posted(company, "draft_invoice")
    draft = only(company.sandbox.economic.drafts())
    book(company.sandbox.economic, {"draftInvoice": {"draftInvoiceNumber": draft["draftInvoiceNumber"]}})
    edit(company, invoice, po="PO-2", remark="As agreed")
    run = company.sync()
    assert (run.writes, run.counts()) == ([], {"booked": 1})
    assert company.documents() == {f"stripe:{invoice}": ("booked_invoice", Decimal("125.00"))}


def test_a_draft_that_somebody_deleted_is_held_and_its_number_is_nobodys(company: Company) -> None:
    invoice = posted(company, "draft_invoice")
    ledger = company.sandbox.economic
    ledger.delete("drafts", only(ledger.drafts())["draftInvoiceNumber"])
    edit(company, invoice, po="PO-2", remark="")
    run = company.sync()
    assert (run.writes, run.codes()) == ([], {invoice: "E-GONE"})


@pytest.mark.parametrize("email", ["faktura@kaffe.example", None])
def test_a_customer_number_that_was_given_to_somebody_else_is_noticed(company: Company, email: str | None) -> None:
    company.configure(customers={"on_empty_match_field": "create"})
    buyer = company.customer("Kaffe ApS", email=email)
    company.pay(company.invoice(buyer))
    assert company.sync().counts() == {"booked": 1}
    ledger = company.sandbox.economic
    number = only(ledger.booked())["customer"]["customerNumber"]
    ledger.delete("customers", number)
    ledger.add_customer(customerNumber=number, name="Somebody Else ApS", email="else@example.com")
    company.now += timedelta(hours=1)
    invoice = company.pay(company.invoice(buyer))
    run = company.sync()
    assert run.codes()[buyer] == "E-CUST-TAKEN"
    assert run.codes()[invoice] == "E-CUST-TAKEN"
    assert run.writes == []


# Old state × change → new state, code, and after "+" what is written to the ledger.
TABLE = """
change       |skipped            |held           |failed        |draft               |order               |booked
nothing      |skipped S-NOT-DUE  |held E-CURRENCY|posted +draft |posted              |posted              |booked
edited       |skipped S-NOT-DUE  |held E-CURRENCY|posted +draft |posted +replace     |posted +replace     |booked S-CHANGED
paid         |booked +draft +book|held E-CURRENCY|posted +draft |posted              |posted              |booked
voided       |skipped S-VOID     |skipped S-VOID |skipped S-VOID|held E-VOIDED       |held E-VOIDED       |held E-VOIDED
uncollectible|skipped S-NOT-DUE  |held E-CURRENCY|posted +draft |held E-UNCOLLECTIBLE|held E-UNCOLLECTIBLE|held E-UNCOLLECTIBLE
credited     |skipped S-NOT-DUE  |held E-CURRENCY|posted +draft |held E-CREDITED     |held E-CREDITED     |held E-CREDITED
"""
_HEAD, *_ROWS = ([cell.strip() for cell in row.split("|")] for row in TABLE.strip().splitlines())
CELLS = [(before, row[0], expected) for row in _ROWS for before, expected in zip(_HEAD[1:], row[1:], strict=True)]
WRITTEN = {
    ("POST", "/invoices/drafts"): "draft",
    ("POST", "/invoices/booked"): "book",
    ("PUT", "/invoices/drafts/"): "replace",
    ("PUT", "/orders/drafts/"): "replace",
}
HAPPENS: dict[str, Callable[[Company, str], object]] = {
    "nothing": lambda c, i: None,
    "edited": lambda c, i: edit(c, i, po="PO-2", remark="As agreed"),
    "paid": lambda c, i: c.pay(i),
    **{change: happens for change, (happens, _) in CHANGES.items()},
}


@pytest.mark.parametrize(("before", "change", "expected"), CELLS)
@pytest.mark.exhaustive
def test_every_state_meets_every_change(company: Company, before: str, change: str, expected: str) -> None:
    create = {"order": "draft_order", "booked": "booked_invoice", "skipped": "booked_invoice"}.get(before, "draft_invoice")
    when = "paid" if before == "skipped" else "finalized"
    company.configure(invoices={"rules": [{"when": when, "create": create}], "fields": PO})
    if before == "failed":
        company.sandbox.faults_economic.add(Fault("POST", "/invoices/drafts", status=400))
    buyer = company.customer()
    currency: dict[str, Any] = {"currency": "thb", "lines": [Line(amount=10_000)]} if before == "held" else {}
    invoice = company.invoice(buyer, metadata={"po": "PO-1", "remark": "As agreed"}, days_until_due=14, **currency)
    state = {"draft": "posted", "order": "posted"}.get(before, before)
    assert company.sync().counts() == {state: 1}
    company.now += timedelta(hours=1)
    HAPPENS[change](company, invoice)
    company.now += timedelta(minutes=1)
    run = company.sync()
    (row,) = company.connection().log.records("nordlys")
    written = [f"+{WRITTEN[place]}" for place in places(run) if place in WRITTEN]
    assert " ".join(filter(None, (row["state"], row["code"], *written))) == expected
