"""The embedded ledger on loopback, with a clock that can be moved and the bad days that a fault list cannot describe."""

import asyncio
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloudify_pipeline.sandbox.economic.app import create_app
from cloudify_pipeline.sandbox.economic.store import EconomicStore
from cloudify_pipeline.sandbox.faults import Fault, Faults

NOON = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
Turn = Literal["kill when committed", "kill before arrival", "arrive late", "HTML for an answer", "HTML instead", "fall silent"]
_PAGE = b"<html><body><h1>We will be back soon</h1></body></html>"
_PATIENCE = 20.0


@dataclass
class Trouble:
    """What happens to the first request that is `method` on a path like `path` (for HTML: to every one); `after` pass before."""

    turn: Turn
    method: str
    path: str
    after: int = 0
    hit: int = 0
    release: bool = False
    arrived: bool = False


@dataclass
class Books:
    """One case's ledger: its store, its faults, its trouble, and the process that a kill is meant for."""

    store: EconomicStore
    faults: Faults
    now: datetime = NOON
    trouble: Trouble | None = None
    victim: int | None = None
    app: ASGIApp = field(init=False)

    def __post_init__(self) -> None:
        self.app = create_app(self.store, self.faults, clock=lambda: self.now)

    def spoil(self, *faults: Fault) -> None:
        for fault in faults:
            self.faults.add(fault)

    def mend(self) -> None:
        """The bad day is over: faults end, and what was on its way arrives."""
        self.faults.clear()
        trouble, self.trouble = self.trouble, None
        if trouble is not None and trouble.turn in {"arrive late", "kill before arrival"} and trouble.hit:
            trouble.release = True
            _wait_for(lambda: trouble.arrived)

    def stands(self) -> dict[str, list[dict[str, Any]]]:
        """All that bookkeepers see, without the server's own stamps of time."""
        kinds = ("customers", "products", "drafts", "booked", "orders", "orders.sent", "orders.archived")
        with self.store.lock:
            return {
                kind: [
                    {name: value for name, value in record.items() if name != "lastUpdated"} for record in self.store.all(kind)
                ]
                for kind in kinds
            }

    def keys(self) -> list[str]:
        """The durable key of every document."""
        stands = self.stands()
        return sorted(document["references"]["other"] for kind in ("drafts", "booked", "orders") for document in stands[kind])


class EmbeddedLedger:
    """One server for many cases, one after the other: starting one for each would cost more than the cases."""

    def __init__(self) -> None:
        self.books: Books | None = None
        self.url = ""

    def open(self) -> Books:
        """New books for the next case."""
        store = EconomicStore()
        store.seed(NOON)
        self.books = Books(store, Faults())
        return self.books

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        books = self.books
        if scope["type"] != "http" or books is None:
            return
        trouble = books.trouble
        if trouble is not None and trouble.turn == "fall silent" and trouble.hit:
            await _hang_up(receive)
            return
        hit = trouble is not None and scope["method"] == trouble.method and re.search(trouble.path, scope["path"])
        if trouble is not None and hit and trouble.after:
            trouble.after -= 1
            hit = None
        if trouble is None or not hit:
            await books.app(scope, receive, send)
            return
        trouble.hit += 1
        if trouble.turn == "HTML instead":
            await _page(send)
        elif trouble.turn == "HTML for an answer":
            await _carry_out(books.app, scope, receive)
            await _page(send)
        elif trouble.hit > 1:
            await books.app(scope, receive, send)
            trouble.release = True
        elif trouble.turn == "fall silent":
            await _carry_out(books.app, scope, receive)
            await _hang_up(receive)
        elif trouble.turn == "kill when committed":
            await _carry_out(books.app, scope, receive)
            await _kill(books)
            await _gone(receive)
        else:
            body = await _body(receive)
            if trouble.turn == "kill before arrival":
                await _kill(books)
            while not trouble.release:
                await asyncio.sleep(0.002)
            await _gone(receive)
            await _carry_out(books.app, scope, _replay(body))
            trouble.arrived = True


@contextmanager
def serving() -> Iterator[EmbeddedLedger]:
    """The server in a thread of this process, which therefore must not fork."""
    ledger = EmbeddedLedger()
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
        listening.bind(("127.0.0.1", 0))
        ledger.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        config = uvicorn.Config(ledger, lifespan="off", log_config=None, access_log=False, ws="none", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        _wait_for(lambda: server.started)
        try:
            yield ledger
        finally:
            server.should_exit = True
            thread.join(_PATIENCE)


def _wait_for(condition: Any) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.002)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        await asyncio.sleep(0)


async def _hang_up(receive: Receive) -> None:
    # ASGI has no word for it, so uvicorn's own object is asked.
    receive.__self__.transport.abort()  # type: ignore[attr-defined]
    await _gone(receive)


async def _kill(books: Books) -> None:
    while books.victim is None:
        await asyncio.sleep(0.001)
    os.kill(books.victim, signal.SIGKILL)


async def _body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = bool(message.get("more_body"))
    return body


def _replay(body: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def _carry_out(app: ASGIApp, scope: Scope, receive: Receive) -> None:
    async def unheard(_: Message) -> None:
        return None

    await app(scope, receive, unheard)


async def _page(send: Send) -> None:
    headers = [(b"content-type", b"text/html"), (b"content-length", str(len(_PAGE)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": _PAGE})
