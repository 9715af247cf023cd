"""The threshold of EUR 10,000: what counts, in which currency, and that somebody is told once at 80 % and once at 100 %."""

import asyncio
import datetime
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest

from cloudify_pipeline.accounting.documents import Totals
from cloudify_pipeline.accounting.oss_threshold import THRESHOLDS, ThresholdWatch
from cloudify_pipeline.accounting.vat_return import CodeSum, Sale
from cloudify_pipeline.control import sync
from cloudify_pipeline.control.accept import accept
from cloudify_pipeline.control.alerts import open_alerts
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.control.vat_periods import month
from cloudify_pipeline.control.vat_return import vat_return
from cloudify_pipeline.control.vat_threshold import alert_threshold, in_use, threshold_doubts, threshold_watch, watched, words
from cloudify_pipeline.posting.log import alerts as log
from cloudify_pipeline.posting.log.vat_sales import sale_change
from cloudify_pipeline.settings.models import OneStopShop
from cloudify_pipeline_tests.whole_runs.conftest import Company, company

__all__ = ["company"]

DKK = THRESHOLDS["DKK"]
DAY = datetime.date(2026, 5, 4)


def sale(net: str, *, currency: str = "DKK", base: str | None = None, day: datetime.date = DAY, kind: str = "domestic") -> Sale:
    amount = Decimal(net)
    code = CodeSum("U25", "1010", Decimal(25), amount, amount / 4)
    totals = None if base is None else Totals(Decimal(base), Decimal(0), Decimal(base))
    return Sale(f"in_{net}_{currency}_{day}", "N-1", day, currency, kind, "FR", None, "none", "services", (code,), totals)


@pytest.mark.parametrize(
    ("net", "percent", "level"),
    [
        ("0", "0.00", 0),
        ("59524.55", "79.98", 0),
        ("59531.99", "79.99", 0),
        ("59532.00", "80.00", 80),
        ("74414.99", "99.99", 80),
        ("74415.00", "100.00", 100),
        ("90000.00", "120.94", 100),
    ],
)
def test_the_level_is_reached_to_the_oere_and_never_rounded_up_to(net: str, percent: str, level: int) -> None:
    found = watched(2026, "DKK", DKK, [sale(net)], [])
    assert (str(found.percent), found.level) == (percent, level)
    assert bool(threshold_doubts(found)) is bool(level)


def test_only_this_year_counts_and_credit_notes_lower_it() -> None:
    last_year, next_year = DAY.replace(year=2025), DAY.replace(year=2027)
    posted = [sale("1000"), sale("-200"), sale("9000", day=last_year), sale("500", kind="abroad"), sale("7", day=next_year)]
    found = watched(2026, "DKK", DKK, posted, [sale("50"), sale("60", day=next_year)])
    assert [str(one) for one in (found.posted, found.planned, found.total, found.previous)] == ["800", "50", "850", "9000"]
    assert found.documents == 3


def test_a_year_before_above_the_threshold_is_enough() -> None:
    found = watched(2026, "DKK", DKK, [sale("74415.01", day=DAY.replace(year=2025)), sale("1")], [])
    assert found.level == 100
    assert "2025 was above it with 74,415.01 DKK" in words(found)


def test_other_currencies_count_at_the_ledgers_amounts_then_its_last_rate_then_the_thresholds_own() -> None:
    posted = [sale("100", currency="USD", base="642.37"), sale("10", currency="EUR")]
    found = watched(2026, "DKK", DKK, posted, [sale("50", currency="USD"), sale("5", currency="SEK")])
    assert found.posted == Decimal("642.37") + Decimal("74.42")
    assert found.planned == Decimal("321.19")
    assert found.rates == {"EUR": "7.4415, from the threshold of EUR 10,000", "USD": "6.4237, the ledger's on 2026-05-04"}
    assert found.uncounted == {"SEK": Decimal(5)}
    assert [one.words for one in threshold_doubts(found)] == ["5.00 SEK to EU consumers is not counted: no rate is known"]
    assert words(found).endswith("(EUR 10,000); 5.00 SEK is not counted: no rate is known")


