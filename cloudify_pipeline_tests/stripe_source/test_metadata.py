"""Writing metadata back: a failure is a problem, never the end of a run; and what the key must be allowed to do."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
import stripe

from cloudify_pipeline.catalogue import CATALOGUE
from cloudify_pipeline.errors import NotAuthorised
from cloudify_pipeline.stripe_source.limits import Limits
from cloudify_pipeline.stripe_source.metadata import NEEDED_RIGHTS, StripeWriter, check_rights
from cloudify_pipeline_tests.stripe_source.fake_stripe import FakeStripe, refuse


class Wire(stripe.HTTPClient):
    """The SDK's transport: keeps what it is given and answers alike each time, without pauses."""

    name = "wire"

    def __init__(self, status: int = 200, body: str = '{"id": "in_1", "object": "invoice"}') -> None:
        super().__init__()
        self.status, self.body = status, body
        self.sent: list[tuple[str, str, dict[str, str], dict[str, list[str]]]] = []

    def request(
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: Any = None, *, _usage: list[str] | None = None
    ) -> tuple[str, int, Mapping[str, str]]:
        self.sent.append((method, url, dict(headers or {}), parse_qs(post_data, keep_blank_values=True)))
        return self.body, self.status, {}

    def close(self) -> None:
        """Nothing is open."""

    def _sleep_time_seconds(self, num_retries: int, response: Any = None) -> float:
        return 0.0


def writer(wire: Wire) -> StripeWriter:
    return StripeWriter("rk_test_hidden", api_base="http://127.0.0.1:9/", api_version="2026-10-28.endive", http_client=wire)


async def test_metadata_is_merged_and_each_write_has_its_own_key() -> None:
    wire = Wire()
    assert await writer(wire).set_invoice_metadata("in_1", {"ledger_status": "booked", "ledger_error": ""}) is None
    assert await writer(wire).set_customer_metadata("cus_1", {"number": "1007"}) is None
    assert await writer(wire).set_metadata("charge", "ch_1", {"ledger_status": "booked"}) is None
    (method, url, headers, form), (_, customer_url, other, _), (_, charge_url, *_) = wire.sent
    assert charge_url == "http://127.0.0.1:9/v1/charges/ch_1"
    assert (method.upper(), url, customer_url) == (
        "POST", "http://127.0.0.1:9/v1/invoices/in_1", "http://127.0.0.1:9/v1/customers/cus_1",
    )  # fmt: skip
    assert form == {"metadata[ledger_status]": ["booked"], "metadata[ledger_error]": [""]}
    assert headers["Stripe-Version"] == "2026-10-28.endive"
    assert headers["Idempotency-Key"] != other["Idempotency-Key"]
    assert "X-Stripe-Client-Telemetry" not in headers


async def test_writes_wait_for_stripes_limits() -> None:
    waited: list[str] = []

    class Counted(Limits):
        async def wait(self, path: str) -> None:
            waited.append(path)

    limited = StripeWriter(
        "rk_test_hidden",
        api_base="https://api.stripe.com",
        api_version="2026-10-28.endive",
        http_client=Wire(),
        limits=Counted(total=None, per_endpoint=None),
    )
    await limited.set_invoice_metadata("in_1", {"a": "b"})
    await limited.set_metadata("charge", "ch_1", {"a": "b"})
    assert waited == ["/v1/invoices/in_1", "/v1/charges/ch_1"]


@pytest.mark.parametrize(
    ("status", "error", "code", "attempts"),
    [
        (401, {"type": "invalid_request_error", "message": "Invalid key rk_test_hidden"}, "E-CONN-GRANT", 1),
        (403, {"type": "invalid_request_error", "message": "rk_test_hidden may not"}, "E-CONN-ROLE", 1),
        (409, {"type": "invalid_request_error", "code": "lock_timeout"}, "E-RATE", 4),
        (429, {"type": "invalid_request_error", "code": "rate_limit"}, "E-RATE", 1),
        (429, {"type": "invalid_request_error", "code": "lock_timeout"}, "E-RATE", 1),
        (500, {"type": "api_error"}, "E-SERVER", 4),
        (404, {"type": "invalid_request_error", "code": "resource_missing"}, "E-STRIPE-GONE", 1),
    ],
)
async def test_a_failed_write_is_a_problem_that_shows_no_key(
    status: int, error: dict[str, str], code: str, attempts: int
) -> None:
    wire = Wire(status, httpx.Response(status, json={"error": error}).text)
    problem = await writer(wire).set_invoice_metadata("in_1", {"a": "b"})
    assert problem is not None
    assert (problem.code, len(wire.sent)) == (code, attempts)
    assert code in CATALOGUE
    assert "hidden" not in str(problem)


def answering(path: str, status: int) -> Callable[[FakeStripe, httpx.Request], httpx.Response | None]:
    return lambda _, request: refuse(status, "x") if request.url.path == path else None


async def test_the_rights_that_are_refused_are_named() -> None:
    fake = FakeStripe(before=lambda _, request: refuse(403, "x") if request.url.path in {"/v1/events", "/v1/account"} else None)
    fake.invoice("in_1", 1)
    async with fake.reader() as reader:
        rights = await check_rights(reader)
    assert [(right.resource, right.access) for right in rights.refused] == [("Events", "read")]
    assert (rights.account.id, rights.account.livemode) == (None, False)


async def test_the_account_behind_the_key_is_named() -> None:
    account = {"id": "acct_1", "country": "DK", "business_profile": {"name": "Cloudify ApS"}}
    fake = FakeStripe(before=lambda _, request: httpx.Response(200, json=account) if request.url.path == "/v1/account" else None)
    async with fake.reader() as reader:
        rights = await check_rights(reader)
    assert (rights.refused, rights.account.id, rights.account.name, rights.account.country) == (
        (),
        "acct_1",
        "Cloudify ApS",
        "DK",
    )


async def test_a_key_that_is_not_accepted_at_all_is_no_missing_right() -> None:
    async with FakeStripe(before=answering("/v1/invoices", 401)).reader() as reader:
        with pytest.raises(NotAuthorised):
            await check_rights(reader)


def test_every_read_right_can_be_probed() -> None:
    assert all((right.probe is not None) == (right.access == "read") for right in NEEDED_RIGHTS)
