"""The demo's own corner of the home: the sandbox's state, its remembered ports, and its connection file."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from cloudify_pipeline.errors import SettingsError, SettingsProblem
from cloudify_pipeline.sandbox.server import Sandbox

NAME = "demo"


class DemoHome:
    """The sandbox running on `home`, and a connection file `demo` that points to it, as long as it is entered.

    The ports are remembered, so that web interface, schedule and later runs find the same servers.

    Raises:
        SettingsError: on entering, when the sandbox of this home runs in another process already.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.connections = home / "demo-connections"
        self._ports = home / "sandbox" / "ports.json"

    def __enter__(self) -> Self:
        """Start the servers and point this process to the demo connection."""
        with contextlib.ExitStack() as undo:
            undo.enter_context(self._alone())
            self.sandbox = self._started(undo)
            self._remember()
            self._write_connection()
            undo.enter_context(_environment({"CLOUDIFY_CONNECTIONS": str(self.connections)}))
            self._undo = undo.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop the servers; their state stays."""
        self._undo.close()

    def _write_connection(self) -> None:
        """The connection file, with the sandbox's own keys in files beside it: so that a second terminal can use them too."""
        text = self.sandbox.connection_file()
        secrets = self.connections / "secrets"
        secrets.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name, value in self.sandbox.environment.items():
            file = secrets / name.lower()
            file.write_text(value, encoding="utf-8")
            file.chmod(0o600)
            text = text.replace(f"{{env: {name}}}", f"{{file: {json.dumps(str(file))}}}")
        (self.connections / f"{NAME}.yaml").write_text(text, encoding="utf-8")

    def _started(self, undo: contextlib.ExitStack) -> Sandbox:
        stripe_port, ledger_port = self._remembered()
        try:
            return undo.enter_context(Sandbox(self.home, stripe_port=stripe_port, ledger_port=ledger_port))
        except OSError:
            # Something else has taken a remembered port meanwhile: others are as good.
            return undo.enter_context(Sandbox(self.home))

    def _remembered(self) -> tuple[int, int]:
        if not self._ports.is_file():
            return 0, 0
        ports = json.loads(self._ports.read_text(encoding="utf-8"))
        return int(ports.get("stripe", 0)), int(ports.get("ledger", 0))

    def _remember(self) -> None:
        ports = {side: int(url.rsplit(":", 1)[1]) for side, url in self.sandbox.urls.items()}
        self._ports.write_text(json.dumps(ports), encoding="utf-8")

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        folder = self.home / "sandbox"
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "running.lock").open("w", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                allowed = (
                    "end the other `cloudify demo` on this home, or use its sandbox: "
                    f"CLOUDIFY_CONNECTIONS={self.connections} cloudify sync {NAME}"
                )
                raise SettingsError(
                    "demo", [SettingsProblem("CLOUDIFY_HOME", f"a running demo in {self.home}", allowed)]
                ) from error
            yield


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