@pytest.mark.parametrize(
    ("oss", "used"),
    [
        (OneStopShop(), False),
        (OneStopShop(zones={"FR": 5}), True),
        (OneStopShop.model_validate({"zones": {"FR": 5}, "from": "2026-05-04"}), True),
        (OneStopShop.model_validate({"zones": {"FR": 5}, "from": "2026-05-05"}), False),
    ],
)
def test_it_is_watched_until_the_one_stop_shop_begins(oss: OneStopShop, used: bool) -> None:
    assert in_use(oss, DAY) is used


@pytest.fixture
def opened(company: Company) -> Iterator[OpenConnection]:
    found = company.connection()
    yield found
    found.log.close()


def watch_at(percent: int) -> ThresholdWatch:
    return ThresholdWatch(2026, "DKK", DKK, DKK * percent / 100, Decimal(0))


def test_somebody_is_told_once_at_each_level(opened: OpenConnection) -> None:
    def raised(watch: ThresholdWatch | None, *, delivered: bool = False) -> list[str]:
        alert_threshold(opened, watch)
        found = open_alerts(opened)
        for alert in found if delivered else ():
            assert log.claim(opened.log.engine, alert, "log", opened.clock())
            log.delivered(opened.log.engine, alert, "log", opened.clock())
        return [alert.key for alert in found]

    assert raised(watch_at(79)) == []
    assert raised(watch_at(85)) == ["oss-threshold:80:2026"]
    (alert,) = open_alerts(opened)
    assert alert.on == "degraded"
    assert alert.message.startswith(
        "63,252.75 DKK without VAT to consumers in other EU countries in 2026: 85.00 % of the 74,415.00 DKK"
    )
    assert raised(watch_at(86), delivered=True) == ["oss-threshold:80:2026"]
    assert open_alerts(opened)[0].message == alert.message, "the amounts of the moment it was reached"
    assert [raised(watch_at(percent)) for percent in (87, 70, 88)] == [[], [], []]
    assert raised(watch_at(101)) == ["oss-threshold:100:2026"]
    assert raised(None) == []
    assert raised(replace(watch_at(85), year=2027)) == ["oss-threshold:80:2027"]


def test_what_is_posted_and_what_is_planned_count_together(company: Company) -> None:
    company.configure(vat={"oss": {"threshold": 200}})
    company.pay(company.invoice(company.customer("Claire", "FR")))
    company.sync()
    company.now += datetime.timedelta(days=2)
    company.pay(company.invoice(company.customer("Anna", "SE")))
    opened = company.connection()
    asyncio.run(sync.stage(opened))
    asyncio.run(sync.plan(opened))
    found = threshold_watch(opened)
    assert found is not None
    assert [str(one) for one in (found.posted, found.planned, found.threshold)] == ["100.00", "100.00", "200"]
    assert found.level == 100
    change = sale_change(opened.name, sale("10", day=opened.clock().date()), opened.clock(), made=True)
    with opened.log.engine.begin() as db:
        change.apply(db)
    assert threshold_watch(opened, due=[]).posted == 110  # type: ignore[union-attr]
    opened.log.close()


def test_a_draft_that_somebody_deleted_and_does_not_want_back_is_no_sale(company: Company) -> None:
    company.configure(invoices={"rules": [{"when": "paid", "create": "draft_invoice"}]})
    stripe_id = company.pay(company.invoice(company.customer("Claire", "FR")))
    company.sync()
    (draft,) = company.sandbox.economic.drafts()
    company.sandbox.economic.delete("drafts", draft["draftInvoiceNumber"])
    assert company.sync(ids=(stripe_id,)).codes() == {stripe_id: "E-GONE"}
    opened = company.connection()
    assert threshold_watch(opened).posted == 100, "nobody has said that it is none"  # type: ignore[union-attr]
    accept(opened, stripe_id, by="anna")
    opened.log.close()
    company.sync(ids=(stripe_id,))
    opened = company.connection()
    assert threshold_watch(opened).posted == 0  # type: ignore[union-attr]
    assert asyncio.run(vat_return(opened, month("2026-11"))).waiting.documents == 0
    opened.log.close()


@pytest.mark.parametrize("currency", [None, "NOK"])
def test_without_a_known_threshold_nothing_is_watched(opened: OpenConnection, currency: str | None) -> None:
    assert threshold_watch(opened, base_currency=currency) is None
