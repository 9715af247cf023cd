"""The jobs, run: what they post, what their metadata tells a bookkeeper, and when a run is red."""

from pathlib import Path
from types import ModuleType
from typing import Any

import dagster as dg
import pytest

from cloudify_pipeline.orchestration.instance import instance
from cloudify_pipeline.sandbox.faults import Fault
from cloudify_pipeline.sandbox.server import Sandbox
from cloudify_pipeline_tests.quick_staging import staging_kept_open


def run(location: ModuleType, job: str, recorded: dg.DagsterInstance, **scope: Any) -> dg.ExecuteInProcessResult:
    config = {"resources": {"scope": {"config": scope}}} if scope else {}
    definition: dg.JobDefinition = location.defs.resolve_job_def(job)
    with staging_kept_open():
        return definition.execute_in_process(partition_key="nordlys", instance=recorded, run_config=config, raise_on_error=False)


def metadata(result: dg.ExecuteInProcessResult, *key: str) -> dict[str, Any]:
    event = next(
        e for e in result.get_asset_materialization_events() if e.asset_key is not None and e.asset_key.path == list(key)
    )
    return {name: value.value for name, value in event.materialization.metadata.items()}


def test_a_sync_posts_and_its_metadata_adds_up(location: ModuleType, sandbox: Sandbox) -> None:
    with instance() as recorded:
        result = run(location, "sync", recorded)
        assert result.success
        assert len(sandbox.economic.booked()) == 2
        facts = metadata(result, "ledger", "documents")
        assert (facts["booked"], facts["held"], facts["created or changed in this run"]) == (2, 1, 2)
        assert facts["in the ledger"] == "250.00 DKK"
        assert facts["held back"] == "125.00 DKK"
        assert "Ærø \\*Kajak\\* \\[ø\\]" in facts["documents"], "foreign text is shown, not obeyed"
        assert "https://dashboard.stripe.com/test/invoices/in_" in facts["documents"]
        assert "E-VAT-ZONE" in facts["held and failed"]
        assert "Add the country" in facts["held and failed"]
        assert metadata(result, "stripe", "invoices")["sums"] == "375.00 DKK"
        assert metadata(result, "control", "status")["booked"] == 2

        again = run(location, "sync", recorded)
        assert again.success
        assert metadata(again, "ledger", "documents")["writes"] == 0
        assert metadata(again, "plan", "documents")["already in the ledger"] == 2
        assert len(sandbox.economic.booked()) == 2


def test_checks_are_per_connection_and_warn(location: ModuleType) -> None:
    with instance() as recorded:
        result = run(location, "sync", recorded)
        found = {e.check_name: (e.passed, e.severity) for e in result.get_asset_check_evaluations()}
    assert found["stripe_amounts_add_up"][0]
    assert found["totals_agree"][0]
    assert found["nothing_held_or_failed"] == (False, dg.AssetCheckSeverity.WARN)
    assert found["no_unmapped_refusals"] == (True, dg.AssetCheckSeverity.WARN)


def test_preview_sends_nothing_but_get(location: ModuleType, sandbox: Sandbox) -> None:
    with instance() as recorded:
        result = run(location, "preview", recorded)
    assert result.success
    assert metadata(result, "plan", "documents")["booked invoices"] == 2
    assert {call.method for call in sandbox.economic.calls} == {"GET"}
    assert {call.method for call in sandbox.stripe.calls} == {"GET"}


def test_named_invoices_are_all_a_run_is_about(location: ModuleType, sandbox: Sandbox) -> None:
    first, *_ = [row["id"] for row in sandbox.stripe.rows("invoice") if row["customer_name"] == "Frøstrup ApS"]
    with instance() as recorded:
        assert run(location, "sync", recorded, invoice_ids=[first]).success
    assert [document["references"]["other"] for document in sandbox.economic.booked()] == [f"stripe:{first}"]


def test_what_cannot_be_reached_makes_settled_red_and_nothing_else(location: ModuleType, sandbox: Sandbox) -> None:
    sandbox.faults_economic.add(Fault("POST", "^/invoices/drafts$", "status", status=500, times=None))
    with instance() as recorded:
        result = run(location, "sync", recorded)
        assert not result.success
        failed = [event for event in result.all_events if event.is_step_failure]
        assert [event.step_key for event in failed] == ["ledger__settled"]
        assert "2 records could not be reached" in str(failed[0].step_failure_data.user_failure_data)
        assert metadata(result, "ledger", "documents")["failed"] == 2
        sandbox.faults_economic.clear()
        assert run(location, "sync", recorded).success
    assert len(sandbox.economic.booked()) == 2


def test_a_withdrawn_grant_fails_the_plan_with_the_remedy_and_posts_nothing(location: ModuleType, sandbox: Sandbox) -> None:
    sandbox.economic.revoke_grant()
    with instance() as recorded:
        result = run(location, "sync", recorded)
        failed = [event for event in result.all_events if event.is_step_failure]
    assert [event.step_key for event in failed] == ["plan"]
    said = failed[0].step_failure_data.user_failure_data
    assert said is not None
    assert said.metadata["code"].value == "E-CONN-GRANT"
    assert "Grant access again" in str(said.description)
    assert {call.method for call in sandbox.economic.calls} == {"GET"}


def test_no_secret_reaches_dagsters_storage(location: ModuleType, sandbox: Sandbox, tmp_path: Path) -> None:
    with instance() as recorded:
        run(location, "sync", recorded)
    secrets = [value.encode() for value in sandbox.environment.values()]
    for file in (tmp_path / "home").rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert not [secret for secret in secrets if secret in content], file


@pytest.mark.parametrize("present", [True, False])
def test_the_home_gets_the_packaged_configuration_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, present: bool) -> None:
    folder = tmp_path / "dagster"
    monkeypatch.setenv("DAGSTER_HOME", str(folder))
    if present:
        folder.mkdir()
        (folder / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    with instance() as recorded:
        assert not recorded.telemetry_enabled
    kept = (folder / "dagster.yaml").read_text(encoding="utf-8")
    assert ("applyLimitPerUniqueValue" in kept) is not present
