"""Staging keeps what Stripe said, exactly; writes nothing twice; and is thrown away when it cannot be read."""

import json
import multiprocessing
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudify_pipeline.errors import RunStopped
from cloudify_pipeline.staging.connection import StagingFile
from cloudify_pipeline.staging.store import Staging
from cloudify_pipeline.staging.sums import sum_fault
from cloudify_pipeline.staging.writing import PlanRow
from cloudify_pipeline.stripe_objects import Kind, RawObject

SENT = datetime(2026, 11, 1, 9, tzinfo=UTC)


@pytest.fixture
def staging(tmp_path: Path) -> Staging:
    return Staging(tmp_path / "home" / "staging.duckdb", wait_seconds=0.2)


def raw(stripe_id: str, created: int = 1_700_000_000, *, indent: int | None = None, **fields: Any) -> RawObject:
    body = {"id": stripe_id, "created": created, "livemode": False, **fields}
    return RawObject(stripe_id, created, json.dumps(body, indent=indent).encode())


def invoice(stripe_id: str, created: int = 1_700_000_000, **fields: Any) -> RawObject:
    line = {
        "id": f"il_{stripe_id}", "amount": 1250, "quantity": 1, "currency": "dkk", "description": "Sæde",
        "pricing": {"price_details": {"product": "prod_1", "price": "price_1"}}, "period": {"start": 1, "end": 2},
    }  # fmt: skip
    body: dict[str, Any] = {"status": "open", "currency": "dkk", "total": 1250, "customer": "cus_1"}
    body |= {"lines": {"data": [line], "has_more": False}} | fields
    return raw(stripe_id, created, **body)


def put(staging: Staging, kind: Kind, *objects: RawObject) -> int:
    with staging.batch() as batch:
        return batch.upsert(kind, objects)


def test_numbers_come_back_exactly(staging: Staging) -> None:
    body = b'{"id":"price_1","created":1,"unit_amount_decimal":0.000381,"tiers":[1.10,2e-7],"unit_amount":24104515}'
    put(staging, "price", RawObject("price_1", 1, body))
    price = staging.objects("price")["price_1"]
    assert price["unit_amount_decimal"] == Decimal("0.000381")
    assert price["tiers"] == [Decimal("1.10"), Decimal("2e-7")]
    assert price["unit_amount"] == 24104515


def test_half_a_surrogate_pair_is_kept_and_does_not_stop_a_batch(staging: Staging) -> None:
    body = b'{ "id": "cus_1", "created": 1, "name": "A \\ud83d  B", "balance": -0.10 }'
    assert put(staging, "customer", RawObject("cus_1", 1, body)) == 1
    assert staging.objects("customer")["cus_1"]["name"] == "A \ud83d  B"
    assert staging.objects("customer")["cus_1"]["balance"] == Decimal("-0.10")


@pytest.mark.parametrize(
    ("again", "changed"),
    [
        (raw("cus_1", name="Ann"), 0),
        (raw("cus_1", indent=4, name="Ann"), 0),
        (raw("cus_1", name="Ann B"), 1),
        (raw("cus_1", name="Ann", metadata={}), 1),
    ],
)
def test_only_a_different_object_is_an_update(staging: Staging, again: RawObject, changed: int) -> None:
    assert put(staging, "customer", raw("cus_1", name="Ann")) == 1
    assert put(staging, "customer", again) == changed
    assert staging.summary("customer").rows == 1


def test_a_link_that_stripe_signs_anew_on_each_read_is_no_change(staging: Staging) -> None:
    put(staging, "invoice", invoice("in_1", hosted_invoice_url="https://invoice.stripe.com/i/1", number="A-1"))
    assert put(staging, "invoice", invoice("in_1", hosted_invoice_url="https://invoice.stripe.com/i/2", number="A-1")) == 0
    assert put(staging, "invoice", invoice("in_1", hosted_invoice_url="https://invoice.stripe.com/i/2", number="A-2")) == 1


@settings(max_examples=15)
@given(st.lists(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), max_size=8), max_size=4))
def test_the_latest_of_each_id_is_staged_once(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[tuple[int, int]]]
) -> None:
    staging = Staging(tmp_path_factory.mktemp("staging") / "staging.duckdb")
    expected: dict[str, int] = {}
    for batch in batches:
        put(staging, "product", *(raw(f"prod_{n}", name=str(value), active=True, value=value) for n, value in batch))
        expected |= {f"prod_{n}": value for n, value in batch}
    assert {one: body["value"] for one, body in staging.objects("product").items()} == expected
    assert staging.summary("product").rows == len(expected)


