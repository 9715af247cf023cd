"""A Stripe object as it came over the wire, and whose it is: what extraction hands to staging."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

Kind = Literal[
    "customer", "product", "price", "tax_rate", "invoice", "charge", "invoice_payment", "credit_note", "refund", "dispute",
    "checkout_session",
]  # fmt: skip
"""What is staged; Stripe's own word for the object, but for ``checkout.session``."""

EVENTS = "events"
"""Cursor: up to when Stripe's events were read, epoch seconds."""

CHARGE_RESTS = timedelta(minutes=2)
"""How long a payment without an invoice is left alone after it was captured: Stripe tells of it before it tells which invoice
it pays, and asked too soon it would look like a sale of its own."""

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


@dataclass(frozen=True, slots=True)
class Whose:
    """What Stripe's objects belong to: an account (None: its key may not be told), and live or test mode.

    `key` marks the key they were read with (:func:`key_mark`): the same key is the same account and mode, for ever.
    """

    account: str | None
    livemode: bool
    key: str

    def __str__(self) -> str:
        return named(self.account, livemode=self.livemode)


def named(account: str | None, *, livemode: bool) -> str:
    """``acct_1 in test mode``."""
    return f"{account or 'an account that its key may not name'} in {mode_name(livemode=livemode)}"


def mode_name(*, livemode: bool) -> str:
    """``live mode`` or ``test mode``."""
    return "live mode" if livemode else "test mode"


def key_mode(api_key: str) -> bool | None:
    """Whether a key says that it is of live mode; None where it does not say."""
    kind = api_key[:8]
    return True if "_live_" in kind else False if "_test_" in kind else None


def key_mark(api_key: str) -> str:
    """What tells two keys apart and gives neither away."""
    return hashlib.sha256(f"cloudify stripe key\0{api_key}".encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class UndecidedCharge:
    """A staged payment that succeeded and is not known to pay an invoice, and that is still to be asked about.

    `judged`: Stripe was asked before, while it rested; `resting`: it has a place among those that rest. Epoch seconds.
    """

    id: str
    intent: str | None
    created: int
    captured: bool
    judged: bool
    resting: bool
    rests_until: int | None
    """None before it was captured."""
