"""Disputes of the embedded Stripe: what the buyer's bank begins, how it ends, and what is told of it."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from cloudify_pipeline_tests.sandbox.stripe_account import NOW, Account, make_account

LATER = NOW + timedelta(hours=1)


@pytest.fixture
async def account() -> AsyncIterator[Account]:
    made = make_account()
    made.now = LATER
    async with made.client:
        yield made


CHARGEBACK = ["charge.dispute.created", "charge.dispute.funds_withdrawn", "charge.dispute.closed"]
LIVES = {
    "lost": ("needs_response", "lost", CHARGEBACK),
    "won": ("needs_response", "won", [*CHARGEBACK, "charge.dispute.funds_reinstated"]),
    "an inquiry": (
        "warning_needs_response", "warning_closed", ["charge.dispute.created", "charge.dispute.closed"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("life", LIVES)
async def test_a_dispute_is_told_by_its_events_and_in_lists(account: Account, life: str) -> None:
    begins, ends, events = LIVES[life]
    account.sold()
    (charge,) = account.store.rows("charge")
    id_ = account.store.dispute(charge["id"], at=NOW, status=begins)
    account.store.decide_dispute(id_, ends, at=LATER)
    found = await account.get(f"/v1/disputes/{id_}")
    assert (found["status"], found["amount"], found["charge"]) == (ends, charge["amount"], charge["id"])
    assert found["payment_intent"] == charge["payment_intent"]
    listed = await account.get(f"/v1/disputes?charge={charge['id']}")
    assert [one["id"] for one in listed["data"]] == [id_]
    assert account.store.get("charge", charge["id"])["disputed"]
    told = [one["type"] for one in account.store.rows("event", order="ASC") if one["type"].startswith("charge.dispute")]
    assert sorted(told) == sorted(events)
