"""Disputes are listed once and then follow their events; a key that may not read them matters only to whoever has one."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from cloudify_pipeline.errors import NotAuthorised
from cloudify_pipeline.staging.corrections import StagedDispute
from cloudify_pipeline.staging.store import Staging
from cloudify_pipeline.stripe_source.extract import ExtractReport, extract
from cloudify_pipeline_tests.stripe_source.fake_stripe import FakeStripe, refuse

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
T = int(NOW.timestamp())
HOUR = timedelta(hours=1)


@pytest.fixture
def staging(tmp_path: Path) -> Staging:
    return Staging(tmp_path / "staging.duckdb")


async def run(stripe: FakeStripe, staging: Staging, now: datetime = NOW, *ids: str) -> ExtractReport:
    stripe.requests.clear()
    async with stripe.reader() as reader:
        return await extract(reader, staging, now=now, ids=ids)


def refused(stripe: FakeStripe, request: httpx.Request) -> httpx.Response | None:
    del stripe
    return refuse(403, "more_permissions_required") if "/disputes" in request.url.path else None


def disputed(stripe: FakeStripe, *, paid_by: str = "pi_1") -> None:
    """An invoice, its payment, and the open dispute of that, which lacks its charge as some do."""
    stripe.invoice("in_1", T - 9000, status="paid")
    stripe.put("charges", "ch_1", T - 8900, status="succeeded", payment_intent="pi_1", disputed=True)
    paid = {"type": "payment_intent", "payment_intent": paid_by}
    stripe.put("invoice_payments", "inpay_1", T - 8900, status="paid", invoice="in_1", payment=paid, amount_paid=100)
    stripe.put(
        "disputes", "du_1", T - 60, amount=100, currency="dkk", charge="ch_1", payment_intent="pi_1", status="needs_response"
    )


def staged(staging: Staging) -> dict[str, tuple[str | None, str | None, str, int, str]]:
    def told(one: StagedDispute) -> tuple[str | None, str | None, str, int, str]:
        return one.invoice, one.charge, one.status, one.amount_minor, one.currency

    return {one.id: told(one) for one in staging.disputes()}


async def test_one_request_lists_them_and_their_events_bring_what_became_of_them(staging: Staging) -> None:
    stripe = FakeStripe()
    disputed(stripe)
    await run(stripe, staging)
    assert stripe.calls()["/v1/disputes"] == 1
    assert staged(staging) == {"du_1": ("in_1", "ch_1", "needs_response", 100, "DKK")}
    changed = {**stripe.objects["disputes"]["du_1"], "status": "lost"}
    stripe.objects["disputes"]["du_1"] = changed
    stripe.event("evt_1", T + 60, "charge.dispute.closed", changed)
    await run(stripe, staging, NOW + HOUR)
    assert (stripe.calls()["/v1/disputes"], stripe.calls()["/v1/disputes/du_1"]) == (0, 1)
    assert staged(staging)["du_1"][2] == "lost"
    await run(stripe, staging, NOW + 2 * HOUR)
    assert not [path for path in stripe.calls() if "disputes" in path], "nothing is asked where nothing happened"


async def test_one_that_is_named_is_read_again(staging: Staging) -> None:
    stripe = FakeStripe()
    disputed(stripe)
    await run(stripe, staging)
    stripe.objects["disputes"]["du_1"] = {**stripe.objects["disputes"]["du_1"], "status": "won"}
    report = await run(stripe, staging, NOW + HOUR, "du_1", "du_2")
    assert (staged(staging)["du_1"][2], report.not_found) == ("won", ("du_2",))


async def test_that_of_a_payment_without_an_invoice_has_none(staging: Staging) -> None:
    stripe = FakeStripe()
    disputed(stripe, paid_by="pi_2")
    await run(stripe, staging)
    assert staged(staging)["du_1"][:2] == (None, "ch_1")


async def test_a_key_that_may_not_read_them_is_enough_without_one(staging: Staging) -> None:
    stripe = FakeStripe(before=refused)
    stripe.put("charges", "ch_1", T - 8900, status="succeeded", payment_intent=None, disputed=False)
    assert (await run(stripe, staging)).mode == "first"
    report = await run(stripe, staging, NOW + HOUR)
    assert report.mode == "events"
    late = await run(stripe, staging, NOW + timedelta(days=40))
    assert late.mode == "full"


async def test_it_is_not_enough_for_a_payment_that_is_disputed(staging: Staging) -> None:
    stripe = FakeStripe(before=refused)
    disputed(stripe)
    with pytest.raises(NotAuthorised, match="may not read /v1/disputes"):
        await run(stripe, staging)
    assert staging.cursor("events") is None, "nothing is passed over: the next run begins again"
    stripe.before = None
    await run(stripe, staging)
    assert "du_1" in staged(staging)
