"""Corrections with real figures: what each kind takes back, in the original's zone and at its rate, or what it is held for."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from cloudify_pipeline.accounting.documents import CustomerRef
from cloudify_pipeline.errors import Problem
from cloudify_pipeline.planning.correction_words import NUMBER, Why, naming
from cloudify_pipeline.planning.corrections import Correction, Original, credit_note, over_credited
from cloudify_pipeline.planning.plans import Hold, PlannedDocument, dump, load, naming_booked
from cloudify_pipeline.planning.records import ChargeRecord, InvoiceRecord, Record
from cloudify_pipeline.planning.reversals import Part, returned, reversal
from cloudify_pipeline_tests.planning import books
from cloudify_pipeline_tests.planning.books import line, record, tax

ALL = books.settings(products={"no_product": "NONE", "discount_product": "DISC", "rounding_product": "ROUND"})
FREE = replace(books.PLANNED_PRODUCT, stripe_id="prod_F", number="F-1", group=books.VAT_FREE)
PRODUCTS = {"prod_A": books.PLANNED_PRODUCT, "prod_F": FREE}
AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
SECOND = int(AT.timestamp())


def original(zone: int = books.DOMESTIC, booked: int | None = 20188) -> Original:
    words = "the document of in_1" if booked is None else f"booked invoice {booked}"
    return Original("in_1", words, zone, CustomerRef(101, "cus_1"), booked)


def planned(found: Correction | Problem, zone: int = books.DOMESTIC) -> PlannedDocument | Hold:
    assert isinstance(found, Correction), found
    plan = books.plan(found.record, ALL, products=PRODUCTS, corrects=(found, original(zone)))
    assert isinstance(plan, PlannedDocument | Hold), plan
    return plan


def figures(plan: PlannedDocument | Hold) -> tuple[list[str], str, str]:
    """Nets of the lines, VAT and gross; each is Stripe's total, and the text names what is corrected."""
    assert isinstance(plan, PlannedDocument), plan
    document = plan.document
    assert document.predicted.gross == document.stripe_total
    assert (document.customer.number, plan.corrects, document.date.isoformat()) == (101, "in_1", "2026-11-20")
    assert "faktura 20188 af 2026-11-10 (Stripe ABCD-0001, stripe:in_1)" in document.lines[-1].description
    for one in document.lines:
        assert one.unit_price >= 0, "what goes back is a negative quantity"
    nets = [str(one.net) for one in document.lines if one.product]
    return nets, str(document.predicted.vat), str(document.predicted.gross)


def vat(net: int) -> int:
    return (net * 25 + 50) // 100


def on_top(amount: int, **more: Any) -> dict[str, Any]:
    return line(amount, unit=amount, taxes=[tax(vat(amount), amount)], **more)


def inside(amount: int, **more: Any) -> dict[str, Any]:
    part = (amount * 2 * 25 + 125) // 250
    return line(amount, unit=amount, taxes=[tax(part, amount - part, rate="txr_25i", inclusive=True)], **more)


def free(amount: int, **more: Any) -> dict[str, Any]:
    return line(amount, unit=amount, product="prod_F", taxes=[tax(0, amount, rate="txr_0", reason="zero_rated")], **more)


def credited(billed: str | None, amount: int, taxes: list[dict[str, Any]], *, less: int = 0, **more: Any) -> dict[str, Any]:
    """A line of a credit note, as Stripe states it; `less` is the part of a discount that goes with it."""
    return {
        "id": f"cnli_{billed}",
        "object": "credit_note_line_item",
        "amount": amount,
        "description": "Pro plan",
        "discount_amount": less,
        "discount_amounts": [{"amount": less, "discount": "di_1"}] if less else [],
        "invoice_line_item": billed,
        "pretax_credit_amounts": [],
        "quantity": None,
        "taxes": taxes,
        "type": "invoice_line_item" if billed else "custom_line_item",
        "unit_amount_decimal": None,
        **more,
    }


