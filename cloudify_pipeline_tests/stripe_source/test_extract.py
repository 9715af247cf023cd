"""Bringing staging up to date: nothing is lost, nothing is doubled, and the cost follows what changed."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from cloudify_pipeline.errors import Unreachable
from cloudify_pipeline.staging.store import Staging
from cloudify_pipeline.stripe_source.extract import extract
from cloudify_pipeline_tests.stripe_source.fake_stripe import FakeStripe

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
T = int(NOW.timestamp())
HOUR = timedelta(hours=1)


@pytest.fixture
def stripe() -> FakeStripe:
    return FakeStripe()


@pytest.fixture
def staging(tmp_path: Path) -> Staging:
    return Staging(tmp_path / "staging.duckdb")


async def run(stripe: FakeStripe, staging: Staging, now: datetime = NOW, **options: Any) -> Any:
    stripe.requests.clear()
    async with stripe.reader() as reader:
        return await extract(reader, staging, now=now, **options)


def account(stripe: FakeStripe, invoices: int = 250) -> None:
    stripe.put("customers", "cus_1", T - 9000, name="Ann", metadata={}, tax_ids={"data": []})
    stripe.put("products", "prod_1", T - 9000, name="Seat", active=True)
    stripe.put("prices", "price_1", T - 9000, product="prod_1", active=True, currency="dkk", unit_amount=100)
    stripe.put("tax_rates", "txr_1", T - 9000, display_name="Moms", percentage=25.0, active=True, inclusive=False)
    for n in range(invoices):
        stripe.invoice(f"in_{n}", T - 8000 + n, status="paid", customer="cus_1", product="prod_1", price="price_1")


async def test_the_first_run_lists_everything_once(stripe: FakeStripe, staging: Staging) -> None:
    account(stripe)
    report = await run(stripe, staging)
    assert report.mode == "first"
    assert {kind: count.seen for kind, count in report.kinds.items() if count.seen} == {
        "customer": 1, "product": 1, "price": 1, "tax_rate": 1, "invoice": 250,
    }  # fmt: skip
    assert staging.objects("invoice") == stripe.objects["invoices"]
    assert staging.cursor("events") == str(T)


async def test_a_run_without_changes_makes_few_requests_and_writes_nothing(stripe: FakeStripe, staging: Staging) -> None:
    account(stripe, 1000)
    for n in range(1000):
        stripe.invoice(f"in_{n}", T - 8000 + n, status="open")
    await run(stripe, staging)
    report = await run(stripe, staging, NOW + HOUR)
    assert (report.mode, report.changed) == ("events", 0)
    assert report.requests <= 10


async def test_an_event_brings_the_object_as_it_is_now_not_as_it_was_in_the_event(stripe: FakeStripe, staging: Staging) -> None:
    account(stripe)
    await run(stripe, staging)
    old = stripe.objects["invoices"]["in_7"]
    stripe.objects["invoices"]["in_7"] = {**old, "metadata": {"po": "4711"}}
    stripe.event("evt_1", T + 60, "invoice.updated", old)
    report = await run(stripe, staging, NOW + HOUR)
    assert staging.objects("invoice", ["in_7"])["in_7"]["metadata"] == {"po": "4711"}
    assert (report.kinds["invoice"].seen, report.kinds["invoice"].changed) == (1, 1)


async def test_an_event_that_two_runs_see_is_followed_once(stripe: FakeStripe, staging: Staging) -> None:
    account(stripe)
    await run(stripe, staging)
    stripe.event("evt_1", T + 3590, "invoice.updated", stripe.objects["invoices"]["in_7"])
    await run(stripe, staging, NOW + HOUR)
    again = await run(stripe, staging, NOW + 2 * HOUR)
    assert "/v1/invoices/*" not in stripe.calls()
    assert again.changed == 0


async def test_what_is_created_or_changed_while_pages_are_read_is_staged_in_the_end(stripe: FakeStripe, staging: Staging) -> None:
    account(stripe)

    def meanwhile(fake: FakeStripe, request: httpx.Request) -> None:
        if (
            request.url.path == "/v1/invoices"
            and "starting_after" in str(request.url)
            and "evt_new" not in fake.objects["events"]
        ):
            new = fake.invoice("in_new", T + 5)
            fake.event("evt_new", T + 5, "invoice.created", new)
            changed = fake.objects["invoices"]["in_249"]
            fake.objects["invoices"]["in_249"] = {**changed, "number": "changed"}
            fake.event("evt_changed", T + 5, "invoice.updated", changed)

    stripe.before = meanwhile
    await run(stripe, staging)
    await run(stripe, staging, NOW + HOUR)
    assert staging.objects("invoice") == stripe.objects["invoices"]


async def test_a_draft_that_the_cursor_stands_on_may_be_deleted(stripe: FakeStripe, staging: Staging) -> None:
    account(stripe)
    gone: list[str] = []

    def meanwhile(fake: FakeStripe, request: httpx.Request) -> None:
        after = request.url.params.get("starting_after")
        if after and request.url.path == "/v1/invoices" and not gone:
            gone.append(after)
            deleted = fake.objects["invoices"].pop(after)
            fake.event("evt_gone", T + 1, "invoice.deleted", deleted)

    stripe.before = meanwhile
    await run(stripe, staging)
    await run(stripe, staging, NOW + HOUR)
    staged = staging.objects("invoice")
    assert len(gone) == 1
    assert {one for one in staged if not staged[one].get("deleted")} == set(stripe.objects["invoices"])


@pytest.mark.parametrize("seconds", [1, 3])
async def test_many_objects_of_one_second_lose_and_double_nothing(stripe: FakeStripe, staging: Staging, seconds: int) -> None:
    for n in range(430):
        stripe.invoice(f"in_{n}", T - 500 + n % seconds)
    report = await run(stripe, staging)
    assert report.kinds["invoice"].seen == 430
    assert staging.summary("invoice").rows == 430


async def test_an_invoice_has_all_its_lines_and_is_the_same_from_a_list_and_alone(stripe: FakeStripe, staging: Staging) -> None:
    stripe.invoice("in_long", T - 100, lines=257)
    await run(stripe, staging)
    staged = staging.objects("invoice")["in_long"]
    assert staged == stripe.objects["invoices"]["in_long"]
    assert staging.arithmetic_faults() == []
    stripe.event("evt_1", T + 60, "invoice.updated", stripe.objects["invoices"]["in_long"])
    report = await run(stripe, staging, NOW + HOUR)
    assert (report.kinds["invoice"].seen, report.kinds["invoice"].changed) == (1, 0)


async def test_a_sweep_does_not_read_the_lines_of_an_unchanged_long_invoice_again(stripe: FakeStripe, staging: Staging) -> None:
    stripe.invoice("in_long", T - 100, lines=257)
    await run(stripe, staging)
    await run(stripe, staging, NOW + HOUR)
    assert "/v1/invoices/*/lines" not in stripe.calls()


async def test_a_sweep_finds_what_no_event_told(stripe: FakeStripe, staging: Staging) -> None:
    stripe.invoice("in_1", T - 100)
    stripe.invoice("in_2", T - 90)
    await run(stripe, staging)
    stripe.objects["invoices"]["in_1"]["status"] = "paid"
    stripe.objects["invoices"]["in_2"]["number"] = "other"
    await run(stripe, staging, NOW + HOUR)
    assert staging.objects("invoice") == stripe.objects["invoices"]


async def test_the_sweep_goes_round_all_open_invoices_in_several_runs(stripe: FakeStripe, staging: Staging) -> None:
    for n in range(900):
        stripe.invoice(f"in_{n}", T - 5000 + n)
    await run(stripe, staging)
    stripe.objects["invoices"]["in_0"]["number"] = "other"
    for hour in (1, 2, 3, 4):
        report = await run(stripe, staging, NOW + hour * HOUR)
        assert report.requests <= 10
    assert staging.objects("invoice", ["in_0"])["in_0"]["number"] == "other"


async def test_deletions_become_tombstones_that_keep_the_last_known_fields(stripe: FakeStripe, staging: Staging) -> None:
    account(stripe, 1)
    await run(stripe, staging)
    customer = stripe.objects["customers"]["cus_1"]
    stripe.objects["customers"]["cus_1"] = {"id": "cus_1", "object": "customer", "deleted": True}
    stripe.event("evt_1", T + 60, "customer.deleted", customer)
    report = await run(stripe, staging, NOW + HOUR)
    assert report.kinds["customer"].deleted == 1
    assert staging.objects("customer")["cus_1"] == {**customer, "deleted": True}


async def test_a_sending_is_remembered_by_its_first_event(stripe: FakeStripe, staging: Staging) -> None:
    invoice = stripe.invoice("in_1", T - 4000)
    stripe.event("evt_1", T - 3000, "invoice.sent", invoice)
    await run(stripe, staging)
    stripe.event("evt_2", T + 60, "invoice.sent", invoice)
    await run(stripe, staging, NOW + HOUR)
    assert staging.sent_at(["in_1"]) == {"in_1": datetime.fromtimestamp(T - 3000, UTC)}


async def test_a_cursor_older_than_stripes_events_compares_everything(stripe: FakeStripe, staging: Staging) -> None:
    account(stripe)
    await run(stripe, staging)
    del stripe.objects["invoices"]["in_3"]
    stripe.objects["invoices"]["in_4"]["number"] = "other"
    report = await run(stripe, staging, NOW + timedelta(days=31))
    staged = staging.objects("invoice")
    assert report.mode == "full"
    assert staged["in_3"]["deleted"] is True
    assert (report.kinds["invoice"].changed, report.kinds["invoice"].deleted) == (1, 1)


async def test_since_bounds_the_first_run_and_fetches_what_the_invoices_name(stripe: FakeStripe, staging: Staging) -> None:
    account(stripe)
    since = datetime.fromtimestamp(T - 8000 + 200, UTC)
    await run(stripe, staging, since=since)
    assert len(staging.objects("invoice")) == 50
    assert [list(staging.objects(kind)) for kind in ("customer", "product", "price")] == [["cus_1"], ["prod_1"], ["price_1"]]
    await run(stripe, staging, NOW + HOUR, since=datetime.fromtimestamp(T - 8000 + 100, UTC))
    assert len(staging.objects("invoice")) == 150


async def test_named_ids_are_read_with_what_they_name_and_move_no_cursor(stripe: FakeStripe, staging: Staging) -> None:
    account(stripe)
    report = await run(stripe, staging, ids=["in_5", "in_none"])
    assert (report.mode, report.not_found) == ("ids", ("in_none",))
    assert [one for one, body in staging.objects("invoice").items() if not body.get("deleted")] == ["in_5"]
    assert (list(staging.objects("customer")), staging.cursor("events")) == (["cus_1"], None)


async def test_a_failed_run_moves_no_cursor_and_the_next_one_repeats_it(stripe: FakeStripe, staging: Staging) -> None:
    account(stripe)
    await run(stripe, staging)
    stripe.objects["invoices"]["in_7"]["number"] = "other"
    stripe.event("evt_1", T + 60, "invoice.updated", stripe.objects["invoices"]["in_7"])
    stripe.before = lambda _, request: httpx.Response(500) if "status" in request.url.params else None
    with pytest.raises(Unreachable):
        await run(stripe, staging, NOW + HOUR)
    assert staging.cursor("events") == str(T)
    stripe.before = None
    await run(stripe, staging, NOW + HOUR)
    assert staging.objects("invoice", ["in_7"])["in_7"]["number"] == "other"


def charge(stripe: FakeStripe, name: str, created: int, *, intent: str | None) -> dict[str, Any]:
    return stripe.put(
        "charges", name, created, status="succeeded", currency="dkk", amount=100, customer=None, payment_intent=intent
    )


def payment(stripe: FakeStripe, name: str, created: int, intent: str) -> dict[str, Any]:
    return stripe.put(
        "invoice_payments", name, created, status="paid", currency="dkk", amount_paid=100, invoice="in_1",
        payment={"type": "payment_intent", "payment_intent": intent},
    )  # fmt: skip


async def test_only_charges_that_pay_no_invoice_are_candidates(stripe: FakeStripe, staging: Staging) -> None:
    charge(stripe, "ch_invoice", T - 60, intent="pi_1")
    charge(stripe, "ch_bare", T - 50, intent="pi_2")
    charge(stripe, "ch_old", T - 40, intent=None)
    payment(stripe, "inpay_1", T - 70, "pi_1")
    await run(stripe, staging)
    assert [one.id for one in staging.candidates()] == ["ch_bare", "ch_old"]


async def test_a_later_run_asks_for_the_invoice_of_a_charge_before_it_counts_as_bare(
    stripe: FakeStripe, staging: Staging
) -> None:
    await run(stripe, staging)
    stripe.event("evt_1", T + 50, "charge.succeeded", charge(stripe, "ch_invoice", T + 50, intent="pi_1"))
    stripe.event("evt_2", T + 51, "charge.succeeded", charge(stripe, "ch_bare", T + 51, intent="pi_2"))
    payment(stripe, "inpay_1", T + 49, "pi_1")
    await run(stripe, staging, NOW + HOUR)
    assert stripe.calls()["/v1/invoice_payments"] == 2
    assert [one.id for one in staging.candidates()] == ["ch_bare"]
    stripe.event("evt_3", T + 3700, "invoice_payment.paid", payment(stripe, "inpay_2", T + 3700, "pi_2"))
    await run(stripe, staging, NOW + 2 * HOUR)
    assert staging.candidates() == []
