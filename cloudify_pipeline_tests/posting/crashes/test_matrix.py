"""After any crash and any fault, and a rerun, the ledger is as if nothing had happened."""

from typing import get_args

import pytest

from cloudify_pipeline.ledgers.port import Operation
from cloudify_pipeline_tests.posting.crashes import scenarios
from cloudify_pipeline_tests.posting.crashes.matrix import Case, Stage, cases

pytestmark = pytest.mark.exhaustive

OPERATIONS: tuple[Operation, ...] = get_args(Operation)
CASES = [case for operation in OPERATIONS if scenarios.of(operation) for case in cases(operation)]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_of_the_port_has_its_crash_points(operation: Operation) -> None:
    assert len(list(cases(operation))) >= 40


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_the_ledger_ends_as_without_the_fault(stage: Stage, case: Case) -> None:
    expected = stage.reference(case.scenario)
    assert len(expected.keys) == 1
    end = stage.play(case)
    assert end.keys == expected.keys, "each key stands once"
    assert end.ledger == expected.ledger
    assert end.log == expected.log
