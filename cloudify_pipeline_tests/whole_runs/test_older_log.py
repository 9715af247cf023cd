"""The ledger knows more than the log: a backup was restored, a home was copied, two homes post at once. Nothing is doubled."""

import asyncio
import os
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from cloudify_pipeline.connection import open_connection
from cloudify_pipeline.control import sync
from cloudify_pipeline.control.adopted import ADOPTED
from cloudify_pipeline.control.alerts import open_alerts
from cloudify_pipeline.control.audit_export import export
from cloudify_pipeline.control.audit_restore import restore
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.posting import adoption
from cloudify_pipeline.posting.log.verify import verify
from cloudify_pipeline.sandbox.economic.store import EconomicStore
from cloudify_pipeline.sandbox.stripe.credit_notes import CreditLine
from cloudify_pipeline_tests.whole_runs.conftest import Company, Run

MAKES_A_DOCUMENT = {"/invoices/drafts", "/invoices/booked", "/orders/drafts"}


def home() -> Path:
    return Path(os.environ["CLOUDIFY_HOME"])


def made(run: Run) -> list[str]:
    return [path for method, path in run.writes if method == "POST" and path in MAKES_A_DOCUMENT]


def copied(to: Path, *, only: str = "*") -> None:
    to.mkdir(parents=True, exist_ok=True)
    for file in home().glob(only):
        if file.is_dir():
            shutil.copytree(file, to / file.name, dirs_exist_ok=True)
        else:
            shutil.copy(file, to / file.name)


def put_back(backup: Path) -> None:
    for file in home().glob("posting.db*"):
        file.unlink()
    for one in backup.iterdir():
        if one.is_dir():
            shutil.copytree(one, home() / one.name, dirs_exist_ok=True)
        else:
            shutil.copy(one, home() / one.name)


def begin(company: Company) -> str:
    """A company with rules for every kind of document, and one booked invoice."""
    rules = [
        {"when": "paid", "create": "booked_invoice", "if": {"metadata": {"as": "invoice"}}},
        {"when": "paid", "create": "draft_order", "if": {"metadata": {"as": "order"}}},
        {"when": "finalized", "create": "draft_invoice"},
    ]
    company.configure(invoices={"rules": rules, "corrections": {"refunds": "credit"}})
    first = company.pay(company.invoice(company.customer(), metadata={"as": "invoice"}))
    company.sync()
    company.now += timedelta(hours=1)
    return first


def trade_on(company: Company, first: str) -> None:
    """All that may come after the backup: two booked invoices, a draft, an order, a credit note and a refund."""
    new = company.customer("Ny ApS", email="ny@example.com")
    known = {row["id"] for row in company.sandbox.stripe.rows("charge")}
    company.pay(company.invoice(new, metadata={"as": "invoice"}))
    (charge,) = (row["id"] for row in company.sandbox.stripe.rows("charge") if row["id"] not in known)
    company.pay(company.invoice(new, metadata={"as": "order"}))
    company.invoice(new, days_until_due=14, metadata={"as": "draft"})
    line = str(company.sandbox.stripe.invoice(first)["lines"]["data"][0]["id"])
    company.sandbox.stripe.create_credit_note(first, [CreditLine(line, 2_000)], at=company.now)
    company.sandbox.stripe.refund(charge, 2_500, at=company.now)
    company.now += timedelta(minutes=5)


RETURNS = {
    "posting.db of yesterday's backup": ("posting.db*", None),
    "the whole home of yesterday's backup": ("*", None),
    "yesterday's audit archive": (None, "archive"),
    "nothing: the log is lost": (None, None),
}


LATER = {"at once": timedelta(minutes=5), "a day later": timedelta(hours=30)}
SEEN = "posting.db of yesterday's backup", "at once"
CASES = [
    pytest.param(way, later, id=f"{way}, {when}", marks=() if (way, when) == SEEN else pytest.mark.exhaustive)
    for way in RETURNS
    for when, later in LATER.items()
]


@pytest.mark.parametrize(("way", "later"), CASES)
def test_everything_since_the_backup_was_posted_again(company: Company, tmp_path: Path, way: str, later: timedelta) -> None:
    files, archive = RETURNS[way]
    first = begin(company)
    if files:
        copied(tmp_path / "backup", only=files)
    if archive:
        opened = company.connection()
        export(opened, tmp_path / "archive")
        opened.log.close()
    trade_on(company, first)
    company.sync()
    company.now += timedelta(minutes=1)
    company.sync()
    before = company.documents()
    assert len(before) == 6
    company.now += later
    for file in home().glob("posting.db*"):
        file.unlink()
    if files:
        put_back(tmp_path / "backup")
    if archive:
        opened = company.connection()
        restore(opened, tmp_path / "archive")
        opened.log.close()
    run = company.sync()
    assert made(run) == []
    assert company.documents() == before
    by_itself = [path for method, path in run.calls if method == "GET" and path.startswith("/invoices/booked/")]
    assert len(set(by_itself)) <= 1, "none is read by itself but the original of a correction"
    assert set(run.counts()) <= {"booked", "posted"}
    told(company, len(before) - (1 if files or archive else 0))
    company.now += timedelta(hours=1)
    assert company.sync().writes == []