def test_a_deleted_object_keeps_its_last_fields_and_may_come_back(staging: Staging) -> None:
    put(staging, "customer", raw("cus_1", name="Ann"))
    with staging.batch() as batch:
        assert batch.tombstone("customer", ["cus_1", "cus_2"]) == 2
        assert batch.tombstone("customer", ["cus_1", "cus_2"]) == 0
    staged = staging.objects("customer")
    assert (staged["cus_1"]["name"], staged["cus_1"]["deleted"]) == ("Ann", True)
    assert staged["cus_2"] == {"id": "cus_2", "deleted": True}
    assert staging.summary("customer").deleted == 2
    assert put(staging, "customer", raw("cus_1", name="Ann")) == 1
    assert "deleted" not in staging.objects("customer", ["cus_1"])["cus_1"]


def test_a_cursor_moves_only_with_its_data(staging: Staging) -> None:
    def interrupted() -> None:
        with staging.batch() as batch:
            batch.upsert("customer", [raw("cus_1")])
            batch.set_cursor("events", "17")
            raise KeyError

    with pytest.raises(KeyError):
        interrupted()
    assert (staging.cursor("events"), staging.objects("customer")) == (None, {})
    with staging.batch() as batch:
        batch.set_cursor("events", "17")
        batch.set_cursor("events", "18")
    assert staging.cursor("events") == "18"


def test_an_invoice_has_typed_lines_that_follow_it(staging: Staging) -> None:
    put(staging, "invoice", invoice("in_1"))
    put(staging, "invoice", invoice("in_1", lines={"data": [{"id": "il_a", "amount": 1}, {"id": "il_b", "amount": 1249}]}))
    with StagingFile(staging.path).transaction() as connection:
        rows = connection.execute("SELECT line_id, position, amount_minor FROM invoice_lines ORDER BY position").fetchall()
    assert rows == [("il_a", 1, 1), ("il_b", 2, 1249)]


def test_sums_are_exact_and_in_the_currencys_own_unit(staging: Staging) -> None:
    put(staging, "invoice", invoice("in_1"), invoice("in_2", 1_700_000_100, currency="jpy", total=9_007_199_254_740_993))
    summary = staging.summary("invoice")
    assert summary.sums == {"dkk": Decimal("12.50"), "jpy": Decimal("9007199254740993")}
    assert (summary.rows, summary.deleted, summary.by_status) == (2, 0, {"open": 2})
    assert (summary.oldest, summary.newest) == (
        datetime.fromtimestamp(1_700_000_000, UTC),
        datetime.fromtimestamp(1_700_000_100, UTC),
    )
    assert ("amount_minor", "BIGINT") in summary.columns


def test_a_draft_is_a_candidate_only_when_it_was_sent(staging: Staging) -> None:
    put(
        staging,
        "invoice",
        invoice("in_draft", 3, status="draft"),
        invoice("in_sent", 2, status="draft"),
        invoice("in_paid", 1, status="paid"),
    )
    with staging.batch() as batch:
        batch.mark_sent({"in_sent": SENT})
    assert [(one.id, one.status) for one in staging.candidates()] == [("in_paid", "paid"), ("in_sent", "draft")]


def test_the_first_sending_counts(staging: Staging) -> None:
    with staging.batch() as batch:
        batch.mark_sent({"in_1": SENT})
        batch.mark_sent({"in_1": SENT.replace(hour=11)})
        batch.mark_sent({"in_2": SENT})
        batch.mark_sent({"in_2": SENT.replace(hour=7)})
    assert staging.sent_at(["in_1", "in_2", "in_3"]) == {"in_1": SENT, "in_2": SENT.replace(hour=7)}


def test_events_that_stripe_can_no_longer_repeat_are_forgotten(staging: Staging) -> None:
    day = 86_400
    with staging.batch() as batch:
        batch.mark_events({"evt_old": 1_000 * day, "evt_kept": 1_020 * day})
        batch.mark_events({"evt_new": 1_040 * day})
    assert staging.unseen_events(["evt_old", "evt_kept", "evt_new", "evt_other"]) == {"evt_old", "evt_other"}


def test_what_invoices_name_and_is_not_staged_is_missing(staging: Staging) -> None:
    put(staging, "invoice", invoice("in_1"))
    assert staging.missing_references() == {"customer": ["cus_1"], "product": ["prod_1"], "price": ["price_1"]}
    put(staging, "product", raw("prod_1"))
    with staging.batch() as batch:
        batch.tombstone("price", ["price_1"])
    assert staging.missing_references() == {"customer": ["cus_1"]}


