"""The health of a connection before a run: every fault has its own code and remedy, and no call is made for it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest

from cloudify_pipeline.catalogue import entry
from cloudify_pipeline.control.health import Health, check_health
from cloudify_pipeline.control.opened import check_books
from cloudify_pipeline.control.planner import plan_connection
from cloudify_pipeline.control.sync import stage
from cloudify_pipeline.errors import NotAuthorised
from cloudify_pipeline_tests.whole_runs.conftest import Company, company

__all__ = ["company"]


async def _health(company: Company, *, reads: bool = False) -> Health:
    opened = company.connection()
    try:
        async with opened.ledger() as ledger:
            identity = await check_books(opened, ledger)
            planned = await plan_connection(opened, ledger)
            calls = len(company.sandbox.economic.calls)
            found = await check_health(opened, ledger, identity, now=company.now, planned=planned)
            assert (len(company.sandbox.economic.calls) > calls) == reads, "health reads nothing of its own"
            return found
    finally:
        opened.log.close()


def health(company: Company, *, reads: bool = False) -> Health:
    return asyncio.run(_health(company, reads=reads))


@pytest.fixture
def shop(company: Company) -> Company:
    """One paid invoice that is staged and due; the books are bound."""
    company.pay(company.invoice(company.customer()))
    opened = company.connection()
    asyncio.run(stage(opened))
    opened.log.close()
    assert health(company).problems == ()
    return company


def change(company: Company, kind: str, key: int | str, **changes: object) -> None:
    """Somebody edits a record of the ledger's chart."""
    store = company.sandbox.economic
    record = store.get(kind, key)
    assert record is not None, (kind, key)
    store.put(kind, key, {**record, **changes})


@dataclass(frozen=True)
class Fault:
    """What befalls the ledger; the code that says so, and words that name it."""

    befalls: Callable[[Company], object]
    code: str
    words: str


def _refused_write(shop: Company) -> None:
    shop.sandbox.economic.set_read_only_licence(True)
    with pytest.raises(NotAuthorised):
        shop.sync()


def _ahead(**by: float) -> Callable[[Company], object]:
    return lambda shop: shop.sandbox.ahead.__setitem__("economic", timedelta(**by))


WARNINGS = {
    "the licence refused the last write": Fault(_refused_write, "E-CONN-READONLY", "refused the last write, on 2026-11-02 09:00"),
    "the clock is six minutes behind": Fault(_ahead(minutes=6), "E-CLOCK", "the clock of the ledger is 6 minutes ahead of ours"),
    "the clock is a day ahead": Fault(_ahead(days=-1), "E-CLOCK", "24.0 hours behind ours"),
    "the period is closed": Fault(
        lambda shop: shop.sandbox.economic.set_period("2026-11-01", closed=True),
        "E-PERIOD",
        "2026-11-02, lies in a closed",
    ),
    "the period is barred": Fault(
        lambda shop: shop.sandbox.economic.set_period("2026-11-01", barred=True),
        "E-PERIOD",
        "2026-11-02, lies in a barred",
    ),
    "the customer group is gone": Fault(
        lambda shop: shop.sandbox.economic.delete("customer-groups", 1), "E-REFERENCE", "customer group 1 is not in the ledger"
    ),
    "the payment terms are gone": Fault(
        lambda shop: shop.sandbox.economic.delete("payment-terms", 1), "E-REFERENCE", "payment terms 1 is not in the ledger"
    ),
    "the product group is gone": Fault(
        lambda shop: shop.sandbox.economic.delete("product-groups", 3), "E-REFERENCE", "product group 3 is not in the ledger"
    ),
    "the VAT zone is not for customers": Fault(
        lambda shop: change(shop, "vat-zones", 2, enabledForCustomer=False), "E-VAT-ZONE", "VAT zone 2 (EU) is not enabled"
    ),
    "the VAT code is barred": Fault(
        lambda shop: change(shop, "vat-accounts", "U25", barred=True), "E-PROD-GROUP", "has no usable sales account in VAT zone 1"
    ),
}


