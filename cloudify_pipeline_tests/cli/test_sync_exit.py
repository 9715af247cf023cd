"""When a sync ends with 0, 1 or 3."""

from datetime import UTC, datetime
from typing import Any

import pytest

from cloudify_pipeline.cli.sync import Synced, document
from cloudify_pipeline.control.outcome import FailedStep, Outcome
from cloudify_pipeline.planning.rests import Resting

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


def test_a_payment_that_rests_needs_nobody_and_is_told_with_its_hour() -> None:
    until = datetime(2026, 11, 2, 9, 1, 30, tzinfo=UTC)
    rests = {"stripe_id": "ch_1", "state": "planned", "error_code": "S-RESTS"}
    synced = Synced(Outcome("demo", "run", {"planned": 1}, (rests,), 0, resting=Resting(1, until)), (), 1.0)
    assert synced.exit_code == 0
    assert document(synced)["resting"] == {"payments": 1, "until": "2026-11-02T09:01:30+00:00"}


def test_an_id_that_stripe_does_not_have_needs_attention() -> None:
    assert Synced(Outcome("demo", "run", {}, (), 0, unknown=("in_nowhere",)), (), 1.0).exit_code == 1
