"""The recent runs of one connection as the instance recorded them, for whoever looks into a fault."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from cloudify_pipeline.orchestration.instance import instance
from cloudify_pipeline.settings.paths import home

LIMIT = 20


def recent_runs(connection: str, *, limit: int = LIMIT) -> list[Mapping[str, Any]]:
    """Newest first: run id, job, status, times, and what the failed steps said."""
    if not home().is_dir():
        return []
    with instance() as recorded:
        wanted = dg.RunsFilter(tags={"dagster/partition": connection})
        return [_shown(recorded, one) for one in recorded.get_run_records(filters=wanted, limit=limit)]


def _shown(recorded: dg.DagsterInstance, record: dg.RunRecord) -> dict[str, Any]:
    run = record.dagster_run
    failed = [] if run.is_success else recorded.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    return {
        "run_id": run.run_id,
        "job": run.job_name,
        "status": run.status.value,
        "started_at": _instant(record.start_time),
        "ended_at": _instant(record.end_time),
        "failures": [_reason(entry) for entry in failed],
    }


def _reason(entry: dg.EventLogEntry) -> str:
    event = entry.dagster_event
    data = event.step_failure_data if event is not None else None
    step = f"{entry.step_key}: "
    if data is None:
        return f"{step}failed"
    if data.user_failure_data is not None:
        return f"{step}{data.user_failure_data.description or 'failed'}"
    # The text of an unexpected error may hold anything; its kind does not.
    error = data.error
    while error is not None and error.cause is not None:
        error = error.cause
    return f"{step}{(error.cls_name if error else None) or 'failed'}"


def _instant(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
