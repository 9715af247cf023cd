"""A small Stripe with behaviour, behind an httpx transport: lists, windows, cursors, expansions, events and faults."""

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import httpx

from cloudify_pipeline.stripe_source.client import StripeReader

COLLECTIONS = {
    "customers": "customer",
    "products": "product",
    "prices": "price",
    "tax_rates": "tax_rate",
    "invoices": "invoice",
    "charges": "charge",
    "invoice_payments": "invoice_payment",
    "credit_notes": "credit_note",
    "refunds": "refund",
    "disputes": "dispute",
    "sessions": "checkout.session",
    "events": "event",
}
EMBEDDED_LINES = 10


@dataclass
class FakeStripe:
    """`objects` by collection and id, in the order they came to be; `before` runs ahead of each answer."""

    objects: dict[str, dict[str, dict[str, Any]]] = field(default_factory=lambda: {name: {} for name in COLLECTIONS})
    before: Callable[["FakeStripe", httpx.Request], httpx.Response | None] | None = None
    requests: list[httpx.Request] = field(default_factory=list)

    def put(self, collection: str, stripe_id: str, created: int, **fields: Any) -> dict[str, Any]:
        one = {"id": stripe_id, "object": COLLECTIONS[collection], "created": created, "livemode": False, **fields}
        self.objects[collection][stripe_id] = one
        return one

    def invoice(self, stripe_id: str, created: int, *, lines: int = 1, status: str = "open", **fields: Any) -> dict[str, Any]:
        data = [
            {
                "id": f"il_{stripe_id}_{n}", "object": "line_item", "amount": 100, "currency": "dkk", "quantity": 1,
                "description": "Seat", "period": {"start": created, "end": created},
                "pricing": {"price_details": {"product": fields.get("product"), "price": fields.get("price")}},
            }
            for n in range(lines)
        ]  # fmt: skip
        return self.put(
            "invoices", stripe_id, created, status=status, currency="dkk", total=100 * lines, customer=fields.get("customer"),
            number=f"N-{stripe_id}", collection_method="send_invoice", total_taxes=[], total_discount_amounts=[],
            lines={"object": "list", "data": data, "has_more": False, "url": f"/v1/invoices/{stripe_id}/lines"},
        )  # fmt: skip

    def event(self, stripe_id: str, created: int, kind: str, changed: dict[str, Any]) -> None:
        self.put("events", stripe_id, created, type=kind, data={"object": {**changed}})

    def reader(self) -> StripeReader:
        async def no_sleep(seconds: float) -> None:
            del seconds

        return StripeReader(
            "rk_test_x", api_base="http://127.0.0.1:1", api_version="2026-10-28.endive",
            transport=httpx.MockTransport(self.answer), sleep=no_sleep,
        )  # fmt: skip

    def calls(self) -> Counter[str]:
        """Requests by path, ids left out."""
        return Counter(re.sub(r"/(in|ch|cus|prod|price)_\w+", "/*", request.url.path) for request in self.requests)

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        interrupted = self.before(self, request) if self.before else None
        if interrupted is not None:
            return interrupted
        _, collection, *rest = request.url.path.replace("/checkout/", "/").strip("/").split("/")
        query = parse_qsl(request.url.query.decode())
        if not rest:
            return self._list(list(self.objects[collection].values()), query, embed=True)
        one = self.objects[collection].get(rest[0])
        if one is None:
            return refuse(404, "resource_missing", "id")
        if rest[1:] in (["lines"], ["line_items"]):
            return self._list(one[rest[1]]["data"], query, embed=False)
        # Alone, an object is indented less than in a list.
        return httpx.Response(200, content=json.dumps(_embedded(one), indent=2))

    def _list(self, objects: list[dict[str, Any]], query: list[tuple[str, str]], *, embed: bool) -> httpx.Response:
        one = dict(query)
        if embed:
            # Newest first; in one second, the one made last comes first.
            objects = [o for _, o in sorted(enumerate(objects), key=lambda pair: (pair[1]["created"], pair[0]), reverse=True)]
        for key, keep in (("gte", "__ge__"), ("gt", "__gt__"), ("lt", "__lt__"), ("lte", "__le__")):
            if f"created[{key}]" in one:
                objects = [o for o in objects if getattr(o["created"], keep)(int(one[f"created[{key}]"]))]
        if "status" in one:
            objects = [o for o in objects if o["status"] == one["status"]]
        if "payment_intent" in one:
            objects = [o for o in objects if o["payment_intent"] == one["payment_intent"]]
        if "payment[payment_intent]" in one:
            objects = [o for o in objects if o["payment"].get("payment_intent") == one["payment[payment_intent]"]]
        for name, key in (("types[]", "type"), ("ids[]", "id")):
            wanted = [value for key_, value in query if key_ == name]
            objects = [o for o in objects if o[key] in wanted] if wanted else objects
        if "starting_after" in one:
            ids = [o["id"] for o in objects]
            if one["starting_after"] not in ids:
                return refuse(400, "resource_missing", "starting_after")
            objects = objects[ids.index(one["starting_after"]) + 1 :]
        limit = int(one["limit"])
        page = {"object": "list", "data": [_embedded(o) for o in objects[:limit]], "has_more": len(objects) > limit}
        return httpx.Response(200, content=json.dumps(page, indent=2))


def refuse(status: int, code: str, param: str | None = None, **headers: str) -> httpx.Response:
    """Stripe's error body."""
    return httpx.Response(status, json={"error": {"code": code, "param": param}}, headers=headers)


def _embedded(one: dict[str, Any]) -> dict[str, Any]:
    name = "line_items" if "line_items" in one else "lines"
    data = one.get(name, {}).get("data", []) if isinstance(one.get(name), dict) else []
    if len(data) <= EMBEDDED_LINES:
        return one
    return {**one, name: {**one[name], "data": data[:EMBEDDED_LINES], "has_more": True}}
