"""What the sensors decide, as tables: how far was seen, what Stripe says, what is asked for."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudify_pipeline.orchestration.sensor_decisions import (
    Mark,
    Resting,
    is_due,
    paid_decision,
    read_cursor,
    replay_decision,
    replay_start,
    write_cursor,
)
from cloudify_pipeline.settings.models import InvoiceSettings
from cloudify_pipeline.stripe_source.live import LiveEvent, LivePage, Place, asked_types

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
SECOND = int(NOW.timestamp())
LOOKED = SECOND - 30
MARK = Mark(Place(LOOKED, "evt_0", LOOKED - 60))


def event(id_: str, record: str, type_: str = "invoice.paid", *, at: int = SECOND - 5, **more: Any) -> LiveEvent:
    data = {"object": {"id": record, **more.pop("object", {})}, **more}
    return msgspec.convert({"id": id_, "created": at, "type": type_, "data": data}, LiveEvent)


def status_set(id_: str, record: str, value: str | None, before: dict[str, Any]) -> LiveEvent:
    metadata = {"po": "77", **({} if value is None else {"ledger_status": value})}
    return event(id_, record, "invoice.updated", object={"metadata": metadata}, previous_attributes=before)


def test_the_first_tick_starts_from_now_and_asks_for_nothing() -> None:
    decided = paid_decision("nordlys", None, None, NOW)
    assert (decided.run_key, decided.ids) == (None, ())
    assert decided.mark == Mark(Place(SECOND))
    assert "hourly sync" in decided.why


def test_a_place_older_than_stripes_thirty_days_asks_for_everything_due_and_says_so() -> None:
    old = Mark(Place(SECOND - 40 * 86_400, "evt_0", SECOND - 40 * 86_400))
    assert not old.place.may_be_followed(NOW)
    decided = paid_decision("nordlys", old, None, NOW)
    assert (decided.run_key, decided.ids) == ("nordlys:all:evt_0", ())
    assert "further back than Stripe lists events" in decided.why
    assert decided.mark == Mark(Place(SECOND))


PAGES: list[tuple[str, LivePage, tuple[str, ...], str | None, Place]] = [
    ("nothing new", LivePage((), has_more=False), (), None, Place(SECOND, "evt_0", LOOKED - 60)),
    (
        "two in one second keep Stripe's order",
        LivePage((event("evt_2", "in_2"), event("evt_1", "in_1")), has_more=False),
        ("in_2", "in_1"),
        "nordlys:evt_1",
        Place(SECOND, "evt_1", SECOND - 5),
    ),
    (
        "finalized and paid are one id",
        LivePage((event("evt_1", "in_1", "invoice.finalized"), event("evt_2", "in_1")), has_more=False),
        ("in_1",),
        "nordlys:evt_2",
        Place(SECOND, "evt_2", SECOND - 5),
    ),
    (
        "a full page: the next tick goes on behind its last event, at once",
        LivePage(tuple(event(f"evt_{n}", f"in_{n}") for n in range(100)), has_more=True),
        tuple(f"in_{n}" for n in range(100)),
        "nordlys:evt_99",
        Place(LOOKED, "evt_99", SECOND - 5),
    ),
    (
        "more than a page and no event to read on from",
        LivePage((event("evt_7", "in_7"), event("evt_8", "in_8")), has_more=True, complete=False),
        (),
        "nordlys:all:evt_8",
        Place(SECOND, "evt_8", SECOND - 5),
    ),
]


@pytest.mark.parametrize(("_name", "page", "ids", "run_key", "place"), PAGES, ids=[one[0] for one in PAGES])
def test_a_page_leads_to_one_run_of_its_ids(
    _name: str, page: LivePage, ids: tuple[str, ...], run_key: str | None, place: Place
) -> None:
    decided = paid_decision("nordlys", MARK, page, NOW)
    assert (decided.ids, decided.run_key, decided.mark.place) == (ids, run_key, place)


def test_the_same_page_again_has_the_same_run_key_so_dagster_starts_one_run() -> None:
    page = LivePage((event("evt_1", "in_1"), event("evt_2", "in_2")), has_more=False)
    keys = {paid_decision("nordlys", mark, page, NOW).run_key for mark in (MARK, Mark(Place(SECOND - 600)))}
    assert keys == {"nordlys:evt_2"}


def test_a_charge_rests_until_stripe_had_time_to_say_which_invoice_it_pays() -> None:
    page = LivePage((event("evt_1", "ch_1", "charge.succeeded", at=SECOND - 5),), has_more=False)
    first = paid_decision("nordlys", MARK, page, NOW)
    assert (first.ids, first.run_key) == ((), None)
    assert first.mark.resting == (Resting("evt_1", "ch_1", SECOND - 5),)
    nothing = LivePage((), has_more=False)
    early = paid_decision("nordlys", first.mark, nothing, NOW + timedelta(seconds=100))
    assert (early.ids, early.mark.resting) == ((), first.mark.resting)
    late = paid_decision("nordlys", early.mark, nothing, NOW + timedelta(seconds=116))
    assert (late.ids, late.run_key, late.mark.resting) == (("ch_1",), "nordlys:evt_1", ())


def test_a_charge_that_was_only_authorised_rests_from_its_capture() -> None:
    authorised = event("evt_1", "ch_1", "charge.succeeded", at=SECOND - 5, object={"captured": False})
    assert paid_decision("nordlys", MARK, LivePage((authorised,), has_more=False), NOW).mark.resting == ()
    captured = event("evt_2", "ch_1", "charge.captured", at=SECOND - 5, object={"captured": True})
    decided = paid_decision("nordlys", MARK, LivePage((captured,), has_more=False), NOW)
    assert (decided.ids, decided.mark.resting) == ((), (Resting("evt_2", "ch_1", SECOND - 5),))


@pytest.mark.parametrize("hours", [1, -1])
def test_a_charge_rests_as_long_when_stripes_clock_differs(hours: int) -> None:
    ahead = timedelta(hours=hours)
    at = SECOND - 5 + int(ahead.total_seconds())
    page = LivePage((event("evt_1", "ch_1", "charge.succeeded", at=at),), has_more=False, ahead=ahead)
    (resting,) = paid_decision("nordlys", MARK, page, NOW).mark.resting
    assert 0 <= resting.since - (SECOND - 5) <= 1


def test_a_charge_from_the_future_rests_from_when_it_was_first_seen() -> None:
    page = LivePage((event("evt_1", "ch_1", "charge.succeeded", at=SECOND + 3600),), has_more=False)
    assert paid_decision("nordlys", MARK, page, NOW).mark.resting[0].since == SECOND


def test_a_charge_that_names_its_invoice_is_not_a_sale_of_its_own() -> None:
    page = LivePage((event("evt_1", "ch_1", "charge.succeeded", object={"invoice": "in_1"}),), has_more=False)
    assert paid_decision("nordlys", MARK, page, NOW).mark.resting == ()


def test_a_charge_that_an_invoice_payment_names_is_left_to_its_invoice() -> None:
    charge = event("evt_1", "ch_1", "charge.succeeded", object={"payment_intent": "pi_1"})
    other = event("evt_2", "ch_2", "charge.succeeded", object={"payment_intent": "pi_2"})
    payment = event("evt_3", "inpay_1", "invoice_payment.paid", object={"payment": {"payment_intent": "pi_1"}})
    out_of_band = event("evt_4", "inpay_2", "invoice_payment.paid", object={"payment": {"payment_record": "pr_1"}})
    at_once = paid_decision("nordlys", MARK, LivePage((charge, other, payment, out_of_band), has_more=False), NOW)
    assert [one.charge for one in at_once.mark.resting] == ["ch_2"]
    assert (at_once.ids, at_once.mark.place.event) == ((), "evt_4")
    first = paid_decision("nordlys", MARK, LivePage((charge,), has_more=False), NOW)
    later = paid_decision("nordlys", first.mark, LivePage((payment,), has_more=False), NOW)
    assert (first.mark.resting[0].intent, later.mark.resting) == ("pi_1", ())


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 400)), max_size=12), st.lists(st.integers(10, 400), min_size=6, max_size=6)
)
def test_whatever_the_pages_each_record_is_asked_for_once_and_no_run_key_twice(
    happened: list[tuple[bool, int]], waits: list[int]
) -> None:
    """Events spread over ticks: every invoice and charge is in exactly one run, and no two runs share a key."""
    mark, now, sent = MARK, NOW, 0
    asked: list[str] = []
    keys: list[str] = []
    for wait in [*waits, 200]:
        now += timedelta(seconds=wait)
        new = []
        for is_charge, age in happened[sent : sent + 2]:
            kind = ("ch", "charge.succeeded") if is_charge else ("in", "invoice.paid")
            new.append(event(f"evt_{sent}", f"{kind[0]}_{sent}", kind[1], at=int(now.timestamp()) - min(age, wait)))
            sent += 1
        decided = paid_decision("nordlys", mark, LivePage(tuple(new), has_more=False), now)
        mark = decided.mark
        asked += decided.ids
        keys += [decided.run_key] if decided.run_key else []
    resting = [one.charge for one in mark.resting]
    assert sorted([*asked, *resting]) == sorted(f"{'ch' if c else 'in'}_{n}" for n, (c, _) in enumerate(happened[:sent]))
    assert len(keys) == len(set(keys))


RULES: list[tuple[list[str], bool, tuple[str, ...]]] = [
    (["paid"], False, ("invoice.paid",)),
    (["paid"], True, ("invoice.paid", "charge.succeeded", "charge.captured", "invoice_payment.paid")),
    (["sent", "finalized", "sent"], False, ("invoice.sent", "invoice.finalized")),
]


@pytest.mark.parametrize(("triggers", "charges", "types"), RULES)
def test_what_is_asked_for_follows_the_rules_in_force(triggers: list[str], charges: bool, types: tuple[str, ...]) -> None:
    rules = [{"when": when, "create": "draft_invoice"} for when in triggers]
    settings = InvoiceSettings.model_validate({"rules": rules, "include_charges": charges})
    assert asked_types(settings) == types
    assert "invoice.updated" not in asked_types(settings), "our own metadata writes wake nobody"


REPLAYS: list[tuple[str, LiveEvent, bool]] = [
    ("set to replay", status_set("evt_1", "in_1", "replay", {"metadata": {"ledger_status": "booked"}}), True),
    ("set for the first time", status_set("evt_1", "in_1", "replay", {"metadata": {"ledger_status": None}}), True),
    ("another key changed while it waits", status_set("evt_1", "in_1", "replay", {"metadata": {"po": "76"}}), False),
    ("paid while it waits", status_set("evt_1", "in_1", "replay", {"status": "open"}), False),
    ("our own answer", status_set("evt_1", "in_1", "booked", {"metadata": {"ledger_status": "replay"}}), False),
    ("taken back", status_set("evt_1", "in_1", None, {"metadata": {"ledger_status": "replay"}}), False),
    ("the first metadata at all", status_set("evt_1", "in_1", "replay", {"metadata": None}), True),
]


@pytest.mark.parametrize(("_name", "update", "asked"), REPLAYS, ids=[one[0] for one in REPLAYS])
def test_only_the_event_that_set_replay_asks_for_one(_name: str, update: LiveEvent, asked: bool) -> None:
    decided = replay_decision("nordlys", MARK, LivePage((update,), has_more=False), NOW)
    assert (decided.ids, decided.run_key) == ((("in_1",), "nordlys:replay:evt_1") if asked else ((), None))
    assert decided.mark.place.event == "evt_1"


def test_replays_that_may_have_been_missed_are_said_to_be_lost() -> None:
    other = status_set("evt_7", "in_7", "replay", {"metadata": {"po": "76"}})
    asks = status_set("evt_8", "in_8", "replay", {"metadata": {"ledger_status": "booked"}})
    nothing = replay_decision("nordlys", MARK, LivePage((other,), has_more=True, complete=False), NOW)
    some = replay_decision("nordlys", MARK, LivePage((other, asks), has_more=True, complete=False), NOW)
    assert (nothing.run_key, some.ids) == (None, ("in_8",))
    for decided in (nothing, some):
        assert decided.why == "more happened than can be read: replays asked for before evt_7 are lost"


def test_without_a_cursor_replays_of_the_last_hour_are_found() -> None:
    assert replay_start(NOW) == Mark(Place(SECOND - 3600))
    assert replay_decision("nordlys", MARK, None, NOW).mark == replay_start(NOW)


DUE: list[tuple[str, Mark | None, timedelta | None, bool]] = [
    ("never looked", None, None, True),
    ("half a minute ago", Mark(Place(SECOND - 30)), None, True),
    ("just now", Mark(Place(SECOND - 10)), None, False),
    ("just now, and asked since", Mark(Place(SECOND - 10)), timedelta(seconds=3), True),
    ("just now, asked before", Mark(Place(SECOND - 10)), timedelta(seconds=60), False),
]


@pytest.mark.parametrize(("_name", "mark", "asked_ago", "due"), DUE, ids=[one[0] for one in DUE])
def test_a_look_is_due_by_time_or_by_a_hint(_name: str, mark: Mark | None, asked_ago: timedelta | None, due: bool) -> None:
    assert is_due(mark, None if asked_ago is None else NOW - asked_ago, NOW) is due


def test_the_anchor_is_left_before_stripe_forgets_it() -> None:
    quiet = Place(looked_at=SECOND - 30, event="evt_0", event_at=SECOND - 29 * 86_400)
    assert quiet.may_be_followed(NOW), "the last look was just now, so nothing was missed"
    assert quiet.stands_on(NOW) is None, "but the event itself is about to leave the list"


def test_the_cursor_comes_back_as_it_was_written() -> None:
    marks = {"a": Mark(Place(SECOND, "evt_1", LOOKED), (Resting("evt_0", "ch_0", LOOKED),)), "b": Mark(Place(SECOND))}
    assert read_cursor(write_cursor(marks, ["a", "b"])) == marks
    assert read_cursor(write_cursor(marks, ["b", "c"])) == {"b": marks["b"]}


@pytest.mark.parametrize("text", [None, "", "evt_1", "[]", '{"a": 1}', '{"a": {"event": "evt_1"}}'])
def test_a_cursor_that_cannot_be_read_is_a_reset_one(text: str | None) -> None:
    assert read_cursor(text) == {}
