"""The audit chain: whatever is changed, deleted or put in another order in the log is found, and where."""

import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import IntegrityError

from cloudify_pipeline.accounting.vat_evidence import Answer
from cloudify_pipeline.accounting.vat_return import Sale
from cloudify_pipeline.errors import Problem
from cloudify_pipeline.ledgers.port import LedgerIdentity, Write
from cloudify_pipeline.posting.endings import Ending
from cloudify_pipeline.posting.log import schema as t
from cloudify_pipeline.posting.log.chain import GENESIS, note_settings, page
from cloudify_pipeline.posting.log.persons import Word, word_change
from cloudify_pipeline.posting.log.store import PostingLog
from cloudify_pipeline.posting.log.vat_numbers import keep_vat_answers
from cloudify_pipeline.posting.log.vat_sales import sale_change
from cloudify_pipeline.posting.log.verify import Anchor, Verified, verify
from cloudify_pipeline_tests.posting.conftest import Poster
from cloudify_pipeline_tests.posting.fake_ledger import FakeLedger

NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)
TABLES = (
    "audit",
    "audit_heads",
    "bindings",
    "identities",
    "operations",
    "attempts",
    "records",
    "accepted",
    "vat_numbers",
    "vat_sales",
    "decisions",
)
ANSWER = Answer("DE136695976", "vies", True, NOW, "Musterfirma GmbH", consultation_number="WAPIAAAAZ0000001")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log with a bit of everything: books, settings, a customer, two booked invoices, a held one, proof, a person's word."""
    file = tmp_path_factory.mktemp("log") / "posting.db"
    log = PostingLog(f"sqlite:///{file}")
    log.bind("nordlys", LedgerIdentity("1234567", "Nordlys Software ApS", "DKK"), NOW)
    note_settings(log.engine, "nordlys", "a" * 64, NOW)
    Poster(FakeLedger(), log).run(invoices=2)
    keep_vat_answers(log.engine, "nordlys", [ANSWER, replace(ANSWER, number="FR40303265045")], NOW)
    for one in ("in_1", "in_2"):
        sale = Sale(one, "N-1", date(2026, 11, 2), "DKK", "domestic", "DK", None, "none", None, ())
        with log.engine.begin() as db:
            sale_change("nordlys", sale, NOW, made=True).apply(db)
    held = Ending("document", "in_9", "held", problem=Problem("E-VAT-ID", "DE1", "tax_id", "DE1"))
    log.record("nordlys", [held], run_id="run", now=NOW)
    with log.engine.begin() as db:
        word_change("nordlys", Word("in_9", "E-VAT-ID", "DE1", "post", "lis", NOW)).apply(db)
    log.close()
    return file


@pytest.fixture
def kept(written: Path, tmp_path: Path) -> Iterator[PostingLog]:
    """A copy of that log, to be tampered with."""
    shutil.copy(written, tmp_path / "posting.db")
    log = PostingLog(f"sqlite:///{tmp_path / 'posting.db'}")
    yield log
    log.close()


def tamper(log: PostingLog, *statements: str, values: tuple[Any, ...] = ()) -> None:
    """Somebody at work in the file itself, past this program, who has taken the retention guard away."""
    with closing(sqlite3.connect(log.url.removeprefix("sqlite:///"), isolation_level=None)) as db:
        unguard(db)
        for statement in statements:
            db.execute(statement, values)


def unguard(db: sqlite3.Connection) -> None:
    for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        db.execute(f"DROP TRIGGER {name}")


def columns() -> Iterator[tuple[str, str]]:
    for name in TABLES:
        for column in t.metadata.tables[name].columns:
            yield name, column.name


def another(value: Any) -> Any:
    match value:
        case None:
            return "x"
        case int():
            return value + 1000
        case bytes():
            return value + b" "
        case str() if value[:4].isdigit() and ":" in value:
            return value[:-1] + ("1" if value[-1] == "0" else "0")
        case _:
            return f"{value}x"


def test_an_untouched_log_verifies(kept: PostingLog) -> None:
    found = verify(kept.engine, "nordlys")
    assert found.findings == []
    with kept.engine.connect() as db:
        rows = db.execute(text("SELECT entry, count(*) FROM audit GROUP BY entry")).tuples().all()
    entries: dict[str, int] = dict(rows)
    # A customer and a product, two drafts that are booked: six intents and outcomes; each record was decided once.
    written = {"intent": 6, "outcome": 6, "identity": 6, "decision": 4}
    assert entries == {"binding": 1, "settings": 1, **written, "record": 3, "person": 1, "vat_number": 2, "vat_sale": 2}
    assert found.entries == 32
    assert verify(kept.engine, "another").findings == []


