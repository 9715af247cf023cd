"""Status: every document of a connection with state, ledger number, last attempt and reason."""

from collections.abc import Mapping, Sequence
from typing import Any

from cloudify_pipeline.control.glance import listed
from cloudify_pipeline.control.opened import OpenConnection

STATES = ("planned", "held", "posting", "posted", "booked", "failed", "skipped")


def status(opened: OpenConnection, *, find: str | None = None) -> dict[str, Any]:
    """The document of ``cloudify status --json``: INTERFACE names, amounts as exact text."""
    return newest(opened, find=find)[0]


def newest(opened: OpenConnection, *, find: str | None = None, limit: int | None = None) -> tuple[dict[str, Any], int]:
    """As :func:`status` with the `limit` documents that changed last only, and how many documents there are."""
    rows, known = listed(opened.log, opened.name, find=find, limit=limit)
    return status_document(opened.name, rows, opened.log.counts(opened.name)), known


def status_document(connection: str, documents: Sequence[Mapping[str, Any]], counts: Mapping[str, int]) -> dict[str, Any]:
    """The document around the listed ones, with every state counted."""
    return {
        "connection": connection,
        "documents": documents,
        "counts": {state: counts.get(state, 0) for state in STATES},
    }
