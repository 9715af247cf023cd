"""A process that is paused while another takes over, and wakes late, writes nothing more: neither ledger nor log."""

import asyncio
import os
import signal
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from cloudify_pipeline.ledgers.port import Operation
from cloudify_pipeline_tests.posting.crashes.matrix import End, Stage
from cloudify_pipeline_tests.posting.crashes.run import Point, post, remembered
from cloudify_pipeline_tests.posting.crashes.scenarios import SCENARIOS
from cloudify_pipeline_tests.posting.crashes.zygote import STOPPED

pytestmark = pytest.mark.exhaustive

OVER = timedelta(minutes=6)
"""The lease's term has ended."""
LATE = timedelta(hours=3)
"""The ledger has forgotten the idempotency key as well."""


@dataclass(frozen=True)
class Pause:
    operation: Operation
    point: Point
    scenario: str = "create_document(draft invoice)"
    has_more_to_do: bool = False


PAUSES = [
    Pause("create_customer", "after recording"),
    Pause("create_product", "after recording"),
    Pause("create_document", "after recording", "create_document(to be booked)", has_more_to_do=True),
    Pause("create_document", "after the answer", "create_document(to be booked)"),
    Pause("create_customer", "after the intent"),
    Pause("create_product", "after the intent"),
    Pause("create_document", "after the intent"),
    Pause("book_document", "after the intent", "book_document(new draft)"),
    Pause("book_document", "after the answer", "book_document(new draft)"),
]


@pytest.mark.parametrize("absent", [OVER, LATE], ids=["lease over", "key forgotten"])
@pytest.mark.parametrize("pause", PAUSES, ids=[f"{pause.operation}-{pause.point}" for pause in PAUSES])
def test_a_paused_process_that_wakes_late_writes_nothing(stage: Stage, pause: Pause, absent: timedelta) -> None:
    scenario = SCENARIOS[pause.scenario]
    expected = stage.reference(scenario)
    books, log = stage.prepared(scenario)
    paused = stage.start(scenario, books, log, operation=pause.operation, point=pause.point, with_signal=signal.SIGSTOP)
    try:
        wait_until_stopped(paused)
        books.now += absent
        stage.tell_time(books)
        asyncio.run(post(scenario.work, log_url=log, ledger_url=stage.ledger.url, clock=lambda: books.now))
        assert End(books.stands(), remembered(log), books.keys()) == expected, "the successor did the work"
    finally:
        os.kill(paused, signal.SIGCONT)
        ended = stage.zygote.end(paused)
    end = End(books.stands(), remembered(log), books.keys())
    assert end.keys == expected.keys, "each key stands once"
    assert end == expected
    if pause.has_more_to_do:
        assert ended == STOPPED, "it leaves with E-LEASE"


def wait_until_stopped(process: int) -> None:
    deadline = time.monotonic() + 20
    while Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] != "T":
        assert time.monotonic() < deadline, "the process never stopped"
        time.sleep(0.005)
