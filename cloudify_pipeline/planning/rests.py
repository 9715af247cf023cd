"""Nothing without an invoice is judged before it has rested: Stripe may still say that it pays an invoice, or make one for it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from cloudify_pipeline.planning.plans import Skip
from cloudify_pipeline.planning.records import BOOKS

RESTS = "S-RESTS"


@dataclass(frozen=True, slots=True)
class Resting:
    """Payments that are left alone for now, and when the last of them has rested; None where that is not known."""

    payments: int = 0
    until: datetime | None = None

    def __str__(self) -> str:
        until = "" if self.until is None else f" until {clock_time(self.until)}"
        if self.payments == 1:
            return f"1 payment rests{until} (it may still get an invoice)"
        return f"{self.payments} payments rest{until} (they may still get an invoice)"


NOBODY_RESTS = Resting()


def rests(stripe_id: str, until: datetime | None) -> Skip:
    """What becomes of a payment that rests `until` then, None when nobody knows yet; the next run behind that takes it."""
    when = "until the next run has read when it was captured" if until is None else f"until {clock_time(until)}"
    return Skip(stripe_id, RESTS, f"it was captured just now and may still get an invoice: it rests {when}")


def waits_with(stripe_id: str, original_id: str) -> Skip:
    """What becomes of that which takes back the payment `original_id` while it rests."""
    return Skip(stripe_id, RESTS, f"{original_id}, which it corrects, was captured just now and rests")


def clock_time(until: datetime) -> str:
    """``10:02`` in Copenhagen; a minute that has begun counts whole."""
    whole = until.astimezone(BOOKS)
    if whole.second or whole.microsecond:
        whole = whole.replace(second=0, microsecond=0) + timedelta(minutes=1)
    return f"{whole:%H:%M}"
