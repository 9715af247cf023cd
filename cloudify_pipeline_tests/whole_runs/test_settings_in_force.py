"""What each setting does, seen in the ledger after a whole run."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from cloudify_pipeline.control import sync
from cloudify_pipeline.posting.endings import Ending
from cloudify_pipeline.sandbox.stripe.invoices import Line
from cloudify_pipeline_tests.whole_runs.conftest import Company


def booked(company: Company) -> dict[str, Any]:
    (document,) = company.sandbox.economic.booked()
    return document


def lines(document: dict[str, Any]) -> list[tuple[str, Decimal, Decimal]]:
    """(product, quantity, net unit price) of the lines that have a product."""
    return [
        (line["product"]["productNumber"], Decimal(line["quantity"]), Decimal(line["unitNetPrice"]))
        for line in document["lines"]
        if "product" in line
    ]


def test_twenty_five_invoices_and_a_payment_make_twenty_six_documents_to_the_oere(company: Company) -> None:
    totals = {}
    for n in range(25):
        invoice = company.pay(company.invoice(company.customer(f"Kunde {n}"), lines=[Line(company.price, quantity=n + 1)]))
        totals[f"stripe:{invoice}"] = Decimal(company.sandbox.stripe.invoice(invoice)["total"]).scaleb(-2)
    buyer = company.customer("Redwood Inc.", country="US")
    charge = company.sandbox.stripe.charge(buyer, 4_999, at=company.now - timedelta(hours=1), currency="usd")
    totals[f"stripe:{charge}"] = Decimal("49.99")
    company.sync()
    assert {key: gross for key, (_, gross) in company.documents().items()} == totals
    company.now += timedelta(hours=1)
    assert company.sync().writes == []


# -- customers ----------------------------------------------------------------------------------------------------------


def test_an_update_changes_the_mapped_fields_and_keeps_all_others(company: Company) -> None:
    company.sandbox.economic.add_customer(
        customerNumber=4711,
        name="Frøstrup ApS",
        email="faktura@froestrup.example",
        city="Gammelby",
        ean="5790001330552",
        website="https://froestrup.example",
    )
    company.configure(customers={"on_found": "update"})
    buyer = company.customer("Frøstrup ApS", email="faktura@froestrup.example", metadata={"economic_customer_number": "4711"})
    company.pay(company.invoice(buyer))
    run = company.sync()
    assert ("PUT", "/customers/4711") in run.writes
    (stored,) = [c for c in company.sandbox.economic.customers() if c["customerNumber"] == 4711]
    assert stored["city"] == "Aarhus"
    assert (stored["ean"], stored["website"], stored["email"]) == (
        "5790001330552",
        "https://froestrup.example",
        "faktura@froestrup.example",
    )


@pytest.mark.parametrize(("on_found", "arrives"), [("update", True), ("use", False)])
def test_a_change_in_stripe_reaches_the_ledger_without_a_new_invoice_when_asked_for(
    company: Company, on_found: str, arrives: bool
) -> None:
    company.configure(customers={"on_found": on_found, "number": {"store_in": None}}, products={"on_found": on_found})
    buyer = company.customer("Frøstrup ApS", email="gammel@froestrup.example")
    company.pay(company.invoice(buyer))
    company.sync()
    number = booked(company)["customer"]["customerNumber"]
    company.now += timedelta(hours=1)
    company.sandbox.stripe.update_customer(
        buyer, at=company.now - timedelta(minutes=30), email="ny@froestrup.example", name="Frøstrup A/S"
    )
    run = company.sync()
    assert run.writes == ([("PUT", f"/customers/{number}")] if arrives else [])
    (stored,) = [c for c in company.sandbox.economic.customers() if c["customerNumber"] == number]
    assert stored["email"] == ("ny@froestrup.example" if arrives else "gammel@froestrup.example")
    assert stored["name"] == ("Frøstrup A/S" if arrives else "Frøstrup ApS")
    company.now += timedelta(hours=1)
    assert company.sync().writes == []


def test_a_found_customer_that_is_only_used_is_not_written(company: Company) -> None:
    company.sandbox.economic.add_customer(customerNumber=4711, name="Gammelt navn", email="faktura@froestrup.example")
    company.pay(company.invoice(company.customer("Frøstrup ApS", email="faktura@froestrup.example")))
    assert [path for _, path in company.sync().writes if path.startswith("/customers")] == []


@pytest.mark.parametrize(
    ("number", "code"), [("K-17", "E-CUST-NUM"), ("0", "E-CUST-NUM"), ("1000000000", "E-CUST-NUM"), ("1001", "E-CUST-TAKEN")]
)
def test_a_number_from_stripe_that_cannot_be_is_held_before_any_call(company: Company, number: str, code: str) -> None:
    company.configure(
        customers={
            "match": [{"stripe": "email", "ledger": "email"}],
            "number": {"source": "stripe", "stripe_field": "metadata.kundenr", "store_in": None},
        }
    )
    invoice = company.pay(company.invoice(company.customer(metadata={"kundenr": number})))
    run = company.sync()
    assert run.writes == []
    assert run.codes()[invoice] == code


def test_a_number_from_stripe_is_the_customers_number(company: Company) -> None:
    company.configure(customers={"number": {"source": "stripe", "stripe_field": "metadata.kundenr", "store_in": None}})
    company.pay(company.invoice(company.customer(metadata={"kundenr": "80017"})))
    company.sync()
    assert booked(company)["customer"]["customerNumber"] == 80017


def test_the_default_customer_takes_those_that_are_not_found_and_the_document_keeps_the_buyer(company: Company) -> None:
    company.configure(customers={"on_not_found": "default_customer", "default_customer": 1001})
    company.pay(company.invoice(company.customer("Gæst Gæstesen")))
    assert ("POST", "/customers") not in company.sync().writes
    document = booked(company)
    assert (document["customer"]["customerNumber"], document["recipient"]["name"]) == (1001, "Gæst Gæstesen")


# -- products -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("products", "number"),
    [
        ({"on_not_found": "create"}, "PRO-NEW"),
        ({"on_not_found": "default_product", "default_product": "STRIPE"}, "STRIPE"),
    ],
)
def test_a_product_that_is_not_found(company: Company, products: dict[str, str], number: str) -> None:
    company.configure(products=products)
    company.pay(company.invoice(company.customer(), lines=[Line(company.price, quantity=3)]))
    company.sync()
    document = booked(company)
    assert lines(document) == [(number, Decimal(3), Decimal(100))]
    assert document["lines"][0]["description"] == "Pro plan", "name, quantity and price stay Stripe's"


def test_a_product_that_is_not_found_can_hold_the_document(company: Company) -> None:
    company.configure(products={"on_not_found": "hold"})
    invoice = company.pay(company.invoice(company.customer()))
    run = company.sync()
    assert run.codes()[invoice] == "E-PROD-MISSING"
    assert [path for _, path in run.writes if path.startswith("/invoices")] == []


def test_links_name_the_ledger_product_one_to_one(company: Company) -> None:
    product = company.sandbox.stripe.get("price", company.price)["product"]
    company.configure(products={"links": {product: "PRO-M"}})
    company.settings["products"].pop("match", None)
    company.pay(company.invoice(company.customer()))
    company.sync()
    assert lines(booked(company)) == [("PRO-M", Decimal(1), Decimal(100))]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("line", [("PRO-NEW", Decimal(1), Decimal(90))]),
        ("product_line", [("PRO-NEW", Decimal(1), Decimal(100)), ("DISCOUNT", Decimal(-1), Decimal(10))]),
    ],
)
def test_an_invoice_discount_lowers_the_lines_or_is_a_line_of_its_own(company: Company, mode: str, expected: object) -> None:
    company.configure(products={"discount_product": "DISCOUNT"}, invoices={"discounts": mode})
    coupon = company.sandbox.stripe.add_coupon("Ti procent", at=company.now - timedelta(days=2), percent=10)
    company.pay(company.invoice(company.customer(), discounts=[coupon]))
    company.sync()
    document = booked(company)
    assert lines(document) == expected
    assert Decimal(document["grossAmount"]) == Decimal("112.50")


# -- documents ----------------------------------------------------------------------------------------------------------


def test_delivery_notes_and_metadata_with_spaces_arrive_where_they_are_mapped(company: Company) -> None:
    company.configure(
        invoices={
            "fields": {
                "delivery.deliveryTerms": {"value": "DAP"},
                "delivery.deliveryDate": {"from": 'metadata."delivery day"', "transform": ["date"]},
                "notes.textLine1": {"template": "Order {metadata.po}"},
            }
        }
    )
    buyer = company.customer(
        shipping={"name": "Lager", "address": {"line1": "Kajen 2", "city": "Rønne", "postal_code": "0037", "country": "DK"}}
    )
    company.pay(company.invoice(buyer, metadata={"po": "PO-77 & [x]", "delivery day": "2026-11-20"}))
    company.sync()
    document = booked(company)
    delivery = document["delivery"]
    assert (delivery["address"], delivery["zip"], delivery["city"], delivery["country"]) == (
        "Kajen 2",
        "0037",
        "Rønne",
        "Denmark",
    )
    assert (delivery["deliveryTerms"], delivery["deliveryDate"]) == ("DAP", "2026-11-20")
    assert document["notes"]["textLine1"] == "Order PO-77 & [x]"


@pytest.mark.parametrize(("terms", "due"), [(1, None), (2, "2026-11-15")])
def test_a_due_date_is_sent_only_where_the_terms_take_one(company: Company, terms: int, due: str | None) -> None:
    company.configure(
        customers={"defaults": {"payment_terms": terms, "group": 1}},
        invoices={"rules": [{"when": "finalized", "create": "draft_invoice"}]},
    )
    company.invoice(company.customer(), days_until_due=14)
    company.sync()
    (draft,) = company.sandbox.economic.drafts()
    assert draft["paymentTerms"]["paymentTermsNumber"] == terms
    assert due is None or draft["dueDate"] == due


@pytest.mark.parametrize(
    ("country", "tax_ids", "zone", "gross"),
    [
        ("DK", (), 1, "125.00"),
        ("DE", (("eu_vat", "DE123456789", "verified"),), 2, "100.00"),
        ("DE", (), 1, "125.00"),
        ("US", (), 3, "100.00"),
        ("GL", (), 3, "100.00"),
        ("FO", (), 3, "100.00"),
    ],
)
def test_the_vat_zone_follows_the_buyer(
    company: Company, country: str, tax_ids: tuple[tuple[str, str, str], ...], zone: int, gross: str
) -> None:
    rates = [company.rate] if gross == "125.00" else []
    company.pay(company.invoice(company.customer(country=country, tax_ids=tax_ids), tax_rates=rates))
    company.sync()
    document = booked(company)
    assert document["recipient"]["vatZone"]["vatZoneNumber"] == zone
    assert Decimal(document["grossAmount"]) == Decimal(gross)


def test_a_zone_by_number_is_the_customers_own_and_totals_still_guard_it(company: Company) -> None:
    company.configure(customers={"defaults": {"payment_terms": 1, "group": 1, "vat_zone": 3}})
    right = company.pay(company.invoice(company.customer("Uden moms"), tax_rates=[]))
    wrong = company.pay(company.invoice(company.customer("Med moms")))
    run = company.sync()
    document = booked(company)
    assert (document["references"]["other"], document["recipient"]["vatZone"]["vatZoneNumber"]) == (f"stripe:{right}", 3)
    assert run.codes() == {wrong: "E-VAT-RATE"}


def test_conditions_choose_among_rules(company: Company) -> None:
    company.configure(
        invoices={
            "rules": [
                {"when": "paid", "create": "draft_order", "if": {"metadata": {"type": "hardware"}}},
                {"when": "paid", "create": "draft_invoice", "if": {"country": ["us"], "amount": {"gte": 50}}},
                {"when": "paid", "create": "booked_invoice"},
            ]
        }
    )
    order = company.pay(company.invoice(company.customer(), metadata={"type": "hardware"}))
    draft = company.pay(company.invoice(company.customer("Redwood", country="US"), tax_rates=[]))
    plain = company.pay(company.invoice(company.customer("Kunde")))
    company.sync()
    assert {key: kind for key, (kind, _) in company.documents().items()} == {
        f"stripe:{order}": "draft_order",
        f"stripe:{draft}": "draft_invoice",
        f"stripe:{plain}": "booked_invoice",
    }


def test_what_is_over_a_limit_waits_for_the_next_run(company: Company) -> None:
    company.configure(limits={"max_documents_per_run": 2})
    for n in range(5):
        company.pay(company.invoice(company.customer(f"Kunde {n}")))
    assert [len(company.documents()) for _ in range(4) if company.sync()] == [2, 4, 5, 5]


def test_new_customers_over_the_limit_wait_and_their_documents_with_them(company: Company) -> None:
    company.configure(limits={"max_new_customers_per_run": 1})
    for n in range(3):
        company.pay(company.invoice(company.customer(f"Kunde {n}")))
    assert [len(company.documents()) for _ in range(4) if company.sync()] == [1, 2, 3, 3]


def test_a_barred_period_holds_the_document_and_sends_nothing(company: Company) -> None:
    company.sandbox.economic.set_period("2026-11-01", barred=True)
    invoice = company.pay(company.invoice(company.customer()))
    run = company.sync()
    assert run.codes()[invoice] == "E-PERIOD"
    assert [path for _, path in run.writes if path.startswith("/invoices")] == []


def test_the_ledgers_other_rounding_is_noticed_before_booking(company: Company) -> None:
    company.sandbox.economic.vat_rounding = "per_line"
    # Three lines of 0.10: VAT is 0.08 on the sum and 3 × 0.03 by line.
    price = company.sandbox.stripe.add_price(
        company.sandbox.stripe.get("price", company.price)["product"], 10, at=company.now - timedelta(days=2)
    )
    invoice = company.pay(company.invoice(company.customer(), lines=[Line(price, description=f"Del {n}") for n in range(3)]))
    run = company.sync()
    # Stripe rounds by line too, so the prediction per document is what does not fit, and nothing reaches the ledger.
    assert company.sandbox.stripe.invoice(invoice)["total"] == 39
    assert run.codes()[invoice] == "E-TOTAL"
    assert company.documents() == {}


def test_a_total_that_the_ledger_computes_otherwise_stays_a_draft(company: Company) -> None:
    invoice = company.pay(company.invoice(company.customer()))
    opened = company.connection()

    async def run() -> list[Ending]:
        await sync.stage(opened)
        await sync.plan(opened)
        code = company.sandbox.economic.get("vat-accounts", "U25")
        assert code is not None
        company.sandbox.economic.put("vat-accounts", "U25", {**code, "ratePercentage": Decimal(24)})
        for step in (sync.post_planned_customers, sync.post_planned_products):
            await step(opened, "run")
        return (await sync.post_planned_documents(opened, "run")).endings

    (ending,) = asyncio.run(run())
    opened.log.close()
    assert (ending.stripe_id, ending.state) == (invoice, "held")
    assert ending.problem is not None
    assert ending.problem.code == "E-TOTAL"
    assert "125.00 DKK" in ending.problem.message
    assert "124.00 DKK" in ending.problem.message
    assert company.documents() == {f"stripe:{invoice}": ("draft_invoice", Decimal("124.00"))}
