from dataclasses import replace
from typing import Any

import pytest

from cloudify_pipeline.planning.documents import plan_document
from cloudify_pipeline.planning.plans import PlannedDocument, dump, load
from cloudify_pipeline.planning.rules import DueDocument, due
from cloudify_pipeline.planning.vat_words import NUMBER, REVERSE_CHARGE
from cloudify_pipeline_tests.planning.books import (
    CHART,
    DOMESTIC,
    EU,
    EXEMPT,
    NUMBERED,
    PLANNED_CUSTOMER,
    PLANNED_PRODUCT,
    TODAY,
    document_mappings,
    line,
    line_mappings,
    plan,
    record,
    settings,
)

NUMBERS = {"DE": "DE136695976", "SE": "SE123456789701", "BE": "BE0428759497", "IE": "IE6388047V", "GR": "EL094259216"}


def sold(country: str, *locales: str, **more: Any) -> PlannedDocument:
    """A sale to a verified business in `country` that prefers `locales`."""
    value = NUMBERS[country]
    made = record([line(10000)], customer_address={"country": country}, customer_tax_ids=[{"type": "eu_vat", "value": value}])
    known = {"type": "eu_vat", "value": value, "verification": {"status": "verified"}}
    customer = {"id": "cus_1", "preferred_locales": list(locales), "tax_ids": {"object": "list", "data": [known]}}
    done = plan(replace(made, customer=customer), **more)
    assert isinstance(done, PlannedDocument), done
    return done


@pytest.mark.parametrize(
    ("country", "locales", "text"),
    [
        ("DE", (), "Steuerschuldnerschaft des Leistungsempfängers. USt-IdNr. des Kunden: DE136695976"),
        ("DE", ("en-GB",), "Reverse charge. Buyer's VAT number: DE136695976"),
        ("DE", ("da",), "Omvendt betalingspligt. Købers momsnummer: DE136695976"),
        ("DE", ("tlh", "fr-FR"), "Autoliquidation. Numéro de TVA de l'acquéreur : DE136695976"),
        ("SE", (), "Omvänd betalningsskyldighet. Köparens momsregistreringsnummer: SE123456789701"),
        ("BE", (), "Btw verlegd. Btw-nummer van de afnemer: BE0428759497"),
        ("IE", (), "Reverse charge. Buyer's VAT number: IE6388047V"),
        ("GR", (), "Reverse charge. Buyer's VAT number: EL094259216"),
    ],
)
def test_the_words_are_in_the_buyers_language(country: str, locales: tuple[str, ...], text: str) -> None:
    done = sold(country, *locales)
    assert done.document.vat_zone == EU
    assert done.document.fields["notes.textLine2"] == text
    (told,) = [one for one in done.evidence if one.decision == "reverse_charge"]
    assert (told.outcome, told.inputs["place"]) == (text, "notes.textLine2")
    (trace,) = [one for one in done.lineage if one.target == "notes.textLine2"]
    assert trace.result == text


@pytest.mark.parametrize("text", REVERSE_CHARGE.values())
def test_every_text_has_its_words_and_then_the_number(text: str) -> None:
    words, _, number = text.partition(". ")
    assert words
    assert number.endswith(NUMBER)


@pytest.mark.parametrize(
    ("texts", "text"),
    [
        ({"de": "§ 13b UStG, {vat_number}"}, "§ 13b UStG, DE136695976"),
        ({"de": "Reverse Charge"}, "Reverse Charge DE136695976"),
        ({"da": "Omvendt"}, "Steuerschuldnerschaft des Leistungsempfängers. USt-IdNr. des Kunden: DE136695976"),
    ],
)
def test_a_text_of_the_settings_replaces_that_language_and_never_loses_the_number(texts: dict[str, str], text: str) -> None:
    done = sold("DE", connection=settings(vat={"reverse_charge_text": texts}))
    assert done.document.fields["notes.textLine2"] == text


def test_a_field_that_a_mapping_fills_is_left_alone_and_the_words_become_a_line_of_text() -> None:
    taken = settings(vat={"reverse_charge_field": "notes.heading"})
    mappings = document_mappings(**{"notes.heading": {"template": "Stripe {number}"}})
    no_field = settings(vat={"reverse_charge_field": None})
    for done in (sold("DE", connection=taken, documents=mappings), sold("DE", connection=no_field)):
        assert str(done.document.fields.get("notes.heading", "")) in {"Stripe ABCD-0001", ""}
        assert "notes.textLine2" not in done.document.fields
        *_, last = done.document.lines
        assert last.description == "Steuerschuldnerschaft des Leistungsempfängers. USt-IdNr. des Kunden: DE136695976"
        assert last.product is None
        assert last.net == last.quantity == 0
        assert done.document.predicted.gross == done.document.stripe_total == 100
        assert load(*dump(done)) == done


def test_the_ledger_customers_own_zone_has_the_words_and_the_number_where_stripe_has_one() -> None:
    own = settings(customers={"defaults": {"payment_terms": 1, "group": 1, "vat_zone": EU}})
    bare = plan(record([line(10000)], customer_address={"country": "DE"}), own, customer=replace(PLANNED_CUSTOMER, vat_zone=EU))
    assert isinstance(bare, PlannedDocument)
    assert bare.document.fields["notes.textLine2"] == "Steuerschuldnerschaft des Leistungsempfängers"
    numbered = sold("DE", connection=own, customer=replace(PLANNED_CUSTOMER, vat_zone=EU))
    assert str(numbered.document.fields["notes.textLine2"]).endswith("DE136695976")


@pytest.mark.parametrize(("zone", "number"), [("domestic_exempt", EXEMPT), (4, EXEMPT), (None, None)])
def test_an_invoice_rule_gives_its_documents_a_zone(zone: Any, number: int | None) -> None:
    rules = [{"when": "paid", "create": "booked_invoice", "vat_zone": zone, "if": {"metadata": {"kind": "museum"}}}]
    connection = settings(invoices={"rules": [*rules, {"when": "paid", "create": "booked_invoice"}]})
    for metadata, expected in (({"kind": "museum"}, number or DOMESTIC), ({}, DOMESTIC)):
        made = record([line(10000)], metadata=metadata)
        wanted = due(made, connection)
        assert isinstance(wanted, DueDocument)
        done = plan_document(
            made,
            due=wanted,
            settings=connection,
            documents=document_mappings(),
            lines=line_mappings(),
            chart=CHART,
            today=TODAY,
            customer=PLANNED_CUSTOMER,
            products={"prod_A": PLANNED_PRODUCT},
            numbered=NUMBERED,
        )
        (zoned,) = [one for one in done.evidence if one.decision == "vat_zone"]
        assert zoned.outcome.startswith(str(expected))
        if expected == EXEMPT:
            assert zoned.rule == f"1: invoices.rules[0].vat_zone is {zone}"
