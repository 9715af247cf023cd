"""HTTP to the ledger's two hosts: reads are repeated until they succeed, writes are sent once.

Both hosts take the same two token headers and share one budget (reference/economic.md §1–§4, §7, §9).
"""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import tenacity

from cloudify_pipeline.clocks import ahead_of
from cloudify_pipeline.errors import NotSent, OutcomeUnknown, Unreachable
from cloudify_pipeline.ledgers.economic import wire
from cloudify_pipeline.ledgers.economic.errors import Fault, read_fault, refusal_of_access, refusal_of_write
from cloudify_pipeline.ledgers.economic.filters import encode
from cloudify_pipeline.ledgers.economic.pace import Pace
from cloudify_pipeline.ledgers.port import Requests
from cloudify_pipeline.tls import tls

API_BASE = "https://restapi.e-conomic.com"
OPENAPI_BASE = "https://apis.e-conomic.com"
PAGE = 1000
"""Largest page the server gives; one more is a 400 (E04810)."""

ATTEMPTS = 6
"""How often a read is sent before the server counts as silent."""
_UNTOLD = 10**9
"""How long a list is taken to be that does not tell: too long to be read whole."""
TIMEOUT = httpx.Timeout(60.0, connect=10.0)
_NEVER_LEFT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reply:
    """A write's confirmed answer."""

    status: int
    data: Any
    request_id: str | None
    from_cache: bool


class _TryAgainError(Exception):
    """A read that may succeed when it is asked again."""

    def __init__(self, message: str, code: str = "E-SERVER") -> None:
        super().__init__(message)
        self.code = code


