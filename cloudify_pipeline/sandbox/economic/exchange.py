"""One request and one reply, as the handlers see them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from cloudify_pipeline.sandbox.economic.errors import Json, refusal
from cloudify_pipeline.sandbox.economic.store import decode


@dataclass(frozen=True, slots=True)
class Request:
    """`query` has lower-case names; `base` is the address this server was called by."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    content: bytes
    base: str
    now: datetime

    def body(self) -> Json:
        """The JSON object of a write; anything else is refused."""
        try:
            value = decode(self.content)
        except msgspec.DecodeError as unreadable:
            raise refusal(400, f"Could not parse the request body: {unreadable}") from unreadable
        if not isinstance(value, dict):
            raise refusal(400, "Invalid type. Expected Object.")
        return value


@dataclass(slots=True)
class Reply:
    """What goes back; `cost` is how many tokens of the agreement's budget the call took."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    cost: int = 1
