"""Whatever the order in which events arrive, and however often: staging, plans and ledger end in the same state."""

import asyncio
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudify_pipeline.control import sync
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.sandbox.stripe.invoices import Line
from cloudify_pipeline.stripe_objects import Kind
from cloudify_pipeline.stripe_source.events import Event, interpret
from cloudify_pipeline_tests.whole_runs.conftest import Company

pytestmark = pytest.mark.exhaustive

GROSS = Decimal("125.00")
ORDERS = 1_000
TICK = timedelta(minutes=1)
LIVES: tuple[tuple[str, ...], ...] = (
    ("create", "finalize", "send", "pay"),
    ("create", "finalize", "note", "pay"),
    ("create", "note", "finalize", "send", "note", "pay"),
    ("create", "finalize", "void"),
    ("create", "finalize", "send", "give up"),
    ("create", "finalize", "give up", "pay"),
    ("create", "finalize", "send"),
    ("create", "delete"),
)
PLANS = ("plan_customers", "plan_products", "plan_documents")


@dataclass
class Account:
    """A Stripe account whose events are kept back, and delivered in any order, some of them more than once."""

    company: Company
    chance: random.Random
    kept: list[dict[str, Any]] = field(default_factory=list)
    repeated: int = 0

    def __post_init__(self) -> None:
        store = self.company.sandbox.stripe
        self._save: Callable[[dict[str, Any]], None] = store.save

        def save(one: dict[str, Any]) -> None:
            if one["object"] == "event":
                self.kept.append(one)
            else:
                self._save(one)

        store.save = save  # type: ignore[method-assign, assignment]

    def deliver(self, share: float) -> None:
        """Bring a random share of what is kept back, shuffled; every fourth is told twice, and once more later."""
        self.chance.shuffle(self.kept)
        cut = round(len(self.kept) * share)
        now, self.kept = self.kept[:cut], self.kept[cut:]
        for event in now:
            self._save(event)
            if self.chance.random() < 0.25:
                self.repeated += 1
                again = {**event, "id": f"evt_again{self.repeated}"}
                if share < 1 and self.chance.random() < 0.5:
                    self.kept.append(again)
                else:
                    self._save(again)

    def step(self, what: str, invoice: str, at: datetime) -> None:
        store = self.company.sandbox.stripe
        match what:
            case "finalize":
                store.finalize(invoice, at=at)
            case "send":
                store.send(invoice, at=at)
            case "pay":
                store.pay(invoice, at=at)
            case "void":
                store.void(invoice, at=at)
            case "give up":
                store.mark_uncollectible(invoice, at=at)
            case "note":
                store.update_invoice(invoice, at=at, metadata={"po": f"PO-{self.chance.randrange(10_000)}"})
            case "delete":
                store.delete_invoice(invoice, at=at)


def kept_there(opened: OpenConnection) -> dict[str, Any]:
    """All of staging that planning reads, without what is deleted in Stripe and the order of arrival."""
    ids = [candidate.id for candidate in opened.staging.candidates()]
    # The customer's running number for its next invoice moves without an event.
    objects = {
        kind: {
            stripe_id: {name: value for name, value in one.items() if name != "next_invoice_sequence"}
            for stripe_id, one in opened.staging.objects(kind).items()
            if not one.get("deleted")
        }
        for kind in get_args(Kind)
    }
    return {**objects, "candidates": sorted(ids), "sent": opened.staging.sent_at(ids)}


def plans(opened: OpenConnection) -> dict[str, list[tuple[str, str, bytes]]]:
    return {table: sorted((row.stripe_id, row.kind, row.body) for row in opened.staging.plans(table)) for table in PLANS}


def lives(company: Company, account: Account, count: int, buyers: list[str]) -> Iterator[list[tuple[str, str]]]:
    """`count` invoices whose steps are shuffled among each other; yields what happens between two runs."""
    waiting: dict[str, list[str]] = {}
    store = company.sandbox.stripe
    for n in range(count):
        steps = list(LIVES[n % len(LIVES)])[1:]
        invoice = store.create_invoice(
            buyers[n % len(buyers)], [Line(company.price)], at=company.now, tax_rates=[company.rate], days_until_due=14
        )
        waiting[invoice] = steps
    while any(waiting.values()):
        done = []
        for invoice in account.chance.sample(list(waiting), len(waiting)):
            for _ in range(account.chance.choice((1, 2, 3))):
                if waiting[invoice]:
                    what = waiting[invoice].pop(0)
                    account.step(what, invoice, company.now)
                    done.append((invoice, what))
        yield done


