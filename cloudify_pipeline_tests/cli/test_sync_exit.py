"""When a sync ends with 0, 1 or 3."""

from typing import Any

import pytest

from cloudify_pipeline.cli.sync import Synced, cause
from cloudify_pipeline.control.outcome import Outcome

TOUCHED = ({"stripe_id": "in_1", "state": "booked"},)
REFUSED = "cloudify_pipeline.errors.NotAuthorised: Stripe does not accept the key"


@pytest.mark.parametrize(
    ("failures", "documents", "waiting", "code"),
    [
        ((), TOUCHED, 0, 0),
        ((), (), 0, 0),
        ((), TOUCHED, 1, 1),
        ((f"stripe: {REFUSED}",), (), 0, 3),
        ((f"plan: {REFUSED}",), (), 4, 3),
        ((f"ledger__customers.post_customers: {REFUSED}",), (), 0, 3),
        (("ledger__settled: 2 records could not be reached",), TOUCHED, 2, 1),
        (("ledger__documents.post_documents: lost",), TOUCHED, 0, 1),
    ],
)
def test_the_exit_code_says_whether_a_person_is_needed(
    failures: tuple[str, ...], documents: tuple[dict[str, Any], ...], waiting: int, code: int
) -> None:
    assert Synced(Outcome("demo", "run", {}, documents, waiting), failures, 1.0).exit_code == code


def test_a_failed_step_is_told_with_its_catalogue_code() -> None:
    assert cause((f"plan: {REFUSED}",)) == ("E-CONN-GRANT", "Stripe does not accept the key")
    assert cause(("plan: KeyError: 'x'",)) == ("E-INTERNAL", "plan: KeyError: 'x'")
