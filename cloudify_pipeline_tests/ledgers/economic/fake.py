"""A small ledger behind a mock transport: collections that page and filter, and answers that a test puts in the way."""

import json
import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

import httpx

from cloudify_pipeline.ledgers.economic.ledger import EconomicLedger

Step = httpx.Response | Exception
Answer = Callable[[httpx.Request], httpx.Response]


class Clock:
    """Seconds that pass only by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class FakeLedger:
    """Answers GETs of `collections` by page and filter, single paths of `resources`, and `script` before both."""

    def __init__(self) -> None:
        self.collections: dict[str, list[dict[str, Any]]] = {}
        self.resources: dict[str, Any] = {}
        self.script: dict[tuple[str, str], list[Step]] = {}
        self.writes: dict[str, Answer] = {}
        self.seen: list[httpx.Request] = []

    def ledger(self, clock: Clock | None = None) -> EconomicLedger:
        clock = clock or Clock()
        return EconomicLedger("secret", "grant", transport=httpx.MockTransport(self.answer), clock=clock, sleep=clock.sleep)

    def calls(self, method: str = "GET") -> list[str]:
        return [request.url.path for request in self.seen if request.method == method]

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        path = request.url.raw_path.decode().partition("?")[0]
        if steps := self.script.get((request.method, path)):
            step = steps.pop(0)
            if isinstance(step, Exception):
                raise step
            return step
        if request.method != "GET":
            return self.writes[path](request)
        if path in self.collections:
            return reply(self._page(self.collections[path], query(request)))
        if path in self.resources:
            return reply(self.resources[path])
        return reply({"message": "Resource not found.", "httpStatusCode": 404}, 404)

    def _page(self, items: list[dict[str, Any]], asked: dict[str, str]) -> dict[str, Any]:
        size, skip = int(asked.get("pagesize", 20)), int(asked.get("skippages", 0))
        assert 1 <= size <= 1000
        hits = [item for item in items if matches(item, asked.get("filter", ""))]
        block = {"results": len(hits), "resultsWithoutFilter": len(items), "pageSize": size, "skipPages": skip}
        more = {"nextPage": "…"} if (skip + 1) * size < len(hits) else {}
        return {"collection": hits[skip * size : (skip + 1) * size], "pagination": block | more}


def query(request: httpx.Request) -> dict[str, str]:
    raw = request.url.query.decode()
    return {name: unquote(value) for name, _, value in (part.partition("=") for part in raw.split("&") if part)}


def matches(item: dict[str, Any], where: str) -> bool:
    """The grammar as the reference has it, read independently: `$or:`, `$eq:`, `$like:` (contains), `$in:[…]`."""
    if not where:
        return True
    return any(_holds(item, clause) for clause in re.split(r"(?<!\$)\$or:", where))


def _holds(item: dict[str, Any], clause: str) -> bool:
    found = re.match(r"(?P<field>[\w.]+)\$(?P<op>eq|like|in):(?P<value>.*)", clause, re.DOTALL)
    assert found is not None, clause
    have: Any = item
    for name in found["field"].split("."):
        have = (have or {}).get(name)
    if have is None:
        return False
    if found["op"] == "in":
        return str(have) in found["value"].strip("[]").split(",")
    text = found["value"].replace("[[]", "[") if found["op"] == "like" else found["value"]
    value = unescape(text).casefold()
    return value == str(have).casefold() if found["op"] == "eq" else value in str(have).casefold()


def unescape(text: str) -> str:
    characters = iter(text)
    return "".join(next(characters) if char == "$" else char for char in characters)


def reply(data: Any, status: int = 200, **headers: str) -> httpx.Response:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, content=json.dumps(data, default=_number).encode(), headers=names)


def customers(count: int) -> list[dict[str, Any]]:
    return [
        {"customerNumber": n, "name": f"Customer {n}", "email": f"c{n}@example.dk", "customerGroup": {"customerGroupNumber": 1}}
        for n in range(1, count + 1)
    ]


def numbers(records: Iterable[Any]) -> list[Any]:
    return [record.number for record in records]


def _number(value: object) -> float:
    assert isinstance(value, Decimal)
    return float(value)
