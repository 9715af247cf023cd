"""Questions to VIES: what counts as an answer, what is asked again, and when a register is left alone."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from cloudify_pipeline.accounting.vat_evidence import Answer
from cloudify_pipeline.sandbox.faults import Fault, Faults
from cloudify_pipeline.sandbox.vies import PATH, ViesStore, create_app
from cloudify_pipeline.vies.client import Silence, Vies

NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)
BASE = "https://ec.europa.eu/taxation_customs/vies/rest-api"
YES = {"countryCode": "DE", "vatNumber": "136695976", "valid": True, "requestIdentifier": "", "name": "---", "address": "---"}


async def _nap(seconds: float) -> None:
    assert seconds >= 0


def asked(*steps: httpx.Response | Exception, requester: str | None = None) -> tuple[Vies, list[httpx.Request]]:
    """VIES that answers with `steps`, the last of which goes on for good."""
    seen: list[httpx.Request] = []
    left: Iterator[httpx.Response | Exception] = iter(steps[:-1])

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        step = next(left, steps[-1])
        if isinstance(step, Exception):
            raise step
        return step

    return Vies(BASE, requester=requester, clock=lambda: NOW, transport=httpx.MockTransport(answer), sleep=_nap), seen


def error(code: str, status: int = 200) -> httpx.Response:
    return httpx.Response(status, json={"actionSucceed": False, "errorWrappers": [{"error": code}]})


def yes(**more: Any) -> httpx.Response:
    return httpx.Response(200, json={**YES, **more})


async def test_the_question_and_its_answer() -> None:
    told = yes(requestIdentifier="WAPIAAAAZ0000001", name=" Musterfirma\0 GmbH\t", address="Musterweg 1\n10115 Berlin")
    vies, seen = asked(told, requester="dk 13 58 56 28")
    found = await vies.check("de 136.695.976")
    assert found == Answer(
        "DE136695976", "vies", True, NOW, "Musterfirma GmbH", "Musterweg 1\n10115 Berlin", "WAPIAAAAZ0000001", "DK13585628"
    )
    (request,) = seen
    assert (request.method, str(request.url)) == ("POST", f"{BASE}/check-vat-number")
    assert json.loads(request.content) == {
        "countryCode": "DE",
        "vatNumber": "136695976",
        "requesterMemberStateCode": "DK",
        "requesterNumber": "13585628",
    }


@pytest.mark.parametrize(
    ("number", "country", "digits"),
    [
        ("EL123456789", "EL", "123456789"),
        ("GR123456789", "EL", "123456789"),
        ("XI123456789", "XI", "123456789"),
        ("ATU12345678", "AT", "U12345678"),
    ],
)
async def test_countries_as_vies_writes_them(number: str, country: str, digits: str) -> None:
    vies, seen = asked(yes(countryCode=country, vatNumber=digits))
    found = await vies.check(number)
    assert isinstance(found, Answer)
    assert found.number == number
    assert json.loads(seen[0].content) == {"countryCode": country, "vatNumber": digits}


async def test_what_a_member_state_does_not_tell_is_nothing() -> None:
    vies, _ = asked(yes(valid=False))
    found = await vies.check("DE136695976")
    assert isinstance(found, Answer)
    assert (found.valid, found.name, found.address, found.consultation_number) == (False, None, None, None)


PASSING: dict[str, httpx.Response | Exception] = {
    "500": httpx.Response(500, text=""),
    "502": httpx.Response(502, html="<h1>Bad Gateway</h1>"),
    "429": httpx.Response(429),
    "a page with status 200": httpx.Response(200, html="<p>maintenance</p>"),
    "cut off": httpx.Response(200, content=b'{"countryCode":"DE","val'),
    "a list": httpx.Response(200, json=[]),
    "no verdict": httpx.Response(200, json={"countryCode": "DE", "vatNumber": "136695976"}),
    "a verdict that is none": yes(valid="true"),
    "no connection": httpx.ConnectError("refused"),
    "no answer in time": httpx.ReadTimeout("slow"),
    "dropped": httpx.RemoteProtocolError("dropped"),
    "a member state": error("MS_UNAVAILABLE"),
    "too many": error("MS_MAX_CONCURRENT_REQ"),
    "too many in all": error("GLOBAL_MAX_CONCURRENT_REQ", 400),
    "the service": error("SERVICE_UNAVAILABLE", 500),
    "a code nobody knows": error("VOW-ERR-1", 500),
    "beside a no": yes(valid=False, userError="MS_UNAVAILABLE"),
    "failed, and no word why": httpx.Response(200, json={"actionSucceed": False}),
}


@pytest.mark.parametrize("step", PASSING.values(), ids=PASSING)
async def test_what_may_pass_is_asked_again_and_is_never_a_no(step: httpx.Response | Exception) -> None:
    vies, seen = asked(step, yes())
    assert isinstance(await vies.check("DE136695976"), Answer)
    assert len(seen) == vies.requests == 2
    vies, seen = asked(step)
    silence = await vies.check("DE136695976")
    assert isinstance(silence, Silence)
    assert silence.reason.startswith("could not be reached (")
    assert len(seen) == 3


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (error("INVALID_INPUT", 400), "does not take the question (INVALID_INPUT)"),
        (error("INVALID_REQUESTER_INFO"), "does not know vat.evidence.requester (INVALID_REQUESTER_INFO)"),
        (error("VAT_BLOCKED"), "has blocked the number (VAT_BLOCKED)"),
        (yes(valid=False, userError="IP_BLOCKED"), "has blocked this machine's address (IP_BLOCKED)"),
        (yes(vatNumber="999999999"), "answered about another number"),
        (yes(countryCode="AT"), "answered about another number"),
    ],
)
async def test_what_another_try_would_not_change_is_asked_once(step: httpx.Response, reason: str) -> None:
    vies, seen = asked(step)
    silence = await vies.check("DE136695976")
    assert (isinstance(silence, Silence) and silence.reason, len(seen)) == (reason, 1)


async def test_words_of_the_service_do_not_travel() -> None:
    vies, _ = asked(error("<script>alert(1)</script> for DE136695976", 500))
    assert await vies.check("DE136695976") == Silence("could not be reached (UNKNOWN_ERROR)")


def by_state(answers: dict[str, httpx.Response]) -> tuple[Vies, list[str]]:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        question = json.loads(request.content)
        seen.append(question["countryCode"])
        default = yes(countryCode=question["countryCode"], vatNumber=question["vatNumber"])
        return answers.get(question["countryCode"], default)

    return Vies(BASE, transport=httpx.MockTransport(answer), sleep=_nap), seen


async def test_a_member_state_that_is_out_of_order_is_left_alone_and_the_others_are_asked() -> None:
    vies, seen = by_state({"DE": error("MS_MAX_CONCURRENT_REQ")})
    german = [await vies.check(f"DE13669597{last}") for last in range(6)]
    assert [one.reason for one in german if isinstance(one, Silence)] == ["could not be reached (MS_MAX_CONCURRENT_REQ)"] * 6
    assert seen == ["DE"] * 9
    assert isinstance(await vies.check("FR40303265045"), Answer)


async def test_a_service_that_is_out_of_order_is_left_alone() -> None:
    vies, seen = by_state({"DE": httpx.Response(503)})
    assert isinstance(await vies.check("DE136695976"), Silence)
    assert await vies.check("FR40303265045") == Silence("could not be reached (HTTP 503)")
    assert len(seen) == 3


async def test_slow_answers_do_not_hold_up_a_run_for_longer_than_minutes() -> None:
    seconds = iter(range(0, 10_000, 100))

    def answer(request: httpx.Request) -> httpx.Response:
        return yes(vatNumber=json.loads(request.content)["vatNumber"])

    transport = httpx.MockTransport(answer)
    vies = Vies(BASE, transport=transport, sleep=_nap, monotonic=lambda: float(next(seconds)))
    found = [await vies.check(f"DE13669597{last}") for last in range(5)]
    assert [isinstance(one, Answer) for one in found] == [True, True, False, False, False]
    assert found[-1] == Silence("was not asked any more after 300 seconds of this run")
    assert vies.requests == 2


@pytest.fixture
def store() -> ViesStore:
    made = ViesStore()
    made.register("DE136695976", "Musterfirma GmbH", "Musterweg 1")
    return made


def embedded(store: ViesStore, *faults: Fault, requester: str | None = None) -> Vies:
    armed = Faults()
    for fault in faults:
        armed.add(fault)
    transport = httpx.ASGITransport(create_app(store, armed, clock=lambda: NOW))
    return Vies(f"https://vies.test{PATH}", requester=requester, clock=lambda: NOW, transport=transport, sleep=_nap)


async def test_the_embedded_vies_tells_who_has_a_number_and_gives_a_consultation_number_to_a_requester(store: ViesStore) -> None:
    known = await embedded(store, requester="DK13585628").check("DE136695976")
    assert isinstance(known, Answer)
    assert (known.valid, known.name, known.consultation_number) == (True, "Musterfirma GmbH", "WAPIAAAAZ0000001")
    unknown = await embedded(store).check("DE811569869")
    assert isinstance(unknown, Answer)
    assert (unknown.valid, unknown.name, unknown.consultation_number) == (False, None, None)
    assert await embedded(store, requester="GB123456789").check("DE136695976") == Silence(
        "does not know vat.evidence.requester (INVALID_REQUESTER_INFO)"
    )


BAD: list[tuple[str, Callable[[ViesStore], None], tuple[Fault, ...], str | None]] = [
    ("out of order", lambda store: store.out_of_order("DE"), (), "could not be reached (MS_UNAVAILABLE)"),
    ("another state", lambda store: store.out_of_order("FR"), (), None),
    ("all", lambda store: store.out_of_order("*", "SERVICE_UNAVAILABLE"), (), "could not be reached (SERVICE_UNAVAILABLE)"),
    ("a gateway", lambda store: None, (Fault(status=502, times=None, server="vies"),), "could not be reached (HTTP 502)"),
    ("a gateway, once", lambda store: None, (Fault(status=502, server="vies"),), None),
    ("cut off", lambda store: None, (Fault(kind="truncated_page", times=2, server="vies"),), None),
    ("silence", lambda store: None, (Fault(kind="drop_before", server="vies"), Fault(kind="timeout_after_commit")), None),
]  # fmt: skip


@pytest.mark.parametrize(("arm", "faults", "reason"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
async def test_on_a_bad_day(
    store: ViesStore, arm: Callable[[ViesStore], None], faults: tuple[Fault, ...], reason: str | None
) -> None:
    arm(store)
    found = await embedded(store, *faults).check("DE136695976")
    assert (found.reason if isinstance(found, Silence) else None) == reason
