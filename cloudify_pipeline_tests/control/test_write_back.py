"""What is written back, and when nothing is: the decision on its own, without servers."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudify_pipeline.control.write_back import Verdict, digest, fingerprint, values, verdict
from cloudify_pipeline.posting.log.written_back import Standing, Told

BOOKED = Standing("in_1", "booked", "booked_invoice", "20188", None, None, None)
HELD = Standing("in_1", "held", None, None, "E-VAT-ZONE", "the buyer has no country", None)
SHOWN = {"ledger_status": "booked", "ledger_document": "booked_invoice 20188", "ledger_synced_at": "2026-11-02T09:00:00+00:00"}


def told(standing: Standing, *, over: str = "", at: str = SHOWN["ledger_synced_at"], refused: bool = False) -> Told:
    return Told("in_1", digest(values(standing)), over, at, refused)


@pytest.mark.parametrize(
    ("standing", "status", "document", "error"),
    [
        (BOOKED, "booked", "booked_invoice 20188", ""),
        (Standing("in_1", "posted", "draft_order", "7", None, None, None), "posted", "draft_order 7", ""),
        (Standing("in_1", "posted", "draft_invoice", "12", "S-CHANGED", "texts", None), "posted", "draft_invoice 12", ""),
        (HELD, "held", "", "E-VAT-ZONE: the buyer has no country"),
        (
            Standing("in_1", "held", "draft_invoice", "1234", "E-TOTAL", "Stripe's total\nis 125.00 DKK", None),
            "held",
            "draft_invoice 1234",
            "E-TOTAL: Stripe's total is 125.00 DKK",
        ),
    ],
)
def test_the_values(standing: Standing, status: str, document: str, error: str) -> None:
    assert values(standing) == {"ledger_status": status, "ledger_document": document, "ledger_error": error}


@given(st.text(max_size=2000))
def test_no_value_is_ever_too_long_or_cannot_be_sent(message: str) -> None:
    error = values(Standing("in_1", "failed", None, None, "E-REFUSED", message, None))["ledger_error"]
    assert len(error.encode("utf-16-le")) // 2 <= 500
    assert error.startswith("E-REFUSED")
    assert "\n" not in error


VERDICTS: list[tuple[str, Told | None, dict[str, Any], bool, Verdict]] = [
    ("never told", None, {}, False, "write"),
    ("another state stands there", None, {"ledger_status": "held"}, False, "write"),
    ("it stands there, and nobody remembers", None, SHOWN, False, "confirm"),
    ("only the time would differ", told(BOOKED), {**SHOWN, "ledger_synced_at": "2026-10-01T00:00:00+00:00"}, True, "confirm"),
    ("told, and staging not read again since", told(BOOKED, over=fingerprint({})), {}, True, "keep"),
    ("told something else, and staging not read again since", told(HELD, over=fingerprint(SHOWN)), SHOWN, False, "write"),
    ("a person deleted the keys", told(BOOKED, over="before"), {}, True, "keep"),
    ("a person changed a key", told(BOOKED, over="before"), {**SHOWN, "ledger_status": "ok"}, True, "keep"),
    (
        "a later write of another ending was not remembered",
        told(BOOKED, over="before"),
        {"ledger_status": "held", "ledger_synced_at": "2026-11-02T10:00:00+00:00"},
        False,
        "write",
    ),
    ("the ending changed after a person deleted the keys", told(HELD, over="before"), {}, False, "write"),
    ("a replay was asked for and has ended", told(BOOKED), {**SHOWN, "ledger_status": "replay"}, True, "write"),
    ("a replay was asked for in other letters", None, {"ledger_status": " Replay "}, True, "write"),
    ("a replay was asked for and waits", told(BOOKED), {**SHOWN, "ledger_status": "replay"}, False, "keep"),
    ("a replay waits, and the ending has changed", told(HELD), {**SHOWN, "ledger_status": "replay"}, False, "keep"),
    (
        "a replay was answered, and staging not read again since",
        told(BOOKED, over=fingerprint({"ledger_status": "replay"})),
        {"ledger_status": "replay"},
        True,
        "keep",
    ),
    ("Stripe refused it, and nothing has changed", told(BOOKED, over=fingerprint({}), refused=True), {}, False, "keep"),
    ("Stripe refused it, and the metadata has changed", told(BOOKED, over="before", refused=True), {}, False, "write"),
]


@pytest.mark.parametrize(
    ("told_before", "metadata", "tried", "decided"), [row[1:] for row in VERDICTS], ids=[r[0] for r in VERDICTS]
)
def test_when_a_state_is_written(told_before: Told | None, metadata: dict[str, Any], tried: bool, decided: Verdict) -> None:
    standing = Standing("in_1", "booked", "booked_invoice", "20188", None, None, told_before)
    assert verdict(standing, metadata, tried=tried) == decided


STATES = [BOOKED, HELD, Standing("in_1", "failed", None, None, "E-SERVER", "no answer", None)]


@given(
    st.lists(
        st.sampled_from(["ends 0", "ends 1", "ends 2", "read", "delete", "ask", "run", "run", "lost", "cut off"]), max_size=30
    )
)
def test_whatever_happens_runs_come_to_rest_and_stripe_shows_the_state(steps: list[str]) -> None:
    """A model of one invoice: Stripe, a staged copy that may be old, and what is remembered of our writes."""
    stripe: dict[str, str] = {}
    staged: dict[str, str] = {}
    remembered: Told | None = None
    ending, clock = BOOKED, 0
    deleted = False

    def run(*, arrives: bool = True, kept: bool = True) -> bool:
        nonlocal stripe, remembered, clock, deleted
        standing = dataclasses.replace(ending, told=remembered)
        decided = verdict(standing, staged, tried=True)
        if decided == "confirm":
            remembered = told(ending, at=staged.get("ledger_synced_at", ""))
        if decided != "write" or not arrives:
            return False
        clock += 1
        stripe = {k: v for k, v in {**stripe, **values(ending), "ledger_synced_at": str(clock)}.items() if v}
        deleted = False
        if kept:
            remembered = told(ending, over=fingerprint(staged), at=str(clock))
        return True

    for step in [*steps, "read"]:
        if step.startswith("ends"):
            ending = STATES[int(step[-1])]
        elif step == "read":
            staged = dict(stripe)
        elif step == "delete":
            stripe, deleted = {}, True
        elif step == "ask":
            clock += 1
            stripe = {**stripe, "ledger_status": "replay", "other": str(clock)}
        elif step == "run":
            run()
        elif step == "lost":
            run(arrives=False)
        else:
            run(kept=False)
    run()
    if not deleted:
        wanted = {key: value for key, value in values(ending).items() if value}
        assert {key: value for key, value in stripe.items() if key in values(ending)} == wanted
    assert not run(), "a second run writes again before staging was read"
    staged = dict(stripe)
    assert not run(), "a second run writes again after staging was read"
