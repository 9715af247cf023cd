from typing import Any

import pytest

from cloudify_pipeline.accounting.parties import LedgerRecord, Lookup
from cloudify_pipeline.planning.plans import Hold, PlannedProduct, dump, load
from cloudify_pipeline.planning.products import distinct_numbers, plan_product, product_lookups
from cloudify_pipeline.settings.models import ConnectionSettings
from cloudify_pipeline_tests.planning.books import CHART, GOODS, VAT_FREE, product_mappings, settings


def product(stripe_id: str = "prod_QXg1hqf4jFNsqG", **more: Any) -> dict[str, Any]:
    return {"id": stripe_id, "name": "T-shirt", "metadata": {}, "default_price": None, **more}


def stored(number: str, name: str = "T-shirt", *, barred: bool = False, group: int | None = VAT_FREE) -> LedgerRecord:
    return LedgerRecord(number, name, barred, {"name": name}, group=group)


def products(**more: Any) -> ConnectionSettings:
    return settings(products={"defaults": {"group": GOODS}} | more)


def plan(
    what: dict[str, Any] | None = None,
    *found: LedgerRecord,
    connection: ConnectionSettings | None = None,
    known: LedgerRecord | None = None,
    **mapped: Any,
) -> PlannedProduct | Hold:
    what, connection = what or product(), connection or products()
    mappings = product_mappings(**mapped)
    asked = product_lookups(what, {}, connection.products, mappings)
    assert isinstance(asked, tuple)
    return plan_product(
        what,
        settings=connection,
        mappings=mappings,
        chart=CHART,
        candidates=dict.fromkeys(asked, found),
        known=known,
    )


def code(planned: PlannedProduct | Hold) -> str:
    return planned.problem.code if isinstance(planned, Hold) else f"{planned.action} {planned.number}"


SKU: dict[str, Any] = {"metadata": {"sku": "TS-1"}}


@pytest.mark.parametrize(
    ("what", "settings_", "found", "outcome"),
    [
        (SKU, {}, [stored("TS-1")], "use TS-1"),
        (SKU, {}, [stored("TS-10")], "create TS-1"),
        (SKU, {}, [stored("TS-1", barred=True)], "E-PROD-BARRED"),
        (SKU, {}, [], "create TS-1"),
        ({}, {}, [], "create QXg1hqf4jFNsqG"),
        ({}, {}, [stored("QXg1hqf4jFNsqG")], "use QXg1hqf4jFNsqG"),
        ({"id": "T-shirt_små/store størrelser, alle farver"}, {}, [], "create T-shirtsmstorestrrelseral"),
        ({"metadata": {"sku": "A" * 26}}, {}, [], "E-PROD-NUM"),
        ({"metadata": {"sku": "A" * 25}}, {}, [], "create " + "A" * 25),
        (SKU, {"on_not_found": "hold"}, [], "E-PROD-MISSING"),
        (SKU, {"on_not_found": "default_product", "default_product": "STD"}, [stored("STD")], "use STD"),
        (SKU, {"on_not_found": "default_product", "default_product": "STD"}, [], "E-REFERENCE"),
        (SKU, {"on_not_found": "default_product"}, [], "E-REFERENCE"),
        (SKU, {"on_not_found": "default_product", "default_product": "STD"}, [stored("STD", barred=True)], "E-PROD-BARRED"),
        (SKU, {"match": [{"stripe": "name", "ledger": "name"}]}, [stored("OLD")], "use OLD"),
        (SKU, {"match": [{"stripe": "name", "ledger": "name"}]}, [stored("TS-1", "Mug")], "E-DUPLICATE-NUMBER"),
        (SKU, {"match": [{"stripe": "name", "ledger": "name"}]}, [stored("A"), stored("B")], "E-MATCH-MANY"),
        (SKU, {"links": {"prod_QXg1hqf4jFNsqG": "LINKED"}}, [stored("LINKED")], "use LINKED"),
        (SKU, {"links": {"prod_QXg1hqf4jFNsqG": "LINKED"}}, [], "E-REFERENCE"),
        (SKU, {"links": {"prod_other": "LINKED"}, "on_not_found": "hold"}, [stored("TS-1")], "E-PROD-MISSING"),
        (SKU, {"defaults": {"group": 77}}, [], "E-REFERENCE"),
        (SKU, {"defaults": {"group": GOODS, "unit": 77}}, [], "E-REFERENCE"),
        (SKU, {}, [stored("TS-1", group=None)], "E-PROD-GROUP"),
    ],
)
def test_found_created_or_held(what: dict[str, Any], settings_: dict[str, Any], found: list[LedgerRecord], outcome: str) -> None:
    assert (
        code(plan(product(**({"stripe_id": what["id"]} if "id" in what else what)), *found, connection=products(**settings_)))
        == outcome
    )


def test_the_mapped_number_comes_before_the_sku() -> None:
    planned = plan(product(metadata={"sku": "TS-1", "no": "M-7"}), productNumber="metadata.no")
    assert isinstance(planned, PlannedProduct)
    assert (planned.number, planned.group, planned.fields) == ("M-7", GOODS, {})
    assert load(*dump(planned)) == planned


def test_a_found_product_keeps_its_own_group_and_an_update_only_writes_what_differs() -> None:
    planned = plan(product(**SKU), stored("TS-1", "Tee"), connection=products(on_found="update"))
    assert isinstance(planned, PlannedProduct)
    assert (planned.action, planned.group, planned.fields) == ("update", VAT_FREE, {"name": "T-shirt"})
    assert code(plan(product(**SKU), stored("TS-1"), connection=products(on_found="update"))) == "use TS-1"


def test_a_link_of_an_earlier_run_wins_and_links_of_the_file_win_over_it() -> None:
    assert code(plan(product(**SKU), stored("TS-1"), known=stored("EARLIER"))) == "use EARLIER"
    linked = products(links={"prod_QXg1hqf4jFNsqG": "LINKED"})
    assert code(plan(product(), stored("LINKED"), connection=linked, known=stored("EARLIER"))) == "use LINKED"
    assert code(plan(product(), known=stored("EARLIER", barred=True))) == "E-PROD-BARRED"


def test_only_questions_with_a_value_are_asked() -> None:
    assert product_lookups(product(), {}, products().products) == (Lookup("number", "QXg1hqf4jFNsqG"),)
    assert product_lookups(product(), {}, products(on_not_found="hold").products) == ()


def test_a_price_can_be_matched_on() -> None:
    connection = products(match=[{"stripe": "price.lookup_key", "ledger": "number"}], on_not_found="hold")
    prices = {
        "price_1": {"id": "price_1", "product": "prod_A", "lookup_key": "KEY"},
        "price_2": {"id": "price_2", "product": "prod_A", "lookup_key": "OTHER"},
    }
    what = product("prod_A", default_price="price_1")
    assert product_lookups(what, prices, connection.products) == (Lookup("number", "KEY"),)


def test_two_products_that_would_get_one_number_are_both_held_in_any_order() -> None:
    first, second = plan(product("prod_1", **SKU)), plan(product("prod_2", metadata={"sku": "ts-1"}))
    other = plan(product("prod_3"))
    plans = {"prod_1": first, "prod_2": second, "prod_3": other}
    checked = distinct_numbers(plans)
    assert [code(checked[key]) for key in sorted(checked)] == ["E-DUPLICATE-NUMBER", "E-DUPLICATE-NUMBER", "create 3"]
    assert distinct_numbers(dict(reversed(plans.items()))) == checked
