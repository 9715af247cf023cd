"""The command in process: what it printed, what it ended with."""

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from importlib import reload
from pathlib import Path
from typing import Any

import pytest
import yaml

from cloudify_pipeline.cli.main import main
from cloudify_pipeline_tests.quick_staging import staging_kept_open
from cloudify_pipeline_tests.whole_runs.conftest import CONNECTION, Company, company

__all__ = ["company"]


@dataclass(frozen=True)
class Called:
    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout."""
        parsed: dict[str, Any] = json.loads(self.out)
        return parsed


Call = Callable[..., Called]
Load = Callable[[], None]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    def run(*arguments: str) -> Called:
        capsys.readouterr()
        with staging_kept_open():
            code = main(arguments)
        captured = capsys.readouterr()
        return Called(code, captured.out, captured.err)

    return run


@pytest.fixture
def shop(company: Company) -> Company:
    """Two paid invoices, one of a customer without a country, which is held; nothing is posted yet."""
    company.pay(company.invoice(company.customer("Ærø & Søn [DK]", email="faktura@aeroe.example")))
    company.pay(company.invoice(company.customer("Nowhere", country=None)))
    company.connection().log.close()
    return company


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """The code location, as a fresh process would load it with the connections there are now."""
    # Dagster takes seconds to import, and most commands never need it.
    from cloudify_pipeline.orchestration import launch
    from cloudify_pipeline_tests.dagster_homes import prepared_home
    from cloudify_pipeline_tests.orchestration.conftest import reloaded

    monkeypatch.setenv("DAGSTER_HOME", prepared_home(tmp_path / "home" / "dagster"))

    def loading() -> None:
        with reloaded():
            reload(launch)

    return loading


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the connection file `nordlys`, and no server behind it: any call would be refused."""
    folder = tmp_path / "connections"
    folder.mkdir()
    monkeypatch.setenv("CLOUDIFY_CONNECTIONS", str(folder))
    monkeypatch.setenv("CLOUDIFY_HOME", str(tmp_path / "home"))
    for name in ("STRIPE_KEY", "APP_SECRET_TOKEN", "GRANT_TOKEN"):
        monkeypatch.setenv(f"CLOUDIFY_DEMO_{name}", f"the-{name}-itself")
    settings = deepcopy(CONNECTION)
    settings["stripe"]["api_base"] = settings["economic"]["api_base"] = "http://127.0.0.1:9"
    (folder / "nordlys.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    return folder
