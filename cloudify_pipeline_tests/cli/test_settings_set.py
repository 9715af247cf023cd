"""`cloudify settings set` and `cloudify settings data`: what is shown, what is written, and that nobody is called."""

import io
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from markdown_it import MarkdownIt

from cloudify_pipeline.cli.main import main
from cloudify_pipeline_tests.cli.conftest import Call
from cloudify_pipeline_tests.whole_runs.conftest import Company

EAN = ("customers.fields.ean", 'metadata."EAN nr"')
TERMS = ("invoices.fields.delivery.deliveryTerms", "{value: DAP}")


def test_several_keys_are_one_change_with_a_diff(written: Path, call: Call) -> None:
    file = written / "nordlys.yaml"
    before = file.read_text(encoding="utf-8")
    called = call("settings", "set", "nordlys", *EAN, *TERMS, "--json")
    assert called.code == 0
    found = called.document
    after = file.read_text(encoding="utf-8")
    added = [line[1:] for line in found["diff"] if line.startswith("+") and not line.startswith("+++")]
    assert [line for line in after.splitlines() if line not in before.splitlines()] == added
    assert (found["changed"], found["written"], found["dry_run"]) == (True, True, False)
    assert found["hash"] == call("settings", "show", "--json").document["hash"] != found["hash_before"]
    assert yaml.safe_load(after)["invoices"]["fields"] == {"delivery.deliveryTerms": {"value": "DAP"}}
    again = call("settings", "set", *EAN, *TERMS, "--json").document
    assert (again["changed"], again["written"], again["diff"]) == (False, False, [])
    words = call("settings", "set", "--unset", EAN[0], "--unset", TERMS[0])
    assert words.code == 0
    assert file.read_text(encoding="utf-8") == before


def test_a_dry_run_shows_the_same_and_writes_nothing(written: Path, call: Call) -> None:
    file = written / "nordlys.yaml"
    before = file.read_bytes()
    tried = call("settings", "set", "nordlys", *EAN, "--dry-run", "--json").document
    assert file.read_bytes() == before
    done = call("settings", "set", "nordlys", *EAN, "--json").document
    assert (tried["written"], done["written"]) == (False, True)
    assert (tried["diff"], tried["hash"]) == (done["diff"], done["hash"])
    assert tried["affected"] == {"fields": [], "unknown": "nothing is staged yet: a preview or sync reads Stripe first"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("customers.fields.eann", "phone", "write_mode", "read_only"), ["did you mean ean?"]),
        (("invoices.rules", "[{when: payed, create: x}]", "write_mode", "maybe"), ["'payed'", "draft_order", "'maybe'"]),
        (("customers.fields.ean", "metadata.EAN nr"), ['metadata."EAN nr"']),
        (("stripe.api_key", "sk_live_51Abc"), ["stripe.api_key", "{env: NAME}"]),
        (("customers.fields.ean",), ["NAME", "customers.fields.ean"]),
        ((), ["nothing to change"]),
    ],
)  # fmt: skip
def test_a_wrong_change_is_refused_with_all_problems_and_the_file_stays(
    written: Path, call: Call, words: tuple[str, ...], says: list[str]
) -> None:
    file = written / "nordlys.yaml"
    before = file.read_bytes()
    called = call("settings", "set", *words)
    assert called.code == 2
    assert [word for word in says if word not in called.err] == []
    assert "sk_live" not in called.err + called.out
    assert file.read_bytes() == before
    assert [one.name for one in written.iterdir()] == ["nordlys.yaml"]
    told = call("settings", "set", *words, "--json")
    assert (told.code, told.document["error"]["code"]) == (2, "E-SETTINGS")


def test_it_never_asks_and_needs_no_terminal(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent(io.StringIO):
        def read(self, size: int | None = -1) -> str:
            raise AssertionError("it asked")

        readline = read  # type: ignore[assignment]

    monkeypatch.setattr(sys, "stdin", Silent())
    assert main(["settings", "set", "nordlys", "write_mode", "read_only"]) == 0
    assert yaml.safe_load((written / "nordlys.yaml").read_text(encoding="utf-8"))["write_mode"] == "read_only"


def test_a_change_of_a_mapping_counts_the_staged_records_it_concerns(company: Company, call: Call) -> None:
    company.pay(company.invoice(company.customer("With", metadata={"EAN nr": "5790001330552"}), metadata={"po": "77"}))
    company.pay(company.invoice(company.customer("Without")))
    company.pay(company.invoice(company.customer("Bad", metadata={"EAN nr": "5790001330552-much too long"})))
    company.sandbox.stripe.charge(company.customer("Guest"), 4_999, at=company.now - timedelta(hours=1))
    company.sync()
    calls = len(company.sandbox.economic.calls) + len(company.sandbox.stripe.calls)
    changes = (*EAN, "invoices.fields.notes.textLine2", "metadata.po", "invoices.fields.lines.unit.unitNumber", "{value: 1}")
    found = call("settings", "set", "nordlys", *changes, "--dry-run", "--json").document["affected"]
    counted = {(one["section"], one["target"]): (one["changed"], one["of"]) for one in found["fields"]}
    assert counted == {
        ("customers", "ean"): (2, 4),
        ("documents", "notes.textLine2"): (1, 3),
        ("documents", "lines.unit.unitNumber"): (3, 3),
        ("charges", "notes.textLine2"): (0, 1),
    }
    values = {(sample["before"], sample["after"]) for one in found["fields"] for sample in one["samples"]}
    assert values == {(None, "5790001330552"), (None, "held: E-TOO-LONG"), (None, "77"), (None, "1")}
    words = call("settings", "set", "nordlys", *EAN).out
    assert "customers ean: 2 of 4 staged records would get another value" in words
    assert "(empty) → 5790001330552" in words
    assert "Written to" in words
    removed = call("settings", "set", "nordlys", EAN[0], "null", "customers.fields.city", "null", "--json").document["affected"]
    assert {(one["target"], one["changed"]) for one in removed["fields"]} == {("ean", 2), ("city", 4)}
    assert len(company.sandbox.economic.calls) + len(company.sandbox.stripe.calls) == calls


def test_a_change_that_touches_no_mapping_reads_nothing(company: Company, call: Call) -> None:
    company.pay(company.invoice(company.customer()))
    company.sync()
    found = call("settings", "set", "nordlys", "write_mode", "dry_run", "customers.fields.email", "email", "--json").document
    assert found["affected"] == {"fields": [], "unknown": None}


def test_data_says_the_same_in_three_forms(written: Path, call: Call) -> None:
    found = call("settings", "data", "nordlys", "--json").document
    assert [one["name"] for one in found["sections"]] == ["customers", "products", "documents", "lines", "charges", "booking"]
    targets = {one["target"] for section in found["sections"] for one in section["fields"]}
    words, page = call("settings", "data").out, call("settings", "data", "nordlys", "--markdown").out
    cells = " ".join(token.content for token in MarkdownIt().enable("table").parse(page) if token.type == "inline")
    assert [target for target in targets if target not in words or target not in cells] == []
    assert "metadata.economic_customer_number" in words
    assert not (written.parent / "home").exists(), "looking at the page opens nothing"
