"""The matrix operation × crash point, fault or older log × time of the rerun, and how one of its cases is played."""

import asyncio
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, get_args

from cloudify_pipeline.errors import RunStopped
from cloudify_pipeline.ledgers.port import Operation
from cloudify_pipeline.posting.log.store import PostingLog
from cloudify_pipeline.sandbox.faults import Fault
from cloudify_pipeline_tests.posting.crashes.embedded import Books, EmbeddedLedger, Trouble, Turn
from cloudify_pipeline_tests.posting.crashes.run import Point, post, remembered
from cloudify_pipeline_tests.posting.crashes.scenarios import Scenario, of
from cloudify_pipeline_tests.posting.crashes.zygote import Zygote

HURRY = 0.15
"""Seconds the client waits for an answer where the case is about its patience."""

OWN_POINTS: tuple[Point, ...] = get_args(Point)
"""Where the process kills itself."""

SERVER_POINTS: Mapping[str, Turn] = {
    "under way, arrives after the rerun": "kill before arrival",
    "after the server committed": "kill when committed",
}
"""Where the server's side of the call decides when the process is killed."""

Spoil = Callable[[Books, Scenario], None]


def _fault(kind: str, books: Books, scenario: Scenario, *, times: int | None = None, **given: Any) -> None:
    books.spoil(Fault(scenario.method, scenario.path, kind, times=times, **given))  # type: ignore[arg-type]


def _trouble(turn: Turn, books: Books, scenario: Scenario) -> None:
    books.trouble = Trouble(turn, scenario.method, scenario.path)


@dataclass(frozen=True)
class Answer:
    """What becomes of the ledger's answer, in the first run; `hurry` where the client's time-out is what it is about."""

    name: str
    spoil: Spoil
    hurry: bool = False


ANSWERS: tuple[Answer, ...] = (
    Answer("request lost", partial(_fault, "drop_before")),
    Answer("answer lost", partial(_fault, "drop_after_commit")),
    Answer("answer lost once", partial(_fault, "drop_after_commit", times=1)),
    Answer("answer lost, then silence", partial(_trouble, "fall silent")),
    Answer("answer after the time-out", partial(_fault, "timeout_after_commit"), hurry=True),
    Answer("carried out after the repeat", partial(_trouble, "arrive late"), hurry=True),
    Answer("500", partial(_fault, "status", status=500)),
    Answer("500, but done", partial(_fault, "status", status=500, committed=True)),
    Answer("502 in HTML", partial(_fault, "status", status=502)),
    Answer("502 in HTML, but done", partial(_fault, "status", status=502, committed=True)),
    Answer("200 in HTML", partial(_trouble, "HTML instead")),
    Answer("200 in HTML, but done", partial(_trouble, "HTML for an answer")),
    Answer("cut off", partial(_fault, "truncated_page")),
)

BEFORE = "before the run"
OLDER_LOGS: tuple[Point | None, ...] = (None, *OWN_POINTS)
"""Of which moment of the first run the log is that the rerun is given, when all has been done: None is before it began."""

LATER: Mapping[str, timedelta] = {"at once": timedelta(minutes=1), "three hours later": timedelta(hours=3)}


@dataclass(frozen=True)
class Case:
    """One cell of the matrix."""

    scenario: Scenario
    disturbance: str
    later: str
    answer: Answer | None = None
    older: bool = False
    """Nothing else goes wrong but that the log is put back to an earlier moment."""

    @property
    def id(self) -> str:
        if self.older:
            return f"{self.scenario.id}-log as of {self.disturbance}-{self.later}"
        return f"{self.scenario.id}-{'killed ' if self.answer is None else ''}{self.disturbance}-{self.later}"


def cases(operation: Operation) -> Iterator[Case]:
    """Every case of `operation`.

    Raises:
        LookupError: the operation has no scenario: nobody has said how it is disturbed.
    """
    scenarios = of(operation)
    if not scenarios:
        message = f"{operation} has no crash points: give it a scenario in {__package__}.scenarios"
        raise LookupError(message)
    for scenario in scenarios:
        for later in LATER:
            for point in (*OWN_POINTS, *SERVER_POINTS):
                yield Case(scenario, point, later)
            for answer in ANSWERS:
                yield Case(scenario, answer.name, later, answer)
            for moment in OLDER_LOGS:
                yield Case(scenario, moment or BEFORE, later, older=True)


