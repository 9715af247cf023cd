"""Every validation before going live: what it finds, and what it lets pass."""

import asyncio
from dataclasses import dataclass, replace
from typing import Any

import pytest

from cloudify_pipeline.accounting.chart import PaymentTerms
from cloudify_pipeline.control import sync
from cloudify_pipeline.control.chart_checks import Checked
from cloudify_pipeline.control.earlier import earlier_documents
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.control.planner import plan_connection
from cloudify_pipeline.control.validations import VALIDATIONS, Checking, Validation
from cloudify_pipeline.ledgers.port import LedgerIdentity
from cloudify_pipeline.posting.log.schema import identities, operations, records
from cloudify_pipeline.settings.models import ConnectionSettings, MatchPair
from cloudify_pipeline_tests.whole_runs.by_hand import by_hand
from cloudify_pipeline_tests.whole_runs.conftest import Company, company

__all__ = ["company"]


@dataclass
class Live:
    """A company whose Stripe has a few invoices, and the way to change what a validation looks at."""

    company: Company
    customers: int = 1
    without_email: int = 0
    sent: bool = False
    settings: dict[str, dict[str, Any]] | None = None
    identity: dict[str, str] | None = None
    terms: str = "net"
    barred_known: bool = True
    api_base: str | None = None
    other: str | None = None
    earlier: str | None = None

    def checking(self) -> Checking:
        if self.earlier is not None:
            buyer = self.company.sandbox.economic.add_customer(name="Kunde 0", email=self.earlier)
            by_hand(self.company, customer=buyer["customerNumber"])
        for n in range(self.customers):
            given: dict[str, Any] = {"email": None if n < self.without_email else f"kunde{n}@example.com"}
            invoice = self.company.invoice(self.company.customer(f"Kunde {n}", **given))
            if not self.sent:
                self.company.pay(invoice)
        if self.sent:
            self.company.configure(invoices={"rules": [{"when": "sent", "create": "draft_invoice"}]})
        opened = self.company.connection()
        return asyncio.run(self._checking(opened))

    async def _checking(self, opened: OpenConnection) -> Checking:
        await sync.stage(opened)
        async with opened.ledger() as ledger:
            identity, chart = await ledger.identify(), await ledger.chart()
            planned = await plan_connection(opened, ledger)
            earlier = await earlier_documents(opened, ledger, planned)
        terms = {number: replace(one, type=self.terms) for number, one in chart.payment_terms.items()}
        chart = replace(chart, payment_terms=terms, barred_known=self.barred_known)
        assert isinstance(chart.payment_terms[1], PaymentTerms)
        self._bind(opened, identity)
        opened = replace(opened, loaded=replace(opened.loaded, settings=self._changed(opened.settings)))
        identity = replace(identity, details={**identity.details, **(self.identity or {})})
        return Checking(opened, identity, chart, planned, earlier)

    def _changed(self, settings: ConnectionSettings) -> ConnectionSettings:
        for section, values in (self.settings or {}).items():
            changed = getattr(settings, section).model_copy(update=values)
            settings = settings.model_copy(update={section: changed})
        if self.api_base is not None and settings.economic is not None:
            economic = settings.economic.model_copy(update={"api_base": self.api_base})
            settings = settings.model_copy(update={"economic": economic})
        return settings

    def _bind(self, opened: OpenConnection, identity: LedgerIdentity) -> None:
        if self.other is not None:
            opened.log.bind("other", identity if self.other == "same" else replace(identity, agreement="7"), self.company.now)


Arranged = dict[str, Any]
CASES: list[tuple[str, Arranged, Arranged, str]] = [
    (
        "match_fields_are_filled",
        {"customers": 2, "without_email": 1},
        {"customers": 1, "settings": {"customers": {"match": [MatchPair(stripe="email", ledger="email")]}}},
        "email is empty for 1 of 2 customers; the next pair is tried, and 1 have none of them and are held: cus_",
    ),
    (
        "trigger_reaches_the_invoices",
        {"customers": 3, "sent": True},
        {"customers": 3},
        "3 invoices (375.00 DKK) are charged automatically and so never sent; no rule will ever fire for them",
    ),
    (
        "terms_do_not_settle_twice",
        {"terms": "paidInCash", "settings": {"journal": {"enabled": True}}},
        {"terms": "paidInCash"},
        "payment terms 1 (Netto 8 dage) are of the type paidInCash: the ledger settles the invoice when it is booked",
    ),
    (
        "terms_do_not_settle_twice",
        {"terms": "creditcard", "settings": {"journal": {"enabled": True}}},
        {"terms": "net", "settings": {"journal": {"enabled": True}}},
        "the journal would post its payment once more",
    ),
    (
        "electronic_invoices_can_be_sent",
        {"settings": {"invoices": {"send_by": "ean"}}, "identity": {"company_number": ""}},
        {"identity": {"company_number": ""}},
        "has no CVR number in the ledger",
    ),
    (
        "electronic_invoices_can_be_sent",
        {"settings": {"invoices": {"send_by": "ean"}}},
        {"customers": 0, "settings": {"invoices": {"send_by": "ean"}}, "identity": {"electronic_invoices": "yes"}},
        "1 of 1 documents have no contact of the buyer (recipient.attention.customerContactNumber): in_",
    ),
    (
        "stripe_test_data_stay_out_of_real_books",
        {"api_base": "https://restapi.e-conomic.com"},
        {},
        "Stripe's data are test data, and Nordlys Software ApS (agreement 1234567) may be real books",
    ),
    (
        "books_are_shared_knowingly",
        {"other": "same"},
        {"other": "another agreement"},
        "connection other writes to agreement 1234567 too, and nothing tells its Stripe account",
    ),
    (
        "barred_periods_can_be_read",
        {"barred_known": False},
        {},
        "does not let this app read which periods are barred",
    ),
    (
        "what_stands_already_is_not_booked_again",
        {"earlier": "kunde0@example.com"},
        {"earlier": "another@example.com"},
        "the ledger has 1 documents of 1 of the customers that are due, since 2026-10-27 (the last of 2026-10-27)",
    ),
]


