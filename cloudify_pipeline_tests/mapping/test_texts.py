import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudify_pipeline.mapping.texts import clean_text

ANY_TEXT = st.text(st.characters(exclude_categories=()))


@pytest.mark.parametrize(
    ("value", "single_line", "text", "cleaned"),
    [
        ("Rødspætteallé 4", True, "Rødspætteallé 4", ()),
        ('$()[]*,& "x" 👩‍👩‍👧 שלום', True, '$()[]*,& "x" 👩‍👩‍👧 שלום', ()),
        ("Steen 3 ApS\rVirksomhedsvej 58", False, "Steen 3 ApS\nVirksomhedsvej 58", ("line ends made \\n",)),
        ("a\r\nb", True, "a b", ("line ends made \\n", "line breaks and tabs made spaces")),
        ("a\x00b\x07", True, "ab", ("2 control characters removed",)),
        ("e\u0301", True, "é", ("composed (Unicode NFC)",)),
        ("a\ud800", True, "a\ufffd", ("broken characters (lone surrogates) replaced",)),
        (" a ", True, "a", ("white space at the ends removed",)),
    ],
)
def test_each_cleaning_is_named(value: str, single_line: bool, text: str, cleaned: tuple[str, ...]) -> None:
    assert clean_text(value, single_line=single_line) == (text, cleaned)


def test_length_is_counted_after_nfc() -> None:
    assert clean_text("e\u0301" * 10, 10) == ("é" * 10, ("composed (Unicode NFC)",))
    assert clean_text("a" * 11, 10) == ("a" * 9 + "…", ("cut from 11 to 10 characters",))
    assert clean_text("a" * 11, 10, truncate=False) == ("a" * 11, ())


def test_a_cut_keeps_emoji_whole() -> None:
    assert clean_text("ab👩\u200d👩\u200d👧cd", 6)[0] == "ab…"


@given(ANY_TEXT, st.integers(1, 40), st.booleans())
def test_every_text_becomes_one_that_can_be_sent(value: str, limit: int, single_line: bool) -> None:
    text, cleaned = clean_text(value, limit, single_line)
    assert len(text) <= limit
    assert clean_text(text, limit, single_line) == (text, ())
    assert unicodedata.is_normalized("NFC", text)
    assert json.loads(json.dumps(text).encode()) == text
    assert text.encode().decode() == text
    assert (text != value) == bool(cleaned)
    assert not {character for character in text if unicodedata.category(character) == "Cc"} - {"\n", "\t"}
    assert not (single_line and {"\n", "\t"} & set(text))


@given(st.text(), st.booleans())
def test_a_text_that_needs_one_look_comes_to_what_six_would_make_of_it(value: str, single_line: bool) -> None:
    """A control character at the end makes every step run, and leaves nothing behind."""
    assert clean_text(value, None, single_line)[0] == clean_text(f"{value}\x00", None, single_line)[0]
