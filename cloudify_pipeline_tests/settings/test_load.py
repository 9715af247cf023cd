import datetime
import traceback
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import Field

from cloudify_pipeline.errors import SettingsError
from cloudify_pipeline.settings.load import checked_hash, settings_hash
from cloudify_pipeline.settings.models import ConnectionSettings, InvoiceRule, InvoiceSettings, MatchPair, Section
from cloudify_pipeline.settings.secrets import Secret
from cloudify_pipeline_tests.settings.files import SMALLEST, changed, load, refused


def test_the_smallest_file_has_every_default(tmp_path: Path) -> None:
    loaded = load(tmp_path, SMALLEST)
    assert loaded.name == "acme"
    assert loaded.settings.write_mode == "dry_run"
    assert loaded.settings.customers.match[0] == MatchPair(stripe="metadata.economic_customer_number", ledger="number")
    assert loaded.settings.stripe.api_key == Secret("env", "STRIPE_API_KEY")
    assert loaded.warnings == ()


def test_every_mistake_is_reported_at_once_with_its_line(tmp_path: Path) -> None:
    text = """\
stripe: {api_key: {env: STRIPE_API_KEY}}
ledger: economic
economic: {app_secret_token: {env: A}, agreement_grant_token: {env: B}}
writemode: write
customers:
  on_not_found: guess
  defaults: {group: 1}
products:
  defaults: {group: 1}
invoices:
  rules:
    - {when: payed, create: booked_invoice}
"""
    with pytest.raises(SettingsError) as raised:
        load(tmp_path, text)
    message = str(raised.value)
    assert "writemode (line 4): found an unknown key; did you mean write_mode?" in message
    assert "customers.on_not_found (line 6): found 'guess'; allowed: 'create', 'default_customer' or 'hold'" in message
    assert "customers.defaults.payment_terms (line 7): found nothing; it is required" in message
    assert "invoices.rules[0].when (line 12): found 'payed'; allowed: 'sent', 'finalized' or 'paid'" in message
    assert len(raised.value.problems) == 4


