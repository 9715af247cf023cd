"""Two runs of one connection at once, in processes of their own: one works, the other leaves by name, nothing is doubled."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import select

from cloudify_pipeline.orchestration.instance import dagster_home
from cloudify_pipeline.posting.log.schema import leases
from cloudify_pipeline.posting.log.store import PostingLog
from cloudify_pipeline.sandbox.faults import Fault
from cloudify_pipeline.settings.paths import posting_url
from cloudify_pipeline_tests.whole_runs.conftest import Company

pytestmark = pytest.mark.exhaustive

GROSS = Decimal("125.00")
INVOICES = 8
PATIENCE = 180
SYNC = [sys.executable, "-m", "cloudify_pipeline", "sync", "nordlys", "--json"]
LAUNCHED = [
    sys.executable, "-m", "dagster", "job", "execute", "-m", "cloudify_pipeline.definitions", "-j", "sync",
    "--tags", json.dumps({"dagster/partition": "nordlys"}),
]  # fmt: skip
"""As Dagster's own machinery runs a job: from the code location, recorded in the instance of this home."""

WAYS = {"the command line": SYNC, "Dagster": LAUNCHED}


@pytest.fixture
def due(company: Company, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paid invoices of two customers, and a home that processes can share."""
    buyers = [company.customer(f"Kunde {n}", email=f"kunde{n}@example.com") for n in range(2)]
    ids = [company.pay(company.invoice(buyers[n % 2])) for n in range(INVOICES)]
    company.connection().log.close()
    monkeypatch.setenv("DAGSTER_HOME", str(dagster_home()))
    return ids


@contextmanager
def started(command: list[str], folder: Path, name: str) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / f"{name}.out").open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def until(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None, f"the process ended by itself ({process.returncode})"
        assert time.monotonic() < deadline
        time.sleep(0.01)


def pause_in_the_middle_of_posting(company: Company, process: subprocess.Popen[bytes]) -> None:
    """Stop `process` while its calls are under way: nothing of it is inside a transaction then."""
    faults = company.sandbox.faults_economic
    faults.add(Fault("POST", "^/invoices/drafts$", "delay", seconds=0.6, times=None))
    until(lambda: len(faults.fired) >= 6, process)
    time.sleep(0.1)
    process.send_signal(signal.SIGSTOP)
    faults.clear()


def let_the_lease_end() -> None:
    log = PostingLog(posting_url())
    with log.engine.begin() as db:
        assert db.execute(select(leases)).mappings().one()["expires_at"] is not None
        db.execute(leases.update().values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    log.close()


def each_once(company: Company, ids: list[str]) -> bool:
    return company.documents() == {f"stripe:{one}": ("booked_invoice", GROSS) for one in ids}


def buyers(company: Company) -> list[str]:
    return sorted(one["name"] for one in company.sandbox.economic.customers() if one["name"].startswith("Kunde "))


@pytest.mark.parametrize(("first", "second"), [("the command line", "Dagster"), ("Dagster", "the command line")])
def test_the_second_run_leaves_by_name_and_the_first_finishes(
    company: Company, due: list[str], first: str, second: str, tmp_path: Path
) -> None:
    with started(WAYS[first], tmp_path, "first") as working:
        pause_in_the_middle_of_posting(company, working)
        before = len(company.sandbox.economic.writes())
        with started(WAYS[second], tmp_path, "second") as leaving:
            leaving.wait(PATIENCE)
        said = (tmp_path / "second.out").read_text(encoding="utf-8")
        assert leaving.returncode != 0, said
        assert "E-LEASE" in said
        assert str(working.pid) in said, "the holder is named"
        time.sleep(0.5)
        assert len(company.sandbox.economic.writes()) <= before + 6, "what was under way arrives, and nothing else"
        working.send_signal(signal.SIGCONT)
        assert working.wait(PATIENCE) == 0, (tmp_path / "first.out").read_text(encoding="utf-8")[-2000:]
    assert each_once(company, due)
    assert buyers(company) == ["Kunde 0", "Kunde 1"]


def test_a_paused_run_whose_lease_was_taken_over_wakes_and_leaves(company: Company, due: list[str], tmp_path: Path) -> None:
    with started(SYNC, tmp_path, "first") as paused:
        pause_in_the_middle_of_posting(company, paused)
        time.sleep(0.7)
        let_the_lease_end()
        done = subprocess.run(SYNC, capture_output=True, text=True, check=False, timeout=PATIENCE)
        assert done.returncode == 0, done.stderr[-2000:]
        assert each_once(company, due)
        before = len(company.sandbox.economic.writes())
        paused.send_signal(signal.SIGCONT)
        assert paused.wait(PATIENCE) != 0
    assert "E-LEASE" in (tmp_path / "first.out").read_text(encoding="utf-8")
    assert len(company.sandbox.economic.writes()) == before, "the late one wrote nothing"
    assert each_once(company, due)
    after = subprocess.run(
        [sys.executable, "-m", "cloudify_pipeline", "status", "nordlys", "--json"],
        capture_output=True, text=True, check=False, timeout=PATIENCE,
    )  # fmt: skip
    assert {row["state"] for row in json.loads(after.stdout)["documents"]} == {"booked"}


def test_three_runs_that_start_together_post_each_invoice_once(company: Company, due: list[str], tmp_path: Path) -> None:
    commands = [SYNC, LAUNCHED, SYNC]
    with (tmp_path / "all.out").open("wb") as out:
        together = [subprocess.Popen(command, stdout=out, stderr=out, env=dict(os.environ)) for command in commands]
        codes = [process.wait(PATIENCE) for process in together]
    said = (tmp_path / "all.out").read_text(encoding="utf-8")
    assert any(code == 0 for code in codes), said[-3000:]
    assert all(code == 0 for code in codes) or "E-LEASE" in said
    assert each_once(company, due)
    assert buyers(company) == ["Kunde 0", "Kunde 1"]
