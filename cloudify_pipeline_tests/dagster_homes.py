"""Homes for Dagster's instance with its databases in place: making them takes longer than most runs."""

import shutil
import tempfile
from functools import cache
from importlib.resources import files
from pathlib import Path

import dagster as dg


def prepared_home(folder: Path) -> str:
    """`folder` as a DAGSTER_HOME in which nothing ran yet."""
    shutil.copytree(_template(), folder, dirs_exist_ok=True)
    return str(folder)


@cache
def _template() -> Path:
    made = Path(tempfile.mkdtemp(prefix="dagster-home-"))
    settings = (files("cloudify_pipeline.deploy") / "dagster.yaml").read_text(encoding="utf-8")
    (made / "dagster.yaml").write_text(settings, encoding="utf-8")
    with dg.DagsterInstance.from_config(str(made)) as instance:
        instance.get_runs_count()
        instance.get_latest_materialization_event(dg.AssetKey("none"))
        instance.all_instigator_state()
    return made
