"""The web interface's processes: their port, how they end, and what is said when one ends by itself."""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudify_pipeline.cli import ui
from cloudify_pipeline.cli.ui import free_port
from cloudify_pipeline.errors import SettingsError

LASTING = ["http.server", "--bind", "127.0.0.1", "0"]
ENDING = ["calendar"]


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_taken_port_that_was_asked_for_is_refused(taken: int) -> None:
    with pytest.raises(SettingsError, match="--port"):
        free_port("127.0.0.1", taken)


def test_when_none_was_asked_for_the_next_free_one_is_taken(taken: int) -> None:
    assert free_port("127.0.0.1", None, first=taken) > taken


def test_a_process_that_ends_by_itself_ends_the_other_and_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = ui._run_until_stopped({"the web interface": LASTING, "the daemon": ENDING}, dict(os.environ), tmp_path)
    assert code == 3
    assert "the daemon ended by itself (exit code 0)" in capsys.readouterr().err
    assert "calendar" not in (tmp_path / "ui" / "interface.log").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_both_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    before = signal.getsignal(number)
    timer = threading.Timer(0.4, os.kill, (os.getpid(), number))
    timer.start()
    assert ui._run_until_stopped({"the web interface": LASTING, "the daemon": LASTING}, dict(os.environ), tmp_path) == 0
    timer.join()
    assert signal.getsignal(number) is before
