"""The support bundle: what somebody needs who is asked for help, as one archive without secrets or personal values.

It is made from this machine's own memory (posting log, staging, settings) and asks neither Stripe nor the ledger, so that it
can be made when nothing answers.
"""

import json
import platform
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from sqlalchemy import make_url, select

from cloudify_pipeline.control.alerts import open_alerts
from cloudify_pipeline.control.drift import CUSTOMER
from cloudify_pipeline.control.joined import staged_objects
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.control.support_bundle_redaction import Redactor
from cloudify_pipeline.errors import RunStopped, SettingsError
from cloudify_pipeline.posting.log import schema as t
from cloudify_pipeline.posting.log.chart_seen import last_seen
from cloudify_pipeline.posting.log.vat_numbers import vat_numbers
from cloudify_pipeline.settings.secrets import Secret
from cloudify_pipeline.settings.show import effective_settings

PACKAGES = ("cloudify-pipeline", "dagster", "dagster-webserver", "duckdb", "sqlalchemy", "stripe", "httpx", "pydantic", "msgspec")
MOST_RECORDS = 500
MOST_CALLS = 200
MOST_OBJECTS = 50
_EVER = 2**40
_PORTION = 500
_MISSING = "not installed"


@dataclass(frozen=True, slots=True)
class Bundle:
    """What was written: the file, its parts with the number of entries in each, and how many values were replaced by kind."""

    file: Path
    parts: Mapping[str, int]
    replaced: Mapping[str, int]
    left_out: tuple[str, ...]


def write_bundle(opened: OpenConnection, folder: Path, *, runs: Sequence[Mapping[str, Any]], now: datetime) -> Bundle:
    """Write ``support-<connection>-<time>.zip`` into `folder`. `runs` are the orchestrator's recent runs, newest first.

    Raises:
        LogUnavailable: the posting log cannot be read.
        OSError: the folder cannot be written.
    """
    left_out: list[str] = []
    redactor = _redactor(opened, left_out)
    records = list(_records(opened, redactor))
    parts: dict[str, Any] = {
        "versions": _versions(opened),
        "settings": [_row(redactor, row.key, row.value, row.origin) for row in effective_settings(opened.loaded)],
        "settings_warnings": [redactor.text(line) for line in opened.loaded.warnings],
        "connection": _connection(opened, redactor),
        "chart": _chart(opened, redactor),
        "counts": {kind: opened.log.counts(opened.name, kind) for kind in ("document", "customer", "product")},
        "records": records,
        "calls": list(_calls(opened, redactor)),
        "objects": _objects(opened, redactor, records, left_out),
        "alerts": [
            {"on": one.on, "key": redactor.text(one.key), "message": redactor.text(one.message), "since": one.first_at}
            for one in open_alerts(opened)
        ],
        "runs": [{**run, "failures": [redactor.text(line) for line in run.get("failures", ())]} for run in runs],
    }
    counts = {f"{name}.json": len(part) for name, part in parts.items()}
    parts["manifest"] = {"connection": opened.name, "made_at": now, "entries": counts, "left_out": left_out,
                         "replaced": redactor.replaced}  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"support-{opened.name}-{now:%Y%m%dT%H%M%S}.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in parts.items():
            text = json.dumps(part, ensure_ascii=False, indent=1, default=str)
            archive.writestr(f"{name}.json", redactor.clean(text))
    return Bundle(file, counts, redactor.replaced, tuple(left_out))


def _redactor(opened: OpenConnection, left_out: list[str]) -> Redactor:
    """A redactor that knows the secrets, the ledger's own words, and the personal values of everybody in staging and log."""
    seen = last_seen(opened.log.engine, opened.name)
    parts = {} if seen is None else {part: words for part, words in seen.parts.items() if not part.startswith(CUSTOMER)}
    chart = [f"{part} {' '.join(words.values())}" for part, words in parts.items()]
    redactor = Redactor(_secret_values(opened.settings), known_words=[opened.name, *chart, *_bound(opened).values()])
    c, i = t.records.c, t.identities.c
    with opened.log.engine.connect() as db:
        names = list(db.scalars(select(c.name).where(c.connection == opened.name, c.kind != "product").distinct()))
        names += db.scalars(select(i.fingerprint).where(i.connection == opened.name, i.kind == "customer").distinct())
        v = vat_numbers.c
        answers = select(v.number, v.name, v.address, v.consultation_number).where(v.connection == opened.name)
        names += [value for row in db.execute(answers) for value in row]
    names.append(opened.settings.vat.evidence.requester)
    for name in names:
        if name:
            redactor.learn_value(name)
    try:
        for kind in ("customer", "product"):
            ids = sorted(opened.staging.live_ids(kind, 0, _EVER))
            for part in _portions(ids):
                for one in opened.staging.objects(kind, part).values():
                    redactor.learn(one)
    except RunStopped as busy:
        left_out.append(f"staging: {busy.message}")
    return redactor


