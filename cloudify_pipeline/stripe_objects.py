"""A Stripe object as it came over the wire: what extraction hands to staging."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["customer", "product", "price", "tax_rate", "invoice", "charge", "invoice_payment"]
"""What is staged; Stripe's own word for the object."""


@dataclass(frozen=True, slots=True)
class RawObject:
    """`body` is the object's JSON exactly as Stripe sent it; `created` its epoch seconds; a deleted one is a tombstone."""

    id: str
    created: int
    body: bytes
    deleted: bool = False
