"""What is known of the VAT numbers of buyers: who said what of which number, and when."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Source = Literal["vies", "stripe"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What VIES or Stripe said of `number`, without spaces and in capitals, at `at`.

    Stripe does not tell the day of its verification: `at` is then when it was first seen. `consultation_number` proves to the
    tax authorities that `requester`, the seller's own number, has asked. `tax_id` is Stripe's object, `customer` for whom.
    """

    number: str
    source: Source
    valid: bool
    at: datetime
    name: str | None = None
    address: str | None = None
    consultation_number: str | None = None
    requester: str | None = None
    tax_id: str | None = None
    customer: str | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """Everything that is known of VAT numbers, by number; `silent` says why VIES gave no answer in this run.

    `valid_days` is how many days an answer holds; None: for good.
    """

    answers: Mapping[str, tuple[Answer, ...]] = field(default_factory=dict)
    silent: Mapping[str, str] = field(default_factory=dict)
    valid_days: int | None = None


NOTHING = Known()
"""What is known before anybody was asked."""
