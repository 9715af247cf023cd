"""`cloudify ui`: Dagster's web interface and daemon on this home, until Ctrl-C."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from cloudify_pipeline.cli.names import connections
from cloudify_pipeline.cli.output import DONE, FAILED, AsJson, say, show_error, show_json, table
from cloudify_pipeline.errors import SettingsError, SettingsProblem
from cloudify_pipeline.settings.paths import connections_folder, home

Host = Annotated[str, typer.Option("--host", help="The address to listen on; others than this machine can reach 0.0.0.0.")]
Port = Annotated[int | None, typer.Option("--port", min=1, max=65535, help="3000, or the next free one, when not given.")]

DEFAULT_PORT = 3000
_GRACE_SECONDS = 20
_WORKSPACE = """load_from:
  - python_module:
      module_name: cloudify_pipeline.definitions
      location_name: cloudify_pipeline
"""


def ui(host: Host = "127.0.0.1", port: Port = None, as_json: AsJson = False) -> int:
    """Dagster's web interface and daemon on this home; the hourly sync runs while it is open. Ctrl-C ends both."""
    return serve(host, port, as_json=as_json)


def serve(host: str, port: int | None, *, as_json: bool = False, quiet: bool = False) -> int:
    """Start the interface and the daemon, and wait until they are told to stop.

    Raises:
        SettingsError: `port` is taken.
    """
    from cloudify_pipeline.orchestration.instance import dagster_home  # noqa: PLC0415 - Dagster takes seconds to import

    folder = dagster_home()
    chosen_port = free_port(host, port)
    workspace = folder / "workspace.yaml"
    workspace.write_text(_WORKSPACE, encoding="utf-8")
    address = f"http://{host}:{chosen_port}"
    environment = _environment(folder)
    web = ["dagster_webserver", "-w", str(workspace), "-h", host, "-p", str(chosen_port)]
    daemon = ["dagster._daemon", "run", "-w", str(workspace)]
    if as_json:
        show_json({"url": address, "dagster_home": str(folder)})
    elif not quiet:
        _announce(address, folder)
    return _run_until_stopped({"the web interface": web, "the daemon": daemon}, environment, folder)


def free_port(host: str, wanted: int | None, *, first: int = DEFAULT_PORT) -> int:
    """`wanted`, or the first free port from `first` on.

    Raises:
        SettingsError: `wanted` is taken, or nothing is free.
    """
    for port in [wanted] if wanted is not None else range(first, first + 100):
        if port is not None and _is_free(host, port):
            return port
    raise SettingsError("the call", [SettingsProblem("--port", str(wanted or first), "a port that nothing else uses")])


def _is_free(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _environment(dagster_home: Path) -> dict[str, str]:
    """What both processes need to find the same connections and state, from whatever folder they run in."""
    return {
        **os.environ,
        "DAGSTER_HOME": str(dagster_home),
        "DAGSTER_DISABLE_TELEMETRY": "yes",
        "CLOUDIFY_HOME": str(home().absolute()),
        "CLOUDIFY_CONNECTIONS": str(connections_folder().absolute()),
    }


def _announce(address: str, folder: Path) -> None:
    listed = connections()
    if listed:
        rows = ((one.name, one.ledger, one.write_mode, one.agreement, one.company, one.problem) for one in listed)
        table("Connections", ("Name", "Ledger", "Write mode", "Agreement", "Company", "Problem"), rows)
    else:
        say("There is no connection yet: put a <name>.yaml into CLOUDIFY_CONNECTIONS and reload the code location.")
    say(f"Web interface: {address}   (state in {folder}; Ctrl-C ends it)", style="bold")


def _run_until_stopped(commands: dict[str, Sequence[str]], environment: dict[str, str], folder: Path) -> int:
    stop = threading.Event()
    with _stopping_on_signals(stop), _processes(commands, environment, folder) as running:
        while not stop.wait(0.3):
            dead = next((name for name, process in running.items() if process.poll() is not None), None)
            if dead is not None:
                message = f"{dead} ended by itself (exit code {running[dead].returncode}); its log is in {folder / 'ui'}"
                show_error("E-INTERNAL", message, "Read the end of that log, mend the cause and start again.", as_json=False)
                return FAILED
    return DONE


@contextmanager
def _stopping_on_signals(stop: threading.Event) -> Iterator[None]:
    def handle(_: int, __: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _processes(
    commands: dict[str, Sequence[str]], environment: dict[str, str], folder: Path
) -> Iterator[dict[str, "subprocess.Popen[bytes]"]]:
    """The processes, each with its log file; ended politely, and firmly when that does not help."""
    logs = folder / "ui"
    logs.mkdir(exist_ok=True)
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name, command in commands.items():
            with (logs / f"{name.split()[-1]}.log").open("ab") as log:
                # A session of its own: Ctrl-C reaches us alone, and we end it in order.
                running[name] = subprocess.Popen(  # noqa: S603
                    [sys.executable, "-m", *command], env=environment, stdout=log, stderr=log, start_new_session=True
                )
        yield running
    finally:
        for process in running.values():
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        for process in running.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE_SECONDS)
            # What is left of its session: the code server of a process that was killed, or one that does not want to end.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
