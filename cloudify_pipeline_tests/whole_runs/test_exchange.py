"""The rate that Stripe converted at, from the balance transaction into the booked document."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from cloudify_pipeline.connection import catalogues
from cloudify_pipeline.control.data_flow import data_flow
from cloudify_pipeline.errors import NotAuthorised
from cloudify_pipeline.planning.plans import PlannedDocument, load
from cloudify_pipeline.sandbox.economic import amounts
from cloudify_pipeline.sandbox.stripe.invoices import Line
from cloudify_pipeline.stripe_source.metadata import check_rights
from cloudify_pipeline_tests.whole_runs.conftest import Company

LEDGERS = {"EUR": Decimal("746.05"), "USD": Decimal("642.37"), "SEK": Decimal("67.82")}
"""The embedded ledger's own rates of the day."""


@pytest.fixture
def seller(company: Company) -> Company:
    company.configure(invoices={"exchange_rate": "stripe"})
    return company


def sold(company: Company, currency: str, **paying: Any) -> str:
    """A paid invoice over 100.00 to somebody outside the EU."""
    buyer = company.customer(f"Buyer in {currency}", country="US")
    line = Line(product=company.sandbox.stripe.get("price", company.price)["product"], unit_amount=Decimal(10_000))
    return company.pay(company.invoice(buyer, lines=[line], currency=currency, tax_rates=[]), **paying)


def rates(company: Company) -> dict[str, Decimal]:
    """Stripe id → rate of every booked document."""
    booked = company.sandbox.economic.booked()
    return {one["references"]["other"].removeprefix("stripe:"): Decimal(one["exchangeRate"]) for one in booked}


def stripe_calls(company: Company, path: str) -> int:
    return sum(call.path == path for call in company.sandbox.stripe.calls)


def test_each_document_has_the_rate_of_its_payment_or_the_ledgers(seller: Company) -> None:
    stripe = seller.sandbox.stripe
    euro, dollar, crowns = sold(seller, "eur"), sold(seller, "usd", parts=(4_000, 1_000)), sold(seller, "sek", out_of_band=True)
    at_home = seller.pay(seller.invoice(seller.customer()))
    taken = stripe.charge(seller.customer("Guest", country="US"), 4_999, at=seller.now - timedelta(hours=1), currency="usd")
    stripe.settles_in = "eur"
    elsewhere = sold(seller, "usd")
    run = seller.sync()
    assert run.codes() == {}
    assert rates(seller) == {
        euro: Decimal("746.04"),
        dollar: Decimal("638.714"),
        taken: Decimal("638.714"),
        crowns: LEDGERS["SEK"],
        elsewhere: LEDGERS["USD"],
        at_home: 100,
    }
    assert stripe_calls(seller, "/v1/charges") == 1
    assert stripe_calls(seller, "/v1/balance_transactions") == 0
    opened = seller.connection()
    plans = {row.stripe_id: load(row.kind, row.body) for row in opened.staging.plans("plan_documents")}
    opened.log.close()
    why = {one: _why(plans[one]) for one in (euro, crowns, elsewhere)}
    assert "7.4604 for 100.00 EUR of ch_" in why[euro]
    assert "100.00 SEK was paid outside Stripe" in why[crowns]
    assert "was settled in EUR, not in DKK" in why[elsewhere]
    seller.now += timedelta(hours=1)
    assert seller.sync().writes == []


def _why(plan: Any) -> str:
    assert isinstance(plan, PlannedDocument)
    return " ".join(value for one in plan.evidence if one.decision == "exchange_rate" for value in one.inputs.values())


def test_a_credit_note_has_the_rate_of_its_invoice_whatever_stripes_is_by_now(seller: Company) -> None:
    invoice = sold(seller, "eur")
    seller.sync()
    seller.now += timedelta(days=1)
    seller.sandbox.stripe.rates["eur"] = Decimal("7.61")
    note = seller.sandbox.stripe.create_credit_note(invoice, at=seller.now - timedelta(hours=1))
    assert seller.sync().codes() == {}
    assert rates(seller) == {invoice: Decimal("746.04"), note: Decimal("746.04")}


def test_with_the_ledgers_rates_too_a_credit_note_has_that_of_its_invoice(company: Company) -> None:
    invoice = sold(company, "eur")
    company.sync()
    (booked,) = company.sandbox.economic.booked()
    company.sandbox.economic.put("booked", booked["bookedInvoiceNumber"], {**booked, "exchangeRate": Decimal("745.11")})
    company.now += timedelta(days=1)
    note = company.sandbox.stripe.create_credit_note(invoice, at=company.now - timedelta(hours=1))
    company.sync()
    assert rates(company)[note] == Decimal("745.11")


