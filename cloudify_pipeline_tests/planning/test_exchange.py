"""The rate of exchange that Stripe converted a payment at, as base currency for 100 units; or why the ledger's own stands."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudify_pipeline.accounting.documents import CustomerRef
from cloudify_pipeline.accounting.money import decimals, from_minor
from cloudify_pipeline.errors import Problem
from cloudify_pipeline.planning.corrections import Original
from cloudify_pipeline.planning.exchange import Rated, exchange_rate, per_hundred
from cloudify_pipeline.planning.plans import Hold, PlannedDocument
from cloudify_pipeline.planning.records import InvoiceRecord
from cloudify_pipeline_tests.planning.books import CHART, DUE, NOV, US_ADDRESS, charge, line, plan, record, settings
from cloudify_pipeline_tests.planning.stripe_arithmetic import THREE, TWO, WHOLE, ZERO

STRIPE = settings(invoices={"exchange_rate": "stripe"}, products={"no_product": "NONE"})


def settled(rate: str | None, into: str = "dkk", n: int = 1) -> dict[str, Any]:
    exact = None if rate is None else Decimal(rate)
    return {"id": f"txn_{n}", "object": "balance_transaction", "currency": into, "exchange_rate": exact, "created": NOV}


def paid_by(n: int, transaction: Any, **more: Any) -> dict[str, Any]:
    fields = {"status": "succeeded", "payment_intent": f"pi_{n}", "balance_transaction": transaction, "amount": 0, **more}
    return {"id": f"ch_{n}", "object": "charge", "created": NOV, **fields}


def payment(amount: int, n: int = 1, **more: Any) -> dict[str, Any]:
    by = {"type": "payment_intent", "payment_intent": f"pi_{n}"}
    return {"id": f"inpay_{n}", "status": "paid", "amount_paid": amount, "payment": by, **more}


def sold(
    payments: list[dict[str, Any]], charges: list[dict[str, Any]], *, currency: str = "eur", amount: int = 125_000
) -> InvoiceRecord:
    made = record(
        [line(amount, unit=amount)], currency=currency, customer_address=US_ADDRESS, payments={"object": "list", "data": payments}
    )
    return replace(made, charges=tuple(charges))


def rated(record: InvoiceRecord, **more: Any) -> Rated | Problem:
    return exchange_rate(record, more.pop("due", DUE), more.pop("connection", STRIPE), CHART, {}, **more)


@pytest.mark.parametrize(
    ("currency", "rate", "per_hundred_units"),
    [
        ("eur", "7.4604", "746.04"),
        ("usd", "6.38714", "638.714"),
        ("sek", "0.6759", "67.59"),
        # One yen is 4.2185 øre, so 100 yen are 4.2185 kroner; both lists of minor units differ here.
        ("jpy", "4.2185", "4.2185"),
        # One fils is 2.0791 øre: 1 dinar of 1,000 fils is 20.79 kroner.
        ("kwd", "2.0791", "2079.10"),
        # What is behind the sixth decimal is rounded, halves up.
        ("usd", "6.387143215", "638.714322"),
        ("eur", "7.46000000", "746.00"),
        ("eur", "7", "700.00"),
    ],
)
def test_the_rate_is_for_a_hundred_units(currency: str, rate: str, per_hundred_units: str) -> None:
    done = rated(sold([payment(125_000)], [paid_by(1, settled(rate))], currency=currency))
    assert isinstance(done, Rated)
    assert str(done.fields["exchangeRate"]) == per_hundred_units
    (why,) = done.evidence
    assert (why.outcome, why.rule) == (f"{per_hundred_units} DKK for 100 {currency.upper()}", "invoices.exchange_rate: stripe")


def test_a_genuine_rate_between_currencies_of_different_decimals() -> None:
    """Stripe's own: 200 US cents at 13.2136 were 2,643 won, which is 1,321.36 won for a dollar."""
    assert per_hundred(Decimal("13.2136"), "USD", "KRW") / 100 == Decimal("1321.36")


@given(
    currency=st.sampled_from([*ZERO, *TWO, *THREE, *WHOLE]),
    minor=st.integers(1, 10**9),
    rate=st.decimals(Decimal("0.00001"), Decimal(500), places=5),
)
def test_both_ways_of_converting_agree_in_every_currency(currency: str, minor: int, rate: Decimal) -> None:
    by_stripe = minor * rate / 10 ** decimals("DKK")
    assert from_minor(minor, currency) * per_hundred(rate, currency, "DKK") / 100 == by_stripe


def test_the_evidence_keeps_rate_source_and_day() -> None:
    done = rated(sold([payment(125_000)], [paid_by(1, settled("7.4604"))]))
    assert isinstance(done, Rated)
    assert done.evidence[0].inputs == {"txn_1": "7.4604 for 1,250.00 EUR of ch_1 on 2026-11-10"}


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        # The same rate twice is itself, exactly; two rates count by what each payment paid.
        ([(100_000, "7.4604"), (25_000, "7.4604")], "746.04"),
        ([(100_000, "7.4604"), (25_000, "7.4504")], "745.84"),
        ([(1, "7"), (2, "8")], "766.666667"),
        ([(50_000, "7.4601"), (50_000, "7.4602"), (25_000, "7.4608")], "746.028"),
    ],
)
def test_several_payments_count_by_their_amounts(parts: list[tuple[int, str]], expected: str) -> None:
    payments = [payment(amount, n) for n, (amount, _) in enumerate(parts)]
    charges = [paid_by(n, settled(rate, n=n)) for n, (_, rate) in enumerate(parts)]
    done = rated(sold(payments, charges, amount=sum(amount for amount, _ in parts)))
    assert isinstance(done, Rated)
    assert str(done.fields["exchangeRate"]) == expected
    assert done.evidence[0].rule == f"invoices.exchange_rate: stripe, {len(parts)} payments by their amounts"
    assert len(done.evidence[0].inputs) == len(parts)


