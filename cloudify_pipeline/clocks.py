"""What a service's answer tells about our clock: its Date header, held against the time at which it came."""

import email.utils
from datetime import UTC, datetime, timedelta


def ahead_of(date: str | None, now: datetime) -> timedelta | None:
    """How far the service's clock is ahead of ours (negative: behind); None without a Date header that can be read.

    The header has whole seconds and an answer travels, so a difference of a few seconds says nothing.
    """
    if not date:
        return None
    try:
        told = email.utils.parsedate_to_datetime(date)
    except ValueError:
        return None
    return (told if told.tzinfo else told.replace(tzinfo=UTC)) - now
