"""The page of which data go where, against what a run really sent and what is really kept."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from markdown_it import MarkdownIt
from sqlalchemy import inspect, text

from cloudify_pipeline.connection import catalogues, load_connection
from cloudify_pipeline.control.data_flow import DataFlow, data_flow
from cloudify_pipeline.control.data_kept import kept_here
from cloudify_pipeline.control.data_page import markdown
from cloudify_pipeline.sandbox.server import EmbeddedVies
from cloudify_pipeline.sandbox.stripe.invoices import Line
from cloudify_pipeline_tests.whole_runs.conftest import Company

SETTINGS: list[dict[str, Any]] = [
    {},
    {
        "customers": {
            "defaults": {"payment_terms": 2, "group": 1, "layout": 19, "currency": "DKK"},
            "number": {"source": "stripe", "stripe_field": "metadata.kundenr", "store_in": None},
            "match": [{"stripe": "email", "ledger": "email"}],
            "fields": {"ean": 'metadata."EAN nr"', "email": None, "barred": {"value": False}},
        },
        "products": {
            "defaults": {"group": 3, "unit": 1},
            "discount_product": "DISCOUNT",
            "fields": {"number": "metadata.sku", "barCode": {"from": "metadata.kode", "on_empty": {"value": "none"}}},
        },
        "invoices": {
            "rules": [
                {"when": "paid", "create": "draft_order", "if": {"metadata": {"type": "hardware"}}},
                {"when": "finalized", "create": "booked_invoice"},
            ],
            "discounts": "product_line",
            "date": "finalized_at",
            "layout": 19,
            "fields": {
                "delivery.deliveryTerms": {"value": "DAP"},
                "delivery.deliveryDate": {"from": "metadata.day", "transform": ["date"]},
                "lines.accrual.startDate": "period.start",
                "lines.unit.unitNumber": {"value": 1},
                "notes.textLine2": {"from": "metadata.po", "on_empty": {"value": "none"}},
            },
        },
    },
]


@pytest.mark.parametrize("settings", SETTINGS, ids=["defaults", "much is set"])
def test_every_field_that_was_sent_is_on_the_page_and_what_is_always_written_was(
    company: Company, settings: dict[str, Any]
) -> None:
    company.configure(**settings)
    trade(company)
    run = company.sync()
    assert (run.codes(), set(run.counts())) == ({}, {"booked"} | ({"posted"} if settings else set()))
    sent = list(bodies(company))
    flow = page()
    entities = {entity for entity, _ in sent}
    assert entities == {"customers", "products", "documents", "charges", "booking"}
    for entity, fields in sent:
        listed = {one.target: one for name in with_lines(entity) for one in section(flow, name)}
        assert fields <= set(listed), f"{entity}: {sorted(fields - set(listed))} are sent and not on the page"
        always = {target for target, one in listed.items() if one.always}
        assert always <= fields, f"{entity}: {sorted(always - fields)} are on the page as always written"
    for entity in entities:
        decided = {one.target for name in with_lines(entity) for one in section(flow, name) if one.origin == "decided"}
        occurred = set().union(*(fields for one, fields in sent if one == entity))
        assert decided - occurred <= {"dueDate", "exchangeRate"}


def trade(company: Company) -> None:
    """Customers at home and abroad, a discount, delivery, metadata that is mapped, an order and a payment without invoice."""
    coupon = company.sandbox.stripe.add_coupon("Ti procent", at=company.now - timedelta(days=2), percent=10)
    shipping = {"name": "Lager", "address": {"line1": "Kajen 2", "city": "Rønne", "postal_code": "3700", "country": "DK"}}
    home = company.customer(shipping=shipping, metadata={"kundenr": "80017", "EAN nr": "5790001330552"}, phone="+45 12345678")
    abroad = company.customer("Redwood Inc.", country="US", metadata={"kundenr": "80018"})
    metadata = {"po": "PO-77", "day": "2026-11-20"}
    two = [Line(company.price), Line(company.price, quantity=3)]
    company.pay(company.invoice(home, lines=two, discounts=[coupon], metadata=metadata, days_until_due=14))
    company.pay(company.invoice(home, metadata={"type": "hardware"}, days_until_due=14))
    company.pay(company.invoice(abroad, tax_rates=[], days_until_due=14))
    business = (("eu_vat", "DE136695976", "verified"),)
    german = company.customer("Brückner GmbH", country="DE", tax_ids=business, metadata={"kundenr": "80019"})
    company.pay(company.invoice(german, tax_rates=[], days_until_due=14))
    company.sandbox.stripe.charge(abroad, 4_999, at=company.now - timedelta(hours=1), currency="usd")
    company.sandbox.stripe.charge(german, 9_900, at=company.now - timedelta(hours=1), currency="eur")


def bodies(company: Company) -> Iterator[tuple[str, set[str]]]:
    """Of every POST that was intended: what it was about, and the paths in it."""
    opened = company.connection()
    with opened.log.engine.connect() as db:
        rows = db.execute(text("SELECT operation, key, body FROM operations WHERE method = 'POST' ")).all()
    opened.log.close()
    for operation, key, body in rows:
        about = {"create_customer": "customers", "create_product": "products", "book_document": "booking"}
        entity = about.get(operation) or ("charges" if key.startswith("stripe:ch_") else "documents")
        yield entity, set(paths(json.loads(body)))


def paths(value: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, inside in value.items():
            yield from paths(inside, f"{prefix}.{key}" if prefix else key)
    elif isinstance(value, list):
        for inside in value:
            yield from paths(inside, prefix)
    else:
        yield prefix


def with_lines(entity: str) -> tuple[str, ...]:
    return ("documents", "lines") if entity == "documents" else (entity,)


def page() -> DataFlow:
    return data_flow(load_connection("nordlys"), catalogues())


def section(flow: DataFlow, name: str) -> tuple[Any, ...]:
    return next(one.fields for one in flow.sections if one.name == name)


def test_the_page_names_every_table_that_is_kept_and_its_columns(company: Company) -> None:
    trade(company)
    company.sync()
    opened = company.connection()
    kept = {(one.place, one.table): set(one.columns) for one in kept_here("nordlys")}
    with duckdb.connect(str(opened.staging.path)) as db:
        rows = db.execute(
            "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal AND table_name <> 'staging_schema'"
        ).fetchall()
    staged: dict[tuple[str, str], set[str]] = {}
    for table, column in rows:
        staged.setdefault((str(Path(opened.staging.path)), table), set()).add(column)
    looked_at = inspect(opened.log.engine)
    place = opened.log.engine.url.render_as_string(hide_password=True)
    logged = {
        (place, table): {column["name"] for column in looked_at.get_columns(table)} for table in looked_at.get_table_names()
    }
    opened.log.close()
    assert kept == {**staged, **logged}


def test_every_table_has_words(company: Company) -> None:
    assert [one.table for one in kept_here("nordlys") if not one.what] == []


@pytest.mark.parametrize(
    ("number", "target"),
    [
        ({"source": "ledger", "store_in": "metadata.kundenr"}, ["customer.metadata.kundenr"]),
        ({"source": "ledger", "store_in": None}, []),
        ({"source": "stripe", "stripe_field": "metadata.kundenr", "store_in": None}, []),
    ],
)
def test_what_is_written_back_is_what_stripe_received(company: Company, number: dict[str, Any], target: list[str]) -> None:
    company.configure(
        customers={"number": number, "match": [{"stripe": "email", "ledger": "email"}]}, invoices={"write_back": False}
    )
    buyer = company.customer(metadata={"kundenr": "80017"} if number["source"] == "stripe" else {})
    company.pay(company.invoice(buyer))
    company.sync()
    received = [call.path for call in company.sandbox.stripe.calls if call.method == "POST"]
    assert [one.target for one in page().written_back] == target
    assert bool(received) == bool(target)


def test_who_else_gets_something_is_on_the_page(company: Company) -> None:
    company.connection().log.close()
    assert page().elsewhere == ()
    with EmbeddedVies() as vies:
        company.configure(vat={"evidence": {"vies": True, "requester": "DK13585628", "api_base": vies.api_base}})
        trade(company)
        pending = (("eu_vat", "FR40303265045", "pending"),)
        company.pay(company.invoice(company.customer("Maison SARL", country="FR", tax_ids=pending), tax_rates=[]))
        company.sync()
        (question,) = vies.store.calls
    assert question == {
        "countryCode": "FR",
        "vatNumber": "40303265045",
        "requesterMemberStateCode": "DK",
        "requesterNumber": "13585628",
    }
    (one,) = page().elsewhere
    assert (one.to, one.setting) == (f"VIES, {vies.api_base}", "vat.evidence.vies")
    assert "DK13585628" in one.what
    assert "vat.evidence.vies" in markdown(page())


def test_a_password_of_the_log_is_not_on_the_page(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    company.connection().log.close()
    monkeypatch.setenv("CLOUDIFY_POSTING_URL", "postgresql+psycopg2://cloudify:hunter2@db/posting")
    shown = markdown(page())
    assert "hunter2" not in shown
    assert "db/posting" in shown


def test_the_markdown_page_is_whole_whatever_stands_in_the_settings(company: Company) -> None:
    company.configure(
        invoices={"fields": {"notes.textLine2": {"from": 'metadata."a|b `c`"'}, "notes.heading": {"value": "x | <b>y</b>"}}}
    )
    company.connection().log.close()
    flow = page()
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(markdown(flow))
    cells = [token.content for token in tokens if token.type == "inline"]
    assert not [token for token in tokens if token.type in {"html_block", "code_block", "fence"}]
    assert not [child for token in tokens for child in token.children or () if child.type in {"html_inline", "code_inline"}]
    rows = [token for token in tokens if token.type == "tr_open"]
    listed = sum(len(one.fields) for one in flow.sections) + len(flow.decisions) + len(flow.written_back) + len(flow.kept)
    tables = len(flow.sections) + 3
    assert len(rows) == listed + tables
    assert any("delivery.address" in cell for cell in cells)
