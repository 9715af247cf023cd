"""Sensors: what happens in Stripe is in the ledger soon, a replay is asked for in Stripe, and somebody is told of trouble."""

from collections.abc import Callable, Mapping

import dagster as dg

from cloudify_pipeline.orchestration.jobs import replay, sync
from cloudify_pipeline.orchestration.partitions import connections
from cloudify_pipeline.orchestration.sensor_alerts import watch
from cloudify_pipeline.orchestration.sensor_decisions import (
    Decision,
    Mark,
    paid_decision,
    read_cursor,
    replay_decision,
    replay_start,
    write_cursor,
)
from cloudify_pipeline.orchestration.sensor_look import Look, look
from cloudify_pipeline.settings.models import ConnectionSettings
from cloudify_pipeline.stripe_source.live import UPDATED, asked_types

_NONE = "No connections: put a <name>.yaml into CLOUDIFY_CONNECTIONS and reload the code location."


_FIRST_PAGES = 20
"""Of the hour before the first look: our own answers to an hour's posting are updates of invoices as well."""


def _paid_types(settings: ConnectionSettings) -> tuple[str, ...]:
    return asked_types(settings.invoices)


def _replay_types(settings: ConnectionSettings) -> tuple[str, ...]:
    return (UPDATED,)


@dg.sensor(
    job=sync,
    name="paid_invoices",
    # A connection is looked at every thirty seconds; the ticks between see whether a webhook asked for a look.
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def paid_invoices(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Asks for a sync of the invoices that were sent, finalized or paid since the last tick, as the rules demand.

    Whatever the write mode: with dry_run the run shows what would be posted.
    """
    return _tick(context, lambda names, marks: look(names, marks, _paid_types, paid_decision))


@dg.sensor(job=replay, name="replay_requests", minimum_interval_seconds=30, default_status=dg.DefaultSensorStatus.RUNNING)
def replay_requests(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Asks for a replay of the invoices whose `ledger_status` somebody set to `replay` in Stripe's metadata."""
    return _tick(
        context, lambda names, marks: look(names, marks, _replay_types, replay_decision, start=replay_start, pages=_FIRST_PAGES)
    )


@dg.sensor(name="sync_alerts", minimum_interval_seconds=60, default_status=dg.DefaultSensorStatus.RUNNING)
def sync_alerts(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Tells of failed runs, held records, connections that stopped working and syncs that did not bring everything.

    Each cause is told once a day by each route of `alerts` in the connection's settings.
    """
    names = list(connections.get_partition_keys())
    if not names:
        return dg.SkipReason(_NONE)
    watched = watch(context.instance, names, context.cursor, log=context.log.warning)
    if watched.failed and len(watched.failed) == len(names):
        raise dg.Failure(description=_failures(watched.failed), allow_retries=False)
    for line in watched.failed.values():
        context.log.error(line)
    return dg.SensorResult(skip_reason=watched.summary, cursor=watched.cursor)


def _tick(
    context: dg.SensorEvaluationContext, see: Callable[[list[str], dict[str, Mark]], Look]
) -> dg.SensorResult | dg.SkipReason:
    names = list(connections.get_partition_keys())
    if not names:
        return dg.SkipReason(_NONE)
    marks = read_cursor(context.cursor)
    seen = see(names, marks)
    if seen.none_could_be_read:
        # An unread page is not an empty one. The cursors stand, and the next tick reads from there.
        raise dg.Failure(description=_failures(seen.failed), allow_retries=False)
    for name, reason in seen.failed.items():
        context.log.error(f"{name} could not be read: {reason}")
    requests = [_request(name, decision) for name, decision in seen.decisions.items() if decision.run_key]
    marks |= {name: decision.mark for name, decision in seen.decisions.items()}
    words = "; ".join(f"{name}: {decision.why}" for name, decision in seen.decisions.items() if decision.why)
    for name, decision in seen.decisions.items():
        if decision.run_key and decision.why:
            context.log.warning(f"{name}: {decision.why}")
    skip = None if requests else words or "looked less than half a minute ago"
    return dg.SensorResult(run_requests=requests or None, skip_reason=skip, cursor=write_cursor(marks, names))


def _request(name: str, decision: Decision) -> dg.RunRequest:
    scope = {"resources": {"scope": {"config": {"invoice_ids": list(decision.ids)}}}} if decision.ids else None
    return dg.RunRequest(run_key=decision.run_key, partition_key=name, run_config=scope)


def _failures(failed: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {reason}" for name, reason in failed.items())


sensors = [paid_invoices, replay_requests, sync_alerts]
