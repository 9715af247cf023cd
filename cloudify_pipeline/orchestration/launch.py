"""Runs a job here and now, recorded in the instance like any other run: what the command line does."""

from dataclasses import dataclass
from typing import Any

from cloudify_pipeline.control.outcome import FailedStep
from cloudify_pipeline.definitions import defs
from cloudify_pipeline.orchestration.failures import failed_step
from cloudify_pipeline.orchestration.instance import instance


@dataclass(frozen=True, slots=True)
class Launched:
    """A finished run: its id, whether every step succeeded, and what the failed ones said."""

    run_id: str
    success: bool
    failures: tuple[FailedStep, ...]


def run_job(job: str, connection: str, *, scope: dict[str, Any] | None = None, log_level: str | None = None) -> Launched:
    """Run `job` for `connection` in this process; `scope` is the run scope's config, `log_level` what the console shows."""
    config: dict[str, Any] = {"resources": {"scope": {"config": scope}}} if scope else {}
    if log_level is not None:
        config["loggers"] = {"console": {"config": {"log_level": log_level}}}
    with instance() as recorded:
        result = defs.resolve_job_def(job).execute_in_process(
            run_config=config, partition_key=connection, instance=recorded, raise_on_error=False
        )
        failures = tuple(failed_step(event) for event in result.all_events if event.is_step_failure)
    return Launched(result.run_id, result.success, failures)
