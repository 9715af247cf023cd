"""What was decided when a document was posted is said for ever after, whatever settings, Stripe and staging say by then."""

import asyncio
import csv
import json
import shutil
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from cloudify_pipeline.cli.main import main
from cloudify_pipeline.control.audit import verified
from cloudify_pipeline.control.audit_export import export
from cloudify_pipeline.control.audit_restore import restore
from cloudify_pipeline.control.explain import BEFORE_LOG, BY_HAND, EARLIER_VERSION, explain
from cloudify_pipeline.control.explained import Explained
from cloudify_pipeline.control.usage import Month, usage
from cloudify_pipeline.control.vat_periods import month
from cloudify_pipeline.control.vat_return import VatReturn, vat_return
from cloudify_pipeline.posting import document
from cloudify_pipeline.posting.log.decisions import decisions
from cloudify_pipeline.posting.log.vat_sales import kept_sales
from cloudify_pipeline.sandbox.stripe.invoices import Line
from cloudify_pipeline_tests.whole_runs.conftest import Company

GERMAN = (("eu_vat", "DE136695976", "verified"),)
ABROAD: dict[str, Any] = {"rules": [{"when": "finalized", "create": "booked_invoice", "vat_zone": 3}]}
EXEMPT: dict[str, Any] = {"rules": [{"when": "finalized", "create": "booked_invoice", "vat_zone": 4}]}
DRAFTS: dict[str, Any] = {"rules": [{"when": "paid", "create": "draft_invoice"}]}
FIRST_RULE = "rules[0]: paid → booked_invoice"


def told(company: Company, wanted: str) -> Explained:
    opened = company.connection()
    try:
        return asyncio.run(explain(opened, wanted))
    finally:
        opened.log.close()


def without_today(found: Any) -> Any:
    if isinstance(found, dict):
        return {name: without_today(value) for name, value in found.items() if name != "today"}
    return [without_today(one) for one in found] if isinstance(found, list) else found


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    capsys.readouterr()
    assert main([*arguments, "--json"]) in {0, 1}
    return json.loads(capsys.readouterr().out)


def filed(company: Company) -> VatReturn:
    opened = company.connection()
    try:
        return asyncio.run(vat_return(opened, month("2026-11")))
    finally:
        opened.log.close()


def forget_staging(company: Company) -> None:
    opened = company.connection()
    opened.log.close()
    opened.staging.path.unlink()


def lose_the_log(company: Company) -> None:
    for file in (company.folder.parent / "home").glob("posting.db*"):
        file.unlink()


def kept(company: Company, stripe_id: str) -> int:
    """How many decisions were kept of a document."""
    opened = company.connection()
    with opened.log.engine.connect() as db:
        found = db.scalar(select(func.count()).select_from(decisions).where(decisions.c.stripe_id == stripe_id))
    opened.log.close()
    return int(found or 0)


def archived(company: Company, folder: Path, table: str) -> bytes:
    opened = company.connection()
    export(opened, folder)
    opened.log.close()
    return (folder / f"{table}.csv").read_bytes()


def zone_of(found: Explained) -> str:
    (one,) = [one for one in found.decisions if one.decision == "vat_zone"]
    return f"{one.outcome}, by {one.rule}"


# -- the settings changed, and staging is gone ------------------------------------------------------------------------------


