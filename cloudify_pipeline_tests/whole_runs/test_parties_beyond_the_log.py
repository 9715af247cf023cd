"""Customers and products that the ledger has and this log does not know, and those that it knows and the ledger has no more."""

import asyncio
import shutil
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cloudify_pipeline.control import sync
from cloudify_pipeline.posting.log.parties import GONE
from cloudify_pipeline.posting.log.store import Identity
from cloudify_pipeline.sandbox.faults import Fault
from cloudify_pipeline.sandbox.stripe.invoices import Line
from cloudify_pipeline_tests.whole_runs.conftest import Company
from cloudify_pipeline_tests.whole_runs.test_lost_and_late import lose

UNKNOWN_TO_STRIPE: dict[str, Any] = {"number": {"store_in": None}, "on_empty_match_field": "create"}
"""Stripe is not told the number, and an e-mail address is not needed."""


@pytest.fixture(autouse=True)
def nothing_but_words(company: Company) -> None:
    company.configure(customers=UNKNOWN_TO_STRIPE)


def named(company: Company, name: str = "Frøstrup ApS") -> list[int]:
    return [one["customerNumber"] for one in company.sandbox.economic.customers() if one["name"] == name]


def links(company: Company, kind: Any = "customer") -> Mapping[str, Identity]:
    opened = company.connection()
    found = opened.log.identities("nordlys", kind)
    opened.log.close()
    return found


def debtors_invoiced(company: Company) -> list[int]:
    return [one["customer"]["customerNumber"] for one in company.sandbox.economic.booked()]


def buy(company: Company, buyer: str) -> str:
    company.now += timedelta(hours=1)
    return company.pay(company.invoice(buyer))


def name_only(company: Company, name: str) -> str:
    """A Stripe customer of whom nothing is told but his name."""
    company.configure(customers={"fields": {"country": None}})
    return company.sandbox.stripe.add_customer(at=company.now, name=name, address={"country": "DK"})


def of_two_lines(company: Company) -> str:
    """A customer whose address the ledger shows on two lines."""
    buyer = company.customer(email=None)
    address = {"line1": "Havnegade 1", "line2": "Baghuset", "city": "Aarhus", "postal_code": "8000", "country": "DK"}
    company.sandbox.stripe.update_customer(buyer, at=company.now, address=address)
    return buyer


def saved(company: Company) -> Path:
    """The home as it is now, to be restored later."""
    home = company.folder.parent / "home"
    copy = company.folder.parent / "backup"
    shutil.copytree(home, copy)
    return copy


def restore(company: Company, copy: Path) -> None:
    home = company.folder.parent / "home"
    shutil.rmtree(home)
    shutil.copytree(copy, home)


# -- the ledger has more than the log ------------------------------------------------------------------------------------


@pytest.mark.exhaustive
@pytest.mark.parametrize("address", [False, True], ids=["a name only", "with an address"])
@pytest.mark.parametrize("line_ends", ["as sent", "CR"])
def test_a_debtor_of_before_the_log_was_lost_is_linked_and_not_made_again(
    company: Company, line_ends: str, *, address: bool
) -> None:
    company.sandbox.economic.carriage_returns = line_ends == "CR"
    buyer = of_two_lines(company) if address else name_only(company, "Frøstrup ApS")
    buy(company, buyer)
    company.sync()
    (number,) = named(company)
    lose(company, "posting.db")
    buy(company, buyer)
    run = company.sync()
    assert [path for _, path in run.writes if "customers" in path] == []
    assert named(company) == [number]
    assert (links(company)[buyer].number, links(company)[buyer].how) == (number, "found")
    assert debtors_invoiced(company) == [number, number]


def test_a_log_of_yesterday_makes_no_second_debtor(company: Company) -> None:
    buy(company, company.customer("Forbruger Et", email=None))
    company.sync()
    copy = saved(company)
    buyer = company.customer(email=None)
    buy(company, buyer)
    company.sync()
    (number,) = named(company)
    restore(company, copy)
    company.now += timedelta(hours=1)
    buy(company, buyer)
    company.sync()
    assert named(company) == [number]
    assert links(company)[buyer].number == number


