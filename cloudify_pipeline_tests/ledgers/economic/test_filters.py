from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudify_pipeline.ledgers.economic import filters
from cloudify_pipeline_tests.ledgers.economic.fake import unescape

TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)
CODES = {
    "0": "<", "1": ">", "2": "*", "3": "%", "4": ":", "5": "&", "6": "/", "7": "\\", "8": "_", "9": " ", "10": "?", "11": ".",
    "12": "#", "13": "+",
}  # fmt: skip


def decode_key(text: str) -> str:
    """The reference's table, read backwards one character at a time."""
    text, out = unquote(text), ""
    while text:
        if text[0] == "_":
            code, _, text = text[1:].partition("_")
            out += CODES[code]
        else:
            out, text = out + text[0], text[1:]
    return out


@pytest.mark.parametrize(
    ("value", "clause"),
    [
        ("billing@example.com", "email$eq:billing@example.com"),
        ("A (B) $5, *", "email$eq:A $(B$) $$5$, $*"),
        ("[brackets] stay", "email$eq:[brackets] stay"),
        ("$null:", "email$eq:$$null:"),
        ("a$or:b", "email$eq:a$$or:b"),
    ],
)
def test_equals_escapes_what_the_server_reads_as_syntax(value: str, clause: str) -> None:
    assert filters.equals("email", value) == clause


def test_contains_puts_an_opening_bracket_into_a_class() -> None:
    assert filters.contains("name", "a[b]") == "name$like:a[[]b]"


@given(TEXT)
def test_every_text_comes_back_from_an_encoded_filter(text: str) -> None:
    clause = unquote(filters.encode(filters.equals("name", text)))
    field, _, value = clause.partition("$eq:")
    assert (field, unescape(value)) == ("name", text)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=25).filter(str.strip))
def test_every_product_number_comes_back_from_a_path(number: str) -> None:
    encoded = filters.encode_key(number)
    assert decode_key(encoded) == number
    assert not set(encoded) & set("<>*:&/\\ ?.#+")


def test_the_documented_example_of_a_path() -> None:
    assert filters.path("products", "My Product_5%") == "/products/My_9_Product_8_5_3_"


@pytest.mark.parametrize("number", ["", " ", 0])
def test_an_empty_key_never_reaches_a_path(number: str | int) -> None:
    with pytest.raises(ValueError, match="empty part"):
        filters.path("invoices", "drafts", number)


@pytest.mark.parametrize("value", ["", "  "])
def test_an_empty_value_is_never_asked_for(value: str) -> None:
    with pytest.raises(ValueError, match="empty"):
        filters.equals("email", value)


@given(st.lists(st.integers(1, 999999999), unique=True, max_size=700))
def test_numbers_are_asked_for_once_within_both_limits(numbers: list[int]) -> None:
    groups = list(filters.numbered("customerNumber", numbers))
    asked = [int(number) for group in groups for number in group.partition("$in:[")[2].rstrip("]").split(",")]
    assert asked == numbers
    assert all(len(filters.encode(group)) <= filters.MAX_FILTER and group.count(",") < filters.MAX_IN for group in groups)


@given(st.lists(TEXT, max_size=60))
def test_clauses_are_joined_within_the_length(texts: list[str]) -> None:
    clauses = [filters.equals("name", text) for text in texts]
    groups = list(filters.joined(clauses))
    assert "$or:".join(groups) == "$or:".join(clauses)
    assert all(len(filters.encode(group)) <= filters.MAX_FILTER for group in groups if group not in clauses)
