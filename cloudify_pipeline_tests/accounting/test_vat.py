from datetime import date
from decimal import Decimal

import pytest

from cloudify_pipeline.accounting.vat import (
    EU,
    SPECIAL,
    number_country,
    number_fault,
    plain_postal_code,
    special_territory,
    vat_country,
)
from cloudify_pipeline.accounting.vat_rates import outdated_rate, standard_rate


def test_the_union_has_27_members_and_calls_greece_by_its_iso_code() -> None:
    assert len(EU) == 27
    assert "GR" in EU
    assert not {"EL", "GB", "NO", "GL", "FO", "XI", "MC"} & EU


@pytest.mark.parametrize(
    ("number", "country"), [("EL123456789", "GR"), ("de123456789", "DE"), (" XI123", "XI"), ("DK12345674", "DK")]
)
def test_the_country_of_a_vat_number(number: str, country: str) -> None:
    assert number_country(number) == country


@pytest.mark.parametrize(
    ("country", "postal_code", "territory"),
    [
        ("FI", "22100", "AX"),
        ("FI", "00100", None),
        ("AX", None, "AX"),
        ("ES", "38001", "IC"),
        ("ES", "51001", "EA"),
        ("ES", "28001", None),
        ("GB", "bt1 5gs", "XI"),
        ("GB", "SW1A 1AA", None),
        ("DK", "2200", None),
        ("DE", None, None),
    ],
)
def test_special_territories(country: str, postal_code: str | None, territory: str | None) -> None:
    assert special_territory(country, postal_code) == territory


def test_monaco_is_taxed_as_france() -> None:
    assert (vat_country("MC"), vat_country("DK")) == ("FR", "DK")


@pytest.mark.parametrize(
    ("country", "postal_code", "city", "territory"),
    [
        ("ES", "E-52 001", None, "EA"),
        ("DE", "D-78266", None, "DE-78266"),
        ("DE", "78267", None, None),
        ("DE", "27498", None, "DE-27498"),
        ("IT", "I-23041", None, "IT-23041"),
        ("IT", "23030", "Livigno", "IT-23041"),
        ("IT", "23030", None, "IT-23041"),
        ("IT", "23030", "Chiuro", None),
        ("IT", "22061", None, "IT-22061"),
        ("GR", "630 87", None, "GR-63086"),
        ("FI", "AX-22100", None, "AX"),
        ("DK", "3992", None, "GL"),
        ("DK", "3790", "Hasle", None),
        ("DK", "FO-970", None, "FO"),
        ("DK", "0900", None, None),
        ("FR", "97133", None, "BL"),
        ("FR", "97150", None, "MF"),
        ("FR", "97600", None, "YT"),
        ("FR", "98800", None, "NC"),
        ("FR", "98000", "Monaco", None),
        ("GB", "E1 6AN", None, None),
        ("GB", "BT1 5GS", None, "XI"),
        ("US", "22100", None, None),
    ],
)
def test_a_postal_code_tells_where_the_country_does_not(
    country: str, postal_code: str, city: str | None, territory: str | None
) -> None:
    assert special_territory(country, postal_code, city) == territory
    assert territory is None or territory in SPECIAL or territory not in EU


def test_a_country_in_front_of_a_postal_code_is_left_out_where_it_is_no_part_of_it() -> None:
    assert [plain_postal_code(*one) for one in (("DE", "D-782 66"), ("AT", "a1010"), ("GB", "e1 6an"), ("NL", "1015 AA"))] == [
        "78266",
        "1010",
        "E16AN",
        "1015AA",
    ]


@pytest.mark.parametrize(
    ("number", "fault"),
    [
        ("DK13585628", None),
        ("dk 13.58.56-28", None),
        ("DK13585627", "check digit"),
        ("DK1358562", "form"),
        ("DKABCDEFGH", "form"),
        ("DE136695976", None),
        ("DE136695977", "check digit"),
        ("EL094259216", None),
        ("XI980780684", None),
        ("GB980780684", "form"),
        ("CH123456789", "form"),
        ("136695976", "form"),
        ("", "form"),
    ],
)
def test_what_is_wrong_with_a_vat_number(number: str, fault: str | None) -> None:
    assert number_fault(number) == fault


@pytest.mark.parametrize(
    ("country", "day", "rate"),
    [
        ("DK", date(2026, 1, 1), "25"),
        ("EE", date(2025, 6, 30), "22"),
        ("EE", date(2025, 7, 1), "24"),
        ("FI", date(2024, 8, 31), "24"),
        ("FI", date(2024, 9, 1), "25.5"),
        ("DE", date(2020, 12, 31), "16"),
        ("DE", date(2021, 1, 1), "19"),
        ("RO", date(2025, 8, 1), "21"),
        ("SK", date(2025, 1, 1), "23"),
    ],
)
def test_the_standard_rate_of_a_day(country: str, day: date, rate: str) -> None:
    assert standard_rate(country, day) == Decimal(rate)


def test_a_rate_that_has_ended_is_outdated_and_a_reduced_one_is_not() -> None:
    day = date(2026, 11, 10)
    assert outdated_rate("EE", Decimal(22), day)
    assert not outdated_rate("EE", Decimal(24), day)
    assert not outdated_rate("EE", Decimal(9), day)
    assert not outdated_rate("US", Decimal(9), day)
    assert standard_rate("US", day) is None


def test_every_member_state_has_a_standard_rate() -> None:
    assert all(standard_rate(country, date(2026, 1, 1)) for country in EU)
