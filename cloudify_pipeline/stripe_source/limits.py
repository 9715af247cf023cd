"""How often Stripe may be asked. Half of what it allows: other software reads the same account.

Stripe's own limits: 25 requests a second for each endpoint, and 100 for a live account or 25 for a sandbox
(docs.stripe.com/rate-limits). A bucket that may burst passes at most twice its rate in one second, so 12 stays under 25.
"""

import ipaddress
from contextlib import AsyncExitStack

import httpx
from aiolimiter import AsyncLimiter


class Limits:
    """Requests a second, in all and for each endpoint; None is no limit. One instance belongs to one event loop."""

    def __init__(self, *, total: float | None, per_endpoint: float | None) -> None:
        self.total = total
        self.per_endpoint = per_endpoint
        self._total = None if total is None else AsyncLimiter(total, 1)
        self._endpoints: dict[str, AsyncLimiter] = {}

    @classmethod
    def of_key(cls, api_key: str) -> "Limits":
        """The limits for an account, told by its key: a sandbox is given a quarter of a live account's."""
        sandbox = api_key.startswith(("sk_test_", "rk_test_"))
        return cls(total=10, per_endpoint=10) if sandbox else cls(total=40, per_endpoint=12)

    @classmethod
    def none(cls) -> "Limits":
        """No limits: for a server on this machine."""
        return cls(total=None, per_endpoint=None)

    async def wait(self, path: str) -> None:
        """Return when a request to `path` may be sent."""
        async with AsyncExitStack() as stack:
            if self.per_endpoint is not None:
                endpoint = _endpoint(path)
                limiter = self._endpoints.setdefault(endpoint, AsyncLimiter(self.per_endpoint, 1))
                await stack.enter_async_context(limiter)
            if self._total is not None:
                await stack.enter_async_context(self._total)


def is_loopback(url: str) -> bool:
    """Whether `url` is a server on this machine."""
    host = httpx.URL(url).host
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _endpoint(path: str) -> str:
    """``/v1/invoices/in_1/lines`` is the endpoint ``invoices/*/lines``: an id names an object, not an endpoint."""
    parts = path.strip("/").split("/")[1:]
    return "/".join("*" if position == 1 else part for position, part in enumerate(parts))