def note(lines: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """An issued credit note; its total is what its lines add up to."""
    exclusive = sum(t["amount"] for one in lines for t in one["taxes"] if t["tax_behavior"] == "exclusive")
    shipping = (more.get("shipping_cost") or {}).get("amount_total", 0)
    total = sum(one["amount"] - one["discount_amount"] for one in lines) + exclusive + shipping
    return {
        "id": "cn_1",
        "object": "credit_note",
        "number": "ABCD-0001-CN-01",
        "created": SECOND,
        "effective_at": SECOND,
        "lines": {"data": lines},
        "shipping_cost": None,
        "status": "issued",
        "total": total,
        "amount": total,
        "total_taxes": None,
        **more,
    }


TEN_OFF = [{"amount": 2_990, "discount": "di_1"}]
GRANT = [{"amount": 30_000, "credit_balance_transaction": "cbtxn_1", "type": "credit_balance_transaction"}]
GRANTED = line(100_000, id="il_1", unit=100_000, pretax_credit_amounts=GRANT, taxes=[tax(17_500, 70_000)])
LESS_TEN = line(29_900, id="il_1", unit=29_900, discount_amounts=TEN_OFF, taxes=[tax(6_728, 26_910)])
THOUSAND = [on_top(100_000, id="il_1")]
CARRIAGE = {"amount_subtotal": 4_900, "amount_tax": 1_225, "amount_total": 6_125, "taxes": [tax(1_225, 4_900)]}
# What was invoiced, what else the invoice has, the note's lines, what else the note has; nets, VAT and gross of the correction.
Note = tuple[list[dict[str, Any]], dict[str, Any], list[dict[str, Any]], dict[str, Any], tuple[list[str], str, str]]
NOTES: dict[str, Note] = {
    "full": (THOUSAND, {}, [credited("il_1", 100_000, [tax(25_000, 100_000)])], {}, (["-1000.00"], "-250.00", "-1250.00")),
    "part": (THOUSAND, {}, [credited("il_1", 20_000, [tax(5_000, 20_000)])], {}, (["-200.00"], "-50.00", "-250.00")),
    "VAT inside": (
        [inside(12_500, id="il_1")],
        {},
        [credited("il_1", 5_000, [tax(1_000, 4_000, rate="txr_25i", inclusive=True)])],
        {},
        (["-40.00"], "-10.00", "-50.00"),
    ),
    "several rates": (
        [on_top(10_000, id="il_1"), free(45_000, id="il_2")],
        {},
        [credited("il_1", 4_000, [tax(1_000, 4_000)]), credited("il_2", 9_000, [tax(0, 9_000, rate="txr_0")])],
        {},
        (["-40.00", "-90.00"], "-10.00", "-140.00"),
    ),
    "the line without VAT alone": (
        [on_top(10_000, id="il_1"), free(45_000, id="il_2")],
        {},
        [credited("il_2", 45_000, [tax(0, 45_000, rate="txr_0")])],
        {},
        (["-450.00"], "0.00", "-450.00"),
    ),
    "of a discounted line": (
        [LESS_TEN],
        {},
        [credited("il_1", 29_900, [tax(6_728, 26_910)], less=2_990)],
        {},
        (["-269.10"], "-67.28", "-336.38"),
    ),
    "shipping too": (
        [on_top(10_000, id="il_1")],
        {"shipping_cost": CARRIAGE},
        [credited("il_1", 10_000, [tax(2_500, 10_000)])],
        {"shipping_cost": CARRIAGE},
        (["-100.00", "-49.00"], "-37.25", "-186.25"),
    ),
    "of a line with billing credits": (
        [GRANTED],
        {"total": 87_500},
        [credited("il_1", 100_000, [tax(17_500, 70_000)], pretax_credit_amounts=GRANT)],
        {"total": 87_500},
        (["-700.00"], "-175.00", "-875.00"),
    ),
    "a line of its own": (
        THOUSAND,
        {},
        [credited(None, 4_000, [tax(1_000, 4_000)], description="Goodwill")],
        {},
        (["-40.00"], "-10.00", "-50.00"),
    ),
    "of 7 × 49.99": (
        [on_top(34_993, id="il_1", quantity=7)],
        {},
        [credited("il_1", 34_993, [tax(8_748, 34_993)], quantity=7, unit_amount_decimal="4999")],
        {},
        (["-349.93"], "-87.48", "-437.41"),
    ),
}  # fmt: skip

# How the money goes back changes nothing in the books of sales.
WAYS: dict[str, dict[str, Any]] = {
    "refunded": {"type": "post_payment", "refunds": [{"amount_refunded": 25_000, "refund": "re_1", "type": "refund"}]},
    "out of band": {"type": "post_payment", "out_of_band_amount": 25_000},
    "to balance": {"type": "post_payment", "customer_balance_transaction": "cbtxn_1"},
    "pre-payment": {"type": "pre_payment", "pre_payment_amount": 25_000},
}
FIFTH = [credited("il_1", 20_000, [tax(5_000, 20_000)])]
NOTES |= {way: (THOUSAND, {}, FIFTH, given, (["-200.00"], "-50.00", "-250.00")) for way, given in WAYS.items()}


@pytest.mark.parametrize("case", NOTES)
def test_a_credit_note(case: str) -> None:
    billed, invoice, lines, given, wanted = NOTES[case]
    found = credit_note(note(lines, **given), record(billed, **invoice))
    plan = planned(found)
    assert figures(plan) == wanted
    assert isinstance(plan, PlannedDocument)
    assert (plan.document.key, plan.document.stripe_number) == ("stripe:cn_1", "ABCD-0001-CN-01")
    assert plan.document.vat_zone == books.DOMESTIC
    sold = {one.stripe_line_id: one.product for one in plan.document.lines if one.product}
    if case == "part":
        assert plan.document.lines[0].description == "Pro plan"
    if case == "a line of its own":
        assert [one.number for one in sold.values() if one] == ["NONE"]


@pytest.mark.parametrize(("zone", "address"), [(books.EU, {"country": "DE"}), (books.ABROAD, books.US_ADDRESS)])
def test_the_zone_is_the_originals_whatever_the_buyers_country_says_now(zone: int, address: dict[str, Any]) -> None:
    untaxed = line(10_000, id="il_1", unit=10_000, taxes=[tax(0, 10_000, rate="txr_0", reason="reverse_charge")])
    sale = record([untaxed], customer_address=address, currency="eur")
    found = credit_note(note([credited("il_1", 10_000, [tax(0, 10_000, rate="txr_0", reason="reverse_charge")])]), sale)
    plan = planned(found, zone)
    assert isinstance(plan, PlannedDocument), plan
    assert (plan.document.vat_zone, str(plan.document.predicted.gross)) == (zone, "-100.00")


def test_another_rate_than_the_originals_is_held() -> None:
    wrong = credit_note(note([credited("il_1", 10_000, [tax(2_000, 10_000, rate="txr_20")])]), record(THOUSAND))
    held = planned(wrong)
    assert isinstance(held, Hold)
    assert held.problem.code == "E-VAT-RATE"


def test_a_note_whose_lines_are_not_its_total_is_held() -> None:
    held = planned(credit_note(note([credited("il_1", 20_000, [tax(5_000, 20_000)])], total=25_001), record(THOUSAND)))
    assert isinstance(held, Hold)
    assert held.problem.code == "E-STRIPE-SUM"


MIXED = [on_top(10_000, id="il_1"), free(45_000, id="il_2")]
# What was sold, why it is taken back, how much and after how much (with how much VAT, where credit notes tell).
REVERSALS: dict[str, tuple[Record, Why, Part, tuple[list[str], str, str] | str]] = {
    "voided": (record(THOUSAND), "void", Part(125_000), (["-1000.00"], "-250.00", "-1250.00")),
    "uncollectible": (record(THOUSAND), "uncollectible", Part(125_000), (["-1000.00"], "-250.00", "-1250.00")),
    "voided after a credit note": (record(THOUSAND), "void", Part(100_000, 25_000, 5_000), (["-800.00"], "-200.00", "-1000.00")),
    "voided, billing credits": (record([GRANTED], total=87_500), "void", Part(87_500), (["-700.00"], "-175.00", "-875.00")),
    "voided, several rates": (record(MIXED), "void", Part(57_500), (["-100.00", "-450.00"], "-25.00", "-575.00")),
    "voided after a credit note, several rates": (record(MIXED), "void", Part(52_500, 5_000, 1_000), "E-CREDITED"),
    "voided, discounted": (
        record([LESS_TEN]),
        "void", Part(33_638), (["-269.10"], "-67.28", "-336.38"),
    ),
    "voided, with shipping": (
        record([on_top(10_000)], shipping_cost=CARRIAGE), "void", Part(18_625), (["-100.00", "-49.00"], "-37.25", "-186.25"),
    ),
    "refund, full": (record(THOUSAND), "refund", Part(125_000), (["-1000.00"], "-250.00", "-1250.00")),
    # P-10: 250 of 1,250 is 200 and 50 of VAT.
    "refund, part": (record(THOUSAND), "refund", Part(25_000), (["-200.00"], "-50.00", "-250.00")),
    "refund, second part": (record(THOUSAND), "refund", Part(100_000, 25_000), (["-800.00"], "-200.00", "-1000.00")),
    "refund, VAT inside": (record([inside(125_000)]), "refund", Part(25_000), (["-200.00"], "-50.00", "-250.00")),
    "lost dispute, full": (record(THOUSAND), "dispute", Part(125_000), (["-1000.00"], "-250.00", "-1250.00")),
    "lost dispute, part": (record(THOUSAND), "dispute", Part(31_250), (["-250.00"], "-62.50", "-312.50")),
    "lost dispute after a refund": (record(THOUSAND), "dispute", Part(100_000, 25_000), (["-800.00"], "-200.00", "-1000.00")),
    "lost dispute of all, several rates": (
        record(MIXED), "dispute", Part(57_500), (["-100.00", "-450.00"], "-25.00", "-575.00"),
    ),
    "lost dispute of a part of several rates": (record(MIXED), "dispute", Part(5_000), "E-CREDITED"),
    "refund of a part of several rates": (record(MIXED), "refund", Part(5_000), "E-CREDITED"),
    "refund of all of several rates": (record(MIXED), "refund", Part(57_500), (["-100.00", "-450.00"], "-25.00", "-575.00")),
    "refund of a part without VAT": (record([free(45_000)]), "refund", Part(5_000), (["-50.00"], "0.00", "-50.00")),
    "refund that the øre cannot split": (record([on_top(10_000)]), "refund", Part(97), (["-0.78", "0.01"], "-0.20", "-0.97")),
}  # fmt: skip


@pytest.mark.parametrize("case", REVERSALS)
def test_a_reversal(case: str) -> None:
    sale, why, part, wanted = REVERSALS[case]
    found = reversal({"refund": "re_1", "dispute": "du_1"}.get(why, f"in_1:{why}"), sale, part, AT, why)
    if isinstance(wanted, str):
        assert isinstance(found, Problem)
        assert found.code == wanted
        assert "several VAT rates" in found.message
        assert "invoice ABCD-0001 of 2026-11-10 (stripe:in_1)" in found.message
    else:
        assert figures(planned(found)) == wanted


def test_a_refund_of_a_payment_has_its_vat_inside() -> None:
    found = reversal("re_1", books.charge(125_000), Part(25_000), AT, "refund")
    plan = planned(found)
    assert isinstance(plan, PlannedDocument), plan
    document = plan.document
    assert [(str(one.net), str(one.quantity)) for one in document.lines if one.product] == [("-200.00", "-1")]
    assert (str(document.predicted.vat), str(document.predicted.gross), document.key) == ("-50.00", "-250.00", "stripe:re_1")
    assert document.lines[-1].description == "Tilbagebetaling re_1 af betaling 20188 af 2026-11-10 (stripe:ch_1)"


@pytest.mark.parametrize(
    "sale", [record(THOUSAND), record([inside(125_000)]), books.charge(125_000)], ids=["top", "inside", "charge"]
)
@pytest.mark.parametrize("minor", [25_000, 125_000])
def test_a_refund_that_failed_is_reversed_to_the_oere(sale: InvoiceRecord | ChargeRecord, minor: int) -> None:
    refund = reversal("re_1", sale, Part(minor), AT, "refund")
    assert isinstance(refund, Correction)
    back = returned("re_1:returned", refund, sale, AT)
    there, again = planned(refund), planned(back)
    assert isinstance(there, PlannedDocument)
    assert isinstance(again, PlannedDocument)
    assert (back.minor, back.original_id, again.document.key) == (-minor, sale.stripe_id, "stripe:re_1:returned")
    assert again.document.predicted.gross == -there.document.predicted.gross > 0
    assert again.document.predicted.vat == -there.document.predicted.vat
    assert again.document.vat_zone == there.document.vat_zone
    assert again.document.lines[-1].description.startswith("Tilbageførsel af tilbagebetaling re_1, som ikke blev gennemført, af ")


@pytest.mark.parametrize(
    ("before", "minor", "over"), [(0, 125_000, False), (25_000, 100_000, False), (25_000, 100_001, True), (0, 125_001, True)]
)
def test_more_than_there_is_is_held_by_name(before: int, minor: int, over: bool) -> None:
    found = reversal("re_1", record(THOUSAND), Part(25_000), AT, "refund")
    assert isinstance(found, Correction)
    problem = over_credited(before, replace(found, minor=minor), record(THOUSAND))
    assert (problem is not None) == over
    if problem is not None:
        assert (problem.code, "1,250.00" in problem.message) == ("E-REF-OVER", True)


def test_what_comes_back_is_never_too_much() -> None:
    found = reversal("re_1", record(THOUSAND), Part(25_000), AT, "refund")
    assert isinstance(found, Correction)
    assert over_credited(150_000, returned("re_1:returned", found, record(THOUSAND), AT), record(THOUSAND)) is None


# -- the words ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("why", "locales", "country", "words"),
    [
        ("credit_note", [], "DK", "Kreditnota CN-1 til faktura 20188 af 2026-11-10 (Stripe ABCD-0001, stripe:in_1)"),
        ("credit_note", ["en-GB"], "DK", "Credit note CN-1 for invoice 20188 of 2026-11-10 (Stripe ABCD-0001, stripe:in_1)"),
        ("credit_note", ["da"], "US", "Kreditnota CN-1 til faktura 20188 af 2026-11-10 (Stripe ABCD-0001, stripe:in_1)"),
        ("refund", [], "DE", "Refund CN-1 of invoice 20188 of 2026-11-10 (Stripe ABCD-0001, stripe:in_1)"),
        ("void", [], None, "Reversal of invoice 20188 of 2026-11-10 (Stripe ABCD-0001, stripe:in_1): the invoice was voided"),
        (
            "dispute", [], "US",
            "Reversal of invoice 20188 of 2026-11-10 (Stripe ABCD-0001, stripe:in_1): dispute CN-1 was lost",
        ),
        (
            "dispute", [], "DK",
            "Tilbageførsel af faktura 20188 af 2026-11-10 (Stripe ABCD-0001, stripe:in_1): indsigelse CN-1 er tabt",
        ),
        (
            "won", [], "DK",
            "Genindførsel af faktura 20188 af 2026-11-10 (Stripe ABCD-0001, stripe:in_1): indsigelse CN-1 blev alligevel vundet",
        ),
        (
            "uncollectible", [], "US",
            "Reversal of invoice 20188 of 2026-11-10 (Stripe ABCD-0001, stripe:in_1): the invoice was written off",
        ),
    ],
)  # fmt: skip
def test_the_original_is_named_in_the_buyers_language(why: Why, locales: list[str], country: str | None, words: str) -> None:
    sale = record(THOUSAND, customer_address={"country": country})
    named = naming(why, "CN-1", replace(sale, customer={"id": "cus_1", "preferred_locales": locales}))
    assert named.of(20188) == words
    assert named.of(None) == words.replace("20188", "ABCD-0001").replace("Stripe ABCD-0001, ", "")


def test_a_draft_is_named_by_stripes_number_and_by_the_ledgers_as_soon_as_it_is_booked() -> None:
    found = credit_note(note([credited("il_1", 20_000, [tax(5_000, 20_000)])]), record(THOUSAND))
    plan = books.plan(found.record, ALL, corrects=(found, original(booked=None)))
    assert isinstance(plan, PlannedDocument)
    unbooked = "Kreditnota ABCD-0001-CN-01 til faktura ABCD-0001 af 2026-11-10 (stripe:in_1)"
    assert plan.document.lines[-1].description == unbooked
    again = load(*dump(plan))
    assert again == plan
    assert isinstance(again, PlannedDocument)
    later = books.plan(found.record, ALL, corrects=(found, original()))
    assert isinstance(later, PlannedDocument)
    assert naming_booked(again, 20188).document == later.document, "a plan made a run later says the same"
    assert NUMBER not in later.document.lines[-1].description
