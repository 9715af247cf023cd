"""What Dagster finds: names that users hold on to, groups, partitions, and a code location that always loads."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
import yaml

from cloudify_pipeline.definitions import defs
from cloudify_pipeline.orchestration.schedules import hourly_requests, hourly_sync
from cloudify_pipeline.orchestration.validate import validate

ROOT = Path(__file__).parents[2]


def test_the_asset_graph_has_the_agreed_names_and_groups() -> None:
    groups = {key.to_user_string(): defs.resolve_asset_graph().get(key).group_name for key in defs.resolve_all_asset_keys()}
    staged = (
        "customers",
        "products",
        "prices",
        "tax_rates",
        "invoices",
        "charges",
        "credit_notes",
        "refunds",
        "disputes",
        "checkout_sessions",
    )
    stripe = {f"stripe/{name}": "stripe" for name in staged}
    plan = {f"plan/{name}": "plan" for name in ("customers", "products", "documents")}
    ledger = {f"ledger/{name}": "ledger" for name in ("customers", "products", "documents", "settled")}
    assert groups == {**stripe, **plan, **ledger, "control/status": "control"}


def test_jobs_and_schedule_have_the_agreed_names() -> None:
    assert {job.name for job in defs.resolve_all_job_defs()} >= {"sync", "preview"}
    assert hourly_sync.name == "hourly_sync"
    assert hourly_sync.cron_schedule == "0 * * * *"
    assert hourly_sync.execution_timezone == "Europe/Copenhagen"
    assert hourly_sync.default_status == dg.DefaultScheduleStatus.RUNNING


def test_preview_has_no_asset_that_writes() -> None:
    keys = {key.path[0] for key in defs.resolve_job_def("preview").asset_layer.executable_asset_keys}
    assert keys == {"stripe", "plan"}


def test_every_asset_says_what_it_is_for() -> None:
    graph = defs.resolve_asset_graph()
    assert not [key for key in defs.resolve_all_asset_keys() if not graph.get(key).description]


def test_workspace_yaml_names_a_location_that_loads() -> None:
    assert validate(ROOT / "workspace.yaml") == []
    workspace = yaml.safe_load((ROOT / "workspace.yaml").read_text(encoding="utf-8"))
    assert workspace["load_from"][0]["python_module"]["location_name"] == "cloudify_pipeline"


def test_without_connections_and_with_a_broken_one_everything_still_loads(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("stripe: [", encoding="utf-8")
    for folder in (tmp_path / "nowhere", tmp_path):
        environment = {**os.environ, "CLOUDIFY_CONNECTIONS": str(folder), "CLOUDIFY_HOME": str(tmp_path / "home")}
        command = [sys.executable, "-m", "cloudify_pipeline.orchestration.validate", "-w", str(ROOT / "workspace.yaml")]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.stdout == "definitions: valid\n", done.stderr


def test_a_tick_asks_for_one_run_a_connection_under_a_key_that_names_the_tick() -> None:
    tick = datetime(2026, 11, 2, 9, tzinfo=UTC)
    assert hourly_requests(["a", "b"], tick) == [("a", "a:2026-11-02T09:00:00+00:00"), ("b", "b:2026-11-02T09:00:00+00:00")]


@pytest.mark.parametrize("module", sorted((ROOT / "cloudify_pipeline" / "orchestration").glob("*.py")), ids=lambda p: p.stem)
def test_no_definition_module_postpones_annotations(module: Path) -> None:
    assert "from __future__ import annotations" not in module.read_text(encoding="utf-8")
