"""No write on unchecked settings: what refuses a run, what does not, and when nothing is asked any more."""

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from cloudify_pipeline.control import sync
from cloudify_pipeline.control.alert_causes import run_ended
from cloudify_pipeline.control.alert_delivery import find_alerts
from cloudify_pipeline.control.alerts import open_alerts
from cloudify_pipeline.control.audit import verified
from cloudify_pipeline.control.check_first import ALERT, check_first
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.control.outcome import FailedStep
from cloudify_pipeline.control.preflight import check as preflight
from cloudify_pipeline.control.settings_checked import check_words, last_check
from cloudify_pipeline.control.write_back import write_back
from cloudify_pipeline.errors import SettingsError, Unreachable
from cloudify_pipeline.ledgers.economic import client as economic_client
from cloudify_pipeline.posting.log.checks import SettingsCheck, kept_checks
from cloudify_pipeline.sandbox.faults import Fault
from cloudify_pipeline.settings.load import checked_hash
from cloudify_pipeline_tests.whole_runs.conftest import Company
from cloudify_pipeline_tests.whole_runs.test_calls import plan_and_post

HOUR = timedelta(hours=1)
T = TypeVar("T")


def no_such_group(company: Company, group: int = 99) -> None:
    company.configure(customers={"defaults": {"payment_terms": 1, "group": group}})


def refused(company: Company) -> dict[str, str]:
    """The errors of a run that must be refused: setting → what is wrong with it."""
    with pytest.raises(SettingsError) as error:
        company.sync()
    assert error.value.code == "E-CHECK-FIRST"
    return {problem.key: problem.found for problem in error.value.problems}


def with_connection(company: Company, look: Callable[[OpenConnection], T]) -> T:
    opened = company.connection()
    try:
        return look(opened)
    finally:
        opened.log.close()


def kept(company: Company) -> SettingsCheck | None:
    return with_connection(company, last_check)


def alerts(company: Company) -> list[str]:
    return with_connection(company, lambda opened: [alert.key for alert in open_alerts(opened)])


def check(company: Company) -> SettingsCheck:
    """`cloudify check`."""
    return with_connection(company, lambda opened: asyncio.run(preflight(opened)).settings_check)


def charts(company: Company, since: int) -> int:
    """How often the chart was read."""
    return sum(call.path == "/customer-groups" for call in list(company.sandbox.economic.calls)[since:])


def nothing_was_written(company: Company) -> bool:
    economic, stripe = company.sandbox.economic.calls, company.sandbox.stripe.calls
    return {call.method for call in economic} == {"GET"} and {call.method for call in stripe} <= {"GET"}


# -- what refuses, and what does not ------------------------------------------------------------------------------------


def test_a_first_run_on_wrong_numbers_is_refused_with_all_of_them_and_sends_nothing(company: Company) -> None:
    company.sandbox.economic.add_product("OLD", name="Udgået", barred=True)
    company.configure(
        customers={"defaults": {"payment_terms": 77, "group": 99}},
        products={"on_not_found": "default_product", "default_product": "OLD", "defaults": {"group": 98}},
        invoices={"layout": 4},
        vat={"zones": {"abroad": 7}, "supply": {"U99": "services"}},
    )
    company.pay(company.invoice(company.customer()))
    assert {key: found.split(":")[0] for key, found in refused(company).items()} == {
        "customers.defaults.payment_terms": "E-REFERENCE",
        "customers.defaults.group": "E-REFERENCE",
        "products.defaults.group": "E-REFERENCE",
        "invoices.layout": "E-REFERENCE",
        "vat.supply.U99": "E-REFERENCE",
        "products.default_product": "E-PROD-BARRED",
        "vat.zones.abroad": "E-VAT-ZONE",
    }
    assert nothing_was_written(company)
    assert company.documents() == {}


