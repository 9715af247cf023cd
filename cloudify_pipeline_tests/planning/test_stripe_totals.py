"""Whatever Stripe computed: the ledger's predicted gross is Stripe's total to the minor unit, or the document is held."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from cloudify_pipeline.accounting.money import from_minor, round_half_up, to_minor
from cloudify_pipeline.planning.plans import Hold, PlannedDocument
from cloudify_pipeline.planning.records import InvoiceRecord
from cloudify_pipeline_tests.planning import books

HOLDS = {"E-TOTAL", "E-CURRENCY-DECIMALS"}


def _half_up(amount: Decimal) -> int:
    return int(round_half_up(amount, 0))


@st.composite
def invoices(draw: st.DrawFn) -> InvoiceRecord:
    """Invoices of several lines as Stripe computes them: tax rounded per line, discounts allocated, amounts in minor units."""
    currency = draw(st.sampled_from(["dkk", "eur", "usd", "jpy", "kwd"]))
    danish, inclusive = draw(st.booleans()), draw(st.booleans())
    lines = []
    for index in range(draw(st.integers(1, 5))):
        unit = draw(st.decimals("0.01", "50000", places=draw(st.sampled_from([0, 2, 6]))))
        quantity = draw(
            st.one_of(st.integers(0, 120).map(Decimal), st.decimals("0.01", "20", places=draw(st.sampled_from([1, 2, 3]))))
        )
        amount = _half_up(unit * quantity) * draw(st.sampled_from([1, 1, 1, -1]))
        if currency == "kwd":
            amount -= amount % 10
        discount = _half_up(abs(amount) * Decimal(draw(st.sampled_from([0, 0, 10, 33, 100]))) / 100) if amount > 0 else 0
        taxable = amount - discount
        taxes = []
        if danish and inclusive:
            vat = _half_up(Decimal(taxable) * 25 / 125)
            taxes = [books.tax(vat, taxable - vat, rate="txr_25i", inclusive=True)]
        elif danish:
            taxes = [books.tax(_half_up(Decimal(taxable) * 25 / 100), taxable)]
        lines.append(
            books.line(
                amount,
                id=f"il_{index}",
                unit=unit,
                quantity=int(quantity),
                quantity_decimal=str(quantity),
                discount_amounts=[{"amount": discount, "discount": "di_1"}] if discount else [],
                taxes=taxes,
            )
        )
    address = books.DK_ADDRESS if danish else books.US_ADDRESS
    return books.record(lines, currency=currency, customer_address=address)


@settings(max_examples=400)
@given(record=invoices(), discounts=st.sampled_from(["line", "product_line"]), correct=st.booleans())
def test_the_total_is_stripes_or_the_document_is_held(record: InvoiceRecord, discounts: str, correct: bool) -> None:
    connection = books.settings(
        invoices={"discounts": discounts}, products={"discount_product": "DISC", "rounding_product": "ROUND" if correct else None}
    )
    planned = books.plan(record, connection)
    if isinstance(planned, Hold):
        assert planned.problem.code in HOLDS, planned.problem
        return
    assert isinstance(planned, PlannedDocument)
    document = planned.document
    assert document.predicted.gross == document.stripe_total == from_minor(record.total_minor, record.currency)
    assert to_minor(document.predicted.gross, record.currency) == record.total_minor
    for one in document.lines:
        assert round_half_up(one.quantity * one.unit_price) == one.net
        assert round_half_up(one.quantity) == one.quantity
        assert round_half_up(one.unit_price) == one.unit_price >= 0


@settings(max_examples=200)
@given(amounts=st.lists(st.integers(1, 10_000_000), min_size=1, max_size=4), currency=st.sampled_from(["dkk", "eur", "jpy"]))
def test_without_vat_nothing_is_ever_held(amounts: list[int], currency: str) -> None:
    lines = [books.line(amount, id=f"il_{index}") for index, amount in enumerate(amounts)]
    planned = books.plan(books.record(lines, currency=currency, customer_address=books.US_ADDRESS))
    assert isinstance(planned, PlannedDocument)
