"""Telling: open alerts to the routes of the connection's settings, at least once each, and once a day at most."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic

from cloudify_pipeline.control.alert_causes import late_causes, record_causes, renew, run_ended
from cloudify_pipeline.control.alert_routes import NotTold, Route, Say, route_of
from cloudify_pipeline.control.alerts import open_alerts
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.control.outcome import FailedStep
from cloudify_pipeline.errors import RunStopped, SettingsError
from cloudify_pipeline.posting.log import alerts as log
from cloudify_pipeline.posting.log.alerts import Alert

BUDGET = 25.0
"""Seconds; a tick of Dagster has sixty. What is not told by then is told in the next."""

_logger = logging.getLogger("cloudify_pipeline.alerts")


@dataclass(frozen=True, slots=True)
class Told:
    """`open` alerts there are, `told` of them now (an alert counts once for each route), and what no route took, as text."""

    open: int
    told: int
    failed: tuple[str, ...] = ()


def find_alerts(opened: OpenConnection, *, late: bool = True) -> None:
    """Bring the alerts in line with the log; with `late`, also with staging, unless a run is writing it."""
    renew(opened, "records", record_causes(opened))
    if late:
        try:
            found = late_causes(opened)
        except RunStopped:
            return
        renew(opened, "late", found)


def deliver_alerts(opened: OpenConnection, *, say: Say | None = None, routes: Sequence[Route] | None = None) -> Told:
    """Tell every open alert to every route that asks for its kind and was not told within a day.

    A claim in the log keeps two deliverers from telling the same; one that dies is followed by another after minutes.
    What fails is logged and tried again by the next delivery. Without ``alerts`` in the settings nobody is told.
    """
    started = monotonic()
    alerts = open_alerts(opened)
    told, failed = 0, []
    for place, settings in enumerate(opened.settings.alerts):
        route = routes[place] if routes is not None else route_of(settings, say=say)
        wanted = [alert for alert in alerts if alert.on in settings.on]
        for batch in [wanted] if route.together else [[alert] for alert in wanted]:
            if monotonic() - started > BUDGET:
                break
            count, trouble = _tell(opened, route, batch)
            told += count
            if trouble is not None:
                failed.append(trouble)
                _logger.warning("%s", trouble)
                if say is not None:
                    say(trouble)
                # A route that is down would keep everybody waiting once for each alert.
                break
    return Told(len(alerts), told, tuple(failed))


def after_run(opened: OpenConnection, failures: Sequence[FailedStep], *, job: str = "sync", say: Say | None = None) -> Told:
    """What the command line does when a run has ended: find what is to be told, and tell it."""
    run_ended(opened, failures, job=job)
    find_alerts(opened)
    return deliver_alerts(opened, say=say)


def _tell(opened: OpenConnection, route: Route, batch: Sequence[Alert]) -> tuple[int, str | None]:
    engine = opened.log.engine
    mine = [alert for alert in batch if log.claim(engine, alert, route.name, opened.clock())]
    if not mine:
        return 0, None
    try:
        route.tell(mine)
    except (NotTold, SettingsError) as error:
        # The next delivery is the retry: hours of silence must not follow from one.
        reason = error.problems[0].allowed if isinstance(error, SettingsError) else str(error)
        for alert in mine:
            log.delivered(engine, alert, route.name, opened.clock(), error=reason)
        return 0, f"{opened.name}: {len(mine)} alerts could not be told by {route.name}: {reason}; tried again at the next tick"
    for alert in mine:
        log.delivered(engine, alert, route.name, opened.clock())
    return len(mine), None
