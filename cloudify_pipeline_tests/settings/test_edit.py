import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from cloudify_pipeline.errors import SettingsError
from cloudify_pipeline.settings.change import propose, write
from cloudify_pipeline.settings.edit import Change, edited
from cloudify_pipeline.settings.source import read_mapping
from cloudify_pipeline_tests.settings.files import CATALOGUES, load

FILE = """\
# Frøstrup's books
stripe: {api_key: {env: KEY}}      # restricted
ledger: economic
economic:
    app_secret_token:   {env: APP}
    agreement_grant_token: {env: GRANT}
customers:
    match:
    - {stripe: email, ledger: email}   # the only one
    defaults: {payment_terms: 1, group:   1}
    # new customers stand above

invoices:
    rules:
    - when: paid   # paid
      create: booked_invoice
    - {when: sent, create: draft_order}
    fields:
        # the customer's order
        notes.heading: "number"
products:
    defaults:
        group: 1
    # tail
# end
"""

EDITS = [
    ("customers.fields.phone", 'metadata."tel. nr"', 10, [], ["    fields:", '        phone: metadata."tel. nr"']),
    ("invoices.fields.lines.description", "{value: DAP}", 20, [], ["        lines.description: {value: DAP}"]),
    ("invoices.fields.notes.heading", "null", 19, ['        notes.heading: "number"'], ["        notes.heading: null"]),
    ("invoices.rules[0].when", "sent", 14, ["    - when: paid   # paid"], ["    - when: sent   # paid"]),
    ("invoices.rules[1].if.country", "[NO]", 16,
     ["    - {when: sent, create: draft_order}"], ["    - {when: sent, create: draft_order, if: {country: [NO]}}"]),
    ("customers.defaults.group", "2", 9,
     ["    defaults: {payment_terms: 1, group:   1}"], ["    defaults: {payment_terms: 1, group:   2}"]),
    ("customers.defaults.currency", "'a, b'", 9,
     ["    defaults: {payment_terms: 1, group:   1}"], ["    defaults: {payment_terms: 1, group:   1, currency: 'a, b'}"]),
    ("customers.defaults.currency", "a, b", 9,
     ["    defaults: {payment_terms: 1, group:   1}"], ["    defaults: {payment_terms: 1, group:   1, currency: 'a, b'}"]),
    ("customers.match", "[{stripe: id, ledger: name}]", 7,
     ["    match:", "    - {stripe: email, ledger: email}   # the only one"],
     ["    match: [{stripe: id, ledger: name}]   # the only one"]),
    ("vat.zones.eu", "7", 24, [], ["vat:", "    zones:", "        eu: 7"]),
    ("customers.match", None, 7, ["    match:", "    - {stripe: email, ledger: email}   # the only one"], []),
    ("invoices.rules[0].when", None, 14,
     ["    - when: paid   # paid", "      create: booked_invoice"], ["    - create: booked_invoice"]),
    ("invoices.rules[1].create", None, 16, ["    - {when: sent, create: draft_order}"], ["    - {when: sent}"]),
    ("products.defaults.group", None, 20, ["products:", "    defaults:", "        group: 1"], []),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value", "line", "out", "into"), EDITS)
def test_one_place_changes_and_every_other_character_stays(
    key: str, value: str | None, line: int, out: list[str], into: list[str]
) -> None:
    expected = FILE.split("\n")
    assert expected[line : line + len(out)] == out
    expected[line : line + len(out)] = into
    for newline in ("\n", "\r\n"):
        before = FILE.replace("\n", newline)
        assert edited(before, [Change(key, value)], where="f") == newline.join(expected)


@pytest.mark.parametrize(
    ("text", "key", "value", "expected"),
    [
        ("", "ledger", "economic", "ledger: economic\n"),
        ("# nothing yet", "vat.zones.eu", "7", "# nothing yet\nvat:\n  zones:\n    eu: 7"),
        ("a: 1", "b", "2", "a: 1\nb: 2"),
        ("a:\n", "a.b", "2", "a:\n  b: 2\n"),
        ("a: # why\nb: 1\n", "a.b", "2", "a: # why\n  b: 2\nb: 1\n"),
        ("a: null\n", "a.b", "2", "a: {b: 2}\n"),
        ("a: {}\n", "a.b", "2", "a: {b: 2}\n"),
        ("a: {c: }\n", "a.c.b", "2", "a: {c: {b: 2} }\n"),
        ("a: |\n  text\n  more\nb: 1\n", "a", "short", "a: short\nb: 1\n"),
        ("a: 'x'\n", "a", "a\n b", "a: a b\n"),
        ("a: 1\n", "a", '"x\\ny"', 'a: "x\\ny"\n'),
        ("a: 1\n", "a", "NO", "a: NO\n"),
        ("a: 1\n", "a", "1.10", "a: 1.10\n"),
        ("'a': 1\n", "a", "true", "'a': true\n"),
        ("a: {NO: 1}\n", "a.NO", "2", "a: {NO: 2}\n"),
    ],
)
def test_forms_of_yaml(text: str, key: str, value: str, expected: str) -> None:
    assert edited(text, [Change(key, value)], where="f") == expected


@pytest.mark.parametrize(
    ("text", "key", "value", "says"),
    [
        (FILE, "ledger.x", "1", "plain value"),
        (FILE, "invoices.rules[7].when", "paid", "list of 2"),
        (FILE, "invoices.rules[x].when", "paid", "place in a list"),
        (FILE, "vat.list[0]", "1", "whole list"),
        (FILE, "customers..match", "1", "a key such as"),
        (FILE, "customers.fields.phone", "", "--unset"),
        (FILE, "customers.fields.phone", "{a: ", "broken YAML"),
        (FILE, "customers.fields.phone", "{a: 1, a: 2}", "twice"),
        (FILE, "customers.defaults.layout", None, "not written"),
        (FILE, "invoices.rules[0]", None, "whole list"),
        ("a: &x {c: 1}\nb: *x\n", "a.c", "2", "by hand"),
        ("a: &x {c: 1}\nb: *x\n", "b.c", "2", "by hand"),
        ("a: &x {c: 1}\nb: *x\n", "a", "2", "by hand"),
    ],
)
def test_what_cannot_be_changed_is_refused(text: str, key: str, value: str | None, says: str) -> None:
    with pytest.raises(SettingsError) as raised:
        edited(text, [Change(key, value)], where="f")
    assert says in str(raised.value)


def test_every_change_that_cannot_be_made_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as raised:
        edited(FILE, [Change("ledger.x", "1"), Change("vat.eu", None), Change("ledger", "x"), Change("ledger", "y")], where="f")
    assert [problem.key for problem in raised.value.problems] == ["ledger", "ledger.x", "vat.eu"]


_NAMES = st.text("abcæ NO01:#-.{},'\"", min_size=1, max_size=6).filter(lambda name: name.strip() == name)
_SCALARS = (
    st.none() | st.booleans() | st.integers(-99, 99) | st.text(max_size=12) | st.sampled_from(["NO", "0123", "1e3", "2026-11-02"])
)
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3), max_leaves=6
)