@pytest.mark.exhaustive
@pytest.mark.parametrize("mode", ["dry_run", "read_only"])
def test_a_run_that_may_not_write_needs_no_check(company: Company, mode: str) -> None:
    no_such_group(company)
    company.configure(write_mode=mode)
    company.pay(company.invoice(company.customer()))
    assert company.sync().writes == []
    assert kept(company) is None


@pytest.mark.exhaustive
def test_a_barred_month_a_hole_for_some_and_a_held_record_refuse_nothing(company: Company) -> None:
    company.sandbox.economic.set_period("2026-09-01", barred=True)
    company.configure(go_live_from="2026-09-10T00:00:00+02:00")
    company.sandbox.economic.delete("sales-accounts", "3/3")
    company.sandbox.economic.delete("currencies", "SEK")
    company.pay(company.invoice(company.customer("Nowhere", country=None)))
    abroad = company.pay(company.invoice(company.customer("Redwood", country="US"), tax_rates=[]))
    fine = company.pay(company.invoice(company.customer("Kunde")))
    run = company.sync()
    assert set(company.documents()) == {f"stripe:{fine}"}
    assert run.codes()[abroad] == "E-PROD-GROUP"
    checked = kept(company)
    assert checked is not None
    assert checked.errors == ()


@pytest.mark.exhaustive
def test_a_ledger_that_does_not_answer_is_no_refusal_and_nothing_is_kept(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(economic_client, "ATTEMPTS", 1)
    no_such_group(company)
    company.sandbox.faults_economic.add(Fault("GET", "^/customer-groups", "status", status=500, times=None))
    with pytest.raises(Unreachable) as stopped:
        company.sync()
    assert stopped.value.code == "E-SERVER"
    assert kept(company) is None
    assert alerts(company) == []
    company.sandbox.faults_economic.clear()
    assert set(refused(company)) == {"customers.defaults.group"}


# -- what is green stays green ------------------------------------------------------------------------------------------


def test_settings_that_are_green_are_not_checked_again(company: Company) -> None:
    company.pay(company.invoice(company.customer()))
    company.sync()
    company.now += HOUR
    again = company.sync()
    assert again.calls == [("GET", "/self")], "nothing is due, and nothing is asked beyond whose books these are"


@pytest.mark.exhaustive
def test_a_group_that_goes_after_a_green_check_holds_what_it_touches_and_the_rest_goes_on(company: Company) -> None:
    company.sandbox.economic.add_customer(customerNumber=4711, name="Kendt ApS", email="kendt@example.com")
    no_such_group(company, 3)
    company.pay(company.invoice(company.customer("Ny ApS", email="ny@example.com")))
    company.sync()
    company.now += HOUR
    company.sandbox.economic.delete("customer-groups", 3)
    new = company.customer("Nyere ApS", email="nyere@example.com")
    held = company.pay(company.invoice(new))
    known = company.pay(company.invoice(company.customer("Kendt ApS", email="kendt@example.com")))
    run = company.sync()
    assert (run.codes()[new], run.codes()[held]) == ("E-REFERENCE", "E-REFERENCE")
    assert f"stripe:{known}" in company.documents()
    assert any(key.startswith("drift:") for key in alerts(company))
    assert ALERT not in alerts(company)


@pytest.mark.exhaustive
def test_a_check_by_hand_that_finds_the_chart_moved_does_not_stop_the_runs(company: Company) -> None:
    no_such_group(company, 3)
    company.sync()
    company.now += HOUR
    company.sandbox.economic.delete("customer-groups", 3)
    found = check(company)
    assert [one.key for one in found.errors] == ["customers.defaults.group"]
    assert "so runs go on" in check_words(found)
    company.now += 2 * HOUR
    company.sandbox.economic.add_customer(customerNumber=4711, name="Kendt ApS", email="kendt@example.com")
    known = company.pay(company.invoice(company.customer("Kendt ApS", email="kendt@example.com")))
    company.sync()
    assert f"stripe:{known}" in company.documents()


def test_a_ledger_that_was_mended_is_checked_again_with_the_same_settings(company: Company) -> None:
    invoice = company.pay(company.invoice(company.customer()))
    no_such_group(company, 9)
    for _ in range(2):
        assert set(refused(company)) == {"customers.defaults.group"}
    group = company.sandbox.economic.get("customer-groups", 1)
    company.sandbox.economic.put("customer-groups", 9, {**(group or {}), "customerGroupNumber": 9})
    company.sync()
    assert set(company.documents()) == {f"stripe:{invoice}"}


@pytest.mark.exhaustive
def test_settings_that_were_green_before_others_were_tried_are_green_still(company: Company) -> None:
    company.sync()
    no_such_group(company)
    refused(company)
    no_such_group(company, 1)
    before = len(company.sandbox.economic.calls)
    company.sync()
    assert charts(company, before) == 0
    assert alerts(company) == []


@pytest.mark.exhaustive
def test_what_was_checked_in_a_dry_run_is_not_checked_again_when_writing_is_on(company: Company) -> None:
    company.configure(write_mode="dry_run")
    check(company)
    company.configure(write_mode="write")
    before = len(company.sandbox.economic.calls)
    company.sync()
    assert charts(company, before) == 0


@pytest.mark.exhaustive
def test_another_setting_is_checked_before_it_is_written_with(company: Company) -> None:
    company.sync()
    company.configure(limits={"max_documents_per_run": 7})
    before = len(company.sandbox.economic.calls)
    company.sync()
    assert charts(company, before) == 1


@pytest.mark.exhaustive
def test_a_check_against_one_agreement_says_nothing_of_another(company: Company) -> None:
    first = company.sandbox.economic.fact("agreement")
    company.configure(write_mode="dry_run")
    check(company)
    company.sandbox.economic.set_fact("agreement", 7654321)
    company.sandbox.economic.delete("customer-groups", 1)
    company.configure(write_mode="write")
    assert set(refused(company)) == {"customers.defaults.group"}

    def agreements(opened: OpenConnection) -> dict[str, bool]:
        found = kept_checks(opened.log.engine, opened.name, checked_hash(opened.settings))
        return {agreement: one.green_at is not None for agreement, one in found.items()}

    assert with_connection(company, agreements) == {str(first): True, "7654321": False}


@pytest.mark.exhaustive
def test_a_log_that_is_older_than_the_check_lets_it_be_made_again(company: Company, tmp_path: Path) -> None:
    log = Path(os.environ["CLOUDIFY_HOME"]) / "posting.db"
    with_connection(company, lambda opened: None)
    shutil.copy(log, tmp_path / "backup.db")
    company.sync()
    for file in log.parent.glob("posting.db*"):
        file.unlink()
    shutil.copy(tmp_path / "backup.db", log)
    before = len(company.sandbox.economic.calls)
    company.sync()
    assert charts(company, before) == 1


# -- everything that writes asks ----------------------------------------------------------------------------------------


async def customers(opened: OpenConnection) -> object:
    return await sync.post_planned_customers(opened, "run")


async def products(opened: OpenConnection) -> object:
    return await sync.post_planned_products(opened, "run")


async def documents(opened: OpenConnection) -> object:
    return await sync.post_planned_documents(opened, "run")


async def told(opened: OpenConnection) -> object:
    return await write_back(opened, [])


@pytest.mark.exhaustive
@pytest.mark.parametrize("step", [customers, products, documents, told])
def test_settings_that_change_between_planning_and_posting_are_checked_by_each_step(
    company: Company, step: Callable[[OpenConnection], Awaitable[object]]
) -> None:
    company.pay(company.invoice(company.customer()))

    async def planned(opened: OpenConnection) -> None:
        await sync.stage(opened)
        await sync.plan(opened)

    with_connection(company, lambda opened: asyncio.run(planned(opened)))
    no_such_group(company)

    async def post(opened: OpenConnection) -> None:
        await step(opened)

    with pytest.raises(SettingsError) as error:
        with_connection(company, lambda opened: asyncio.run(post(opened)))
    assert error.value.code == "E-CHECK-FIRST"
    assert nothing_was_written(company)


@pytest.mark.exhaustive
def test_a_plan_that_is_not_to_be_posted_needs_no_check(company: Company) -> None:
    no_such_group(company)

    async def planned(opened: OpenConnection) -> None:
        await sync.stage(opened)
        await sync.plan(opened, posting=False)

    with_connection(company, lambda opened: asyncio.run(planned(opened)))
    assert kept(company) is None


@pytest.mark.exhaustive
def test_a_check_is_made_before_the_calls_of_the_posting_are_planned(company: Company) -> None:
    company.pay(company.invoice(company.customer()))
    company.sync()
    company.now += HOUR
    company.configure(limits={"max_documents_per_run": 7})
    company.pay(company.invoice(company.customer("Ny ApS", email="ny@example.com")))
    before = len(company.sandbox.economic.calls)
    planned, calls = asyncio.run(plan_and_post(company))
    assert charts(company, before) == 3, "of the check, of planning, and of posting"
    assert (planned.reads, planned.writes) == (calls["GET"], sum(calls.values()) - calls["GET"])
    assert planned.writes == 3


# -- what is kept and told ----------------------------------------------------------------------------------------------


@pytest.mark.exhaustive
def test_each_check_is_kept_with_its_time_and_errors_and_stands_in_the_audit_chain(company: Company) -> None:
    no_such_group(company, 9)
    refused(company)
    red = kept(company)
    assert red is not None
    assert (red.at, red.green_at, [one.code for one in red.errors]) == (company.now, None, ["E-REFERENCE"])
    assert "no run may write (E-CHECK-FIRST)" in check_words(red)
    company.now += HOUR
    no_such_group(company, 1)
    company.sync()
    green = kept(company)
    assert green is not None
    assert (green.at, green.green_at, green.errors) == (company.now, company.now, ())
    assert check_words(green) == "green, 2026-11-02 10:00 UTC against agreement " + green.agreement
    assert with_connection(company, verified)["whole"]


@pytest.mark.exhaustive
def test_two_runs_at_once_are_both_refused_and_one_alert_is_told(company: Company) -> None:
    no_such_group(company)

    async def both(opened: OpenConnection) -> list[BaseException | None]:
        return list(await asyncio.gather(check_first(opened), check_first(opened), return_exceptions=True))

    found = with_connection(company, lambda opened: asyncio.run(both(opened)))
    assert [getattr(one, "code", None) for one in found] == ["E-CHECK-FIRST"] * 2
    assert alerts(company) == [ALERT]
    assert with_connection(company, verified)["whole"]


@pytest.mark.exhaustive
def test_there_is_one_alert_while_it_lasts_and_a_green_check_clears_it(company: Company) -> None:
    company.pay(company.invoice(company.customer()))
    company.sync()
    company.pay(company.invoice(company.customer("Ny ApS")))
    no_such_group(company)
    for _ in range(5):
        company.now += HOUR
        refused(company)

        def after_the_run(opened: OpenConnection) -> None:
            run_ended(opened, [FailedStep("stripe", "E-CHECK-FIRST", "refused")])
            run_ended(opened, [FailedStep("plan", "E-CHECK-FIRST", "refused")], job="replay")
            find_alerts(opened)

        with_connection(company, after_the_run)
        assert alerts(company) == [ALERT], "neither one for each job, nor one for the syncs that do not come"
    (alert,) = with_connection(company, open_alerts)
    assert alert.times == 5
    assert "customers.defaults.group: E-REFERENCE" in alert.message
    no_such_group(company, 2)
    check(company)
    assert alerts(company) == []


@pytest.mark.exhaustive
def test_the_alert_is_over_when_nothing_is_to_be_written_any_more(company: Company) -> None:
    no_such_group(company)
    refused(company)
    company.configure(write_mode="dry_run")
    company.sync()
    assert alerts(company) == []
