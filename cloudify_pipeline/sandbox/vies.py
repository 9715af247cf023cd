"""An embedded VIES: the register of VAT numbers of the EU's member states, as its REST interface answers.

After the service's published description (swagger_publicVAT.yaml) and answers that others have recorded: an outage is told
with status 200, ``actionSucceed: false`` and a code; what a member state does not tell is ``---``.
"""

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from cloudify_pipeline.sandbox.faults import FaultMiddleware, Faults

PATH = "/taxation_customs/vies/rest-api"
STATES = frozenset("AT BE BG CY CZ DE DK EE EL ES FI FR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK XI".split())  # noqa: SIM905


@dataclass(frozen=True, slots=True)
class Trader:
    """Who has a number; some member states tell neither name nor address."""

    name: str = "---"
    address: str = "---"


class ViesStore:
    """The numbers that are in use, and what is out of order. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._traders: dict[str, Trader] = {}
        self._out: dict[str, str] = {}
        self._calls: list[dict[str, str]] = []

    def register(self, number: str, name: str = "---", address: str = "---") -> None:
        """`number`, with its country in front, comes into use."""
        with self._lock:
            self._traders[number] = Trader(name, address)

    def strike_off(self, number: str) -> None:
        """`number` is no longer in use."""
        with self._lock:
            self._traders.pop(number, None)

    def out_of_order(self, state: str, code: str | None = "MS_UNAVAILABLE") -> None:
        """Questions about `state` (``*``: all) are answered with `code`; None: it is in order again."""
        with self._lock:
            if code is None:
                self._out.pop(state, None)
            else:
                self._out[state] = code

    @property
    def calls(self) -> tuple[dict[str, str], ...]:
        """Every question that came in, the oldest first."""
        with self._lock:
            return tuple(self._calls)

    def ask(self, question: dict[str, str], at: datetime) -> dict[str, object]:
        """The answer to `question`."""
        with self._lock:
            self._calls.append(question)
            state, number = question.get("countryCode", ""), question.get("vatNumber", "")
            code = self._out.get("*") or self._out.get(state)
            if code:
                return _error(code)
            if state not in STATES or not re.fullmatch(r"[0-9A-Z+*]{2,12}", number):
                return _error("INVALID_INPUT")
            own = question.get("requesterMemberStateCode"), question.get("requesterNumber")
            if any(own) and (own[0] not in STATES or not own[1]):
                return _error("INVALID_REQUESTER_INFO")
            trader = self._traders.get(f"{state}{number}")
            found = trader or Trader()
            return {
                "countryCode": state,
                "vatNumber": number,
                "requestDate": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
                "valid": trader is not None,
                "requestIdentifier": f"WAPIAAAAZ{len(self._calls):07d}" if all(own) else "",
                "name": found.name,
                "address": found.address,
                "traderName": "---",
                "traderNameMatch": "NOT_PROCESSED",
            }


def _error(code: str) -> dict[str, object]:
    return {"actionSucceed": False, "errorWrappers": [{"error": code}]}


def create_app(store: ViesStore, faults: Faults, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> ASGIApp:
    """The server on `store`; its faults are those for the server ``vies``."""

    async def check(request: Request) -> Response:
        try:
            question = await request.json()
        except ValueError:
            question = None
        if not isinstance(question, dict):
            return JSONResponse(_error("INVALID_INPUT"), 400)
        return JSONResponse(store.ask({name: str(value) for name, value in question.items()}, clock()))

    routes = Starlette(routes=[Mount(PATH, routes=[Route("/check-vat-number", check, methods=["POST"])])])
    return FaultMiddleware(routes, faults, "vies", {})