@pytest.mark.exhaustive
def test_a_second_home_at_the_same_moment_makes_no_second_debtor_and_no_second_product(
    company: Company, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It has planned to make both; the other home makes them before it posts."""
    product = company.sandbox.stripe.add_product("Workshop", at=company.now - timedelta(days=3))
    price = company.sandbox.stripe.add_price(product, 10_000, at=company.now - timedelta(days=3))
    buyer = company.customer(email=None)
    company.pay(company.invoice(buyer, lines=[Line(price)]))

    async def planned_here_and_posted_after_the_other() -> None:
        opened = company.connection()
        await sync.stage(opened)
        await sync.plan(opened)
        with monkeypatch.context() as other:
            other.setenv("CLOUDIFY_HOME", str(tmp_path / "another"))
            await company._sync()
        endings = (await sync.post_planned_customers(opened, "run")).endings
        endings += (await sync.post_planned_products(opened, "run")).endings
        opened.log.close()
        assert [(ending.state, ending.made) for ending in endings] == [("posted", False), ("posted", False)]

    asyncio.run(planned_here_and_posted_after_the_other())
    assert len(named(company)) == 1
    assert sum(one["name"] == "Workshop" for one in company.sandbox.economic.products()) == 1
    assert links(company)[buyer].number == named(company)[0]


def test_two_stripe_customers_with_the_very_same_words_are_two_debtors_also_after_the_log_is_lost(company: Company) -> None:
    buyers = [company.customer("Jens Hansen", email=None) for _ in range(2)]
    for buyer in buyers:
        buy(company, buyer)
    company.sync()
    numbers = named(company, "Jens Hansen")
    assert len(numbers) == 2
    lose(company, "posting.db")
    for buyer in buyers:
        buy(company, buyer)
    company.sync()
    assert named(company, "Jens Hansen") == numbers
    assert {links(company)[buyer].number for buyer in buyers} == set(numbers)


@pytest.mark.exhaustive
def test_more_debtors_with_the_same_words_than_stripe_customers_are_nobodys_guess(company: Company) -> None:
    for _ in range(2):
        company.sandbox.economic.add_customer(name="Jens Hansen")
    buyer = name_only(company, "Jens Hansen")
    buy(company, buyer)
    run = company.sync()
    assert run.codes()[buyer] == "E-MATCH-MANY"
    assert len(named(company, "Jens Hansen")) == 2


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("more", "debtors"),
    [
        ({}, 1),
        ({"email": "jens@hansen.example"}, 2),
        ({"address": "Vestergade 2"}, 2),
        ({"corporateIdentificationNumber": "12345678"}, 2),
        ({"paymentTerms": {"paymentTermsNumber": 2}}, 2),
    ],
)
def test_a_debtor_of_the_same_name_who_says_more_of_himself_is_somebody_else(
    company: Company, more: dict[str, Any], debtors: int
) -> None:
    company.sandbox.economic.add_customer(name="Jens Hansen", **more)
    buy(company, name_only(company, "Jens Hansen"))
    company.sync()
    assert len(named(company, "Jens Hansen")) == debtors


@pytest.mark.exhaustive
def test_a_debtor_that_lacks_what_would_be_sent_is_somebody_else(company: Company) -> None:
    company.sandbox.economic.add_customer(name="Frøstrup ApS", zip="8000", city="Aarhus", country="DK")
    buy(company, company.customer(email=None))
    company.sync()
    assert len(named(company)) == 2


@pytest.mark.exhaustive
def test_the_debtor_of_a_lost_answer_is_found_although_the_ledger_turned_its_line_ends(company: Company) -> None:
    company.sandbox.economic.carriage_returns = True
    buyer = of_two_lines(company)
    buy(company, buyer)
    company.sandbox.faults_economic.add(Fault("POST", "/customers$", committed=True, status=500))
    assert company.sync().counts() == {"booked": 1}
    assert len(named(company)) == 1
    assert links(company)[buyer].how == "created"


@pytest.mark.exhaustive
def test_a_product_of_before_the_log_was_lost_is_linked_under_the_number_that_a_mapping_gave_it(company: Company) -> None:
    company.configure(
        products={"match": [{"stripe": "metadata.barcode", "ledger": "barCode"}], "fields": {"productNumber": "metadata.sku"}}
    )
    buyer = company.customer(email=None)
    buy(company, buyer)
    company.sync()
    before = company.sandbox.economic.products()
    lose(company, "posting.db")
    buy(company, buyer)
    assert company.sync().counts() == {"booked": 2}
    assert [one["productNumber"] for one in company.sandbox.economic.products()] == [one["productNumber"] for one in before]


@pytest.mark.exhaustive
def test_a_debtor_numbered_by_stripe_is_linked_after_the_log_is_lost_and_another_of_that_number_is_not(company: Company) -> None:
    company.configure(
        customers={
            "match": [{"stripe": "email", "ledger": "email"}],
            "number": {"source": "stripe", "stripe_field": "metadata.no", "store_in": None},
        }
    )
    buyer = company.customer(email=None, metadata={"no": "4711"})
    buy(company, buyer)
    company.sync()
    lose(company, "posting.db")
    buy(company, buyer)
    assert company.sync().counts() == {"booked": 2}
    assert debtors_invoiced(company) == [4711, 4711]
    other = company.customer("En anden ApS", email=None, metadata={"no": "4711"})
    buy(company, other)
    assert company.sync().codes()[other] == "E-CUST-TAKEN"


# -- the log has more than the ledger ------------------------------------------------------------------------------------


def deleted(company: Company, name: str = "Frøstrup ApS") -> int:
    """Somebody deletes the debtor in the ledger."""
    (number,) = named(company, name)
    company.sandbox.economic.delete("customers", number)
    return number


@pytest.mark.exhaustive
@pytest.mark.parametrize("stored", [None, "metadata.economic_customer_number"])
@pytest.mark.parametrize("reused", [False, True], ids=["its number is free", "its number is its own again"])
def test_a_debtor_that_somebody_deleted_is_made_again(company: Company, stored: str | None, *, reused: bool) -> None:
    company.configure(customers={"number": {"store_in": stored}})
    buyer = company.customer(email=None)
    buy(company, buyer)
    company.sync()
    old = deleted(company)
    if not reused:
        company.sandbox.economic.add_customer(customerNumber=old + 7, name="En anden ApS")
    invoice = buy(company, buyer)
    run = company.sync()
    assert run.codes().get(invoice) is None
    (new,) = named(company)
    assert (new == old) is reused
    assert debtors_invoiced(company) == [old, new]
    assert links(company)[buyer].number == new
    customer = next(row for row in company.sandbox.stripe.rows("customer") if row["id"] == buyer)
    assert (customer["metadata"] or {}).get("economic_customer_number") == (None if stored is None else str(new))
    buy(company, buyer)
    run = company.sync()
    assert [path for _, path in run.writes if "customers" in path] == []
    assert debtors_invoiced(company)[-1] == new


def test_a_debtor_that_somebody_deleted_is_held_by_that_name_where_the_settings_make_none(company: Company) -> None:
    buyer = company.customer(email="faktura@example.com")
    buy(company, buyer)
    company.sync()
    old = deleted(company)
    company.configure(customers={"on_not_found": "hold"})
    invoice = buy(company, buyer)
    run = company.sync()
    problems = {ending.stripe_id: ending.problem for ending in run.endings if ending.problem}
    for held in (buyer, invoice):
        problem = problems[held]
        assert problem is not None
        assert problem.code == "E-CUST-GONE"
        assert f"customer {old} is no longer in the ledger" in problem.message
    assert run.writes == []
    company.sandbox.economic.add_customer(name="Frøstrup ApS", email="faktura@example.com")
    assert company.sync().codes() == {}
    assert debtors_invoiced(company)[-1] == named(company)[0]


@pytest.mark.exhaustive
def test_a_document_waits_while_its_debtor_is_not_made_again_and_never_goes_to_the_number_of_somebody_else(
    company: Company,
) -> None:
    buyer = company.customer(email=None)
    buy(company, buyer)
    company.sync()
    old = deleted(company)
    company.configure(limits={"max_new_customers_per_run": 1})
    buy(company, company.customer("Andersen ApS", email=None))
    invoice = buy(company, buyer)
    company.sandbox.economic.add_customer(customerNumber=99_000, name="Højeste nummer")
    first = company.sync()
    later = company.sync()
    waited = [one.codes().get(invoice) for one in (first, later)]
    assert waited in (["E-DEPENDENCY", None], [None, None])
    assert old not in debtors_invoiced(company)[1:]
    assert links(company)[buyer].how != GONE
    assert debtors_invoiced(company).count(named(company)[0]) == 1


@pytest.mark.exhaustive
def test_a_number_that_became_somebody_elses_is_never_used_although_stripe_names_it(company: Company) -> None:
    company.configure(customers={"number": {"store_in": "metadata.economic_customer_number"}})
    buyer = company.customer(email=None)
    buy(company, buyer)
    company.sync()
    old = deleted(company)
    company.sandbox.economic.add_customer(customerNumber=old, name="En anden ApS")
    invoice = buy(company, buyer)
    run = company.sync()
    assert (run.codes()[buyer], run.codes()[invoice], run.writes) == ("E-CUST-TAKEN", "E-CUST-TAKEN", [])
    right = company.sandbox.economic.add_customer(name="Frøstrup ApS (ny)")["customerNumber"]
    company.now += timedelta(minutes=1)
    company.sandbox.stripe.update_customer(buyer, at=company.now, metadata={"economic_customer_number": str(right)})
    assert company.sync().codes() == {}
    assert debtors_invoiced(company) == [old, right]


@pytest.mark.exhaustive
@pytest.mark.parametrize("on_not_found", ["create", "hold"])
def test_a_product_that_somebody_deleted_is_made_again_or_held_by_that_name(company: Company, on_not_found: str) -> None:
    buyer = company.customer(email=None)
    buy(company, buyer)
    company.sync()
    company.sandbox.economic.delete("products", "PRO-NEW")
    company.configure(products={"on_not_found": on_not_found})
    invoice = buy(company, buyer)
    run = company.sync()
    if on_not_found == "create":
        assert run.codes() == {}
        assert len(debtors_invoiced(company)) == 2
        assert company.sandbox.economic.get("products", "PRO-NEW") is not None
        return
    problem = next(ending.problem for ending in run.endings if ending.stripe_id == invoice)
    assert problem is not None
    assert "product PRO-NEW is no longer in the ledger" in problem.message
    assert run.writes == []
