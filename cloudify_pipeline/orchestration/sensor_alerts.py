"""What `sync_alerts` does in a tick: how the last runs ended, what the log says, and who is told."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

import dagster as dg

from cloudify_pipeline.connection import open_connection
from cloudify_pipeline.control.alert_causes import run_ended
from cloudify_pipeline.control.alert_delivery import deliver_alerts, find_alerts
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.control.outcome import FailedStep
from cloudify_pipeline.errors import PipelineError
from cloudify_pipeline.orchestration.failures import failed_step

JOBS = ("sync", "replay")
STALE = timedelta(minutes=10)
"""Lateness is counted in hours, and finding it reads staging."""
TICK_SECONDS = 25.0
"""When a tick begins no further connection: one may take as long again, and Dagster ends a tick after sixty."""
_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]


@dataclass(frozen=True, slots=True)
class Watched:
    """`failed` is connection → why it could not be watched."""

    cursor: str
    summary: str
    failed: Mapping[str, str] = field(default_factory=dict)


def watch(
    instance: dg.DagsterInstance,
    names: Sequence[str],
    cursor: str | None,
    *,
    log: Callable[[str], object],
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Watched:
    """Find and tell the alerts of every connection. The cursor keeps which runs were seen, and when lateness was looked for."""
    started = monotonic()
    seen = _read(cursor)
    failed: dict[str, str] = {}
    kept: dict[str, Any] = {}
    words = []
    # Who waited longest comes first, so that one slow route cannot keep the same ones waiting for ever.
    for name in sorted(names, key=lambda one: seen.get(one, {}).get("at", 0)):
        known = seen.get(name, {})
        if monotonic() - started > TICK_SECONDS:
            kept[name] = known
            words.append(f"{name}: next tick")
            continue
        try:
            opened = open_connection(name, clock=clock)
            try:
                kept[name], told = _one(instance, opened, known, log)
            finally:
                opened.log.close()
        except PipelineError as error:
            failed[name] = f"{name} cannot be watched: {error.code}: {error.message}"
            kept[name] = known
        else:
            words.append(f"{name}: {told}")
    return Watched(json.dumps(kept, sort_keys=True), "; ".join(words) or "nothing could be watched", failed)


def _one(
    instance: dg.DagsterInstance, opened: OpenConnection, known: Mapping[str, Any], log: Callable[[str], object]
) -> tuple[dict[str, Any], str]:
    runs = dict(known.get("runs") or {})
    for job in JOBS:
        filters = dg.RunsFilter(job_name=job, statuses=_ENDED, tags={"dagster/partition": opened.name})
        for run in instance.get_runs(filters, limit=1):
            if runs.get(job) != run.run_id:
                run_ended(opened, _failures(instance, run), job=job)
                runs[job] = run.run_id
    now = opened.clock().timestamp()
    looked = float(known.get("late_at") or 0)
    late = now - looked >= STALE.total_seconds()
    find_alerts(opened, late=late)
    told = deliver_alerts(opened, say=log)
    trouble = f", {len(told.failed)} not told" if told.failed else ""
    kept = {"runs": runs, "late_at": now if late else looked, "at": now}
    return kept, f"{told.open} open alerts, {told.told} told now{trouble}"


def _failures(instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[FailedStep]:
    if run.status != dg.DagsterRunStatus.FAILURE:
        return []
    entries = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    steps = [failed_step(one.dagster_event) for one in entries if one.dagster_event is not None]
    return steps or [FailedStep("the run", "E-INTERNAL", "it ended without a failed step: its process was ended or never began")]


def _read(cursor: str | None) -> dict[str, Any]:
    try:
        known = json.loads(cursor or "{}")
    except ValueError:
        return {}
    return known if isinstance(known, dict) else {}
