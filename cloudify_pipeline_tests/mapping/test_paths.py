from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudify_pipeline.mapping.paths import PathError, parse_path, quote

RECORD: dict[str, Any] = {
    "email": "a@b.dk",
    "address": {"city": "Frøstrup"},
    "metadata": {"po": "42", "order ref": "7", "a.b": "dot", 'q"q': "quote", "日本": "ja"},
    "customer": "cus_1",
    "tax_ids": {"object": "list", "data": [{"type": "dk_cvr", "value": "1"}, {"type": "eu_vat", "value": "DK12345678"}]},
    "customer_tax_ids": [{"type": "eu_vat", "value": "first"}, {"type": "eu_vat", "value": "second"}],
    "custom_fields": [{"name": "Your ref", "value": "Bo"}],
    "locales": ["da", "en"],
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("email", "a@b.dk"),
        ("address.city", "Frøstrup"),
        ("address.zip", None),
        ('metadata."order ref"', "7"),
        ('metadata."a.b"', "dot"),
        ('metadata."q\\"q"', "quote"),
        ("metadata.日本", "ja"),
        ("customer.email", None),
        ("tax_ids.eu_vat", "DK12345678"),
        ("tax_ids.data.0.value", "1"),
        ("customer_tax_ids.eu_vat", "first"),
        ("tax_ids.gb_vat", None),
        ('custom_fields."Your ref"', "Bo"),
        ("locales.1", "en"),
        ("locales.2", None),
    ],
)
def test_a_path_reads_one_value(path: str, value: str | None) -> None:
    assert parse_path(path).read(RECORD) == value


@pytest.mark.parametrize(
    ("written", "suggestion"),
    [
        ("metadata.order ref", 'metadata."order ref"'),
        ("metadata.a[0]", 'metadata."a[0]"'),
        ("address..city", "address.city"),
        ('metadata."open', None),
        ("", None),
    ],
)
def test_an_unquoted_key_is_refused_with_the_quoted_form(written: str, suggestion: str | None) -> None:
    with pytest.raises(PathError) as raised:
        parse_path(written)
    assert raised.value.suggestion == suggestion
    assert suggestion is None or suggestion in str(raised.value)


@given(st.text(min_size=1), st.text())
def test_any_key_can_be_written_and_read(key: str, value: str) -> None:
    path = parse_path(f"metadata.{quote(key)}")
    assert path.parts == ("metadata", key)
    assert path.read({"metadata": {key: value}}) == value
    assert parse_path(str(path)) == path
