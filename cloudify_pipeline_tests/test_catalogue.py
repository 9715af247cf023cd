"""The catalogue: both languages, complete and alike; every code is used, and every code used is in it."""

import re
from pathlib import Path

import pytest

from cloudify_pipeline.catalogue import CATALOGUE, LANGUAGES, Language, entry, owner_name
from cloudify_pipeline.catalogue_da import DANISH, DANISH_OWNERS
from cloudify_pipeline.cli.errors import page
from cloudify_pipeline.ledgers.economic import refusal_codes
from cloudify_pipeline.stripe_source import errors as stripe_errors

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "cloudify_pipeline"

# What a reader types or looks for, and what therefore stands the same in every language.
PLACEHOLDERS = re.compile(
    r"cloudify (?:[a-z]+(?:-[a-z]+)*)(?: schema| fields)?|--[a-z-]+|CLOUDIFY_[A-Z]+|README|API|Stripe|EAN|CVR|\d+"
    r"|\b[a-z]+(?:\.[a-z_]+)+\b|\b[a-z]+(?:_[a-z]+)+\b|: (?:truncate|none|true|paid|finalized)\b"
)


def codes_in(folder: Path) -> set[str]:
    files = (file for file in folder.rglob("*.py") if "sandbox" not in file.parts and not file.name.startswith("catalogue"))
    # What stands in startswith(…) is a family of codes, not a code.
    return {
        code
        for file in files
        for code in re.findall(r"""(?<!startswith\()["']([ES]-[A-Z]+(?:-[A-Z]+)*)["']""", file.read_text("utf-8"))
    }


def test_every_code_that_is_used_is_in_the_catalogue() -> None:
    assert codes_in(PACKAGE) - set(CATALOGUE) == set()


def test_every_code_of_the_catalogue_is_used_or_a_refusal_comes_to_it() -> None:
    reached = codes_in(PACKAGE) | refusal_codes.CODES_IN_USE | stripe_errors.CODES_IN_USE
    assert set(CATALOGUE) - reached == set()


def test_both_languages_have_the_same_codes() -> None:
    assert set(DANISH) == set(CATALOGUE)
    assert set(DANISH_OWNERS) == {one.owner for one in CATALOGUE.values()}


@pytest.mark.parametrize("code", sorted(CATALOGUE))
def test_a_code_says_in_both_languages_what_happened_and_what_to_do(code: str) -> None:
    english, danish = entry(code, "en"), entry(code, "da")
    for one in (english, danish):
        for text in (one.cause, one.remedy):
            assert re.fullmatch(r"[A-ZÆØÅ].*[^ .]\.", text), text
            assert "  " not in text
            assert not re.search(r"\b(TODO|error occurred|contact support)\b", text)
    assert (danish.cause, danish.remedy) != (english.cause, english.remedy)
    assert danish.cause != english.cause
    assert danish.remedy != english.remedy
    assert (danish.code, danish.owner, danish.retry) == (english.code, english.owner, english.retry)


@pytest.mark.parametrize("code", sorted(CATALOGUE))
@pytest.mark.parametrize("part", ["cause", "remedy"])
def test_what_a_reader_types_or_looks_up_is_the_same_in_both_languages(code: str, part: str) -> None:
    english, danish = (sorted(set(PLACEHOLDERS.findall(getattr(entry(code, one), part)))) for one in LANGUAGES)
    # Danish compounds and genitives take Stripe along where English writes around it, and the other way round.
    assert [word for word in english if word != "Stripe"] == [word for word in danish if word != "Stripe"]


def test_the_danish_is_danish() -> None:
    texts = [text for pair in DANISH.values() for text in pair]
    english_words = re.compile(r"\b(the|and|or|is|are|with|customer|invoice|ledger|which|that|it)\b", re.IGNORECASE)
    assert [text for text in texts if english_words.search(PLACEHOLDERS.sub("", text))] == []
    assert sum(any(letter in text for letter in "æøåÆØÅ") for text in texts) > len(texts) // 2
    assert len(set(texts)) > len(texts) * 3 // 4, "texts are written for their code"


@pytest.mark.parametrize("code", [code for code, one in CATALOGUE.items() if one.retry])
def test_what_is_tried_again_asks_nobody_for_anything(code: str) -> None:
    assert entry(code, "en").remedy.startswith(("Nothing to do", "Wait until"))
    assert entry(code, "da").remedy.startswith(("Du behøver ikke gøre noget", "Vent"))


@pytest.mark.parametrize("code", [code for code, one in CATALOGUE.items() if code.startswith("E-") and not one.retry])
def test_what_is_not_tried_again_tells_somebody_what_to_do(code: str) -> None:
    if code != "E-LIMIT":
        assert not entry(code, "en").remedy.startswith("Nothing to do")


@pytest.mark.parametrize(
    ("variable", "remedy", "owner"),
    [
        (None, "Add the currency code to the ledger.", "bookkeeper"),
        ("en", "Add the currency code to the ledger.", "bookkeeper"),
        ("da", "Opret valutakoden i regnskabet.", "bogholderen"),
        ("da_DK.UTF-8", "Opret valutakoden i regnskabet.", "bogholderen"),
        ("fr", "Add the currency code to the ledger.", "bookkeeper"),
    ],
)
def test_the_environment_says_the_language(
    variable: str | None, remedy: str, owner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CLOUDIFY_LANGUAGE", raising=False)
    if variable is not None:
        monkeypatch.setenv("CLOUDIFY_LANGUAGE", variable)
    found = entry("E-CURRENCY")
    assert (found.remedy, owner_name(found.owner)) == (remedy, owner)
    assert entry("E-CURRENCY", "en").remedy == "Add the currency code to the ledger.", "asked for by name"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_code_outside_the_catalogue_reads_as_a_defect(language: Language) -> None:
    assert entry("E-NO-SUCH", language) == entry("E-INTERNAL", language)


@pytest.mark.parametrize(("language", "name"), [("en", "errors.md"), ("da", "errors.da.md")])
def test_the_page_is_what_the_catalogue_says(language: Language, name: str) -> None:
    written = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert written == page(language), f"cloudify errors --markdown --language {language} > docs/{name}"
