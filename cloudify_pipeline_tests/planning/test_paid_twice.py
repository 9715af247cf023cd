"""One sale and two objects: which pairs are asked about, and when a payment's document may be taken back."""

from datetime import timedelta
from decimal import Decimal

import pytest

from cloudify_pipeline.accounting.documents import Totals
from cloudify_pipeline.planning.paid_twice import both_stand, paid_twice, pairs, totals_differ, why_not_credited

HOUR = timedelta(hours=1)


def test_the_second_names_the_first_and_its_document() -> None:
    problem = paid_twice("in_1", {"ch_2": "draft invoice 7", "ch_1": "booked invoice 20188"})
    assert problem.code == "E-PAID-TWICE"
    assert problem.message == (
        "in_1 is paid by ch_1, which stands in the ledger as booked invoice 20188 "
        "and by ch_2, which stands in the ledger as draft invoice 7"
    )
    assert problem.found == "booked invoice 20188, draft invoice 7"


def test_both_that_stand_are_named() -> None:
    problem = both_stand("ch_1", "booked invoice 1", {"in_1": "booked invoice 2"})
    assert (
        problem.message
        == "ch_1 stands in the ledger as booked invoice 1 and pays in_1, which stands in the ledger as booked invoice 2"
    )


def test_each_payment_is_the_money_of_one_invoice_the_nearest_in_time() -> None:
    alike = [("in_1", "ch_1", 3 * HOUR), ("in_1", "ch_2", HOUR), ("in_2", "ch_2", 2 * HOUR), ("in_2", "ch_1", 9 * HOUR)]
    assert pairs(alike) == {"in_1": "ch_2", "ch_2": "in_1", "in_2": "ch_1", "ch_1": "in_2"}
    assert pairs([("in_1", "ch_1", HOUR), ("in_2", "ch_1", 2 * HOUR)]) == {"in_1": "ch_1", "ch_1": "in_1"}


CASES: dict[str, tuple[dict[str, int | None], dict[str, int], list[str], str | None]] = {
    "all of it pays one": ({"in_1": 12_500}, {"in_1": 12_500}, [], None),
    "all of it pays a part of one": ({"in_1": 12_500}, {"in_1": 20_000}, [], None),
    "all of it pays two": ({"in_1": 5_000, "in_2": 7_500}, {"in_1": 5_000, "in_2": 7_500}, [], None),
    "a session tells of one of the same amount": ({"in_1": None}, {"in_1": 12_500}, [], None),
    "less than all of it": ({"in_1": 12_000}, {"in_1": 12_000}, [], "it is over 125.00 DKK, and pays 120.00 DKK of in_1"),
    "a session tells of one of another amount": (
        {"in_1": None}, {"in_1": 12_000}, [], "how much of its 125.00 DKK is for which invoice is not known",
    ),
    "nobody tells how it is shared": (
        {"in_1": None, "in_2": 5_000}, {"in_1": 7_500, "in_2": 5_000}, [],
        "how much of its 125.00 DKK is for which invoice is not known",
    ),
    "a refund took a part": ({"in_1": 12_500}, {"in_1": 12_500}, ["re_1"], "re_1 took back a part of it"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_document_is_taken_back_when_all_of_its_payment_pays_invoices(case: str) -> None:
    paid, totals, taken, why = CASES[case]
    assert why_not_credited(12_500, "DKK", paid, totals, taken) == why


def test_what_takes_it_back_has_the_same_net_and_vat() -> None:
    booked = Totals(Decimal(100), Decimal(25), Decimal(125))
    back = Totals(Decimal(-100), Decimal(-25), Decimal(-125))
    assert totals_differ(back, booked, "booked invoice 1") is None
    other = totals_differ(Totals(Decimal(-125), Decimal(0), Decimal(-125)), booked, "booked invoice 1")
    assert other is not None
    assert other.message == "booked invoice 1 has net 100, VAT 25; what takes it back would have net 125, VAT 0"
    assert totals_differ(back, None, "booked invoice 1") is not None
