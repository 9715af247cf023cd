import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudify_pipeline.mapping.apply import Mapped, map_record
from cloudify_pipeline.mapping.compile import compile_mappings
from cloudify_pipeline.mapping.lineage import Lineage
from cloudify_pipeline.mapping.paths import quote
from cloudify_pipeline_tests.mapping.made_up import SOURCES, TARGETS

RECORD: dict[str, Any] = {
    "id": "cus_1",
    "name": "Frøstrup\tApS",
    "email": "faktura@example.dk",
    "address": {"line1": "Gade 1", "line2": "2. tv", "city": "Thisted", "country": "DK"},
    "currency": "dkk",
    "created": 1798759800,
    "balance": 123456,
    "livemode": False,
    "phone": None,
    "tax_ids": {"object": "list", "data": [{"type": "eu_vat", "value": "DK12345678"}]},
    "metadata": {"no": "Nr. 007", "long": "x" * 31, "order ref": "A 7", "blank": " \x00 ", "price": "12,50"},
}


def mapped(written: dict[str, Any], record: dict[str, Any] = RECORD) -> Mapped:
    return map_record(compile_mappings(written, premapped={}, targets=TARGETS, sources=SOURCES, where="fields"), record)


@pytest.mark.parametrize(
    ("target", "mapping", "value"),
    [
        ("name", "name", "Frøstrup ApS"),
        ("email", ["email"], "faktura@example.dk"),
        ("phone", ["phone", "id"], "cus_1"),
        ("address", "address", "Gade 1\n2. tv"),
        ("country", "address.country", "DK"),
        ("country", {"from": "address.country", "transform": [{"country_name": {"language": "da"}}]}, "Danmark"),
        ("currency", "currency", "DKK"),
        ("employee", {"from": "metadata.no", "transform": ["digits"]}, 7),
        ("ean", {"from": "metadata.no", "transform": ["digits"]}, "007"),
        ("credit", "balance", Decimal("1234.56")),
        ("notes.text", "balance", "1234.56"),
        ("barred", "livemode", False),
        ("delivery.date", "created", datetime.date(2027, 1, 1)),
        ("notes.text", "created", "2027-01-01"),
        ("delivery.date", {"from": "created", "transform": [{"date": {"tz": "UTC"}}]}, datetime.date(2026, 12, 31)),
        ("notes.heading", {"template": 'Order {metadata."order ref"} of {created}'}, "Order A 7 of 2027-01-01"),
        ("notes.heading", {"template": "{phone}"}, None),
        ("ean", ["metadata.blank", "id"], "cus_1"),
        ("employee", {"value": 12}, 12),
        ("ean", {"from": "phone", "on_empty": {"value": "none"}}, "none"),
        ("ean", {"from": ["tax_ids.gb_vat", {"from": "tax_ids.eu_vat", "transform": ["danish_cvr"]}]}, "12345678"),
        ("address", "metadata.long", "x" * 29 + "…"),
    ],
)
def test_a_field_is_filled_with_the_targets_type(target: str, mapping: Any, value: Any) -> None:
    result = mapped({target: mapping})
    assert not result.problems
    assert result.values.get(target) == value
    assert type(result.values.get(target)) is type(value)


@pytest.mark.parametrize(
    ("target", "mapping", "code", "says"),
    [
        ("ean", "metadata.long", "E-TOO-LONG", "31 characters, the ledger takes 13"),
        ("ean", {"from": "phone", "on_empty": "error"}, "E-MAPPING", "phone is empty"),
        ("name", "phone", "E-MAPPING", "name is needed"),
        ("email", "metadata.no", "E-MAPPING", "e-mail address"),
        ("kind", "metadata.no", "E-MAPPING", "allowed are ean, cvr"),
        ("employee", {"from": "metadata.no", "transform": [{"lookup": {"table": {"Nr. 007": "no"}}}]}, "E-MAPPING", "number"),
        ("credit", {"from": "metadata.price", "transform": ["number"]}, "E-MAPPING", "found '12,50'"),
        ("credit", {"from": "metadata.long", "transform": ["number"]}, "E-MAPPING", "as in 12.50"),
    ],
)
def test_what_cannot_be_filled_is_a_problem_of_the_record(target: str, mapping: Any, code: str, says: str) -> None:
    (problem,) = mapped({target: mapping}).problems
    assert (problem.code, problem.field) == (code, target)
    assert says in problem.message


def test_lineage_names_source_raw_value_transforms_result_and_cleanings() -> None:
    result = mapped(
        {
            "name": "name",
            "country": {"from": "address.country", "transform": ["country_name", "upper"]},
            "delivery.date": "created",
            "phone": ["phone", "metadata.none"],
        }
    )
    assert result.lineage == (
        Lineage("name", "name", "Frøstrup\tApS", (), "Frøstrup ApS", ("line breaks and tabs made spaces",)),
        Lineage("country", "address.country", "DK", ("country_name", "upper"), "DENMARK"),
        Lineage("delivery.date", "created", "1798759800", ("date(tz='Europe/Copenhagen')",), "2027-01-01"),
        Lineage("phone", "phone | metadata.none", "", (), "", ("left out: empty",)),
    )


@given(st.text(min_size=1), st.text(st.characters(exclude_categories=())))
def test_any_key_and_value_is_mapped_or_a_named_problem(key: str, value: str) -> None:
    record = {"name": "x", "metadata": {key: value}}
    result = mapped({"notes.text": f"metadata.{quote(key)}", "ean": f"metadata.{quote(key)}"}, record)
    for text in (*result.values.values(), *(part for one in result.lineage for part in (one.source, one.raw, one.result))):
        assert isinstance(text, str)
        assert text.encode().decode() == text
    assert {problem.code for problem in result.problems} <= {"E-TOO-LONG"}
    for one in result.lineage:
        assert one.cleaned or one.raw == one.result
