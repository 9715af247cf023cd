"""Runs in Dagster on settings that nobody has checked: red at once with the code, whatever was launched."""

from collections.abc import Sequence
from types import ModuleType

import dagster as dg
import pytest

from cloudify_pipeline.connection import open_connection
from cloudify_pipeline.control.alerts import open_alerts
from cloudify_pipeline.orchestration.instance import instance
from cloudify_pipeline.orchestration.sensor_alerts import watch
from cloudify_pipeline.sandbox.server import Sandbox
from cloudify_pipeline_tests.orchestration.test_runs import metadata, run
from cloudify_pipeline_tests.orchestration.test_sensors import change_settings

WRONG = {"defaults": {"payment_terms": 1, "group": 99}}
RIGHT = {"defaults": {"payment_terms": 1, "group": 1}}


def failed(result: dg.ExecuteInProcessResult) -> list[tuple[str, str]]:
    """(step, code) of each failed step."""
    found = []
    for event in result.all_events:
        if event.is_step_failure:
            said = event.step_failure_data.user_failure_data
            assert said is not None, event.step_failure_data
            found.append((str(event.step_key), str(said.metadata["code"].value)))
    return found


def alerts() -> list[str]:
    opened = open_connection("nordlys")
    try:
        return [alert.key for alert in open_alerts(opened)]
    finally:
        opened.log.close()


def materialised(location: ModuleType, recorded: dg.DagsterInstance, chosen: Sequence[str]) -> dg.ExecuteInProcessResult:
    """As somebody does it in the catalog: only these assets."""
    selection = [dg.AssetKey(name.split("/")) for name in chosen]
    definition: dg.JobDefinition = location.defs.resolve_implicit_global_asset_job_def()
    return definition.get_subset(asset_selection=set(selection)).execute_in_process(
        partition_key="nordlys", instance=recorded, raise_on_error=False, asset_selection=selection
    )


def writes(sandbox: Sandbox) -> int:
    methods = [call.method for call in sandbox.economic.calls] + [call.method for call in sandbox.stripe.calls]
    return len(methods) - methods.count("GET")


@pytest.mark.exhaustive
@pytest.mark.parametrize(("job", "scope"), [("sync", {}), ("replay", {"everything": True})])
def test_a_run_is_red_at_once_with_every_error_and_goes_on_when_they_are_mended(
    location: ModuleType, sandbox: Sandbox, job: str, scope: dict[str, bool]
) -> None:
    change_settings(customers=WRONG)
    with instance() as recorded:
        for _ in range(2):
            result = run(location, job, recorded, **scope)
            assert failed(result) == [("stripe", "E-CHECK-FIRST")]
            assert "customers.defaults.group" in str(
                next(e for e in result.all_events if e.is_step_failure).step_failure_data.user_failure_data
            )
            assert not sandbox.stripe.calls, "nobody reads Stripe for an hour first"
            watch(recorded, ["nordlys"], None, log=print)
            assert alerts() == ["settings:E-CHECK-FIRST"]
        assert writes(sandbox) == 0
        change_settings(customers=RIGHT)
        assert run(location, "sync", recorded).success
    assert "settings:E-CHECK-FIRST" not in alerts()


@pytest.mark.exhaustive
def test_a_preview_needs_no_check(location: ModuleType, sandbox: Sandbox) -> None:
    change_settings(customers=WRONG)
    with instance() as recorded:
        result = run(location, "preview", recorded)
    assert result.success
    assert "not checked yet" in metadata(result, "plan", "documents")["settings check"]
    assert writes(sandbox) == 0


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("chosen", "step"),
    [
        (["ledger/customers"], "ledger__customers.post_customers"),
        (["ledger/products"], "ledger__products.post_products"),
        (["ledger/documents"], "ledger__documents.post_documents"),
        (["ledger/settled"], "ledger__settled"),
    ],
)
def test_an_asset_of_the_ledger_that_is_materialised_alone_is_refused(
    location: ModuleType, sandbox: Sandbox, chosen: list[str], step: str
) -> None:
    with instance() as recorded:
        assert run(location, "preview", recorded).success
        change_settings(customers=WRONG)
        result = materialised(location, recorded, chosen)
    assert failed(result) == [(step, "E-CHECK-FIRST")]
    assert writes(sandbox) == 0


@pytest.mark.exhaustive
def test_a_plan_that_is_materialised_alone_needs_no_check_and_one_with_its_posting_does(location: ModuleType) -> None:
    plans = ["plan/customers", "plan/products", "plan/documents"]
    change_settings(customers=WRONG)
    with instance() as recorded:
        assert run(location, "preview", recorded).success
        assert materialised(location, recorded, plans).success
        assert failed(materialised(location, recorded, [*plans, "ledger/customers"])) == [("plan", "E-CHECK-FIRST")]


def test_re_execution_checks_what_was_changed_meanwhile(location: ModuleType, sandbox: Sandbox) -> None:
    with instance() as recorded:
        assert run(location, "sync", recorded).success
        before = writes(sandbox)
        change_settings(customers=WRONG)
        again = location.defs.resolve_job_def("sync").execute_in_process(
            partition_key="nordlys", instance=recorded, raise_on_error=False, op_selection=["ledger__settled"]
        )
    assert failed(again) == [("ledger__settled", "E-CHECK-FIRST")]
    assert writes(sandbox) == before


@pytest.mark.exhaustive
def test_the_pages_show_when_the_settings_were_checked_and_that_they_are_green(location: ModuleType) -> None:
    with instance() as recorded:
        result = run(location, "sync", recorded)
    for asset in (("plan", "documents"), ("control", "status")):
        assert metadata(result, *asset)["settings check"].startswith("green, 20")
