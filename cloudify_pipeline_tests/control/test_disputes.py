"""What each state of a dispute comes to, with real figures: nothing, a document, or words that a person can decide by."""

from datetime import UTC, datetime
from typing import Any

import pytest

from cloudify_pipeline.control.claims import Claim
from cloudify_pipeline.control.disputes import concerns, dispute, none_lost, reinstated
from cloudify_pipeline.errors import Problem
from cloudify_pipeline.planning.corrections import Correction
from cloudify_pipeline_tests.planning import books

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
SOLD = books.record([books.line(100_000, id="il_1", unit=100_000, taxes=[books.tax(25_000, 100_000)])])
MIXED = books.record([
    books.line(10_000, id="il_1", unit=10_000, taxes=[books.tax(2_500, 10_000)]),
    books.line(45_000, id="il_2", unit=45_000, product="prod_F", taxes=[books.tax(0, 45_000, rate="txr_0")]),
])  # fmt: skip
STANDS = "booked invoice 20188"


def claim(status: str = "lost", minor: int = 31_250, *, posted: bool = True, **more: Any) -> Claim:
    return Claim("du_1", "in_1", "dispute", status, "hash", minor, posted, **more)


@pytest.mark.parametrize(
    ("status", "lost"),
    [
        ("warning_needs_response", False),
        ("warning_under_review", False),
        ("warning_closed", False),
        ("needs_response", False),
        ("under_review", False),
        ("appeal_needs_response", False),
        ("appeal_under_review", False),
        ("prevented", False),
        ("won", False),
        ("lost", True),
    ],
)
def test_a_dispute_is_due_when_it_is_lost(status: str, lost: bool) -> None:
    one = claim(status)
    assert concerns(one, ()) == lost
    assert concerns(one, {"du_1"}), "what stands in the ledger is looked at whatever Stripe says"
    told = none_lost(one)
    assert told is not None
    assert (told.code, status in told.reason) == ("S-NOT-LOST", True)
    assert not concerns(claim("lost", 0), ())


HELD = {
    "left to a person": (SOLD, claim(posted=False), "dkk", f"(stripe:in_1), which stands in the ledger as {STANDS}, was lost"),
    "a credit note may be for it": (SOLD, claim(posted=False, notes=("cn_1", "cn_2")), "dkk", "may be for that: cn_1, cn_2"),
    "another currency": (SOLD, claim(), "eur", "that is another currency than DKK"),
    "a part of several rates": (MIXED, claim(minor=5_000), "dkk", "bears several VAT rates"),
}


@pytest.mark.parametrize("case", HELD)
def test_what_a_person_must_decide_names_dispute_invoice_and_amount(case: str) -> None:
    sale, one, currency, words = HELD[case]
    held = dispute(one, {"currency": currency}, sale, AT, STANDS)
    assert isinstance(held, Problem)
    amount = f"{'50.00' if sale is MIXED else '312.50'} {currency.upper()}"
    assert (held.code, held.found) == ("E-DISPUTED", amount)
    for told in (words, f"dispute du_1 over {amount} of invoice ABCD-0001", STANDS):
        assert told in held.message


@pytest.mark.parametrize(("minor", "before"), [(125_000, 0), (31_250, 0), (100_000, 25_000)])
def test_what_is_won_after_all_is_what_was_lost(minor: int, before: int) -> None:
    lost = dispute(claim(minor=minor, before=before), {"currency": "dkk"}, SOLD, AT, STANDS)
    back = Claim("du_1:returned", "in_1", "returned", "won", "hash", -minor, posted=True)
    won = reinstated(back, SOLD, AT, None)
    assert isinstance(lost, Correction)
    assert isinstance(won, Correction)
    assert (lost.stripe_id, lost.minor, lost.record.total_minor) == ("du_1", minor, -minor)
    assert (won.stripe_id, won.minor, won.record.total_minor) == ("du_1:returned", -minor, minor)
    assert won.naming.of(20188).endswith("indsigelse du_1 blev alligevel vundet")


def test_what_is_lost_once_more_needs_a_person() -> None:
    back = Claim("du_1:returned", "in_1", "returned", "lost", "hash", -31_250, posted=True)
    told = reinstated(back, SOLD, AT, "booked invoice 20190")
    assert isinstance(told, Problem)
    assert (told.code, "booked invoice 20190" in told.message) == ("E-CHANGED", True)