def told(company: Company, adopted: int) -> None:
    opened = company.connection()
    (alert,) = [one for one in open_alerts(opened) if one.key == ADOPTED]
    assert alert.message.startswith(f"{adopted} documents stood in the ledger that the posting log did not know")
    assert verify(opened.log.engine, opened.name).findings == []
    opened.log.close()


def test_a_log_copied_without_its_wal_knows_less_and_posts_nothing_twice(company: Company, tmp_path: Path) -> None:
    first = begin(company)
    opened = company.connection()
    trade_on(company, first)
    company.sync()
    # While somebody else has the log open, its newest pages are in the WAL alone.
    shutil.copy(home() / "posting.db", tmp_path / "posting.db")
    opened.log.close()
    before = company.documents()
    for file in home().glob("posting.db*"):
        file.unlink()
    shutil.copy(tmp_path / "posting.db", home() / "posting.db")
    company.now += timedelta(hours=2)
    assert made(company.sync()) == []
    assert company.documents() == before


def test_a_second_home_takes_over_and_finds_what_the_first_has_posted(
    company: Company, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = begin(company)
    copied(tmp_path / "second")
    trade_on(company, first)
    company.sync()
    before = company.documents()
    monkeypatch.setenv("CLOUDIFY_HOME", str(tmp_path / "second"))
    company.now += timedelta(hours=3)
    assert made(company.sync()) == []
    company.now += timedelta(hours=3)
    new = company.pay(company.invoice(company.customer("Endnu en ApS"), metadata={"as": "invoice"}))
    company.sync()
    assert company.documents().keys() - before.keys() == {f"stripe:{new}"}
    # And back: the first home finds what the second has posted.
    monkeypatch.setenv("CLOUDIFY_HOME", str(tmp_path / "home"))
    company.now += timedelta(hours=3)
    assert made(company.sync()) == []


@pytest.mark.parametrize("refuses", [False, True], ids=["", "the ledger remembers refusals"])
def test_two_homes_in_the_same_minute_on_one_agreement_booked_twice(
    company: Company, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, refuses: bool
) -> None:
    company.sandbox.economic.set_fact("remembers_refusals", refuses)
    company.configure(customers={"number": {"store_in": None}})
    first = begin(company)
    copied(tmp_path / "second")
    buyers = [company.customer(f"Kunde {n}", email=f"kunde{n}@example.com") for n in range(2)]
    ids = [company.pay(company.invoice(buyers[n % 2], metadata={"as": "invoice"})) for n in range(8)]
    company.now += timedelta(minutes=5)
    opened = [company.connection()]
    monkeypatch.setenv("CLOUDIFY_HOME", str(tmp_path / "second"))
    opened.append(open_connection("nordlys", clock=lambda: company.now))
    asyncio.run(both_at_once(opened))
    for one in opened:
        assert {row["state"] for row in one.log.records("nordlys")} == {"booked"}
        one.log.close()
    assert company.documents().keys() == {f"stripe:{one}" for one in (first, *ids)}
    names = [one["name"] for one in company.sandbox.economic.customers() if one["name"].startswith("Kunde ")]
    assert sorted(names) == ["Kunde 0", "Kunde 1"]
    assert company.sandbox.economic.drafts() == []


async def both_at_once(opened: list[OpenConnection]) -> None:
    for one in opened:
        await sync.stage(one)
        await sync.plan(one)
    for post in (sync.post_planned_customers, sync.post_planned_products, sync.post_planned_documents):
        await asyncio.gather(*(post(one, f"run {n}") for n, one in enumerate(opened)))


@pytest.mark.exhaustive
def test_what_another_account_posted_in_the_same_books_is_left(company: Company) -> None:
    begin(company)
    (booked,) = company.sandbox.economic.booked()
    number = booked["bookedInvoiceNumber"] + 1
    foreign = {**booked, "bookedInvoiceNumber": number, "references": {"other": "stripe:in_of_another_account"}}
    company.sandbox.economic.put("booked", number, foreign)
    company.now += timedelta(hours=2)
    company.pay(company.invoice(company.customer(), metadata={"as": "invoice"}))
    assert company.sync().counts() == {"booked": 1}
    opened = company.connection()
    assert "in_of" not in opened.log.identities("nordlys", "document")
    assert [one for one in open_alerts(opened) if one.key == ADOPTED] == []
    opened.log.close()


@pytest.mark.exhaustive
def test_an_invoice_that_stripe_shows_later_than_the_ledger_is_found_then(company: Company) -> None:
    """Its document was seen when its invoice was older than what was read of Stripe."""
    old = company.pay(company.invoice(company.customer(), metadata={"as": "invoice"}))
    begin(company)
    before = company.documents()
    for file in home().rglob("*"):
        if file.is_file() and ("posting.db" in file.name or ".duckdb" in file.name):
            file.unlink()
    company.now += timedelta(days=2)
    new = company.pay(company.invoice(company.customer("Ny ApS"), metadata={"as": "invoice"}))
    company.now += timedelta(hours=2)
    run = company.sync(since=company.now - timedelta(hours=30))
    assert made(run) == ["/invoices/drafts", "/invoices/booked"]
    company.now += timedelta(hours=1)
    assert made(company.sync(since=company.now - timedelta(days=30))) == []
    assert company.documents().keys() == before.keys() | {f"stripe:{new}"}
    assert f"stripe:{old}" in before


@pytest.mark.exhaustive
def test_a_payment_that_was_met_before_it_was_staged_is_not_posted_again_as_an_invoice(company: Company) -> None:
    """It stands by itself; the log and what was staged are lost, and Stripe tells of both objects later than the ledger."""
    begin(company)
    company.now += timedelta(hours=2)
    charge = company.sandbox.stripe.charge(company.customer(), 12_500, at=company.now - timedelta(hours=1))
    company.sync()
    before = company.documents()
    assert f"stripe:{charge}" in before
    for file in home().rglob("*"):
        if file.is_file() and ("posting.db" in file.name or ".duckdb" in file.name):
            file.unlink()
    company.now += timedelta(days=2)
    company.pay(company.invoice(company.customer("Ny ApS"), metadata={"as": "invoice"}))
    company.sync(since=company.now - timedelta(hours=30))
    invoice = company.invoice(str(company.sandbox.stripe.rows("charge")[0]["customer"]), metadata={"as": "invoice"})
    company.sandbox.stripe.attach_payment(invoice, charge, at=company.now)
    company.now += timedelta(hours=1)
    run = company.sync(since=company.now - timedelta(days=30))
    assert run.codes()[invoice] == "E-PAID-TWICE"
    assert f"stripe:{invoice}" not in company.documents()


@pytest.mark.exhaustive
def test_a_credit_note_that_a_person_made_from_ours_is_no_second_one(company: Company) -> None:
    """The ledger copied the reference with it."""
    first = begin(company)
    (booked,) = company.sandbox.economic.booked()
    number = booked["bookedInvoiceNumber"] + 1
    amounts = {name: -booked[name] for name in ("netAmount", "vatAmount", "grossAmount")}
    company.sandbox.economic.put("booked", number, {**booked, "bookedInvoiceNumber": number, **amounts})
    company.now += timedelta(hours=2)
    company.pay(company.invoice(company.customer(), metadata={"as": "invoice"}))
    assert company.sync().codes() == {}
    company.now += timedelta(hours=1)
    assert first not in company.sync().codes()


@pytest.mark.exhaustive
def test_a_document_that_was_doubled_by_somebody_is_told(company: Company) -> None:
    first = begin(company)
    (booked,) = company.sandbox.economic.booked()
    number = booked["bookedInvoiceNumber"] + 1
    company.sandbox.economic.put("booked", number, {**booked, "bookedInvoiceNumber": number})
    company.now += timedelta(hours=2)
    company.pay(company.invoice(company.customer("Ny ApS"), metadata={"as": "invoice"}))
    company.sync()
    company.now += timedelta(hours=1)
    assert company.sync().codes()[first] == "E-DUP-KEY"
    company.sandbox.economic.delete("booked", number)
    company.now += timedelta(hours=1)
    assert company.sync().counts() == {"booked": 1}


def test_a_look_costs_a_handful_of_calls_however_long_the_ledger_is(company: Company) -> None:
    begin(company)
    fill(company.sandbox.economic, 2_500)
    company.now += timedelta(hours=2)
    company.pay(company.invoice(company.customer(), metadata={"as": "invoice"}))
    company.sync()
    company.now += timedelta(hours=2)
    company.pay(company.invoice(company.customer(), metadata={"as": "invoice"}))
    run = company.sync()
    assert made(run) == ["/invoices/drafts", "/invoices/booked"]
    looked = [path for method, path in run.calls if method == "GET" and path.startswith(("/invoices", "/orders"))]
    # The look's five lists, two in which a sale of the same customer and days is looked for, and four in which its name is.
    assert len(looked) == 11


@pytest.mark.exhaustive
@pytest.mark.parametrize(("holds", "looks"), [(timedelta(minutes=20), 1), (timedelta(0), 3)])
def test_a_long_run_looks_again_before_a_second_homes_creates_are_forgotten(
    company: Company, monkeypatch: pytest.MonkeyPatch, holds: timedelta, looks: int
) -> None:
    """A look is believed for twenty minutes; here a portion is one document, and the run takes none or all of them."""
    begin(company)
    monkeypatch.setattr(sync, "PORTION", 1)
    monkeypatch.setattr(adoption, "FRESH", holds)
    for n in range(3):
        company.pay(company.invoice(company.customer(f"Kunde {n}"), metadata={"as": "invoice"}))
    run = company.sync()
    assert run.counts() == {"booked": 3}
    assert sum(path == "/orders/archived" for _, path in run.calls) == looks


def fill(store: EconomicStore, many: int) -> None:
    (one,) = store.booked()
    with store.transaction():
        for n in range(1, many + 1):
            number = one["bookedInvoiceNumber"] + n
            references = {"other": f"stripe:in_x{n}"}
            store.put("booked", number, {**one, "bookedInvoiceNumber": number, "date": "2026-03-02", "references": references})