def test_an_invoice_booked_in_zone_1_stays_explained_so_when_settings_say_zone_3_by_another_rule_and_staging_is_gone(
    company: Company, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    invoice = company.pay(company.invoice(company.customer()))
    company.sync()
    company.connection().log.close()
    before = printed(capsys, "explain", "nordlys", invoice)
    vat = printed(capsys, "vat", "nordlys", "--month", "2026-11")
    decided, sales = (archived(company, tmp_path / f"before {table}", table) for table in ("decisions", "vat_sales"))
    assert (before["planned"], before["plan_from"], before["rule"]) == ("booked_invoice", "as posted", FIRST_RULE)
    assert {one["decision"]: one["outcome"] for one in before["decisions"]}["vat_zone"] == "1 (Domestic)"
    assert before["totals"]["gross"] == before["actual"]["gross"] == "125.00"
    assert before["origin"]["unknown"] is None
    assert before["customer"]["plan_from"] == before["products"][0]["plan_from"] == "as posted"
    assert (before["today"]["same_settings"], before["today"]["changes"]) == (True, [])

    company.configure(invoices=ABROAD)
    company.connection().log.close()
    planned = printed(capsys, "explain", "nordlys", invoice)
    assert without_today(planned) == without_today(before)
    assert (planned["today"]["same_settings"], planned["today"]["planned"]) == (False, "held")
    assert planned["today"]["trouble"]["code"] == "E-VAT-ZONE"
    assert planned["trouble"] is None, "what would be held today is no trouble of what stands"
    changes = {one["what"]: (one["then"], one["today"]) for one in planned["today"]["changes"]}
    assert changes.keys() == {"planned as", "vat zone"}
    assert changes["vat zone"] == ("1 (Domestic), by 5: Denmark", "3 (Abroad), by 1: invoices.rules[0].vat_zone is 3")

    forget_staging(company)
    assert without_today(printed(capsys, "explain", "nordlys", invoice)) == without_today(before)
    assert printed(capsys, "explain", "nordlys", invoice)["today"]["planned"] is None
    assert printed(capsys, "vat", "nordlys", "--month", "2026-11") == vat
    assert archived(company, tmp_path / "after", "decisions") == decided
    assert (tmp_path / "after" / "vat_sales.csv").read_bytes() == sales

    company.sync()
    again = printed(capsys, "explain", "nordlys", invoice)
    assert {name: again[name] for name in ("rule", "decisions", "lines", "fields", "totals", "origin")} == {
        name: before[name] for name in ("rule", "decisions", "lines", "fields", "totals", "origin")
    }


@pytest.mark.exhaustive
def test_the_command_says_when_by_which_settings_and_what_would_be_planned_today(
    company: Company, capsys: pytest.CaptureFixture[str]
) -> None:
    invoice = company.pay(company.invoice(company.customer()))
    company.sync()
    company.connection().log.close()
    assert main(["explain", "nordlys", invoice]) == 0
    words = capsys.readouterr().out
    assert "in force since 2026-11-02 10:00" in words
    assert "others are in force today" not in words
    assert "Planned today: the same." in words
    assert "the ledger has net 100.00 DKK + VAT 25.00 DKK = 125.00 DKK" in words
    company.configure(invoices=ABROAD)
    company.connection().log.close()
    assert main(["explain", "nordlys", invoice]) == 0
    words = capsys.readouterr().out
    assert "others are in force today" in words
    assert "Planned today otherwise, which changes nothing of what stands" in words


@pytest.mark.exhaustive
def test_goods_that_were_sold_as_services_stay_services_in_a_return_that_was_filed(company: Company) -> None:
    company.configure(vat={"supply_default": "services"})
    company.pay(company.invoice(company.customer("Müller GmbH", "DE", tax_ids=GERMAN), tax_rates=[]))
    assert company.sync().codes() == {}
    before = filed(company)
    assert before.boxes["b_services"].net == Decimal("100.00")
    company.configure(vat={"supply_default": "goods", "supply": {"UEUY": "goods"}, "zones": {"eu": 3, "abroad": 2}})
    found = filed(company)
    assert (found.parts, found.listed, dict(found.boxes)) == (before.parts, before.listed, dict(before.boxes))


@pytest.mark.exhaustive
def test_a_customer_that_was_taken_from_the_ledger_stays_explained_by_how_it_was_found(company: Company) -> None:
    buyer = company.customer(email="faktura@example.com")
    number = company.sandbox.economic.add_customer(name="Frøstrup ApS", email="faktura@example.com")["customerNumber"]
    company.pay(company.invoice(buyer))
    company.sync()
    before = told(company, buyer)
    assert (before.planned, before.plan_from, before.ledger_number) == ("use", "as posted", str(number))
    assert any(one.rule == "email = email" for one in before.decisions)
    company.configure(customers={"match": [{"stripe": "name", "ledger": "name"}]})
    forget_staging(company)
    after = told(company, buyer)
    assert (after.decisions, after.fields, after.origin) == (before.decisions, before.fields, before.origin)


# -- other documents --------------------------------------------------------------------------------------------------------


@pytest.mark.exhaustive
def test_a_credit_note_is_explained_by_what_was_decided_when_it_was_posted(company: Company) -> None:
    invoice = company.pay(company.invoice(company.customer()))
    company.sync()
    company.now += timedelta(hours=2)
    note = company.sandbox.stripe.create_credit_note(invoice, None, at=company.now - timedelta(minutes=30))
    assert company.sync().codes() == {}
    company.configure(invoices=ABROAD)
    forget_staging(company)
    found = told(company, note)
    assert (found.rule, found.plan_from) == (f"corrects {invoice} → booked_invoice", "as posted")
    assert found.totals is not None
    assert found.totals.gross == Decimal("-125.00")
    assert zone_of(found).startswith("1 (Domestic), by the zone of booked invoice")
    assert found.actual is not None
    assert found.actual.gross == Decimal("-125.00")


@pytest.mark.exhaustive
def test_a_draft_that_is_replaced_gets_a_decision_of_its_own_and_settings_alone_give_it_none(company: Company) -> None:
    company.configure(invoices=DRAFTS)
    invoice = company.pay(company.invoice(company.customer()))
    company.sync()
    first = told(company, invoice)
    assert kept(company, invoice) == 1
    company.now += timedelta(hours=1)
    company.configure(limits={"max_documents_per_run": 50})
    company.sync(ids=(invoice,))
    assert told(company, invoice).origin == first.origin, "nothing was sent, so nothing was decided anew"
    company.now += timedelta(hours=1)
    company.sandbox.stripe.update_invoice(invoice, at=company.now, description="Aftale 17")
    run = company.sync()
    assert [method for method, _ in run.writes] == ["PUT"]
    found = told(company, invoice)
    assert kept(company, invoice) == 2
    assert found.origin is not None
    assert first.origin is not None
    assert found.origin.settings_hash != first.origin.settings_hash
    assert found.origin.confirmed_at == company.now
    assert {one.target: one.result for one in found.fields}["notes.textLine1"] == "Aftale 17"


@pytest.mark.exhaustive
def test_a_draft_that_is_booked_later_is_explained_by_what_booked_it(company: Company) -> None:
    company.configure(invoices=DRAFTS)
    invoice = company.pay(company.invoice(company.customer()))
    company.sync()
    company.configure(invoices={"rules": [{"when": "paid", "create": "booked_invoice"}]})
    company.now += timedelta(hours=1)
    company.sync(ids=(invoice,))
    found = told(company, invoice)
    assert (found.planned, found.rule, kept(company, invoice)) == ("booked_invoice", FIRST_RULE, 2)


@pytest.mark.exhaustive
def test_what_was_changed_in_stripe_after_the_booking_changes_nothing_of_what_was_decided(company: Company) -> None:
    invoice = company.pay(company.invoice(company.customer()))
    company.sync()
    before = told(company, invoice)
    company.now += timedelta(hours=1)
    company.sandbox.stripe.update_invoice(invoice, at=company.now, description="Aftale 17")
    assert company.sync().codes() == {invoice: "S-CHANGED"}
    found = told(company, invoice)
    assert (found.fields, found.lines, found.decisions, found.origin) == (
        before.fields, before.lines, before.decisions, before.origin,
    )  # fmt: skip
    assert found.today is not None
    assert [(one.what, one.then, one.today) for one in found.today.changes] == [("notes.textLine1", "", "Aftale 17")]


@pytest.mark.exhaustive
def test_what_is_not_in_the_ledger_is_planned_as_ever(company: Company) -> None:
    held = company.pay(company.invoice(company.customer(country=None)))
    company.sync()
    found = told(company, held)
    assert (found.state, found.planned, found.origin, found.today) == ("held", "held", None, None)
    assert found.trouble is not None


@pytest.mark.exhaustive
def test_runs_that_send_nothing_keep_nothing(company: Company) -> None:
    invoice = company.pay(company.invoice(company.customer()))
    for _ in range(3):
        company.sync(ids=(invoice,))
        company.now += timedelta(hours=1)
    assert kept(company, invoice) == 1


# -- a run that dies -------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """The process ends here."""


def die_before_recording(company: Company, **scope: Any) -> None:
    """The process ends between what the ledger confirmed and the ending of the document."""

    def die(*_: Any, **__: Any) -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(document, "posted_sale", die)
        with pytest.raises(Killed):
            company.sync(**scope)


@pytest.mark.exhaustive
@pytest.mark.parametrize("then", ["held", "planned otherwise", "planned the same"])
def test_a_run_that_died_behind_its_booking_is_explained_and_declared_by_what_it_had_decided(company: Company, then: str) -> None:
    company.configure(vat={"supply_default": "services"})
    invoice = company.pay(company.invoice(company.customer("Müller GmbH", "DE", tax_ids=GERMAN), tax_rates=[]))
    die_before_recording(company)
    assert company.documents() == {f"stripe:{invoice}": ("booked_invoice", Decimal("100.00"))}
    died = told(company, invoice)
    assert zone_of(died).startswith("2 (")
    assert filed(company).boxes["b_services"].net == Decimal("100.00"), "before any other run"
    match then:
        case "held":
            company.configure(invoices={"rules": [{"when": "paid", "create": "booked_invoice", "vat_zone": 1}]})
        case "planned otherwise":
            company.configure(invoices=EXEMPT, vat={"supply_default": "goods"})
    company.now += timedelta(hours=2)
    run = company.sync()
    assert run.writes == []
    assert [ending.state for ending in run.endings if ending.kind == "document"] == ["booked"]
    found = told(company, invoice)
    assert (found.rule, found.decisions, found.origin) == (died.rule, died.decisions, died.origin)
    opened = company.connection()
    sale = kept_sales(opened.log, "nordlys")[invoice]
    opened.log.close()
    assert (sale.kind, sale.supply, sale.vat_number) == ("eu", "services", "DE136695976")
    forget_staging(company)
    assert filed(company).boxes["b_services"].net == Decimal("100.00")


@pytest.mark.exhaustive
def test_a_run_that_died_behind_the_replacing_of_a_draft_leaves_the_sale_of_the_new_one(company: Company) -> None:
    company.configure(invoices=DRAFTS)
    invoice = company.pay(company.invoice(company.customer("Fjell AS", "NO"), tax_rates=[]))
    company.sync()
    company.configure(invoices={"rules": [{"when": "paid", "create": "draft_invoice", "vat_zone": 4}]})
    company.now += timedelta(hours=1)
    die_before_recording(company, ids=(invoice,))
    (draft,) = company.sandbox.economic.drafts()
    assert draft["recipient"]["vatZone"]["vatZoneNumber"] == 4
    company.now += timedelta(hours=1)
    company.sync(ids=(invoice,))
    opened = company.connection()
    sale = kept_sales(opened.log, "nordlys")[invoice]
    opened.log.close()
    assert sale.kind == "domestic_exempt"
    assert zone_of(told(company, invoice)).startswith("4 (")


# -- a log that does not know ------------------------------------------------------------------------------------------------


@pytest.mark.exhaustive
def test_a_document_that_a_lost_log_finds_in_the_ledger_is_not_explained_by_todays_plan(
    company: Company, capsys: pytest.CaptureFixture[str]
) -> None:
    invoice = company.pay(company.invoice(company.customer()))
    company.sync()
    lose_the_log(company)
    company.configure(invoices=ABROAD)
    company.now += timedelta(days=1)
    assert company.sync().writes == []
    found = told(company, invoice)
    assert (found.state, found.rule, found.decisions, found.fields, found.totals) == ("booked", None, (), (), None)
    assert found.origin is not None
    assert (found.origin.unknown, found.origin.confirmed_at) == (BEFORE_LOG, None)
    assert found.today is not None
    assert found.today.planned == "held"
    company.connection().log.close()
    assert main(["explain", "nordlys", invoice]) == 0
    words = capsys.readouterr().out
    assert BEFORE_LOG in words
    assert "Planned today: held" in words
    # The ledger has it in zone 1, and today's plan would say zone 3: nothing of that plan is declared.
    opened = company.connection()
    assert kept_sales(opened.log, "nordlys") == {}
    opened.log.close()
    assert [(one.kind, one.words) for one in filed(company).differences] == [
        ("no_evidence", f"has the key of {invoice}; in VAT zone 1 of the ledger")
    ]


@pytest.mark.exhaustive
def test_a_zone_that_a_lost_log_would_decide_otherwise_is_no_evidence(company: Company) -> None:
    company.pay(company.invoice(company.customer("Fjell AS", "NO"), tax_rates=[]))
    company.sync()
    lose_the_log(company)
    company.configure(invoices=EXEMPT)
    run = company.sync()
    assert (run.writes, run.codes()) == ([], {})
    opened = company.connection()
    assert kept_sales(opened.log, "nordlys") == {}
    opened.log.close()
    assert [one.kind for one in filed(company).differences] == ["no_evidence"]
    company.configure(invoices={"rules": [{"when": "paid", "create": "booked_invoice"}]})
    found = filed(company)
    assert (found.agrees, found.boxes["c"].net) == (True, Decimal("100.00"))


@pytest.mark.exhaustive
def test_what_an_earlier_version_posted_says_so(company: Company) -> None:
    invoice = company.pay(company.invoice(company.customer()))
    company.sync()
    opened = company.connection()
    with opened.log.engine.begin() as db:
        db.exec_driver_sql("DROP TRIGGER keep_decisions_as_is")
        db.execute(decisions.update().values(connection="none"))
    opened.log.close()
    found = told(company, invoice)
    assert found.origin is not None
    assert (found.origin.unknown, found.origin.confirmed_at) == (EARLIER_VERSION, company.now)
    assert found.today is not None
    assert found.today.rule == FIRST_RULE
    assert BY_HAND not in str(found)


def used(company: Company) -> list[Month]:
    opened = company.connection()
    try:
        return usage(opened)
    finally:
        opened.log.close()


def test_usage_after_a_lost_log_counts_what_stands_once_in_the_month_of_its_date(company: Company) -> None:
    buyer = company.customer()
    company.pay(company.invoice(buyer))
    company.configure(
        invoices={"rules": [{"when": "paid", "create": "booked_invoice"}, {"when": "finalized", "create": "draft_order"}]}
    )
    company.invoice(buyer)
    company.sync()
    november = [Month("2026-11", booked_invoices=1, draft_orders=1)]
    assert used(company) == november
    lose_the_log(company)
    assert used(company) == []
    company.now += timedelta(days=40)
    assert company.sync().writes == []
    assert used(company) == november
    company.now += timedelta(days=2)
    company.pay(company.invoice(buyer))
    company.sync()
    company.sync(ids=tuple(key.removeprefix("stripe:") for key in company.documents()))
    assert used(company) == [*november, Month("2026-12", booked_invoices=1)]


@pytest.mark.exhaustive
def test_usage_after_a_lost_log_counts_a_found_draft_that_is_replaced_and_booked_once(company: Company) -> None:
    company.configure(invoices=DRAFTS)
    invoice = company.pay(company.invoice(company.customer()))
    company.sync()
    lose_the_log(company)
    company.sync()
    assert used(company) == [Month("2026-11", draft_invoices=1)]
    company.now += timedelta(hours=1)
    company.sandbox.stripe.update_invoice(invoice, at=company.now, description="Aftale 17")
    company.sync()
    assert used(company) == [Month("2026-11", draft_invoices=1)]
    assert told(company, invoice).plan_from == "as posted", "the replacing was decided here"
    company.configure(invoices={"rules": [{"when": "paid", "create": "booked_invoice"}]})
    company.sync(ids=(invoice,))
    assert used(company) == [Month("2026-11", booked_invoices=1)]


@pytest.mark.exhaustive
def test_usage_after_a_lost_log_leaves_out_what_another_stripe_account_has_in_the_same_books(company: Company) -> None:
    company.configure(invoices=DRAFTS)
    company.pay(company.invoice(company.customer()))
    company.sync()
    ledger = company.sandbox.economic
    (draft,) = ledger.drafts()
    number = draft["draftInvoiceNumber"] + 900
    other = {**draft, "draftInvoiceNumber": number, "references": {"other": "stripe:in_OfAnotherAccount"}}
    ledger.put("drafts", number, other)
    lose_the_log(company)
    assert company.sync().writes == []
    assert used(company) == [Month("2026-11", draft_invoices=1)]


# -- the archive -------------------------------------------------------------------------------------------------------------


@pytest.mark.exhaustive
def test_the_archive_tells_rule_vat_decision_and_lineage_and_brings_them_back(
    company: Company, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    invoice = company.pay(company.invoice(company.customer()))
    company.sync()
    before = told(company, invoice)
    archived(company, tmp_path / "archive", "decisions")
    with (tmp_path / "archive" / "decisions.csv").open(encoding="utf-8", newline="") as file:
        (row,) = [one for one in csv.DictReader(file) if one["stripe_id"] == invoice]
    body = json.loads(row["body"])
    assert before.origin is not None
    assert (row["rule"], row["settings_hash"]) == (FIRST_RULE, before.origin.settings_hash)
    assert {one["decision"]: one["outcome"] for one in body["evidence"]}["vat_zone"] == "1 (Domestic)"
    assert {one["target"]: one["result"] for one in body["lineage"]}["recipient.name"] == "Frøstrup ApS"
    monkeypatch.setenv("CLOUDIFY_HOME", str(tmp_path / "another"))
    opened = company.connection()
    restore(opened, tmp_path / "archive")
    assert verified(opened)["whole"]
    opened.log.close()
    company.configure(invoices=ABROAD)
    found = told(company, invoice)
    assert (found.rule, found.decisions, found.fields, found.lines) == (
        before.rule, before.decisions, before.fields, before.lines,
    )  # fmt: skip
    assert (found.origin, found.attempts) == (before.origin, before.attempts)
    again = archived(company, tmp_path / "again", "decisions")
    assert again == (tmp_path / "archive" / "decisions.csv").read_bytes()
    shutil.rmtree(tmp_path / "archive")


@pytest.mark.exhaustive
def test_a_decision_of_an_invoice_with_three_lines_takes_less_than_two_kilobytes(company: Company) -> None:
    invoice = company.pay(company.invoice(company.customer(), lines=[Line(company.price) for _ in range(3)]))
    company.sync()
    opened = company.connection()
    with opened.log.engine.connect() as db:
        (size,) = db.exec_driver_sql(f"SELECT length(body) FROM decisions WHERE stripe_id = '{invoice}'").scalars()
        chained = db.exec_driver_sql("SELECT max(length(payload)) FROM audit WHERE entry = 'decision'").scalar_one()
    opened.log.close()
    assert size < 1600
    assert size + chained < 2048
