"""Every hour, one run per connection."""

from datetime import datetime

import dagster as dg

from cloudify_pipeline.orchestration.jobs import sync
from cloudify_pipeline.orchestration.partitions import connections


def hourly_requests(names: list[str], tick: datetime) -> list[tuple[str, str]]:
    """(connection, run key) of one tick; the key names the tick, so a tick that is evaluated twice starts one run."""
    return [(name, f"{name}:{tick.isoformat()}") for name in names]


@dg.schedule(
    job=sync,
    name="hourly_sync",
    cron_schedule="0 * * * *",
    execution_timezone="Europe/Copenhagen",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def hourly_sync(context: dg.ScheduleEvaluationContext) -> dg.SkipReason | list[dg.RunRequest]:
    """Syncs every connection at the full hour."""
    names = list(connections.get_partition_keys())
    if not names:
        return dg.SkipReason("No connections: put a <name>.yaml into CLOUDIFY_CONNECTIONS and reload the code location.")
    return [
        dg.RunRequest(run_key=key, partition_key=name) for name, key in hourly_requests(names, context.scheduled_execution_time)
    ]
