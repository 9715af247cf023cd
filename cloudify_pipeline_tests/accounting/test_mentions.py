"""A number or id stands in a text as a word, whatever the ledger made of its letters, line ends and case."""

import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cloudify_pipeline.accounting.mentions import marks, may_name, names

LETTERS = st.characters(categories=("Lu", "Ll", "Nd"), max_codepoint=0x17F)
NUMBERS = st.from_regex(r"\A[A-Z0-9ÆØÅ]{1,8}([-/$()*,\[ _.][A-Z0-9]{1,6}){0,3}\Z")
AROUND = st.sampled_from(["", " ", "\r", "\n", ", ", "-", "(", ")", "#", "_", "faktura ", " tak", ".", "æ ", " å"])
FORMS = st.sampled_from([str.lower, str.upper, str, lambda s: unicodedata.normalize("NFD", s)])


@pytest.mark.parametrize(
    ("text", "name", "there"),
    [
        ("INV-0001", "INV-0001", True),
        ("Faktura inv-0001, betalt", "INV-0001", True),
        ("INV-00012", "INV-0001", False),
        ("XINV-0001", "INV-0001", False),
        ("INV-00012 og INV-0001", "INV-0001", True),
        ("INV-0001\rtak", "INV-0001", True),
        ("tak\rINV-0001", "INV-0001", True),
        ("in_12", "in_1", False),
        ("pi_1_secret_2", "pi_1", True),
        ("kreditnota INV-0001-CN-01", "INV-0001", True),
        ("A\u030arhus-7", "Århus-7", True),
        ("Århus-7", "A\u030arhus-7", True),
        ("FAK  (2026)\r7", "FAK (2026) 7", True),
        ("anything", "", False),
        ("---", "-", False),
        ("1001", "1001", True),
        ("11001", "1001", False),
    ],
)
def test_a_name_is_found_as_a_word_only(text: str, name: str, there: bool) -> None:
    assert names(text, name) is there


@given(number=NUMBERS, before=AROUND, after=AROUND, form=FORMS)
def test_a_number_is_found_in_any_text_that_has_it_as_a_word(
    number: str, before: str, after: str, form: Callable[[str], str]
) -> None:
    assume(not (before and before[-1].isalnum()) and not (after and after[0].isalnum()))
    text = before + form(number) + after
    assert names(text, number)
    assert may_name(text, marks([number, "INV-0001"])), "a long list that is sifted keeps it"


@given(number=NUMBERS, more=LETTERS, behind=st.booleans())
def test_a_number_that_goes_on_is_another_one(number: str, more: str, *, behind: bool) -> None:
    longer = number + more if behind else more + number
    assert not names(longer, number)
