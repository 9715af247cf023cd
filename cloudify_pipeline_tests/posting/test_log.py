"""The posting log: present endings, identities, group commit, and what it refuses."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import IntegrityError

from cloudify_pipeline.errors import LogUnavailable, Problem
from cloudify_pipeline.ledgers.port import LedgerIdentity, Write
from cloudify_pipeline.posting.endings import Ending, State
from cloudify_pipeline.posting.log.commits import GroupCommit
from cloudify_pipeline.posting.log.store import Identity, PostingLog

NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)


def ending(state: State, **facts: object) -> Ending:
    return Ending("document", "in_1", state, **facts)  # type: ignore[arg-type]


def record(log: PostingLog, *endings: Ending, at: datetime = NOW) -> None:
    log.record("nordlys", endings, run_id="run", now=at)


@pytest.mark.parametrize(
    ("before", "after", "stands"),
    [
        ("planned", "booked", "booked"),
        ("held", "booked", "booked"),
        ("failed", "held", "held"),
        ("booked", "planned", "booked"),
        ("posted", "skipped", "posted"),
        ("posted", "booked", "booked"),
        ("booked", "held", "held"),
    ],
)
def test_a_settled_document_never_falls_back_to_planned_or_skipped(
    log: PostingLog, before: State, after: State, stands: str
) -> None:
    record(log, ending(before))
    record(log, ending(after))
    assert log.records("nordlys")[0]["state"] == stands


def test_an_unchanged_ending_writes_nothing(log: PostingLog) -> None:
    held = ending("held", problem=Problem("E-VAT-ID", "DE123 is not verified"))
    record(log, held)
    record(log, held, at=NOW + timedelta(hours=1))
    assert log.records("nordlys")[0]["updated_at"] == NOW


def test_known_facts_stay_when_a_later_ending_does_not_name_them(log: PostingLog) -> None:
    record(log, ending("planned", stripe_number="NORD-1", total=Decimal("125.00"), currency="DKK", name="Ærø & Søn"))
    record(log, ending("held", problem=Problem("E-PERIOD", "January is barred")))
    row = log.records("nordlys")[0]
    assert (row["stripe_number"], row["total"], row["currency"], row["name"]) == ("NORD-1", Decimal("125.00"), "DKK", "Ærø & Søn")
    assert (row["state"], row["code"]) == ("held", "E-PERIOD")


@pytest.mark.parametrize("text", ["in_1", "NORD-1", "1042", "ærø"])
def test_a_document_is_found_by_id_number_and_name(log: PostingLog, text: str) -> None:
    record(log, ending("booked", stripe_number="NORD-1", number=1042, name="ærø & Søn"))
    record(log, Ending("document", "in_2", "held", stripe_number="NORD-2", name="Somebody else"))
    assert [row["stripe_id"] for row in log.records("nordlys", find=text) if row["stripe_id"] == "in_1"] == ["in_1"]


def test_connections_do_not_see_each_other(log: PostingLog) -> None:
    record(log, ending("booked"))
    assert log.counts("nordlys") == {"booked": 1}
    assert log.counts("other") == {}


def test_an_identity_keeps_its_kind_of_number(log: PostingLog) -> None:
    with log.engine.begin() as db:
        for stripe_id, number in (("cus_1", 1042), ("cus_2", "K-1042")):
            log.identity_change("nordlys", "customer", Identity(stripe_id, number, None, "", "created"), NOW).apply(db)
    assert {i.stripe_id: i.number for i in log.identities("nordlys", "customer").values()} == {"cus_1": 1042, "cus_2": "K-1042"}


def test_binding_pins_the_books(log: PostingLog) -> None:
    assert log.binding("nordlys") is None
    log.bind("nordlys", LedgerIdentity("1234567", "Nordlys Software ApS", "DKK"), NOW)
    bound = log.binding("nordlys")
    assert bound is not None
    assert (bound["agreement"], bound["company"]) == ("1234567", "Nordlys Software ApS")


def test_a_log_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'posting.db'}"
    PostingLog(url).close()
    engine = create_engine(url)
    with engine.begin() as db:
        db.execute(text("UPDATE schema_version SET version = 99"))
    engine.dispose()
    with pytest.raises(LogUnavailable, match="newer version"):
        PostingLog(url)


def test_a_log_that_cannot_be_opened_says_so_without_the_url(tmp_path: Path) -> None:
    (tmp_path / "posting.db").mkdir()
    with pytest.raises(LogUnavailable) as caught:
        PostingLog(f"sqlite:///{tmp_path / 'posting.db'}")
    assert str(tmp_path) not in str(caught.value)


def intents(log: PostingLog, keys: list[str]) -> list[object]:
    async def commit_all() -> list[object]:
        async with GroupCommit(log.engine) as commits:
            changes = [
                log.intent_change(
                    "nordlys",
                    Write("create_document", f"stripe:in_{n}", "POST", "/", b"{}"),
                    revision="r",
                    idempotency_key=key,
                    run_id="run",
                    now=NOW,
                )
                for n, key in enumerate(keys)
            ]
            results: list[object] = await asyncio.gather(*(commits.commit(c.apply) for c in changes), return_exceptions=True)
            return results

    return asyncio.run(commit_all())


def test_group_commit_gives_each_change_its_own_result(log: PostingLog) -> None:
    assert intents(log, [f"k{n}" for n in range(40)]) == list(range(1, 41))


def test_one_spoilt_change_does_not_take_the_others_with_it(log: PostingLog) -> None:
    results = intents(log, ["a", "b", "a", "c"])
    assert [type(result) for result in results] == [int, int, IntegrityError, int]
    assert len(log.open_keys("nordlys")) == 3


def test_what_was_committed_survives_the_process(new_log: Callable[[], PostingLog], tmp_path: Path) -> None:
    log = new_log()
    intents(log, ["a"])
    log.close()
    again = PostingLog(log.url)
    unfinished = again.open_operation("nordlys", "create_document", "stripe:in_0")
    again.close()
    assert unfinished is not None
    assert unfinished.idempotency_key == "a"
