"""Plays the whole matrix and prints it in Markdown: ``python -m cloudify_pipeline_tests.posting.crashes.table``."""

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from cloudify_pipeline.ledgers.port import Operation
from cloudify_pipeline_tests.posting.crashes import scenarios
from cloudify_pipeline_tests.posting.crashes.embedded import serving
from cloudify_pipeline_tests.posting.crashes.matrix import (
    ANSWERS,
    BEFORE,
    LATER,
    OLDER_LOGS,
    OWN_POINTS,
    SERVER_POINTS,
    Case,
    Stage,
    cases,
)
from cloudify_pipeline_tests.posting.crashes.zygote import Zygote


def result(stage: Stage, case: Case) -> str:
    """``equal``, or what differs from the undisturbed end."""
    expected = stage.reference(case.scenario)
    try:
        end = stage.play(case)
    except (AssertionError, OSError) as error:
        return f"not played: {error}"
    if end == expected:
        return "equal"
    if end.keys != expected.keys:
        return f"**{len(end.keys)} documents**"
    differing = [kind for kind in expected.ledger if end.ledger[kind] != expected.ledger[kind]]
    differing += [f"log, {part}" for part in expected.log if end.log[part] != expected.log[part]]
    return f"**differs: {', '.join(differing)}**"


def lines(stage: Stage) -> Iterator[str]:
    """The table: a line for each disturbance, a column for each scenario; a cell has the result at once / three hours later."""
    shown = [scenario for operation in get_args(Operation) for scenario in scenarios.of(operation)]
    missing = [operation for operation in get_args(Operation) if not scenarios.of(operation)]
    began = time.monotonic()
    results = {
        (case.scenario.id, case.disturbance, _way(case), case.later): result(stage, case)
        for scenario in shown
        for case in cases(scenario.operation)
        if case.scenario is scenario
    }
    yield f"| | {' | '.join(scenario.id for scenario in shown)} |"
    yield f"|---|{'---|' * len(shown)}"
    rows = [("killed ", point) for point in (*OWN_POINTS, *SERVER_POINTS)] + [("", answer.name) for answer in ANSWERS]
    rows += [("log as of ", moment or BEFORE) for moment in OLDER_LOGS]
    for way, name in rows:
        cells = []
        for scenario in shown:
            both = [results[scenario.id, name, way, later] for later in LATER]
            cells.append(both[0] if both[0] == both[1] else " / ".join(both))
        yield f"| {way}{name} | {' | '.join(cells)} |"
    good = sum(one == "equal" for one in results.values())
    yield ""
    yield f"Each cell: rerun {' / '.join(LATER)}. {len(results)} cases, {good} equal, {time.monotonic() - began:.0f} s."
    if missing:
        yield f"Without a scenario: {', '.join(missing)}."


def _way(case: Case) -> str:
    if case.older:
        return "log as of "
    return "killed " if case.answer is None else ""


def main() -> None:
    """Play and print."""
    with tempfile.TemporaryDirectory() as folder, Zygote() as zygote, serving() as ledger:
        for line in lines(Stage(ledger, zygote, Path(folder))):
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
