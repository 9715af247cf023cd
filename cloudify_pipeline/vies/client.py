"""Questions to VIES, one for each number: repeated until there is an answer, and left alone where it is out of order.

The member states answer for themselves, seldom all of them at once. No answer is never taken for "not valid": the service
tells an outage with status 200, or in a field beside ``valid: false`` (docs/unverified.md names what is assumed).
"""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx
import orjson
import tenacity
from aiolimiter import AsyncLimiter

from cloudify_pipeline.accounting.vat import plain_number
from cloudify_pipeline.accounting.vat_evidence import Answer
from cloudify_pipeline.settings.local import LOOPBACK
from cloudify_pipeline.tls import tls

ATTEMPTS = 3
TIMEOUT = httpx.Timeout(30.0, connect=10.0)
"""A member state may take a quarter of a minute."""
WAIT: Any = tenacity.wait_random_exponential(multiplier=1, max=8)
_PER_SECOND = 4
_AT_ONCE = 4
_PATIENCE = 3
"""Numbers of one member state without an answer, in a row, after which it is not asked any more in this run."""
LONGEST = 300.0
"""Seconds of questions in one run: the sales at home wait behind them. What is left is asked by the next run."""

Scope = Literal["number", "state", "service"]
_ANSWERED = frozenset({"", "VALID", "INVALID"})
_REFUSALS: Mapping[str, tuple[str, Scope]] = {
    "INVALID_INPUT": ("does not take the question", "number"),
    "VAT_BLOCKED": ("has blocked the number", "number"),
    "IP_BLOCKED": ("has blocked this machine's address", "service"),
    "INVALID_REQUESTER_INFO": ("does not know vat.evidence.requester", "service"),
}
"""What another try would not change."""
_STATE = re.compile(r"MS_\w+|TIMEOUT")
_CODE = re.compile(r"[A-Z][A-Z0-9_-]{2,60}")


@dataclass(frozen=True, slots=True)
class Silence:
    """Why there is no answer, in words that follow "VIES". `scope` is what is out of order."""

    reason: str
    scope: Scope = "service"


class _TryAgainError(Exception):
    def __init__(self, silence: Silence) -> None:
        super().__init__(silence.reason)
        self.silence = silence


class Vies:
    """One run's questions. `requester` is the seller's own VAT number, without which there are no consultation numbers.

    `transport`, `sleep`, `clock` and `monotonic` are for tests; a server on this machine is asked as fast as it answers.
    """

    def __init__(
        self,
        api_base: str,
        *,
        requester: str | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        attempts: int = ATTEMPTS,
        timeout: httpx.Timeout = TIMEOUT,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        local = urlsplit(api_base).hostname in LOOPBACK
        self._url = f"{api_base.rstrip('/')}/check-vat-number"
        self._requester = requester and plain_number(requester)
        self._clock = clock
        self._attempts = attempts
        self._sleep = sleep
        self._monotonic = monotonic
        self._until = monotonic() + LONGEST
        self._pace = None if local or transport is not None else AsyncLimiter(_PER_SECOND, 1)
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._failed: Counter[str] = Counter()
        self._down: dict[str, Silence] = {}
        self._http = httpx.AsyncClient(
            headers={"Accept": "application/json"}, timeout=timeout, transport=transport, verify=tls(), trust_env=not local
        )
        self.requests = 0
        """Requests sent so far, repeats included."""

    async def close(self) -> None:
        """Let go of connections."""
        await self._http.aclose()

    async def check(self, number: str) -> Answer | Silence:
        """What VIES says of `number`, a VAT number with its country in front."""
        plain = plain_number(number)
        country, digits = _split(plain)
        async with self._slots:
            down = self._down.get("service") or self._down.get(country)
            if down is not None:
                return down
            if self._monotonic() >= self._until:
                return Silence(f"was not asked any more after {LONGEST:.0f} seconds of this run")
            retrying = tenacity.AsyncRetrying(
                sleep=self._sleep,
                stop=tenacity.stop_after_attempt(self._attempts),
                wait=WAIT,
                retry=tenacity.retry_if_exception_type(_TryAgainError),
                reraise=True,
            )
            found: Answer | Silence
            try:
                found = await retrying(self._ask, plain, country, digits)
            except _TryAgainError as error:
                found = error.silence
            self._learn(found, country)
            return found

    def _learn(self, found: Answer | Silence, country: str) -> None:
        if isinstance(found, Answer):
            self._failed[country] = 0
        elif found.scope == "service":
            self._down["service"] = found
        elif found.scope == "state":
            self._failed[country] += 1
            if self._failed[country] >= _PATIENCE:
                self._down[country] = found

    async def _ask(self, plain: str, country: str, digits: str) -> Answer | Silence:
        question = {"countryCode": country, "vatNumber": digits}
        if self._requester:
            question["requesterMemberStateCode"], question["requesterNumber"] = _split(self._requester)
        if self._pace is not None:
            await self._pace.acquire()
        self.requests += 1
        try:
            answer = await self._http.post(self._url, json=question)
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise _TryAgainError(_unreached(type(error).__name__)) from error
        data = _document(answer.content)
        code = _code(data)
        if code not in _ANSWERED:
            return _refusal(code)
        if answer.status_code != httpx.codes.OK:
            raise _TryAgainError(_unreached(f"HTTP {answer.status_code}"))
        valid = data.get("valid")
        if not isinstance(valid, bool):
            raise _TryAgainError(_unreached("an answer that is not whole"))
        about = f"{data.get('countryCode', country)}{data.get('vatNumber', digits)}"
        if plain_number(about) != f"{country}{digits}":
            return Silence("answered about another number", "number")
        return Answer(
            plain,
            "vies",
            valid,
            self._clock(),
            name=_told(data.get("name")),
            address=_told(data.get("address")),
            consultation_number=_told(data.get("requestIdentifier")),
            requester=self._requester,
        )


def _split(plain: str) -> tuple[str, str]:
    """Country as VIES writes it, and the rest: Greece is EL there."""
    country = plain[:2]
    return ("EL" if country == "GR" else country), plain[2:]


def _document(body: bytes) -> Mapping[str, Any]:
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return data if isinstance(data, Mapping) else {}


def _code(data: Mapping[str, Any]) -> str:
    """The service's word for what went wrong, wherever it stands; empty when nothing did."""
    errors = data.get("errorWrappers")
    if isinstance(errors, list) and errors and isinstance(errors[0], Mapping):
        told = str(errors[0].get("error") or "no code")
    elif data.get("actionSucceed") is False:
        told = "no code"
    else:
        told = str(data.get("userError") or "")
    return told if not told or _CODE.fullmatch(told) else "UNKNOWN_ERROR"


def _refusal(code: str) -> Silence:
    known = _REFUSALS.get(code)
    if known is not None:
        return Silence(f"{known[0]} ({code})", known[1])
    raise _TryAgainError(_unreached(code, "state" if _STATE.fullmatch(code) else "service"))


def _unreached(why: str, scope: Scope = "service") -> Silence:
    return Silence(f"could not be reached ({why})", scope)


def _told(value: object) -> str | None:
    """A text of the answer; dashes stand for what a member state does not tell."""
    # A database may refuse control characters.
    text = "".join(sign for sign in str(value or "") if sign.isprintable() or sign == "\n").strip()
    return text if text.strip("- ") else None
