"""Status over 100,000 documents: how the database is asked, not how long it takes (benchmarks/status.py measures that)."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event

from cloudify_pipeline.control.glance import LISTED, listed
from cloudify_pipeline.posting.endings import Ending
from cloudify_pipeline.posting.log import schema as t
from cloudify_pipeline.posting.log.store import Identity, PostingLog
from cloudify_pipeline.posting.log.terms import without

MANY = 100_000
START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostingLog]:
    """Booked documents with ledger numbers from 100000, formerly drafts from 500000; one in a hundred is held."""
    made = PostingLog(f"sqlite:///{tmp_path_factory.mktemp('many') / 'posting.db'}")
    # The chain begins with this one, so that the others need not be taken over into it.
    made.record("nordlys", [Ending("document", "in_short", "booked", number=1042)], run_id="run", now=START)
    with made.engine.begin() as db:
        db.execute(t.records.insert(), [record(n) for n in range(MANY)])
        names = ("connection", "kind", "stripe_id", "term")
        terms = ((n, term) for n in range(MANY) for term in (f"pi_{n:08}", f"kunde{n}@bulk.example", str(500_000 + n)))
        rows = [dict(zip(names, ("nordlys", "document", f"in_{n:08}", term), strict=True)) for n, term in terms]
        db.execute(t.search_terms.insert(), rows)
    yield made
    made.close()


def record(n: int) -> dict[str, Any]:
    return {
        "connection": "nordlys",
        "kind": "document",
        "stripe_id": f"in_{n:08}",
        "state": "held" if n % 100 == 99 else "booked",
        "stripe_number": f"BULK-{n:06}",
        "name": f"Kunde {n} ApS",
        "number": None if n % 100 == 99 else str(100_000 + n),
        "attempts": 1,
        "run_id": "run",
        "updated_at": START + timedelta(minutes=n),
    }


def asked(log: PostingLog, **wanted: Any) -> tuple[list[dict[str, Any]], int, list[str]]:
    """What is listed, how many there are, and how SQLite finds the rows of every query that was made for it."""
    statements: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        statements.append((statement, parameters))

    event.listen(log.engine, "before_cursor_execute", note)
    try:
        rows, known = listed(log, "nordlys", **wanted)
    finally:
        event.remove(log.engine, "before_cursor_execute", note)
    with log.engine.connect() as db:
        plans = [row[3] for one, given in statements for row in db.exec_driver_sql(f"EXPLAIN QUERY PLAN {one}", given)]
    return rows, known, plans


@pytest.mark.parametrize(
    "text", ["in_00004210", "BULK-004210", "104210", "504210", "pi_00004210", "kunde4210@bulk.example", "KUNDE4210@bulk.example"]
)
def test_every_id_finds_the_one_document_through_an_index(log: PostingLog, text: str) -> None:
    rows, known, plans = asked(log, find=text, limit=100)
    assert [(row["stripe_id"], row["ledger_number"]) for row in rows] == [("in_00004210", "104210")]
    assert known == 1
    assert plans
    assert not [plan for plan in plans if plan.startswith("SCAN")]
    # Narrowed to the value, not just to the connection.
    narrowed = ("stripe_id=?", "number=?", "stripe_number=?", "term=?")
    assert all(any(one in plan for one in narrowed) for plan in plans if plan.startswith("SEARCH")), plans


def test_a_number_that_begins_others_finds_itself_alone(log: PostingLog) -> None:
    rows, known, _ = asked(log, find="1042", limit=100)
    assert ([row["stripe_id"] for row in rows], known) == (["in_short"], 1)


@pytest.mark.parametrize(
    ("part", "count"), [("kunde421@", 1), ("unde 421", 111), ("LK-00421", 10), ("100%", 0), ("in_0000421_", 0)]
)
def test_a_part_finds_all_that_contain_it_as_it_is_written(log: PostingLog, part: str, count: int) -> None:
    assert asked(log, find=part, limit=5)[1] == count


def test_the_newest_are_listed_without_reading_the_rest_out(log: PostingLog) -> None:
    rows, known, _ = asked(log, limit=3)
    assert [row["stripe_id"] for row in rows] == ["in_00099999", "in_00099998", "in_00099997"]
    assert known >= MANY
    assert list(rows[0]) == list(LISTED)
    assert rows[0]["updated_at"] == "2026-03-11T10:39:00+00:00"


def test_all_are_one_query(log: PostingLog) -> None:
    rows, known, plans = asked(log)
    assert len(rows) == known >= MANY
    assert len([plan for plan in plans if plan.startswith(("SCAN", "SEARCH"))]) == 1


def test_a_draft_that_was_booked_is_found_by_both_numbers_and_by_what_was_said_of_it(log: PostingLog) -> None:
    with log.engine.begin() as db:
        for number in (7_700_001, 8_800_001):
            log.identity_change("nordlys", "document", Identity("in_new", number, None, "", "created"), START).apply(db)
    ending = Ending("document", "in_new", "booked", number=8_800_001, terms=("cus_New", "Faktura@Æble.example"))
    log.record("nordlys", [ending], run_id="run", now=START)
    for text in ("7700001", "8800001", "cus_New", "CUS_NEW", "faktura@æble.example", "in_new"):
        assert [row["stripe_id"] for row in asked(log, find=text, limit=9)[0]] == ["in_new"], text


def test_what_was_posted_before_there_were_terms_is_known_to_have_none(log: PostingLog) -> None:
    with log.engine.connect() as db:
        missing = without(db, "nordlys")
    assert len(missing) >= MANY
    assert "in_new" not in missing
