"""The demo data: believable, consistent with the demo agreement, and with something for every rule."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from cloudify_pipeline.sandbox.economic.demo_agreement import EXCHANGE_RATES, PRODUCTS
from cloudify_pipeline.sandbox.stripe import dataset
from cloudify_pipeline.sandbox.stripe.bulk import add_invoices
from cloudify_pipeline.sandbox.stripe.store import StripeStore

NOVEMBER = datetime(2026, 11, 21, 10, tzinfo=UTC)
DAYS = [
    NOVEMBER,
    datetime(2026, 1, 1, 0, 10, tzinfo=UTC),
    datetime(2026, 1, 20, 12, tzinfo=UTC),
    datetime(2026, 3, 21, 12, tzinfo=UTC),
    datetime(2026, 3, 23, 12, tzinfo=UTC),
    datetime(2024, 2, 29, 23, 50, tzinfo=UTC),
    datetime(2026, 12, 31, 23, 30, tzinfo=UTC),
]


@pytest.fixture(scope="module")
def store() -> Iterator[StripeStore]:
    with closing(StripeStore()) as store:
        dataset.load(store, NOVEMBER)
        yield store


@pytest.mark.parametrize("now", DAYS, ids=str)
def test_what_is_to_be_booked_lies_in_open_days_up_to_now(now: datetime) -> None:
    first = dataset.open_from(now)
    with closing(StripeStore()) as store:
        expected = dataset.load(store, now)
        dates = [invoice["effective_at"] for invoice in store.rows("invoice") if invoice["id"] in expected.documents]
    assert first.timestamp() <= min(dates) <= max(dates) <= now.timestamp()
    assert datetime.fromtimestamp(min(dates), ZoneInfo("Europe/Copenhagen")).year == now.year
    assert min(dates) >= now.timestamp() - 76 * 86_400


@pytest.mark.parametrize(
    ("now", "first"),
    [
        (datetime(2026, 1, 31, tzinfo=UTC), "2026-01-01"),
        (datetime(2026, 3, 21, tzinfo=UTC), "2026-01-01"),
        (datetime(2026, 3, 22, tzinfo=UTC), "2026-02-01"),
        (NOVEMBER, "2026-02-01"),
    ],
)
def test_january_is_barred_only_when_it_is_well_behind(now: datetime, first: str) -> None:
    assert dataset.open_from(now).date().isoformat() == first


def test_every_invoice_charge_and_correction_has_exactly_one_ending(store: StripeStore) -> None:
    expected = dataset.expected(store)
    endings = [*expected.held, *expected.skipped, *expected.documents]
    everything = [obj["id"] for kind in ("invoice", "charge", "credit_note") for obj in store.rows(kind)]
    told = {one["refund"] for note in store.rows("credit_note") for one in note["refunds"]}
    everything += [refund["id"] for refund in store.rows("refund") if refund["id"] not in told]
    assert sorted(endings) == sorted(everything)


def test_the_size_and_the_spread_are_those_of_a_small_company(store: StripeStore) -> None:
    invoices = store.rows("invoice")
    assert len(store.rows("customer")) == 57
    assert len(store.rows("product")) == 20
    assert 190 <= len(invoices) <= 220
    assert Counter(invoice["status"] for invoice in invoices).keys() == {"paid", "open", "draft", "void", "uncollectible"}
    assert {invoice["currency"] for invoice in invoices} == {"dkk", "eur", "usd", "gbp", "sek", "nok", "jpy", "chf"}
    assert len({invoice["customer"] for invoice in invoices}) == 57
    assert max(len(invoice["lines"]["data"]) for invoice in invoices) > 12
    assert len(dataset.expected(store).documents) > 170


def test_each_named_reason_to_hold_occurs(store: StripeStore) -> None:
    held = dataset.expected(store).held
    wanted = {
        "E-VAT-ZONE", "E-VAT-ID", "E-CURRENCY", "E-VAT-RATE", "E-CUST-BARRED", "E-PROD-BARRED", "E-MATCH-MANY",
        "E-MATCH-EMPTY", "E-PERIOD", "E-TOTAL", "E-CREDITED",
    }  # fmt: skip
    assert wanted <= set().union(*held.values())


def test_sales_are_taken_back_in_full_and_in_part(store: StripeStore) -> None:
    notes = store.rows("credit_note")
    whole = [one for one in notes if one["total"] == store.invoice(one["invoice"])["total"]]
    assert (len(whole), len(notes)) == (1, 4)
    assert {one["currency"] for one in notes} == {"dkk", "eur"}
    assert {one["type"] for one in notes} == {"pre_payment", "post_payment"}


def test_stripe_s_sum_holds_on_every_invoice(store: StripeStore) -> None:
    for invoice in store.rows("invoice"):
        lines = sum(line["amount"] for line in invoice["lines"]["data"])
        given = sum(one["amount"] for one in invoice["total_discount_amounts"])
        on_top = sum(tax["amount"] for tax in invoice["total_taxes"] if tax["tax_behavior"] == "exclusive")
        assert invoice["total"] == lines - given + on_top + invoice["amount_shipping"]


def _ledger_total(invoice: dict[str, Any], zero_rated: set[str]) -> Decimal:
    """What a ledger makes of the same nets when VAT is rounded once per document."""
    nets: Counter[bool] = Counter()
    for line in invoice["lines"]["data"]:
        inside = sum(tax["amount"] for tax in line["taxes"] if tax["tax_behavior"] == "inclusive")
        net = line["amount"] - sum(one["amount"] for one in line["discount_amounts"]) - inside
        taxed = any(tax["taxability_reason"] == "standard_rated" for tax in line["taxes"])
        nets[taxed] += net
        if not taxed and invoice["customer_address"]["country"] == "DK" and invoice["customer_tax_exempt"] == "none":
            assert line["pricing"]["price_details"]["product"] in zero_rated
    return nets[False] + nets[True] + (Decimal(nets[True]) / 4).quantize(Decimal(1), ROUND_HALF_UP)


def test_a_ledger_reaches_the_total_of_every_invoice_that_should_be_booked(store: StripeStore) -> None:
    free = {product["productNumber"] for product in PRODUCTS if product["productGroup"]["productGroupNumber"] in (2, 4)}
    zero_rated = {product["id"] for product in store.rows("product") if product["metadata"].get("sku") in free}
    expected = dataset.expected(store)
    invoices = [invoice for invoice in store.rows("invoice") if invoice["id"] in expected.documents]
    unlike = [invoice["id"] for invoice in invoices if _ledger_total(invoice, zero_rated) != invoice["total"]]
    assert unlike == []
    assert {invoice["currency"].upper() for invoice in invoices} <= EXCHANGE_RATES.keys()


def test_the_data_are_the_same_every_time() -> None:
    with closing(StripeStore()) as one, closing(StripeStore()) as other:
        assert dataset.load(one, NOVEMBER) == dataset.load(other, NOVEMBER)
        assert one.rows("invoice") == other.rows("invoice")


def test_the_connection_file_names_both_servers_and_no_secret() -> None:
    written = yaml.safe_load(dataset.connection_file("http://127.0.0.1:1", "http://127.0.0.1:2"))
    assert written["stripe"] == {"api_key": {"env": "CLOUDIFY_DEMO_STRIPE_KEY"}, "api_base": "http://127.0.0.1:1"}
    assert (written["economic"]["api_base"], written["economic"]["openapi_base"]) == ("http://127.0.0.1:2", "http://127.0.0.1:2")
    assert (written["ledger"], written["write_mode"]) == ("economic", "write")


def test_bulk_invoices_are_paid_and_end_at_the_instant_given() -> None:
    with closing(StripeStore()) as store:
        ids = add_invoices(store, 50, until=NOVEMBER, customers=7, lines=2)
        invoices = [store.invoice(id_) for id_ in ids]
    assert Counter(invoice["status"] for invoice in invoices) == {"paid": 50}
    assert invoices[-1]["status_transitions"]["paid_at"] == int(NOVEMBER.timestamp())
    assert all(invoice["total"] % 100 == 0 for invoice in invoices)
