from pathlib import Path
from typing import Any

import pytest

from cloudify_pipeline.settings.rules import RULES
from cloudify_pipeline.settings.vat_rules import is_country
from cloudify_pipeline_tests.settings.files import SMALLEST, changed, load, refused

PAID = {"when": "paid", "create": "booked_invoice"}


def _rules(*conditions: dict[str, Any] | None) -> dict[str, Any]:
    return {"rules": [{**PAID, "if": one} if one is not None else PAID for one in conditions]}


REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    ("alerts_can_be_told", changed(alerts=[{"to": "webhook"}]), "alerts[0].url", "to: webhook needs it: {env: NAME}"),
    (
        "alerts_can_be_told",
        changed(alerts=[{"to": "log"}, {"to": "email", "address": "a@b.dk"}]),
        "alerts[1].smtp",
        "smtp://user:password@host:587",
    ),
    ("alerts_can_be_told", changed(alerts=[{"to": "email", "smtp": {"env": "S"}}]), "alerts[0].address", "to: email needs it"),
    ("alerts_can_be_told", changed(alerts=[{"to": "log", "address": "a@b.dk"}]), "alerts[0].address", "does not use it"),
    ("alerts_can_be_told", changed(alerts=[{"to": "log", "on": []}]), "alerts[0].on", "what to tell"),
    (
        "alerts_can_be_told",
        changed(alerts=[{"to": "email", "smtp": {"env": "S"}, "address": "a@b.dk, c@d.dk"}]),
        "alerts[0].address",
        "one e-mail address",
    ),
    (
        "ledger_has_its_section",
        {key: value for key, value in SMALLEST.items() if key != "economic"},
        "economic",
        "needs this section",
    ),
    ("plain_http_only_to_this_machine", changed(stripe__api_base="http://api.stripe.com"), "stripe.api_base", "https://"),
    ("plain_http_only_to_this_machine", changed(economic__openapi_base="ftp://x"), "economic.openapi_base", "https://"),
    (
        "plain_http_only_to_this_machine",
        changed(vat={"evidence": {"api_base": "http://ec.europa.eu"}}),
        "vat.evidence.api_base",
        "https://",
    ),
    *(
        (
            "vat_evidence_can_be_shown",
            changed(vat={"evidence": {"vies": True, "requester": number}}),
            "vat.evidence.requester",
            "own VAT number",
        )
        for number in ("13585628", "DK13585629", "GB123456789")
    ),
    ("plain_http_only_to_this_machine", changed(stripe__api_base="http://localhost.evil.dk"), "stripe.api_base", "https://"),
    (
        "one_product_method",
        changed(products__links={"prod_1": "1"}, products__match=[{"stripe": "id", "ledger": "number"}]),
        "products.match",
        "exactly one method",
    ),
    ("default_customer_is_named", changed(customers__on_not_found="default_customer"), "customers.default_customer", "number"),
    ("default_customer_is_named", changed(customers__default_customer=0), "customers.default_customer", "1 to 999999999"),
    ("default_product_is_named", changed(products__on_not_found="default_product"), "products.default_product", "number"),
    ("discount_product_is_named", changed(invoices={"discounts": "product_line"}), "products.discount_product", "number"),
    (
        "number_comes_from_one_side",
        changed(customers__number={"source": "stripe", "store_in": None}),
        "customers.number.stripe_field",
        "needs the Stripe field",
    ),
    (
        "number_comes_from_one_side",
        changed(customers__number={"source": "stripe", "stripe_field": "metadata.no"}),
        "customers.number.store_in",
        "store_in: null",
    ),
    (
        "number_comes_from_one_side",
        changed(customers__number={"stripe_field": "metadata.no"}),
        "customers.number.stripe_field",
        "only with source: stripe",
    ),
    (
        "number_is_stored_in_metadata",
        changed(customers__number={"store_in": "name"}),
        "customers.number.store_in",
        "metadata.<key>",
    ),
    (
        "number_is_stored_in_metadata",
        changed(customers__number={"store_in": "metadata." + "k" * 41}),
        "customers.number.store_in",
        "40 characters",
    ),
    (
        "number_is_stored_in_metadata",
        changed(customers__number={"store_in": 'metadata."a[b]"'}),
        "customers.number.store_in",
        "square brackets",
    ),
    (
        "written_back_keys_are_not_read",
        changed(invoices={"fields": {"notes.heading": {"template": "{number} {metadata.ledger_status}"}}}),
        "invoices.fields.notes.heading",
        "invoices.write_back writes this one itself",
    ),
    (
        "written_back_keys_are_not_read",
        changed(invoices={"fields": {"notes.heading": ["metadata.po", {"from": 'metadata."ledger_document"'}]}}),
        "invoices.fields.notes.heading",
        "metadata.ledger_document",
    ),
    (
        "written_back_keys_are_not_read",
        changed(invoices=_rules({"metadata": {"ledger_error": None}})),
        "invoices.rules[0].if.metadata.ledger_error",
        "another key",
    ),
    (
        "rate_comes_from_one_source",
        changed(
            invoices={"exchange_rate": "stripe", "fields": {"exchangeRate": {"from": "metadata.rate", "transform": ["number"]}}}
        ),
        "invoices.fields.exchangeRate",
        "invoices.exchange_rate: ledger with this mapping, or stripe without it",
    ),
    (
        "number_field_exists",
        changed(customers__number={"source": "stripe", "store_in": None, "stripe_field": "metdata.no"}),
        "customers.number.stripe_field",
        "no Stripe customer has such a field",
    ),
    ("some_match_pair", changed(customers__match=[]), "customers.match", "at least one pair"),
    ("some_match_pair", changed(products__match=[]), "products.match", "at least one pair"),
    (
        "match_pairs_can_be_looked_up",
        changed(customers__match=[{"stripe": "phone", "ledger": "phone"}]),
        "customers.match[0].ledger",
        "allowed: email, name, number",
    ),
    (
        "match_pairs_can_be_looked_up",
        changed(customers__match=[{"stripe": "emial", "ledger": "email"}]),
        "customers.match[0].stripe",
        "did you mean email?",
    ),
    (
        "match_pairs_can_be_looked_up",
        changed(products__match=[{"stripe": "metadata.my sku", "ledger": "number"}]),
        "products.match[0].stripe",
        'metadata."my sku"',
    ),
    ("some_invoice_rule", changed(invoices={"rules": []}), "invoices.rules", "at least one rule"),
    (
        "conditions_name_real_codes",
        changed(invoices=_rules({"country": ["DK", "Danmark"]})),
        "invoices.rules[0].if.country",
        "DK",
    ),
    (
        "conditions_name_real_codes",
        changed(invoices=_rules({"currency": ["dkk", "kr."]})),
        "invoices.rules[0].if.currency",
        "DKK",
    ),
    ("default_currency_is_one", changed(customers__defaults__currency="kroner"), "customers.defaults.currency", "from_stripe"),
    ("vat_countries_are_countries", changed(vat={"countries": {"QQ": "eu"}}), "vat.countries.QQ", "country code"),
    ("vat_countries_are_countries", changed(vat={"countries": {"QQ-35": "eu"}}), "vat.countries.QQ-35", "postal code"),
    ("vat_zone_paths_exist", changed(vat={"zone_from": ["metadta.zone"]}), "vat.zone_from[0]", "no Stripe invoice has"),
    ("vat_zone_paths_exist", changed(vat={"zone_from": ["metadata.vat zone"]}), "vat.zone_from[0]", 'metadata."vat zone"'),
    ("vat_zone_paths_exist", changed(vat={"zone_from": ["metadata.ledger_status"]}), "vat.zone_from[0]", "write_back"),
    ("one_stop_shop_is_for_other_member_states", changed(vat={"oss": {"zones": {"DK": 5}}}), "vat.oss.zones.DK", "member state"),
    ("one_stop_shop_is_for_other_member_states", changed(vat={"oss": {"zones": {"US": 5}}}), "vat.oss.zones.US", "member state"),
    ("one_stop_shop_is_for_other_member_states", changed(vat={"oss": {"from": "2026-01-01"}}), "vat.oss.from", "vat.oss.zones"),
    (
        "reverse_charge_texts_can_be_written",
        changed(vat={"reverse_charge_text": {"da": " "}}),
        "vat.reverse_charge_text.da",
        "words that the invoice must carry",
    ),
    (
        "reverse_charge_texts_can_be_written",
        changed(vat={"reverse_charge_text": {"da": "Omvendt, {momsnr}"}}),
        "vat.reverse_charge_text.da",
        "only {vat_number}",
    ),
    (
        "reverse_charge_texts_can_be_written",
        changed(vat={"reverse_charge_text": {"dansk": "Omvendt betalingspligt"}}),
        "vat.reverse_charge_text.dansk",
        "such as da",
    ),
    (
        "reverse_charge_field_exists",
        changed(vat={"reverse_charge_field": "notes.textLine9"}),
        "vat.reverse_charge_field",
        "null for a line of text",
    ),
]