class EconomicClient:
    """One agreement's connection. `requests` counts what it sent."""

    def __init__(
        self,
        app_secret_token: str,
        agreement_grant_token: str,
        *,
        api_base: str = API_BASE,
        openapi_base: str = OPENAPI_BASE,
        concurrency: int = 6,
        attempts: int = ATTEMPTS,
        timeout: httpx.Timeout = TIMEOUT,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        requests: Requests | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.requests = requests if requests is not None else Requests()
        self._now = now
        self._bases = {False: api_base.rstrip("/"), True: openapi_base.rstrip("/")}
        self._attempts = attempts
        self._sleep = sleep
        # At cost 3 the budget gives 55 calls a second: more than six in flight earn refusals only (performance.md §3).
        self._pace = Pace(concurrency=concurrency, clock=clock, sleep=sleep, requests=self.requests)
        self._http = httpx.AsyncClient(
            headers={
                "X-AppSecretToken": app_secret_token,
                "X-AgreementGrantToken": agreement_grant_token,
                "Content-Type": "application/json",
                "Accept": "application/json",
            },
            timeout=timeout,
            transport=transport,
            verify=tls(),
        )

    async def close(self) -> None:
        """Let go of connections."""
        await self._http.aclose()

    async def read(
        self,
        path: str,
        query: Mapping[str, str | int] | None = None,
        *,
        openapi: bool = False,
        tolerate: Collection[int] = (),
        expect: str | None = None,
    ) -> Any:
        """What stands at `path`, or None when the status is one of `tolerate`. `expect` names a key it must have.

        Raises:
            NotAuthorised: the tokens, role, licence or a module do not suffice.
            Unreachable: no usable answer after every attempt, or a definite refusal of the question.
        """
        url = self._url(path, query, openapi=openapi)
        retrying = tenacity.AsyncRetrying(
            sleep=self._sleep,
            stop=tenacity.stop_after_attempt(self._attempts),
            wait=tenacity.wait_random_exponential(multiplier=0.5, max=20),
            retry=tenacity.retry_if_exception_type(_TryAgainError),
            reraise=True,
        )
        try:
            return await retrying(self._read_once, url, path, tolerate, expect)
        except _TryAgainError as error:
            message = f"e-conomic gave no usable answer to GET {path} in {self._attempts} attempts: {error}"
            raise Unreachable(message, code=error.code) from error

    async def items(
        self, path: str, *, where: str | None = None, sort: str | None = None, keep: Callable[[Any], bool] | None = None
    ) -> tuple[list[Any], int]:
        """Every item of a collection, and how many there are without the filter `where`.

        Of a long list only what `keep` says is held in memory. Pages are numbers, not snapshots: when the count moves while
        they are read, they are read again.
        """
        found: list[Any] = []
        total = 0
        for _ in range(3):
            first = await self._page(path, 0, where, sort, keep)
            pages = math.ceil(_paged(first, "results") / PAGE)
            rest = await asyncio.gather(*(self._page(path, number, where, sort, keep) for number in range(1, pages)))
            answers = [first, *rest]
            while (answers[-1].get("pagination") or {}).get("nextPage") and not answers[-1].get("empty"):
                answers.append(await self._page(path, len(answers), where, sort, keep))
            found = [item for answer in answers for item in answer["collection"]]
            total = (first.get("pagination") or {}).get("resultsWithoutFilter", _UNTOLD)
            if len({_paged(answer, "results") for answer in answers}) == 1:
                break
        return found, total

    async def cursor_items(self, path: str, *, tolerate: Collection[int] = ()) -> list[Any] | None:
        """Every item of a cursor list of the second host; None when its first page has a status of `tolerate`."""
        found: list[Any] = []
        query: dict[str, str | int] = {}
        while True:
            answer = await self.read(path, query, openapi=True, tolerate=tolerate, expect="items")
            if answer is None:
                return None
            found.extend(answer["items"])
            if not answer.get("cursor"):
                return found
            query = {"cursor": answer["cursor"]}

    async def write(
        self, method: str, path: str, body: bytes, idempotency_key: str, *, before: Callable[[], None] = lambda: None
    ) -> Reply:
        """Send `body` once. `before` is called when its turn has come, and stops it by raising.

        Raises:
            NotAuthorised, Refused, NotSent, OutcomeUnknown: see :mod:`cloudify_pipeline.ledgers.port`.
            ValueError: a method or path that this room never sends.
        """
        if method not in {"POST", "PUT"} or not path.startswith("/") or not all(path[1:].split("/")) or not idempotency_key:
            message = f"refused to send {method} {path}"
            raise ValueError(message)
        self.requests.writes += 1
        url = self._url(path, None, openapi=False)
        try:
            async with self._pace.turn():
                before()
                answer = await self._http.request(method, url, content=body, headers={"Idempotency-Key": idempotency_key})
        except _NEVER_LEFT as error:
            raise NotSent(f"{method} {path} did not reach e-conomic: {_name(error)}", code="E-SERVER") from error
        except httpx.RequestError as error:
            raise OutcomeUnknown(f"no answer to {method} {path}: {_name(error)}", code="E-SERVER") from error
        fault = self._hear(answer)
        if fault is not None:
            _log.info("%s %s: %s, request %s", method, path, answer.status_code, fault.request_id)
            raise refusal_of_write(fault)
        request_id = answer.headers.get("X-RequestId")
        try:
            data = wire.parse(answer.content)
        except ValueError as error:
            message = f"the answer to {method} {path} (HTTP {answer.status_code}) was cut off or is not JSON"
            raise OutcomeUnknown(message, code="E-SERVER", status=answer.status_code, request_id=request_id) from error
        from_cache = answer.headers.get("X-ResultFromCache", "").lower() == "true"
        return Reply(answer.status_code, data, request_id, from_cache)

    async def _page(self, path: str, number: int, where: str | None, sort: str | None, keep: Callable[[Any], bool] | None) -> Any:
        query: dict[str, str | int] = {"skippages": number, "pagesize": PAGE}
        query |= {"sort": sort} if sort else {}
        query |= {"filter": where} if where else {}
        answer = await self.read(path, query, expect="collection")
        items = answer["collection"]
        paged = {"results": len(items), **(answer.get("pagination") or {})}
        kept = items if keep is None else [item for item in items if keep(item)]
        return {"pagination": paged, "collection": kept, "empty": not items}

    async def _read_once(self, url: str, path: str, tolerate: Collection[int], expect: str | None) -> Any:
        self.requests.reads += 1
        try:
            async with self._pace.turn():
                answer = await self._http.get(url)
        except httpx.RequestError as error:
            raise _TryAgainError(_name(error)) from error
        fault = self._hear(answer)
        if fault is not None:
            return self._read_refused(fault, path, tolerate)
        try:
            data = wire.parse(answer.content)
        except ValueError as error:
            raise _TryAgainError("the answer was cut off or is not JSON") from error
        if expect is not None and not (isinstance(data, Mapping) and isinstance(data.get(expect), list)):
            raise _TryAgainError(f"the answer has no list {expect!r}")
        return data

    @staticmethod
    def _read_refused(fault: Fault, path: str, tolerate: Collection[int]) -> None:
        if fault.status in tolerate:
            return
        if fault.status in {408, 429} or fault.status >= 500:
            raise _TryAgainError(str(fault), "E-RATE" if fault.status == 429 else "E-SERVER")
        if not_authorised := refusal_of_access(fault):
            raise not_authorised
        raise Unreachable(f"e-conomic refused GET {path}: {fault}", code=fault.code)

    def _hear(self, answer: httpx.Response) -> Fault | None:
        """Learn the budget from `answer`; its fault when it is not a success."""
        self._pace.heard(answer.headers)
        self.requests.ahead = ahead_of(answer.headers.get("Date"), self._now())
        if answer.status_code == 429:
            self._pace.told_to_wait(answer.headers)
        if answer.is_success:
            return None
        return read_fault(answer.status_code, answer.content, answer.headers.get("X-RequestId"))

    def _url(self, path: str, query: Mapping[str, str | int] | None, *, openapi: bool) -> str:
        asked = "&".join(f"{name}={encode(str(value))}" for name, value in (query or {}).items())
        return f"{self._bases[openapi]}{path}" + (f"?{asked}" if asked else "")


def _paged(answer: Mapping[str, Any], name: str) -> int:
    """A count of the pagination block; without one, what the page itself holds."""
    value = (answer.get("pagination") or {}).get(name)
    return value if isinstance(value, int) else len(answer["collection"])


def _name(error: Exception) -> str:
    return f"{type(error).__name__} ({error})" if str(error) else type(error).__name__
