"""`cloudify check` as a bookkeeper reads it: causes with counts and sums, fill rates, the VAT matrix, what a trigger misses."""

import re

from cloudify_pipeline.catalogue import entry
from cloudify_pipeline_tests.cli.conftest import Call
from cloudify_pipeline_tests.whole_runs.conftest import Company


def test_check_tells_everything_in_sentences(shop: Company, call: Call) -> None:
    called = call("check")
    assert called.code == 1
    text = re.sub(r"\s+", " ", called.out)
    for words in (
        "VAT: account, code and rate of a product group in a VAT zone",
        "3 Ydelser m/moms 1110 U25 25 % 1120 UEUY 0 %",
        "customer name (needed) name, description, em… 2 of 2 100 %",
        "invoice recipient.city customer_address.city… 2 of 2 100 %",
        "when: sent would take none and miss for ever 2 documents, 250.00 DKK: charged automatically, so never sent",
        "when: paid (in use) would take 2 documents, 250.00 DKK",
        "1 document · 125.00 DKK E-VAT-ZONE",
        f"→ {entry('E-VAT-ZONE').remedy}",
        "planned 1 · held 1",
    ):
        assert words in text
    assert text.count("the buyer has no country") == 1, "the customer's own cause is told with its document, and once"


def test_check_gives_the_same_as_one_document(shop: Company, call: Call) -> None:
    document = call("check", "--json").document
    cell = next(one for one in document["vat_matrix"] if (one["group"], one["zone"]) == (3, 1))
    assert (cell["account"], cell["vat_code"], cell["rate"], cell["hole"]) == (1110, "U25", "25", None)
    trials = {one["trigger"]: one for one in document["triggers"]}
    assert trials["sent"]["never"] == {"records": 2, "sums": {"DKK": "250.00"}}
    assert trials["finalized"]["taken"] == {"records": 2, "sums": {"DKK": "250.00"}}
    name = next(one for one in document["fields"] if (one["section"], one["target"]) == ("customers", "name"))
    assert (name["fill_rate"], name["filled"], name["of"], name["lacking"]) == (1.0, 2, 2, [])


def test_a_hole_in_the_vat_matrix_is_an_error_of_the_check(shop: Company, call: Call) -> None:
    shop.sandbox.economic.delete("sales-accounts", "3/1")
    called = call("check", "--json")
    assert called.code == 2
    (error,) = [one for one in called.document["findings"] if one["severity"] == "error"]
    assert "product group 3 (Ydelser m/moms)" in error["found"]
    assert error["found"].endswith("VAT zone 1 (Domestic): it has no sales account")


def test_check_sends_nothing_but_get(shop: Company, call: Call) -> None:
    call("check")
    assert {one.method for one in shop.sandbox.economic.calls} == {"GET"}
    assert {one.method for one in shop.sandbox.stripe.calls} == {"GET"}
