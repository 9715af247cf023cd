"""When a sync ends with 0, 1 or 3."""

from typing import Any

import pytest

from cloudify_pipeline.cli.sync import Synced
from cloudify_pipeline.control.outcome import FailedStep, Outcome

TOUCHED = ({"stripe_id": "in_1", "state": "booked"},)


def failed(step: str) -> FailedStep:
    return FailedStep(step, "E-CONN-GRANT", "Stripe does not accept the key")


@pytest.mark.parametrize(
    ("failures", "documents", "waiting", "code"),
    [
        ((), TOUCHED, 0, 0),
        ((), (), 0, 0),
        ((), TOUCHED, 1, 1),
        ((failed("stripe"),), (), 0, 3),
        ((failed("plan"),), (), 4, 3),
        ((failed("ledger__customers.post_customers"),), (), 0, 3),
        ((failed("ledger__settled"),), TOUCHED, 2, 1),
        ((failed("ledger__documents.post_documents"),), TOUCHED, 0, 1),
    ],
)
def test_the_exit_code_says_whether_a_person_is_needed(
    failures: tuple[FailedStep, ...], documents: tuple[dict[str, Any], ...], waiting: int, code: int
) -> None:
    assert Synced(Outcome("demo", "run", {}, documents, waiting), failures, 1.0).exit_code == code


def test_an_id_that_stripe_does_not_have_needs_attention() -> None:
    assert Synced(Outcome("demo", "run", {}, (), 0, ("in_nowhere",)), (), 1.0).exit_code == 1
