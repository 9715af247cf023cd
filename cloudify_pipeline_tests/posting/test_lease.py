"""One writer per connection, and a late one that cannot write."""

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import select

from cloudify_pipeline.errors import RunStopped
from cloudify_pipeline.posting.log.lease import TERM, held, in_utc
from cloudify_pipeline.posting.log.schema import leases
from cloudify_pipeline.posting.log.store import PostingLog

NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)


def holder(log: PostingLog, text: str) -> None:
    with log.engine.begin() as db:
        db.execute(leases.update().values(holder=text))


def test_a_second_run_leaves_and_names_the_holder(log: PostingLog) -> None:
    with held(log.engine, "nordlys", now=NOW):
        holder(log, "otherhost:17")
        with pytest.raises(RunStopped, match="otherhost:17") as stopped, held(log.engine, "nordlys", now=NOW):
            pass
    assert stopped.value.code == "E-LEASE"


def test_other_connections_do_not_wait(log: PostingLog) -> None:
    with held(log.engine, "nordlys", now=NOW), held(log.engine, "other", now=NOW):
        pass


def test_a_lease_is_free_after_its_run_and_after_its_term(log: PostingLog) -> None:
    with held(log.engine, "nordlys", now=NOW) as first:
        pass
    with held(log.engine, "nordlys", now=NOW) as second:
        holder(log, "otherhost:17")
        with held(log.engine, "nordlys", now=NOW + TERM + timedelta(seconds=1)) as third:
            assert (first.token, second.token, third.token) == (1, 2, 3)


def test_a_paused_run_that_wakes_late_cannot_record_an_intent(log: PostingLog) -> None:
    with held(log.engine, "nordlys", now=NOW) as paused:
        holder(log, "otherhost:17")
        late = NOW + 2 * TERM
        with held(log.engine, "nordlys", now=late), pytest.raises(RunStopped, match="taken over"), log.engine.begin() as db:
            paused.extend(db, late)


def test_the_end_of_a_paused_run_does_not_free_the_lease_of_its_successor(log: PostingLog) -> None:
    late = NOW + 2 * TERM
    with held(log.engine, "nordlys", now=NOW):
        holder(log, "otherhost:17")
        successor = held(log.engine, "nordlys", now=late)
        lease = successor.__enter__()
    with log.engine.connect() as db:
        row = db.execute(select(leases)).mappings().one()
    assert (row["token"], row["expires_at"] is not None) == (lease.token, True)
    successor.__exit__(None, None, None)


def test_a_killed_run_of_this_machine_holds_nobody_up(new_log: Callable[[], PostingLog]) -> None:
    log = new_log()
    script = (
        "import os, signal\n"
        "from datetime import datetime, UTC\n"
        "from cloudify_pipeline.posting.log.lease import held\n"
        "from cloudify_pipeline.posting.log.store import PostingLog\n"
        f"with held(PostingLog({log.url!r}).engine, 'nordlys', now=datetime.fromisoformat({NOW.isoformat()!r})):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True)
    assert killed.returncode == -9
    with held(log.engine, "nordlys", now=NOW) as lease:
        assert lease.token == 2


@pytest.mark.parametrize("hours", [-5, 0, 1, 14])
def test_the_end_of_a_term_is_the_same_instant_in_the_zone_of_any_server(hours: int) -> None:
    there = NOW.astimezone(timezone(timedelta(hours=hours)))
    assert in_utc(there) == NOW
    assert in_utc(there).hour == NOW.hour, "it is named as UTC"
    assert in_utc(NOW.replace(tzinfo=None)) == NOW
