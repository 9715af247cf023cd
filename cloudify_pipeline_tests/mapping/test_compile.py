from typing import Any

import pytest

from cloudify_pipeline.errors import SettingsError
from cloudify_pipeline.mapping.compile import CompiledMappings, compile_mappings
from cloudify_pipeline.mapping.types import COMPATIBLE, Fit, fit
from cloudify_pipeline_tests.mapping.made_up import SOURCES, TARGETS


def compiled(written: dict[str, Any], premapped: dict[str, Any] | None = None) -> CompiledMappings:
    return compile_mappings(written, premapped=premapped or {}, targets=TARGETS, sources=SOURCES, where="customers.fields")


@pytest.mark.parametrize(
    ("source", "target", "verdict"),
    [
        ("email", "email", "fine"),
        ("email", "address", "warn"),
        ("email", "integer", "refuse"),
        ("address", "address", "fine"),
        ("text", "integer", "refuse"),
        ("text", "email", "warn"),
        ("text", "date", "refuse"),
        ("timestamp", "date", "fine"),
        ("timestamp", "text", "fine"),
        ("money", "text", "fine"),
        ("money", "decimal", "fine"),
        ("money", "integer", "refuse"),
        ("integer", "decimal", "fine"),
        ("decimal", "integer", "refuse"),
        ("boolean", "text", "warn"),
        ("boolean", "boolean", "fine"),
        ("country", "text", "fine"),
        ("list", "text", "refuse"),
        ("object", "text", "refuse"),
    ],
)
def test_type_pairs(source: str, target: Any, verdict: Fit) -> None:
    assert fit(source, target) == verdict


def test_every_type_fits_itself_and_stands_in_one_column() -> None:
    for source, (fine, warn) in COMPATIBLE.items():
        assert not fine & warn
        assert source in fine or source in {"list", "object"}


@pytest.mark.parametrize(
    ("target", "mapping", "says"),
    [
        ("emial", "email", "did you mean email?"),
        ("number", "number", "the setting customers.number decides it"),
        ("balance", "balance", "read-only"),
        ("email", "emial", "did you mean email?"),
        ("ean", "metadata.order ref", 'metadata."order ref"'),
        ("ean", "metadata.a.b", 'metadata."a.b"'),
        ("ean", "metadata", "name a key below it"),
        ("employee", "name", "add transform: [digits]"),
        ("employee", "metadata.no", "add transform: [digits]"),
        ("name", "tax_ids", "add transform: [join]"),
        ("name", "customer", "name one field below it"),
        ("delivery.date", {"template": "{created}"}, "add transform: [date]"),
        ("name", {"from": "name", "value": "x"}, "exactly one of"),
        ("name", {}, "exactly one of"),
        ("name", {"form": "name"}, "did you mean from?"),
        ("name", {"from": "name", "transform": "trim"}, "transform is a list"),
        ("name", {"from": "name", "transform": ["trimm"]}, "did you mean trim?"),
        ("name", {"from": "name", "on_empty": "skip"}, "on_empty is"),
        ("name", {"from": "name", "on_too_long": "cut"}, "on_too_long is"),
        ("employee", {"from": "metadata.no", "transform": ["digits"], "on_empty": {"value": "x"}}, "needs a number"),
        ("employee", {"value": 1000}, "at most 999"),
        ("credit", {"value": "1.234"}, "2 decimals"),
        ("notes.heading", {"template": "{nmae}"}, "did you mean name?"),
        ("name", 7, "a constant is {value: …}"),
        ("name", None, "the ledger demands"),
        ("nmae", None, "did you mean name?"),
    ],
)
def test_what_cannot_work_is_refused_with_place_and_suggestion(target: str, mapping: Any, says: str) -> None:
    with pytest.raises(SettingsError) as raised:
        compiled({target: mapping})
    assert [problem.key for problem in raised.value.problems] == [f"customers.fields.{target}"]
    assert says in str(raised.value)


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(SettingsError) as raised:
        compiled({"emial": "email", "email": "emial", "number": "number"})
    assert len(raised.value.problems) == 3


def test_written_stands_over_premapped_and_null_removes() -> None:
    result = compiled({"email": "metadata.mail", "phone": None}, {"name": "name", "email": "email", "phone": "phone"})
    assert [(one.target.path, str(one.sources[0]), one.written) for one in result.mappings] == [
        ("name", "name", False),
        ("email", "metadata.mail", True),
    ]


@pytest.mark.parametrize(
    ("written", "warning"),
    [
        ({"address": "email"}, "customers.fields.address: email: email into address is probably not meant"),
        ({"notes.text": "livemode"}, "customers.fields.notes.text: livemode: boolean into text is probably not meant"),
    ],
)
def test_an_odd_pair_warns(written: dict[str, Any], warning: str) -> None:
    assert compiled(written).warnings == (warning,)


def test_fine_mappings_do_not_warn() -> None:
    written = {
        "email": ["metadata.mail", "email"],
        "employee": {"from": "metadata.no", "transform": ["digits"]},
        "barred": {"from": "metadata.x", "transform": [{"lookup": {"table": {"y": True}}}]},
        "ean": "tax_ids.eu_vat",
        "name": {"from": [{"template": "{name}"}, {"from": "tax_ids", "transform": ["join"]}]},
        "delivery.date": "created",
        "notes.text": "balance",
    }
    assert compiled(written).warnings == ()


def test_free_text_is_cut_and_what_has_a_meaning_is_not() -> None:
    result = compiled({"name": "name", "ean": "number", "address": "address", "notes.text": "name"})
    assert {one.target.path: one.on_too_long for one in result.mappings} == {
        "name": "error",
        "ean": "error",
        "address": "truncate",
        "notes.text": "truncate",
    }
