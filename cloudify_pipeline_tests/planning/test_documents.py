from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from cloudify_pipeline.errors import Problem
from cloudify_pipeline.planning.plans import Hold, PlannedDocument, PlannedProduct, Skip, dump, load, revision
from cloudify_pipeline.settings.models import ConnectionSettings
from cloudify_pipeline_tests.planning.books import (
    ABROAD,
    CHART,
    DOMESTIC,
    EU,
    GOODS,
    HALF_MADE,
    NOV,
    PLANNED_CUSTOMER,
    PLANNED_PRODUCT,
    US_ADDRESS,
    VAT_FREE,
    charge,
    document_mappings,
    line,
    line_mappings,
    plan,
    record,
    settings,
    tax,
)

SALE = line(10000, unit=10000, taxes=[tax(2500, 10000)])


def planned(*args: Any, **more: Any) -> PlannedDocument:
    done = plan(*args, **more)
    assert isinstance(done, PlannedDocument), done
    return done


def held(*args: Any, **more: Any) -> Problem:
    done = plan(*args, **more)
    assert isinstance(done, Hold), done
    return done.problem


def products(**more: Any) -> ConnectionSettings:
    return settings(products=more)


def epoch(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def test_a_danish_invoice() -> None:
    document = planned(record([SALE])).document
    assert (document.key, document.kind, document.stripe_number) == ("stripe:in_1", "booked_invoice", "ABCD-0001")
    assert (document.currency, document.date, document.due_date) == ("DKK", date(2026, 11, 10), None)
    assert (document.customer.number, document.customer.stripe_id) == (101, "cus_1")
    assert (document.payment_terms, document.vat_zone, document.layout) == (1, DOMESTIC, 19)
    (one,) = document.lines
    assert one.product is not None
    assert one.product.number == "A-1"
    assert [one.quantity, one.unit_price, one.vat_rate] == [1, 100, 25]
    assert document.predicted.gross == document.stripe_total == Decimal("125.00")
    assert document.fields == {"recipient.name": "Frøstrup ApS", "recipient.city": "Frøstrup"}


def test_every_decision_leaves_its_evidence() -> None:
    done = planned(record([SALE]))
    decisions = ["customer", "date", "vat_zone", "vat_return", "rounding", "totals", "vat_code"]
    assert [seen.decision for seen in done.evidence] == decisions
    assert [trace.target for trace in done.lineage] == ["recipient.name", "recipient.city", "lines[0].description"]


@pytest.mark.parametrize(
    ("lines", "connection", "gross"),
    [
        # 35.00 that holds its VAT: never 43.75
        ([line(3500, unit=3500, taxes=[tax(700, 2800, rate="txr_25i", inclusive=True)])], settings(), "35.00"),
        ([line(14997, quantity=3, unit=4999, taxes=[tax(3749, 14997)])], settings(), "187.46"),
        ([SALE, line(-2500, id="il_2", taxes=[tax(-625, -2500)])], settings(), "93.75"),
        ([SALE, line(5000, id="il_2", discount_amounts=[{"amount": 5000, "discount": "di"}])], settings(), "125.00"),
        ([SALE, line(0, id="il_2", product=None)], settings(), "125.00"),
        ([line(10000, product=None, taxes=[tax(2500, 10000)])], products(no_product="NONE"), "125.00"),
        ([line(10000, discount_amounts=[{"amount": 1000, "discount": "di"}], taxes=[tax(2250, 9000)])], settings(), "112.50"),
        (
            [line(10000, discount_amounts=[{"amount": 1000, "discount": "di"}], taxes=[tax(2250, 9000)])],
            settings(products={"discount_product": "DISC"}, invoices={"discounts": "product_line"}),
            "112.50",
        ),
    ],
)
def test_the_predicted_total_is_stripes(lines: list[dict[str, Any]], connection: ConnectionSettings, gross: str) -> None:
    document = planned(record(lines), connection).document
    assert str(document.predicted.gross) == gross
    assert document.predicted.gross == document.stripe_total
    for one in document.lines:
        assert one.net == (one.quantity * one.unit_price).quantize(Decimal("0.01"))


def test_a_line_of_nothing_is_text_only() -> None:
    document = planned(record([SALE, line(0, id="il_2", description="Free setup")])).document
    text = document.lines[1]
    assert (text.description, text.product, text.quantity) == ("Free setup", None, Decimal(0))


def test_more_than_a_hundred_lines() -> None:
    lines = [line(100 + n, id=f"il_{n}", taxes=[tax(0, 0, rate="txr_0")]) for n in range(250)]
    document = planned(record(lines, customer_address=US_ADDRESS)).document
    assert [one.stripe_line_id for one in document.lines] == [f"il_{n}" for n in range(250)]
    assert document.predicted.gross == Decimal("561.25")


def test_the_mapped_text_of_a_line_keeps_the_quantity_in_words() -> None:
    odd = line(10000, quantity=3, unit="3333.333333", taxes=[tax(2500, 10000)])
    document = planned(record([odd]), lines=line_mappings(description="product.name")).document
    assert document.lines[0].description == "Pro plan (3 × 33.33333333 DKK)"


@pytest.mark.parametrize(
    ("country", "taxes", "zone", "code"),
    [
        (US_ADDRESS, [], ABROAD, None),
        (US_ADDRESS, [tax(2500, 10000)], ABROAD, "E-VAT-RATE"),
        ({"country": "DK"}, [], DOMESTIC, "E-VAT-RATE"),
        ({"country": "DK"}, [tax(2000, 10000, rate="txr_20")], DOMESTIC, "E-VAT-RATE"),
        ({"country": "DK"}, [tax(2501, 10000)], DOMESTIC, "E-TOTAL"),
        ({"country": "DK"}, [tax(2500, 10000, rate="txr_gone")], DOMESTIC, None),
        ({"country": "DK"}, [tax(2000, 10000, rate="txr_gone")], DOMESTIC, "E-TOTAL"),
    ],
)
def test_vat_is_stripes_or_the_document_waits(country: dict[str, Any], taxes: list[Any], zone: int, code: str | None) -> None:
    what = record([line(10000, taxes=taxes)], customer_address=country)
    if code is not None:
        assert held(what).code == code
    else:
        assert planned(what).document.vat_zone == zone


def test_rates_and_totals_are_named_on_both_sides() -> None:
    assert (
        "Stripe charged 20 % VAT, the ledger will use 25 %"
        in held(record([line(10000, taxes=[tax(2000, 10000, rate="txr_20")])])).message
    )
    message = held(record([line(10000, taxes=[tax(2501, 10000)])])).message
    assert "net 100.00, VAT 25.00, gross 125.00" in message
    assert "net 100.00, VAT 25.01, gross 125.01" in message


def test_sums_that_agree_by_accident_are_not_enough() -> None:
    free = replace(PLANNED_PRODUCT, stripe_id="prod_F", number="F-1", group=VAT_FREE)
    lines = [
        line(10000, id="il_1", taxes=[tax(2400, 10000)]),
        line(10000, id="il_2", product="prod_F", taxes=[tax(100, 10000, rate="txr_gone")]),
    ]
    # One rate is unknown, so only the sums can be compared, and they agree.
    assert planned(record(lines), products={"prod_A": PLANNED_PRODUCT, "prod_F": free}).document.predicted.vat == Decimal("25.00")


def test_an_oere_that_no_price_can_give_is_held_or_corrected_by_a_line_of_its_own() -> None:
    # 49.97 with VAT inside: net 39.98 gives 49.98, net 39.97 gives 49.96.
    inside = record([line(4997, unit=4997, taxes=[tax(999, 3998, rate="txr_25i", inclusive=True)])])
    assert held(inside).code == "E-TOTAL"
    corrected = planned(inside, products(rounding_product="ROUND"))
    assert [str(one.net) for one in corrected.document.lines] == ["39.98", "-0.01"]
    assert corrected.document.predicted.gross == corrected.document.stripe_total == Decimal("49.97")
    assert held(inside, products(rounding_product="DISC")).code == "E-TOTAL"
    strict = settings(products={"rounding_product": "ROUND"}, invoices={"rounding": {"tolerance": 0}})
    assert held(inside, strict).code == "E-TOTAL"


@pytest.mark.parametrize(
    ("zone_address", "group", "code"),
    [
        ({"country": "DK"}, HALF_MADE, "E-PROD-GROUP"),
        (US_ADDRESS, HALF_MADE, "E-PROD-GROUP"),
        ({"country": "DK"}, 77, "E-PROD-GROUP"),
    ],
)
def test_a_group_without_a_usable_account_is_named(zone_address: dict[str, Any], group: int, code: str) -> None:
    product = {"prod_A": replace(PLANNED_PRODUCT, group=group)}
    problem = held(record([line(10000)], customer_address=zone_address), products=product)
    assert problem.code == code
    assert f"group {group}" in problem.message
    assert "VAT zone" in problem.message


HELD_PRODUCT = Hold("prod_A", Problem("E-PROD-BARRED", "product A-1 is barred"))
HELD_CUSTOMER = Hold("cus_1", Problem("E-MATCH-MANY", "101, 102 all match"))


@pytest.mark.parametrize(
    ("lines", "connection", "products_", "code"),
    [
        ([SALE], settings(), {"prod_A": HELD_PRODUCT}, "E-PROD-BARRED"),
        ([SALE], settings(), {}, "E-DEPENDENCY"),
        ([line(10000, product=None, taxes=[tax(2500, 10000)])], settings(), {}, "E-PROD-NONE"),
        ([line(10000, product=None)], products(no_product="GONE"), {}, "E-REFERENCE"),
        (
            [line(10000, discount_amounts=[{"amount": 1000, "discount": "di"}], taxes=[tax(2250, 9000)])],
            settings(invoices={"discounts": "product_line"}),
            None,
            "E-DISCOUNT-PRODUCT",
        ),
    ],
)
def test_lines_that_cannot_be_planned(lines: list[Any], connection: ConnectionSettings, products_: Any, code: str) -> None:
    assert held(record(lines), connection, products=products_).code == code


def test_a_held_customer_holds_its_documents_with_the_cause() -> None:
    problem = held(record([SALE]), customer=HELD_CUSTOMER)
    assert problem.code == "E-MATCH-MANY"
    assert problem.message == "its customer cus_1 is held: 101, 102 all match"
    assert "is held: product A-1 is barred" in held(record([SALE]), products={"prod_A": HELD_PRODUCT}).message


def test_without_a_stripe_customer_the_default_one_stands_in() -> None:
    assert held(record([SALE]), customer=None).code == "E-CUST-MISSING"
    document = planned(record([SALE]), settings(customers={"default_customer": 500}), customer=None).document
    assert (document.customer.number, document.customer.stripe_id) == (500, None)


@pytest.mark.parametrize(
    ("setting", "invoice", "day"),
    [
        ("effective_at", {"effective_at": epoch("2026-12-31T23:30:00")}, date(2027, 1, 1)),
        ("effective_at", {"effective_at": None}, date(2026, 11, 10)),
        ("effective_at", {"effective_at": epoch("2026-06-30T21:59:59")}, date(2026, 6, 30)),
        ("effective_at", {"effective_at": epoch("2026-06-30T22:00:00")}, date(2026, 7, 1)),
        ("paid_at", {"status_transitions": {"finalized_at": NOV, "paid_at": epoch("2026-11-12T08:00:00")}}, date(2026, 11, 12)),
        ("created", {"created": epoch("2026-11-01T08:00:00")}, date(2026, 11, 1)),
        ("effective_at", {"effective_at": epoch("2026-10-05T08:00:00")}, None),
        ("effective_at", {"effective_at": epoch("2024-10-05T08:00:00")}, None),
    ],
)
def test_the_date_in_the_books(setting: str, invoice: dict[str, Any], day: date | None) -> None:
    connection = settings(invoices={"date": setting})
    if day is None:
        assert held(record([SALE], **invoice), connection).code == "E-PERIOD"
    else:
        assert planned(record([SALE], **invoice), connection).document.date == day


@pytest.mark.parametrize(
    ("due_date", "outcome"),
    [("2026-11-24T12:00:00", date(2026, 11, 24)), ("2026-11-09T12:00:00", "E-DUE-EARLY"), (None, "E-DUE-MISSING")],
)
def test_terms_by_date_need_a_due_date(due_date: str | None, outcome: date | str) -> None:
    by_date = replace(PLANNED_CUSTOMER, payment_terms=2)
    what = record([SALE], due_date=epoch(due_date) if due_date else None)
    if isinstance(outcome, str):
        assert held(what, customer=by_date).code == outcome
    else:
        assert planned(what, customer=by_date).document.due_date == outcome
    assert planned(what).document.due_date is None


@pytest.mark.parametrize(
    ("what", "connection", "customer", "code"),
    [
        (record([SALE], currency="pln"), settings(), PLANNED_CUSTOMER, "E-CURRENCY"),
        (record([SALE]), settings(invoices={"layout": 77}), PLANNED_CUSTOMER, "E-REFERENCE"),
        (record([SALE]), settings(), replace(PLANNED_CUSTOMER, payment_terms=77), "E-REFERENCE"),
        (record([SALE], total=12600), settings(), PLANNED_CUSTOMER, "E-STRIPE-SUM"),
        (record([SALE], customer_address=None), settings(), PLANNED_CUSTOMER, "E-VAT-ZONE"),
        (record([SALE], customer_address={"country": "DK", "city": "x" * 21}), settings(), PLANNED_CUSTOMER, "E-TOO-LONG"),
    ],
)
def test_what_the_ledger_cannot_take(what: Any, connection: ConnectionSettings, customer: Any, code: str) -> None:
    assert held(what, connection, customer=customer).code == code


def test_a_missing_country_takes_the_ledger_customers_own_zone_where_it_is_known() -> None:
    connection = settings(vat={"missing_country": "customer_zone"})
    what = record([line(10000)], customer_address=None)
    assert planned(what, connection, customer=replace(PLANNED_CUSTOMER, vat_zone=EU)).document.vat_zone == EU
    assert held(what, connection, customer=replace(PLANNED_CUSTOMER, vat_zone=EU, zone_known=False)).code == "E-VAT-ZONE"


def test_the_layout_of_the_documents_comes_before_the_customers() -> None:
    assert planned(record([SALE]), settings(invoices={"layout": 20})).document.layout == 20


def test_a_payment_holds_its_vat() -> None:
    document = planned(charge(10000), products(no_product="NONE"), customer=PLANNED_CUSTOMER).document
    assert [(str(one.net), one.description) for one in document.lines] == [("80.00", "Gavekort")]
    assert (str(document.predicted.vat), str(document.predicted.gross), document.key) == ("20.00", "100.00", "stripe:ch_1")
    assert document.fields["recipient.name"] == "Jenny Rosen"
    assert held(charge(4997), products(no_product="NONE")).code == "E-TOTAL"
    assert held(charge(10000)).code == "E-PROD-NONE"


def test_an_invoice_without_lines_is_skipped() -> None:
    skipped = plan(record([], total=0))
    assert isinstance(skipped, Skip)
    assert skipped.code == "S-ZERO"


def test_planning_twice_gives_equal_bytes_whatever_the_order_of_the_inputs() -> None:
    other = PlannedProduct("prod_B", "use", "B-1", "Mug", group=GOODS, unit=None, fields={})
    lines = [SALE, line(5000, id="il_2", product="prod_B", taxes=[tax(1250, 5000)])]
    plans = {"prod_A": PLANNED_PRODUCT, "prod_B": other}
    first = planned(record(lines), products=plans)
    mirrored = record(lines)
    mirrored = replace(
        mirrored,
        invoice=dict(reversed(list(mirrored.invoice.items()))),
        tax_rates=dict(reversed(list(mirrored.tax_rates.items()))),
    )
    second = planned(mirrored, products=dict(reversed(plans.items())))
    assert dump(first) == dump(second)
    assert revision(first) == revision(second)
    assert load(*dump(first)) == first
    changed = planned(record(lines, customer_name="Frøstrup A/S"), products=plans)
    assert revision(changed) != revision(first)


def test_texts_are_cleaned_by_the_mapping_and_the_heading_is_a_template() -> None:
    mappings = document_mappings(**{"notes.heading": {"template": "Stripe {number}"}})
    document = planned(record([SALE], customer_name="Fro\u0308strup\x07 ApS"), documents=mappings).document
    assert document.fields["recipient.name"] == "Fr\u00f6strup ApS"
    assert document.fields["notes.heading"] == "Stripe ABCD-0001"


def test_the_books_have_what_the_tests_rely_on() -> None:
    assert CHART.vat_rate(GOODS, DOMESTIC) == 25
    assert CHART.vat_rate(VAT_FREE, DOMESTIC) == 0
    assert CHART.vat_rate(HALF_MADE, ABROAD) is None
