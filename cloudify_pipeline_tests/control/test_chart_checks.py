"""Every number of a connection file is held against the chart before anything is sent."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from cloudify_pipeline.accounting.chart import (
    AccountingPeriod,
    Chart,
    Named,
    PaymentTerms,
    SalesAccount,
    VatCode,
    VatZone,
)
from cloudify_pipeline.accounting.parties import LedgerRecord
from cloudify_pipeline.control.chart_checks import Checked, check_chart, named_customers, named_products
from cloudify_pipeline.control.planner import Planned
from cloudify_pipeline.settings.models import ConnectionSettings

NOW = datetime(2026, 11, 15, 12, tzinfo=UTC)


def chart(**changed: Any) -> Chart:
    """Two product groups (3 with VAT, 4 without) in zones 1 to 4; zone 9 is for suppliers only."""
    rates = {1: "U25", 2: "UEU", 3: "ABR", 4: None}
    given: dict[str, Any] = {
        "base_currency": "DKK",
        "currencies": frozenset({"DKK", "EUR"}),
        "vat_zones": {n: VatZone(n, f"zone {n}", enabled=n != 9) for n in (1, 2, 3, 4, 9)},
        "vat_codes": {
            "U25": VatCode("U25", "Salgsmoms", Decimal(25)),
            "UEU": VatCode("UEU", "EU", Decimal(0)),
            "ABR": VatCode("ABR", "Eksport", Decimal(0)),
        },
        "product_groups": {3: Named(3, "Ydelser"), 4: Named(4, "Ydelser u/moms"), 8: Named(8, "Lukket", barred=True)},
        "sales_accounts": {
            **{(3, zone): SalesAccount(1110 + zone, code) for zone, code in rates.items()},
            **{(4, zone): SalesAccount(1150 + zone, None) for zone in rates},
        },
        "customer_groups": {1: Named(1, "Indland")},
        "payment_terms": {1: PaymentTerms(1, "Netto 8 dage", "net", 8)},
        "layouts": {19: Named(19, "Dansk")},
        "units": {2: Named(2, "mdr.")},
        "periods": (AccountingPeriod(date(2026, 1, 1), date(2026, 12, 31)),),
    }
    return Chart(**{**given, **changed})


def settings(**sections: dict[str, Any]) -> ConnectionSettings:
    written: dict[str, Any] = {
        "stripe": {"api_key": {"env": "KEY"}},
        "ledger": "economic",
        "economic": {"app_secret_token": {"env": "A"}, "agreement_grant_token": {"env": "B"}},
        "customers": {"defaults": {"payment_terms": 1, "group": 1}},
        "products": {"defaults": {"group": 3, "unit": 2}},
    }
    for name, keys in sections.items():
        written[name] = {**written.get(name, {}), **keys} if isinstance(keys, dict) else keys
    return ConnectionSettings.model_validate(written)


def findings(
    written: ConnectionSettings,
    books: Chart | None = None,
    *,
    products: dict[str, LedgerRecord | None] | None = None,
    currencies: dict[str, Decimal] | None = None,
) -> dict[str, Checked]:
    found = check_chart(written, books or chart(), {}, products or {}, Planned(), currencies=currencies or {}, now=NOW)
    return {one.key: one for one in found}


def test_settings_that_agree_with_the_chart_give_no_finding() -> None:
    assert findings(settings()) == {}


@pytest.mark.parametrize(
    ("section", "keys", "key", "words"),
    [
        ("customers", {"defaults": {"payment_terms": 7, "group": 1}}, "customers.defaults.payment_terms", "1 (Netto 8 dage)"),
        ("customers", {"defaults": {"payment_terms": 1, "group": 5}}, "customers.defaults.group", "1 (Indland)"),
        ("customers", {"defaults": {"payment_terms": 1, "group": 1, "layout": 20}}, "customers.defaults.layout", "19 (Dansk)"),
        ("products", {"defaults": {"group": 99}}, "products.defaults.group", "3 (Ydelser)"),
        ("products", {"defaults": {"group": 8}}, "products.defaults.group", "barred"),
        ("products", {"defaults": {"group": 3, "unit": 5}}, "products.defaults.unit", "2 (mdr.)"),
        ("invoices", {"layout": 20}, "invoices.layout", "19 (Dansk)"),
        ("vat", {"supply": {"UEUX": "goods"}}, "vat.supply.UEUX", "UEU (EU)"),
        ("vat", {"zones": {"eu": 7}}, "vat.zones.eu", "VAT zone 7"),
        ("vat", {"zones": {"eu": 9}}, "vat.zones.eu", "not enabled"),
        ("vat", {"countries": {"NO": 12}}, "vat.countries.NO", "VAT zone 12"),
        ("customers", {"defaults": {"payment_terms": 1, "group": 1, "vat_zone": 6}}, "customers.defaults.vat_zone", "VAT zone 6"),
        (
            "customers",
            {"defaults": {"payment_terms": 1, "group": 1, "currency": "JPY"}},
            "customers.defaults.currency",
            "JPY is not set up",
        ),
    ],
)
def test_a_number_that_the_ledger_lacks_is_an_error_with_what_there_is(
    section: str, keys: dict[str, Any], key: str, words: str
) -> None:
    found = findings(settings(**{section: keys}))[key]
    assert found.severity == "error"
    assert words in found.found
    assert found.remedy


def test_a_hole_in_the_vat_matrix_is_named_with_group_and_zone() -> None:
    cells = {cell: account for cell, account in chart().sales_accounts.items() if cell != (3, 2)}
    found = findings(settings(), chart(sales_accounts=cells))["products.defaults.group"]
    assert (found.code, found.severity) == ("E-PROD-GROUP", "warning")
    assert "product group 3 (Ydelser) has no usable sales account in VAT zone 2 (zone 2)" in found.found


def test_a_barred_vat_code_is_a_hole_too() -> None:
    codes = {**chart().vat_codes, "U25": VatCode("U25", "Salgsmoms", Decimal(25), barred=True)}
    assert "VAT zone 1" in findings(settings(), chart(vat_codes=codes))["products.defaults.group"].found


def test_products_that_the_settings_name_must_exist_unbarred() -> None:
    written = settings(products={"no_product": "STRIPE", "discount_product": "RABAT", "links": {"prod_1": "OLD"}})
    named = named_products(written)
    assert named == {"products.no_product": "STRIPE", "products.discount_product": "RABAT", "products.links.prod_1": "OLD"}
    records = {
        "products.no_product": LedgerRecord("STRIPE", "Stripe-salg", False, {}, 3),
        "products.discount_product": None,
        "products.links.prod_1": LedgerRecord("OLD", "Udgået", True, {}, 3),
    }
    found = findings(written, products=records)
    assert {key: one.code for key, one in found.items()} == {
        "products.discount_product": "E-PROD-MISSING",
        "products.links.prod_1": "E-PROD-BARRED",
    }


def test_the_default_customer_is_asked_for_by_number() -> None:
    assert named_customers(settings()) == {}
    assert named_customers(settings(customers={"default_customer": 12})) == {"customers.default_customer": "12"}


@pytest.mark.parametrize(("group", "error"), [(3, True), (4, False)])
def test_a_correction_line_must_not_bear_vat(group: int, error: bool) -> None:
    record = LedgerRecord("ØRE", "Øreafrunding", False, {}, group)
    found = findings(settings(products={"rounding_product": "ØRE"}), products={"products.rounding_product": record})
    assert ("products.rounding_product" in found) is error


def test_a_staged_currency_that_the_ledger_lacks_is_told_with_its_sum() -> None:
    found = findings(settings(), currencies={"DKK": Decimal("100.00"), "USD": Decimal("1250.50")})
    assert list(found) == ["currency"]
    assert "1,250.50 USD" in found["currency"].found


YEARS = (
    AccountingPeriod(date(2025, 1, 1), date(2025, 12, 31), closed=True),
    AccountingPeriod(date(2026, 1, 1), date(2026, 1, 31), barred=True),
    AccountingPeriod(date(2026, 2, 1), date(2026, 12, 31)),
    AccountingPeriod(date(2027, 1, 1), date(2027, 1, 31), barred=True),
    AccountingPeriod(date(2027, 2, 1), date(2027, 5, 31)),
)


@pytest.mark.parametrize(
    ("go_live", "closed_period", "words"),
    [
        ("2026-02-01T00:00:00+01:00", "hold", None),
        ("2026-11-15T00:00:00+01:00", "hold", None),
        ("2025-06-01T00:00:00+02:00", "hold", "2025-06-01 lies in a closed period (2025-01-01 to 2025-12-31)"),
        ("2026-01-15T00:00:00+01:00", "hold", "in a barred period (2026-01-01 to 2026-01-31): what was invoiced then is held"),
        ("2024-06-01T00:00:00+02:00", "hold", "2024-06-01 lies in no accounting year: what was invoiced then is held"),
        ("2024-06-01T00:00:00+02:00", "first_open_day", "what was invoiced then is dated 2026-02-01"),
        ("2027-06-01T00:00:00+02:00", "first_open_day", "what was invoiced then is held"),
        ("2027-01-15T00:00:00+01:00", "first_open_day", "what was invoiced then is held until 2027-02-01"),
    ],
)
def test_go_live_lies_in_an_open_accounting_year(go_live: str, closed_period: str, words: str | None) -> None:
    written = settings(go_live_from=go_live, invoices={"closed_period": closed_period})  # type: ignore[arg-type]
    found = findings(written, chart(periods=YEARS))
    assert "accounting year" not in found, "today is open"
    assert ("go_live_from" in found) is (words is not None)
    if words is not None:
        assert found["go_live_from"].code == "E-PERIOD"
        assert words in found["go_live_from"].found


def test_today_in_a_closed_year_is_told() -> None:
    found = findings(settings(), chart(periods=YEARS[:2]))["accounting year"]
    assert found.found == "today, 2026-11-15, lies in no accounting year"


@pytest.mark.parametrize(
    ("vat", "rules", "key"),
    [
        ({"oss": {"zones": {"DE": 77}}}, [{"when": "paid", "create": "booked_invoice"}], "vat.oss.zones.DE"),
        ({"countries": {"GL": 77}}, [{"when": "paid", "create": "booked_invoice"}], "vat.countries.GL"),
        ({"zones": {"eu": 77}}, [{"when": "paid", "create": "booked_invoice"}], "vat.zones.eu"),
        ({}, [{"when": "paid", "create": "booked_invoice", "vat_zone": 77}], "invoices.rules[0].vat_zone"),
    ],
)
def test_every_zone_that_a_document_can_come_into_exists(vat: dict[str, Any], rules: list[dict[str, Any]], key: str) -> None:
    found = findings(settings(vat=vat, invoices={"rules": rules}))[key]
    assert (found.severity, found.code) == ("error", "E-VAT-ZONE")
    assert "VAT zone 77 is not in the ledger" in found.found


def test_a_rule_may_name_a_zone_by_its_word() -> None:
    rules = [{"when": "paid", "create": "booked_invoice", "vat_zone": "domestic_exempt"}]
    assert findings(settings(invoices={"rules": rules})) == {}


def test_settings_that_fit_the_chart_find_nothing() -> None:
    """The passing side of every one of them: zones, numbers, matrix, rounding product, currencies, periods."""
    written = settings(
        customers={"defaults": {"payment_terms": 1, "group": 1, "layout": 19, "currency": "EUR"}, "default_customer": 12},
        products={"no_product": "STRIPE", "rounding_product": "ØRE"},
        go_live_from="2026-03-01T00:00:00+01:00",  # type: ignore[arg-type]
    )
    products: dict[str, LedgerRecord | None] = {
        "products.no_product": LedgerRecord("STRIPE", "Stripe-salg", False, {}, 3),
        "products.rounding_product": LedgerRecord("ØRE", "Øreafrunding", False, {}, 4),
    }
    assert findings(written, products=products, currencies={"DKK": Decimal(1), "EUR": Decimal(2)}) == {}
