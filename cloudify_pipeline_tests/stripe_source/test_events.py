"""Requests for a replay, read from events."""

from typing import Any

import pytest

from cloudify_pipeline.stripe_source.events import Event, _Data, _Object, replays_asked_for


def event(at: int, stripe_id: str, status: str | None, kind: str = "invoice") -> Event:
    metadata: Any = {} if status is None else {"ledger_status": status}
    return Event(f"evt_{at}", at, f"{kind}.updated", _Data(_Object(kind, stripe_id, 1, None, None, metadata)))


@pytest.mark.parametrize(
    ("events", "asked"),
    [
        ([event(1, "in_1", "replay")], ("in_1",)),
        ([event(1, "in_1", "Replay "), event(2, "in_2", "booked")], ("in_1",)),
        ([event(2, "in_1", "booked"), event(1, "in_1", "replay")], ()),
        ([event(1, "in_1", "booked"), event(2, "in_1", "replay")], ("in_1",)),
        ([event(2, "in_1", "replay"), event(1, "ch_1", "replay", "charge")], ("ch_1", "in_1")),
        ([event(1, "cus_1", "replay", "customer"), event(2, "in_1", None)], ()),
    ],
)
def test_the_latest_event_of_each_object_says_whether_a_replay_is_asked_for(events: list[Event], asked: tuple[str, ...]) -> None:
    assert replays_asked_for(events) == asked
