"""Dagster's instance on this home: where runs, events and schedules are kept."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import dagster as dg

from cloudify_pipeline.settings.paths import home


def dagster_home() -> Path:
    """DAGSTER_HOME, or ``dagster`` below CLOUDIFY_HOME; made, with the packaged dagster.yaml, when it is not there."""
    folder = Path(os.environ.get("DAGSTER_HOME") or home() / "dagster").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    configuration = folder / "dagster.yaml"
    if not configuration.exists():
        configuration.write_text(
            (files("cloudify_pipeline.deploy") / "dagster.yaml").read_text(encoding="utf-8"), encoding="utf-8"
        )
    return folder


@contextmanager
def instance() -> Iterator[dg.DagsterInstance]:
    """The instance that the web interface and the daemon use too."""
    os.environ["DAGSTER_HOME"] = str(dagster_home())
    with dg.DagsterInstance.get() as opened:
        yield opened
