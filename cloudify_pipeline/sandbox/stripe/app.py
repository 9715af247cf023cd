"""The embedded Stripe API: what a reader of invoices needs of it, and metadata updates."""

import base64
import binascii
import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from cloudify_pipeline.sandbox.faults import Faults
from cloudify_pipeline.sandbox.stripe import errors, listing, objects, params, render
from cloudify_pipeline.sandbox.stripe.catalogue import second
from cloudify_pipeline.sandbox.stripe.errors import StripeFault
from cloudify_pipeline.sandbox.stripe.limits import Limiter, StripeFaults
from cloudify_pipeline.sandbox.stripe.objects import Json
from cloudify_pipeline.sandbox.stripe.old_shapes import is_old, old
from cloudify_pipeline.sandbox.stripe.store import StripeStore

_EVENT_HORIZON = 30 * 86_400
_KEY_LIFETIME = 24 * 3600
_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(\.[a-z]+)?")


@dataclass(frozen=True, slots=True)
class _Resource:
    """A kind of object, where it lives and which right reads it."""

    path: str
    kind: str
    right: str
    listed: bool = True
    writable: bool = False


_RESOURCES = (
    _Resource("customers", "customer", "customer", writable=True),
    _Resource("products", "product", "product"),
    _Resource("prices", "price", "plan"),
    _Resource("tax_rates", "tax_rate", "tax_rate"),
    _Resource("coupons", "coupon", "coupon"),
    _Resource("invoices", "invoice", "invoice", writable=True),
    _Resource("invoice_payments", "invoice_payment", "invoice"),
    _Resource("credit_notes", "credit_note", "credit_note"),
    _Resource("refunds", "refund", "charge"),
    _Resource("disputes", "dispute", "dispute"),
    _Resource("charges", "charge", "charge", writable=True),
    _Resource("balance_transactions", "balance_transaction", "balance"),
    _Resource("payment_intents", "payment_intent", "payment_intent"),
    _Resource("checkout/sessions", "checkout.session", "checkout_session"),
    _Resource("events", "event", "event"),
)
# Endpoints that Stripe has and this server does not serve to anybody.
_CLOSED = (
    "balance",
    "invoiceitems",
    "payouts",
    "subscriptions",
    "transfers",
)


def create_app(
    store: StripeStore, faults: Faults, *, clock: Callable[[], datetime], requests_per_second: int | None = None
) -> ASGIApp:
    """The API on one account. `requests_per_second` switches on a limit per endpoint, in real time."""
    server = _Server(store, clock, Limiter(requests_per_second) if requests_per_second else None)
    routes = [Route("/v1/account", server.account, methods=["GET"])]
    for resource in _RESOURCES:
        methods = ["GET", "POST", "DELETE"]
        routes.append(Route(f"/v1/{resource.path}", server.of(resource, server.list_), methods=methods))
        routes.append(Route(f"/v1/{resource.path}/{{id}}", server.of(resource, server.one), methods=methods))
    by_name = {resource.path: resource for resource in _RESOURCES}
    for name in ("invoices", "credit_notes"):
        routes.append(Route(f"/v1/{name}/{{id}}/lines", server.of(by_name[name], server.lines), methods=["GET", "POST"]))
    sessions = by_name["checkout/sessions"]
    routes.append(Route("/v1/checkout/sessions/{id}/line_items", server.of(sessions, server.items), methods=["GET"]))
    routes.append(Route("/v1/customers/{id}/tax_ids", server.of(by_name["customers"], server.tax_ids), methods=["GET", "POST"]))
    routes.append(Route("/{rest:path}", server.elsewhere, methods=["GET", "POST", "DELETE", "PUT", "PATCH"]))
    app = GZipMiddleware(Starlette(routes=routes), minimum_size=500, compresslevel=2)
    return StripeFaults(app, faults, store)


Handler = Callable[[_Resource, Request], Awaitable[Json]]
Endpoint = Callable[[Request], Awaitable[Response]]


