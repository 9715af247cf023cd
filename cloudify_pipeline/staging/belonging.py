"""Whose objects are staged: kept beside the cursors, so that objects, plans and cursors belong to one account and mode."""

from collections.abc import Sequence

import duckdb

from cloudify_pipeline.errors import NotAuthorised
from cloudify_pipeline.staging.schema import CURSORS, EVERY, TABLES
from cloudify_pipeline.stripe_objects import Kind, Whose, mode_name

Connection = duckdb.DuckDBPyConnection

_ACCOUNT, _MODE, _KEY = "whose account", "whose mode", "whose key"
_LIVE, _TEST = "live", "test"


def whose(connection: Connection) -> Whose | None:
    """What the staged objects belong to; None before it was ever said."""
    rows = connection.execute(f"SELECT name, value FROM {CURSORS.name} WHERE name IN (?, ?, ?)", [_ACCOUNT, _MODE, _KEY])
    said = {str(name): str(value) for name, value in rows.fetchall()}
    return Whose(said[_ACCOUNT] or None, said[_MODE] == _LIVE, said[_KEY]) if said.keys() >= {_ACCOUNT, _MODE, _KEY} else None


def set_whose(connection: Connection, belongs: Whose) -> None:
    """Say what the staged objects belong to."""
    rows = [(_ACCOUNT, belongs.account or ""), (_MODE, _LIVE if belongs.livemode else _TEST), (_KEY, belongs.key)]
    connection.execute(f"DELETE FROM {CURSORS.name} WHERE name IN (SELECT unnest(?))", [[name for name, _ in rows]])
    connection.executemany(f"INSERT INTO {CURSORS.name} VALUES (?, ?)", rows)


def clear(connection: Connection) -> int:
    """Throw away everything that is staged, plans and cursors too; how many objects that were."""
    objects = 0
    for table in TABLES.values():
        row = connection.execute(f"SELECT count(*) FROM {table.name}").fetchone()
        objects += int(row[0]) if row else 0
    for table in EVERY:
        connection.execute(f"DELETE FROM {table.name}")
    return objects


def modes(connection: Connection) -> set[bool]:
    """The modes of the staged objects by what Stripe says of each: more than one, where keys were mixed up."""
    parts = " UNION ".join(f"SELECT DISTINCT livemode FROM {table.name} WHERE livemode IS NOT NULL" for table in TABLES.values())
    return {bool(row[0]) for row in connection.execute(parts).fetchall()}


def some(connection: Connection, limit: int) -> list[str]:
    """Ids of a few staged customers, invoices and payments that Stripe goes on knowing, the newest of each."""
    queries = (
        f"SELECT id FROM {TABLES['customer'].name} WHERE NOT deleted ORDER BY created DESC, id LIMIT ?",
        f"SELECT id FROM {TABLES['invoice'].name} WHERE NOT deleted AND status <> 'draft' ORDER BY created DESC, id LIMIT ?",
        f"SELECT id FROM {TABLES['charge'].name} WHERE NOT deleted ORDER BY created DESC, id LIMIT ?",
    )
    return [str(row[0]) for query in queries for row in connection.execute(query, [limit]).fetchall()]


def known(connection: Connection, ids: Sequence[str]) -> set[str]:
    """Those of `ids` that are staged, of whatever kind; not those of which Stripe only said that it does not know them."""
    tables = " UNION ALL ".join(f"SELECT id FROM {table.name} WHERE content_hash <> 'deleted'" for table in TABLES.values())
    rows = connection.execute(f"SELECT id FROM ({tables}) SEMI JOIN (SELECT unnest(?) AS id) USING (id)", [list(ids)])
    return {str(row[0]) for row in rows.fetchall()}


def check_mode(belongs: Whose | None, kind: Kind, stripe_id: str, livemode: object) -> None:
    """Refuse an object that says (`livemode`) that it is of another mode than the staged ones.

    Raises:
        NotAuthorised: E-CONN-MODE; nothing of it may be staged.
    """
    if belongs is not None and isinstance(livemode, bool) and livemode != belongs.livemode:
        mine, other = mode_name(livemode=belongs.livemode), mode_name(livemode=livemode)
        words = f"Stripe gave the {kind.replace('_', ' ')} {stripe_id} of {other}, and this connection reads {mine}"
        raise NotAuthorised(words, code="E-CONN-MODE")
