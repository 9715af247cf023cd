"""Drift: what changed in the ledger since the last run, in the parts that the settings rely on, is named."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest

from cloudify_pipeline.control.alerts import open_alerts
from cloudify_pipeline.control.drift import differences, to_remember
from cloudify_pipeline.control.health import Health
from cloudify_pipeline.posting.log.chart_seen import last_seen
from cloudify_pipeline_tests.cli.conftest import Call, call
from cloudify_pipeline_tests.control.test_health import change, health, shop
from cloudify_pipeline_tests.whole_runs.conftest import Company, company

__all__ = ["call", "company", "shop"]


@dataclass(frozen=True)
class Change:
    """What somebody does in the ledger, and the line that names it."""

    made: Callable[[Company], object]
    line: str


CHANGES = {
    "rate": Change(
        lambda shop: change(shop, "vat-accounts", "U25", ratePercentage=24), "VAT code U25: rate was 25 %, is 24 %"
    ),
    "code of an account": Change(
        lambda shop: change(
            shop, "accounts", 1110, vatAccount={"vatCode": "UEUV"}
        ),
        "sales account of product group 3 in VAT zone 1: VAT code was U25, is UEUV",
    ),
    "terms": Change(
        lambda shop: change(shop, "payment-terms", 1, paymentTermsType="invoiceMonth"),
        "payment terms 1: due-date type was net, is invoiceMonth",
    ),
    "name of a group": Change(
        lambda shop: change(shop, "customer-groups", 1, name="Udland"),
        "customer group 1: name was Indenlandske kunder, is Udland",
    ),
    "a group that is gone": Change(
        lambda shop: shop.sandbox.economic.delete("customer-groups", 1),
        "customer group 1 (name Indenlandske kunder) is gone from the ledger",
    ),
    "a closed month": Change(
        lambda shop: shop.sandbox.economic.set_period("2026-10-01", closed=True),
        "period 2026-10-01 to 2026-10-31: closed was no, is yes",
    ),
    "a zone": Change(
        lambda shop: change(shop, "vat-zones", 3, name="Verden"), "VAT zone 3: name was Abroad, is Verden"
    ),
}  # fmt: skip


def lines(found: Health) -> list[str]:
    return [one.found for one in found.problems if one.code == "E-DRIFT"]


def alerts(company: Company) -> list[str]:
    opened = company.connection()
    try:
        return [alert.message for alert in open_alerts(opened) if alert.key.startswith("drift:")]
    finally:
        opened.log.close()


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_since_the_last_run_is_named_once_and_alerted(shop: Company, name: str) -> None:
    CHANGES[name].made(shop)
    shop.now += timedelta(hours=1)
    assert CHANGES[name].line in lines(health(shop))
    assert any(CHANGES[name].line in message for message in alerts(shop))
    shop.now += timedelta(hours=1)
    assert lines(health(shop)) == [], "the next run compares with this one"


def test_what_the_settings_do_not_rely_on_may_change(shop: Company) -> None:
    change(shop, "customer-groups", 2, name="Andre")
    change(shop, "payment-terms", 3, name="Andre")
    assert lines(health(shop)) == []


def test_a_setting_that_changed_is_no_drift(shop: Company) -> None:
    shop.configure(customers={"defaults": {"payment_terms": 1, "group": 2}})
    shop.sandbox.economic.delete("customer-groups", 1)
    assert lines(health(shop)) == []


def test_check_and_connect_name_the_drift_for_a_week(shop: Company, call: Call) -> None:
    change(shop, "vat-accounts", "U25", ratePercentage=24)
    line = "VAT code U25: rate was 25 %, is 24 %"
    for command in ("check", "connect"):
        findings = call(command, "--json").document["findings"]
        assert any(line in (one.get("found") or one["message"]) for one in findings), "asking does not use it up"
    health(shop)
    shop.now += timedelta(hours=1)
    opened = shop.connection()
    seen = last_seen(opened.log.engine, "nordlys")
    opened.log.close()
    assert seen is not None
    assert (seen.drift, seen.drifted_at) == ((line,), shop.now - timedelta(hours=1))


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ({"VAT code U25": {"rate": "25 %"}}, {"VAT code U25": {"rate": "25 %"}}, []),
        ({"VAT code U25": {"rate": "25 %"}}, {}, []),
        ({"VAT code U25": {"rate": "25 %"}}, {"VAT code U25": None}, ["VAT code U25 (rate 25 %) is gone from the ledger"]),
        ({}, {"VAT code U25": {"rate": "25 %"}}, []),
        ({"unit 1": {"name": "stk."}}, {"unit 1": {"name": "stk.", "barred": "yes"}}, []),
        ({"unit 1": {"name": "a", "barred": "no"}}, {"unit 1": {"name": "b", "barred": "yes"}},
         ["unit 1: name was a, is b", "unit 1: barred was no, is yes"]),
    ],
)  # fmt: skip
def test_only_what_was_relied_on_and_still_is_can_drift(
    before: dict[str, dict[str, str]], now: dict[str, dict[str, str] | None], expected: list[str]
) -> None:
    assert [str(one) for one in differences(before, now)] == expected


def test_records_that_nobody_looked_up_are_kept_for_the_next_run() -> None:
    before = {"product no. STRIPE": {"name": "Salg"}, "unit 1": {"name": "stk."}}
    assert to_remember(before, {"unit 2": {"name": "mdr."}}) == {
        "product no. STRIPE": {"name": "Salg"},
        "unit 2": {"name": "mdr."},
    }
