"""How far the year's sales to EU consumers have come towards EUR 10,000, while the One Stop Shop is not in use."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from decimal import Decimal

from cloudify_pipeline.accounting.money import format_money, round_half_up
from cloudify_pipeline.accounting.oss_threshold import EUROS, THRESHOLDS, ThresholdWatch
from cloudify_pipeline.accounting.vat_return import Sale
from cloudify_pipeline.control.alerts import clear_alert, raise_alert
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.control.sanity import Doubt, planned_documents
from cloudify_pipeline.planning.plans import Plan, PlannedDocument
from cloudify_pipeline.planning.records import BOOKS
from cloudify_pipeline.planning.vat_return import sale_of
from cloudify_pipeline.posting.log import alerts as log
from cloudify_pipeline.posting.log.vat_sales import kept_sales, without_sale
from cloudify_pipeline.settings.models import OneStopShop

_ALERT = "oss-threshold:"
_REMEDIES = {
    80: "Above it, VAT of the buyer's country is due: prepare the registration for the Moms One Stop Shop, and vat.oss.zones.",
    100: "From the sale that passes it on, VAT of the buyer's country is due: register for the One Stop Shop, set vat.oss.zones.",
}


def threshold_watch(
    opened: OpenConnection, *, base_currency: str | None = None, due: Iterable[Plan] | None = None
) -> ThresholdWatch | None:
    """The present calendar year: what was posted, and beside it what is `due`, by default what the last run planned.

    None where the One Stop Shop is in use, or nobody knows the ledger's base currency or a threshold in it.
    """
    today = opened.clock().astimezone(BOOKS).date()
    bound = opened.log.binding(opened.name)
    currency = base_currency or (str(bound["base_currency"]) if bound else None)
    oss = opened.settings.vat.oss
    threshold = None if currency is None else oss.threshold or THRESHOLDS.get(currency)
    if currency is None or threshold is None or in_use(oss, today):
        return None
    before = date(today.year - 1, 1, 1)
    posted = list(kept_sales(opened.log, opened.name, first=before, eu_consumers=True).values())
    planned = planned_documents(opened) if due is None else [plan for plan in due if isinstance(plan, PlannedDocument)]
    known = opened.log.identities(opened.name, "document", [plan.stripe_id for plan in planned])
    sales = (sale_of(plan) for plan in planned if plan.stripe_id not in known)
    found = watched(today.year, currency, threshold, posted, [sale for sale in sales if sale is not None])
    return replace(found, unknown=without_sale(opened.log, opened.name))


def in_use(oss: OneStopShop, day: date) -> bool:
    """Whether sales of `day` are declared in the One Stop Shop."""
    return bool(oss.zones) and (oss.from_ is None or oss.from_ <= day)


def watched(year: int, currency: str, threshold: Decimal, posted: Iterable[Sale], planned: Iterable[Sale]) -> ThresholdWatch:
    """The sums of `year` and of the year before it, of sales to EU consumers alone, without VAT."""
    posted = list(posted)
    rates = _rates(posted, currency, threshold)
    used: dict[str, str] = {}
    uncounted: dict[str, Decimal] = {}

    def net(sale: Sale) -> Decimal:
        own = sale.totals.net
        if sale.currency == currency:
            return own
        if sale.base is not None:
            return sale.base.net
        if sale.currency not in rates:
            uncounted[sale.currency] = uncounted.get(sale.currency, Decimal(0)) + own
            return Decimal(0)
        rate, source = rates[sale.currency]
        used[sale.currency] = source
        return round_half_up(own * rate)

    this_year = [sale for sale in posted if sale.eu_consumer and sale.date.year == year]
    to_come = [sale for sale in planned if sale.eu_consumer and sale.date.year == year]
    now, then = (sum((net(sale) for sale in several), Decimal(0)) for several in (this_year, to_come))
    previous = sum((net(sale) for sale in posted if sale.eu_consumer and sale.date.year == year - 1), Decimal(0))
    return ThresholdWatch(
        year, currency, threshold, now, then, previous, len(this_year) + len(to_come), rates=used, uncounted=uncounted
    )


def _rates(posted: Iterable[Sale], currency: str, threshold: Decimal) -> dict[str, tuple[Decimal, str]]:
    """Base currency for one unit of another: what the ledger took last; for the euro else what the threshold stands for."""
    rates: dict[str, tuple[Decimal, str]] = {}
    if currency != "EUR":
        rates["EUR"] = threshold / EUROS, f"{threshold / EUROS:.4f}, from the threshold of EUR 10,000"
    for sale in sorted(posted, key=lambda sale: (sale.date, sale.stripe_id)):
        if sale.base is not None and sale.totals.net and sale.currency != currency:
            rate = sale.base.net / sale.totals.net
            rates[sale.currency] = rate, f"{rate:.4f}, the ledger's on {sale.date.isoformat()}"
    return rates


def threshold_doubts(watch: ThresholdWatch | None) -> list[Doubt]:
    """What the asset check shows: the highest level that is reached, and what could not be counted."""
    if watch is None:
        return []
    found = [Doubt(str(watch.year), words(watch))] if watch.level else []
    return found + [
        Doubt(str(watch.year), f"{format_money(amount, currency)} to EU consumers is not counted: no rate is known")
        for currency, amount in sorted(watch.uncounted.items())
    ]


def words(watch: ThresholdWatch) -> str:
    """The figure in one sentence."""
    figure = f"{format_money(watch.total, watch.currency)} without VAT to consumers in other EU countries in {watch.year}"
    text = f"{figure}: {watch.percent} % of the {format_money(watch.threshold, watch.currency)} (EUR 10,000)"
    if watch.previous > watch.threshold:
        text += f"; {watch.year - 1} was above it with {format_money(watch.previous, watch.currency)}"
    for currency, amount in sorted(watch.uncounted.items()):
        text += f"; {format_money(amount, currency)} is not counted: no rate is known"
    if watch.unknown:
        text += f"; {watch.unknown} documents that an earlier version posted are not counted"
    return text


def threshold_document(watch: ThresholdWatch) -> dict[str, object]:
    """For a program: the figures with their currency, and how much of the threshold they are."""
    return {
        "year": watch.year,
        "currency": watch.currency,
        "threshold": watch.threshold,
        "total": watch.total,
        "posted": watch.posted,
        "planned": watch.planned,
        "previous_year": watch.previous,
        "percent": watch.percent,
        "level": watch.level,
        "documents": watch.documents,
        "rates": watch.rates,
        "not_counted": watch.uncounted,
        "documents_not_known": watch.unknown,
    }


def alert_threshold(opened: OpenConnection, watch: ThresholdWatch | None) -> None:
    """One alert when 80 % is reached and one more at 100 %, with the amounts of that moment; told once, and not every day."""
    level = watch.level if watch is not None else 0
    key = f"{_ALERT}{level}:{watch.year}" if watch is not None and level else None
    known = {alert.key: alert for alert in log.read(opened.log.engine, opened.name, cleared=True) if alert.key.startswith(_ALERT)}
    for alert in known.values():
        if alert.cleared_at is None and (alert.key != key or alert.delivered):
            clear_alert(opened, alert.key)
    if watch is None or key is None or key in known:
        return
    remedy, look = _REMEDIES[level], f"cloudify vat {opened.name}"
    facts = {
        "level": level,
        "year": watch.year,
        "total": str(watch.total),
        "threshold": str(watch.threshold),
        "currency": watch.currency,
        "remedy": remedy,
        "look": look,
    }
    raise_alert(opened, "degraded", key, f"{words(watch)}. {remedy} Look: {look}", facts=facts)
