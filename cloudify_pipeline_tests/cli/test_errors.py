import pytest

from cloudify_pipeline.catalogue import CATALOGUE
from cloudify_pipeline.orchestration.words import reasons_table
from cloudify_pipeline_tests.cli.conftest import Call
from cloudify_pipeline_tests.whole_runs.conftest import Company, company

__all__ = ["company"]


def test_all_codes_are_listed_with_owner_and_retry(call: Call) -> None:
    called = call("errors", "--json")
    assert called.code == 0
    assert [one["code"] for one in called.document["errors"]] == list(CATALOGUE)
    by_code = {one["code"]: one for one in called.document["errors"]}
    assert (by_code["E-RATE"]["owner"], by_code["E-RATE"]["retry"]) == ("the service", True)
    assert (by_code["E-PERIOD"]["owner"], by_code["E-PERIOD"]["retry"]) == ("bookkeeper", False)
    words = call("errors").out
    assert not [code for code in CATALOGUE if code not in words]
    assert "Tried again by itself" in words


@pytest.mark.parametrize("name", ["E-PERIOD", "e-period"])
def test_one_code_in_danish(name: str, call: Call) -> None:
    called = call("errors", name, "--language", "da")
    assert called.code == 0
    assert called.out.splitlines() == [
        "Kode: E-PERIOD",
        "Hvad der skete: Datoen ligger i en lukket eller spærret periode, uden for alle regnskabsår eller efter dags dato.",
        "Hvad du kan gøre: Åbn perioden i regnskabet, indstil invoices.closed_period, eller bogfør bilaget manuelt; "
        "en dag, der ikke er kommet, ventes der på.",
        "Hvem: bogholderen",
        "Forsøges igen af sig selv: nej",
    ]


def test_the_environment_says_the_language_and_the_option_wins(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDIFY_LANGUAGE", "da")
    document = call("errors", "E-CURRENCY", "--json").document
    assert document["language"] == "da"
    (found,) = document["errors"]
    assert (found["remedy"], found["owner"]) == ("Opret valutakoden i regnskabet.", "bookkeeper"), (
        "keys and owners are for programs"
    )
    assert "Add the currency code" in call("errors", "E-CURRENCY", "--language", "en").out


def test_every_error_of_a_command_is_told_in_the_language(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDIFY_LANGUAGE", "da")
    called = call("errors", "E-NO-SUCH")
    assert called.code == 2
    assert "E-SETTINGS" in called.err
    assert "Ret de nøgler, som meddelelsen nævner" in called.err


@pytest.mark.parametrize("arguments", [("E-NO-SUCH",), ("--language", "fr"), ("--language", "Danish")])
def test_a_wrong_call_is_refused(arguments: tuple[str, ...], call: Call) -> None:
    assert call("errors", *arguments).code == 2


@pytest.mark.parametrize(
    ("language", "remedy"),
    [
        ("en", "Add the country or the VAT number to the Stripe customer"),
        ("da", "Udfyld land eller momsnummer på kunden i Stripe"),
    ],
)
def test_the_remedy_of_a_held_invoice_is_told_in_the_language(
    language: str, remedy: str, shop: Company, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDIFY_LANGUAGE", language)
    held = next(code for code, problem in shop.sync().codes().items() if problem == "E-VAT-ZONE" and code.startswith("in_"))
    assert remedy in call("explain", held).out
    opened = shop.connection()
    page = reasons_table(opened.log.records("nordlys", states=["held"]), live=False)
    opened.log.close()
    assert remedy in str(page.value)
