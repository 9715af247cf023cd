"""Checkout sessions as they are read: by list, by event, by payment, and by a key that may not."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from cloudify_pipeline.staging.store import Staging
from cloudify_pipeline_tests.stripe_source.fake_stripe import FakeStripe, refuse
from cloudify_pipeline_tests.stripe_source.test_extract import HOUR, NOW, T, charge, run


@pytest.fixture
def staging(tmp_path: Path) -> Staging:
    return Staging(tmp_path / "staging.duckdb")


def session(
    stripe: FakeStripe, stripe_id: str, created: int, intent: str | None, *, lines: int = 1, **given: Any
) -> dict[str, Any]:
    items = [
        {
            "id": f"li_{n}",
            "object": "item",
            "created": created,
            "amount_total": 100,
            "price": {"id": "price_1", "product": "prod_1"},
        }
        for n in range(lines)
    ]
    listed = {"object": "list", "data": items, "has_more": False, "url": f"/v1/checkout/sessions/{stripe_id}/line_items"}
    fields = {"status": "complete", "currency": "dkk", "amount_total": 100 * lines, "payment_intent": intent, "invoice": None}
    return stripe.put("sessions", stripe_id, created, line_items=listed, **{**fields, **given})


async def test_the_first_run_lists_what_was_bought_with_all_its_lines(staging: Staging) -> None:
    stripe = FakeStripe()
    charge(stripe, "ch_1", T - 60, intent="pi_1")
    session(stripe, "cs_1", T - 90, "pi_1", lines=123)
    session(stripe, "cs_2", T - 80, None, status="expired")
    await run(stripe, staging)
    assert len(staging.sessions_of(["pi_1"])["pi_1"]["line_items"]["data"]) == 123
    assert set(staging.objects("checkout_session")) == {"cs_1"}
    assert (stripe.calls()["/v1/checkout/sessions"], stripe.calls()["/v1/checkout/sessions/cs_1/line_items"]) == (1, 2)
    stripe.requests.clear()
    await run(stripe, staging, NOW + HOUR)
    assert not [path for path in stripe.calls() if "checkout" in path], "nothing is asked where nothing happened"


async def test_a_new_payment_is_asked_about_once_unless_its_session_came_by_an_event(staging: Staging) -> None:
    stripe = FakeStripe()
    await run(stripe, staging)
    stripe.requests.clear()
    for n in (1, 2, 3):
        stripe.event(f"evt_{n}", T + n, "charge.succeeded", charge(stripe, f"ch_{n}", T + n, intent=f"pi_{n}"))
    stripe.event("evt_4", T + 4, "checkout.session.completed", session(stripe, "cs_1", T, "pi_1"))
    session(stripe, "cs_2", T, "pi_2")
    await run(stripe, staging, NOW + HOUR)
    assert set(staging.sessions_of(["pi_1", "pi_2", "pi_3"])) == {"pi_1", "pi_2"}
    asked = [request.url.params["payment_intent"] for request in stripe.requests if request.url.path == "/v1/checkout/sessions"]
    assert sorted(asked) == ["pi_2", "pi_3"]
    stripe.requests.clear()
    await run(stripe, staging, NOW + 2 * HOUR)
    assert not [path for path in stripe.calls() if "checkout" in path]


async def test_a_session_that_makes_an_invoice_is_read_until_it_is_there(staging: Staging) -> None:
    stripe = FakeStripe()
    charge(stripe, "ch_1", T - 60, intent="pi_1")
    made = session(stripe, "cs_1", T - 90, "pi_1", invoice_creation={"enabled": True})
    await run(stripe, staging)
    stripe.objects["sessions"]["cs_1"] = {**made, "invoice": "in_1"}
    await run(stripe, staging, NOW + HOUR)
    assert (staging.candidates(), staging.linked_charges(["ch_1"])[0].invoices) == ([], ("in_1",))
    stripe.requests.clear()
    await run(stripe, staging, NOW + 2 * HOUR)
    assert not [path for path in stripe.calls() if "checkout" in path]


async def test_a_key_without_the_right_knows_the_payment_by_the_event_and_reads_it_later(staging: Staging) -> None:
    def refused(_: FakeStripe, request: httpx.Request) -> httpx.Response | None:
        return refuse(403, "more_permissions_required") if "/checkout/" in request.url.path else None

    stripe = FakeStripe(before=refused)
    await run(stripe, staging)
    taken = session(stripe, "cs_1", T, "pi_1")
    stripe.event("evt_1", T + 1, "charge.succeeded", charge(stripe, "ch_1", T + 1, intent="pi_1"))
    stripe.event("evt_2", T + 2, "checkout.session.completed", taken)
    await run(stripe, staging, NOW + HOUR)
    assert staging.sessions_of(["pi_1"])["pi_1"]["unread"] is True
    stripe.before = None
    await run(stripe, staging, NOW + HOUR + timedelta(minutes=5))
    assert staging.sessions_of(["pi_1"])["pi_1"]["amount_total"] == 100
    stripe.before = refused
    stripe.event("evt_3", T + 7_400, "checkout.session.async_payment_succeeded", taken)
    await run(stripe, staging, NOW + 3 * HOUR)
    assert "unread" not in staging.sessions_of(["pi_1"])["pi_1"], "what was read is not forgotten"
