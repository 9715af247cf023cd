"""A small process that has everything imported and forks a child for each run: a fresh interpreter would take a second.

It has one thread and no event loop of its own, so that a fork is safe. Requests and answers are lines of JSON.
"""

import asyncio
import json
import os
import subprocess
import sys
import traceback
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cloudify_pipeline.errors import RunStopped
from cloudify_pipeline.ledgers.economic.ledger import EconomicLedger
from cloudify_pipeline.posting.log.store import PostingLog
from cloudify_pipeline.tls import tls
from cloudify_pipeline_tests.posting.crashes.run import Crash, post
from cloudify_pipeline_tests.posting.crashes.scenarios import SCENARIOS

STOPPED = 3
"""Exit code of a run that was stopped by name."""


class Zygote:
    """The parent's side: starts runs in children, one or more at a time."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "cloudify_pipeline_tests.posting.crashes.zygote"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._process.stdin is not None and self._process.stdout is not None:
            self._process.stdin.close()
            self._process.wait(20)
            self._process.stdout.close()

    def start(self, **run: Any) -> int:
        """Fork a child that posts; its process id."""
        return self._ask({"start": run})

    def end(self, process: int) -> int:
        """Wait for a child: its exit code, or minus the signal that ended it."""
        return self._ask({"end": process})

    def _ask(self, request: dict[str, Any]) -> int:
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


def _child(run: dict[str, Any]) -> int:
    crash = run.pop("crash")
    work = SCENARIOS[run.pop("scenario")].work
    told = Path(run.pop("clock"))

    def clock() -> datetime:
        return datetime.fromisoformat(told.read_text(encoding="utf-8"))

    try:
        asyncio.run(post(work, **run, clock=clock, crash=Crash(**crash) if crash else None))
    except RunStopped as stopped:
        return STOPPED if stopped.code == "E-LEASE" else 4
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _warm() -> None:
    """Have everything in memory that a run needs: what a child imports for itself, the next one imports again."""
    tls()
    PostingLog("sqlite://").close()
    asyncio.run(EconomicLedger("", "").close())


def main() -> None:
    """Serve until stdin ends."""
    _warm()
    for line in sys.stdin:
        request = json.loads(line)
        if "end" in request:
            _, status = os.waitpid(request["end"], 0)
            answer = os.waitstatus_to_exitcode(status)
        else:
            answer = os.fork()
            if answer == 0:
                os._exit(_child(request["start"]))
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
