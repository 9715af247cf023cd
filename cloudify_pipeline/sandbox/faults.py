"""Faults on demand for the embedded servers: what a network, a gateway or a ledger does on a bad day.

A server wraps itself in :class:`FaultMiddleware`; a test or a demo adds a :class:`Fault` to the shared :class:`Faults`.
Over uvicorn a dropped answer closes the socket. Under ``httpx.ASGITransport`` there is no socket, so the same fault is an
exception that httpx itself would raise (:class:`ConnectionLost`, :class:`AnswerWithheld`): the client cannot tell them apart.
"""

import asyncio
import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import httpx
from starlette.types import ASGIApp, Message, Receive, Scope, Send

FaultKind = Literal[
    "status",
    "delay",
    "drop_before",
    "drop_after_commit",
    "timeout_after_commit",
    "truncated_page",
    "revoked",
    "read_only_licence",
]

Answers = Mapping[str, tuple[int, Mapping[str, object]]]
"""A server's own words for ``revoked`` and ``read_only_licence``: status and JSON body by kind."""

_GATEWAY_PAGE = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
_LONGEST_SILENCE = 30.0


class ConnectionLost(httpx.ReadError):
    """The connection was closed before an answer came."""


class AnswerWithheld(httpx.ReadTimeout):
    """The request was carried out, but no answer came in time."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong for the requests that match.

    `path_pattern` is a regular expression searched in the path; `after` requests that match pass first, then `times`
    requests are hit (None: all). `status` is for the kind ``status``: 429 carries Retry-After, 502 is an HTML page; with
    `committed` the request is carried out before the answer is replaced. `seconds` is for ``delay``.
    """

    method: str | None = None
    path_pattern: str = ""
    kind: FaultKind = "status"
    times: int | None = 1
    after: int = 0
    status: int = 500
    retry_after: int = 1
    committed: bool = False
    seconds: float = 0.05
    server: str | None = None
    """``economic``, ``stripe`` or ``vies``; None hits all."""

    def matches(self, server: str, method: str, path: str) -> bool:
        """Whether this request is one the fault is about."""
        return (
            self.server in (None, server)
            and (self.method is None or self.method.upper() == method)
            and re.search(self.path_pattern, path) is not None
        )


@dataclass(slots=True)
class _Armed:
    fault: Fault
    seen: int = 0


class Faults:
    """The faults that are armed, shared by all servers of a sandbox. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._armed: list[_Armed] = []
        self._fired: list[tuple[Fault, str, str]] = []

    def add(self, fault: Fault) -> None:
        """Arm one more fault; for one request the first armed fault that is due wins."""
        with self._lock:
            self._armed.append(_Armed(fault))

    def clear(self) -> None:
        """Disarm everything and forget what fired."""
        with self._lock:
            self._armed.clear()
            self._fired.clear()

    @property
    def fired(self) -> tuple[tuple[Fault, str, str], ...]:
        """(fault, method, path) of every request that was hit, oldest first."""
        with self._lock:
            return tuple(self._fired)

    def take(self, server: str, method: str, path: str) -> Fault | None:
        """The fault that hits this request, which is counted against its `after` and `times`."""
        with self._lock:
            for armed in self._armed:
                fault = armed.fault
                if not fault.matches(server, method, path):
                    continue
                seen, armed.seen = armed.seen, armed.seen + 1
                if seen >= fault.after and (fault.times is None or seen < fault.after + fault.times):
                    self._fired.append((fault, method, path))
                    return fault
            return None


class FaultMiddleware:
    """Puts the armed faults between the network and one server."""

    def __init__(self, app: ASGIApp, faults: Faults, server: str, answers: Answers) -> None:
        self._app = app
        self._faults = faults
        self._server = server
        self._answers = answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or make it fail as the matching fault says."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        fault = self._faults.take(self._server, scope["method"], scope["path"])
        if fault is None:
            await self._app(scope, receive, send)
        elif fault.kind == "delay":
            await asyncio.sleep(fault.seconds)
            await self._app(scope, receive, send)
        elif fault.kind == "drop_before":
            await _drop(receive)
        elif fault.kind in ("drop_after_commit", "timeout_after_commit", "truncated_page"):
            await self._spoil(fault, scope, receive, send)
        else:
            if fault.committed:
                await self._carry_out(scope, receive)
            await self._answer(fault, send)

    async def _carry_out(self, scope: Scope, receive: Receive) -> list[Message]:
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await self._app(scope, receive, keep)
        return messages

    async def _spoil(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        messages = await self._carry_out(scope, receive)
        if fault.kind == "drop_after_commit":
            await _drop(receive)
        elif fault.kind == "timeout_after_commit":
            await _keep_silent(receive)
        else:
            body = b"".join(message.get("body", b"") for message in messages[1:])
            half = body[: len(body) // 2]
            kept = [(name, value) for name, value in messages[0]["headers"] if name.lower() != b"content-length"]
            await send({**messages[0], "headers": [*kept, (b"content-length", str(len(half)).encode())]})
            await send({"type": "http.response.body", "body": half})

    async def _answer(self, fault: Fault, send: Send) -> None:
        if fault.kind == "status":
            status, body = fault.status, json.dumps({"message": "Injected fault.", "httpStatusCode": fault.status}).encode()
        else:
            status, words = self._answers[fault.kind]
            body = json.dumps(words).encode()
        kind = b"application/json"
        if status == 502:
            body, kind = _GATEWAY_PAGE, b"text/html"
        headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
        if status == 429:
            headers.append((b"retry-after", str(fault.retry_after).encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@runtime_checkable
class _Socket(Protocol):
    def abort(self) -> None: ...


def _socket(receive: Receive) -> _Socket | None:
    """The connection behind an ASGI call. ASGI has no word for "hang up", so uvicorn's own object is asked for it.

    asyncio's and uvloop's transports share no base class, only their methods.
    """
    transport = getattr(getattr(receive, "__self__", None), "transport", None)
    return transport if isinstance(transport, _Socket) else None


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        await asyncio.sleep(0)


async def _drop(receive: Receive) -> None:
    transport = _socket(receive)
    if transport is None:
        raise ConnectionLost("the connection was closed without an answer")
    transport.abort()
    await _gone(receive)


async def _keep_silent(receive: Receive) -> None:
    transport = _socket(receive)
    if transport is None:
        raise AnswerWithheld("no answer in time")
    try:
        await asyncio.wait_for(_gone(receive), _LONGEST_SILENCE)
    except TimeoutError:
        transport.abort()
        await _gone(receive)
