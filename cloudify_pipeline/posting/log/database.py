"""The posting log's database: opening it, writing over what is there, and reading it as of one instant."""

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, event, func, inspect, select

from cloudify_pipeline.posting.log import schema as t
from cloudify_pipeline.posting.log.chain import write_pages
from cloudify_pipeline.posting.log.inserting import insert
from cloudify_pipeline.posting.log.retention import guard, unguarded

_TABLES_LOCK = 0x636C6F75646966
"""PostgreSQL's advisory lock on making tables: a number that nobody else will have chosen."""


def open_engine(url: str) -> Engine:
    """The engine for `url`. Whatever is entered into the audit chain is written with the transaction it was entered in."""
    engine = create_engine(url)
    event.listen(engine, "commit", write_pages)
    if engine.dialect.name == "sqlite":
        if engine.url.database and engine.url.database != ":memory:":
            Path(engine.url.database).parent.mkdir(parents=True, exist_ok=True)

        @event.listens_for(engine, "connect")
        def _durable(connection: Any, _: Any) -> None:
            # WAL lets `status` read while a run writes; full sync because an intent that a power cut forgets is a double.
            for pragma in ("busy_timeout=30000", "synchronous=FULL", "foreign_keys=ON"):
                connection.execute(f"PRAGMA {pragma}")
            _into_wal(connection)

    return engine


def _into_wal(connection: Any) -> None:
    """The file is switched once. Where several processes open a new one at once, SQLite tells all but one not to wait."""
    for last in (*(False,) * 100, True):
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            if last:
                raise
            time.sleep(0.05)
        else:
            return


def prepare(engine: Engine) -> int:
    """Make what is missing of the tables and of their guard; the version they are of. Several processes may come at once."""
    with engine.begin() as db:
        # Whoever only looks waits for nobody.
        if not _is_whole(db):
            alone(db)
            t.metadata.create_all(db)
            guard(db)
            found = db.scalar(select(func.max(t.versions.c.version)))
            if found is None or found < t.SCHEMA_VERSION:
                # Every change since version 1 is a new table, so an older log needs no more than the mark.
                add_new(db, t.versions, [{"version": t.SCHEMA_VERSION}])
        return int(db.scalar(select(func.max(t.versions.c.version))) or 0)


def _is_whole(db: Connection) -> bool:
    if not t.metadata.tables.keys() <= set(inspect(db).get_table_names()) or unguarded(db):
        return False
    return int(db.scalar(select(func.max(t.versions.c.version))) or 0) >= t.SCHEMA_VERSION


def alone(db: Connection) -> None:
    """Nobody else changes the tables themselves until `db`'s transaction ends; must come before its first write."""
    if db.dialect.name == "sqlite":
        db.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        db.execute(select(func.pg_advisory_xact_lock(_TABLES_LOCK)))


def upsert(db: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write `rows`, over those with the same key."""
    db.execute(_over(db.dialect.name, table, tuple(rows[0])), rows)


def add_new(db: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write those of `rows` whose key is not there yet."""
    db.execute(_beside(db.dialect.name, table), rows)


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """A connection all of whose reads see the log as it was at one instant, while runs go on writing."""
    if engine.dialect.name == "sqlite":
        with engine.connect() as db:
            db.exec_driver_sql("BEGIN")
            yield db
            db.rollback()
    else:
        with engine.connect().execution_options(isolation_level="REPEATABLE READ") as db:
            yield db


# Putting a statement together takes longer than running it.
@cache
def _over(dialect: str, table: Table, names: tuple[str, ...]) -> Any:
    statement = insert(dialect, table)
    keys = [column.name for column in table.primary_key]
    changed = {name: statement.excluded[name] for name in names if name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=changed)


@cache
def _beside(dialect: str, table: Table) -> Any:
    return insert(dialect, table).on_conflict_do_nothing()