@given(
    data=st.dictionaries(_NAMES, _VALUES, min_size=1, max_size=4),
    place=st.tuples(st.sampled_from(["new", "first"]), _NAMES),
    value=_VALUES,
    form=st.tuples(st.booleans(), st.integers(2, 6)),
)
def test_whatever_the_file_and_the_value_the_result_says_just_that(
    data: dict[str, Any], place: tuple[str, str], value: Any, form: tuple[bool, int]
) -> None:
    (section, target), (flow, indent) = place, form
    text = yaml.safe_dump(
        {"first": {"fields": data}}, default_flow_style=flow or None, indent=indent, allow_unicode=True, width=40
    )
    before = read_mapping(text, "f")
    given_as = yaml.safe_dump(value, allow_unicode=True)
    # PyYAML itself loses a line break of other alphabets at the beginning of a text: then another value was given.
    assume(yaml.safe_load(given_as) == value)
    wanted = copy.deepcopy(before)
    wanted.setdefault(section, {}).setdefault("fields", {})[target] = read_mapping(yaml.safe_dump({"v": value}), "f")["v"]
    after = edited(text, [Change(f"{section}.fields.{target}", given_as)], where="f")
    assert read_mapping(after, "f") == wanted
    if section == "new":
        assert after.startswith(text.rstrip("}\n") if flow else text.rstrip("\n"))
        assert read_mapping(edited(after, [Change(f"new.fields.{target}", None)], where="f"), "f") == before


