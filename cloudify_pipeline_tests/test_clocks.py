"""A service's Date header against our clock, as the clients hear it."""

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from cloudify_pipeline.clocks import ahead_of
from cloudify_pipeline.errors import NotAuthorised
from cloudify_pipeline.ledgers.economic.client import EconomicClient
from cloudify_pipeline.stripe_source.client import StripeReader

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("date", "ahead"),
    [
        ("Mon, 02 Nov 2026 09:00:00 GMT", timedelta(0)),
        ("Mon, 02 Nov 2026 09:06:00 GMT", timedelta(minutes=6)),
        ("Mon, 02 Nov 2026 08:00:00 GMT", timedelta(hours=-1)),
        ("Mon, 02 Nov 2026 10:00:00 +0100", timedelta(0)),
        ("Mon, 02 Nov 2026 09:00:00 -0000", timedelta(0)),
        ("yesterday", None),
        ("", None),
        (None, None),
    ],
)
def test_the_header_is_held_against_our_time(date: str | None, ahead: timedelta | None) -> None:
    assert ahead_of(date, NOW) == ahead


@pytest.mark.parametrize("status", [200, 401])
async def test_both_clients_hear_it_from_any_answer(status: int) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        body = {"agreementNumber": 1, "id": "acct_1"}
        return httpx.Response(status, json=body, headers={"Date": "Mon, 02 Nov 2026 09:07:00 GMT"})

    transport = httpx.MockTransport(answer)
    ledger = EconomicClient("secret", "grant", transport=transport, now=lambda: NOW)
    stripe = StripeReader("rk_test_x", api_base="https://stripe.test", api_version="v", transport=transport, clock=lambda: NOW)
    assert (ledger.requests.ahead, stripe.ahead) == (None, None)
    for asked in (ledger.read("/self"), stripe.retrieve("/v1/account")):
        with pytest.raises(NotAuthorised) if status == 401 else nullcontext():
            await asked
    assert (ledger.requests.ahead, stripe.ahead) == (timedelta(minutes=7), timedelta(minutes=7))
    await ledger.close()
    await stripe.close()
