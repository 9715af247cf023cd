"""The commands that write, on settings that nobody has checked: exit 2 with every error, and nothing sent."""

import json
from typing import Any

import pytest

from cloudify_pipeline.orchestration.instance import instance
from cloudify_pipeline.sandbox.faults import Fault
from cloudify_pipeline_tests.cli.conftest import Call, Load
from cloudify_pipeline_tests.whole_runs.conftest import Company


def write(company: Company, **sections: Any) -> None:
    company.configure(**sections)
    company.connection().log.close()


def wrong(company: Company) -> None:
    write(company, customers={"defaults": {"payment_terms": 77, "group": 99}})


def right(company: Company) -> None:
    write(company, customers={"defaults": {"payment_terms": 1, "group": 1}})


def writes(company: Company) -> int:
    methods = [call.method for call in company.sandbox.economic.calls] + [call.method for call in company.sandbox.stripe.calls]
    return len(methods) - methods.count("GET")


def charts(company: Company) -> int:
    return sum(call.path == "/customer-groups" for call in company.sandbox.economic.calls)


def held_one(call: Call) -> str:
    rows = call("status", "--json").document["documents"]
    return str(next(row["stripe_id"] for row in rows if row["state"] == "held"))


def test_a_sync_on_wrong_numbers_ends_with_2_and_names_them_all(shop: Company, call: Call, load: Load) -> None:
    load()
    wrong(shop)
    called = call("sync", "--json")
    assert called.code == 2
    error = called.document["error"]
    assert error["code"] == "E-CHECK-FIRST"
    assert [problem.split(":")[0] for problem in error["problems"]] == [
        "customers.defaults.payment_terms", "customers.defaults.group",
    ]  # fmt: skip
    assert all("E-REFERENCE" in problem for problem in error["problems"])
    assert writes(shop) == 0
    for name in ("customers.defaults.payment_terms", "customers.defaults.group", "E-CHECK-FIRST"):
        assert name in call("sync").err
    with instance() as recorded:
        run = recorded.get_run_by_id(error["run_id"])
    assert run is not None
    assert not run.is_success


@pytest.mark.exhaustive
def test_a_held_record_refuses_nothing_whatever_check_ends_with(shop: Company, call: Call, load: Load) -> None:
    load()
    shop.sandbox.economic.delete("sales-accounts", "3/1")
    assert call("check").code == 2, "the group has no sales account in the zone that a due document needs"
    assert call("sync").code == 1
    assert writes(shop) > 0


@pytest.mark.exhaustive
def test_what_check_found_right_is_not_checked_again_by_the_sync(shop: Company, call: Call, load: Load) -> None:
    load()
    checked = call("check", "--json").document["settings_check"]
    assert (checked["errors"], checked["green_at"]) == ([], checked["at"])
    before = charts(shop)
    assert call("sync").code == 1
    # Planning and posting read it, each once.
    assert charts(shop) - before == 2


@pytest.mark.exhaustive
def test_check_and_status_show_when_the_settings_were_checked_and_what_came_of_it(shop: Company, call: Call) -> None:
    assert "Settings: not checked yet; the first run that may write does it" in call("status").out
    assert "Settings and chart: green, " in call("check").out
    assert "Settings: green, " in call("status").out
    wrong(shop)
    assert "2 errors, " in call("check").out
    assert "no run may write (E-CHECK-FIRST)" in call("status").out
    errors = call("check", "--json").document["settings_check"]["errors"]
    assert [one["key"] for one in errors] == ["customers.defaults.payment_terms", "customers.defaults.group"]


@pytest.mark.exhaustive
def test_a_setting_that_was_set_is_checked_by_the_next_sync(shop: Company, call: Call, load: Load) -> None:
    load()
    assert call("sync").code == 1
    before = writes(shop)
    assert call("settings", "set", "nordlys", "invoices.layout", "4").code == 0
    refused = call("sync", "--json")
    assert refused.code == 2
    assert "invoices.layout" in refused.document["error"]["problems"][0]
    assert writes(shop) == before
    assert call("settings", "set", "nordlys", "--unset", "invoices.layout").code == 0
    assert call("sync").code == 1


@pytest.mark.exhaustive
@pytest.mark.parametrize("words", [["replay", "--failed"], ["accept", "nordlys", "ID", "--post"], ["accept", "nordlys", "ID"]])
def test_a_replay_and_a_persons_word_are_refused_like_a_sync(shop: Company, call: Call, load: Load, words: list[str]) -> None:
    load()
    assert call("sync").code == 1
    held = held_one(call)
    wrong(shop)
    before = writes(shop)
    called = call(*(held if word == "ID" else word for word in words), "--json")
    assert called.code == 2
    error = called.document["error"]
    assert error["code"] == "E-CHECK-FIRST"
    assert len(error["problems"]) == 2
    assert writes(shop) == before
    right(shop)
    assert call("sync").code == 1, "what was refused has left no word behind that acts later"
    assert held_one(call) == held


@pytest.mark.exhaustive
def test_a_replay_that_only_plans_needs_no_check(shop: Company, call: Call, load: Load) -> None:
    load()
    assert call("sync").code == 1
    wrong(shop)
    assert call("replay", "--failed", "--plan").code == 0


def test_a_ledger_that_cannot_be_asked_ends_with_3(shop: Company, call: Call, load: Load) -> None:
    load()
    wrong(shop)
    shop.sandbox.faults_economic.add(Fault("GET", "^/self$", "status", status=401, times=None))
    called = call("sync", "--json")
    assert (called.code, called.document["error"]["code"]) == (3, "E-CONN-GRANT")


@pytest.mark.exhaustive
def test_a_refusal_says_the_settings_and_no_secret(shop: Company, call: Call, load: Load) -> None:
    load()
    wrong(shop)
    said = call("sync", "--json").out + call("check", "--json").out
    for value in shop.sandbox.environment.values():
        assert json.dumps(value) not in said
