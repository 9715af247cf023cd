import asyncio
from collections.abc import Callable

import httpx
import pytest

from cloudify_pipeline.errors import LedgerAnswerError, NotAuthorised, NotSent, OutcomeUnknown, Refused, Unreachable
from cloudify_pipeline.ledgers.economic.client import EconomicClient
from cloudify_pipeline.ledgers.economic.pace import Pace
from cloudify_pipeline.ledgers.port import Requests
from cloudify_pipeline_tests.ledgers.economic.fake import Clock, FakeLedger, customers, reply

HTML = httpx.Response(502, html="<h1>Bad Gateway</h1>")


def client(answer: Callable[[httpx.Request], httpx.Response], clock: Clock | None = None, concurrency: int = 6) -> EconomicClient:
    clock = clock or Clock()
    return EconomicClient(
        "secret", "grant", transport=httpx.MockTransport(answer), clock=clock, sleep=clock.sleep, concurrency=concurrency
    )


def scripted(*steps: httpx.Response | Exception) -> tuple[EconomicClient, list[httpx.Request], Clock]:
    seen: list[httpx.Request] = []
    left = list(steps)

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        step = left.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    clock = Clock()
    return client(answer, clock), seen, clock


@pytest.mark.parametrize(
    "failure",
    [
        HTML,
        httpx.Response(500, text=""),
        reply({"message": "slow down"}, 429, Retry_After="7"),
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("dropped"),
        httpx.Response(200, content=b'{"collection":[{"customerNu'),
        httpx.Response(200, html="<p>maintenance</p>"),
        reply({"items": []}),
    ],
    ids=["502", "500", "429", "connect", "timeout", "dropped", "cut off", "html 200", "other shape"],
)
async def test_a_read_is_asked_again_until_it_is_answered(failure: httpx.Response | Exception) -> None:
    http, seen, _ = scripted(failure, reply({"collection": [1], "pagination": {"results": 1}}))
    assert await http.items("/units") == ([1], 10**9)
    assert len(seen) == http.requests.reads == 2


async def test_a_429_is_waited_out_by_everyone_on_the_agreement() -> None:
    http, seen, clock = scripted(reply({}, 429, Retry_After="7"), reply({"ok": 1}), reply({"ok": 2}))
    assert await http.read("/self") == {"ok": 1}
    assert clock.now >= 7
    assert http.requests.waited == 1
    await http.read("/self")
    assert len(seen) == 3


async def test_a_read_that_never_succeeds_is_unreachable_and_says_why() -> None:
    http, seen, _ = scripted(*[httpx.Response(503) for _ in range(6)])
    with pytest.raises(Unreachable, match=r"GET /self in 6 attempts: HTTP 503") as caught:
        await http.read("/self")
    assert (caught.value.code, len(seen)) == ("E-SERVER", 6)


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (401, {"message": "no", "errorCode": "E02250"}, "E-CONN-GRANT"),
        (403, {"message": "no"}, "E-CONN-ROLE"),
        (403, {"errorCode": "AccessDeniedAgreementMissingModules", "title": "Missing modules: Project"}, "E-CONN-MODULE"),
    ],
)
async def test_a_refused_token_stops_at_once(status: int, body: dict[str, str], code: str) -> None:
    http, seen, _ = scripted(reply(body, status))
    with pytest.raises(NotAuthorised) as caught:
        await http.read("/self")
    assert (caught.value.code, len(seen)) == (code, 1)
    assert "secret" not in str(caught.value)


async def test_a_bad_question_is_not_asked_again() -> None:
    http, seen, _ = scripted(reply({"message": "bad", "errors": ["not allowed on 'x'"], "allowedFilteringFields": []}, 400))
    with pytest.raises(Unreachable) as caught:
        await http.items("/customers", where="x$eq:1")
    assert (caught.value.code, len(seen)) == ("E-FILTER", 1)


WRITES: list[tuple[httpx.Response | Exception, type[Exception], str]] = [
    (httpx.ConnectError("refused"), NotSent, "E-SERVER"),
    (httpx.ConnectTimeout("slow"), NotSent, "E-SERVER"),
    (httpx.ReadTimeout("slow"), OutcomeUnknown, "E-SERVER"),
    (httpx.WriteError("broken pipe"), OutcomeUnknown, "E-SERVER"),
    (httpx.RemoteProtocolError("dropped"), OutcomeUnknown, "E-SERVER"),
    (HTML, OutcomeUnknown, "E-SERVER"),
    (httpx.Response(201, content=b'{"draftInvoiceNu'), OutcomeUnknown, "E-SERVER"),
    (httpx.Response(201, content=b""), OutcomeUnknown, "E-SERVER"),
    (reply({"errorCode": "PayloadChanged"}, 400), OutcomeUnknown, "E-IDEMPOTENCY"),
    (reply({}, 429, Retry_After="3"), NotSent, "E-RATE"),
    (reply({"errorCode": "E04870", "message": "barred"}, 400), Refused, "E-PERIOD"),
    (reply({"errorCode": "E02250"}, 401), NotAuthorised, "E-CONN-GRANT"),
]


