"""The sanity checks as Dagster shows them: evaluated for the connection, with what was found and what to do."""

from datetime import timedelta
from types import ModuleType

import dagster as dg

from cloudify_pipeline.orchestration.checks import checks
from cloudify_pipeline.orchestration.instance import instance
from cloudify_pipeline.sandbox.server import Sandbox
from cloudify_pipeline.sandbox.stripe.invoices import Line
from cloudify_pipeline_tests.orchestration.conftest import now
from cloudify_pipeline_tests.orchestration.test_runs import run

SANITY = {
    "planned_vat_is_stripes", "own_vat_zones_are_sound", "eu_sales_agree_with_the_list", "foreign_vat_is_stated_in_base_currency",
    "eu_consumer_sales_below_threshold",
}  # fmt: skip


def evaluated(location: ModuleType, job: str) -> dict[str, dg.AssetCheckEvaluation]:
    with instance() as recorded:
        result = run(location, job, recorded)
    return {one.check_name: one for one in result.get_asset_check_evaluations()}


def test_every_check_is_evaluated_in_a_sync_and_the_sanity_checks_pass(location: ModuleType) -> None:
    found = evaluated(location, "sync")
    assert set(found) == {spec.name for check in checks for spec in check.check_specs}
    assert {name: found[name].passed for name in SANITY} == dict.fromkeys(SANITY, True)
    assert {found[name].metadata["what to do"].value for name in SANITY} == {"Nothing."}


def test_a_check_that_fails_names_the_documents_and_what_to_do(location: ModuleType, sandbox: Sandbox) -> None:
    store, at = sandbox.stripe, now() - timedelta(hours=2)
    rate = next(row["id"] for row in store.rows("tax_rate"))
    buyer = store.add_customer(at=at, name="Euro ApS", email="euro@example.com", address={"country": "DK", "line1": "Kaj 1"})
    price = store.add_price(store.rows("product")[0]["id"], 10_000, at=at, currency="eur")
    invoice = store.create_invoice(buyer, [Line(price)], at=at, tax_rates=[rate], currency="eur")
    store.finalize(invoice, at=at)
    store.pay(invoice, at=at)
    found = evaluated(location, "sync")["foreign_vat_is_stated_in_base_currency"]
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert found.metadata["found"].value == 1
    assert "VAT of 25.00 EUR is stated in EUR alone, not in DKK" in str(found.metadata["which"].value)
    assert "layout" in str(found.metadata["what to do"].value)
