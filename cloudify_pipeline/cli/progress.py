"""How far a run is: a bar in a terminal, plain lines elsewhere, on stderr both."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from cloudify_pipeline.cli.output import console
from cloudify_pipeline.control.progress import listening

_SECONDS_BETWEEN_LINES = 5.0


@contextmanager
def watching(*, quiet: bool = False) -> Iterator[None]:
    """Show the progress of everything below; `quiet` shows nothing."""
    if quiet:
        yield
    elif sys.stderr.isatty():
        with _bar() as listener, listening(listener):
            yield
    else:
        with listening(_Lines()):
            yield


class _Lines:
    """A line when a step begins, and every few seconds while it lasts: for logs and pipes."""

    def __init__(self) -> None:
        self._step = ""
        self._told = 0.0

    def __call__(self, step: str, done: int, total: int) -> None:
        now = monotonic()
        if step == self._step and now - self._told < _SECONDS_BETWEEN_LINES and done != total:
            return
        self._step, self._told = step, now
        sys.stderr.write(f"{step}: {done}{f' of {total}' if total else ''}\n")
        sys.stderr.flush()


class _Bar:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, step: str, done: int, total: int) -> None:
        if step not in self._tasks:
            self._tasks[step] = self._progress.add_task(step, total=total or None)
        self._progress.update(self._tasks[step], completed=done, total=total or None)


@contextmanager
def _bar() -> Iterator[_Bar]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console(sys.stderr), transient=True) as progress:
        yield _Bar(progress)
