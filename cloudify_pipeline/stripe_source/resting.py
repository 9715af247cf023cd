"""Until when a payment without an invoice rests, and when that is over: by our clock, from its capture by Stripe's.

A payment that rests is judged anew by the first extraction behind its rest, and by none before. What is staged as resting
never rests longer than :data:`CHARGE_RESTS` from when it was first seen captured, whatever either clock says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from cloudify_pipeline.stripe_objects import CHARGE_RESTS, UndecidedCharge

APART = timedelta(seconds=5)
"""Clocks that differ by less agree: Stripe tells the time in whole seconds, and its answer travels."""
_REST = int(CHARGE_RESTS.total_seconds())


@dataclass(frozen=True, slots=True)
class Rests:
    """`resting`: until when each payment rests (our epoch seconds, None before it is captured); `rested`: those that have."""

    resting: dict[str, int | None]
    rested: tuple[str, ...]


def waits(charge: UndecidedCharge, now: int) -> bool:
    """Whether `charge` was asked about before, and is not to be asked about again yet."""
    return charge.judged and (not charge.captured or (charge.rests_until is not None and charge.rests_until > now))


def is_first_seen(charge: UndecidedCharge) -> bool:
    """Whether `charge` is seen captured for the first time, so that its rest begins, or is found to be over."""
    return charge.captured and charge.rests_until is None


def rests(charges: Sequence[UndecidedCharge], captured: Mapping[str, int], now: int, ahead: timedelta | None) -> Rests:
    """Which of `charges` rest, and which have: `captured` tells when they were captured, where events do (Stripe's seconds).

    Of one that was seen before it was captured, and no event tells of, the capture is not older than this look.
    """
    theirs = now + seconds_ahead(ahead)
    resting: dict[str, int | None] = {}
    rested = []
    for one in charges:
        if not one.captured:
            resting[one.id] = None
            continue
        if one.rests_until is None:
            since = captured.get(one.id, theirs if one.resting else one.created)
            left = _REST - max(0, theirs - since)
        else:
            # No longer than a whole rest, where our own clock was set back since.
            left = min(_REST, one.rests_until - now)
        if left > 0:
            resting[one.id] = now + left
        elif one.resting:
            rested.append(one.id)
    return Rests(resting, tuple(rested))


def seconds_ahead(ahead: timedelta | None) -> int:
    """How far Stripe's clock is ahead of ours, 0 where the two agree."""
    return 0 if ahead is None or abs(ahead) < APART else int(ahead.total_seconds())
