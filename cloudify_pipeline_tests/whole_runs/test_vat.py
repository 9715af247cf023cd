"""VAT from Stripe's address and number to the ledger's document: zone, words, evidence, and the way out of a hold."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from cloudify_pipeline.control.explain import explain
from cloudify_pipeline_tests.whole_runs.conftest import Company

BUSINESS = (("eu_vat", "DE136695976", "verified"),)
WORDS = "Steuerschuldnerschaft des Leistungsempfängers. USt-IdNr. des Kunden: DE136695976"


def only(documents: list[dict[str, Any]]) -> dict[str, Any]:
    (document,) = documents
    return document


@pytest.mark.parametrize("kind", ["draft_invoice", "booked_invoice", "draft_order"])
def test_every_kind_of_document_to_an_eu_business_carries_the_words(company: Company, kind: str) -> None:
    company.configure(invoices={"rules": [{"when": "paid", "create": kind}]})
    sold = company.pay(company.invoice(company.customer(country="DE", tax_ids=BUSINESS), tax_rates=[]))
    assert company.sync().codes() == {}
    ledger = company.sandbox.economic
    document = only({"draft_invoice": ledger.drafts, "booked_invoice": ledger.booked, "draft_order": ledger.orders}[kind]())
    assert document["notes"]["textLine2"] == WORDS
    assert (document["recipient"]["vatZone"]["vatZoneNumber"], Decimal(document["grossAmount"])) == (2, Decimal(100))
    assert company.sync(ids=(sold,)).writes == []


def test_where_a_mapping_has_the_field_the_words_are_a_line(company: Company) -> None:
    company.configure(invoices={"fields": {"notes.textLine2": {"template": "Order {metadata.po}"}}})
    company.pay(company.invoice(company.customer(country="DE", tax_ids=BUSINESS), tax_rates=[], metadata={"po": "4711"}))
    assert company.sync().codes() == {}
    document = only(company.sandbox.economic.booked())
    assert document["notes"]["textLine2"] == "Order 4711"
    assert [line["description"] for line in document["lines"]] == ["Pro plan", WORDS]


def test_a_hold_for_a_territory_ends_with_a_word_on_the_customer(company: Company) -> None:
    company.configure(vat={"zone_from": ["metadata.vat_zone", "customer.metadata.vat_zone"]})
    buyer = company.customer("Islas S.L.", country="IC")
    sold = company.pay(company.invoice(buyer, tax_rates=[]))
    assert company.sync().codes() == {sold: "E-VAT-ZONE", buyer: "E-VAT-ZONE"}
    company.sandbox.stripe.update_customer(buyer, at=company.now, metadata={"vat_zone": "abroad"})
    assert company.sync(ids=(sold,)).codes() == {}
    assert only(company.sandbox.economic.booked())["recipient"]["vatZone"]["vatZoneNumber"] == 3


def test_an_invoice_that_has_frozen_a_wrong_number_is_let_through_by_its_metadata(company: Company) -> None:
    company.configure(vat={"zone_from": ["metadata.vat_zone"]})
    known = company.customer("Kendt ApS")
    company.pay(company.invoice(known))
    assert company.sync().codes() == {}
    wrong = (("eu_vat", "DK1358562", "unverified"),)
    buyer = company.customer("Kendt ApS", tax_ids=wrong, metadata={"economic_customer_number": number(company)})
    sold = company.pay(company.invoice(buyer))
    assert company.sync(ids=(sold,)).codes() == {sold: "E-VAT-ID"}
    company.sandbox.stripe.update_invoice(sold, at=company.now, metadata={"vat_zone": "domestic"})
    assert company.sync(ids=(sold,)).codes() == {}
    assert company.documents()[f"stripe:{sold}"] == ("booked_invoice", Decimal(125))


def number(company: Company) -> str:
    return str(only(company.sandbox.economic.booked())["customer"]["customerNumber"])


def test_explain_shows_why_for_what_is_booked_and_for_what_is_held(company: Company) -> None:
    booked = company.pay(company.invoice(company.customer(country="DE", tax_ids=BUSINESS), tax_rates=[]))
    pending = (("eu_vat", "DE136695976", "pending"),)
    held = company.pay(company.invoice(company.customer("Neu GmbH", country="DE", tax_ids=pending), tax_rates=[]))
    company.sync()
    looked = {}
    for invoice in (booked, held):
        opened = company.connection()
        told = asyncio.run(explain(opened, invoice))
        opened.log.close()
        (looked[invoice],) = [one for one in told.decisions if one.decision == "vat_zone"]
        assert told.customer is not None
        assert any(one.decision == "vat_zone" for one in told.customer.decisions)
    assert looked[booked].rule == "6: EU business with a verified VAT number"
    assert looked[held].rule == "E-VAT-ID: VAT number DE136695976 is not verified by Stripe"
    assert (looked[held].outcome, looked[held].inputs["verification"]) == ("held", "pending")
    assert looked[booked].inputs["date"] == "2026-11-01"
