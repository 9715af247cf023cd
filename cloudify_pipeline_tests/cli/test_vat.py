"""`cloudify vat` as a bookkeeper reads it, and as a program does."""

from decimal import Decimal
from pathlib import Path

import pytest

from cloudify_pipeline.cli import output
from cloudify_pipeline_tests.cli.conftest import Call
from cloudify_pipeline_tests.whole_runs.conftest import Company

GERMAN = (("eu_vat", "DE136695976", "verified"),)


@pytest.fixture
def posted(company: Company) -> Company:
    """A Danish, a German and a French sale of 100.00, all booked."""
    company.pay(company.invoice(company.customer()))
    company.pay(company.invoice(company.customer("Müller GmbH", "DE", tax_ids=GERMAN), tax_rates=[]))
    company.pay(company.invoice(company.customer("Claire", "FR")))
    assert company.sync().codes() == {}
    return company


def test_a_month_that_does_not_agree_yet_and_then_does(
    posted: Company, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "_PIPE_WIDTH", 120)
    posted.sandbox.economic.add_voucher("2026-11-05", "Kontantsalg", 1010, Decimal("-500.00"), "U25")
    folder = tmp_path / "november"
    called = call("vat", "nordlys", "--month", "2026-11", "--csv", str(folder))
    assert (called.code, called.err) == (1, "")
    lines = [" ".join(line.split()) for line in called.out.splitlines()]
    assert "1. EU-sales list, due by 2026-12-25 (in whole DKK)" in lines
    assert "DE 136695976 0 0 100" in lines
    assert "Salgsmoms, sales at 25 % 200.00 50.00 50" in lines
    assert "U25 Salgsmoms 200.00 700.00 500.00" in lines
    assert "voucher 900001 U25 500.00 in the ledger on 2026-11-05 without this pipeline: Kontantsalg" in lines
    assert "Rubrik A is of goods and services bought abroad: nothing of this pipeline's documents." in lines
    assert any(line.startswith("EU consumers: 100.00 DKK without VAT to consumers") for line in lines)
    assert max(map(len, called.out.splitlines()[:-2])) <= 130
    assert sorted(file.name for file in folder.iterdir()) == [
        "boxes-2026-11.csv", "documents-2026-11.csv", "one-stop-shop-2026-11.csv", "reconciliation-2026-11.csv",
    ]  # fmt: skip

    posted.configure(vat={"supply_default": "services"})
    posted.connection().log.close()
    posted.sandbox.economic.add_voucher("2026-11-05", "Kontantsalg tilbageført", 1010, Decimal("500.00"), "U25")
    called = call("vat", "nordlys", "--month", "2026-11", "--csv", str(folder))
    assert called.code == 1, "two vouchers by hand stay two differences, although their sum is nothing"
    assert (folder / "eu-sales-2026-11.csv").read_bytes().split(b"\r\n") == [
        b"0,38158260,LISTE,,,,,,", b"2,1,2026-11-30,38158260,DE,136695976,0,0,100", b"10,1,100,,,,,,", b"",
    ]  # fmt: skip


def test_json_has_the_oere(posted: Company, call: Call) -> None:
    posted.configure(vat={"supply_default": "goods"})
    posted.connection().log.close()
    called = call("vat", "--month", "2026-11", "--json")
    found = called.document
    assert (called.code, found["agrees"], found["documents"], found["differences"]) == (0, True, 3, [])
    assert found["eu_sales"] == {
        "due": "2026-12-25",
        "can_be_filed": True,
        "buyers": [{
            "country": "DE", "vat_number": "136695976", "goods": "100.00", "services": "0", "not_told_apart": "0",
            "goods_whole": 100, "services_whole": 0,
        }],
    }  # fmt: skip
    assert found["boxes"]["b_goods"]["net"] == "100.00"
    assert found["sales_vat"] == [{"rate": "25", "net": "200.00", "vat": "50.00"}]
    assert [(one["code"], one["documents"], one["ledger"]) for one in found["codes"]] == [
        ("U25", "200.00", "200.00"), ("UEUY", "100.00", "100.00"),
    ]  # fmt: skip
    assert (found["eu_consumers"]["total"], found["eu_consumers"]["percent"]) == ("100.00", "0.13")
    checked = call("check", "nordlys", "--json").document["eu_consumers"]
    assert (checked["total"], checked["level"]) == ("100.00", 0)


def test_the_month_before_is_the_default(posted: Company, call: Call) -> None:
    assert call("vat", "nordlys", "--json").document["period"] == {"name": "2026-10", "first": "2026-10-01", "last": "2026-10-31"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--month", "2026-13"), "a month such as 2026-10"),
        (("--month", "0000-01"), "a month such as 2026-10"),
        (("--quarter", "9999Q4"), "a quarter such as 2026Q3"),
        (("--quarter", "2026Q5"), "a quarter such as 2026Q3"),
        (("--month", "2026-10", "--quarter", "2026Q3"), "a month or a quarter, not both"),
    ],
)
def test_a_period_that_is_none_is_refused(written: Path, call: Call, options: tuple[str, ...], words: str) -> None:
    called = call("vat", "nordlys", *options)
    assert called.code == 2
    assert words in called.err
