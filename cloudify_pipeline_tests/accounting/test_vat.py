import pytest

from cloudify_pipeline.accounting.vat import EU, number_country, special_territory, vat_country


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
