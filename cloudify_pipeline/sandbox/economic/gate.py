"""What every request passes before it reaches a resource: tokens, role, licence, budget, idempotency key."""

import hashlib
import time
from collections.abc import Callable
from datetime import datetime

from cloudify_pipeline.sandbox.economic.errors import (
    INVALID_GRANT,
    READ_ONLY_LICENCE,
    ApiError,
    problem,
    refusal,
    stamped,
)
from cloudify_pipeline.sandbox.economic.exchange import Reply, Request
from cloudify_pipeline.sandbox.economic.store import CachedAnswer, EconomicStore, decode, encode

_MINUTE = 60.0
_BOOKKEEPING = frozenset({"accounts", "accounting-years", "accountingyearsapi"})
_SALES = frozenset({"self", "customers", "customer-groups", "invoices", "orders"})


def authorise(store: EconomicStore, request: Request) -> None:
    """Refuse a call whose tokens, role or licence do not allow it (401, 403)."""
    secret, grant = request.headers.get("x-appsecrettoken"), request.headers.get("x-agreementgranttoken")
    demo = (secret, grant) == ("demo", "demo") or request.query.get("demo") == "true"
    if not demo and (secret is None or grant is None):
        raise ApiError(401, {"message": "Unauthorized access (Unauthorized)."})
    genuine = (secret, grant) == (store.fact("app_secret_token"), store.fact("agreement_grant_token"))
    if not demo and (not genuine or store.fact("revoked")):
        raise ApiError(401, INVALID_GRANT)
    first = request.path.strip("/").split("/", 1)[0].lower()
    role = store.fact("role", "SuperUser")
    if (role == "Sales" and first in _BOOKKEEPING) or (role == "Bookkeeping" and first in _SALES):
        raise refusal(403, "You do not have the required role to access this resource.")
    if request.method != "GET" and (demo or store.fact("read_only_licence")):
        raise ApiError(403, READ_ONLY_LICENCE)


class Budget:
    """The agreement's token bucket: so many tokens a minute, shared by everything that calls.

    It runs on a monotonic clock, so that a demo with a standing calendar still gets its tokens back.
    """

    def __init__(self, store: EconomicStore, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._monotonic = monotonic
        self._used = 0.0
        self._at = monotonic()

    def _leak(self) -> None:
        now = self._monotonic()
        self._used = max(0.0, self._used - (now - self._at) * self._store.rate_limit / _MINUTE)
        self._at = now

    def admit(self) -> None:
        """Refuse with 429 and Retry-After when the minute's tokens are spent."""
        self._leak()
        over = self._used - self._store.rate_limit
        if over >= 0:
            wait = str(int((over + 1) * _MINUTE / self._store.rate_limit) + 1)
            raise ApiError(429, {"message": "Too many requests."}, {"Retry-After": wait})

    def charge(self, cost: int) -> dict[str, str]:
        """Take `cost` tokens; returns the headers that say so."""
        self._used += cost
        limit = self._store.rate_limit
        return {"X-CallCost": str(cost), "X-RateLimiting": f"token-limit-{limit}-per-60-seconds: {int(self._used)}/{limit}"}


def once(store: EconomicStore, request: Request, carry_out: Callable[[], Reply]) -> Reply:
    """Carry out a write once per ``Idempotency-Key`` and hour.

    What was done is remembered; refusals are where the fact ``remembers_refusals`` is set: nobody has seen what the live
    server does.
    """
    key = request.headers.get("idempotency-key")
    if key is None:
        return carry_out()
    now: datetime = request.now
    url, body_hash = f"{request.method} {request.path}", hashlib.sha256(request.content).hexdigest()
    known = store.cached_answer(key, now)
    if known is not None:
        if known.url != url:
            raise problem(400, "URL must be the same when using the same Idempotency key.", "URLChanged")
        if known.body_hash != body_hash:
            raise problem(400, "Content must be the same when using the same Idempotency key.", "PayloadChanged")
        headers = {"X-ResultFromCache": "true"}
        if known.location is not None:
            headers["Location"] = known.location
        return Reply(known.status, decode(known.answer), headers)
    try:
        with store.transaction():
            reply = carry_out()
            answer = CachedAnswer(url, body_hash, reply.status, encode(reply.body), reply.headers.get("Location"))
            store.cache_answer(key, answer, now)
    except ApiError as refused:
        if store.fact("remembers_refusals"):
            body = encode(stamped(refused, now))
            store.cache_answer(key, CachedAnswer(url, body_hash, refused.status, body, None), now)
        raise
    return reply