# -- the file ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "acme.yaml"
    path.write_text(FILE, encoding="utf-8")
    path.chmod(0o640)
    return path


def test_a_file_edited_by_hand_and_by_command_has_the_same_hash(file: Path, tmp_path: Path) -> None:
    changes = [Change("customers.fields.phone", 'metadata."tel. nr"'), Change("invoices.fields.notes.heading", None)]
    proposal = propose(file, changes, catalogues=CATALOGUES)
    write(proposal)
    by_hand = yaml.safe_load(FILE)
    by_hand["customers"]["fields"] = {"phone": 'metadata."tel. nr"'}
    del by_hand["invoices"]["fields"]
    other = tmp_path / "other"
    other.mkdir()
    assert (
        load(other, by_hand).hash
        == proposal.after.hash
        == propose(file, [Change("write_mode", "dry_run")], catalogues=CATALOGUES).after.hash
    )
    assert proposal.before is not None
    assert proposal.before.hash != proposal.after.hash


def test_a_file_that_would_be_wrong_stays_byte_for_byte_and_every_problem_is_told(file: Path) -> None:
    changes = [Change("customers.fields.fone", "phone"), Change("invoices.rules[0].when", "payed"), Change("write_mode", "maybe")]
    with pytest.raises(SettingsError) as raised:
        propose(file, changes, catalogues=CATALOGUES)
    assert {problem.key.partition(" (")[0] for problem in raised.value.problems} == {"invoices.rules[0].when", "write_mode"}
    with pytest.raises(SettingsError, match="did you mean phone"):
        propose(file, changes[:1], catalogues=CATALOGUES)
    assert file.read_text(encoding="utf-8") == FILE
    assert [one.name for one in file.parent.iterdir()] == ["acme.yaml"]


def test_writing_keeps_permissions_and_a_link_and_leaves_nothing_beside(file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "linked"
    folder.mkdir()
    link = folder / "acme.yaml"
    link.symlink_to(file)
    write(propose(link, [Change("write_mode", "write")], catalogues=CATALOGUES))
    assert link.is_symlink()
    assert file.read_text(encoding="utf-8").count("write_mode: write") == 1
    assert file.stat().st_mode & 0o777 == 0o640
    assert sorted(one.name for one in tmp_path.iterdir()) == ["acme.yaml", "linked"]


def test_an_edit_by_somebody_else_meanwhile_is_not_overwritten(file: Path) -> None:
    proposal = propose(file, [Change("write_mode", "write")], catalogues=CATALOGUES)
    file.write_text(FILE + "\nwrite_mode: read_only\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="somebody else"):
        write(proposal)
    assert "read_only" in file.read_text(encoding="utf-8")


def test_a_failed_write_leaves_the_file_as_it_was(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    proposal = propose(file, [Change("write_mode", "write")], catalogues=CATALOGUES)
    monkeypatch.setattr("cloudify_pipeline.settings.change.os.fsync", full)
    with pytest.raises(SettingsError, match="must be writable"):
        write(proposal)
    assert file.read_text(encoding="utf-8") == FILE
    assert [one.name for one in file.parent.iterdir()] == ["acme.yaml"]


@pytest.mark.parametrize("value", ["sk_live_51Abc", "{env: sk_live_51Abc}", "hunter2", "{value: hunter2}"])
def test_a_literal_secret_is_refused_and_not_repeated(file: Path, value: str) -> None:
    with pytest.raises(SettingsError) as raised:
        propose(file, [Change("stripe.api_key", value)], catalogues=CATALOGUES)
    assert "stripe.api_key" in str(raised.value)
    assert "hunter2" not in str(raised.value)
    assert "sk_live" not in str(raised.value)


def test_mending_a_literal_secret_does_not_show_it_in_the_diff(file: Path) -> None:
    file.write_text(FILE.replace("{api_key: {env: KEY}}", "{api_key: hunter2}"), encoding="utf-8")
    proposal = propose(file, [Change("stripe.api_key", "{env: KEY}")], catalogues=CATALOGUES)
    assert proposal.before is None
    shown = "\n".join(proposal.diff())
    assert "+stripe: {api_key: {env: KEY}}      # restricted" in shown
    assert "hunter2" not in shown + repr(proposal)
    assert "is not repeated" in shown
