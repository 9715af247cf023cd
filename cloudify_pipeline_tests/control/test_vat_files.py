"""The files of a VAT return: what is uploaded, what is kept beside it, and that both say the same."""

import csv
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from cloudify_pipeline.accounting.eu_sales import eu_sales_list
from cloudify_pipeline.accounting.vat_return import CodeSum, Sale, Supplies, box_sums, parts
from cloudify_pipeline.control.vat_files import can_be_filed, write_files
from cloudify_pipeline.control.vat_periods import month
from cloudify_pipeline.control.vat_reconcile import Difference
from cloudify_pipeline.control.vat_return import VatReturn, Waiting


def sold(number: str, net: str, currency: str = "DKK") -> Sale:
    code = CodeSum("UEUY", "1120", Decimal(0), Decimal(net), Decimal(0))
    return Sale(f"in_{number}", number, date(2026, 11, 3), currency, "eu", number[:2], number, "none", "services", (code,))


def filed(seller: str = "38158260", currency: str = "DKK", *differences: Difference) -> VatReturn:
    """100.60 to each of two businesses."""
    found = [
        part
        for number in ("DE136695976", "FR61954506077")
        for part in parts(sold(number, "100.60", currency), Supplies(), currency)
    ]
    return VatReturn(
        "nordlys", "Nordlys ApS", seller, currency, month("2026-11"), tuple(found), eu_sales_list(found), box_sums(found),
        {}, {}, (), differences, (), Waiting(), None,
    )  # fmt: skip


def test_rubrik_b_in_whole_kroner_is_the_sum_of_the_lists_lines_in_every_file(tmp_path: Path) -> None:
    write_files(filed(), tmp_path)
    uploaded = (tmp_path / "eu-sales-2026-11.csv").read_text(encoding="utf-8").splitlines()
    rows = {row["box"]: row for row in csv.DictReader((tmp_path / "boxes-2026-11.csv").read_text(encoding="utf-8").splitlines())}
    assert uploaded[-1] == "10,2,200,,,,,,"
    assert (rows["b_services"]["net DKK"], rows["b_services"]["net, whole"]) == ("201.20", "200")


@pytest.mark.parametrize("seller", ["DK38158260", "DK 38 15 82 60", "38158260"])
def test_the_seller_in_the_file_is_the_cvr_number_alone(seller: str, tmp_path: Path) -> None:
    write_files(filed(seller), tmp_path)
    uploaded = (tmp_path / "eu-sales-2026-11.csv").read_text(encoding="utf-8").splitlines()
    assert uploaded[0] == "0,38158260,LISTE,,,,,,"
    assert uploaded[1].split(",")[3] == "38158260"


@pytest.mark.parametrize("seller", ["", "3815826", "see our website"])
def test_without_a_cvr_number_there_is_no_file_to_upload(seller: str, tmp_path: Path) -> None:
    assert not can_be_filed(filed(seller))
    assert not any("eu-sales" in one.name for one in write_files(filed(seller), tmp_path))


def test_books_in_euro_make_no_file_in_kroner() -> None:
    assert not can_be_filed(filed("38158260", "EUR"))


@pytest.mark.parametrize(
    ("difference", "open_"),
    [
        (Difference("amount", "invoice 7 (DE136695976)", "", "UEUY", Decimal(100), Decimal(110)), True),
        (Difference("amount", "DE136695976", "", None), True),
        (Difference("code", "invoice 9 (N-9)", "", "UEUY", Decimal(0), Decimal(50)), True),
        (Difference("amount", "invoice 9 (N-9)", "", "U25", Decimal(100), Decimal(110)), False),
        (Difference("rounding", "invoice 7 (DE136695976)", "", "UEUY", Decimal(100), Decimal("100.01")), False),
        (Difference("by_hand", "voucher 900001", "", "UEUY", None, Decimal(80)), False),
        (Difference("untold", "invoice 7 (DE136695976)", "goods or services?", "UEUY"), True),
    ],
)
def test_the_list_is_not_filed_while_the_ledger_has_another_amount_in_rubrik_b(difference: Difference, open_: bool) -> None:
    assert can_be_filed(filed("38158260", "DKK", difference)) is not open_
