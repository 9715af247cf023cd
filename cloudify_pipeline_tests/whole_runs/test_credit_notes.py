"""Credit notes in whole runs: Stripe's, beside the invoice that they take back."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from cloudify_pipeline.sandbox.economic.demo_agreement import DUE_DATE
from cloudify_pipeline.sandbox.stripe.credit_notes import CreditLine
from cloudify_pipeline.sandbox.stripe.invoices import Line
from cloudify_pipeline_tests.whole_runs.conftest import Company


def sold(company: Company, *, lines: list[Line] | None = None, **given: Any) -> str:
    """A paid invoice, by default over 125.00."""
    return company.pay(company.invoice(company.customer(), lines=lines, **given))


def credit(company: Company, invoice: str, *lines: CreditLine, **given: Any) -> str:
    """A credit note of half an hour ago; without lines over all that is left."""
    return company.sandbox.stripe.create_credit_note(invoice, lines or None, at=company.now - timedelta(minutes=30), **given)


def line_of(company: Company, invoice: str, at: int = 0) -> str:
    return str(company.sandbox.stripe.invoice(invoice)["lines"]["data"][at]["id"])


def gross(company: Company) -> dict[str, Decimal]:
    """Durable key → gross of every document."""
    return {key: total for key, (_, total) in company.documents().items()}


def booked(company: Company, key: str) -> dict[str, Any]:
    (document,) = [one for one in company.sandbox.economic.booked() if one["references"]["other"] == key]
    return document


def test_the_whole_invoice_is_credited_in_the_same_run(company: Company) -> None:
    invoice = sold(company)
    note = credit(company, invoice)
    run = company.sync()
    assert run.counts() == {"booked": 2}
    assert gross(company) == {f"stripe:{invoice}": Decimal("125.00"), f"stripe:{note}": Decimal("-125.00")}
    number = booked(company, f"stripe:{invoice}")["bookedInvoiceNumber"]
    assert f" til faktura {number} af " in booked(company, f"stripe:{note}")["lines"][-1]["description"]
    company.now += timedelta(hours=1)
    assert company.sync().calls == [("GET", "/self")]


def test_a_credit_note_that_comes_later_names_the_invoice_and_has_its_zone_and_customer(company: Company) -> None:
    invoice = sold(company)
    company.sync()
    company.now += timedelta(hours=2)
    note = credit(company, invoice)
    run = company.sync()
    assert run.codes() == {}
    original, correction = booked(company, f"stripe:{invoice}"), booked(company, f"stripe:{note}")
    assert correction["customer"]["customerNumber"] == original["customer"]["customerNumber"]
    assert correction["recipient"]["vatZone"] == original["recipient"]["vatZone"]
    number, booked_as = company.sandbox.stripe.invoice(invoice)["number"], original["bookedInvoiceNumber"]
    assert [line["description"] for line in correction["lines"]] == [
        "Pro plan",
        f"Kreditnota {number}-CN-01 til faktura {booked_as} af 2026-11-01 (Stripe {number}, stripe:{invoice})",
    ]
    assert correction["lines"][0]["product"] == original["lines"][0]["product"]
    company.now += timedelta(hours=1)
    assert company.sync().calls == [("GET", "/self")]


@pytest.mark.parametrize("inclusive", [False, True])
def test_two_parts_are_the_whole(company: Company, *, inclusive: bool) -> None:
    rate = company.sandbox.stripe.add_tax_rate(25, at=company.now - timedelta(days=3), inclusive=inclusive)
    invoice = sold(company, tax_rates=[rate])
    first = credit(company, invoice, CreditLine(line_of(company, invoice), 4_000))
    company.sync()
    company.now += timedelta(hours=1)
    second = credit(company, invoice)
    assert company.sync().codes() == {}
    found = gross(company)
    assert (found[f"stripe:{first}"], sum(found.values())) == (Decimal("-40.00") if inclusive else Decimal("-50.00"), 0)
    assert f"stripe:{second}" in found


def test_the_ways_to_give_money_back_all_lower_the_sale(company: Company) -> None:
    ways = {"refunded": {}, "out of band": {"out_of_band": 12_500}, "to balance": {"to_balance": 12_500}}
    notes = {way: credit(company, sold(company), **given) for way, given in ways.items()}
    assert company.sync().codes() == {}
    found = gross(company)
    assert {way: found[f"stripe:{note}"] for way, note in notes.items()} == dict.fromkeys(ways, Decimal("-125.00"))
    assert sum(found.values()) == 0


def test_before_payment_an_invoice_is_posted_whole_and_credited(company: Company) -> None:
    company.configure(invoices={"rules": [{"when": "finalized", "create": "booked_invoice"}]})
    invoice = company.invoice(company.customer(), days_until_due=14)
    note = credit(company, invoice, CreditLine(line_of(company, invoice), 2_000))
    assert company.sync().codes() == {}
    assert gross(company) == {f"stripe:{invoice}": Decimal("125.00"), f"stripe:{note}": Decimal("-25.00")}


def test_discounts_shipping_and_thirteen_lines(company: Company) -> None:
    coupon = company.sandbox.stripe.add_coupon("10 %", at=company.now - timedelta(days=3), percent=10)
    lines = [Line(company.price, quantity) for quantity in range(1, 14)]
    invoice = sold(company, lines=lines, discounts=[coupon])
    credit(company, invoice)
    assert company.sync().codes() == {}
    assert sum(gross(company).values()) == 0


def test_a_custom_line_is_sold_as_the_product_for_lines_without_one(company: Company) -> None:
    invoice = sold(company)
    note = credit(company, invoice, CreditLine(amount=4_000, description="Goodwill", tax_rates=(company.rate,)))
    assert company.sync().codes() == {}
    line = booked(company, f"stripe:{note}")["lines"][0]
    assert (line["description"], line["product"]["productNumber"], line["totalNetAmount"]) == ("Goodwill", "STRIPE", -40.0)


def test_a_custom_line_without_the_vat_of_its_product_is_held(company: Company) -> None:
    note = credit(company, sold(company), CreditLine(amount=4_000, description="Refund"))
    assert company.sync().codes() == {note: "E-VAT-RATE"}


def test_a_second_currency_and_a_reverse_charge_keep_their_zone(company: Company) -> None:
    buyer = company.customer("Müller GmbH", "DE", tax_ids=[("eu_vat", "DE143454214", "verified")], tax_exempt="reverse")
    price = company.sandbox.stripe.add_price(
        company.sandbox.stripe.get("price", company.price)["product"], 9_900, "eur", at=company.now - timedelta(days=3)
    )
    invoice = company.pay(company.invoice(buyer, lines=[Line(price)], currency="eur"))
    note = credit(company, invoice)
    company.sync()
    company.configure(vat={"countries": {"DE": "abroad"}})
    document = booked(company, f"stripe:{note}")
    assert (document["recipient"]["vatZone"]["vatZoneNumber"], document["currency"]) == (2, "EUR")
    assert "DE143454214" in str(document["notes"])


def test_the_zone_is_the_originals_also_when_the_settings_have_changed(company: Company) -> None:
    invoice = sold(company)
    company.sync()
    company.configure(vat={"countries": {"DK": "domestic_exempt"}})
    company.now += timedelta(hours=1)
    note = credit(company, invoice)
    assert note not in company.sync().codes()
    assert booked(company, f"stripe:{note}")["recipient"]["vatZone"]["vatZoneNumber"] == 1


def test_more_than_the_invoice_is_held(company: Company) -> None:
    invoice = sold(company)
    note = credit(company, invoice)
    company.sandbox.stripe.update_credit_note(note, at=company.now, total=12_501, amount=12_501)
    company.now += timedelta(minutes=1)
    run = company.sync()
    assert run.codes() == {note: "E-REF-OVER"}
    assert gross(company) == {f"stripe:{invoice}": Decimal("125.00")}


def test_what_was_never_posted_is_not_credited(company: Company) -> None:
    company.configure(go_live_from=company.now.isoformat())
    note = credit(company, sold(company))
    run = company.sync()
    assert (run.writes, run.codes()[note]) == ([], "S-NO-ORIGINAL")


def test_a_credit_note_waits_for_an_invoice_that_is_not_due_or_held(company: Company) -> None:
    waiting = company.invoice(company.customer(), days_until_due=14)
    early = credit(company, waiting, CreditLine(line_of(company, waiting), 2_000))
    nowhere = company.pay(company.invoice(company.customer("Ingen ApS", country=None)))
    held = credit(company, nowhere)
    run = company.sync()
    assert (run.codes()[early], run.codes()[held]) == ("S-NOT-DUE", "E-DEPENDENCY")
    company.now += timedelta(hours=2)
    company.pay(waiting)
    assert company.sync().codes().get(early) is None
    assert gross(company)[f"stripe:{early}"] == Decimal("-25.00")


def test_credit_notes_may_be_left_to_a_person(company: Company) -> None:
    company.configure(invoices={"credit_notes": False})
    invoice = sold(company)
    company.sync()
    company.now += timedelta(hours=1)
    note = credit(company, invoice)
    run = company.sync()
    assert (run.writes, run.codes()) == ([], {invoice: "E-CREDITED", note: "S-CREDITS-OFF"})


def test_a_void_credit_note(company: Company) -> None:
    company.configure(invoices={"rules": [{"when": "finalized", "create": "booked_invoice"}]})
    invoice = company.invoice(company.customer(), days_until_due=14)
    before = credit(company, invoice, CreditLine(line_of(company, invoice), 2_000))
    company.sandbox.stripe.void_credit_note(before, at=company.now)
    after = credit(company, invoice, CreditLine(line_of(company, invoice), 4_000))
    company.now += timedelta(minutes=1)
    assert company.sync().codes() == {before: "S-VOID"}
    company.now += timedelta(hours=1)
    company.sandbox.stripe.void_credit_note(after, at=company.now)
    company.now += timedelta(minutes=1)
    run = company.sync()
    assert (run.writes, run.codes()) == ([], {before: "S-VOID", after: "E-VOIDED"})


@pytest.mark.parametrize("whole", [False, True])
def test_a_draft_is_credited_in_part_by_a_draft_and_never_as_a_whole(company: Company, *, whole: bool) -> None:
    company.configure(invoices={"rules": [{"when": "paid", "create": "draft_invoice"}]})
    invoice = sold(company)
    company.sync()
    company.now += timedelta(hours=1)
    note = credit(company, invoice, *([] if whole else [CreditLine(line_of(company, invoice), 2_000)]))
    run = company.sync()
    if whole:
        assert (run.writes, run.codes()) == ([], {note: "E-CREDITED"})
    else:
        assert company.documents()[f"stripe:{note}"] == ("draft_invoice", Decimal("-25.00"))


def test_an_order_is_not_credited_by_an_order(company: Company) -> None:
    company.configure(invoices={"rules": [{"when": "paid", "create": "draft_order"}]})
    note = credit(company, sold(company))
    assert company.sync().codes() == {note: "E-NEGATIVE"}


def test_its_own_day_decides_and_a_closed_one_holds_it(company: Company) -> None:
    long_ago = int((company.now - timedelta(days=400)).timestamp())
    invoice = sold(company)
    moved = credit(company, invoice, effective_at=int((company.now - timedelta(days=5)).timestamp()))
    closed = credit(company, sold(company), effective_at=long_ago)
    assert company.sync().codes() == {closed: "E-PERIOD"}
    assert booked(company, f"stripe:{moved}")["date"] == "2026-10-28"


def test_one_that_is_dated_ahead_is_held_until_its_day(company: Company) -> None:
    invoice = sold(company)
    company.sync()
    company.now += timedelta(hours=1)
    note = credit(company, invoice, effective_at=int((company.now + timedelta(days=10)).timestamp()))
    run = company.sync()
    assert (run.writes, run.codes()) == ([], {note: "E-PERIOD"})
    company.now += timedelta(days=10)
    assert company.sync().codes() == {}
    assert booked(company, f"stripe:{note}")["date"] == "2026-11-12"


def test_one_that_is_moved_to_an_open_day_is_due_on_that_day(company: Company) -> None:
    company.configure(
        invoices={"closed_period": "first_open_day"}, customers={"defaults": {"payment_terms": DUE_DATE, "group": 1}}
    )
    invoice = company.pay(company.invoice(company.customer(), days_until_due=14))
    company.sandbox.economic.set_period("2026-10-01", closed=True)
    note = credit(company, invoice, effective_at=int((company.now - timedelta(days=5)).timestamp()))
    assert company.sync().codes() == {}
    document = booked(company, f"stripe:{note}")
    assert (document["date"], document["dueDate"]) == ("2026-11-01", "2026-11-01")


def test_a_lost_log_is_rebuilt_and_nothing_is_credited_twice(company: Company) -> None:
    invoice = sold(company)
    note = credit(company, invoice)
    company.sync()
    before = company.documents()
    for path in (company.folder.parent / "home").glob("posting.db*"):
        path.unlink()
    company.now += timedelta(hours=1)
    run = company.sync()
    assert (run.writes, run.counts()) == ([], {"booked": 2})
    assert (company.documents(), f"stripe:{note}" in before) == (before, True)
