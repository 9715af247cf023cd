from datetime import UTC, datetime

import pytest

from cloudify_pipeline.planning.rests import Resting, clock_time, rests, waits_with

UNTIL = datetime(2026, 11, 2, 9, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("until", "shown"),
    [("2026-11-02T09:02:00+00:00", "10:02"), ("2026-11-02T09:01:01+00:00", "10:02"), ("2026-07-01T22:59:30+00:00", "01:00")],
)
def test_a_minute_that_has_begun_counts_whole_on_copenhagens_clock(until: str, shown: str) -> None:
    assert clock_time(datetime.fromisoformat(until)) == shown


def test_how_many_rest_is_said_in_words() -> None:
    assert str(Resting(2, UNTIL)) == "2 payments rest until 10:02 (they may still get an invoice)"
    assert str(Resting(1, UNTIL)) == "1 payment rests until 10:02 (it may still get an invoice)"
    assert str(Resting(1)) == "1 payment rests (it may still get an invoice)"


def test_a_payment_that_rests_says_until_when_and_what_takes_it_back_names_it() -> None:
    assert rests("ch_1", UNTIL).code == "S-RESTS"
    assert rests("ch_1", UNTIL).reason.endswith("it rests until 10:02")
    assert "the next run" in rests("ch_1", None).reason
    assert waits_with("re_1", "ch_1").reason.startswith("ch_1, which it corrects,")
