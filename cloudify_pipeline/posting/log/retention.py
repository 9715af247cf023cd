"""The retention guard: the database itself refuses to delete what the books rest on before its time is over.

Bookkeeping records are kept for five years after the end of the accounting year (bogføringsloven § 12), those of the One
Stop Shop for ten after the end of the year of the sale (directive 2006/112/EC, article 369k): ten whole calendar years
cover both, whatever the accounting year. Nothing here deletes; the guard is for a hand on the database. Whoever takes the
guard away and deletes is found by the chain.
"""

from collections.abc import Iterator, Mapping

from sqlalchemy import Connection, text

YEARS = 10
KEPT = {
    "operations": "intended_at",
    "attempts": "at",
    "identities": "linked_at",
    "records": "updated_at",
    "vat_sales": "at",
    "decisions": "at",
    "vat_numbers": "asked_at",
    "audit": "at",
}
"""What is evidence, and the column that says from when it is."""
APPENDED = ("attempts", "vat_numbers", "decisions", "audit")
"""What is written once and never again."""

_PRESENT = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
    "postgresql": "SELECT tgname FROM pg_trigger WHERE tgname LIKE 'keep_%'",
}


def guard(db: Connection) -> None:
    """Put the guard on every table that lacks it; one that somebody took away comes back."""
    for statement in unguarded(db).values():
        db.execute(text(statement))


def unguarded(db: Connection) -> Mapping[str, str]:
    """Those of :func:`triggers` that the database lacks."""
    present = set(db.scalars(text(_PRESENT[db.dialect.name])))
    return {name: statement for name, statement in triggers(db.dialect.name).items() if name not in present}


def triggers(dialect: str) -> Mapping[str, str]:
    """Each trigger's name, and the statement that makes it in the words of `dialect`."""
    return dict(_sqlite() if dialect == "sqlite" else _postgresql())


def _words(table: str, change: str) -> str:
    if change == "update":
        return f"{table} is only ever added to"
    return f"{table} is kept for {YEARS} years after the end of its year"


def _sqlite() -> Iterator[tuple[str, str]]:
    for table, at in KEPT.items():
        young = f"CAST(substr(OLD.{at}, 1, 4) AS INTEGER) >= CAST(strftime('%Y', 'now') AS INTEGER) - {YEARS}"
        yield (
            f"keep_{table}",
            f"CREATE TRIGGER keep_{table} BEFORE DELETE ON {table} WHEN {young} "
            f"BEGIN SELECT RAISE(ABORT, '{_words(table, 'delete')}'); END",
        )
    for table in APPENDED:
        yield (
            f"keep_{table}_as_is",
            f"CREATE TRIGGER keep_{table}_as_is BEFORE UPDATE ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{_words(table, 'update')}'); END",
        )


def _postgresql() -> Iterator[tuple[str, str]]:
    for table, at in KEPT.items():
        # The chain's instants are text, the others are not: both begin with the year as text.
        young = f"CAST(substr(CAST(OLD.{at} AS text), 1, 4) AS integer) >= extract(year FROM now()) - {YEARS}"
        yield f"keep_{table}", _postgresql_trigger(f"keep_{table}", table, "DELETE", f"WHEN ({young}) ", _words(table, "delete"))
    for table in APPENDED:
        name = f"keep_{table}_as_is"
        yield name, _postgresql_trigger(name, table, "UPDATE", "", _words(table, "update"))


def _postgresql_trigger(name: str, table: str, change: str, when: str, words: str) -> str:
    body = f"BEGIN RAISE EXCEPTION '{words}'; END"
    return (
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$; "
        f"CREATE TRIGGER {name} BEFORE {change} ON {table} FOR EACH ROW {when}EXECUTE FUNCTION {name}()"
    )