def test_a_thousand_orders_of_events_end_in_the_same_staging_plans_and_ledger(
    company: Company, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    company.configure(customers={"number": {"store_in": None}})
    buyers = [company.customer(f"Kunde {n}", email=f"kunde{n}@example.com") for n in range(20)]
    opened = company.connection()
    asyncio.run(sync.stage(opened))
    account = Account(company, random.Random(7))
    company.now += TICK
    paid = set()
    for done in lives(company, account, ORDERS, buyers):
        paid |= {invoice for invoice, what in done if what == "pay"}
        account.deliver(0.5)
        report = asyncio.run(sync.stage(opened))
        assert report.mode == "events"
        company.now += TICK
    assert account.repeated > ORDERS / 4
    account.deliver(1)
    asyncio.run(sync.stage(opened))
    asyncio.run(sync.plan(opened))
    shuffled = kept_there(opened), plans(opened)
    monkeypatch.setenv("CLOUDIFY_HOME", str(tmp_path / "fresh"))
    fresh = company.connection()
    assert asyncio.run(sync.stage(fresh)).mode == "first"
    asyncio.run(sync.plan(fresh))
    expected = kept_there(fresh), plans(fresh)
    assert shuffled[0] == expected[0]
    assert shuffled[1] == expected[1]
    due = {stripe_id for stripe_id, kind, _ in expected[1]["plan_documents"] if kind == "PlannedDocument"}
    assert due == paid
    posted = sorted(due)[:40]
    asyncio.run(sync.post_planned_customers(opened, "run"))
    asyncio.run(sync.post_planned_products(opened, "run"))
    asyncio.run(sync.post_planned_documents(opened, "run", ids=posted))
    assert company.documents() == {f"stripe:{one}": ("booked_invoice", GROSS) for one in posted}
    for one in (opened, fresh):
        one.log.close()


@pytest.mark.parametrize("seed", range(3))
def test_runs_between_any_two_steps_post_each_paid_invoice_once(company: Company, seed: int) -> None:
    buyers = [company.customer(f"Kunde {n}", email=f"kunde{n}@example.com") for n in range(2)]
    company.sync()
    account = Account(company, random.Random(seed))
    company.now += TICK
    paid = set()
    for done in lives(company, account, 16, buyers):
        paid |= {invoice for invoice, what in done if what == "pay"}
        account.deliver(0.6)
        company.sync()
        company.now += TICK
    account.deliver(1)
    company.sync()
    assert company.documents() == {f"stripe:{one}": ("booked_invoice", GROSS) for one in paid}
    names = [one["name"] for one in company.sandbox.economic.customers() if one["name"].startswith("Kunde ")]
    assert sorted(names) == ["Kunde 0", "Kunde 1"]
    company.now += TICK
    assert company.sync().writes == []


def event(n: int, type_: str, object_: str, stripe_id: str, created: int) -> Event:
    told = {"object": {"object": object_, "id": stripe_id, "created": 100}}
    return msgspec.convert({"id": f"evt_{n:02}", "created": created, "type": type_, "data": told}, Event)


LIFE = (
    event(1, "invoice.created", "invoice", "in_1", 100),
    event(2, "invoice.finalized", "invoice", "in_1", 101),
    event(3, "invoice.sent", "invoice", "in_1", 102),
    event(4, "invoice.sent", "invoice", "in_1", 103),
    event(5, "invoice.updated", "invoice", "in_1", 103),
    event(6, "invoice.paid", "invoice", "in_1", 103),
    event(7, "customer.updated", "customer", "cus_1", 103),
    event(8, "invoice.created", "invoice", "in_2", 104),
    event(9, "invoice.deleted", "invoice", "in_2", 104),
    event(10, "customer.deleted", "customer", "cus_2", 105),
    event(11, "customer.updated", "customer", "cus_2", 105),
)


@settings(max_examples=300)
@given(order=st.permutations(range(len(LIFE))), again=st.lists(st.integers(0, len(LIFE) - 1), max_size=20))
def test_what_events_say_does_not_depend_on_their_order_or_repetition(order: list[int], again: list[int]) -> None:
    assert interpret(LIFE[n] for n in [*order, *again]) == interpret(LIFE)
