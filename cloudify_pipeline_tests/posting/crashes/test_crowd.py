"""A run with six calls in flight is killed: every one of them is found again, none is doubled."""

import asyncio
import signal
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from cloudify_pipeline.errors import RunStopped
from cloudify_pipeline.ledgers.port import Operation
from cloudify_pipeline.sandbox.faults import Fault
from cloudify_pipeline_tests.posting.crashes.embedded import Books, Trouble
from cloudify_pipeline_tests.posting.crashes.matrix import LATER, Stage
from cloudify_pipeline_tests.posting.crashes.run import post, remembered
from cloudify_pipeline_tests.posting.crashes.scenarios import BUSY, CROWDS, Work, customer, invoice, product

pytestmark = pytest.mark.exhaustive

POINTS = ["after the intent", "after the server committed", "after the answer", "while recording"]
_NUMBERS = frozenset({"self", "customerNumber", "draftInvoiceNumber", "bookedInvoiceNumber", "orderNumber", "pdf", "soap"})


@pytest.fixture(scope="module")
def undisturbed(stage: Stage) -> dict[str, list[Any]]:
    books, log = stage.prepared(CROWDS["create_customer"])
    asyncio.run(post(BUSY, log_url=log, ledger_url=stage.ledger.url, clock=lambda: books.now))
    return by_key(books)


@pytest.mark.parametrize("later", LATER)
@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("operation", list(CROWDS))
def test_all_that_was_in_flight_ends_as_without_the_kill(
    stage: Stage, undisturbed: dict[str, list[Any]], operation: Operation, point: str, later: str
) -> None:
    scenario = CROWDS[operation]
    books, log = stage.prepared(scenario)
    if point == "after the server committed":
        books.trouble = Trouble("kill when committed", scenario.method, scenario.path, after=2)
        child = books.victim = stage.start(scenario, books, log)
    else:
        child = stage.start(scenario, books, log, operation=operation, point=point, nth=3)
    assert stage.zygote.end(child) == -signal.SIGKILL
    books.mend()
    books.now += LATER[later]
    asyncio.run(post(BUSY, log_url=log, ledger_url=stage.ledger.url, clock=lambda: books.now))
    assert by_key(books) == undisturbed
    said = remembered(log)
    assert said["without an outcome"] == []
    assert {state for state, *_ in said["endings"].values()} == {"posted", "booked"}
    sent = len(books.store.writes())
    books.now += timedelta(hours=3)
    asyncio.run(post(BUSY, log_url=log, ledger_url=stage.ledger.url, clock=lambda: books.now))
    assert len(books.store.writes()) == sent


@pytest.mark.parametrize("second", ["before the call", "after the answer", "while recording", "before the intent"])
@pytest.mark.parametrize("first", POINTS)
@pytest.mark.parametrize("operation", list(CROWDS))
def test_a_rerun_that_is_killed_as_well_is_put_right_by_the_next(
    stage: Stage, undisturbed: dict[str, list[Any]], operation: Operation, first: str, second: str
) -> None:
    scenario = CROWDS[operation]
    books, log = stage.prepared(scenario)
    for point, nth, may_end in ((first, 3, {-signal.SIGKILL}), (second, 2, {-signal.SIGKILL, 0})):
        if point == "after the server committed":
            books.trouble = Trouble("kill when committed", scenario.method, scenario.path, after=nth - 1)
            child = books.victim = stage.start(scenario, books, log)
        else:
            child = stage.start(scenario, books, log, operation=operation, point=point, nth=nth)
        # The second may have too little left to do of this kind, and ends well then.
        assert stage.zygote.end(child) in may_end
        books.mend()
        books.now += timedelta(minutes=50)
    asyncio.run(post(BUSY, log_url=log, ledger_url=stage.ledger.url, clock=lambda: books.now))
    assert by_key(books) == undisturbed
    assert remembered(log)["without an outcome"] == []


def test_two_new_customers_with_one_address_of_e_mail_stay_two(stage: Stage) -> None:
    twins = Work(
        tuple(customer(n, email="bogholderi@kaffe.example") for n in (1, 2)),
        (product(),),
        tuple(invoice("booked_invoice", n, buyer=n) for n in (1, 2)),
    )
    scenario = CROWDS["create_customer"]

    def run(books: Books, log: str) -> None:
        asyncio.run(post(twins, log_url=log, ledger_url=stage.ledger.url, clock=lambda: books.now))

    books, log = stage.prepared(scenario)
    run(books, log)
    expected = by_key(books)
    books, log = stage.prepared(scenario)
    # One of the two arrives, the other does not, and of neither anything is heard.
    books.spoil(
        Fault("POST", "^/customers$", "drop_after_commit", times=1),
        Fault(None, "", "drop_before", times=None),
    )
    with suppress(RunStopped):
        run(books, log)
    books.mend()
    books.now += timedelta(hours=3)
    run(books, log)
    assert by_key(books) == expected


def by_key(books: Books) -> dict[str, list[Any]]:
    """What stands, without the numbers, which follow the order of arrival."""
    stands = books.stands()
    names = {record["customerNumber"]: record["name"] for record in stands["customers"]}

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            who = {"customer": names[value["customerNumber"]]} if value.keys() <= {"customerNumber", "self"} and value else {}
            return who or {name: plain(inner) for name, inner in value.items() if name not in _NUMBERS}
        return [plain(inner) for inner in value] if isinstance(value, list) else value

    return {kind: sorted((plain(record) for record in records), key=repr) for kind, records in stands.items()}
