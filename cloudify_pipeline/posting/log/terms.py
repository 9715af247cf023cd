"""What a record is found by besides its own columns: ids and e-mails that Stripe joins to it, ledger numbers it had before."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, or_, select

from cloudify_pipeline.posting.endings import Ending
from cloudify_pipeline.posting.log import schema as t
from cloudify_pipeline.posting.log.database import add_new

LONGEST = 255
_PART = 500


def add_terms(db: Connection, connection: str, endings: Sequence[Ending], changed: Sequence[Mapping[str, Any]]) -> None:
    """Keep what each of `endings` is found by, and the ledger numbers of the rows that `changed`; nothing is taken away."""
    numbers = [(row["kind"], row["stripe_id"], row["number"]) for row in changed if row["number"]]
    # Its own id among the terms says that they are known; what was posted before there were terms has none.
    own = [(one.kind, one.stripe_id, term) for one in endings if one.terms for term in (one.stripe_id, *one.terms)]
    keep(db, connection, (*numbers, *own))


def keep(db: Connection, connection: str, terms: Iterable[tuple[str, str, str]]) -> None:
    """Keep (kind, Stripe id, term), where they are not known yet."""
    wanted = {(kind, stripe_id, _term(term)) for kind, stripe_id, term in terms}
    if not wanted:
        return
    c = t.search_terms.c
    for kind in {one[0] for one in wanted}:
        for part in _parts(sorted({one[1] for one in wanted if one[0] == kind})):
            known = select(c.kind, c.stripe_id, c.term).where(c.connection == connection, c.kind == kind, c.stripe_id.in_(part))
            wanted -= {tuple(row) for row in db.execute(known)}
    if wanted:
        names = ("kind", "stripe_id", "term")
        add_new(db, t.search_terms, [{"connection": connection, **dict(zip(names, one, strict=True))} for one in sorted(wanted)])


def without(db: Connection, connection: str) -> list[str]:
    """Documents of which nobody said what they are found by."""
    r, s = t.records.c, t.search_terms.c
    said = select(s.stripe_id).where(s.connection == r.connection, s.kind == r.kind, s.stripe_id == r.stripe_id)
    own = said.where(s.term == func.lower(r.stripe_id)).exists()
    return list(db.scalars(select(r.stripe_id).where(r.connection == connection, r.kind == "document", ~own)))


def found(db: Connection, connection: str, kind: str, text: str) -> ColumnElement[bool]:
    """The condition on `records` for what `text` names.

    Records with exactly this id, number, e-mail or former number, when there are any; else those that contain it anywhere,
    the name included. A number that is the beginning of others therefore still finds one record.
    """
    r, s = t.records.c, t.search_terms.c
    # Without the kind, which would lead SQLite to the key's first columns, and so through every record of the connection.
    named = (
        *(
            select(r.kind, r.stripe_id).where(r.connection == connection, column == text)
            for column in (r.number, r.stripe_number)
        ),
        select(s.kind, s.stripe_id).where(s.connection == connection, s.term == _term(text)),
        select(r.kind, r.stripe_id).where(r.connection == connection, r.kind == kind, r.stripe_id == text),
    )
    ids = {row.stripe_id for query in named for row in db.execute(query) if row.kind == kind}
    if ids:
        return or_(*(r.stripe_id.in_(part) for part in _parts(sorted(ids))))
    part, term = (f"%{_escaped(one)}%" for one in (text, _term(text)))
    columns = (r.stripe_id, r.number, r.stripe_number, r.name)
    within = select(s.stripe_id).where(s.connection == connection, s.kind == kind, s.term.like(term, escape="\\"))
    return or_(*(column.ilike(part, escape="\\") for column in columns), r.stripe_id.in_(within))


def _parts(ids: list[str]) -> list[list[str]]:
    return [ids[start : start + _PART] for start in range(0, len(ids), _PART)]


def _term(text: str) -> str:
    return text.strip().casefold()[:LONGEST]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
