"""Until when a payment rests, as a table: when it was captured by Stripe's clock, when it was seen by ours."""

from datetime import timedelta

import pytest

from cloudify_pipeline.stripe_objects import UndecidedCharge
from cloudify_pipeline.stripe_source.resting import Rests, rests, waits

NOW = 1_793_610_000
HOUR = 3600


def charge(
    created: int = NOW, *, captured: bool = True, judged: bool = False, resting: bool = False, until: int | None = None
) -> UndecidedCharge:
    return UndecidedCharge("ch_1", "pi_1", created, captured, judged, resting, until)


def until(one: UndecidedCharge, captured: int | None = None, ahead: timedelta | None = None) -> int | str | None:
    """Until when it rests; ``rested`` when it is taken off the list, ``free`` when it never was on it."""
    found: Rests = rests([one], {} if captured is None else {"ch_1": captured}, NOW, ahead)
    if "ch_1" in found.resting:
        assert not found.rested
        return found.resting["ch_1"]
    return "rested" if found.rested else "free"


@pytest.mark.parametrize(
    ("what", "one", "captured", "ends"),
    [
        ("captured when it was made, just now", charge(NOW), None, NOW + 120),
        ("captured half a minute ago", charge(NOW - 30), None, NOW + 90),
        ("captured two minutes ago", charge(NOW - 120), None, "free"),
        ("captured an hour ago", charge(NOW - HOUR), None, "free"),
        ("authorised yesterday, captured a minute ago", charge(NOW - 24 * HOUR), NOW - 60, NOW + 60),
        ("authorised yesterday, captured an hour ago", charge(NOW - 24 * HOUR), NOW - HOUR, "free"),
        ("authorised only", charge(NOW - HOUR, captured=False), None, None),
        ("seen authorised, captured since, and an event tells when", charge(NOW - HOUR, resting=True), NOW - 100, NOW + 20),
        ("seen authorised, captured long since", charge(NOW - HOUR, resting=True), NOW - 600, "rested"),
        ("seen authorised, captured since, and nobody tells when", charge(NOW - HOUR, resting=True), None, NOW + 120),
        ("at rest", charge(NOW - 60, resting=True, until=NOW + 60), None, NOW + 60),
        ("its rest is over", charge(NOW - 120, resting=True, until=NOW), None, "rested"),
        ("our clock was set back by an hour since", charge(NOW, resting=True, until=NOW + HOUR), None, NOW + 120),
        ("made in the future", charge(NOW + HOUR), None, NOW + 120),
    ],
)
def test_a_payment_rests_two_minutes_from_its_capture(
    what: str, one: UndecidedCharge, captured: int | None, ends: int | str | None
) -> None:
    assert until(one, captured) == ends, what


@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(hours=-1), timedelta(days=400)])
def test_a_stripe_clock_that_differs_makes_it_rest_neither_longer_nor_shorter(ahead: timedelta) -> None:
    theirs = NOW + int(ahead.total_seconds())
    assert until(charge(theirs - 30), ahead=ahead) == NOW + 90
    assert until(charge(theirs - HOUR), ahead=ahead) == "free"


@pytest.mark.parametrize("seconds", [-4, 4])
def test_clocks_that_differ_by_less_than_an_answer_travels_agree(seconds: int) -> None:
    assert until(charge(NOW - 120), ahead=timedelta(seconds=seconds)) == "free"


@pytest.mark.parametrize(
    ("one", "asked_later"),
    [
        (charge(), False),
        (charge(captured=False), False),
        (charge(judged=True, resting=True, captured=False), True),
        (charge(judged=True, resting=True, until=NOW + 1), True),
        (charge(judged=True, resting=True, until=NOW), False),
        (charge(judged=True, resting=True), False),
    ],
)
def test_stripe_is_asked_when_a_payment_is_first_seen_and_once_more_behind_its_rest(
    one: UndecidedCharge, asked_later: bool
) -> None:
    assert waits(one, NOW) is asked_later
