"""The database refuses to delete what the books rest on before its time is over, and to change what is only added to."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from cloudify_pipeline.accounting.vat_evidence import Answer
from cloudify_pipeline.accounting.vat_return import Sale
from cloudify_pipeline.ledgers.port import LedgerIdentity
from cloudify_pipeline.posting.log.checks import SettingsCheck, keep_check
from cloudify_pipeline.posting.log.retention import APPENDED, KEPT, YEARS, triggers
from cloudify_pipeline.posting.log.store import PostingLog
from cloudify_pipeline.posting.log.vat_numbers import keep_vat_answers
from cloudify_pipeline.posting.log.vat_sales import sale_change
from cloudify_pipeline_tests.posting.conftest import Poster
from cloudify_pipeline_tests.posting.fake_ledger import FakeLedger

NOW = datetime(2026, 11, 2, tzinfo=UTC)


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[PostingLog]:
    """A log with a booked invoice in it, and proof of a VAT number."""
    log = PostingLog(f"sqlite:///{tmp_path / 'posting.db'}")
    log.bind("nordlys", LedgerIdentity("1234567", "Nordlys Software ApS", "DKK"), NOW)
    keep_vat_answers(log.engine, "nordlys", [Answer("DE136695976", "vies", True, NOW)], NOW)
    Poster(FakeLedger(), log).run()
    sale = Sale("in_1", "N-1", date(2026, 11, 2), "DKK", "domestic", "DK", None, "none", None, ())
    with log.engine.begin() as db:
        sale_change("nordlys", sale, NOW, made=True).apply(db)
    keep_check(log.engine, "nordlys", SettingsCheck("0" * 12, "1234567", NOW, ()))
    yield log
    log.close()


def count(log: PostingLog, table: str) -> int:
    with log.engine.connect() as db:
        return int(db.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def dated(log: PostingLog, table: str, year: int) -> None:
    """As if every row of `table` were of `year`."""
    with log.engine.begin() as db:
        for name in APPENDED:
            db.execute(text(f"DROP TRIGGER IF EXISTS keep_{name}_as_is"))
        db.execute(text(f"UPDATE {table} SET {KEPT[table]} = '{year}' || substr({KEPT[table]}, 5)"))


@pytest.mark.parametrize("table", KEPT)
def test_no_row_of_the_last_ten_years_can_be_deleted(kept: PostingLog, table: str) -> None:
    rows = count(kept, table)
    assert rows > 0
    for year in (datetime.now(UTC).year, datetime.now(UTC).year - YEARS):
        dated(kept, table, year)
        with pytest.raises(IntegrityError, match=f"{table} is kept for 10 years"), kept.engine.begin() as db:
            db.execute(text(f"DELETE FROM {table}"))
        assert count(kept, table) == rows


@pytest.mark.parametrize("table", [name for name in KEPT if name != "operations"])
def test_what_is_older_can_be(kept: PostingLog, table: str) -> None:
    dated(kept, table, datetime.now(UTC).year - YEARS - 1)
    with kept.engine.begin() as db:
        db.execute(text(f"DELETE FROM {table}"))
    assert count(kept, table) == 0


@pytest.mark.parametrize("table", APPENDED)
def test_what_is_only_added_to_cannot_be_changed(kept: PostingLog, table: str) -> None:
    with pytest.raises(IntegrityError, match=f"{table} is only ever added to"), kept.engine.begin() as db:
        db.execute(text(f"UPDATE {table} SET {KEPT[table]} = {KEPT[table]}"))


def test_a_guard_that_was_taken_away_comes_back(kept: PostingLog) -> None:
    with kept.engine.begin() as db:
        db.execute(text("DROP TRIGGER keep_audit"))
    PostingLog(kept.url).close()
    with pytest.raises(IntegrityError, match="audit is kept"), kept.engine.begin() as db:
        db.execute(text("DELETE FROM audit"))


def test_postgresql_has_the_same_guard() -> None:
    assert triggers("postgresql").keys() == triggers("sqlite").keys()
    for name, statement in triggers("postgresql").items():
        assert f"CREATE TRIGGER {name} " in statement
