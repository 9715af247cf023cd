"""The command in process: what it printed, what it ended with."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from cloudify_pipeline.cli.main import main
from cloudify_pipeline_tests.whole_runs.conftest import Company, company

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


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    def run(*arguments: str) -> Called:
        capsys.readouterr()
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
