"""Keys that are swapped, by mode and by account: nothing of another one than the bound reaches a plan or the ledger."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from cloudify_pipeline.catalogue import entry
from cloudify_pipeline.control import sync
from cloudify_pipeline.control.connect import ConnectionReport, connect
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.control.preflight import check
from cloudify_pipeline.control.preview import preview
from cloudify_pipeline.control.write_back import write_back
from cloudify_pipeline.errors import NotAuthorised, RunStopped
from cloudify_pipeline.posting.log.stripe_bindings import stripe_binding, stripe_bindings
from cloudify_pipeline.posting.log.verify import verify
from cloudify_pipeline.sandbox.server import EmbeddedStripe
from cloudify_pipeline.sandbox.stripe.invoices import Line
from cloudify_pipeline.sandbox.stripe.objects import ACCOUNT
from cloudify_pipeline.sandbox.stripe.store import StripeStore
from cloudify_pipeline_tests.whole_runs.conftest import Company, Run

BOOKED = ("booked_invoice", Decimal("125.00"))
KEYS = {
    "test A": (ACCOUNT, False, "rk_test_51NordlysSandboxRestrictedKey0001"),
    "live A": (ACCOUNT, True, "rk_live_51NordlysSandboxRestrictedKey0002"),
    "live B": ("acct_1AnotherShop000000", True, "rk_live_51AnotherShopRestrictedKey00003"),
    "test B": ("acct_1AnotherShop000000", False, "rk_test_51AnotherShopRestrictedKey00004"),
    "test A, rolled": (ACCOUNT, False, "rk_test_51NordlysSandboxRestrictedKey0005"),
}
"""Account, mode and key of each; the rolled key reads what *test A* reads."""


@dataclass
class Keys:
    """The accounts behind the keys, and the one key that the connection has at the moment."""

    company: Company
    monkeypatch: pytest.MonkeyPatch
    servers: dict[str, EmbeddedStripe] = field(default_factory=dict)
    invoices: dict[str, str] = field(default_factory=dict)

    def store(self, name: str) -> StripeStore:
        return self.company.sandbox.stripe if name.startswith("test A") else self.servers[name].store

    def put(self, name: str) -> None:
        """Put this key in the place of the one before."""
        self.monkeypatch.setenv("CLOUDIFY_DEMO_STRIPE_KEY", KEYS[name][2])
        self.company.stripe_url = None if name.startswith("test A") else self.servers[name].url
        if name.startswith("test A"):
            self.company.sandbox.stripe.restricted_key = KEYS[name][2]

    def sale(self, name: str, *, ago: timedelta = timedelta(days=1)) -> str:
        """A paid invoice of 125.00 in the account behind a key."""
        store, at = self.store(name), self.company.now - ago
        rate = store.add_tax_rate(25, at=at)
        price = store.add_price(store.add_product("Pro plan", at=at, metadata={"sku": "PRO-NEW"}), 10_000, at=at)
        address = {"line1": "Havnegade 1", "city": "Aarhus", "postal_code": "8000", "country": "DK"}
        buyer = store.add_customer(at=at, name=f"Kunde {name}", email=f"{name.replace(' ', '.')}@example.com", address=address)
        invoice = store.create_invoice(buyer, [Line(price)], at=at, tax_rates=[rate])
        store.finalize(invoice, at=at)
        store.pay(invoice, at=at)
        return invoice

    def hide_account(self) -> None:
        """No key may read whose it is, and no refusal names the account."""
        for store in (self.company.sandbox.stripe, *(one.store for one in self.servers.values())):
            store.rights.discard("rak_accounts_kyc_basic_read")
            store.names_account = False


@pytest.fixture
def keys(company: Company, monkeypatch: pytest.MonkeyPatch) -> Iterator[Keys]:
    made = Keys(company, monkeypatch)
    for name in ("live A", "live B", "test B"):
        account, live, key = KEYS[name]
        server = EmbeddedStripe(StripeStore(account=account, live=live, restricted_key=key), clock=lambda: company.now)
        made.servers[name] = server.__enter__()
    for name in ("test A", "live A", "live B", "test B"):
        made.invoices[name] = made.sale(name)
    yield made
    for server in made.servers.values():
        server.__exit__(None, None, None)


def ask(company: Company, question: Callable[[OpenConnection], Any]) -> Any:
    opened = company.connection()
    try:
        return asyncio.run(question(opened))
    finally:
        opened.log.close()


def rebind(company: Company) -> ConnectionReport:
    report: ConnectionReport = ask(company, lambda opened: connect(opened, rebind=True))
    return report


def refused(company: Company, code: str, question: Callable[[OpenConnection], Any] | None = None) -> str:
    """A run, or whatever else is asked, is refused under `code` before anything is written."""
    before = len(company.sandbox.economic.writes())
    with pytest.raises(NotAuthorised) as stopped:
        company.sync() if question is None else ask(company, question)
    assert stopped.value.code == code
    assert "--rebind" in entry(code).remedy
    assert len(company.sandbox.economic.writes()) == before
    return stopped.value.message


def documents(company: Company) -> set[str]:
    return {key.removeprefix("stripe:") for key in company.documents()}


def run_in(mode: str) -> Callable[[Company], Run]:
    def run(company: Company) -> Run:
        company.configure(write_mode=mode)
        return company.sync()

    return run


FIRST: dict[str, Callable[[Company], Any]] = {
    "a dry run": run_in("dry_run"),
    "a read-only run": run_in("read_only"),
    "a preview": lambda company: ask(company, preview),
    "a check": lambda company: ask(company, check),
    "connect": lambda company: ask(company, connect),
    "a run that wrote": lambda company: company.sync(),
}
SWAPS = [("test A", "live A", "E-CONN-MODE"), ("live A", "test A", "E-CONN-MODE"), ("live A", "live B", "E-CONN-ACCOUNT"),
         ("test A", "live B", "E-CONN-MODE"), ("test A", "test B", "E-CONN-ACCOUNT")]  # fmt: skip


@pytest.mark.exhaustive
@pytest.mark.parametrize("first", FIRST)
@pytest.mark.parametrize(("before", "after", "code"), SWAPS)
def test_after_any_first_contact_a_key_of_another_mode_or_account_is_refused_and_posts_nothing_of_either(
    keys: Keys, first: str, before: str, after: str, code: str
) -> None:
    company = keys.company
    keys.put(before)
    FIRST[first](company)
    booked = documents(company)
    company.configure(write_mode="write")
    keys.put(after)
    company.now += timedelta(hours=1)
    refused(company, code)
    assert documents(company) == booked
    keys.put(before)
    company.sync()
    assert documents(company) == {keys.invoices[before]}, "with the right key it goes on as if nothing had been"


@pytest.mark.exhaustive
@pytest.mark.parametrize(("before", "after", "code"), SWAPS)
def test_a_trial_key_followed_by_another_one_and_rebound_books_the_other_accounts_past_and_nothing_of_the_trial(
    keys: Keys, before: str, after: str, code: str
) -> None:
    company = keys.company
    keys.put(before)
    company.configure(write_mode="dry_run")
    company.sync()
    company.configure(write_mode="write")
    keys.put(after)
    refused(company, code)
    told = ask(company, connect)
    (finding,) = [one for one in told.findings if one.severity == "error"]
    assert finding.code == code
    assert "--rebind throws away what is staged of" in finding.remedy
    assert "reads the key's account from its beginning" in finding.remedy
    report = rebind(company)
    assert report.connected
    (done,) = [one for one in report.findings if one.code == code]
    assert KEYS[after][0] in done.message
    assert "thrown away" in done.message
    assert company.sync().counts() == {"booked": 1}
    assert documents(company) == {keys.invoices[after]}
    opened = company.connection()
    states = {row["stripe_id"]: (row["state"], row["code"]) for row in opened.log.records("nordlys")}
    whole = verify(opened.log.engine, "nordlys")
    opened.log.close()
    assert states[keys.invoices[before]] == ("skipped", "S-OTHER-ACCOUNT")
    assert whole.findings == []


@pytest.mark.exhaustive
def test_a_test_key_may_write_and_what_it_wrote_stays_when_the_connection_is_bound_to_a_live_one(keys: Keys) -> None:
    company = keys.company
    company.sync()
    keys.put("live A")
    refused(company, "E-CONN-MODE")
    report = rebind(company)
    assert any("1 document of it stay in the ledger" in one.message for one in report.findings)
    company.sync()
    assert documents(company) == {keys.invoices["test A"], keys.invoices["live A"]}


@pytest.mark.exhaustive
@pytest.mark.parametrize("code", ["E-CONN-MODE", "E-CONN-ACCOUNT"])
@pytest.mark.parametrize("question", [preview, check], ids=["preview", "check"])
def test_preview_and_check_do_not_plan_from_what_another_key_read(
    keys: Keys, question: Callable[[OpenConnection], Any], code: str
) -> None:
    keys.company.sync()
    keys.put("live A" if code == "E-CONN-MODE" else "test B")
    refused(keys.company, code, question)


STEPS: dict[str, Callable[[OpenConnection], Any]] = {
    "planning": sync.plan,
    "customers": lambda opened: sync.post_planned_customers(opened, "late"),
    "documents": lambda opened: sync.post_planned_documents(opened, "late"),
}


@pytest.mark.exhaustive
@pytest.mark.parametrize("after", ["live A", "test B"])
@pytest.mark.parametrize("step", STEPS)
def test_a_key_that_is_swapped_between_two_steps_of_a_run_stops_the_next_step(keys: Keys, step: str, after: str) -> None:
    company = keys.company
    ask(company, sync.stage)
    if step != "planning":
        ask(company, sync.plan)
    keys.put(after)
    refused(company, "E-CONN-MODE" if after == "live A" else "E-CONN-ACCOUNT", STEPS[step])
    assert documents(company) == set()


@pytest.mark.exhaustive
def test_a_key_that_is_swapped_before_the_write_back_writes_nothing_into_the_other_account(keys: Keys) -> None:
    company = keys.company
    company.sync()
    keys.put("test B")
    told = ask(company, lambda opened: write_back(opened, [keys.invoices["test A"]]))
    assert [one.code for one in told.problems] == ["E-CONN-ACCOUNT"]
    assert not [call for call in keys.servers["test B"].store.calls if call.method == "POST"]


def test_a_rolled_key_of_the_same_account_goes_on_where_the_old_one_stopped(keys: Keys) -> None:
    company = keys.company
    company.sync()
    keys.put("test A, rolled")
    company.now += timedelta(hours=1)
    assert company.sync().report.mode == "events"
    assert documents(company) == {keys.invoices["test A"]}


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("before", "after", "goes_on"),
    [("test A", "test A, rolled", True), ("test A", "test B", False), ("live A", "live B", False)],
)
def test_where_no_key_may_name_its_account_an_object_that_it_knows_tells_whose_it_is(
    keys: Keys, before: str, after: str, goes_on: bool
) -> None:
    keys.hide_account()
    company = keys.company
    keys.put(before)
    company.sync()
    keys.put(after)
    if goes_on:
        company.sync()
    else:
        assert "Stripe does not know" in refused(company, "E-CONN-ACCOUNT")
    assert documents(company) == {keys.invoices[before]}


@pytest.mark.exhaustive
@pytest.mark.parametrize("lost", ["staging", "neither"])
def test_an_account_that_was_unknown_is_bound_when_a_key_names_it_and_only_if_it_is_the_same(keys: Keys, lost: str) -> None:
    company = keys.company
    keys.hide_account()
    company.sync()
    opened = company.connection()
    bound = stripe_binding(opened.log.engine, "nordlys")
    assert bound is not None
    assert (bound.account, bound.livemode) == (None, False)
    if lost == "staging":
        opened.staging.path.unlink()
    opened.log.close()
    keys.servers["test B"].store.rights.add("rak_accounts_kyc_basic_read")
    keys.put("test B")
    refused(company, "E-CONN-ACCOUNT")
    company.sandbox.stripe.rights.add("rak_accounts_kyc_basic_read")
    keys.put("test A, rolled")
    company.sync()
    opened = company.connection()
    bound = stripe_binding(opened.log.engine, "nordlys")
    opened.log.close()
    assert bound is not None
    assert bound.account == ACCOUNT


@pytest.mark.exhaustive
def test_a_restricted_key_is_told_its_account_by_the_refusal_itself(keys: Keys) -> None:
    keys.company.sandbox.stripe.rights.discard("rak_accounts_kyc_basic_read")
    keys.company.sync()
    opened = keys.company.connection()
    bound = stripe_binding(opened.log.engine, "nordlys")
    opened.log.close()
    assert bound is not None
    assert bound.account == ACCOUNT


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("pinned", "hidden", "code"),
    [(ACCOUNT, False, None), ("acct_1AnotherShop000000", False, "E-CONN-ACCOUNT"), (ACCOUNT, True, "E-CONN-ACCOUNT")],
    ids=["the right one", "another one", "one that the key may not name"],
)
def test_a_pinned_account_is_the_only_one_that_is_read(keys: Keys, pinned: str, hidden: bool, code: str | None) -> None:
    company = keys.company
    company.configure(stripe={"account": pinned})
    if hidden:
        keys.hide_account()
    if code is None:
        company.sync()
        assert documents(company) == {keys.invoices["test A"]}
        return
    assert "stripe.account" in refused(company, code)
    assert not rebind(company).connected, "what the file pins is corrected in the file"


def forget_the_binding(company: Company) -> None:
    """As a home of the version before this one has it: objects, plans and records, and no word of whose they are."""
    opened = company.connection()
    with opened.log.engine.begin() as db:
        db.execute(stripe_bindings.delete())
    with opened.staging.batch() as batch:
        batch._connection.execute("DELETE FROM cursors WHERE name LIKE 'whose %'")
    opened.log.close()


@pytest.mark.exhaustive
@pytest.mark.parametrize("mode", ["dry_run", "write"])
@pytest.mark.parametrize(
    ("after", "code"),
    [
        ("test A", None),
        ("test A, rolled", None),
        ("live A", "E-CONN-MODE"),
        ("live B", "E-CONN-MODE"),
        ("test B", "E-CONN-ACCOUNT"),
    ],
)
def test_a_home_of_an_earlier_version_is_bound_by_what_is_staged(keys: Keys, mode: str, after: str, code: str | None) -> None:
    company = keys.company
    company.configure(write_mode=mode)
    company.sync()
    forget_the_binding(company)
    company.configure(write_mode="write")
    booked = documents(company)
    keys.put(after)
    company.now += timedelta(hours=1)
    if code is None:
        company.sync()
        assert documents(company) == {keys.invoices["test A"]}
        return
    refused(company, code)
    for step in STEPS.values() if code == "E-CONN-MODE" else ():
        refused(company, code, step)
    assert documents(company) == booked


@pytest.mark.exhaustive
def test_a_home_of_an_earlier_version_in_which_both_modes_are_mixed_is_read_anew_only_by_a_persons_word(keys: Keys) -> None:
    company = keys.company
    company.configure(write_mode="dry_run")
    company.sync()
    forget_the_binding(company)
    opened = company.connection()
    with opened.staging.batch() as batch:
        batch._connection.execute("UPDATE customers SET livemode = true")
    opened.log.close()
    company.configure(write_mode="write")
    for name in ("test A", "live A"):
        keys.put(name)
        refused(company, "E-CONN-MODE")
    assert rebind(company).connected
    company.sync()
    assert documents(company) == {keys.invoices["live A"]}


def test_an_object_that_stripe_gives_of_the_other_mode_stops_the_run_by_name(keys: Keys) -> None:
    company = keys.company
    foreign = keys.sale("test A")
    store = company.sandbox.stripe
    store.save({**store.get("invoice", foreign), "livemode": True})
    assert foreign in refused(company, "E-CONN-MODE")
    assert foreign in refused(company, "E-CONN-MODE", lambda opened: sync.stage(opened, ids=[foreign]))
    opened = company.connection()
    assert opened.staging.objects("invoice", [foreign]) == {}
    opened.log.close()


def test_an_event_of_the_other_mode_names_nothing_that_is_read(keys: Keys) -> None:
    company = keys.company
    company.sync()
    company.now += timedelta(hours=1)
    foreign = keys.sale("test A", ago=timedelta(0))
    store = company.sandbox.stripe
    for event in store.rows("event"):
        if event["data"]["object"].get("id") == foreign or event["data"]["object"].get("invoice") == foreign:
            store.save({**event, "livemode": True})
    company.sync()
    opened = company.connection()
    assert opened.staging.objects("invoice", [foreign]) == {}
    opened.log.close()
    assert documents(company) == {keys.invoices["test A"]}


@pytest.mark.exhaustive
def test_an_old_staging_file_of_another_account_is_thrown_away_and_read_anew(keys: Keys) -> None:
    company = keys.company
    company.configure(write_mode="dry_run")
    company.sync()
    opened = company.connection()
    kept = opened.staging.path.read_bytes()
    opened.log.close()
    keys.put("live A")
    rebind(company)
    company.configure(write_mode="write")
    opened.staging.path.write_bytes(kept)
    refused(company, "E-CONN-ACCOUNT", sync.plan)
    company.sync()
    assert documents(company) == {keys.invoices["live A"]}


@pytest.mark.exhaustive
def test_a_run_that_still_reads_the_former_account_stages_nothing_after_the_rebinding(keys: Keys) -> None:
    company = keys.company
    company.configure(write_mode="dry_run")
    company.sync()
    late = company.connection()
    claimed = late.staging.whose()
    assert claimed is not None
    late.staging.claim(claimed)
    keys.put("live A")
    rebind(company)
    with pytest.raises(RunStopped) as stopped, late.staging.batch():
        pass
    late.log.close()
    assert stopped.value.code == "E-CONN-ACCOUNT"


def test_a_run_asks_whose_key_it_is_once(keys: Keys) -> None:
    for _ in range(2):
        before = sum(call.path == "/v1/account" for call in keys.company.sandbox.stripe.calls)
        keys.company.sync()
        asked = sum(call.path == "/v1/account" for call in keys.company.sandbox.stripe.calls)
        assert asked - before == 1
        keys.company.now += timedelta(hours=1)


@pytest.mark.exhaustive
def test_connect_and_check_say_that_it_is_test_mode(keys: Keys) -> None:
    report = ask(keys.company, connect)
    assert report.stripe.facts["data"].startswith("test mode")
    assert f"{ACCOUNT} in test mode" in report.stripe.facts["bound to"]
    found = ask(keys.company, check)
    assert found.facts["Stripe"] == f"{ACCOUNT} in test mode"


@pytest.mark.exhaustive
def test_a_rebinding_while_a_run_posts_is_refused_and_changes_nothing(keys: Keys) -> None:
    company = keys.company
    ask(company, sync.stage)
    ask(company, sync.plan)
    at_work = company.connection()

    async def both() -> ConnectionReport:
        async with sync._executor(at_work, "run", sending=False):
            keys.put("live A")
            rebinding = company.connection()
            try:
                return await connect(rebinding, rebind=True)
            finally:
                rebinding.log.close()

    report = asyncio.run(both())
    assert [one.code for one in report.findings if one.severity == "error"] == ["E-LEASE"]
    bound = stripe_binding(at_work.log.engine, "nordlys")
    assert bound is not None
    assert bound.livemode is False
    assert at_work.staging.objects("invoice", [keys.invoices["test A"]])
    at_work.log.close()
