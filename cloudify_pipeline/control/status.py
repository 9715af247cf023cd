"""Status: every document of a connection with state, ledger number, last attempt and reason."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from cloudify_pipeline.control.glance import listed, listed_json
from cloudify_pipeline.control.opened import OpenConnection

STATES = ("planned", "held", "posting", "posted", "booked", "failed", "skipped")


def status(opened: OpenConnection, *, find: str | None = None) -> dict[str, Any]:
    """Every document as ``cloudify status --json`` has it: INTERFACE names, amounts as exact text."""
    return newest(opened, find=find)[0]


def status_json(
    opened: OpenConnection, *, find: str | None = None, more: Callable[[], Mapping[str, Any]] = dict
) -> Iterator[str]:
    """The document of ``cloudify status --json`` in pieces, one document a line: :func:`status` for a hundred thousand of them.

    `more` is what stands behind the documents, plain as JSON has it; it is asked for last.
    """
    yield f'{{\n  "connection": {orjson.dumps(opened.name).decode()},\n  "documents": ['
    between = "\n    "
    for rows in listed_json(opened.log, opened.name, find=find):
        yield between + ",\n    ".join(rows)
        between = ",\n    "
    yield "]" if between == "\n    " else "\n  ]"
    rest = {"counts": _all_states(opened.log.counts(opened.name)), **more()}
    yield "," + orjson.dumps(rest, option=orjson.OPT_INDENT_2).decode().removeprefix("{")


def newest(opened: OpenConnection, *, find: str | None = None, limit: int | None = None) -> tuple[dict[str, Any], int]:
    """As :func:`status` with the `limit` documents that changed last only, and how many documents there are."""
    rows, known = listed(opened.log, opened.name, find=find, limit=limit)
    return status_document(opened.name, rows, opened.log.counts(opened.name)), known


def status_document(connection: str, documents: Sequence[Mapping[str, Any]], counts: Mapping[str, int]) -> dict[str, Any]:
    """The document around the listed ones, with every state counted."""
    return {
        "connection": connection,
        "documents": documents,
        "counts": _all_states(counts),
    }


def _all_states(counts: Mapping[str, int]) -> dict[str, int]:
    return {state: counts.get(state, 0) for state in STATES}