def _secret_values(node: Any) -> Iterator[str]:
    """The values of every secret that the settings name and this machine has."""
    if isinstance(node, Secret):
        try:
            yield node.reveal()
        except (SettingsError, OSError, UnicodeDecodeError):
            return
    elif isinstance(node, BaseModel):
        for name in type(node).model_fields:
            yield from _secret_values(getattr(node, name))
    elif isinstance(node, Mapping):
        for one in node.values():
            yield from _secret_values(one)
    elif isinstance(node, list | tuple):
        for one in node:
            yield from _secret_values(one)


def _versions(opened: OpenConnection) -> dict[str, str]:
    found = {name: _version(name) for name in PACKAGES}
    log = make_url(opened.log.url).get_backend_name()
    return {
        **found,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "posting log": log,
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return _MISSING


def _row(redactor: Redactor, key: str, value: str, origin: str) -> dict[str, str | None]:
    # A secret's reference may be a path below somebody's home; its file name says enough.
    head, mark, path = value.partition("{file: ")
    shown = f"{head}{mark}…/{Path(path.removesuffix('}')).name}}}" if mark else value
    return {"key": key, "value": shown if shown.startswith("{env: ") else redactor.text(shown), "origin": origin}


def _bound(opened: OpenConnection) -> dict[str, str]:
    return {name: str(value) for name, value in (opened.log.binding(opened.name) or {}).items()}


def _connection(opened: OpenConnection, redactor: Redactor) -> dict[str, Any]:
    seen = last_seen(opened.log.engine, opened.name)
    return {
        "connection": opened.name,
        "ledger": opened.settings.ledger,
        "write_mode": opened.settings.write_mode,
        "bound_to": _bound(opened),
        "last_run_saw_the_chart_at": seen.seen_at if seen else None,
        "drift": [redactor.text(line) for line in seen.drift] if seen else [],
        "drift_named_at": seen.drifted_at if seen else None,
    }


def _chart(opened: OpenConnection, redactor: Redactor) -> dict[str, Mapping[str, Any]]:
    """The chart's parts as the last run saw them; a customer's name is not the chart's."""
    seen = last_seen(opened.log.engine, opened.name)
    return {
        part: redactor.object(words) if part.startswith(CUSTOMER) else words
        for part, words in (seen.parts if seen else {}).items()
    }


def _records(opened: OpenConnection, redactor: Redactor) -> Iterator[dict[str, Any]]:
    """What is held or failed, newest first."""
    c = t.records.c
    query = select(t.records).where(c.connection == opened.name, c.state.in_(("held", "failed", "posting")))
    with opened.log.engine.connect() as db:
        rows = db.execute(query.order_by(c.updated_at.desc(), c.stripe_id).limit(MOST_RECORDS)).mappings().all()
    for row in rows:
        shown = {name: row[name] for name in row if name not in {"connection", "name", "message", "found", "url"}}
        name = row["name"] and redactor.pseudonym(row["name"], "name")
        yield {**shown, "name": name, "message": redactor.text(row["message"]), "found": redactor.value(row["found"])}


def _calls(opened: OpenConnection, redactor: Redactor) -> Iterator[dict[str, Any]]:
    """The last writes to the ledger, newest first: what was sent, redacted, and what was answered."""
    o, a = t.operations.c, t.attempts.c
    query = (
        select(
            o.operation, o.key, o.state, o.number, o.method, o.path, o.revision, o.body, o.body_hash, o.intended_at,
            a.at, a.outcome, a.milliseconds, a.request_id, a.code, a.message, a.run_id,
        )
        .select_from(t.operations.outerjoin(t.attempts, a.operation_id == o.id))
        .where(o.connection == opened.name)
        .order_by(o.id.desc(), a.id.desc())
        .limit(MOST_CALLS)
    )  # fmt: skip
    with opened.log.engine.connect() as db:
        rows = db.execute(query).mappings().all()
    for row in rows:
        yield {**row, "message": redactor.text(row["message"]), "body": _body(row["body"], redactor)}


def _body(body: bytes, redactor: Redactor) -> Any:
    try:
        return redactor.object(json.loads(body, parse_float=Decimal))
    except ValueError:
        return None


def _objects(
    opened: OpenConnection, redactor: Redactor, records: Iterable[Mapping[str, Any]], left_out: list[str]
) -> dict[str, Any]:
    """The Stripe objects of the newest held and failed documents."""
    ids = [row["stripe_id"] for row in records if row["kind"] == "document"][:MOST_OBJECTS]
    try:
        found = staged_objects(opened.staging, ids)
    except RunStopped as busy:
        left_out.append(f"objects: {busy.message}")
        return {}
    return {stripe_id: redactor.object(one) for stripe_id, one in found.items()}


def _portions(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[start : start + _PORTION] for start in range(0, len(ids), _PORTION))
