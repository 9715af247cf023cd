"""The date of a document and its due date: never a day that the ledger's books do not take (reference/product.md N-30).

Which days are open is read live with the chart. What lies in a closed or barred period, or in no accounting year, is held,
or dated the first open day after it with its own date in the text; `invoices.closed_period` says which. Nothing is dated later
than today: what has not come yet is held until its day.
"""

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from cloudify_pipeline.accounting.chart import AccountingPeriod, Chart, Number
from cloudify_pipeline.accounting.documents import SalesLine
from cloudify_pipeline.errors import Problem
from cloudify_pipeline.planning.languages import FALLBACK, language_of
from cloudify_pipeline.planning.plans import Evidence
from cloudify_pipeline.planning.records import ChargeRecord, Record, book_date, instant
from cloudify_pipeline.settings.models import ConnectionSettings

_DAY = datetime.timedelta(days=1)
ORIGINAL_DATE: Mapping[str, str] = {
    "da": "Oprindelig dato",
    "de": "Ursprüngliches Datum",
    "en": "Original date",
    "es": "Fecha original",
    "fi": "Alkuperäinen päivämäärä",
    "fr": "Date d'origine",
    "it": "Data originale",
    "nl": "Oorspronkelijke datum",
    "pl": "Data pierwotna",
    "pt": "Data original",
    "sv": "Ursprungligt datum",
}
"""What stands before the date of its own that a moved document has."""


@dataclass(frozen=True, slots=True)
class DocumentDate:
    """The day a document gets in the books; `original` is another one when its own day was not open."""

    day: datetime.date
    original: datetime.date
    evidence: Evidence
    language: str = FALLBACK

    @property
    def words(self) -> tuple[SalesLine, ...]:
        """The original date as a line of text, which no mapping fills and no length cuts; nothing when it was not moved."""
        if self.day == self.original:
            return ()
        return (SalesLine(f"{ORIGINAL_DATE[self.language]} {self.original.isoformat()}"),)


def document_date(
    record: Record,
    settings: ConnectionSettings,
    chart: Chart,
    today: datetime.date,
    *,
    happened: datetime.datetime | None = None,
) -> DocumentDate | Problem:
    """The day of `record` by `invoices.date`; an instant that is missing gives way to finalized_at, then created.

    `happened`: when Stripe made a correction, whose own instants are all the day that it counts from.
    """
    wanted = settings.invoices.date
    names = dict.fromkeys((wanted, "finalized_at", "created"))
    found = next(((name, moment) for name in names if (moment := record.instant(name)) is not None), None)
    if found is None:
        return Problem("E-PERIOD", f"the record has no {wanted}", field="invoices.date", found=wanted)
    name, moment = found
    # What has happened in Stripe has come, also by a test clock there, or by one here that is slow.
    come = [at for one in ("created", "finalized_at", "paid_at") if (at := record.instant(one)) is not None]
    today = max([today, *map(book_date, come if happened is None else [happened])])
    inputs = {str(name): moment.isoformat()}
    dated = open_date(book_date(moment), settings, chart, today, rule=f"invoices.date: {wanted}", inputs=inputs)
    if isinstance(dated, Problem) or dated.day == dated.original:
        return dated
    return replace(dated, language=language_of(record, settings.vat, ORIGINAL_DATE))


def open_date(
    day: datetime.date, settings: ConnectionSettings, chart: Chart, today: datetime.date, *, rule: str, inputs: Mapping[str, str]
) -> DocumentDate | Problem:
    """`day` where it is open; else what `invoices.closed_period` says of it. `rule` and `inputs` are why it is this day."""
    if day > today:
        return _closed(day, f"has not come yet: today is {today.isoformat()}")
    why = closed_because(day, chart.periods)
    if why is None:
        return DocumentDate(day, day, Evidence("date", day.isoformat(), rule, inputs))
    if settings.invoices.closed_period == "hold":
        return _closed(day, why)
    moved = first_open_day(day, chart.periods)
    if moved is None:
        return _closed(day, f"{why}, and no later day is open")
    if moved > today:
        return _closed(day, f"{why}, and the first open day after it, {moved.isoformat()}, has not come yet")
    inputs = {**inputs, "original date": day.isoformat(), "because": why, "before": rule}
    return DocumentDate(moved, day, Evidence("date", moved.isoformat(), "invoices.closed_period: first_open_day", inputs))


def _closed(day: datetime.date, why: str) -> Problem:
    return Problem("E-PERIOD", f"{day.isoformat()} {why}", field="invoices.date", found=day.isoformat())


def closed_because(day: datetime.date, periods: Iterable[AccountingPeriod]) -> str | None:
    """Why nothing may be dated `day`, in words; None when it is open."""
    holding = [period for period in periods if period.first <= day <= period.last]
    if not holding:
        return "lies in no accounting year"
    shut = next((period for period in holding if period.closed or period.barred), None)
    if shut is None:
        return None
    state = "closed" if shut.closed else "barred"
    return f"lies in a {state} period ({shut.first.isoformat()} to {shut.last.isoformat()})"


def first_open_day(day: datetime.date, periods: Iterable[AccountingPeriod]) -> datetime.date | None:
    """The earliest open day that is not before `day`; None when there is none."""
    periods = tuple(periods)
    # A stretch of open days begins with a period, or behind one that is shut.
    begins = {period.first for period in periods}
    begins |= {period.last + _DAY for period in periods if period.last < datetime.date.max}
    candidates = sorted({day, *(one for one in begins if one > day)})
    return next((one for one in candidates if closed_because(one, periods) is None), None)


def document_due_date(
    record: Record, chart: Chart, terms: Number, dated: DocumentDate, *, owed: bool = True
) -> datetime.date | Problem | None:
    """Stripe's due date, also of a document that was moved; None but for terms of the type dueDate.

    For all other terms the ledger computes it and drops what is sent. What is not `owed`, as a correction, is due on its day.
    """
    if chart.payment_terms[terms].type != "dueDate":
        return None
    if isinstance(record, ChargeRecord) or not owed:
        return dated.day
    moment = instant(record.invoice.get("due_date"))
    if moment is None:
        name = f"payment terms {terms} ({chart.payment_terms[terms].name})"
        return Problem("E-DUE-MISSING", f"{name} need a due date, and the invoice has none", field="due_date")
    due_date = book_date(moment)
    if due_date < dated.day:
        message = f"the due date {due_date.isoformat()} lies before the invoice date {dated.day.isoformat()}"
        if dated.day != dated.original:
            message += f", the first open day after {dated.original.isoformat()}"
        return Problem("E-DUE-EARLY", message, field="due_date", found=due_date.isoformat())
    return due_date