@pytest.mark.parametrize("name", WARNINGS)
def test_each_fault_has_its_own_code_and_remedy(shop: Company, name: str) -> None:
    fault = WARNINGS[name]
    fault.befalls(shop)
    found = [one for one in health(shop).problems if one.code == fault.code]
    assert found, health(shop).lines
    assert any(fault.words in one.found for one in found)
    assert all(one.remedy == entry(fault.code).remedy for one in found)


STOPS = {
    "the grant is withdrawn": Fault(lambda shop: shop.sandbox.economic.revoke_grant(), "E-CONN-GRANT", "401"),
    "the app's role is too small": Fault(lambda shop: shop.sandbox.economic.set_role("Bookkeeping"), "E-CONN-ROLE", "role"),
    "the role does not reach the chart": Fault(lambda shop: shop.sandbox.economic.set_role("Sales"), "E-CONN-ROLE", "role"),
    "the tokens are for other books": Fault(
        lambda shop: shop.sandbox.economic.set_fact("agreement", 999), "E-CONN-AGREEMENT", "999"
    ),
    "the base currency is another": Fault(
        lambda shop: shop.sandbox.economic.set_fact("base_currency", "EUR"), "E-CONN-CURRENCY", "was DKK, is EUR"
    ),
}


@pytest.mark.parametrize("name", STOPS)
@pytest.mark.parametrize("mode", ["write", "dry_run"])
def test_what_makes_the_books_unusable_stops_the_run_by_name(shop: Company, name: str, mode: str) -> None:
    shop.configure(write_mode=mode)
    fault = STOPS[name]
    fault.befalls(shop)
    with pytest.raises(NotAuthorised) as stopped:
        health(shop)
    assert stopped.value.code == fault.code
    assert fault.words in stopped.value.message
    assert entry(stopped.value.code).remedy


@pytest.mark.parametrize("apart", [timedelta(minutes=4), timedelta(minutes=-4), timedelta(0)])
def test_a_clock_within_five_minutes_is_right(shop: Company, apart: timedelta) -> None:
    shop.sandbox.ahead["economic"] = apart
    assert health(shop).problems == ()


def test_what_the_configured_numbers_point_to_is_told_by_number_and_name(shop: Company) -> None:
    facts = health(shop).facts
    assert facts["agreement"] == "1234567 (Nordlys Software ApS)"
    assert facts["base currency"] == "DKK"
    assert facts["roles"] == "SuperUser"
    assert facts["clock of the ledger"] == "as ours"
    assert facts["accounting year"] == "2026-11-01 to 2026-11-30: open"
    assert facts["customers.defaults.group"] == "1 (Indenlandske kunder)"
    assert facts["customers.defaults.payment_terms"] == "1 (Netto 8 dage)"
    assert facts["products.defaults.group"] == "3 (Ydelser m/moms)"
    assert facts["vat.zones.eu"] == "2 (EU)"


def test_a_run_with_nothing_due_reads_no_chart(company: Company) -> None:
    opened = company.connection()
    asyncio.run(stage(opened))
    opened.log.close()
    before = len(company.sandbox.economic.calls)
    assert "customers.defaults.group" not in health(company).facts
    assert [call.path for call in list(company.sandbox.economic.calls)[before:]] == ["/self"]


def test_with_nothing_due_the_chart_is_read_once_a_day(shop: Company) -> None:
    shop.sync()
    change(shop, "vat-accounts", "U25", ratePercentage=24)
    shop.now += timedelta(hours=23)
    assert health(shop).problems == ()
    shop.now += timedelta(hours=2)
    assert [one.found for one in health(shop, reads=True).problems] == ["VAT code U25: rate was 25 %, is 24 %"]
    assert health(shop).problems == ()