@pytest.mark.parametrize(("step", "kind", "code"), WRITES)
async def test_a_write_is_sent_once_whatever_happens(step: httpx.Response | Exception, kind: type[Exception], code: str) -> None:
    http, seen, _ = scripted(step)
    with pytest.raises(kind) as caught:
        await http.write("POST", "/invoices/drafts", b"{}", "key-1")
    assert (len(seen), http.requests.writes, http.requests.reads) == (1, 1, 0)
    assert getattr(caught.value, "code", None) == code
    assert isinstance(caught.value, LedgerAnswerError | NotAuthorised)


async def test_a_write_carries_tokens_key_and_the_bytes_as_they_are() -> None:
    http, seen, _ = scripted(reply({"n": 1}, 201, X_RequestId="r-9", X_ResultFromCache="true"))
    answer = await http.write("POST", "/customers", b'{"name":"\xc3\x98"}', "key-1")
    sent = seen[0]
    assert (answer.request_id, answer.from_cache, answer.status) == ("r-9", True, 201)
    assert sent.content == b'{"name":"\xc3\x98"}'
    assert [sent.headers[name] for name in ("X-AppSecretToken", "X-AgreementGrantToken", "Idempotency-Key")] == [
        "secret",
        "grant",
        "key-1",
    ]
    assert sent.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("method", "path"),
    [("DELETE", "/invoices/drafts/1"), ("PUT", "/customers/"), ("POST", "/invoices//drafts"), ("PUT", ""), ("GET", "/self")],
)
async def test_what_could_destroy_is_never_sent(method: str, path: str) -> None:
    http, seen, _ = scripted()
    with pytest.raises(ValueError, match="refused to send"):
        await http.write(method, path, b"{}", "key")
    assert not seen


async def test_pages_are_read_to_the_end_once_each() -> None:
    fake = FakeLedger()
    fake.collections["/customers"] = customers(2345)
    items, total = await client(fake.answer).items("/customers", sort="customerNumber")
    assert ([item["customerNumber"] for item in items], total, len(fake.seen)) == (list(range(1, 2346)), 2345, 3)
    assert [dict(request.url.params)["pagesize"] for request in fake.seen] == ["1000"] * 3


async def test_a_list_that_moves_while_it_is_read_is_read_again() -> None:
    fake = FakeLedger()
    fake.collections["/customers"] = customers(1500)

    def deleting(request: httpx.Request) -> httpx.Response:
        answer = fake.answer(request)
        if len(fake.seen) == 1:
            del fake.collections["/customers"][0]
        return answer

    items, _ = await client(deleting).items("/customers", sort="customerNumber")
    assert {item["customerNumber"] for item in items} == set(range(2, 1501))


async def test_no_more_calls_are_in_flight_than_allowed() -> None:
    flying, most = 0, 0

    async def slow(request: httpx.Request) -> httpx.Response:
        nonlocal flying, most
        flying += 1
        most = max(most, flying)
        await asyncio.sleep(0)
        flying -= 1
        return reply({"collection": []})

    clock = Clock()
    http = EconomicClient("s", "g", transport=httpx.MockTransport(slow), clock=clock, sleep=clock.sleep, concurrency=3)
    await asyncio.gather(*(http.read(f"/units/{n}") for n in range(20)))
    assert most == 3


@pytest.mark.parametrize(
    ("used", "seconds"),
    [(147, 0.0), (8000, 0.0), (9000, 0.036), (9800, 0.18), (10000, 0.36), (12000, 0.36)],
)
async def test_calls_are_spaced_as_the_bucket_fills(used: int, seconds: float) -> None:
    clock = Clock()
    pace = Pace(concurrency=1, clock=clock, sleep=clock.sleep, requests=Requests())
    pace.heard({"X-RateLimiting": f"token-limit-10000-per-60-seconds: {used}/10000", "X-CallCost": "3"})
    assert pace.spacing() == pytest.approx(seconds)


async def test_an_old_reading_of_the_bucket_loses_its_weight() -> None:
    clock = Clock()
    pace = Pace(concurrency=1, clock=clock, sleep=clock.sleep, requests=Requests())
    pace.heard({"X-RateLimiting": "token-limit-10000-per-60-seconds: 9900/10000", "X-CallCost": "3"})
    clock.now += 30
    assert pace.spacing() == 0


@pytest.mark.parametrize("told", ["", "L", "token-limit-0-per-60-seconds: 1/0", "9999"])
async def test_headers_that_say_nothing_slow_nothing_down(told: str) -> None:
    clock = Clock()
    pace = Pace(concurrency=1, clock=clock, sleep=clock.sleep, requests=Requests())
    pace.heard({"X-RateLimiting": told, "X-CallCost": "L"})
    assert pace.spacing() == 0
