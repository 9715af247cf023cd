"""Reading Stripe: pages of raw objects, at the pinned API version, within Stripe's limits, retried until they are whole.

The official SDK builds its objects at 450 invoices a second; splitting the raw bytes is forty times faster, and staging
wants the bytes. Writing goes through the SDK (:mod:`.metadata`).
"""

import asyncio
import email.utils
import random
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
import msgspec
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt

from cloudify_pipeline.clocks import ahead_of
from cloudify_pipeline.errors import NotAuthorised, Unreachable
from cloudify_pipeline.stripe_objects import RawObject, key_mode
from cloudify_pipeline.stripe_source.errors import code_of, own_words
from cloudify_pipeline.stripe_source.limits import Limits, is_loopback
from cloudify_pipeline.tls import tls

PAGE_SIZE = 100
RETRIES = 6
LONGEST_PAUSE = 120.0
"""Seconds; a server that asks for more is met again by the next run."""
TIMEOUT = httpx.Timeout(80, connect=30)

T = TypeVar("T")
Params = Mapping[str, str | int | Sequence[str] | Mapping[str, int]]

_RIGHT = re.compile(r"\brak_[a-z_]+\b")
_ACCOUNT = re.compile(r"\bacct_[A-Za-z0-9]+\b")


class RequestRefused(Unreachable):
    """Stripe says that the request itself is wrong (400, 404, …); repeating it would not help."""

    def __init__(self, message: str, *, code: str, status: int, param: str | None) -> None:
        super().__init__(message, code=code)
        self.status = status
        self.param = param


class RightMissing(NotAuthorised):
    """The key lacks a right (403). `account` is the one that Stripe names in its refusal, where it names one."""

    def __init__(self, message: str, account: str | None) -> None:
        super().__init__(message, code="E-CONN-ROLE")
        self.account = account


class _TryAgain(Exception):
    """A passing trouble; `after` is what Retry-After asked for, in seconds."""

    def __init__(self, reason: str, *, rate: bool = False, after: float | None = None) -> None:
        super().__init__(reason)
        self.rate = rate
        self.after = after


class _Identity(msgspec.Struct):
    id: str
    created: int = 0
    deleted: bool = False


class _List(msgspec.Struct):
    data: list[msgspec.Raw]
    has_more: bool


_identity = msgspec.json.Decoder(_Identity)
_list = msgspec.json.Decoder(_List)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list, newest first."""

    objects: tuple[RawObject, ...]
    has_more: bool


class StripeReader:
    """GET requests to one Stripe account.

    `limits` overrides the rate limits that the key and the host imply (none for a server on this machine). `attempts` and
    `timeout` say how long a silent server is waited for. `rates`: payments come with the rate at which Stripe converted them,
    for which the key needs a right of its own. `transport`, `sleep` and `clock` are for tests and embedded servers.

    Raises:
        NotAuthorised: from the constructor when the key is one that cannot read.
    """

    def __init__(
        self,
        api_key: str,
        *,
        api_base: str,
        api_version: str,
        transport: httpx.AsyncBaseTransport | None = None,
        limits: Limits | None = None,
        attempts: int = 1 + RETRIES,
        timeout: httpx.Timeout = TIMEOUT,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        rates: bool = False,
    ) -> None:
        if api_key.startswith("pk_"):
            raise NotAuthorised(
                "the Stripe key is a publishable one (pk_…), which cannot read invoices; use a restricted key (rk_…)"
            )
        unlimited = is_loopback(api_base)
        self._limits = limits or (Limits.none() if unlimited else Limits.of_key(api_key))
        self._attempts = attempts
        self._sleep = sleep
        self._clock = clock
        self._client = httpx.AsyncClient(
            base_url=api_base,
            headers={"Authorization": f"Bearer {api_key}", "Stripe-Version": api_version, "Accept-Encoding": "gzip"},
            timeout=timeout,
            transport=transport,
            verify=tls(),
            trust_env=not unlimited,
        )
        self.key_is_live = bool(key_mode(api_key))
        """Whether the key says that it belongs to live mode."""
        self.rates = rates
        self.requests = 0
        """Requests sent so far, repeats included."""
        self.ahead: timedelta | None = None
        """How far Stripe's clock was ahead of ours at its last answer."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def page(self, path: str, params: Params) -> Page:
        """One page of a list.

        Raises:
            NotAuthorised: the key is refused or lacks a right.
            RequestRefused: a parameter is wrong.
            Unreachable: no whole answer after every retry.
        """
        return await self._read(path, {"limit": PAGE_SIZE, **params}, _page)

    async def retrieve(self, path: str, params: Params | None = None) -> RawObject | None:
        """One object; None when Stripe does not know it. Raises as :meth:`page`."""
        try:
            return await self._read(path, params or {}, raw_object)
        except RequestRefused as refused:
            if refused.status == httpx.codes.NOT_FOUND:
                return None
            raise

    async def _read(self, path: str, params: Params, decode: Callable[[bytes], T]) -> T:
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(_TryAgain),
            stop=stop_after_attempt(self._attempts),
            wait=_pause,
            sleep=self._sleep,
            retry_error_callback=_give_up(path),
        )
        answer: T = await retrying(self._once, path, params, decode)
        return answer

    async def _once(self, path: str, params: Params, decode: Callable[[bytes], T]) -> T:
        await self._limits.wait(path)
        self.requests += 1
        try:
            response = await self._client.get(path, params=httpx.QueryParams(tuple(encode(params))))
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise _TryAgain(f"no answer ({type(error).__name__})") from error
        self.ahead = ahead_of(response.headers.get("Date"), self._clock())
        if response.status_code != httpx.codes.OK:
            raise self._refusal(path, response)
        try:
            return decode(response.content)
        except msgspec.MsgspecError as error:
            # A page cut short is no empty page: taking it for one would lose every object behind it.
            raise _TryAgain("the answer is not whole") from error

    def _refusal(self, path: str, response: httpx.Response) -> Exception:
        """What a status other than 200 means: come again, or stop and why."""
        status = response.status_code
        error = _error(response)
        if status == httpx.codes.UNAUTHORIZED:
            return NotAuthorised("Stripe does not accept the key; make a new restricted key and put it in its place")
        if status == httpx.codes.FORBIDDEN:
            named = _ACCOUNT.search(str(error.get("message") or ""))
            return RightMissing(f"the Stripe key may not read {path}{_missing_right(error)}", named[0] if named else None)
        after = _seconds(response.headers.get("Retry-After"), self._clock)
        if status in {httpx.codes.TOO_MANY_REQUESTS, httpx.codes.CONFLICT}:
            return _TryAgain(f"status {status}", rate=status == httpx.codes.TOO_MANY_REQUESTS, after=after)
        if status >= httpx.codes.INTERNAL_SERVER_ERROR:
            if response.headers.get("Stripe-Should-Retry") == "false":
                return Unreachable(f"Stripe failed at {path} (status {status}) and asks not to be tried again")
            return _TryAgain(f"status {status}", after=after)
        code, param = error.get("code"), error.get("param")
        known = code_of(status, error)
        words = f"status {status}, {code or 'no code'}, {param or 'no parameter named'}"
        if known == "E-UNMAPPED":
            words = f"{own_words(status, error)} (request {response.headers.get('Request-Id', 'without an id')})"
        return RequestRefused(f"Stripe refused {path}: {words}", code=known, status=status, param=param)