BANK = payment(25_000, 2, payment={"type": "payment_record", "payment_record": "pr_1"})
CARD = paid_by(1, settled("7.4604"))
OPEN = payment(25_000, 3, status="open")


@pytest.mark.parametrize(
    ("payments", "charges", "because"),
    [
        ([], [], "nothing was paid through Stripe"),
        ([OPEN], [], "nothing was paid through Stripe"),
        ([BANK], [], "250.00 EUR was paid outside Stripe"),
        # A part that Stripe never converted: its rate is not the rate of the whole.
        ([payment(100_000), BANK], [CARD], "250.00 EUR was paid outside Stripe"),
        ([payment(125_000)], [paid_by(1, settled(None, "eur"))], "ch_1 was settled in EUR, not in DKK"),
        ([payment(125_000)], [paid_by(1, settled("1.1605", "usd"))], "ch_1 was settled in USD, not in DKK"),
    ],
)
def test_without_a_rate_of_stripes_the_ledgers_stands_and_says_why(
    payments: list[dict[str, Any]], charges: list[dict[str, Any]], because: str
) -> None:
    done = rated(sold(payments, charges))
    assert isinstance(done, Rated)
    assert done.fields == {}
    assert (done.evidence[0].outcome, done.evidence[0].inputs["because"]) == ("the ledger's rate of the day", because)


@pytest.mark.parametrize(
    ("charges", "says"),
    [
        ([], "its payment pi_1 has not been read from Stripe, and with it the rate"),
        (
            [paid_by(1, settled("7.4604"), status="failed")],
            "its payment pi_1 has not been read from Stripe, and with it the rate",
        ),
        ([paid_by(1, None)], "payment ch_1 has not been settled by Stripe yet"),
        ([paid_by(1, "txn_1")], "payment ch_1 was read from Stripe without its rate; sync in_1 by its id"),
    ],
)
def test_a_rate_that_will_be_known_is_waited_for(charges: list[dict[str, Any]], says: str) -> None:
    done = plan(sold([payment(125_000)], charges), STRIPE)
    assert isinstance(done, Hold)
    assert (done.problem.code, done.problem.message) == ("E-EXCHANGE", says)


@pytest.mark.parametrize("rate", ["0", "-7.46"])
def test_a_rate_that_is_none_is_never_written(rate: str) -> None:
    done = rated(sold([payment(125_000)], [paid_by(1, settled(rate))]))
    assert isinstance(done, Problem)
    assert done.code == "E-EXCHANGE"


def test_before_payment_the_ledgers_rate_stands_whether_or_not_it_is_paid_by_now() -> None:
    finalized = replace(DUE, trigger="finalized")
    done = rated(sold([payment(125_000)], [CARD]), due=finalized)
    assert isinstance(done, Rated)
    assert done.fields == {}
    assert done.evidence[0].inputs["because"] == "the document is due when it is finalized, before it is paid"


def test_the_base_currency_and_the_other_setting_have_nothing_to_say() -> None:
    assert rated(sold([payment(125_000)], [], currency="dkk")) == Rated({})
    assert rated(sold([payment(125_000)], [CARD]), connection=settings()) == Rated({})


def test_a_payment_without_an_invoice_has_its_own() -> None:
    taken = charge(125_000, currency="usd", balance_transaction=settled("6.38714"), billing_details={"address": US_ADDRESS})
    done = plan(taken, STRIPE)
    assert isinstance(done, PlannedDocument), done
    assert done.document.fields["exchangeRate"] == Decimal("638.714")


@pytest.mark.parametrize("connection", [STRIPE, settings()], ids=["stripe", "ledger"])
def test_what_is_taken_back_has_the_rate_of_what_it_takes_back(connection: Any) -> None:
    original = Original("in_1", "booked invoice 20188", 3, CustomerRef(101), rate=Decimal("746.04"))
    done = rated(sold([], []), connection=connection, original=original)
    assert isinstance(done, Rated)
    assert done.fields == {"exchangeRate": Decimal("746.04")}
    assert done.evidence[0].rule == "the rate of booked invoice 20188, which it corrects"


def test_the_rate_changes_no_amount_of_the_document() -> None:
    with_rate = plan(sold([payment(125_000)], [CARD]), STRIPE)
    without = plan(sold([payment(125_000)], [CARD]))
    assert isinstance(with_rate, PlannedDocument)
    assert isinstance(without, PlannedDocument)
    assert with_rate.document.predicted == without.document.predicted
    assert "exchangeRate" not in without.document.fields
    assert datetime.fromtimestamp(NOV, UTC).date() == with_rate.document.date
