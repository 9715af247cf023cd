"""The web interface's port: the one asked for, or the next free one."""

import socket
from collections.abc import Iterator

import pytest

from cloudify_pipeline.cli.ui import free_port
from cloudify_pipeline.errors import SettingsError


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
