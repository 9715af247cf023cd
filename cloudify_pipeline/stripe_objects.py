"""A Stripe object as it came over the wire: what extraction hands to staging."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "customer", "product", "price", "tax_rate", "invoice", "charge", "invoice_payment", "credit_note", "refund", "dispute",
    "checkout_session",
]  # fmt: skip
"""What is staged; Stripe's own word for the object, but for ``checkout.session``."""

EVENTS = "events"
"""Cursor: up to when Stripe's events were read, epoch seconds."""

STATE_KEYS = ("ledger_status", "ledger_document", "ledger_error", "ledger_synced_at")
"""The metadata keys by which an invoice or charge shows where it stands in the ledger (INTERFACE.md §6)."""
REPLAY = "replay"
"""What a person puts into ``ledger_status`` to have the document tried again."""


def asks_for_replay(metadata: object) -> bool:
    """Whether a person asks for a replay in an object's `metadata`."""
    status = metadata.get(STATE_KEYS[0]) if isinstance(metadata, Mapping) else None
    return isinstance(status, str) and status.strip().casefold() == REPLAY


@dataclass(frozen=True, slots=True)
class RawObject:
    """`body` is the object's JSON exactly as Stripe sent it; `created` its epoch seconds; a deleted one is a tombstone."""

    id: str
    created: int
    body: bytes
    deleted: bool = False
