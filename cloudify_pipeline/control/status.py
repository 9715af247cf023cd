"""Status: every document of a connection with state, ledger number, last attempt and reason."""

from collections.abc import Mapping, Sequence
from typing import Any

from cloudify_pipeline.control.glance import newest_documents
from cloudify_pipeline.control.opened import OpenConnection

STATES = ("planned", "held", "posting", "posted", "booked", "failed", "skipped")


def status(opened: OpenConnection, *, find: str | None = None) -> dict[str, Any]:
    """The document of ``cloudify status --json``: INTERFACE names, amounts as exact text."""
    return _status(opened, opened.log.records(opened.name, find=find))


def newest(opened: OpenConnection, *, find: str | None = None, limit: int) -> tuple[dict[str, Any], int]:
    """As :func:`status` with the `limit` documents that changed last only, and how many documents there are."""
    rows, found = newest_documents(opened.log, opened.name, find=find, limit=limit)
    return _status(opened, rows), found


def _status(opened: OpenConnection, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    counts = opened.log.counts(opened.name)
    return {
        "connection": opened.name,
        "documents": [_document(row) for row in rows],
        "counts": {state: counts.get(state, 0) for state in STATES},
    }


def _document(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "stripe_id": row["stripe_id"],
        "stripe_number": row["stripe_number"],
        "kind": row["ledger_kind"],
        "state": row["state"],
        "ledger_number": row["number"],
        "total": None if row["total"] is None else str(row["total"]),
        "currency": row["currency"],
        "customer": row["name"],
        "error_code": row["code"],
        "error": row["message"],
        "attempts": row["attempts"],
        "url": row["url"],
        "updated_at": row["updated_at"].isoformat(),
    }
