"""An archive put into a posting log that does not know its connection: afterwards the log says what it said before."""

from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Connection, func, select

from cloudify_pipeline.control.audit_export import file_hash
from cloudify_pipeline.control.audit_tables import EVIDENCE, FORMAT, MANIFEST, YOUNGER, archived_tables, parquet_schema, rows_of
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.errors import SettingsError, SettingsProblem
from cloudify_pipeline.posting.log import schema as t
from cloudify_pipeline.posting.log.chain import page
from cloudify_pipeline.posting.log.database import add_new
from cloudify_pipeline.posting.log.verify import Anchor

_GROUP = 5_000


def restore(opened: OpenConnection, folder: Path) -> dict[str, Any]:
    """Put the archive in `folder` into the log, in one transaction; the manifest. An entry of the chain tells of it.

    Raises:
        SettingsError: the archive is damaged (the file is named) or of another connection, or the log has rows of this one.
    """
    manifest = read_manifest(folder)
    problems = _problems(manifest, folder, opened.name)
    if problems:
        raise SettingsError(f"the archive in {folder}", problems)
    with opened.log.engine.begin() as db:
        _refuse_rows(db, opened.name)
        moved = {"operations": _last_id(db, t.operations), "attempts": _last_id(db, t.attempts)}
        for table in archived_tables():
            if table.name in manifest["tables"]:
                _fill(db, table, folder, moved)
        _continue_numbers(db)
        facts = {**moved, "manifest": file_hash(folder / MANIFEST), "chain": manifest["chain"]}
        page(db, opened.name, opened.clock()).append("restored", "archive", facts, opened.clock())
    return manifest


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of the archive in `folder`.

    Raises:
        SettingsError: there is none, or it cannot be read.
    """
    try:
        manifest: dict[str, Any] = orjson.loads((folder / MANIFEST).read_bytes())
        complete = {"format", "connection", "schema_version", "chain", "tables"} <= manifest.keys()
    except (OSError, orjson.JSONDecodeError, AttributeError):
        complete = False
    if not complete:
        found = "something else" if (folder / MANIFEST).is_file() else "no such file"
        allowed = "the manifest that cloudify audit NAME export writes"
        raise SettingsError(f"the archive in {folder}", [SettingsProblem(MANIFEST, found, allowed)])
    return manifest


def anchor_of(manifest: dict[str, Any]) -> Anchor | None:
    """The chain's head when the archive was written."""
    chain = manifest["chain"]
    return Anchor(int(chain["seq"]), str(chain["hash"])) if chain else None


def _problems(manifest: dict[str, Any], folder: Path, connection: str) -> list[SettingsProblem]:
    known = {table.name: table for table in archived_tables()}
    newer = manifest["format"] != FORMAT or manifest["schema_version"] > t.SCHEMA_VERSION
    if newer or not manifest["tables"].keys() <= known.keys():
        found = f"format {manifest['format']}, schema {manifest['schema_version']}"
        return [SettingsProblem(MANIFEST, found, "a newer version wrote this archive; install that one")]
    problems = []
    if manifest["connection"] != connection:
        problems.append(SettingsProblem(MANIFEST, f"connection {manifest['connection']}", f"this is connection {connection}"))
    problems += [
        SettingsProblem(f"{name}.parquet", "not in the manifest", "every table of the books belongs to an archive")
        for name in EVIDENCE
        if name not in manifest["tables"] and name not in YOUNGER
    ]
    for name, table in manifest["tables"].items():
        for file, expected in table["files"].items():
            path = folder / file
            found = file_hash(path) if path.is_file() else "no such file"
            if found != expected:
                problems.append(SettingsProblem(file, found, f"SHA-256 {expected} by the manifest: the file is damaged"))
        if not problems and pq.read_metadata(folder / f"{name}.parquet").num_rows != table["rows"]:
            problems.append(SettingsProblem(f"{name}.parquet", "another number of rows", f"{table['rows']} by the manifest"))
    return problems


def _refuse_rows(db: Connection, connection: str) -> None:
    for name in EVIDENCE:
        table = t.metadata.tables[name]
        if db.execute(rows_of(db, table, connection).limit(1)).first() is not None:
            allowed = "an archive is put into a log that does not know the connection; move that posting log away first"
            raise SettingsError("the call", [SettingsProblem(connection, f"rows in {name}", allowed)])


def _fill(db: Connection, table: Any, folder: Path, moved: dict[str, int]) -> None:
    with pq.ParquetFile(folder / f"{table.name}.parquet") as file:
        for batch in file.iter_batches(_GROUP):
            rows = pa.Table.from_batches([batch]).cast(parquet_schema(table)).to_pylist()
            if table is t.operations or table is t.attempts:
                # Other connections of this log may have the archive's ids already.
                rows = [{**row, "id": row["id"] + moved[table.name]} for row in rows]
            if table is t.attempts:
                rows = [{**row, "operation_id": row["operation_id"] + moved["operations"]} for row in rows]
            if table.name in EVIDENCE:
                db.execute(table.insert(), rows)
            else:
                # What the installation has noted for itself meanwhile (an open alert, a hint) stays.
                add_new(db, table, rows)


def _last_id(db: Connection, table: Any) -> int:
    return int(db.scalar(select(func.max(table.c.id))) or 0)


def _continue_numbers(db: Connection) -> None:
    """PostgreSQL counts ids apart from the rows; SQLite looks at them."""
    if db.dialect.name == "postgresql":
        for table in (t.operations, t.attempts):
            last = select(func.max(table.c.id)).scalar_subquery()
            db.execute(select(func.setval(func.pg_get_serial_sequence(table.name, "id"), last)).where(last.is_not(None)))