@pytest.mark.parametrize(("table", "column"), list(columns()))
def test_every_changed_column_of_every_table_is_found(kept: PostingLog, table: str, column: str) -> None:
    with kept.engine.connect() as db:
        number, value = db.exec_driver_sql(f'SELECT rowid, "{column}" FROM {table} ORDER BY rowid LIMIT 1').one()
    tamper(kept, f'UPDATE {table} SET "{column}" = ? WHERE rowid = {number}', values=(another(value),))
    found = verify(kept.engine, "nordlys")
    assert found.findings
    if table != "audit_heads" or column not in {"connection"}:
        assert found.findings[0].table in {table, "audit"}
    if table == "audit" and column not in {"connection", "seq"}:
        assert found.first_bad == 1


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("which", ["first", "middle", "last"])
def test_every_deleted_row_is_found(kept: PostingLog, table: str, which: str) -> None:
    with kept.engine.connect() as db:
        numbers = db.exec_driver_sql(f"SELECT rowid FROM {table} ORDER BY rowid").scalars().all()
    number = numbers[{"first": 0, "middle": len(numbers) // 2, "last": -1}[which]]
    tamper(kept, f"DELETE FROM {table} WHERE rowid = {number}")
    found = verify(kept.engine, "nordlys")
    assert found.findings
    if table == "audit":
        assert found.first_bad == {"first": 1, "middle": 17, "last": 32}[which]
        assert "missing" in found.findings[0].what


SWAPPED = [
    ("audit", "payload, subject, entry, at, hash, previous"),
    ("audit", "payload, subject, entry, at"),
    ("operations", "body, body_hash, key, operation, path, revision, number"),
    ("attempts", "outcome, at, milliseconds, request_id, operation_id"),
    ("records", "state, number, total, name, code, message, stripe_number"),
    ("identities", "number, fingerprint"),
]


@pytest.mark.parametrize(("table", "swapped"), SWAPPED)
def test_two_rows_that_changed_places_are_found(kept: PostingLog, table: str, swapped: str) -> None:
    names = swapped.split(", ")
    with kept.engine.connect() as db:
        rows = db.exec_driver_sql(f"SELECT rowid, {swapped} FROM {table} ORDER BY rowid").all()
    one, two = rows[1], rows[-1]
    assert one[1:] != two[1:]
    for target, source in ((one, two), (two, one)):
        assigned = ", ".join(f"{name} = ?" for name in names)
        tamper(kept, f"UPDATE {table} SET {assigned} WHERE rowid = {target[0]}", values=tuple(source[1:]))
    found = verify(kept.engine, "nordlys")
    assert found.findings
    if table == "audit":
        assert found.first_bad == 2


@pytest.mark.parametrize(
    "table", ["operations", "attempts", "records", "identities", "accepted", "vat_numbers", "vat_sales", "decisions"]
)
def test_a_row_that_was_slipped_in_is_found(kept: PostingLog, table: str) -> None:
    key = {"operations": "id", "attempts": "id", "accepted": "code", "vat_numbers": "number"}.get(table, "stripe_id")
    names = [column.name for column in t.metadata.tables[table].columns]
    changed = {key: f"{key} || '9'", "idempotency_key": "'other'"} | ({"id": "id + 1000"} if key == "id" else {})
    chosen = ", ".join(changed.get(name, f'"{name}"') for name in names)
    tamper(kept, f"INSERT INTO {table} SELECT {chosen} FROM {table} LIMIT 1")
    found = verify(kept.engine, "nordlys")
    assert [(one.table, one.what) for one in found.findings] == [(table, "no entry of the chain tells of this row")]


def test_what_was_changed_is_named_with_the_entry_that_knows_better(kept: PostingLog) -> None:
    tamper(kept, "UPDATE records SET state = 'booked', code = NULL WHERE stripe_id = 'in_9'")
    [finding] = verify(kept.engine, "nordlys").findings
    assert (finding.table, finding.subject) == ("records", "document:in_9")
    assert set(finding.what.split("; ")) == {"code is “”, was “E-VAT-ID”", "state is “booked”, was “held”"}
    with kept.engine.connect() as db:
        told = db.execute(text("SELECT entry, subject FROM audit WHERE seq = :seq"), {"seq": finding.seq}).one()
    assert tuple(told) == ("record", "document:in_9")


def test_an_anchor_shows_a_chain_that_was_written_anew_and_one_that_was_cut(kept: PostingLog) -> None:
    anchor = verify(kept.engine, "nordlys").head
    assert anchor is not None
    assert verify(kept.engine, "nordlys", anchor=anchor).findings == []
    with closing(sqlite3.connect(kept.url.removeprefix("sqlite:///"), isolation_level=None)) as db:
        unguard(db)
        db.execute("DELETE FROM audit WHERE seq > 31")
        [before] = db.execute("SELECT hash FROM audit WHERE seq = 31").fetchone()
        db.execute("UPDATE audit_heads SET seq = 31, hash = ?", (before,))
        db.execute("DELETE FROM accepted")
    assert verify(kept.engine, "nordlys").findings == []
    [cut] = verify(kept.engine, "nordlys", anchor=anchor).findings
    assert cut.what == "entry 32 was anchored and the chain ends with entry 31"
    note_settings(kept.engine, "nordlys", "b" * 64, NOW)
    [anew] = verify(kept.engine, "nordlys", anchor=anchor).findings
    assert (anew.seq, anew.what) == (32, "entry 32 is not the one that was anchored: the chain was written anew")


def test_the_whole_chain_taken_away_is_found(kept: PostingLog) -> None:
    tamper(kept, "DELETE FROM audit", "DELETE FROM audit_heads")
    found = verify(kept.engine, "nordlys")
    assert {one.table for one in found.findings} == {"bindings", "identities", "operations", "attempts", "records"}


def test_settings_are_entered_when_they_differ_from_the_last_ones(log: PostingLog) -> None:
    given = ("a", "a", "b", "b", "a")
    assert [note_settings(log.engine, "nordlys", one * 64, NOW) for one in given] == [True, False, True, False, True]
    found = verify(log.engine, "nordlys")
    assert (found.entries, found.findings) == (3, [])


def test_a_change_that_is_undone_leaves_no_entry(log: PostingLog) -> None:
    class Undone(Exception):
        pass

    def undone() -> None:
        with log.engine.begin() as db:
            page(db, "nordlys", NOW).append("settings", "settings", {"hash": "a"}, NOW)
            raise Undone

    with pytest.raises(Undone):
        undone()
    note_settings(log.engine, "nordlys", "b", NOW)
    found = verify(log.engine, "nordlys")
    assert (found.entries, found.findings) == (1, [])


def test_a_spoilt_change_does_not_break_the_chain_of_the_others(log: PostingLog) -> None:
    def intend(key: str) -> None:
        with log.engine.begin() as db:
            write = Write("create_document", "stripe:in_1", "POST", "/", b"{}")
            log.intent_change("nordlys", write, revision="r", idempotency_key=key, run_id="run", now=NOW).apply(db)

    intend("a")
    with pytest.raises(IntegrityError):
        intend("a")
    intend("b")
    found = verify(log.engine, "nordlys")
    assert (found.entries, found.findings) == (2, [])


def test_writers_of_several_processes_cannot_fork_the_chain(log: PostingLog) -> None:
    def write(who: int) -> None:
        own = PostingLog(log.url)
        for n in range(25):
            ending = Ending("document", f"in_{n}", "held", problem=Problem("E-VAT-ID", f"seen by {who}"), total=Decimal(n))
            own.record("nordlys", [ending], run_id=f"run{who}", now=NOW)
        own.close()

    threads = [threading.Thread(target=write, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = verify(log.engine, "nordlys")
    assert found.findings == []
    assert found.entries >= 25


def older(log: PostingLog, poster: Callable[[], Any]) -> None:
    """Leave `log` as a version without the chain wrote it."""
    poster()
    tamper(
        log,
        "DROP TABLE audit",
        "DROP TABLE audit_heads",
        "DROP TABLE search_terms",
        "DROP TABLE decisions",
        "UPDATE schema_version SET version = 1",
    )


def test_a_log_from_before_the_chain_opens_and_is_taken_over_with_its_next_change(poster: Poster, tmp_path: Path) -> None:
    older(poster.log, lambda: poster.run(invoices=3))
    again = PostingLog(f"sqlite:///{tmp_path / 'posting.db'}")
    assert "begins with the next run" in verify(again.engine, "nordlys").findings[0].what
    again.record(
        "nordlys",
        [Ending("document", "in_1", "held", problem=Problem("E-GONE", "gone"))],
        run_id="r",
        now=NOW + timedelta(days=1),
    )
    found = verify(again.engine, "nordlys")
    assert found.findings == []
    # Customer, product, three documents: identities; a write each, and three bookings; attempts likewise; three records.
    assert found.adopted == 5 + 8 + 8 + 3
    tamper(again, "UPDATE attempts SET outcome = 'refused' WHERE id = 3")
    [finding] = verify(again.engine, "nordlys").findings
    assert (finding.table, finding.what) == ("attempts", "outcome is “refused”, was “confirmed”")
    again.close()


def test_a_program_that_does_not_know_the_chain_refuses_a_log_that_has_one(tmp_path: Path) -> None:
    """It would write rows that no entry tells of."""
    url = f"sqlite:///{tmp_path / 'posting.db'}"
    PostingLog(url).close()
    engine = create_engine(url)
    with engine.begin() as db:
        assert db.scalar(text("SELECT max(version) FROM schema_version")) == 2
    engine.dispose()


def test_the_first_entry_follows_nothing(kept: PostingLog) -> None:
    with kept.engine.connect() as db:
        assert db.scalar(text("SELECT previous FROM audit WHERE seq = 1")) == GENESIS


def test_a_verified_log_says_where_it_ends(kept: PostingLog) -> None:
    found: Verified = verify(kept.engine, "nordlys")
    assert isinstance(found.head, Anchor)
    assert (found.head.seq, found.begins_at) == (32, "2026-11-02T09:00:00.000000+00:00")
