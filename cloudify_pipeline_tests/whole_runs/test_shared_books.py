"""Several connections into the same books: two Stripe accounts take turns, a second file for one account is refused."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import select

from cloudify_pipeline.control import sync
from cloudify_pipeline.control.accept import accept
from cloudify_pipeline.control.connect import connect
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.control.preflight import check
from cloudify_pipeline.control.usage import usage
from cloudify_pipeline.control.vat_periods import month
from cloudify_pipeline.control.vat_return import vat_return
from cloudify_pipeline.errors import RunStopped, SettingsError
from cloudify_pipeline.ledgers.port import Ledger
from cloudify_pipeline.posting.endings import Ending
from cloudify_pipeline.posting.log.lease import PATIENCE, TERM, BooksBusy, Lease, book_leases, books_of, held_with_books
from cloudify_pipeline.posting.log.stripe_bindings import stripe_bindings
from cloudify_pipeline.sandbox.server import EmbeddedStripe
from cloudify_pipeline.sandbox.stripe.store import StripeStore
from cloudify_pipeline_tests.whole_runs.conftest import Company, Run
from cloudify_pipeline_tests.whole_runs.test_accounts import KEYS, Keys

BOOKS = "economic:1234567"
OTHER_HOST = "otherhost:17"


@dataclass
class Shops:
    """Two connections: `nordlys` reads one account; `other` what is put for it."""

    keys: Keys
    settings: dict[str, Any]

    @property
    def company(self) -> Company:
        return self.keys.company

    def be(self, name: str, key: str = "test A", store_in: str = "metadata.economic_customer_number") -> Company:
        """Act as the connection `name` with this key."""
        self.company.name = name
        variable = f"KEY_OF_{name.replace('-', '_').upper()}"
        self.keys.put(key)
        self.keys.monkeypatch.setenv(variable, KEYS[key][2])
        self.company.configure(
            stripe={"api_key": {"env": variable}}, customers={**self.settings["customers"], "number": {"store_in": store_in}}
        )
        return self.company

    def sell(self, ago: timedelta = timedelta(days=1)) -> None:
        """One sale in each account."""
        for name in ("test A", "test B"):
            self.keys.invoices[name] = self.keys.sale(name, ago=ago)

    def remove(self, name: str) -> None:
        (self.company.folder / f"{name}.yaml").unlink()


@pytest.fixture
def shops(company: Company, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shops]:
    keys = Keys(company, monkeypatch)
    account, live, key = KEYS["test B"]
    server = EmbeddedStripe(StripeStore(account=account, live=live, restricted_key=key), clock=lambda: company.now)
    with server:
        keys.servers["test B"] = server
        made = Shops(keys, dict(company.settings))
        made.sell()
        yield made


def documents(company: Company) -> list[str]:
    return sorted(key.removeprefix("stripe:") for key in company.documents())


def ask(company: Company, question: Callable[[OpenConnection], Any]) -> Any:
    opened = company.connection()
    try:
        return asyncio.run(question(opened))
    finally:
        opened.log.close()


def refused(company: Company, question: Callable[[OpenConnection], Any] | None = None) -> str:
    before = len(company.sandbox.economic.writes())
    with pytest.raises(SettingsError) as stopped:
        company.sync() if question is None else ask(company, question)
    assert stopped.value.code == "E-CONN-SECOND"
    assert len(company.sandbox.economic.writes()) == before
    return stopped.value.message


# -- two accounts take turns ----------------------------------------------------------------------------------------------


def test_two_accounts_on_one_agreement_each_post_and_count_and_reconcile_only_their_own(shops: Shops) -> None:
    connections = (("nordlys", "test A"), ("other", "test B"))
    for name, key in connections:
        assert shops.be(name, key).sync().counts() == {"booked": 1}
    first = dict(shops.keys.invoices)
    shops.company.now += timedelta(hours=1)
    shops.sell(ago=timedelta(0))
    for name, key in connections:
        assert shops.be(name, key).sync().counts() == {"booked": 1}
    assert documents(shops.company) == sorted([*first.values(), *shops.keys.invoices.values()])
    for name, key in connections:
        company = shops.be(name, key)
        assert company.sync().writes == []
        opened = company.connection()
        assert [one.total for one in usage(opened)] == [2]
        assert {row["stripe_id"] for row in opened.log.records(name)} == {first[key], shops.keys.invoices[key]}
        assert "E-CONN-SECOND" not in {one.code for one in asyncio.run(check(opened)).errors}
        opened.log.close()


@pytest.mark.exhaustive
def test_a_document_of_another_home_s_account_is_not_ours_and_not_missing(shops: Shops, tmp_path: Path) -> None:
    shops.be("nordlys").sync()
    with shops.keys.monkeypatch.context() as elsewhere:
        elsewhere.setenv("CLOUDIFY_POSTING_URL", f"sqlite:///{tmp_path / 'elsewhere.db'}")
        shops.be("other", "test B").sync()
    told = ask(shops.be("nordlys"), lambda opened: vat_return(opened, month("2026-11")))
    assert told.documents == 1
    assert [one.kind for one in told.differences] == ["elsewhere"]
    assert "by another connection" in told.differences[0].words


@dataclass
class Turns:
    """Another connection has the books, in a process of another machine, until so many asks have been made."""

    company: Company
    asks: int
    slept: int = 0

    async def sleep(self, seconds: float) -> None:
        self.slept += 1
        self.company.now += timedelta(seconds=seconds)
        opened = self.company.connection()
        done = self.slept >= self.asks
        until = None if done else self.company.now + TERM
        with opened.log.engine.begin() as db:
            db.execute(book_leases.update().where(book_leases.c.connection == "other").values(expires_at=until))
        opened.log.close()

    def take(self) -> None:
        opened = self.company.connection()
        values = {"books": BOOKS, "connection": "other", "token": 7, "holder": OTHER_HOST}
        with opened.log.engine.begin() as db:
            db.execute(book_leases.delete())
            db.execute(book_leases.insert().values(**values, expires_at=self.company.now + TERM))
        opened.log.close()

    def sync(self, run_id: str) -> Run:
        return self.company.sync(run_id=run_id, sleep=self.sleep)


@pytest.mark.exhaustive
def test_the_second_of_two_connections_waits_its_turn_says_for_whom_and_is_not_red(
    shops: Shops, caplog: pytest.LogCaptureFixture
) -> None:
    company = shops.be("nordlys")
    turns = Turns(company, asks=3)
    turns.take()
    caplog.set_level("INFO")
    run = turns.sync("first")
    assert turns.slept == 3
    assert run.counts() == {"booked": 1}
    assert f"connection other ({OTHER_HOST}) is writing to the same books" in caplog.text


@pytest.mark.exhaustive
def test_where_the_turn_does_not_come_in_time_the_records_stay_planned_by_name_and_the_next_run_takes_them(shops: Shops) -> None:
    company = shops.be("nordlys")
    turns = Turns(company, asks=10_000)
    turns.take()
    run = turns.sync("first")
    assert run.counts() == {"planned": 1}
    assert {ending.problem.code for ending in run.endings if ending.problem} == {"E-TURN"}
    assert run.writes == []
    assert turns.slept == PATIENCE.total_seconds() / 2, "the later steps of the same run do not wait again"
    opened = company.connection()
    (row,) = opened.log.records("nordlys")
    opened.log.close()
    assert (row["state"], row["code"]) == ("planned", "E-TURN")
    assert f"connection other ({OTHER_HOST})" in row["message"]
    turns.asks = 0
    assert turns.sync("second").counts() == {"booked": 1}
    opened = company.connection()
    assert [row["code"] for row in opened.log.records("nordlys")] == [None]
    opened.log.close()


@pytest.mark.exhaustive
def test_a_second_run_of_the_connection_that_waits_is_refused(shops: Shops) -> None:
    company = shops.be("nordlys")
    Turns(company, asks=10_000).take()
    opened = company.connection()
    codes: list[str] = []

    async def meanwhile(seconds: float) -> None:
        with pytest.raises(RunStopped) as stopped:
            async with held_with_books(opened.log.engine, "nordlys", BOOKS, clock=opened.clock):
                pass
        codes.append(stopped.value.code)

    async def waits() -> None:
        patience = timedelta(seconds=2)
        async with held_with_books(opened.log.engine, "nordlys", BOOKS, clock=opened.clock, sleep=meanwhile, patience=patience):
            raise AssertionError

    with pytest.raises(BooksBusy):
        asyncio.run(waits())
    opened.log.close()
    assert codes == ["E-LEASE"]


def holding(opened: OpenConnection) -> AbstractAsyncContextManager[Lease]:
    return held_with_books(opened.log.engine, opened.name, BOOKS, clock=opened.clock)


def test_a_process_that_slept_while_the_other_connection_took_the_books_cannot_send(shops: Shops) -> None:
    company = shops.be("nordlys")
    opened = company.connection()

    async def slept() -> None:
        async with holding(opened) as lease:
            assert (lease.books, lease.turn) == (BOOKS, 1)
            with opened.log.engine.begin() as db:
                db.execute(book_leases.update().values(holder=OTHER_HOST))
            company.now += 2 * TERM
            async with holding(replace(opened, name="other")):
                pass
            with pytest.raises(RunStopped) as checked, opened.log.engine.connect() as db:
                lease.check(db)
            with pytest.raises(RunStopped) as extended, opened.log.engine.begin() as db:
                lease.extend(db, company.now)
        assert (checked.value.code, extended.value.code) == ("E-LEASE", "E-LEASE")

    asyncio.run(slept())
    opened.log.close()


@pytest.mark.exhaustive
def test_a_run_whose_books_are_taken_between_intent_and_request_sends_nothing(shops: Shops) -> None:
    company = shops.be("nordlys")
    ask(company, sync.stage)
    ask(company, sync.plan)
    opened = company.connection()

    def robbed(*, hurry: bool = False) -> Ledger:
        ledger: Any = opened.new_ledger(hurry=hurry)
        send = ledger.send

        async def late(*arguments: Any, **given: Any) -> Any:
            with opened.log.engine.begin() as db:
                db.execute(book_leases.update().values(connection="other", token=book_leases.c.token + 1, holder=OTHER_HOST))
            return await send(*arguments, **given)

        ledger.send = late
        return cast("Ledger", ledger)

    with pytest.raises(RunStopped) as stopped:
        asyncio.run(sync.post_planned_customers(replace(opened, new_ledger=robbed), "run"))
    opened.log.close()
    assert stopped.value.code == "E-LEASE"
    assert company.sandbox.economic.writes() == []


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("holder", "silent", "waits"),
    [
        (OTHER_HOST, timedelta(0), True),
        (OTHER_HOST, TERM + timedelta(seconds=1), False),
        (f"{os.uname().nodename}:{2**22 + 1}", timedelta(0), False),
    ],
    ids=["at work elsewhere", "silent for five minutes", "a process of this machine that is gone"],
)
def test_who_is_waited_for(shops: Shops, holder: str, silent: timedelta, waits: bool) -> None:
    company = shops.be("nordlys")
    Turns(company, asks=1).take()
    opened = company.connection()
    with opened.log.engine.begin() as db:
        db.execute(book_leases.update().values(holder=holder))
    company.now += silent
    asked: list[float] = []

    async def sleep(seconds: float) -> None:
        asked.append(seconds)
        with opened.log.engine.begin() as db:
            db.execute(book_leases.update().values(expires_at=None))

    async def take() -> Lease:
        async with held_with_books(opened.log.engine, "nordlys", BOOKS, clock=opened.clock, sleep=sleep) as lease:
            return lease

    lease = asyncio.run(take())
    opened.log.close()
    assert bool(asked) is waits
    assert lease.turn == 8


@pytest.mark.exhaustive
def test_other_books_are_not_waited_for_and_every_lease_is_given_back(shops: Shops) -> None:
    company = shops.be("nordlys")
    Turns(company, asks=1).take()
    opened = company.connection()

    async def never(seconds: float) -> None:
        raise AssertionError

    async def take() -> None:
        books = books_of("economic", "7654321")
        async with held_with_books(opened.log.engine, "nordlys", books, clock=opened.clock, sleep=never):
            pass

    asyncio.run(take())
    with opened.log.engine.connect() as db:
        ends = dict(db.execute(select(book_leases.c.books, book_leases.c.expires_at)).tuples().all())
    opened.log.close()
    assert ends["economic:7654321"] is None


# -- a second connection for one account ----------------------------------------------------------------------------------


def stage_then(step: Callable[[OpenConnection], Awaitable[Any]]) -> Callable[[OpenConnection], Any]:
    async def steps(opened: OpenConnection) -> Any:
        await sync.stage(opened)
        return await step(opened)

    return steps


ACCOUNTS: dict[str, Callable[[Shops], None]] = {
    "account known": lambda shops: None,
    "account unknown, the same key": lambda shops: shops.keys.hide_account(),
}


@pytest.mark.exhaustive
@pytest.mark.parametrize("known", ACCOUNTS)
@pytest.mark.parametrize("file", ["left in the folder", "gone"])
@pytest.mark.parametrize("key", ["test A", "test A, rolled"])
def test_a_second_file_for_one_account_and_agreement_is_refused_and_the_first_goes_on(
    shops: Shops, file: str, known: str, key: str
) -> None:
    ACCOUNTS[known](shops)
    shops.be("nordlys").sync()
    if file == "gone":
        shops.remove("nordlys")
    company = shops.be("renamed", key)
    company.now += timedelta(hours=1)
    later = shops.keys.sale("test A", ago=timedelta(0))
    for _ in range(2):
        message = refused(company)
        assert "connection nordlys" in message
        assert ("name this one's file nordlys.yaml again" in message) is (file == "gone")
    for step in (stage_then(sync.plan), lambda opened: sync.post_planned_documents(opened, "late")):
        refused(company, step)
    opened = company.connection()
    with pytest.raises(SettingsError, match="connection nordlys"):
        accept(opened, later, by="anna", post=True)
    opened.log.close()
    report = ask(company, connect)
    assert "E-CONN-SECOND" in {one.code for one in report.findings if one.severity == "error"}
    assert "E-CONN-SECOND" in {one.code for one in ask(company, check).errors}
    company = shops.be("nordlys", key)
    assert company.sync().counts()["booked"] == 1
    assert documents(company) == sorted([shops.keys.invoices["test A"], later])
    assert "E-CONN-SECOND" not in {one.code for one in ask(company, check).errors}


@pytest.mark.exhaustive
def test_a_copy_of_a_home_of_the_earlier_version_is_known_by_what_both_have(shops: Shops) -> None:
    company = shops.be("nordlys")
    company.sync()
    opened = company.connection()
    with opened.log.engine.begin() as db:
        db.execute(stripe_bindings.delete())
    opened.log.close()
    shops.remove("nordlys")
    company = shops.be("copy", "test A, rolled")
    assert "others of this account" in refused(company)


@pytest.mark.exhaustive
def test_of_two_copies_that_have_not_posted_yet_the_one_that_was_bound_first_may(shops: Shops) -> None:
    company = shops.be("zebra")
    ask(company, stage_then(sync.plan))
    company.now += timedelta(minutes=1)
    refused(shops.be("aardvark"))
    assert shops.be("zebra").sync().counts() == {"booked": 1}


@pytest.mark.exhaustive
def test_a_rename_before_anything_was_posted_goes_on_under_the_new_name(shops: Shops) -> None:
    company = shops.be("trial")
    ask(company, connect)
    shops.remove("trial")
    assert shops.be("nordlys").sync().counts() == {"booked": 1}
    assert company.name == "nordlys"


@pytest.mark.exhaustive
def test_a_copy_that_may_not_write_is_looked_at_and_hinders_nobody(shops: Shops) -> None:
    shops.company.configure(write_mode="dry_run")
    company = shops.be("look")
    ask(company, connect)
    company.sync()
    shops.company.configure(write_mode="write")
    assert shops.be("nordlys").sync().counts() == {"booked": 1}
    shops.company.configure(write_mode="dry_run")
    assert shops.be("look").sync().counts() == {"planned": 1}


@pytest.mark.exhaustive
def test_a_connection_that_was_bound_to_another_account_still_keeps_the_first_accounts_documents(shops: Shops) -> None:
    shops.be("nordlys").sync()
    company = shops.be("nordlys", "test B")
    assert ask(company, lambda opened: connect(opened, rebind=True)).connected
    company.sync()
    refused(shops.be("again", "test A"))


def test_endings_of_a_missed_turn_are_no_failures() -> None:
    ending = Ending("document", "in_1", "planned")
    assert sync.unreached([ending]) == []
