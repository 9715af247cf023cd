"""Documents against entries: an øre that rounding moved between two codes is told, and is no difference; all else is."""

from datetime import date
from decimal import Decimal

import pytest

from cloudify_pipeline.accounting.documents import Totals
from cloudify_pipeline.accounting.vat_return import CodeSum, Sale, Supplies, parts
from cloudify_pipeline.control.vat_reconcile import NO_CODE, Booked, code_lines, differences
from cloudify_pipeline.ledgers.port import LedgerDocument, SalesEntry
from cloudify_pipeline_tests.planning.books import CHART

DAY = date(2026, 11, 3)


def code(name: str | None, net: str) -> CodeSum:
    return CodeSum(name, "1", Decimal(0), Decimal(net), Decimal(0))


def entry(name: str | None, amount: str, document: int | None = 20001) -> SalesEntry:
    return SalesEntry(1, name, DAY, Decimal(amount), document, 7, "Salg")


EURO = Sale(
    "in_1", "N-1", DAY, "EUR", "abroad", "NO", None, "none", "services", (code("A", "33.33"), code("B", "66.66")),
    Totals(Decimal("745.98"), Decimal(0), Decimal("745.98")), "20001",
)  # fmt: skip
STORED = LedgerDocument("booked_invoice", 20001, "stripe:in_1", "EUR", Totals(Decimal("99.99"), Decimal(0), Decimal("99.99")))


@pytest.mark.parametrize(
    ("entries", "found"),
    [
        ((entry("A", "248.66"), entry("B", "497.32")), []),
        # two entries on one code are one sum
        ((entry("A", "200.00"), entry("A", "48.66"), entry("B", "497.32")), []),
        ((entry("A", "248.67"), entry("B", "497.31")), [("rounding", "A", False), ("rounding", "B", False)]),
        ((entry("A", "248.68"), entry("B", "497.30")), [("code", "A", True), ("code", "B", True)]),
        ((entry("A", "248.66"), entry("B", "497.31")), [("amount", "B", True)]),
        ((entry("A", "248.66"), entry("B", "497.32"), entry("A", "0.00", None)), [("by_hand", "A", True)]),
        ((entry("A", "248.66"),), [("amount", "B", True)]),
        ((), [("amount", "A", True), ("amount", "B", True)]),
    ],
)
def test_what_the_accounts_have_otherwise(entries: tuple[SalesEntry, ...], found: list[tuple[str, str, bool]]) -> None:
    made = parts(EURO, Supplies(), "DKK")
    booked = Booked({"in_1": STORED}, [], entries)
    told = list(differences(made, {"in_1": EURO}, booked, CHART))
    assert sorted((one.kind, one.code, one.counts) for one in told) == found
    lines = code_lines(made, booked, CHART)
    off = {one.code: sum((each.ledger or 0) - (each.ours or 0) for each in told if each.code == one.code) for one in lines}
    assert off == {one.code: one.difference for one in lines}, "the items of a code are its difference"


def test_sales_without_a_code_are_a_line_of_their_own_behind_the_others() -> None:
    sale = Sale("in_1", "N-1", DAY, "DKK", "domestic", "DK", None, "none", None, (code(None, "5"), code("U25", "7")))
    lines = code_lines(parts(sale, Supplies(), "DKK"), Booked({}, [], (entry(None, "5"),)), CHART)
    assert [(one.code, one.name, str(one.difference)) for one in lines] == [("U25", "Sale 25 %", "-7"), (NO_CODE, "", "0")]
