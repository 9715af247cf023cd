"""A previewed body is the exact body, but for numbers that the ledger has yet to give."""

import json

from hypothesis import given
from hypothesis import strategies as st

from cloudify_pipeline.control.preview import _UNKNOWN, _request
from cloudify_pipeline.ledgers.port import Write


def write(number: int | str, path: str = "/invoices/drafts", extra: str = "") -> Write:
    body = f'{{"customer":{{"customerNumber":{json.dumps(number)}}},"net":1250.50{extra}}}'
    return Write("create_document", "stripe:in_1", "POST", path, body.encode())


def test_a_number_not_yet_known_is_words_and_the_rest_stays_byte_for_byte() -> None:
    one, other = (write(number) for number in _UNKNOWN)
    request = _request(one, other, "number given at creation of cus_1")
    assert request.body == '{"customer":{"customerNumber":"<number given at creation of cus_1>"},"net":1250.50}'


def test_a_number_that_is_text_in_the_ledger_keeps_its_quotes() -> None:
    one, other = (write(str(number)) for number in _UNKNOWN)
    assert '"customerNumber":"<given>"' in _request(one, other, "given").body


def test_in_a_path_the_words_stand_without_quotes() -> None:
    one, other = (write(7, path=f"/drafts/{number}/book") for number in _UNKNOWN)
    assert _request(one, other, "given").path == "/drafts/<given>/book"


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=12) | st.integers()), st.integers(1, 999_999_999))
def test_a_known_number_leaves_any_body_as_it_is(body: dict[str, str | int], number: int) -> None:
    extra = f',"more":{json.dumps(body, ensure_ascii=False)}'
    same = write(number, extra=extra)
    assert _request(same, same, "").body.encode() == same.body


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=12) | st.integers()))
def test_whatever_stands_around_it_only_the_number_is_replaced(body: dict[str, str | int]) -> None:
    extra = f',"more":{json.dumps(body, ensure_ascii=False)}'
    one, other = (write(number, extra=extra) for number in _UNKNOWN)
    shown = json.loads(_request(one, other, "given").body)
    assert shown["customer"]["customerNumber"] == "<given>"
    assert shown["more"] == body
