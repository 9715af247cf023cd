"""What keeps a request from its answer: injected faults, and the rate limit."""

import threading
import time
from collections import deque

import orjson
from starlette.types import ASGIApp, Send

from cloudify_pipeline.sandbox.faults import Answers, Fault, FaultMiddleware, Faults
from cloudify_pipeline.sandbox.stripe import errors
from cloudify_pipeline.sandbox.stripe.errors import StripeFault
from cloudify_pipeline.sandbox.stripe.store import StripeStore


def _answers(store: StripeStore) -> Answers:
    revoked = StripeFault(401, f"Expired API Key provided: {errors.masked(store.secret_key)}", code="api_key_expired")
    rights = errors.forbidden(store.restricted_key, "rak_invoice_write", store.account)
    return {"revoked": (revoked.status, revoked.body), "read_only_licence": (rights.status, rights.body)}


class StripeFaults(FaultMiddleware):
    """Puts armed faults in front of the API; injected statuses are answered in Stripe's own words."""

    def __init__(self, app: ASGIApp, faults: Faults, store: StripeStore) -> None:
        super().__init__(app, faults, "stripe", _answers(store))

    async def _answer(self, fault: Fault, send: Send) -> None:
        if fault.kind != "status" or fault.status == 502:
            await super()._answer(fault, send)
            return
        if fault.status == 429:
            told = errors.rate_limited("endpoint-rate")
            told.headers["Retry-After"] = str(fault.retry_after)
        elif fault.status == 409:
            told = StripeFault(409, "This object cannot be accessed right now because another API request or Stripe process is "
                               "currently accessing it.", code="lock_timeout")  # fmt: skip
        else:
            told = StripeFault(fault.status, "An unknown error occurred", type_="api_error")
        body = orjson.dumps(told.body, option=orjson.OPT_INDENT_2)
        headers = {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "Request-Id": "req_injected",
            **told.headers,
        }
        pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": told.status, "headers": pairs})
        await send({"type": "http.response.body", "body": body})


class Limiter:
    """At most so many requests per endpoint in any one second."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._lock = threading.Lock()
        self._seen: dict[str, deque[float]] = {}

    def admit(self, endpoint: str) -> None:
        """Raises the 429 of Stripe when the second is used up."""
        with self._lock:
            seen = self._seen.setdefault(endpoint, deque())
            now = time.monotonic()
            while seen and seen[0] <= now - 1:
                seen.popleft()
            if len(seen) >= self._per_second:
                raise errors.rate_limited("endpoint-rate")
            seen.append(now)
