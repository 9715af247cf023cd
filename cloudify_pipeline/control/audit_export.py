"""An archive of one connection's posting log: every table as Parquet and CSV, and a manifest that vouches for each file."""

import csv
import hashlib
from collections.abc import Iterator
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Connection, DateTime, Table, select

from cloudify_pipeline.control.audit_tables import FORMAT, MANIFEST, archived_tables, parquet_schema, rows_of
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.errors import SettingsError, SettingsProblem
from cloudify_pipeline.posting.log import schema as t
from cloudify_pipeline.posting.log.database import snapshot
from cloudify_pipeline.posting.log.rows import read

_GROUP = 20_000
"""Rows in memory at one time."""


def export(opened: OpenConnection, folder: Path) -> dict[str, Any]:
    """Write the archive into `folder`, which is made or empty; the manifest, which is written last.

    Raises:
        SettingsError: there is something in `folder`.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        allowed = "a folder that is empty or does not exist: an archive is not written over another"
        raise SettingsError("the call", [SettingsProblem("DIR", str(folder), allowed)])
    folder.mkdir(parents=True, exist_ok=True)
    with snapshot(opened.log.engine) as db:
        tables = {str(table.name): _written(db, table, opened.name, folder) for table in archived_tables()}
        heads = t.audit_heads.c
        head = db.execute(select(heads.seq, heads.hash).where(heads.connection == opened.name)).first()
    manifest = {
        "format": FORMAT,
        "connection": opened.name,
        "written_at": opened.clock().isoformat(),
        "software": f"cloudify-pipeline {_version()}",
        "schema_version": t.SCHEMA_VERSION,
        "chain": None if head is None else {"seq": head.seq, "hash": head.hash},
        "tables": tables,
    }
    (folder / MANIFEST).write_bytes(orjson.dumps(manifest, option=orjson.OPT_INDENT_2))
    return manifest


def _written(db: Connection, table: Table, connection: str, folder: Path) -> dict[str, Any]:
    schema = parquet_schema(table)
    instants = {column.name for column in table.columns if isinstance(column.type, DateTime)}
    parquet, plain = folder / f"{table.name}.parquet", folder / f"{table.name}.csv"
    rows, count = read(db, table, rows_of(db, table, connection)), 0
    with pq.ParquetWriter(parquet, schema, compression="zstd") as writer, plain.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(schema.names)
        while group := list(islice(rows, _GROUP)):
            lines.writerows([_text(row[name]) for name in schema.names] for row in group)
            writer.write_table(pa.Table.from_pylist(list(_with_instants(group, instants)), schema=schema))
            count += len(group)
    return {"rows": count, "files": {file.name: file_hash(file) for file in (parquet, plain)}}


def file_hash(file: Path) -> str:
    """SHA-256 of `file`."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _with_instants(rows: list[dict[str, Any]], instants: set[str]) -> Iterator[dict[str, Any]]:
    for row in rows:
        yield {**row, **{name: datetime.fromisoformat(row[name]) for name in instants if row[name] is not None}}


def _text(value: Any) -> Any:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value


def _version() -> str:
    try:
        return version("cloudify-pipeline")
    except PackageNotFoundError:
        return "not installed"
