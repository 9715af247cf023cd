"""How an ending becomes a row of `records`: what stays of the row before, and when nothing has changed."""

from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping

from cloudify_pipeline.posting.endings import Ending


def record_row(connection: str, ending: Ending, present: RowMapping | None, run_id: str, now: datetime) -> dict[str, Any] | None:
    """The row that `ending` makes of `present`, or None when the row stays as it is."""
    problem = ending.problem
    row = {
        "connection": connection,
        "kind": ending.kind,
        "stripe_id": ending.stripe_id,
        "state": ending.state,
        "stripe_number": ending.stripe_number,
        "name": ending.name,
        "ledger_kind": ending.ledger_kind,
        "number": None if ending.number is None else str(ending.number),
        "total": None if ending.total is None else str(ending.total),
        "currency": ending.currency,
        "code": problem.code if problem else None,
        "message": problem.message if problem else None,
        "field": problem.field if problem else None,
        "found": problem.found if problem else None,
        "revision": ending.revision,
        "url": ending.url,
        "attempts": 0,
        "run_id": run_id,
        "updated_at": now,
    }
    if present is None:
        return {**row, "attempts": int(ending.made or ending.state == "failed")}
    if present["state"] in {"posted", "booked"} and ending.state in {"planned", "skipped"}:
        return None
    kept = ("stripe_number", "name", "ledger_kind", "number", "total", "currency", "revision", "url")
    row.update({name: present[name] for name in kept if row[name] is None})
    compared = ("state", "number", "code", "message", "revision", "ledger_kind", "total", "name", "url")
    if not ending.made and all(row[name] == present[name] for name in compared):
        return None
    row["attempts"] = present["attempts"] + int(ending.made or ending.state == "failed")
    return row
