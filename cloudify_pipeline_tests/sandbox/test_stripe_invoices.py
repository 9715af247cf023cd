"""Amounts and life of an invoice in the embedded Stripe."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudify_pipeline.sandbox.stripe.amounts import Discount, LineAmounts, TaxTerms, compute, share_out
from cloudify_pipeline.sandbox.stripe.invoices import Line
from cloudify_pipeline.sandbox.stripe.store import StripeStore
from cloudify_pipeline_tests.sandbox.stripe_account import NOW, Account, make_account

VAT = TaxTerms("txr_25", Decimal(25), inclusive=False)
INSIDE = TaxTerms("txr_25i", Decimal(25), inclusive=True)


@pytest.fixture
def account() -> Iterator[Account]:
    account = make_account()
    yield account
    account.store.close()


def test_a_recorded_invoice_with_line_and_invoice_discount_is_computed_to_the_cent() -> None:
    tax = TaxTerms("txr", Decimal("7.95"), inclusive=False)
    own = Discount("di_line", Decimal(10))
    lines = [LineAmounts(17_400, tax_terms=[tax]), LineAmounts(8_700, own_discounts=[own], tax_terms=[tax])]
    totals = compute(lines, [Discount("di_invoice", Decimal(10))])
    assert [line.discounts for line in lines] == [[("di_invoice", 1740)], [("di_line", 870), ("di_invoice", 783)]]
    assert [[(one.amount, one.taxable) for one in line.taxes] for line in lines] == [[(1245, 15_660)], [(560, 7047)]]
    assert (totals.subtotal, totals.total, totals.total_excluding_tax) == (25_230, 24_512, 22_707)
    assert dict(totals.discounts) == {"di_invoice": 2523, "di_line": 870}


@pytest.mark.parametrize(
    ("amount", "terms", "tax", "total"),
    [
        (29_900, VAT, 7_475, 37_375),
        (2, VAT, 1, 3),
        (1, VAT, 0, 1),
        (-15_000, VAT, -3_750, -18_750),
        (14_997, INSIDE, 2_999, 14_997),
        (4_000, TaxTerms("txr", Decimal(15), inclusive=True), 522, 4_000),
    ],
)
def test_tax_is_rounded_half_up_per_line(amount: int, terms: TaxTerms, tax: int, total: int) -> None:
    line = LineAmounts(amount, tax_terms=[terms])
    totals = compute([line])
    assert (line.taxes[0].amount, totals.total) == (tax, total)


@given(st.integers(0, 10**9), st.lists(st.integers(0, 10**6), min_size=1, max_size=30))
def test_a_shared_amount_is_never_lost(amount: int, weights: list[int]) -> None:
    shares = share_out(amount, weights)
    assert sum(shares) == (amount if sum(weights) else 0)
    assert all(
        abs(share * sum(weights) - amount * weight) < max(sum(weights), 1)
        for share, weight in zip(shares, weights, strict=True)
        if sum(weights)
    )


_AMOUNTS = st.lists(st.tuples(st.integers(-50_000, 500_000), st.sampled_from([(), (VAT,), (INSIDE,)])), min_size=1, max_size=12)


@given(_AMOUNTS, st.integers(0, 100), st.integers(0, 100_000), st.integers(0, 9_900))
def test_stripe_s_own_sum_always_holds(
    amounts: list[tuple[int, tuple[TaxTerms, ...]]], percent: int, off: int, shipping: int
) -> None:
    lines = [LineAmounts(amount, discountable=amount >= 0, tax_terms=terms) for amount, terms in amounts]
    totals = compute(lines, [Discount("di_1", Decimal(percent)), Discount("di_2", amount_off=off)], shipping)
    given_away = sum(amount for _, amount in totals.discounts)
    on_top = sum(tax.amount for tax in totals.taxes if not tax.terms.inclusive)
    assert totals.total == sum(line.amount for line in lines) - given_away + on_top + shipping
    assert totals.total_excluding_tax == totals.total - sum(tax.amount for tax in totals.taxes)


@pytest.mark.parametrize(
    ("unit", "quantity", "amount"),
    [("0.381", 24_105, 9_184), ("33.25", 137, 4_555), ("29900", Decimal("7.5"), 224_250), ("0.5", 1, 1)],
)
def test_unit_amounts_below_the_minor_unit_are_multiplied_first(
    account: Account, unit: str, quantity: int | Decimal, amount: int
) -> None:
    id_ = account.store.create_invoice(
        account.customer, [Line(product=account.product, unit_amount=Decimal(unit), quantity=quantity)], at=NOW
    )
    line = account.store.invoice(id_)["lines"]["data"][0]
    assert (line["amount"], line["pricing"]["unit_amount_decimal"]) == (amount, unit)
    assert (line["quantity"], line["quantity_decimal"]) == (int(quantity), str(quantity))


def _types(account: Account, id_: str) -> list[str]:
    events = account.store.rows("event", order="ASC")
    return [event["type"] for event in events if event["data"]["object"]["id"] == id_]


def test_the_life_of_an_invoice_leaves_its_events(account: Account) -> None:
    store = account.store
    id_ = store.create_invoice(account.customer, [Line(account.price, 3)], at=NOW, tax_rates=[account.vat], days_until_due=8)
    assert store.invoice(id_)["number"] is None
    store.finalize(id_, at=NOW + timedelta(hours=1))
    store.send(id_, at=NOW + timedelta(hours=2))
    store.pay(id_, at=NOW + timedelta(days=3))
    invoice, zero = store.invoice(id_), int(NOW.timestamp())
    assert invoice["number"].endswith("-0001")
    assert (invoice["status"], invoice["total"], invoice["amount_paid"], invoice["amount_remaining"]) == (
        "paid",
        112_125,
        112_125,
        0,
    )
    assert (invoice["effective_at"] - zero, invoice["due_date"] - zero) == (3600, 8 * 86_400)
    assert invoice["status_transitions"]["paid_at"] - zero == 3 * 86_400
    assert _types(account, id_) == [
        "invoice.created",
        "invoice.finalized",
        "invoice.sent",
        "invoice.updated",
        "invoice.paid",
        "invoice.payment_succeeded",
    ]  # fmt: skip


def test_a_payment_is_joined_through_its_intent_and_one_elsewhere_has_none(account: Account) -> None:
    store, paid = account.store, account.sold()
    [payment] = store.rows("invoice_payment")
    intent = store.get("payment_intent", payment["payment"]["payment_intent"])
    charge = store.get("charge", intent["latest_charge"])
    assert (payment["invoice"], charge["payment_intent"], charge["amount"]) == (paid, intent["id"], 37_375)
    cash = store.create_invoice(account.customer, [Line(account.price)], at=NOW)
    store.finalize(cash, at=NOW)
    store.pay(cash, at=NOW, out_of_band=True)
    assert store.invoice(cash)["amount_paid_off_stripe"] == 29_900
    assert len(store.rows("charge")) == 1


def test_what_is_not_allowed_in_a_state_is_refused(account: Account) -> None:
    store, id_ = account.store, account.sold()
    for step in (store.finalize, store.pay, store.void, store.mark_uncollectible, store.delete_invoice):
        with pytest.raises(ValueError, match=f"{id_} is paid"):
            step(id_, at=NOW)


def test_an_uncollectible_invoice_can_still_be_paid_or_voided(account: Account) -> None:
    for ending, status in ((account.store.pay, "paid"), (account.store.void, "void")):
        id_ = account.store.create_invoice(account.customer, [Line(account.price)], at=NOW)
        account.store.finalize(id_, at=NOW)
        account.store.mark_uncollectible(id_, at=NOW)
        ending(id_, at=NOW)
        assert account.store.invoice(id_)["status"] == status


def test_the_buyer_is_frozen_when_the_invoice_is_finalized(account: Account) -> None:
    store = account.store
    id_ = store.create_invoice(account.customer, [Line(account.price)], at=NOW)
    store.update_customer(account.customer, at=NOW, name="Nyt Navn ApS")
    store.finalize(id_, at=NOW)
    store.update_customer(account.customer, at=NOW, name="Nyere Navn ApS")
    invoice = store.invoice(id_)
    assert (invoice["customer_name"], invoice["customer_tax_ids"]) == (
        "Nyt Navn ApS",
        [{"type": "eu_vat", "value": "DK25313763"}],
    )


@pytest.mark.parametrize(
    ("balance", "due", "left", "status"),
    [(-10_000, 19_900, 0, "open"), (-50_000, 0, -20_100, "paid"), (500, 29_900, 500, "open")],
)
def test_credit_pays_first_and_what_it_covers_is_paid_at_once(
    account: Account, balance: int, due: int, left: int, status: str
) -> None:
    customer = account.store.add_customer(at=NOW, balance=balance)
    id_ = account.store.create_invoice(customer, [Line(account.price)], at=NOW)
    account.store.finalize(id_, at=NOW)
    invoice = account.store.invoice(id_)
    assert (invoice["total"], invoice["amount_due"], invoice["status"]) == (29_900, due, status)
    assert account.store.get("customer", customer)["balance"] == left


@pytest.mark.parametrize(("exempt", "reason"), [("exempt", "customer_exempt"), ("reverse", "reverse_charge")])
def test_exempt_buyers_are_charged_no_tax_and_the_reason_is_told(account: Account, exempt: str, reason: str) -> None:
    account.store.update_customer(account.customer, at=NOW, tax_exempt=exempt)
    [tax] = account.store.invoice(account.sold())["total_taxes"]
    assert (tax["amount"], tax["taxability_reason"], tax["taxable_amount"]) == (0, reason, 29_900)


def test_everything_survives_a_restart(tmp_path: Path) -> None:
    store = StripeStore(tmp_path / "stripe.db")
    customer = store.add_customer(at=NOW, name="Åse & Co.")
    store.record_call("GET", "/v1/account", 200)
    store.close()
    again = StripeStore(tmp_path / "stripe.db")
    assert again.get("customer", customer)["name"] == "Åse & Co."
    assert again.counters("calls:") == {"calls:GET:200": 1}
    assert again.add_customer(at=NOW) != customer
    again.close()


def test_a_failed_step_leaves_nothing_behind(account: Account) -> None:
    def counted() -> dict[str, Any]:
        return {kind: len(account.store.rows(kind)) for kind in ("invoice", "discount", "event")}

    before = counted()
    with pytest.raises(KeyError):
        account.store.create_invoice(account.customer, [Line(account.price), Line("price_none")], at=NOW)
    assert counted() == before