def raw_object(body: bytes) -> RawObject:
    """An object's bytes with its id and time; nothing else of it is looked at."""
    identity = _identity.decode(body)
    return RawObject(identity.id, identity.created, body, identity.deleted)


def encode(params: Params) -> list[tuple[str, str]]:
    """Parameters as Stripe's form encoding has them: ``expand[]=a&created[gte]=1``."""
    pairs: list[tuple[str, str]] = []
    for name, value in params.items():
        if isinstance(value, str | int):
            pairs.append((name, str(value)))
        elif isinstance(value, Mapping):
            pairs += [(f"{name}[{key}]", str(one)) for key, one in value.items()]
        else:
            pairs += [(f"{name}[]", one) for one in value]
    return pairs


def _page(body: bytes) -> Page:
    listed = _list.decode(body)
    return Page(tuple(raw_object(bytes(one)) for one in listed.data), listed.has_more)


def _pause(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, _TryAgain) and error.after is not None:
        return min(error.after, LONGEST_PAUSE)
    return random.uniform(1, min(32, 2**state.attempt_number))  # noqa: S311


def _give_up(path: str) -> Callable[[RetryCallState], Any]:
    def stop(state: RetryCallState) -> Any:
        error = state.outcome.exception() if state.outcome else None
        rate = isinstance(error, _TryAgain) and error.rate
        raise Unreachable(f"Stripe gave no usable answer at {path}: {error}", code="E-RATE" if rate else "E-SERVER") from error

    return stop


def _error(response: httpx.Response) -> dict[str, Any]:
    try:
        error = msgspec.json.decode(response.content)["error"]
    except (msgspec.MsgspecError, KeyError, TypeError):
        return {}
    return error if isinstance(error, dict) else {}


def _missing_right(error: dict[str, Any]) -> str:
    # The message repeats the key's end, so only the right's name is taken from it.
    right = _RIGHT.search(str(error.get("message") or ""))
    return f"; it lacks the right {right[0]}" if right else ""


def _seconds(retry_after: str | None, clock: Callable[[], datetime]) -> float | None:
    """Retry-After as seconds from now; it is a number or a date."""
    if not retry_after:
        return None
    if retry_after.replace(".", "", 1).isdigit():
        return float(retry_after)
    try:
        at = email.utils.parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return max(0.0, (at - clock()).total_seconds())