@pytest.mark.parametrize(
    ("file", "key", "says"),
    [
        ("a: &x [*x]", "file", "contains itself"),
        ("ledger: [", "file", "broken YAML at line 1"),
        ("- a", "file", "sections such as"),
        (changed(customers__on_notfound="hold"), "customers.on_notfound", "did you mean on_not_found?"),
        (changed(invoices={"rules": [{"when": "paid", "create": "booked_invoice", "iff": {}}]}), "invoices.rules[0].iff", "if"),
        (changed(invoices={"rules": [{"when": "paid", "create": "x"}]}), "invoices.rules[0].create", "draft_order"),
        (changed(customers__defaults__payment_terms=[1]), "customers.defaults.payment_terms", "a list"),
        (changed(customers=7), "customers", "a section with keys"),
        (changed(limits={"max_documents_per_run": 0}), "limits.max_documents_per_run", "greater than or equal to 1"),
        (changed(go_live_from=datetime.datetime(2026, 11, 1)), "go_live_from", "needs a time zone"),  # noqa: DTZ001
        ({key: value for key, value in SMALLEST.items() if key != "stripe"}, "stripe", "it is required"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, file: dict[str, Any] | str, key: str, says: str) -> None:
    found = refused(tmp_path, file)
    assert list(found) == [key]
    assert says in found[key]


@pytest.mark.parametrize(
    "secret", ["sk_live_51Abc", {"env": "sk_live_51Abc"}, "hunter2", {"env": "X", "value": "hunter2"}, {"value": "hunter2"}]
)
@pytest.mark.parametrize("place", ["stripe__api_key", "economic__app_secret_token", "economic__agreement_grant_token"])
def test_a_literal_secret_is_refused_by_name_and_never_repeated(tmp_path: Path, place: str, secret: Any) -> None:
    with pytest.raises(SettingsError) as raised:
        load(tmp_path, changed(**{place: secret}))
    everything = "".join(traceback.format_exception(raised.value)) + repr(raised.value) + repr(vars(raised.value))
    assert place.replace("__", ".") in str(raised.value)
    assert "{env: NAME}" in str(raised.value)
    assert "hunter2" not in everything
    assert "sk_live" not in everything
    chained = raised.value.__cause__ or raised.value.__context__
    assert chained is None


@pytest.mark.parametrize(
    "text", ["stripe: {api_key: sk_live_51Abc", "api_key: sk_live_51Abc: x", "- sk_live_51Abc", "sk_live_51Abc"]
)
def test_broken_yaml_does_not_repeat_its_text(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load(tmp_path, text)
    assert "sk_live" not in "".join(traceback.format_exception(raised.value))


def test_a_token_one_level_too_high_is_not_repeated(tmp_path: Path) -> None:
    assert refused(tmp_path, changed(economic="hunter2")) == {
        "economic": "a plain value; a section with keys of its own is needed"
    }


def test_a_secret_need_not_exist_when_the_file_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STRIPE_API_KEY", raising=False)
    with pytest.raises(SettingsError, match="STRIPE_API_KEY"):
        load(tmp_path, SMALLEST).settings.stripe.api_key.reveal("stripe.api_key")


def test_a_key_written_twice_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path, "ledger: economic\nledger: economic\n") == {"ledger": "the key twice (line 2); once"}


def test_yaml_does_not_reinterpret_what_people_write(tmp_path: Path) -> None:
    text = yaml.safe_dump(SMALLEST) + (
        "vat: {countries: {NO: abroad, GL: 3}}\n"
        "invoices: {rules: [{when: paid, create: draft_invoice, if: {country: [NO], amount: {gte: 0.10}}}]}\n"
    )
    loaded = load(tmp_path, text.replace("products:\n", "products:\n  no_product: 0123\n  default_product: 42\n"))
    rule = loaded.settings.invoices.rules[0].if_
    assert rule is not None
    assert rule.country == ["NO"]
    assert rule.amount == {"gte": Decimal("0.10")}
    assert loaded.settings.vat.countries == {"NO": "abroad", "GL": 3}
    assert (loaded.settings.products.no_product, loaded.settings.products.default_product) == ("0123", "42")


def test_mappings_are_compiled_and_invoice_fields_are_divided(tmp_path: Path) -> None:
    fields = {"notes.heading": {"template": "PO {metadata.po}"}, "lines.description": "price.metadata.text"}
    mappings = load(tmp_path, changed(invoices={"fields": fields}, customers__fields={"email": None})).mappings
    assert [str(one.sources[0]) for one in mappings.documents.mappings] == ['template "PO {metadata.po}"']
    assert [(one.target.path, str(one.sources[0])) for one in mappings.lines.mappings] == [("description", "price.metadata.text")]
    assert [one.target.path for one in mappings.customers.mappings] == ["name"]
    assert [str(one.sources[0]) for one in mappings.charges.mappings] == ['template "PO {metadata.po}"']


def test_a_charge_keeps_its_own_mapping_where_the_written_one_is_about_invoices(tmp_path: Path) -> None:
    mappings = load(tmp_path, changed(invoices={"fields": {"notes.heading": "number"}})).mappings
    assert [str(one.sources[0]) for one in mappings.documents.mappings] == ["number"]
    assert [str(one.sources[0]) for one in mappings.charges.mappings] == ['template "Stripe payment {id}"']


def test_mistakes_in_mappings_name_the_key(tmp_path: Path) -> None:
    fields = {"notes.headin": "number", "lines.description": "metadata.order ref", "references.other": "number"}
    found = refused(tmp_path, changed(invoices={"fields": fields}, customers__fields={"phone": "fone"}))
    assert "did you mean notes.heading?" in found["invoices.fields.notes.headin"]
    assert 'metadata."order ref"' in found["invoices.fields.lines.description"]
    assert "durable key" in found["invoices.fields.references.other"]
    assert "did you mean phone?" in found["customers.fields.phone"]


def test_the_hash_names_the_effective_settings(tmp_path: Path) -> None:
    plain = load(tmp_path, SMALLEST).hash
    assert load(tmp_path, changed(write_mode="dry_run")).hash == plain
    assert load(tmp_path, dict(reversed(SMALLEST.items()))).hash == plain
    assert load(tmp_path, changed(write_mode="write")).hash != plain
    assert load(tmp_path, changed(stripe__api_key={"env": "OTHER"})).hash != plain
    assert len(plain) == 64


class _Courier(Section):
    company: str = "PostNord"
    tracked: bool = False


class _LaterRule(InvoiceRule):
    courier: _Courier = _Courier()


class _LaterInvoices(InvoiceSettings):
    rules: list[_LaterRule] = Field(  # type: ignore[assignment]
        default_factory=lambda: [_LaterRule(when="paid", create="booked_invoice")]
    )
    remind_after_days: int | None = None


class _LaterSettings(ConnectionSettings):
    """As a later release has them: a new section, and new keys in an old one and in each item of a list."""

    invoices: _LaterInvoices = _LaterInvoices()
    couriers: list[_Courier] = Field(default_factory=list)
    shipping: _Courier = Field(default_factory=_Courier)


RULES = {"rules": [{"when": "finalized", "create": "draft_invoice"}, {"when": "paid", "create": "booked_invoice"}]}


@pytest.mark.parametrize("named", [settings_hash, checked_hash])
@pytest.mark.parametrize("invoices", [None, RULES])
def test_a_key_that_a_later_release_adds_changes_no_hash_at_its_default(
    named: Callable[[ConnectionSettings], str], invoices: dict[str, Any] | None
) -> None:
    written = SMALLEST if invoices is None else changed(invoices=invoices)
    before = named(ConnectionSettings.model_validate(written))
    assert named(_LaterSettings.model_validate(written)) == before
    assert named(_LaterSettings.model_validate({**written, "shipping": {"company": "PostNord"}})) == before
    written_invoices: dict[str, Any] = {**(invoices or {}), "remind_after_days": 8}
    others: list[dict[str, Any]] = [{"shipping": {"tracked": True}}, {"couriers": [{}]}, {"invoices": written_invoices}]
    for more in others:
        assert named(_LaterSettings.model_validate({**written, **more})) != before


def test_every_setting_but_the_write_mode_is_in_the_hash_of_a_check(tmp_path: Path) -> None:
    def named(**keys: Any) -> str:
        return checked_hash(load(tmp_path, changed(**keys)).settings)

    plain = checked_hash(load(tmp_path, SMALLEST).settings)
    assert named(write_mode="write") == named(write_mode="read_only") == plain
    others = [
        named(stripe__api_key={"env": "OTHER"}),
        named(economic__api_base="http://127.0.0.1:9"),
        named(economic__agreement_number=7654321),
        named(customers__defaults={"payment_terms": 1, "group": 2}),
        named(customers__fields={"phone": "phone"}),
        named(vat={"countries": {"GL": "abroad"}}),
        named(invoices=RULES),
    ]
    assert len({plain, *others}) == 1 + len(others)
