"""The sanity checks that are asset checks: each with documents that pass and documents that fail."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from cloudify_pipeline.accounting.vat_return import CodeSum, Sale, Supplies
from cloudify_pipeline.control.sanity import (
    bookkeepers_zones_are_sound,
    eu_sales_agree,
    foreign_vat_is_stated,
    posted_eu_sales_agree,
    vat_is_stripes,
)
from cloudify_pipeline.planning.plans import Evidence, PlannedDocument
from cloudify_pipeline_tests.planning.books import EU, line, plan, record, settings, tax

SALE = line(10000, unit=10000, taxes=[tax(2500, 10000)])
TAXES = [{"amount": 2500, "tax_behavior": "exclusive"}]


def planned(lines: Sequence[dict[str, Any]] = (SALE,), **more: Any) -> PlannedDocument:
    done = plan(record(list(lines), **more))
    assert isinstance(done, PlannedDocument), done
    return done


def sold_to_eu(stripe_id: str, net: str, *, number: str = "none", month: str = "2026-11") -> PlannedDocument:
    """A document of `net` without VAT in the zone for EU businesses."""
    base = planned()
    totals = replace(base.document.predicted, net=Decimal(net), vat=Decimal(0), gross=Decimal(net))
    day = base.document.date.replace(year=int(month[:4]), month=int(month[5:]))
    document = replace(base.document, stripe_number=stripe_id, vat_zone=EU, predicted=totals, currency="EUR", date=day)
    evidence = Evidence("vat_zone", "2 (EU)", "6: …", {"vat_number": number})
    return replace(base, document=document, evidence=(evidence,))


# -- 1 and 8: the plan's VAT is Stripe's ------------------------------------------------------------------------------


def test_vat_and_gross_of_the_plan_are_added_up_from_stripes_own_object() -> None:
    assert list(vat_is_stripes([planned()], {"in_1": {"total": 12500, "total_taxes": TAXES}}, settings())) == []


@pytest.mark.parametrize(
    ("invoice", "words"),
    [
        # The trap of a price with its VAT inside that is sent as a net price: 35.00 becomes 43.75.
        ({"total": 10000, "total_taxes": [{"amount": 2000}]}, "VAT 25.00 of 125.00, Stripe has 20.00 of 100.00 DKK"),
        ({"total": 12500, "total_taxes": [{"amount": 2400}]}, "VAT 25.00 of 125.00, Stripe has 24.00 of 125.00 DKK"),
        ({"total": 12500}, "Stripe has 0.00 of 125.00 DKK"),
        ({"total": 12501, "total_taxes": TAXES}, "Stripe has 25.00 of 125.01 DKK"),
    ],
)
def test_another_vat_or_gross_is_told_with_both_sides(invoice: dict[str, Any], words: str) -> None:
    (doubt,) = vat_is_stripes([planned()], {"in_1": invoice}, settings())
    assert doubt.about == "ABCD-0001"
    assert words in doubt.words


def test_vat_may_differ_by_what_a_correction_line_bears_and_the_gross_never() -> None:
    almost = {"total": 12500, "total_taxes": [{"amount": 2501}]}
    assert list(vat_is_stripes([planned()], {"in_1": almost}, settings())) == []
    strict = settings(invoices={"rounding": {"tolerance": 0}})
    assert len(list(vat_is_stripes([planned()], {"in_1": almost}, strict))) == 1


# -- 2 to 6, in the customer's own zone -----------------------------------------------------------------------------------


def test_what_the_vat_checks_only_warned_of_is_shown() -> None:
    warned = Evidence("vat_check", "warning", "a Danish buyer in the zone for EU businesses", {"code": "E-VAT-ZONE"})
    doubtful = replace(planned(), evidence=(warned,))
    assert [one.words for one in bookkeepers_zones_are_sound([doubtful, planned()])] == [warned.rule]
    assert list(bookkeepers_zones_are_sound([planned()])) == []


# -- 11: the EU-sales list ------------------------------------------------------------------------------------------------


def test_sales_to_eu_businesses_are_those_that_the_list_can_name() -> None:
    all_named = [sold_to_eu("A", "100.00", number="DE1"), sold_to_eu("B", "50.50", number="FR2", month="2026-12")]
    assert list(eu_sales_agree([*all_named, planned()], settings())) == []


def test_a_month_with_a_sale_that_the_list_cannot_name_is_told_with_both_totals() -> None:
    plans = [
        sold_to_eu("A", "100.00", number="DE1"),
        sold_to_eu("B", "50.50"),
        sold_to_eu("C", "7.00", number="SE3", month="2026-12"),
    ]
    (doubt,) = eu_sales_agree(plans, settings())
    assert doubt.about == "2026-11"
    assert doubt.words == ("sales to EU businesses of 150.50 EUR, of which the EU-sales list has 100.00 EUR: no VAT number on B")


def test_totals_that_agree_by_accident_do_not_hide_a_missing_number() -> None:
    plans = [sold_to_eu("A", "100.00"), sold_to_eu("B", "-100.00")]
    assert [one.about for one in eu_sales_agree(plans, settings())] == ["2026-11"]


# -- 14: VAT in another currency -----------------------------------------------------------------------------------------


def test_vat_in_another_currency_is_told() -> None:
    (doubt,) = foreign_vat_is_stated([planned(currency="eur")], "DKK")
    assert doubt.words == "VAT of 25.00 EUR is stated in EUR alone, not in DKK"


@pytest.mark.parametrize(
    "fields", [{"notes.textLine1": "Moms i DKK : 186,50"}, {"exchangeRate": Decimal("746.00")}], ids=["a text", "a rate"]
)
def test_a_text_or_a_rate_of_exchange_states_it(fields: dict[str, Any]) -> None:
    done = planned(currency="eur")
    stated = replace(done, document=replace(done.document, fields=fields))
    assert list(foreign_vat_is_stated([stated], "DKK")) == []


def test_no_vat_or_the_base_currency_or_unknown_books_ask_for_nothing() -> None:
    free = planned([line(10000, unit=10000)], currency="eur", customer_address={"country": "US"})
    assert list(foreign_vat_is_stated([free, planned()], "DKK")) == []
    assert list(foreign_vat_is_stated([planned(currency="eur")], None)) == []


def posted(name: str, net: str, *, number: str | None = "DE136695976", **more: Any) -> Sale:
    """A posted sale of services without VAT to an EU business."""
    given: dict[str, Any] = {"currency": "DKK", "kind": "eu", "supply": "services", **more}
    code = CodeSum("UEUY", "1120", Decimal(0), Decimal(net), Decimal(0))
    return Sale(f"in_{name}", name, date(2026, 11, 3), place="DE", vat_number=number, tax_exempt="none", codes=(code,), **given)


@pytest.mark.parametrize(
    ("sale", "words"),
    [
        (posted("A", "100.00"), None),
        (
            posted("A", "100.00", number=None),
            "A: 100.00 DKK in rubrik B, and not on the EU-sales list: the buyer has no VAT number of",
        ),
        (
            posted("A", "-7.50", number=None),
            "A: -7.50 DKK in rubrik B, and not on the EU-sales list: the buyer has no VAT number of",
        ),
        (posted("A", "100.00", supply=None), "A: 100.00 DKK in rubrik B, and nobody says whether of goods or of services"),
        (posted("A", "100.00", number=None, kind="domestic"), None),
        # a draft in another currency: not booked, so in no return yet
        (posted("A", "100.00", number=None, currency="EUR"), None),
    ],
)
def test_rubrik_b_of_what_was_posted_is_the_list(sale: Sale, words: str | None) -> None:
    found = list(posted_eu_sales_agree([sale], Supplies(), "DKK"))
    assert len(found) == (words is not None)
    for one in found:
        assert one.about == "2026-11"
        assert one.words.startswith(str(words))
