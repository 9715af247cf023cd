"""The audit chain as people ask for it: is it whole, and what did the documents look like on a past day."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import func, select

from cloudify_pipeline.control.glance import LISTED
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.control.status import status_document
from cloudify_pipeline.posting.log import schema as t
from cloudify_pipeline.posting.log.chain import instant_text
from cloudify_pipeline.posting.log.chain import note_settings as note
from cloudify_pipeline.posting.log.verify import Anchor, verify


def note_settings(opened: OpenConnection) -> bool:
    """Enter the settings in force into the chain when they are others than before; called at the start of a run."""
    return note(opened.log.engine, opened.name, opened.loaded.hash, opened.clock())


def verified(opened: OpenConnection, *, anchor: Anchor | None = None) -> dict[str, Any]:
    """The document of ``cloudify audit NAME verify --json``: `whole`, the chain's head to keep as an anchor, and findings."""
    found = verify(opened.log.engine, opened.name, anchor=anchor)
    return {
        "connection": opened.name,
        "whole": not found.findings,
        "entries": found.entries,
        "head": found.head,
        "begins_at": found.begins_at,
        "adopted": found.adopted,
        "first_bad": found.first_bad,
        "found": found.found,
        "findings": found.findings,
    }


def as_of(opened: OpenConnection, instant: datetime) -> dict[str, Any]:
    """What `status` said at `instant`, read from the chain; `note` says so when the chain begins later."""
    c = t.audit.c
    mine = (c.connection == opened.name, c.entry == "record", c.subject.startswith("document:"))
    latest = select(func.max(c.seq)).where(*mine, c.at <= instant_text(instant)).group_by(c.subject)
    payloads = select(c.payload).where(c.connection == opened.name, c.seq.in_(latest))
    with opened.log.engine.connect() as db:
        begins = db.scalar(select(c.at).where(c.connection == opened.name).order_by(c.seq).limit(1))
        rows = [orjson.loads(payload) for payload in db.scalars(payloads)]
    # The later first, and by id where several changed at once: sorting twice keeps the order of the first.
    rows.sort(key=lambda row: row["stripe_id"])
    rows.sort(key=lambda row: row["updated_at"], reverse=True)
    documents = [
        {name: row[column] for name, column in LISTED.items()}
        | {"updated_at": datetime.fromisoformat(row["updated_at"]).isoformat()}
        for row in rows
    ]
    early = begins is None or begins > instant_text(instant)
    return {
        **status_document(opened.name, documents, Counter(row["state"] for row in rows)),
        "as_of": instant.astimezone(UTC).isoformat(),
        "note": f"the chain begins {begins or 'with the first run'}: nothing is known of before" if early else None,
    }