class _Server:
    """The endpoints of one account."""

    def __init__(self, store: StripeStore, clock: Callable[[], datetime], limiter: Limiter | None) -> None:
        self._store = store
        self._clock = clock
        self._limiter = limiter

    def of(self, resource: _Resource, handler: Handler) -> Endpoint:
        """An endpoint of a resource: who asks, whether they may, and the answer."""

        async def endpoint(request: Request) -> Response:
            async def work() -> Json:
                writes = request.method != "GET"
                if writes and not (request.method == "POST" and resource.writable and handler == self.one):
                    raise errors.forbidden(self._key(request), f"rak_{resource.right}_write", self._named())
                self._demand(request, f"rak_{resource.right}_{'write' if writes else 'read'}")
                return await (self._write(resource, request) if writes else handler(resource, request))

            return await self._answer(request, work, resource.path)

        return endpoint

    async def account(self, request: Request) -> Response:
        """GET /v1/account."""

        async def work() -> Json:
            self._demand(request, "rak_accounts_kyc_basic_read")
            return objects.account(self._store.account)

        return await self._answer(request, work, "account")

    async def elsewhere(self, request: Request) -> Response:
        """Every other path: closed, or unknown."""

        async def work() -> Json:
            key = self._key(request)
            head = request.path_params["rest"].removeprefix("v1/").split("/")[0]
            known = {resource.path: resource.right for resource in _RESOURCES}
            if head in known or head in _CLOSED:
                verb = "read" if request.method == "GET" else "write"
                raise errors.forbidden(key, f"rak_{known.get(head, head.removesuffix('s'))}_{verb}", self._named())
            raise StripeFault(404, f"Unrecognized request URL ({request.method}: {request.url.path}).")

        return await self._answer(request, work, "elsewhere")

    async def list_(self, resource: _Resource, request: Request) -> Json:
        """A page of a list."""
        given = params.parse(request.url.query)
        extra: listing.Where = []
        if resource.kind == "event":
            extra = [("created >= ?", [second(self._clock()) - _EVENT_HORIZON])]
        rows, more = listing.page(self._store, resource.kind, given, extra)
        listed = render.as_list([render.shown(row) for row in rows], f"/v1/{resource.path}", has_more=more)
        self._demand_expansions(request, given)
        return self._expanded(listed, given)

    async def one(self, resource: _Resource, request: Request) -> Json:
        """One object by its id."""
        given = params.parse(request.url.query)
        obj = self._existing(resource.kind, request.path_params["id"])
        self._demand_expansions(request, given)
        return self._expanded(render.shown(obj), given, "expand")

    async def lines(self, resource: _Resource, request: Request) -> Json:
        """All lines of an invoice or credit note, page by page, in its own order."""
        given = params.parse(request.url.query)
        whole = self._existing(resource.kind, request.path_params["id"])
        rows, more = listing.slice_of(whole["lines"]["data"], given)
        return self._expanded(render.as_list(rows, request.url.path, has_more=more), given)

    async def items(self, resource: _Resource, request: Request) -> Json:
        """All line items of a Checkout session, page by page, in its own order."""
        given = params.parse(request.url.query)
        session = self._existing(resource.kind, request.path_params["id"])
        rows, more = listing.slice_of(render.items_of(self._store, session), given)
        return self._expanded(render.as_list(rows, request.url.path, has_more=more), given)

    async def tax_ids(self, resource: _Resource, request: Request) -> Json:
        """The tax numbers of a customer."""
        given = params.parse(request.url.query)
        customer = self._existing(resource.kind, request.path_params["id"])
        rows, more = listing.page(self._store, "tax_id", given, [("parent = ?", [customer["id"]])])
        return self._expanded(render.as_list(rows, request.url.path, has_more=more), given)

    async def _write(self, resource: _Resource, request: Request) -> Json:
        body = (await request.body()).decode()
        given = params.parse(body)
        for name in given:
            if name not in ("metadata", "expand"):
                raise errors.unknown_parameter(name)
        key = request.headers.get("idempotency-key")
        id_ = request.path_params["id"]
        with self._store.transaction():
            obj = self._existing(resource.kind, id_)
            if obj.get("deleted"):
                raise errors.no_such(resource.kind, id_)
            if "metadata" in given:
                changed = params.merged(obj["metadata"], params.metadata_changes(given["metadata"]))
                asked = {"id": request.state.id, "idempotency_key": key}
                updates = {"invoice": self._store.update_invoice, "charge": self._store.update_charge}
                update = updates.get(resource.kind, self._store.update_customer)
                obj = update(id_, at=self._clock(), request=asked, metadata=changed)
            return self._expanded(render.shown(obj), given, "expand")

    def _existing(self, kind: str, id_: str) -> Json:
        found = self._store.find(kind, id_)
        if found is None or (found[1] and kind != "customer"):
            raise errors.no_such(kind, id_)
        return render.tombstone(found[0]) if found[1] else found[0]

    def _expanded(self, obj: Json, given: Mapping[str, Any], *only: str) -> Json:
        for name in given if only else ():
            if name not in (*only, "metadata"):
                raise errors.unknown_parameter(name)
        if "expand" in given:
            render.expand(self._store, obj, params.as_list(given["expand"], "expand"))
        return obj

    def _key(self, request: Request) -> str:
        key = _key_of(request.headers.get("authorization"))
        if key is None or key not in (self._store.secret_key, self._store.restricted_key):
            raise errors.unauthenticated(key)
        return key

    def _demand(self, request: Request, right: str) -> None:
        key = self._key(request)
        if key == self._store.restricted_key and right not in self._store.rights:
            raise errors.forbidden(key, right, self._named())

    def _named(self) -> str | None:
        return self._store.account if self._store.names_account else None

    def _demand_expansions(self, request: Request, given: Mapping[str, Any]) -> None:
        """What is expanded is read, and the key needs its right for that too."""
        if any("balance_transaction" in path for path in params.as_list(given.get("expand", {}), "expand")):
            self._demand(request, "rak_balance_read")

    async def _answer(self, request: Request, work: Callable[[], Awaitable[Json]], endpoint: str) -> Response:
        request.state.id = f"req_{hashlib.sha256(str(self._store.count('requests')).encode()).hexdigest()[:14]}"
        headers = {"Request-Id": request.state.id, "Cache-Control": "no-cache, no-store"}
        status = 200
        try:
            version = _version(request)
            if self._limiter:
                self._limiter.admit(endpoint)
            body = await self._once(request, work, headers, version)
        except StripeFault as fault:
            status, body = fault.status, _dump(fault.body)
            headers |= fault.headers
        headers["Stripe-Version"] = request.headers.get("stripe-version") or "2022-11-15"
        self._store.record_call(request.method, request.url.path, status)
        return Response(body, status, headers, "application/json")

    async def _once(
        self, request: Request, work: Callable[[], Awaitable[Json]], headers: dict[str, str], version: str | None
    ) -> bytes:
        """The answer; a POST with an idempotency key is carried out once and then answered from memory for a day."""
        key = request.headers.get("idempotency-key")
        if request.method != "POST" or not key:
            return _dump(_in_version(await work(), version))
        if len(key) > 255:
            raise errors.invalid("Idempotency keys can be at most 255 characters long.", "Idempotency-Key")
        headers["Idempotency-Key"] = key
        self._key(request)
        asked = hashlib.sha256(request.url.path.encode() + b"\n" + await request.body()).hexdigest()
        known, now = self._store.reply(key), second(self._clock())
        if known and now - known[1] < _KEY_LIFETIME:
            if known[0] != asked:
                raise StripeFault(
                    400,
                    "Keys for idempotent requests can only be used with the same parameters they were first used with. "
                    f"Try using a key other than '{key}' if you meant to execute a different request.",
                    type_="idempotency_error",
                )
            headers["Idempotent-Replayed"] = "true"
            return known[3]
        body = _dump(_in_version(await work(), version))
        self._store.keep_reply(key, asked, now, 200, body)
        return body


def _key_of(authorization: str | None) -> str | None:
    scheme, _, value = (authorization or "").partition(" ")
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            return None
    return value or None


def _version(request: Request) -> str | None:
    version = request.headers.get("stripe-version")
    if version is not None and (not _VERSION.fullmatch(version) or version[:10] > objects.API_VERSION[:10]):
        raise StripeFault(400, f"Invalid Stripe API version: {version}", code="invalid_api_version")
    return version


def _in_version(obj: Json, version: str | None) -> Json:
    if not is_old(version):
        return obj
    if obj.get("object") == "list":
        return {**obj, "data": [old(item) for item in obj["data"]]}
    return old(obj)


def _dump(obj: Json) -> bytes:
    return orjson.dumps(obj, option=orjson.OPT_INDENT_2)
