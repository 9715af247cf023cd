"""The months and quarters that VAT is reported for."""

import calendar
import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from cloudify_pipeline.errors import SettingsError, SettingsProblem
from cloudify_pipeline.planning.records import BOOKS

_MONTH = re.compile(r"(20[0-9]{2})-(0[1-9]|1[0-2])")
_QUARTER = re.compile(r"(20[0-9]{2})-?Q([1-4])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Period:
    """From `first` to `last`, both included; `name` as it is asked for: ``2026-10`` or ``2026Q3``."""

    name: str
    first: date
    last: date

    @property
    def list_due(self) -> date:
        """The day by which the EU-sales list must be in: the 25th of the next month (on a weekend, the next working day)."""
        return (self.last + timedelta(days=1)).replace(day=25)

    @property
    def quarter(self) -> bool:
        """Whether it is a whole quarter, which the One Stop Shop is declared for."""
        return "Q" in self.name


def month(text: str) -> Period:
    """The month ``2026-10``.

    Raises:
        SettingsError: `text` is none.
    """
    found = _MONTH.fullmatch(text)
    if found is None:
        raise SettingsError("the call", [SettingsProblem("--month", text, "a month such as 2026-10")])
    return _between(text, int(found[1]), int(found[2]), 1)


def quarter(text: str) -> Period:
    """The quarter ``2026Q3``.

    Raises:
        SettingsError: `text` is none.
    """
    found = _QUARTER.fullmatch(text)
    if found is None:
        raise SettingsError("the call", [SettingsProblem("--quarter", text, "a quarter such as 2026Q3")])
    return _between(f"{found[1]}Q{found[2]}", int(found[1]), 3 * int(found[2]) - 2, 3)


def month_of(day: date) -> Period:
    """The month that `day` lies in."""
    return _between(f"{day:%Y-%m}", day.year, day.month, 1)


def last_month(now: datetime) -> Period:
    """The month before the one of `now` in Copenhagen: what is due next."""
    return month_of(now.astimezone(BOOKS).date().replace(day=1) - timedelta(days=1))


def _between(name: str, year: int, first: int, months: int) -> Period:
    last = first + months - 1
    return Period(name, date(year, first, 1), date(year, last, calendar.monthrange(year, last)[1]))
