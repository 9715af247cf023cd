"""Choosing how to read objects again: every object once, in no more requests than one by one."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudify_pipeline.stripe_objects import RawObject
from cloudify_pipeline.stripe_source.again import cheapest
from cloudify_pipeline.stripe_source.events import Event, interpret
from cloudify_pipeline.stripe_source.kinds import SOURCES
from cloudify_pipeline.stripe_source.windows import read_span
from cloudify_pipeline_tests.stripe_source.fake_stripe import FakeStripe


@pytest.mark.parametrize(
    ("wanted", "staged", "singly", "spans"),
    [
        # Two old ones, far apart, among thousands: one by one.
        ({"a": 1_000, "b": 9_000}, range(10_000), ("a", "b"), ()),
        # A burst of new ones beside an old one: the burst is listed.
        ({"old": 5, **{f"n{n}": 50_000 + n for n in range(80)}}, range(10_000), ("old",), ((50_000, 50_079),)),
        # Unknown times cannot be listed.
        ({"x": 0, "y": 0, "z": 0, "q": 0}, range(100), ("x", "y", "z", "q"), ()),
        # All of one page.
        ({f"n{n}": n for n in range(60)}, range(60), (), ((0 + 1, 59),)),
    ],
)
def test_the_cheaper_way(
    wanted: dict[str, int], staged: range, singly: tuple[str, ...], spans: tuple[tuple[int, int], ...]
) -> None:
    fetches = cheapest(wanted, list(staged))
    assert fetches.spans == spans
    assert set(singly) <= set(fetches.singly)


@given(st.dictionaries(st.text(min_size=1, max_size=4), st.integers(0, 5_000)), st.lists(st.integers(1, 5_000)))
def test_every_object_is_read_and_never_at_a_higher_price(wanted: dict[str, int], staged: list[int]) -> None:
    staged = sorted(staged)
    fetches = cheapest(wanted, staged)
    for stripe_id, created in wanted.items():
        listed = any(first <= created <= last for first, last in fetches.spans) and created
        assert listed or stripe_id in fetches.singly
    inside = [sum(first <= created <= last for created in staged) for first, last in fetches.spans]
    assert len(fetches.singly) + sum(1 + count // 100 for count in inside) <= max(len(wanted), 1)


@settings(max_examples=40)
@given(st.lists(st.integers(0, 900), max_size=330), st.integers(0, 900), st.integers(0, 900))
async def test_a_span_is_read_whole_whatever_lies_in_which_second(times: list[int], first: int, last: int) -> None:
    fake = FakeStripe()
    for n, created in enumerate(times):
        fake.put("invoices", f"in_{n}", created)
    seen: list[str] = []

    async def take(objects: object) -> None:
        assert isinstance(objects, tuple)
        seen.extend(one.id for one in objects if isinstance(one, RawObject))

    async with fake.reader() as reader:
        await read_span(reader, SOURCES["invoice"], first, last, take)
    assert sorted(seen) == sorted(f"in_{n}" for n, created in enumerate(times) if first <= created <= last)


def event(stripe_id: str, at: int, kind: str, **changed: object) -> Event:
    return msgspec.convert({"id": stripe_id, "created": at, "type": kind, "data": {"object": changed}}, Event)


@given(st.permutations([
    event("e1", 1, "invoice.created", object="invoice", id="in_1", created=1),
    event("e2", 1, "invoice.updated", object="invoice", id="in_1", created=1),
    event("e3", 2, "invoice.sent", object="invoice", id="in_1", created=1),
    event("e4", 3, "invoice.sent", object="invoice", id="in_1", created=1),
    event("e5", 3, "customer.tax_id.created", object="tax_id", id="txi_1", customer="cus_1"),
    event("e6", 3, "customer.deleted", object="customer", id="cus_2", created=1),
    event("e7", 3, "customer.updated", object="customer", id="cus_2", created=1),
    event("e8", 4, "invoice_payment.paid", object="invoice_payment", id="inpay_1", created=4, invoice="in_1"),
    event("e9", 4, "invoice.upcoming", object="invoice", id=None),
]))  # fmt: skip
def test_events_say_the_same_in_any_order(events: list[Event]) -> None:
    changes = interpret([*events, *events])
    assert changes.again == {"invoice": {"in_1": 1}, "customer": {"cus_1": 0}, "invoice_payment": {"inpay_1": 4}}
    assert changes.gone == {"customer": {"cus_2"}}
    assert {stripe_id: at.timestamp() for stripe_id, at in changes.sent.items()} == {"in_1": 2}