def test_plans_are_replaced_whole_or_for_the_named_ids(staging: Staging) -> None:
    a, b = PlanRow("in_a", "Skip", "r1", b'{"a": 1}'), PlanRow("in_b", "Hold", "r2", "{æ}".encode())
    staging.replace_plans("plan_documents", [a, b])
    changed = PlanRow("in_b", "PlannedDocument", "r3", b"{}")
    staging.replace_plans("plan_documents", [changed], only=["in_b"])
    assert staging.plans("plan_documents", ["in_b"]) == [changed]
    assert set(staging.plans("plan_documents")) == {a, changed}
    staging.replace_plans("plan_documents", [b])
    assert staging.plans("plan_documents") == [b]
    assert staging.plans("plan_customers") == []


def test_fields_are_profiled_with_what_is_joined_to_them(staging: Staging) -> None:
    put(staging, "invoice", invoice("in_1", 1, metadata={"po": "4711"}), invoice("in_2", 2, metadata={"po": ""}))
    put(staging, "customer", raw("cus_1", email="ann@example.com"))
    put(staging, "product", raw("prod_1", name="Seat"))
    assert staging.fill_rate("invoice", "metadata.po") == 0.5
    assert staging.samples("invoice", "metadata.po") == ["4711"]
    assert staging.samples("invoice", "customer.email") == ["ann@example.com"]
    assert staging.samples("line", "product.name") == ["Seat"]
    assert staging.fill_rate("charge", "receipt_email") is None


GENUINE = ("01", "02", "03", "04", "05", "06", "07", "08", "10")


@pytest.mark.parametrize("number", GENUINE)
def test_genuine_invoices_add_up(shared: Callable[[str], Path], number: str) -> None:
    (path,) = (shared("fixtures/stripe") / "invoices").glob(f"{number}-*.json")
    assert sum_fault(json.loads(path.read_text(encoding="utf-8"))) is None


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({}, None),
        ({"total": 1251}, "= 1250, but the total is 1251 (DKK minor units)"),
        ({"total": 1000, "total_discount_amounts": [{"amount": 250}]}, None),
        ({"total": 1250, "total_taxes": [{"amount": 250, "tax_behavior": "inclusive"}]}, None),
        ({"total": 1563, "total_taxes": [{"amount": 313, "tax_behavior": "exclusive"}]}, None),
        ({"total": 1350, "shipping_cost": {"amount_subtotal": 80, "amount_tax": 20, "amount_total": 100}}, None),
        (
            {"total": 1350, "total_taxes": [{"amount": 20, "tax_behavior": "exclusive"}],
             "shipping_cost": {"amount_subtotal": 80, "amount_tax": 20, "amount_total": 100}},
            None,
        ),
        ({"lines": {"data": [{"amount": 1250}], "has_more": True}}, "only 1 of its lines are known"),
    ],
)  # fmt: skip
def test_an_invoice_that_does_not_add_up_is_named(staging: Staging, fields: dict[str, Any], fault: str | None) -> None:
    put(staging, "invoice", invoice("in_1", **fields))
    faults = staging.arithmetic_faults()
    assert [stripe_id for stripe_id, _ in faults] == ([] if fault is None else ["in_1"])
    assert all(fault is not None and fault in text for _, text in faults)


def test_a_holder_is_waited_for_and_then_named(staging: Staging) -> None:
    with staging.batch(), pytest.raises(RunStopped, match=r"staging\.duckdb is in use by process \d+") as stopped:
        staging.cursor("events")
    assert stopped.value.code == "E-LEASE"
    assert staging.cursor("events") is None


def test_a_shell_that_has_the_file_open_is_named_too(staging: Staging) -> None:
    staging.cursor("events")
    ready, done = multiprocessing.get_context("spawn").Event(), multiprocessing.get_context("spawn").Event()
    shell = multiprocessing.get_context("spawn").Process(target=_hold, args=(staging.path, ready, done))
    shell.start()
    try:
        assert ready.wait(20)
        with pytest.raises(RunStopped, match="a program that opened the file itself"):
            staging.cursor("events")
    finally:
        done.set()
        shell.join()
    assert staging.cursor("events") is None


def _hold(path: Path, ready: Any, done: Any) -> None:
    connection = duckdb.connect(str(path), read_only=True)
    ready.set()
    done.wait(20)
    connection.close()


@pytest.mark.parametrize("trouble", ["garbage", "other version", "not staging"])
def test_a_file_that_is_not_usable_is_thrown_away_with_a_word(
    staging: Staging, trouble: str, caplog: pytest.LogCaptureFixture
) -> None:
    put(staging, "customer", raw("cus_1"))
    if trouble == "garbage":
        staging.path.write_bytes(b"not a database, and long enough to be read as one" * 1000)
    else:
        connection = duckdb.connect(str(staging.path))
        connection.execute("UPDATE staging_schema SET version = 0" if trouble == "other version" else "DROP TABLE staging_schema")
        connection.close()
    assert staging.objects("customer") == {}
    assert "thrown away" in caplog.text
    assert put(staging, "customer", raw("cus_1")) == 1