def found(company: Company, name: str, arranged: Arranged) -> list[Checked]:
    validation: Validation = next(one for one in VALIDATIONS if one.__name__ == name)
    checking = Live(company, **arranged).checking()
    try:
        return list(validation(checking))
    finally:
        checking.opened.log.close()


@pytest.mark.parametrize(("name", "arranged", "passing", "words"), CASES)
def test_what_a_validation_finds(company: Company, name: str, arranged: Arranged, passing: Arranged, words: str) -> None:
    findings = found(company, name, arranged)
    assert any(words in one.found for one in findings), [one.found for one in findings]
    assert all(one.remedy for one in findings)


@pytest.mark.parametrize(("name", "arranged", "passing", "words"), CASES)
def test_what_a_validation_lets_pass(company: Company, name: str, arranged: Arranged, passing: Arranged, words: str) -> None:
    assert found(company, name, passing) == []


def test_every_validation_has_its_own_test() -> None:
    assert {name for name, *_ in CASES} == {one.__name__ for one in VALIDATIONS}


def test_live_data_may_go_anywhere_and_nothing_staged_is_no_test_data(company: Company) -> None:
    arranged = {"customers": 0, "api_base": "https://restapi.e-conomic.com"}
    assert found(company, "stripe_test_data_stay_out_of_real_books", arranged) == []


@pytest.mark.parametrize("mode", ["write", "dry_run"])
def test_test_data_are_a_warning_in_every_mode_because_people_try_on_a_trial_agreement(company: Company, mode: str) -> None:
    company.configure(write_mode=mode)
    (one,) = found(company, "stripe_test_data_stay_out_of_real_books", {"api_base": "https://restapi.e-conomic.com"})
    assert (one.severity, one.found[:9]) == ("warning", "test mode")


@pytest.mark.parametrize(("posted_first", "severity"), [(True, "warning"), (False, "error")])
def test_one_stripe_account_under_two_connections_is_an_error_for_the_second(
    company: Company, posted_first: bool, severity: str
) -> None:
    company.pay(company.invoice(company.customer()))
    company.sync()
    opened = company.connection()
    assert len(opened.log.identities("nordlys", "document")) == 1
    with opened.log.engine.begin() as db:
        for table in (identities, records) if posted_first else ():
            row = db.execute(table.select().where(table.c.kind == "document")).mappings().one()
            db.execute(table.insert().values({**row, "connection": "other"}))
        for table in () if posted_first else (identities, records, operations):
            db.execute(table.update().values(connection="other"))
    opened.log.close()
    (one,) = found(company, "books_are_shared_knowingly", {"customers": 0, "other": "same"})
    assert (one.severity, one.code) == (severity, "E-CONN-SECOND")
    assert "and others of this account" in one.found


def test_a_trigger_that_misses_nothing_says_nothing(company: Company) -> None:
    assert found(company, "trigger_reaches_the_invoices", {"customers": 0}) == []


@pytest.mark.parametrize(("empty", "told"), [(1, False), (2, True)])
def test_one_customer_in_a_hundred_may_be_without_the_match_field(company: Company, empty: int, told: bool) -> None:
    for n in range(100):
        company.customer(f"Kunde {n}", **({"email": None} if n < empty else {}))
    only_email = {"customers": {"match": [MatchPair(stripe="email", ledger="email")], "on_empty_match_field": "error"}}
    findings = found(company, "match_fields_are_filled", {"customers": 0, "settings": only_email})
    assert bool(findings) is told
    if told:
        assert findings[0].found.startswith("email is empty for 2 of 100 customers; each of them is held: cus_")
