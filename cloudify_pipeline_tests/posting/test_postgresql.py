"""The log's statements in PostgreSQL's words: what SQLite forgives or spells in its own way must not slip in."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateIndex, CreateTable

from cloudify_pipeline.accounting.vat_evidence import Answer
from cloudify_pipeline.errors import RunStopped
from cloudify_pipeline.ledgers.port import LedgerIdentity
from cloudify_pipeline.planning.plans import PlannedDocument
from cloudify_pipeline.posting.decided import posted
from cloudify_pipeline.posting.log import schema as t
from cloudify_pipeline.posting.log.lease import TERM, held
from cloudify_pipeline.posting.log.retention import APPENDED, KEPT
from cloudify_pipeline.posting.log.store import PostingLog
from cloudify_pipeline.posting.log.vat_numbers import keep_vat_answers
from cloudify_pipeline.posting.log.verify import verify
from cloudify_pipeline_tests.posting.conftest import Poster
from cloudify_pipeline_tests.posting.fake_ledger import FakeLedger

POSTGRESQL = make_url("postgresql+asyncpg://").get_dialect()()
NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)
TABLES = ("audit", "audit_heads", "search_terms", "vat_numbers", "decisions")


@pytest.mark.parametrize("name", TABLES)
def test_every_table_of_the_chain_can_be_made_on_postgresql(name: str) -> None:
    table = t.metadata.tables[name]
    made = str(CreateTable(table).compile(dialect=POSTGRESQL))
    # A number that PostgreSQL counts by itself would not be the chain's.
    assert "SERIAL" not in made
    assert "PRIMARY KEY (connection" in made
    for index in table.indexes:
        # PostgreSQL takes no more than a third of a page into an index row, and a letter may have four bytes.
        assert 4 * sum(getattr(column.type, "length", None) or 8 for column in index.columns) < 2_700
        assert "CREATE INDEX" in str(CreateIndex(index).compile(dialect=POSTGRESQL))


@pytest.fixture
def server() -> Iterator[PostingLog]:
    """An empty log on a PostgreSQL server, named by CLOUDIFY_TEST_POSTGRESQL_URL: a database that may be emptied."""
    url = os.environ.get("CLOUDIFY_TEST_POSTGRESQL_URL")
    if not url:
        pytest.skip("CLOUDIFY_TEST_POSTGRESQL_URL names no PostgreSQL database")
    engine = create_engine(url)
    with engine.begin() as db:
        db.execute(text("DROP SCHEMA public CASCADE"))
        db.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    log = PostingLog(url)
    log.bind("nordlys", LedgerIdentity("1234567", "Nordlys Software ApS", "DKK"), NOW)
    keep_vat_answers(log.engine, "nordlys", [Answer("DE136695976", "vies", True, NOW)], NOW)
    yield log
    log.close()


def test_posting_on_a_server_writes_each_document_once_and_a_whole_chain(server: PostingLog) -> None:
    ledger = FakeLedger()
    for _ in range(2):
        Poster(ledger, server).run(invoices=3)
    assert sum(kind == "booked_invoice" for kind, _ in ledger.stored) == 3
    found = verify(server.engine, "nordlys")
    assert found.findings == []
    assert server.counts("nordlys") == {"booked": 3}
    assert len(server.records("nordlys", find="in_2")) == 1
    decided = posted(server, "nordlys", "document", "in_2").plan
    assert isinstance(decided, PlannedDocument)
    assert (decided.rule, decided.stripe_id) == ("rules[0]", "in_2")


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Europe/Copenhagen"])
def test_a_server_gives_one_lease_at_a_time(server: PostingLog, zone: str) -> None:
    event.listen(server.engine, "connect", lambda raw, _: raw.cursor().execute(f"SET SESSION TIME ZONE '{zone}'; COMMIT"))
    server.engine.dispose()
    with held(server.engine, "nordlys", now=NOW):
        with server.engine.begin() as db:
            db.execute(t.leases.update().values(holder="otherhost:17"))
        with pytest.raises(RunStopped, match="otherhost:17, until 09:05:00 UTC"), held(server.engine, "nordlys", now=NOW):
            raise AssertionError
    with held(server.engine, "nordlys", now=NOW):
        with server.engine.begin() as db:
            db.execute(t.leases.update().values(holder="otherhost:17"))
        with held(server.engine, "nordlys", now=NOW + TERM + timedelta(seconds=1)) as successor:
            assert successor.token == 3


@pytest.mark.parametrize("table", KEPT)
def test_a_server_keeps_what_the_books_rest_on(server: PostingLog, table: str) -> None:
    Poster(FakeLedger(), server).run()
    with server.engine.begin() as db:
        row = {"connection": "nordlys", "stripe_id": "in_1", "day": "2026-11-02", "eu_consumer": False, "sale": "{}", "at": NOW}
        db.execute(t.vat_sales.insert(), row)
    with pytest.raises(DBAPIError, match=f"{table} is kept for 10 years"), server.engine.begin() as db:
        db.execute(text(f"DELETE FROM {table}"))


@pytest.mark.parametrize("table", APPENDED)
def test_a_server_changes_nothing_that_is_only_added_to(server: PostingLog, table: str) -> None:
    Poster(FakeLedger(), server).run()
    with pytest.raises(DBAPIError, match=f"{table} is only ever added to"), server.engine.begin() as db:
        db.execute(text(f"UPDATE {table} SET {KEPT[table]} = {KEPT[table]}"))