@pytest.mark.parametrize(("rule", "file", "key", "says"), REFUSED)
def test_a_broken_rule_is_refused(tmp_path: Path, rule: str, file: dict[str, Any], key: str, says: str) -> None:
    found = refused(tmp_path, file)
    assert list(found) == [key], rule
    assert says in found[key]


WARNED: list[tuple[str, dict[str, Any], str]] = [
    ("names_are_not_unique", changed(customers__match=[{"stripe": "name", "ledger": "name"}]), "only the name is matched"),
    (
        "create_without_a_pair_doubles",
        changed(customers__on_empty_match_field="create", customers__match=[{"stripe": "email", "ledger": "email"}]),
        "single match pair",
    ),
    ("rules_can_be_reached", changed(invoices=_rules(None, {"country": ["DK"]})), "never reached: rule 1"),
    (
        "rules_can_be_reached",
        changed(invoices={"rules": [{"when": "finalized", "create": "draft_order"}, PAID]}),
        "never reached: rule 1",
    ),
    (
        "match_pairs_can_be_looked_up",
        changed(customers__match=[{"stripe": "phone", "ledger": "email"}, {"stripe": "email", "ledger": "email"}]),
        "different things",
    ),
    ("vat_evidence_can_be_shown", changed(vat={"evidence": {"vies": True}}), "no consultation number"),
    ("vat_evidence_can_be_shown", changed(vat={"evidence": {"requester": "DK13585628"}}), "vies: true only"),
]


