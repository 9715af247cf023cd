"""Who is told how a step gets on: a terminal's progress bar listens, a daemon's run does not."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol


class Listener(Protocol):
    """Hears of progress: `done` of `total` (0: unknown) of what the step counts."""

    def __call__(self, step: str, done: int, total: int) -> None:
        """Be told."""


_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Tell `listener` of every step below this."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def tell(step: str, done: int, total: int = 0) -> None:
    """Say how far `step` is."""
    listener = _listener.get()
    if listener is not None:
        listener(step, done, total)
