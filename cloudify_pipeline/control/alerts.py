"""Alerts: what a person should be told of, once per cause. Raised anywhere, kept in the posting log, told by routes.

A key names the cause, not the record: ``held:E-VAT-ZONE``, ``connection:stripe``. Telling is apart (:mod:`.alert_routes`).
"""

from collections.abc import Mapping
from typing import Any

from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.posting.log import alerts as log
from cloudify_pipeline.posting.log.alerts import Alert, On


def raise_alert(opened: OpenConnection, on: On, key: str, message: str, *, facts: Mapping[str, Any] | None = None) -> None:
    """Say that `key` is the case. While it is open, the same key again is not a second alert; its message is renewed.

    `message` is one or two sentences for a person, never with a secret in it; `facts` the same for a program.
    """
    log.put(opened.log.engine, opened.name, key, on=on, message=message, facts=facts or {}, now=opened.clock())


def clear_alert(opened: OpenConnection, key: str) -> None:
    """Say that `key` is over. Nothing happens when it was not open."""
    log.clear(opened.log.engine, opened.name, key, opened.clock())


def open_alerts(opened: OpenConnection) -> list[Alert]:
    """What is the case now, oldest first."""
    return log.read(opened.log.engine, opened.name)
