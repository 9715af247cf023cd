"""Every reachable VAT zone × product group has an open account with a live code of Stripe's rate, or the cell is named."""

import asyncio
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import pytest

from cloudify_pipeline.accounting.chart import Number, SalesAccount, VatCode
from cloudify_pipeline.control import sync
from cloudify_pipeline.control.chart_checks import other_rates
from cloudify_pipeline.control.matrix import Charged, Seen, charged, matrix
from cloudify_pipeline.control.planner import plan_connection
from cloudify_pipeline.control.preflight import Preflight, check
from cloudify_pipeline_tests.control.test_chart_checks import chart
from cloudify_pipeline_tests.whole_runs.conftest import Company, company

__all__ = ["company"]

Cells = Mapping[tuple[Number, Number], SalesAccount]


def accounts(**changed: Any) -> Cells:
    """The matrix with another account for group 3 in zone 1."""
    return {**chart().sales_accounts, (3, 1): SalesAccount(**{"number": 1111, "vat_code": "U25", **changed})}


HOLES: list[tuple[dict[str, Any], str]] = [
    ({"sales_accounts": {}}, "it has no sales account"),
    ({"sales_accounts": accounts(barred=True)}, "account 1111 is barred"),
    ({"sales_accounts": accounts(vat_code="U19")}, "VAT code U19 of account 1111 is not in the ledger"),
    (
        {"vat_codes": {"U25": VatCode("U25", "Salgsmoms", Decimal(25), barred=True)}},
        "VAT code U25 of account 1111 is barred",
    ),
]


@pytest.mark.parametrize(("changed", "hole"), HOLES)
def test_a_hole_says_what_is_missing(changed: dict[str, Any], hole: str) -> None:
    (cell,) = matrix(chart(**changed), [3], [1])
    assert (cell.hole, cell.rate) == (hole, None)
    assert cell.name == "product group 3 (Ydelser) in VAT zone 1 (zone 1)"


def test_a_whole_matrix_has_a_rate_everywhere() -> None:
    cells = matrix(chart(), [3, 4], [1, 2, 3, 4])
    assert [cell.hole for cell in cells] == [None] * 8
    assert [str(cell.rate) for cell in cells] == ["25", "0", "0", "0", "0", "0", "0", "0"]
    assert [(cell.account, cell.vat_code) for cell in cells[:2]] == [(1111, "U25"), (1112, "UEU")]


def test_barred_groups_and_zones_that_do_not_exist_have_no_cell() -> None:
    assert matrix(chart(), [8, 99], [1]) == ()
    assert matrix(chart(), [3], [77]) == ()


def test_another_rate_than_stripes_is_named_with_account_code_lines_and_sums() -> None:
    seen: Seen = {(3, 1): {Decimal(25): Charged(40, {"DKK": Decimal(4000)}), Decimal(20): Charged(2, {"DKK": Decimal("150.50")})}}
    (found,) = other_rates(matrix(chart(), [3], [1, 2], seen=seen))
    assert found.code == "E-VAT-RATE"
    assert found.found == (
        "product group 3 (Ydelser) in VAT zone 1 (zone 1): the ledger uses 25 % (account 1111, VAT code U25); "
        "Stripe charged 20 % on 2 lines of 150.50 DKK"
    )


def test_the_rate_that_the_ledger_uses_is_no_finding() -> None:
    seen: Seen = {(3, 1): {Decimal("25.0"): Charged(1, {"DKK": Decimal(100)})}, (3, 2): {Decimal(0): Charged(1)}}
    assert list(other_rates(matrix(chart(), [3], [1, 2], seen=seen))) == []


def rates_seen(company: Company) -> dict[tuple[Number, Number], dict[Decimal, tuple[int, dict[str, Decimal]]]]:
    async def read() -> Seen:
        await sync.stage(opened)
        async with opened.ledger() as ledger:
            planned = await plan_connection(opened, ledger)
        return charged(opened, planned)

    opened = company.connection()
    try:
        seen = asyncio.run(read())
    finally:
        opened.log.close()
    return {cell: {rate: (one.lines, one.sums) for rate, one in rates.items()} for cell, rates in seen.items()}


def test_stripes_rates_are_read_from_what_is_staged_held_invoices_too(company: Company) -> None:
    """25 % goes through; 20 % and none at all are held by the rate, and stand in the same cell."""
    twenty = company.sandbox.stripe.add_tax_rate(20, at=company.now)
    for rates in ([company.rate], [company.rate], [twenty], []):
        company.pay(company.invoice(company.customer("A", email="a@example.com"), tax_rates=rates))
    assert rates_seen(company) == {
        (3, 1): {
            Decimal(25): (2, {"DKK": Decimal("200.00")}),
            Decimal(20): (1, {"DKK": Decimal("100.00")}),
            Decimal(0): (1, {"DKK": Decimal("100.00")}),
        }
    }


def remove_the_cell(company: Company) -> None:
    company.sandbox.economic.delete("sales-accounts", "3/1")


def bar_the_account(company: Company) -> None:
    store = company.sandbox.economic
    store.put("accounts", 1110, {**(store.get("accounts", 1110) or {}), "barred": True})


def bar_the_code(company: Company) -> None:
    store = company.sandbox.economic
    store.put("vat-accounts", "U25", {**(store.get("vat-accounts", "U25") or {}), "barred": True})


BROKEN = [
    (remove_the_cell, "it has no sales account"),
    (bar_the_account, "account 1110 is barred"),
    (bar_the_code, "VAT code U25 of account 1110 is barred"),
]


@pytest.mark.parametrize(("breaks", "why"), BROKEN, ids=[one.__name__ for one, _ in BROKEN])
def test_one_cell_broken_in_the_ledger_fails_the_preflight_by_name(
    company: Company, breaks: Callable[[Company], None], why: str
) -> None:
    company.pay(company.invoice(company.customer()))
    assert preflight(company).errors == ()
    breaks(company)
    (error,) = preflight(company).errors
    assert error.code == "E-PROD-GROUP"
    assert error.found == (f"product group 3 (Ydelser m/moms) has no usable sales account in VAT zone 1 (Domestic): {why}"), (
        "the document is held for it, and its zone is needed all the same"
    )


def test_an_account_without_a_code_among_eu_sales_is_told(company: Company) -> None:
    store = company.sandbox.economic
    store.put("accounts", 1120, {key: value for key, value in (store.get("accounts", 1120) or {}).items() if key != "vatAccount"})
    buyer = company.customer("Berlin GmbH", country="DE", tax_ids=[("eu_vat", "DE136695976", "verified")])
    company.pay(company.invoice(buyer, tax_rates=[]))
    found = [one.found for one in preflight(company).findings if one.code == "E-PROD-GROUP"]
    assert found == [
        "product group 3 (Ydelser m/moms) in VAT zone 2 (EU): account 1120 has no VAT code, "
        "so these sales are in no figure of the VAT return"
    ]


def preflight(company: Company) -> Preflight:
    opened = company.connection()
    try:
        return asyncio.run(check(opened))
    finally:
        opened.log.close()
