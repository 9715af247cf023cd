"""No document is ever dated in a closed or barred period, or outside the accounting years."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudify_pipeline.accounting.chart import AccountingPeriod
from cloudify_pipeline.errors import Problem
from cloudify_pipeline.planning.dates import DocumentDate, closed_because, first_open_day, open_date
from cloudify_pipeline.planning.plans import Hold, PlannedDocument, revision
from cloudify_pipeline_tests.planning.books import CHART, DK_ADDRESS, charge, line, plan, record, settings, tax

SALE = line(10000, unit=10000, taxes=[tax(2500, 10000)])
MOVE = {"closed_period": "first_open_day"}


def day(text: str) -> date:
    return date.fromisoformat(text)


def period(first: str, last: str, state: str = "open") -> AccountingPeriod:
    return AccountingPeriod(day(first), day(last), closed=state == "closed", barred=state == "barred")


CALENDAR = (
    period("2027-01-01", "2027-12-31", "closed"),
    period("2028-01-01", "2028-01-31", "closed"),
    period("2028-02-01", "2028-02-29"),
    period("2028-03-01", "2028-03-31", "barred"),
    period("2028-04-01", "2028-12-31"),
)
SPLIT = (period("2026-07-01", "2027-06-30", "closed"), period("2027-07-01", "2028-06-30"))
GAP = (period("2026-01-01", "2026-12-31"), period("2028-01-01", "2028-12-31"))
OVERLAP = (period("2026-01-01", "2026-12-31"), period("2026-03-01", "2026-03-31", "closed"))
ENDED = (period("2026-01-01", "2026-12-31", "barred"),)

DAYS: list[tuple[tuple[AccountingPeriod, ...], str, str | None]] = [
    # An open day is itself: the first, the last, and the leap day.
    (CALENDAR, "2028-02-01", "2028-02-01"),
    (CALENDAR, "2028-02-29", "2028-02-29"),
    (CALENDAR, "2028-12-31", "2028-12-31"),
    # Year end, and the whole closed year before it.
    (CALENDAR, "2027-12-31", "2028-02-01"),
    (CALENDAR, "2027-01-01", "2028-02-01"),
    (CALENDAR, "2028-01-31", "2028-02-01"),
    # A barred month, from its first and its last day.
    (CALENDAR, "2028-03-01", "2028-04-01"),
    (CALENDAR, "2028-03-31", "2028-04-01"),
    # Before the first accounting year, and after the last.
    (CALENDAR, "2020-05-05", "2028-02-01"),
    (CALENDAR, "2029-01-01", None),
    # An accounting year that is no calendar year.
    (SPLIT, "2026-12-31", "2027-07-01"),
    (SPLIT, "2027-06-30", "2027-07-01"),
    # A year that nobody has made yet.
    (GAP, "2026-12-31", "2026-12-31"),
    (GAP, "2027-01-01", "2028-01-01"),
    (GAP, "2027-12-31", "2028-01-01"),
    # Two periods hold the day and one is shut: it is shut. The first open day lies within the other.
    (OVERLAP, "2026-03-15", "2026-04-01"),
    (OVERLAP, "2026-02-28", "2026-02-28"),
    (ENDED, "2026-06-01", None),
    ((), "2026-06-01", None),
]


@pytest.mark.parametrize(("periods", "own", "expected"), DAYS)
def test_the_first_open_day(periods: tuple[AccountingPeriod, ...], own: str, expected: str | None) -> None:
    assert first_open_day(day(own), periods) == (day(expected) if expected else None)


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ("2027-06-01", "lies in a closed period (2027-01-01 to 2027-12-31)"),
        ("2028-03-15", "lies in a barred period (2028-03-01 to 2028-03-31)"),
        ("2029-06-01", "lies in no accounting year"),
        ("2028-02-29", None),
    ],
)
def test_why_a_day_is_closed(own: str, words: str | None) -> None:
    assert closed_because(day(own), CALENDAR) == words


BEGIN = date(2023, 12, 1)
a_day = st.integers(0, 900).map(lambda n: BEGIN + timedelta(days=n))
a_period = st.builds(
    lambda first, length, closed, barred: AccountingPeriod(first, first + timedelta(days=length), closed=closed, barred=barred),
    a_day,
    st.integers(0, 120),
    st.booleans(),
    st.booleans(),
)


@given(own=a_day, periods=st.lists(a_period, max_size=8).map(tuple))
def test_never_a_closed_day_and_always_the_first_open_one(own: date, periods: tuple[AccountingPeriod, ...]) -> None:
    chart = replace(CHART, periods=periods)
    # Day by day, by the chart's own word: slower, and with nothing to get wrong.
    horizon = [own + timedelta(days=n) for n in range(1100)]
    first = next((one for one in horizon if chart.open_on(one)), None)
    dated = open_date(own, settings(invoices=MOVE), chart, date.max, rule="rule", inputs={})
    if first is None:
        assert isinstance(dated, Problem)
        assert dated.code == "E-PERIOD"
    else:
        assert isinstance(dated, DocumentDate)
        assert dated.day == first
        assert chart.open_on(dated.day)
    held = open_date(own, settings(), chart, date.max, rule="rule", inputs={})
    assert isinstance(held, DocumentDate) is chart.open_on(own)
    if isinstance(held, DocumentDate):
        assert (held.day, held.words) == (own, ())


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def moved() -> PlannedDocument:
    done = plan(record([SALE], effective_at=at("2026-10-15T12:00:00")), settings(invoices=MOVE))
    assert isinstance(done, PlannedDocument), done
    return done


def test_a_closed_month_holds_the_document_and_names_the_month() -> None:
    held = plan(record([SALE], effective_at=at("2026-10-15T12:00:00")))
    assert isinstance(held, Hold)
    assert held.problem.code == "E-PERIOD"
    assert held.problem.message == "2026-10-15 lies in a closed period (2026-10-01 to 2026-10-31)"


def test_a_moved_document_says_its_own_date_and_is_stripes_total() -> None:
    done = moved()
    document = done.document
    assert document.date == date(2026, 11, 1)
    assert [one.description for one in document.lines] == ["Pro plan", "Oprindelig dato 2026-10-15"]
    assert (document.lines[1].product, document.lines[1].net) == (None, Decimal(0))
    assert document.predicted.gross == document.stripe_total
    why = next(one for one in done.evidence if one.decision == "date")
    assert (why.outcome, why.inputs["original date"]) == ("2026-11-01", "2026-10-15")
    assert why.inputs["because"] == "lies in a closed period (2026-10-01 to 2026-10-31)"
    assert why.inputs["effective_at"] == "2026-10-15T12:00:00+00:00"


def test_an_open_date_is_left_alone_by_the_setting() -> None:
    plain, setting = plan(record([SALE])), plan(record([SALE]), settings(invoices=MOVE))
    assert isinstance(plain, PlannedDocument)
    assert isinstance(setting, PlannedDocument)
    assert revision(plain) == revision(setting)


def test_midnight_is_copenhagens() -> None:
    """31 October 23:30 UTC is 1 November in the books: open, and not moved."""
    done = plan(record([SALE], effective_at=at("2026-10-31T23:30:00")))
    assert isinstance(done, PlannedDocument)
    assert done.document.date == date(2026, 11, 1)
    assert len(done.document.lines) == 1


def test_with_no_open_day_later_it_is_held_whatever_the_setting() -> None:
    effective = at("2027-05-01T12:00:00")
    held = plan(record([SALE], effective_at=effective), settings(invoices=MOVE), today=date(2027, 5, 2))
    assert isinstance(held, Hold)
    assert (held.problem.code, held.problem.message) == (
        "E-PERIOD",
        "2027-05-01 lies in no accounting year, and no later day is open",
    )


@pytest.mark.parametrize(
    ("own", "made", "today", "ends"),
    [
        # Everything up to the end of October is shut: the first open day is tomorrow, today, and past.
        ("2026-10-15", "2026-10-15", "2026-10-31", "and the first open day after it, 2026-11-01, has not come yet"),
        ("2026-10-15", "2026-10-15", "2026-11-01", "2026-11-01"),
        ("2026-10-15", "2026-10-15", "2026-12-24", "2026-11-01"),
        # Stripe lets an invoice take effect later than it is made.
        ("2026-11-11", "2026-11-10", "2026-11-10", "2026-11-11 has not come yet: today is 2026-11-10"),
        ("2026-11-11", "2026-11-10", "2026-11-11", "2026-11-11"),
        # By Stripe's test clock it is later than here.
        ("2026-12-24", "2026-12-24", "2026-11-10", "2026-12-24"),
        ("2026-12-25", "2026-12-24", "2026-11-10", "2026-12-25 has not come yet: today is 2026-12-24"),
    ],
)
def test_nothing_is_dated_after_today(own: str, made: str, today: str, ends: str) -> None:
    second = at(f"{made}T12:00:00")
    moments: dict[str, Any] = {"created": second, "status_transitions": {"finalized_at": second, "paid_at": second}}
    sale = record([SALE], effective_at=at(f"{own}T12:00:00"), **moments)
    done = plan(sale, settings(invoices=MOVE), today=day(today))
    if isinstance(done, PlannedDocument):
        assert done.document.date.isoformat() == ends
    else:
        assert isinstance(done, Hold)
        assert (done.problem.code, done.problem.message.endswith(ends)) == ("E-PERIOD", True), done.problem


@pytest.mark.parametrize(
    ("country", "locales", "words"),
    [
        ("DK", [], "Oprindelig dato 2026-10-15"),
        ("US", [], "Original date 2026-10-15"),
        # Who chose a language in Stripe gets it; one that there are no words in gives way to the country's, then to English.
        ("DK", ["en-GB"], "Original date 2026-10-15"),
        ("US", ["da"], "Oprindelig dato 2026-10-15"),
        ("US", ["ja", "de_AT"], "Ursprüngliches Datum 2026-10-15"),
        ("JP", ["ja"], "Original date 2026-10-15"),
    ],
)
def test_the_original_date_is_in_the_buyers_language(country: str, locales: list[str], words: str) -> None:
    sale = line(10000, unit=10000, taxes=[tax(2500, 10000)] if country == "DK" else [])
    made = record([sale], effective_at=at("2026-10-15T12:00:00"), customer_address={**DK_ADDRESS, "country": country})
    done = plan(replace(made, customer={**(made.customer or {}), "preferred_locales": locales}), settings(invoices=MOVE))
    assert isinstance(done, PlannedDocument), done
    assert done.document.lines[-1].description == words


def test_the_due_date_stays_stripes() -> None:
    by_date = settings(
        invoices=MOVE, customers={"defaults": {"payment_terms": 2, "group": 1}, "on_found": "use", "default_customer": 1}
    )
    effective = at("2026-10-15T12:00:00")
    late = plan(record([SALE], effective_at=effective, due_date=at("2026-11-14T12:00:00")), by_date, customer=None)
    assert isinstance(late, PlannedDocument)
    assert (late.document.date, late.document.due_date) == (date(2026, 11, 1), date(2026, 11, 14))
    early = plan(record([SALE], effective_at=effective, due_date=at("2026-10-29T12:00:00")), by_date, customer=None)
    assert isinstance(early, Hold)
    assert early.problem.code == "E-DUE-EARLY"
    assert early.problem.message.endswith("the invoice date 2026-11-01, the first open day after 2026-10-15")


def test_a_payment_is_moved_too() -> None:
    done = plan(charge(created=at("2026-10-15T12:00:00")), settings(invoices=MOVE, products={"no_product": "NONE"}), products={})
    assert isinstance(done, PlannedDocument)
    assert done.document.date == date(2026, 11, 1)
    assert done.document.lines[-1].description == "Oprindelig dato 2026-10-15"
