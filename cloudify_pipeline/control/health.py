"""Connection health before a run: whose books, what may be done in them, the clock, and what the configured numbers point to.

It makes no call of its own in a run: identity and chart are those that planning reads anyway. What stops a run is an
exception (other books, another base currency; tokens and rights stop the reads themselves); all else is a warning.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from cloudify_pipeline.accounting.chart import Chart, Number
from cloudify_pipeline.accounting.parties import LedgerRecord
from cloudify_pipeline.catalogue import entry
from cloudify_pipeline.control.alerts import clear_alert, open_alerts, raise_alert
from cloudify_pipeline.control.chart_checks import (
    Checked,
    check_chart,
    groups_in_use,
    named_customers,
    named_products,
    zones_in_use,
)
from cloudify_pipeline.control.drift import DRIFT, Difference, NamedRecords, differences, relied_on, to_remember
from cloudify_pipeline.control.glance import refused_as_read_only
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.control.planner import Planned
from cloudify_pipeline.errors import NotAuthorised
from cloudify_pipeline.ledgers.port import Ledger, LedgerIdentity
from cloudify_pipeline.planning.records import book_date
from cloudify_pipeline.posting.log.chart_seen import ChartSeen, last_seen, remember

CLOCK_TOLERANCE = timedelta(minutes=5)
"""More than this and dates, cursors and idempotency keys can no longer be trusted."""
DRIFT_SHOWN = timedelta(days=7)
"""How long a drift that an earlier run named is shown to whoever asks."""
_IDLE = timedelta(days=1)
"""How old the remembered chart may become while nothing is due."""


@dataclass(frozen=True, slots=True)
class Health:
    """`facts` are what holds (setting or topic → words); `problems` warn, nothing in them stops a run."""

    facts: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[Checked, ...] = ()
    drift: tuple[Difference, ...] = ()
    """The changes since the last run, which are among the problems too."""

    @property
    def lines(self) -> tuple[str, ...]:
        """The problems, a line each."""
        return tuple(f"{one.code}: {one.key}: {one.found}" for one in self.problems)


async def check_health(
    opened: OpenConnection,
    ledger: Ledger,
    identity: LedgerIdentity,
    *,
    now: datetime,
    planned: Planned | None = None,
    customers: Mapping[str, LedgerRecord] | None = None,
    products: Mapping[str, LedgerRecord] | None = None,
) -> Health:
    """The health at the start of a run, and what is remembered of it for the next one.

    `customers` and `products` are the records by ledger number that planning has looked up; None when it has not. The
    chart is used where planning has read it; with nothing due it is read once a day.

    Raises:
        NotAuthorised: E-CONN-CURRENCY, E-CONN-AGREEMENT when these are not the books of the last run.
    """
    settings = opened.settings
    stop_at_other_books(opened, identity)
    seen = last_seen(opened.log.engine, opened.name)
    chart = ledger.known_chart
    if chart is None and seen is not None and now - seen.seen_at > _IDLE:
        chart = await ledger.chart()
    health = health_of(
        opened,
        identity,
        chart,
        now=now,
        customers=_by_setting(named_customers(settings), customers),
        products=_by_setting(named_products(settings), products),
        planned=planned or Planned(),
        ahead={"ledger": ledger.requests.ahead},
        remembering=True,
    )
    _tell_of(opened, health.drift, now)
    return health


def health_of(
    opened: OpenConnection,
    identity: LedgerIdentity,
    chart: Chart | None,
    *,
    now: datetime,
    customers: NamedRecords | None = None,
    products: NamedRecords | None = None,
    planned: Planned,
    ahead: Mapping[str, timedelta | None],
    currencies: Mapping[str, Decimal] | None = None,
    remembering: bool = False,
) -> Health:
    """As :func:`check_health`, of what is known already; only a run is `remembering`."""
    settings = opened.settings
    facts = {**_books(identity), **clock_facts(ahead)}
    problems = [*_licence(opened, identity), *clock_problems(ahead)]
    drift: tuple[Difference, ...] = ()
    if chart is not None:
        facts |= {**_period(chart, now), **points_to(opened, chart, customers, products)}
        problems += check_chart(settings, chart, customers or {}, products or {}, planned, currencies=currencies or {}, now=now)
        drift, noted = _drift(
            opened, identity, chart, planned, customers=customers, products=products, now=now, remembering=remembering
        )
        problems += [_drifted(str(one)) for one in drift]
        problems += [_drifted(line) for line in noted]
    return Health(facts, tuple(problems), drift)


def stop_at_other_books(opened: OpenConnection, identity: LedgerIdentity) -> None:
    """Raises NotAuthorised when agreement or base currency are not those of the books that this connection knows."""
    bound: Mapping[str, Any] = opened.log.binding(opened.name) or {}
    seen = last_seen(opened.log.engine, opened.name)
    known = bound.get("agreement") or opened.pinned_agreement or (seen.agreement if seen else None)
    if known and known != identity.agreement:
        words = f"connection {opened.name} read agreement {known} before; these tokens are for {identity.agreement}"
        raise NotAuthorised(f"{words} ({identity.company})", code="E-CONN-AGREEMENT")
    currency = bound.get("base_currency")
    if currency and currency != identity.base_currency:
        words = f"the base currency of agreement {identity.agreement} was {currency}, is {identity.base_currency}"
        raise NotAuthorised(words, code="E-CONN-CURRENCY")


def clock_facts(ahead: Mapping[str, timedelta | None]) -> dict[str, str]:
    """``clock of the ledger`` → ``as ours``, or how far off."""
    return {f"clock of {_who(side)}": _apart(one) for side, one in ahead.items() if one is not None}


def clock_problems(ahead: Mapping[str, timedelta | None]) -> list[Checked]:
    """E-CLOCK for each side whose clock differs from ours by more than five minutes."""
    remedy = entry("E-CLOCK").remedy
    return [
        Checked("clock", "warning", "E-CLOCK", f"the clock of {_who(side)} is {_apart(one)}", remedy)
        for side, one in ahead.items()
        if one is not None and abs(one) > CLOCK_TOLERANCE
    ]


def points_to(
    opened: OpenConnection, chart: Chart, customers: NamedRecords | None = None, products: NamedRecords | None = None
) -> dict[str, str]:
    """Setting → number and name of what it points to in the ledger."""
    settings = opened.settings
    defaults = settings.customers.defaults
    lists: dict[str, tuple[Number | None, Mapping[Number, Any]]] = {
        "customers.defaults.group": (defaults.group, chart.customer_groups),
        "customers.defaults.payment_terms": (defaults.payment_terms, chart.payment_terms),
        "customers.defaults.layout": (defaults.layout, chart.layouts),
        "products.defaults.group": (settings.products.defaults.group, chart.product_groups),
        "products.defaults.unit": (settings.products.defaults.unit, chart.units),
        "invoices.layout": (settings.invoices.layout, chart.layouts),
        **{key: (zone, chart.vat_zones) for key, zone in zones_in_use(settings).items()},
    }
    found = {
        key: f"{number} ({known[number].name})" if number in known else f"{number}: not in the ledger"
        for key, (number, known) in lists.items()
        if number is not None
    }
    numbers = {**named_customers(settings), **named_products(settings)}
    for key, record in {**(customers or {}), **(products or {})}.items():
        found[key] = f"{numbers[key]}: not in the ledger" if record is None else f"{record.number} ({record.name})"
    return found


def _books(identity: LedgerIdentity) -> dict[str, str]:
    details = identity.details
    told = {
        "agreement": f"{identity.agreement} ({identity.company})",
        "base currency": identity.base_currency,
        "roles": details.get("roles"),
        "modules": details.get("modules"),
        "plan": details.get("agreement_type"),
    }
    return {name: value for name, value in told.items() if value}


def _licence(opened: OpenConnection, identity: LedgerIdentity) -> list[Checked]:
    refused = refused_as_read_only(opened.log, opened.name)
    whose = f"{identity.company} (agreement {identity.agreement})"
    if not identity.can_write:
        words = f"{whose} may only be read: the app's roles are {identity.details.get('roles', 'not told')}"
    elif refused is not None:
        # Reading tells nothing of the licence; only a write shows it, and none is sent from here.
        words = f"{whose} refused the last write, on {refused:%Y-%m-%d %H:%M} UTC: its licence is read-only"
    else:
        return []
    return [Checked("licence", "warning", "E-CONN-READONLY", words, entry("E-CONN-READONLY").remedy)]


def _period(chart: Chart, now: datetime) -> dict[str, str]:
    today = book_date(now)
    holding = [one for one in chart.periods if one.first <= today <= one.last]
    if not holding:
        return {"accounting year": f"none for {today}"}
    words = ", ".join(
        f"{one.first} to {one.last}: {'closed' if one.closed else 'barred' if one.barred else 'open'}" for one in holding
    )
    return {"accounting year": words}


def _drift(
    opened: OpenConnection,
    identity: LedgerIdentity,
    chart: Chart,
    planned: Planned,
    *,
    customers: NamedRecords | None,
    products: NamedRecords | None,
    now: datetime,
    remembering: bool,
) -> tuple[tuple[Difference, ...], tuple[str, ...]]:
    """What changed since the last run, and what that run or one of the days before it had named."""
    seen = last_seen(opened.log.engine, opened.name)
    if seen is not None and seen.agreement != identity.agreement:
        seen = None
    before = seen.parts if seen else {}
    relied = relied_on(
        opened.settings,
        identity,
        chart,
        zones=dict.fromkeys(zones_in_use(opened.settings).values()),
        groups=groups_in_use(opened.settings, products or {}, planned),
        customers=customers,
        products=products,
        before=before,
    )
    found = differences(before, relied)
    recent = seen is not None and seen.drifted_at is not None and now - seen.drifted_at < DRIFT_SHOWN
    noted = tuple(f"{line} (since {seen.drifted_at:%Y-%m-%d %H:%M} UTC)" for line in seen.drift) if seen and recent else ()
    if remembering:
        lines, at = (tuple(map(str, found)), now) if found else (seen.drift, seen.drifted_at) if seen else ((), None)
        remember(opened.log.engine, opened.name, ChartSeen(identity.agreement, to_remember(before, relied), now, lines, at))
    return found, () if remembering else noted


def _tell_of(opened: OpenConnection, drift: tuple[Difference, ...], now: datetime) -> None:
    """One alert for each change. It is over when the same thing changes again, or after as many days as it is shown."""
    for alert in open_alerts(opened):
        again = any(alert.key.startswith(one.topic) and alert.key != one.key for one in drift)
        if alert.key.startswith(DRIFT) and (again or now - alert.last_at > DRIFT_SHOWN):
            clear_alert(opened, alert.key)
    for one in drift:
        raise_alert(opened, "connection", one.key, f"{one}. {entry('E-DRIFT').remedy}")


def _drifted(line: str) -> Checked:
    return Checked("since the last run", "warning", "E-DRIFT", line, entry("E-DRIFT").remedy)


def _by_setting(numbers: Mapping[str, str], records: Mapping[str, LedgerRecord] | None) -> NamedRecords | None:
    return None if records is None else {key: records.get(number) for key, number in numbers.items()}


def _who(side: str) -> str:
    return {"ledger": "the ledger", "stripe": "Stripe"}[side]


def _apart(ahead: timedelta) -> str:
    seconds = round(ahead.total_seconds())
    if abs(seconds) < 60:
        return "as ours"
    minutes, hours = round(abs(seconds) / 60), abs(seconds) / 3600
    long = f"{hours:.1f} hours" if hours >= 2 else f"{minutes} minutes"
    return f"{long} {'ahead of' if seconds > 0 else 'behind'} ours"
