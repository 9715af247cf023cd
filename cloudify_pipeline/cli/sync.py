"""`cloudify sync`: the `sync` job, run here and recorded in Dagster like any other run."""

import contextlib
import logging
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from time import monotonic
from typing import Annotated, Any

import typer

from cloudify_pipeline.catalogue import entry
from cloudify_pipeline.cli.names import chosen_and_records, documents_only, opening
from cloudify_pipeline.cli.output import (
    ATTENTION,
    DONE,
    FAILED,
    WRONG_CALL,
    AsJson,
    console,
    plain,
    say,
    show_error,
    show_json,
)
from cloudify_pipeline.cli.progress import watching
from cloudify_pipeline.cli.status import counts_line, documents_table, reasons
from cloudify_pipeline.control.alert_delivery import after_run
from cloudify_pipeline.control.outcome import FailedStep, Outcome, outcome
from cloudify_pipeline.control.settings_checked import REFUSED
from cloudify_pipeline.errors import SettingsError, SettingsProblem
from cloudify_pipeline.stripe_objects import mode_name

Words = Annotated[list[str] | None, typer.Argument(metavar="[NAME] [INVOICE]...", help="The connection, and which invoices.")]
Since = Annotated[str | None, typer.Option("--since", metavar="DATE", help="Read Stripe from this day on: YYYY-MM-DD.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Show Dagster's own log lines on stderr.")]

TEST = mode_name(livemode=False)
_SHOWN = 25
_WRONG_SETTINGS = frozenset({REFUSED, "E-CONN-SECOND"})
_STOPS_EVERYTHING = ("stripe", "plan")
"""Steps without which no record can be attempted."""


@dataclass(frozen=True, slots=True)
class Synced:
    """A finished sync: what it did, and what its failed steps said."""

    outcome: Outcome
    failures: tuple[FailedStep, ...]
    seconds: float

    @property
    def refused(self) -> FailedStep | None:
        """The step that found settings which nothing may be written with."""
        return next((failure for failure in self.failures if failure.code in _WRONG_SETTINGS), None)

    @property
    def exit_code(self) -> int:
        """As the interface has it."""
        if self.refused is not None:
            return WRONG_CALL
        steps = {failure.step.split(".")[0] for failure in self.failures}
        nothing_touched = not self.outcome.documents and not self.outcome.waiting_for_a_person
        if steps & set(_STOPS_EVERYTHING) or (steps and nothing_touched):
            return FAILED
        return ATTENTION if steps or self.outcome.waiting_for_a_person or self.outcome.unknown else DONE


def sync(words: Words = None, since: Since = None, verbose: Verbose = False, as_json: AsJson = False) -> int:
    """Stripe to ledger, once for every invoice: a recorded Dagster run. Running it again posts nothing twice."""
    name, ids = chosen_and_records(words or [])
    synced = run_sync(name, documents_only(ids), since=_day(since), verbose=verbose, quiet=as_json)
    if synced.exit_code in {WRONG_CALL, FAILED}:
        more = {"run_id": synced.outcome.run_id, "connection": name, "failures": [str(failure) for failure in synced.failures]}
        return show_stopped(synced, as_json=as_json, more=more)
    if as_json:
        show_json(document(synced))
    else:
        _show(synced)
    return synced.exit_code


def show_stopped(synced: Synced, *, as_json: bool, more: Mapping[str, Any]) -> int:
    """Why a run could not go on, and what to do; the exit code."""
    first = synced.refused or synced.failures[0]
    # Each error of refused settings is a line below the first.
    problems = [line.strip() for line in first.message.splitlines()[1:]] if synced.refused else []
    show_error(first.code, first.message, entry(first.code).remedy, as_json=as_json, problems=problems, more=more)
    return synced.exit_code


def run_sync(
    name: str, ids: Sequence[str] = (), *, since: str | None = None, verbose: bool = False, quiet: bool = False
) -> Synced:
    """Run the job for connection `name` and say what it did.

    Raises:
        SettingsError: the connection's settings are wrong; no run is started.
        LogUnavailable: the posting log cannot be opened; no run is started.
    """
    scope: dict[str, Any] = {"invoice_ids": list(ids)} if ids else {}
    if since is not None:
        scope["since"] = since
    return run_job_here(name, "sync", scope, ids=ids, verbose=verbose, quiet=quiet)


def run_job_here(
    name: str, job: str, scope: dict[str, Any], *, ids: Sequence[str] = (), verbose: bool = False, quiet: bool = False
) -> Synced:
    """As :func:`run_sync` for any job; `scope` is the run scope's config, `ids` the records it is limited to."""
    with opening(name) as opened:
        started = monotonic()
        with _hushed(verbose=verbose), watching(quiet=quiet):
            # Dagster takes seconds to import, and most commands never need it.
            from cloudify_pipeline.orchestration.launch import run_job  # noqa: PLC0415

            launched = run_job(job, name, scope=scope or None, log_level="DEBUG" if verbose else "CRITICAL")
            after_run(opened, launched.failures, job=job)
        done = outcome(opened, launched.run_id, ids=ids)
        return Synced(done, launched.failures, monotonic() - started)


def document(synced: Synced) -> dict[str, Any]:
    """The document of ``cloudify sync --json``."""
    done = synced.outcome
    return {
        "connection": done.connection,
        "run_id": done.run_id,
        "counts": done.counts,
        "ids": done.ids,
        "unknown": list(done.unknown),
        "notes": list(done.notes),
        "mode": done.mode,
        "turn": done.turn,
        "resting": plain(asdict(done.resting)),
        "documents": done.documents,
        "failures": [str(failure) for failure in synced.failures],
        "seconds": round(synced.seconds, 1),
    }


def _show(synced: Synced) -> None:
    done = synced.outcome
    brought = [row for row in done.documents if row["state"] in {"booked", "posted", "planned"}]
    if brought:
        documents_table(f"Brought by this run, {len(brought)} in all", brought[:_SHOWN])
    troubled = [row for row in done.documents if row["state"] in {"held", "failed"}]
    if troubled:
        reasons("Held or failed in this run", troubled[:_SHOWN])
    for failure in synced.failures:
        console(sys.stderr).print(str(failure), style="red")
    for unknown in done.unknown:
        say(f"{unknown}: Stripe has no such invoice or payment, or it is still a draft there")
    for note in done.notes:
        say(note)
    if done.resting.payments:
        say(str(done.resting))
    if not done.documents and not done.unknown:
        say("Nothing new.")
    say_mode(done)
    say(f"{done.connection}: {counts_line(done.counts)}")
    say(f"Run {done.run_id}, {synced.seconds:.1f} s. Next: cloudify status {done.connection}")


def say_mode(done: Outcome) -> None:
    """That these are test data, and that documents wait for another connection's run, where it is so."""
    if done.turn is not None:
        say(f"E-TURN: {done.turn}; what waits for it goes with the next run", style="yellow")
    if done.mode == TEST:
        say(f"{done.connection} reads Stripe in {done.mode}: these are test data", style="yellow")


def _day(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise SettingsError("the call", [SettingsProblem("--since", text, "a day, as in 2026-11-01")]) from error


@contextlib.contextmanager
def _hushed(*, verbose: bool) -> Iterator[None]:
    """Keep stdout for the command's own words: whatever a run prints goes to stderr, warnings only when wanted."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
        if not verbose:
            warnings.simplefilter("ignore")
            logging.getLogger("alembic").setLevel(logging.WARNING)
        yield