@pytest.mark.parametrize(("rule", "file", "says"), WARNED)
def test_an_odd_choice_warns(tmp_path: Path, rule: str, file: dict[str, Any], says: str) -> None:
    warnings = load(tmp_path, file).warnings
    assert len(warnings) == 1, rule
    assert says in warnings[0]


@pytest.mark.parametrize(
    "file",
    [
        changed(
            stripe__api_base="http://127.0.0.1:8000",
            economic__api_base="http://localhost:1",
            economic__openapi_base="http://[::1]:2",
        ),
        changed(products__links={"prod_1": 1001}),
        changed(customers__on_not_found="default_customer", customers__default_customer=1),
        changed(customers__number={"source": "stripe", "store_in": None, "stripe_field": "metadata.no"}),
        changed(customers__number={"store_in": 'metadata."ledger number"'}),
        changed(customers__match=[{"stripe": "metadata.no", "ledger": "number"}, {"stripe": "name", "ledger": "name"}]),
        changed(invoices=_rules({"country": ["dk", "GL"], "currency": ["eur"]}, None)),
        changed(invoices={"rules": [{**PAID, "vat_zone": "domestic_exempt", "if": {"metadata": {"x": "y"}}}, PAID]}),
        changed(vat={"countries": {"XI": "eu", "ax": "abroad", "DE-78266": "abroad", "ES-35": 3}}),
        changed(vat={"zone_from": ["metadata.vat_zone"], "supply_default": "goods"}),
        changed(vat={"oss": {"zones": {"DE": 11, "se": "OSS-SE", "XI": 13}, "from": "2026-01-01"}}),
        changed(vat={"reverse_charge_text": {"da": "Omvendt betalingspligt, {vat_number}", "cs": "Daň odvede zákazník"}}),
        changed(vat={"evidence": {"vies": True, "requester": "dk 13 58 56 28", "valid_days": 90}}),
        changed(vat={"evidence": {"valid_days": 1}}),
        changed(vat={"reverse_charge_field": None}),
        changed(vat={"reverse_charge_field": "notes.heading"}),
    ],
)
def test_what_the_rules_allow(tmp_path: Path, file: dict[str, Any]) -> None:
    assert load(tmp_path, file).warnings == ()


def test_every_rule_has_its_own_test() -> None:
    tested = {rule for rule, *_ in REFUSED} | {rule for rule, *_ in WARNED}
    assert tested == {rule.__name__ for rule in RULES}


@pytest.mark.parametrize(("code", "known"), [("DK", True), ("gl", True), ("EU", False), ("D", False), ("ÆØ", False)])
def test_countries(code: str, known: bool) -> None:
    assert is_country(code) is known
