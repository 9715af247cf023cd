"""The `cloudify` command: reads the call, runs one command, and turns every error into code, message and remedy."""

import gc
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import typer

from cloudify_pipeline.catalogue import entry
from cloudify_pipeline.cli.output import FAILED, WRONG_CALL, show_error
from cloudify_pipeline.errors import PipelineError, SettingsError

# Every error of a call (unknown option, missing argument) is one of these, whichever click typer brings along.
_CALL_ERRORS: type[Exception] = typer.BadParameter.__mro__[2]

_GARBAGE = (100_000, 50, 50)

COMMANDS = (
    "demo", "connect", "check", "preview", "sync", "replay", "status", "explain", "accept", "vat", "audit", "usage", "errors",
    "support-bundle", "ui", "webhook",
)  # fmt: skip
"""The commands in the order of the help; each is the function of its name in the module of its name."""
GROUPS = ("settings",)
"""Likewise those that have commands of their own."""


def _version(wanted: bool) -> None:
    if not wanted:
        return
    try:
        number = version("cloudify-pipeline")
    except PackageNotFoundError:
        number = "not installed"
    typer.echo(f"cloudify {number}")
    raise typer.Exit


def _options(
    _: bool = typer.Option(False, "--version", help="Show the version and exit.", callback=_version, is_eager=True),
) -> None:
    """Stripe invoices become documents in the ledger, exactly once.

    Exit codes: 0 all done · 1 some records failed or are held · 2 the settings or the call are wrong ·
    3 could not run (Stripe or the ledger unreachable, or not authorised).
    """


def _app(called: Sequence[str]) -> typer.Typer:
    """The command that is `called`, and nothing else loaded; all of them for the help and where none is recognised."""
    app = typer.Typer(
        name="cloudify",
        help="Stripe invoices become documents in the ledger, exactly once.",
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback()(_options)
    first = next(iter(called), "")
    wanted = [first] if first in COMMANDS or first in GROUPS else [] if first == "--version" else [*COMMANDS, *GROUPS]
    for name in wanted:
        word = name.replace("-", "_")
        found = getattr(import_module(f"cloudify_pipeline.cli.{word}"), word)
        if name in GROUPS:
            app.add_typer(found, name=name)
        else:
            app.command(name)(found)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that `arguments` name; the exit code, as the interface has it. Never a traceback."""
    # A command loads much and throws little away: looking for garbage at every 700th object took a tenth of `status`.
    gc.set_threshold(*_GARBAGE)
    called = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    as_json = "--json" in called
    try:
        ended = typer.main.get_command(_app(called)).main(args=called, prog_name="cloudify", standalone_mode=False)
    except PipelineError as error:
        return _failed(error, as_json=as_json)
    except _CALL_ERRORS as error:
        words = error.format_message() if hasattr(error, "format_message") else str(error)
        show_error("E-SETTINGS", words, "See cloudify --help, or --help after the command.", as_json=as_json)
        return WRONG_CALL
    except BrokenPipeError:
        # Whoever read the output (head, less) has seen enough; Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (KeyboardInterrupt, typer.Abort):
        show_error("E-INTERNAL", "interrupted", "Run it again: what was posted is not posted twice.", as_json=as_json)
        return FAILED
    except Exception as error:
        if os.environ.get("CLOUDIFY_DEBUG"):
            raise
        show_error("E-INTERNAL", _place(error), f"{entry('E-INTERNAL').remedy} CLOUDIFY_DEBUG=1 shows where.", as_json=as_json)
        return FAILED
    return ended if isinstance(ended, int) else 0


def _failed(error: PipelineError, *, as_json: bool) -> int:
    problems = [str(problem) for problem in error.problems] if isinstance(error, SettingsError) else []
    show_error(error.code, error.message, entry(error.code).remedy, as_json=as_json, problems=problems)
    if isinstance(error, SettingsError):
        return WRONG_CALL
    return FAILED


def _place(error: BaseException) -> str:
    """Where an unexpected error arose. Its text is not shown: it may hold a value that is nobody's business."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "cloudify_pipeline" in frame.filename] or list(frames)
    last = ours[-1] if ours else None
    return f"{type(error).__name__} in {Path(last.filename).name}, line {last.lineno}" if last else type(error).__name__
