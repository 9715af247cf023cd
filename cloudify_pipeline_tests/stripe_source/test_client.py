"""Reading Stripe: what is retried, what stops a run, and what never leaves the client."""

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime

import httpx
import pytest

from cloudify_pipeline.errors import NotAuthorised, RunStopped, Unreachable
from cloudify_pipeline.stripe_source.client import RequestRefused, StripeReader
from cloudify_pipeline.stripe_source.limits import Limits, is_loopback
from cloudify_pipeline_tests.stripe_source.fake_stripe import refuse

PAGE = b'{"data": [{"id": "in_1", "created": 7, "total": 10.50}], "has_more": false}'
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


class Script:
    """Answers one after the other, the last one for ever; keeps the requests and the pauses."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.pauses: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    def reader(self, key: str = "rk_test_hidden") -> StripeReader:
        return StripeReader(
            key, api_base="http://127.0.0.1:9", api_version="2026-10-28.endive", transport=httpx.MockTransport(self),
            sleep=self.sleep, clock=lambda: NOW,
        )  # fmt: skip


def ok() -> httpx.Response:
    return httpx.Response(200, content=PAGE)


async def test_a_page_is_split_into_the_bytes_that_stripe_sent() -> None:
    script = Script(ok())
    async with script.reader() as reader:
        page = await reader.page("/v1/invoices", {"expand": ("data.discounts",), "created": {"gte": 1, "lt": 9}})
    assert [(one.id, one.created, one.body) for one in page.objects] == [
        ("in_1", 7, b'{"id": "in_1", "created": 7, "total": 10.50}')
    ]
    request = script.requests[0]
    assert request.headers["Stripe-Version"] == "2026-10-28.endive"
    assert request.headers["Authorization"] == "Bearer rk_test_hidden"
    assert dict(request.url.params) == {"limit": "100", "expand[]": "data.discounts", "created[gte]": "1", "created[lt]": "9"}


PASSING: list[tuple[str, Callable[[], httpx.Response | Exception]]] = [
    ("rate", lambda: refuse(429, "rate_limit")),
    ("lock", lambda: refuse(409, "lock_timeout")),
    ("server", lambda: httpx.Response(502, html="<h1>Bad gateway</h1>")),
    ("dropped", lambda: httpx.ReadError("gone")),
    ("time-out", lambda: httpx.ReadTimeout("late")),
    ("cut", lambda: httpx.Response(200, content=PAGE[:40])),
    ("not JSON", lambda: httpx.Response(200, html="<h1>Maintenance</h1>")),
    ("no list", lambda: httpx.Response(200, content=b"{}")),
    ("no gzip", lambda: httpx.Response(200, content=gzip.compress(PAGE)[5:], headers={"Content-Encoding": "gzip"})),
]


@pytest.mark.parametrize("trouble", [make for _, make in PASSING], ids=[name for name, _ in PASSING])
async def test_passing_trouble_is_waited_out(trouble: Callable[[], httpx.Response | Exception]) -> None:
    try:
        first: httpx.Response | Exception = trouble()
    except httpx.DecodingError as error:
        first = error
    script = Script(first, ok())
    async with script.reader() as reader:
        page = await reader.page("/v1/invoices", {})
        assert reader.requests == 2
    assert [one.id for one in page.objects] == ["in_1"]
    assert 1 <= script.pauses[0] <= 32


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (lambda: refuse(429, "rate_limit"), "E-RATE"),
        (lambda: httpx.Response(500), "E-SERVER"),
        (lambda: httpx.Response(200, content=PAGE[:40]), "E-SERVER"),
    ],
)
async def test_trouble_that_stays_stops_the_run_and_is_never_an_empty_page(
    answer: Callable[[], httpx.Response], code: str
) -> None:
    script = Script(answer())
    async with script.reader() as reader:
        with pytest.raises(Unreachable) as stopped:
            await reader.page("/v1/invoices", {})
    assert (stopped.value.code, len(script.requests)) == (code, 7)


@pytest.mark.parametrize(("header", "pause"), [("17", 17.0), ("Sun, 01 Nov 2026 12:00:40 GMT", 40.0)])
async def test_retry_after_is_honoured(header: str, pause: float) -> None:
    script = Script(httpx.Response(429, headers={"Retry-After": header}), ok())
    async with script.reader() as reader:
        await reader.page("/v1/invoices", {})
    assert script.pauses == [pause]


async def test_stripe_may_ask_not_to_be_tried_again() -> None:
    script = Script(httpx.Response(500, headers={"Stripe-Should-Retry": "false"}))
    async with script.reader() as reader:
        with pytest.raises(Unreachable):
            await reader.page("/v1/invoices", {})
    assert len(script.requests) == 1


async def test_a_refused_key_and_a_missing_right_are_told_apart_and_no_key_is_repeated() -> None:
    body = {"error": {"message": "The key 'rk_live_***den' lacks 'rak_invoice_read' permission"}}
    for status, code, said in ((401, "E-CONN-GRANT", "does not accept the key"), (403, "E-CONN-ROLE", "rak_invoice_read")):
        async with Script(httpx.Response(status, json=body)).reader() as reader:
            with pytest.raises(NotAuthorised, match=said) as stopped:
                await reader.page("/v1/invoices", {})
        assert stopped.value.code == code
        assert "rk_live" not in str(stopped.value)


async def test_an_unknown_object_is_none_and_a_wrong_parameter_is_refused_at_once() -> None:
    async with Script(refuse(404, "resource_missing", "id")).reader() as reader:
        assert await reader.retrieve("/v1/invoices/in_0") is None
    script = Script(refuse(400, "resource_missing", "starting_after"))
    async with script.reader() as reader:
        with pytest.raises(RequestRefused) as refused:
            await reader.page("/v1/invoices", {})
    assert (refused.value.param, len(script.requests)) == ("starting_after", 1)


def test_a_publishable_key_is_refused() -> None:
    with pytest.raises(RunStopped, match="publishable") as stopped:
        Script(ok()).reader("pk_live_secret")
    assert "secret" not in str(stopped.value)


@pytest.mark.parametrize(
    ("key", "total", "endpoint"), [("rk_live_x", 40, 12), ("sk_live_x", 40, 12), ("rk_test_x", 10, 10), ("sk_test_x", 10, 10)]
)
def test_the_limits_stay_under_half_of_stripes(key: str, total: int, endpoint: int) -> None:
    limits = Limits.of_key(key)
    assert (limits.total, limits.per_endpoint) == (total, endpoint)


@pytest.mark.parametrize(
    ("url", "loopback"),
    [("http://127.0.0.1:80", True), ("http://localhost:1", True), ("http://[::1]:1", True), ("https://api.stripe.com", False)],
)
def test_only_a_server_on_this_machine_is_not_throttled(url: str, loopback: bool) -> None:
    assert is_loopback(url) is loopback


async def test_a_deleted_object_says_so() -> None:
    async with Script(httpx.Response(200, content=json.dumps({"id": "cus_1", "deleted": True}))).reader() as reader:
        found = await reader.retrieve("/v1/customers/cus_1")
    assert found is not None
    assert found.deleted
