"""Several processes open the log at once: a new file, and a connection's first lease."""

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import select, text

from cloudify_pipeline.posting.log import schema as t
from cloudify_pipeline.posting.log.retention import unguarded
from cloudify_pipeline.posting.log.store import PostingLog

_TOGETHER = """
import sys
from datetime import UTC, datetime
from cloudify_pipeline.errors import RunStopped
from cloudify_pipeline.posting.log.lease import held
from cloudify_pipeline.posting.log.store import PostingLog
print("ready", flush=True)
sys.stdin.readline()
log = PostingLog(sys.argv[1])
for n in range(20):
    try:
        with held(log.engine, f"c{n}", now=datetime(2026, 11, 2, 9, tzinfo=UTC)):
            pass
    except RunStopped as stopped:
        assert stopped.code == "E-LEASE"
"""


def test_a_new_log_is_opened_by_all_who_come_and_each_lease_is_somebodys_or_anothers(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'posting.db'}"
    several = [
        subprocess.Popen(
            [sys.executable, "-c", _TOGETHER, url],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(4)
    ]  # fmt: skip
    for one in several:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in several:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    assert [(one.communicate()[1], one.returncode) for one in several] == [("", 0)] * 4
    log = PostingLog(url)
    with log.engine.connect() as db:
        assert unguarded(db) == {}
        assert db.scalars(select(t.versions.c.version)).all() == [t.SCHEMA_VERSION]
    log.close()


@pytest.mark.parametrize("gone", ["DROP TRIGGER keep_audit", "DROP TABLE vat_sales", "DELETE FROM schema_version"])
def test_what_is_missing_of_a_log_is_made_when_it_is_opened(log: PostingLog, gone: str) -> None:
    with log.engine.begin() as db:
        db.execute(text(gone))
    again = PostingLog(log.url)
    with again.engine.connect() as db:
        assert unguarded(db) == {}
        assert db.scalars(select(t.vat_sales.c.stripe_id)).all() == []
        assert db.scalars(select(t.versions.c.version)).all() == [t.SCHEMA_VERSION]
    again.close()