def test_a_credit_note_in_the_run_of_its_invoice_has_its_rate_and_no_later_plan_differs(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    invoice = sold(company, "eur")
    note = company.sandbox.stripe.create_credit_note(invoice, at=company.now - timedelta(minutes=30))
    asked = amounts.exchange_rate

    def by_day(document: dict[str, Any]) -> Decimal:
        """The ledger has another rate for what goes back, unless it is told one."""
        goes_back = any(Decimal(line.get("quantity", 0)) < 0 for line in document["lines"])
        return Decimal("750.00") if goes_back and document.get("exchangeRate") is None else asked(document)

    monkeypatch.setattr(amounts, "exchange_rate", by_day)
    assert company.sync().codes() == {}
    assert rates(company) == {invoice: LEDGERS["EUR"], note: LEDGERS["EUR"]}
    before = revisions(company)
    company.now += timedelta(hours=1)
    run = company.sync(ids=(note, invoice))
    assert (run.writes, run.codes(), revisions(company)) == ([], {}, before)


def revisions(company: Company) -> dict[str, str]:
    opened = company.connection()
    found = {str(row["stripe_id"]): str(row["revision"]) for row in opened.log.records(opened.name)}
    opened.log.close()
    return found


def test_a_payment_that_stripe_settles_later_is_waited_for(seller: Company) -> None:
    invoice = sold(seller, "eur", settled=False)
    assert seller.sync().codes() == {invoice: "E-EXCHANGE"}
    (charge,) = seller.sandbox.stripe.rows("charge")
    seller.now += timedelta(hours=1)
    seller.sandbox.stripe.settle(charge["id"], at=seller.now - timedelta(minutes=5))
    assert seller.sync().codes() == {}
    assert rates(seller) == {invoice: Decimal("746.04")}


def test_what_was_read_before_the_setting_is_read_again_in_one_list(company: Company) -> None:
    company.configure(write_mode="dry_run")
    invoices = [sold(company, "eur"), sold(company, "usd")]
    company.sync()
    company.configure(write_mode="write", invoices={"exchange_rate": "stripe"})
    before = stripe_calls(company, "/v1/charges")
    company.now += timedelta(hours=1)
    company.sync()
    assert rates(company) == dict(zip(invoices, [Decimal("746.04"), Decimal("638.714")], strict=True))
    assert stripe_calls(company, "/v1/charges") == before + 1
    company.now += timedelta(hours=1)
    company.sync()
    assert stripe_calls(company, "/v1/charges") == before + 1


def test_turning_the_setting_on_asks_nothing_of_what_is_posted(company: Company) -> None:
    sold(company, "eur")
    buyer = company.customer("Guest", country="US")
    company.sandbox.stripe.charge(buyer, 4_999, at=company.now - timedelta(hours=1), currency="usd")
    company.sync()
    assert set(rates(company).values()) == {LEDGERS["EUR"], LEDGERS["USD"]}
    company.configure(invoices={"exchange_rate": "stripe"})
    company.now += timedelta(hours=1)
    # The settings are new: they are held against the chart once.
    assert not any("invoices" in path or "orders" in path for _, path in company.sync().calls)
    company.now += timedelta(hours=1)
    assert company.sync().calls == [("GET", "/self")]


def test_a_named_invoice_brings_its_payment_along(seller: Company) -> None:
    invoice = sold(seller, "eur")
    sold(seller, "usd")
    seller.sync(ids=(invoice,))
    assert rates(seller) == {invoice: Decimal("746.04")}


async def test_the_right_to_the_balance_is_asked_for_where_it_is_needed(seller: Company) -> None:
    seller.sandbox.stripe.rights -= {"rak_balance_read"}
    for setting, lacking in (("ledger", []), ("stripe", ["Balance"])):
        seller.configure(invoices={"exchange_rate": setting})
        opened = seller.connection()
        async with opened.stripe() as reader:
            rights = await check_rights(reader)
        opened.log.close()
        assert [right.resource for right in rights.refused] == lacking


def test_without_that_right_the_run_stops_and_names_it(seller: Company) -> None:
    sold(seller, "eur")
    seller.sandbox.stripe.rights -= {"rak_balance_read"}
    with pytest.raises(NotAuthorised, match="rak_balance_read") as stopped:
        seller.sync()
    assert stopped.value.code == "E-CONN-ROLE"


@pytest.mark.parametrize(("setting", "sources"), [("ledger", 0), ("stripe", 3)])
def test_the_page_of_data_flows_names_where_a_rate_comes_from(company: Company, setting: str, sources: int) -> None:
    company.configure(invoices={"exchange_rate": setting})
    opened = company.connection()
    opened.log.close()
    flow = data_flow(opened.loaded, catalogues())
    for name in ("documents", "charges"):
        (found,) = [one for one in flow.sections if one.name == name]
        (rate,) = [one for one in found.fields if one.target == "exchangeRate"]
        assert (len(rate.sources), rate.always) == (sources, False)