@dataclass
class Stage:
    """What cases are played on: a ledger, a zygote, a folder, and the fault-free ends to compare with."""

    ledger: EmbeddedLedger
    zygote: Zygote
    folder: Path
    undisturbed: dict[str, "End"] = field(default_factory=dict)
    played: int = 0

    def __post_init__(self) -> None:
        # Making the tables takes longer than using them.
        self._empty_log = self.folder / "empty.db"
        PostingLog(f"sqlite:///{self._empty_log}").close()

    def prepared(self, scenario: Scenario) -> tuple[Books, str]:
        """New books and a new log, as they stand before the run that is disturbed."""
        books = self.ledger.open()
        scenario.seed(books.store)
        self.played += 1
        file = self.folder / f"{self.played}.db"
        shutil.copyfile(self._empty_log, file)
        log = f"sqlite:///{file}"
        for work in scenario.before:
            asyncio.run(post(work, log_url=log, ledger_url=self.ledger.url, clock=lambda: books.now))
        return books, log

    def _run(self, scenario: Scenario, books: Books, log: str, *, timeout: float = 20.0) -> None:
        asyncio.run(post(scenario.work, log_url=log, ledger_url=self.ledger.url, clock=lambda: books.now, timeout=timeout))

    def reference(self, scenario: Scenario) -> "End":
        """The end of a run without faults, and of a second one, which must change nothing."""
        if scenario.id not in self.undisturbed:
            books, log = self.prepared(scenario)
            self._run(scenario, books, log)
            end = End(books.stands(), remembered(log), books.keys())
            sent = len(books.store.writes())
            books.now += timedelta(hours=3)
            self._run(scenario, books, log)
            assert len(books.store.writes()) == sent, "a second run writes nothing"
            assert End(books.stands(), remembered(log), books.keys()) == end
            self.undisturbed[scenario.id] = end
        return self.undisturbed[scenario.id]

    def play(self, case: Case) -> "End":
        """Disturb a first run, let it be `later`, run again; what stands in the end."""
        scenario = case.scenario
        books, log = self.prepared(scenario)
        if case.older:
            return self._with_an_older_log(case, books, log)
        if case.answer is None:
            self._kill(case, books, log)
        else:
            case.answer.spoil(books, scenario)
            trouble = books.trouble
            with suppress(RunStopped):
                # A run may be stopped by name when nothing can be read any more; the rerun puts it right.
                self._run(scenario, books, log, timeout=HURRY if case.answer.hurry else 20.0)
            assert books.faults.fired or (trouble is not None and trouble.hit), "nothing was disturbed"
        if case.disturbance != "under way, arrives after the rerun" or case.later != "at once":
            books.mend()
        books.now += LATER[case.later]
        self._run(scenario, books, log)
        books.mend()
        return End(books.stands(), remembered(log), books.keys())

    def _with_an_older_log(self, case: Case, books: Books, log: str) -> "End":
        """Do everything, then put the log back to the case's moment, and run once more: what stands in the end."""
        scenario, file = case.scenario, Path(log.removeprefix("sqlite:///"))
        if case.disturbance == BEFORE:
            kept = _copied(file)
        else:
            child = self.start(scenario, books, log, operation=scenario.operation, point=case.disturbance)
            assert self.zygote.end(child) == -signal.SIGKILL, f"the process never came to {case.disturbance!r}"
            kept = _copied(file)
        self._run(scenario, books, log)
        for name, content in kept.items():
            file.with_name(name).write_bytes(content)
        for left in ("-wal", "-shm"):
            if f"{file.name}{left}" not in kept:
                file.with_name(f"{file.name}{left}").unlink(missing_ok=True)
        books.now += LATER[case.later]
        self._run(scenario, books, log)
        return End(books.stands(), remembered(log), books.keys())

    def start(self, scenario: Scenario, books: Books, log: str, **crash: Any) -> int:
        """Start the run in a process of its own, which stops as `crash` says; its process id."""
        self.tell_time(books)
        return self.zygote.start(
            scenario=scenario.id, log_url=log, ledger_url=self.ledger.url, clock=str(self.folder / "clock"), crash=crash
        )

    def tell_time(self, books: Books) -> None:
        """Set the clock that runs in other processes look at."""
        (self.folder / "clock").write_text(books.now.isoformat(), encoding="utf-8")

    def _kill(self, case: Case, books: Books, log: str) -> None:
        scenario = case.scenario
        if case.disturbance in SERVER_POINTS:
            _trouble(SERVER_POINTS[case.disturbance], books, scenario)
            child = self.start(scenario, books, log)
            books.victim = child
        else:
            child = self.start(scenario, books, log, operation=scenario.operation, point=case.disturbance)
        ended = self.zygote.end(child)
        assert ended == -signal.SIGKILL, f"the process ended with {ended} and never came to {case.disturbance!r}"


def _copied(log: Path) -> dict[str, bytes]:
    """The log's file with what is not in it yet, as a backup of the folder has them."""
    return {file.name: file.read_bytes() for file in log.parent.glob(f"{log.name}*") if not file.name.endswith("-shm")}


@dataclass(frozen=True)
class End:
    """What must be equal: the ledger, the log, and the durable keys that stand in the ledger."""

    ledger: dict[str, list[dict[str, Any]]]
    log: Mapping[str, Any]
    keys: list[str]
