"""The embedded e-conomic as an ASGI application: both hosts' paths on one base address."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qsl, unquote

from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloudify_pipeline.sandbox.economic import gate
from cloudify_pipeline.sandbox.economic.chart import LISTS, Chart
from cloudify_pipeline.sandbox.economic.entries import entries_of_year
from cloudify_pipeline.sandbox.economic.errors import (
    INVALID_GRANT,
    READ_ONLY_LICENCE,
    ApiError,
    not_found,
    problem,
    refusal,
    stamped,
)
from cloudify_pipeline.sandbox.economic.exchange import Reply, Request
from cloudify_pipeline.sandbox.economic.resources import BOOKED, CUSTOMERS, DRAFTS, KINDS, ORDERS, PRODUCTS, Kind, Resources
from cloudify_pipeline.sandbox.economic.store import Call, EconomicStore, encode
from cloudify_pipeline.sandbox.faults import FaultMiddleware, Faults

_SERVICE = ["accountingyearsapi", "v2.0.1", "accountingyears"]
_WRITTEN = (CUSTOMERS, PRODUCTS, DRAFTS, ORDERS)


def _now() -> datetime:
    return datetime.now(UTC)


def create_app(
    store: EconomicStore,
    faults: Faults,
    *,
    clock: Callable[[], datetime] = _now,
    monotonic: Callable[[], float] | None = None,
) -> Starlette:
    """The server on `store`. `clock` dates records and idempotency keys; `monotonic` refills the request budget."""
    budget = gate.Budget(store) if monotonic is None else gate.Budget(store, monotonic)
    server = _Server(store, budget, Chart(store), Resources(store), clock)
    answers = {"revoked": (401, INVALID_GRANT), "read_only_licence": (403, READ_ONLY_LICENCE)}
    return Starlette(routes=[Mount("/", app=_CallLog(FaultMiddleware(server.serve, faults, "economic", answers), store))])


class _CallLog:
    """Notes every request in the store, also the ones that a fault keeps from the server."""

    def __init__(self, app: ASGIApp, store: EconomicStore) -> None:
        self._app = app
        self._store = store

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        status = 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            self._store.count_call(Call(scope["method"], scope["path"], status))


@dataclass(frozen=True, slots=True)
class _Server:
    store: EconomicStore
    budget: gate.Budget
    chart: Chart
    resources: Resources
    clock: Callable[[], datetime]

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        http = HttpRequest(scope, receive)
        raw_path = (scope.get("raw_path") or scope["path"].encode()).split(b"?")[0].decode("ascii", "replace")
        request = Request(
            method=http.method,
            path=raw_path.rstrip("/") or "/",
            query={name.lower(): value for name, value in parse_qsl(scope["query_string"].decode(), keep_blank_values=True)},
            headers={name.lower(): value for name, value in http.headers.items()},
            content=await http.body(),
            base=f"{http.url.scheme}://{http.url.netloc}",
            now=self.clock(),
        )
        with self.store.lock:
            reply = self._answer(request)
        content = b"" if reply.status == 204 else encode(reply.body)
        media = "application/problem+json" if reply.status >= 400 and "title" in reply.body else "application/json; charset=utf-8"
        headers = {"X-RequestId": str(uuid.uuid4()), "X-EconomicVersion": "sandbox", **reply.headers}
        await Response(content, reply.status, headers, None if reply.status == 204 else media)(scope, receive, send)

    def _answer(self, request: Request) -> Reply:
        try:
            self.budget.admit()
            gate.authorise(self.store, request)
            if request.method == "GET":
                reply = self._read(request)
            elif request.method != "DELETE" and not request.headers.get("content-type", "").startswith("application/json"):
                raise refusal(415, "Unsupported media type. Use application/json.")
            else:
                reply = gate.once(self.store, request, lambda: self._write(request))
        except ApiError as refused:
            reply = Reply(refused.status, stamped(refused, request.now), refused.headers)
        reply.headers.update(self.budget.charge(reply.cost))
        return reply

    def _read(self, request: Request) -> Reply:
        match _parts(request):
            case ["self"]:
                return self.chart.about(request)
            case [kind] if kind in LISTS:
                return self.chart.list(request, kind)
            case [kind, key] if kind in LISTS:
                return self.chart.one(request, kind, key)
            case ["product-groups", group, "sales-accounts"]:
                return self.chart.sales_accounts(request, group)
            case ["accounting-years", year, "entries"]:
                return entries_of_year(self.store, request, year)
            case ["accounting-years", year, "periods"]:
                return self.chart.periods_of_year(request, year)
            case [service, version, years, *rest] if [service, version, years.lower()] == _SERVICE:
                return self._service(request, rest)
            case parts:
                kind_of, key_part = _kind(parts)
                return (
                    self.resources.page(request, kind_of) if key_part is None else self.resources.one(request, kind_of, key_part)
                )

    def _service(self, request: Request, rest: list[str]) -> Reply:
        match rest:
            case ["periods"]:
                return self.chart.service_periods(request, None)
            case ["periods", "paged" | "count" as form]:
                return self.chart.service_periods(request, form)
            case []:
                return self.chart.service_years(request, None)
            case ["paged" | "count" as form]:
                return self.chart.service_years(request, form)
        raise problem(404, "Resource not found.", "ResourceNotFound", "The resource you have been looking for does not exist.")

    def _write(self, request: Request) -> Reply:
        parts = _parts(request)
        if parts[0] in LISTS or parts[0] == "self":
            raise _not_allowed()
        kind, key = _kind(parts)
        if key is None:
            if request.method == "DELETE" and kind is DRAFTS:
                return self.resources.remove_all_drafts(request)
            if request.method == "POST" and (kind is BOOKED or kind in _WRITTEN):
                return self.resources.create(request, kind)
        elif request.method == "PUT" and (kind is BOOKED or kind in _WRITTEN):
            return self.resources.replace(request, kind, key)
        elif request.method == "DELETE" and kind in _WRITTEN:
            return self.resources.remove(request, kind, key)
        raise _not_allowed()


def _parts(request: Request) -> list[str]:
    return [unquote(part) for part in request.path.strip("/").split("/")]


def _kind(parts: list[str]) -> tuple[Kind, str | None]:
    for length in (1, 2):
        kind = KINDS.get("/".join(parts[:length]))
        if kind is not None and len(parts) <= length + 1:
            return kind, parts[length] if len(parts) > length else None
    raise not_found()


def _not_allowed() -> ApiError:
    return refusal(405, "The HTTP method is not allowed on this resource.")
