"""Proof of VAT numbers, from the question to VIES to what is kept, shown and handed out."""

import asyncio
import csv
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import tenacity

from cloudify_pipeline.accounting.vat_evidence import Answer
from cloudify_pipeline.control.audit_export import export
from cloudify_pipeline.control.explain import explain
from cloudify_pipeline.control.explained import Explained
from cloudify_pipeline.control.preflight import check
from cloudify_pipeline.control.preview import preview
from cloudify_pipeline.posting.log.vat_numbers import vat_answers
from cloudify_pipeline.posting.log.verify import verify
from cloudify_pipeline.sandbox.server import EmbeddedVies
from cloudify_pipeline.vies import client
from cloudify_pipeline_tests.whole_runs.conftest import Company

NUMBER = "DE136695976"
PENDING = (("eu_vat", NUMBER, "pending"),)
VERIFIED = (("eu_vat", NUMBER, "verified"),)
OWN = "DK13585628"


@pytest.fixture
def vies(company: Company, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedVies]:
    monkeypatch.setattr(client, "WAIT", tenacity.wait_none())
    with EmbeddedVies(clock=lambda: company.now) as embedded:
        company.configure(vat={"evidence": {"vies": True, "requester": OWN, "api_base": embedded.api_base}})
        yield embedded


def sale(company: Company, ids: Any = PENDING, name: str = "Musterfirma GmbH") -> str:
    return company.pay(company.invoice(company.customer(name, country="DE", tax_ids=ids), tax_rates=[]))


def answers(company: Company, number: str = NUMBER) -> tuple[Answer, ...]:
    opened = company.connection()
    found = vat_answers(opened.log.engine, opened.name, [number]).get(number, ())
    opened.log.close()
    return found


def told(company: Company, invoice: str) -> Explained:
    opened = company.connection()
    found = asyncio.run(explain(opened, invoice))
    opened.log.close()
    return found


def reasons(company: Company) -> list[str]:
    opened = company.connection()
    found = [row["message"] for row in opened.log.records(opened.name, states=("held",))]
    opened.log.close()
    return found


def test_a_number_that_stripe_has_not_verified_is_proven_by_vies_once_and_for_all(
    company: Company, vies: EmbeddedVies, tmp_path: Path
) -> None:
    vies.store.register(NUMBER, "Musterfirma GmbH", "Musterweg 1\n10115 Berlin")
    first = sale(company)
    assert company.sync().codes() == {}
    assert company.sandbox.economic.booked()[0]["recipient"]["vatZone"]["vatZoneNumber"] == 2
    assert [call["vatNumber"] for call in vies.store.calls] == ["136695976"]
    (kept,) = answers(company)
    assert (kept.source, kept.valid, kept.at, kept.name) == ("vies", True, company.now, "Musterfirma GmbH")
    assert (kept.consultation_number, kept.requester, kept.address) == ("WAPIAAAAZ0000001", OWN, "Musterweg 1\n10115 Berlin")
    assert str(kept.customer).startswith("cus_")

    company.now += timedelta(days=2)
    second = sale(company, name="Musterfirma Zweigstelle")
    vies.store.out_of_order("*")
    assert company.sync().codes() == {}
    assert {f"stripe:{one}" for one in (first, second)} == set(company.documents())
    assert len(vies.store.calls) == 1

    (zone,) = [one for one in told(company, second).decisions if one.decision == "vat_zone"]
    assert zone.inputs["evidence"] == "VIES"
    assert (zone.inputs["evidence_date"], zone.inputs["consultation_number"]) == ("2026-11-02", "WAPIAAAAZ0000001")
    opened = company.connection()
    export(opened, tmp_path / "archive")
    assert verify(opened.log.engine, opened.name).findings == []
    with opened.log.engine.begin() as db:
        db.exec_driver_sql("DROP TRIGGER keep_vat_numbers_as_is")
        db.exec_driver_sql("UPDATE vat_numbers SET consultation_number = 'WAPIAAAAZ0000009'")
    (changed,) = verify(opened.log.engine, opened.name).findings
    opened.log.close()
    assert changed.what == "consultation_number is “WAPIAAAAZ0000009”, was “WAPIAAAAZ0000001”"
    with (tmp_path / "archive" / "vat_numbers.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["number"], row["source"], row["consultation_number"]) == (NUMBER, "vies", "WAPIAAAAZ0000001")


def test_while_vies_is_out_of_order_the_sale_waits_and_the_next_run_asks_again(company: Company, vies: EmbeddedVies) -> None:
    vies.store.register(NUMBER)
    vies.store.out_of_order("DE")
    sold = sale(company)
    assert company.sync().codes()[sold] == "E-VAT-ID"
    assert all("VIES could not be reached (MS_UNAVAILABLE); the next run asks again" in one for one in reasons(company))
    assert answers(company) == ()
    vies.store.out_of_order("DE", None)
    assert company.sync().codes() == {}
    assert f"stripe:{sold}" in company.documents()


def test_not_valid_is_asked_about_once_a_day_or_when_somebody_says_so(company: Company, vies: EmbeddedVies) -> None:
    sold = sale(company)
    assert company.sync().codes()[sold] == "E-VAT-ID"
    assert all("VIES said on 2026-11-02 that it is not valid" in one for one in reasons(company))
    company.sync()
    assert len(vies.store.calls) == 1
    company.now += timedelta(hours=1)
    company.sync(ids=(sold,))
    assert len(vies.store.calls) == 2
    company.now += timedelta(days=1)
    vies.store.register(NUMBER)
    assert company.sync().codes() == {}
    assert [one.valid for one in answers(company)] == [False, False, True]


def test_proof_runs_out_and_is_asked_for_again(company: Company, vies: EmbeddedVies) -> None:
    company.settings["vat"]["evidence"]["valid_days"] = 30
    vies.store.register(NUMBER)
    sale(company)
    assert company.sync().codes() == {}
    company.now += timedelta(days=20)
    sale(company, name="Noch eine GmbH")
    assert company.sync().codes() == {}
    assert len(vies.store.calls) == 1
    company.now += timedelta(days=20)
    late = sale(company, name="Späte GmbH")
    company.settings["vat"]["evidence"]["vies"] = False
    assert company.sync().codes()[late] == "E-VAT-ID"
    assert any("the evidence is from 2026-11-02, older than 30 days on 2026-12-11" in one for one in reasons(company))
    company.settings["vat"]["evidence"]["vies"] = True
    assert company.sync().codes() == {}
    assert [one.at for one in answers(company)] == [company.now - timedelta(days=40), company.now]


def test_stripes_verification_is_kept_when_it_is_used_and_serves_after_it_is_deleted(company: Company) -> None:
    buyer = company.customer("Musterfirma GmbH", country="DE", tax_ids=VERIFIED)
    (tax_id,) = company.sandbox.stripe.tax_ids(buyer)
    company.pay(company.invoice(buyer, tax_rates=[]))
    frozen = company.invoice(buyer, tax_rates=[])
    assert company.sync().codes()[frozen] == "S-NOT-DUE"
    (kept,) = answers(company)
    assert (kept.source, kept.valid, kept.at, kept.customer) == ("stripe", True, company.now, buyer)
    assert kept.tax_id == tax_id["id"]
    company.now += timedelta(days=1)
    company.sandbox.stripe.mark_deleted(tax_id["id"])
    company.sandbox.stripe.update_customer(buyer, at=company.now, metadata={"moved": "yes"})
    company.pay(frozen)
    assert company.sync().codes() == {}
    assert f"stripe:{frozen}" in company.documents()
    (zone,) = [one for one in told(company, frozen).decisions if one.decision == "vat_zone"]
    assert (zone.inputs["verification"], zone.inputs["evidence"]) == ("the number is not on the Stripe customer", "Stripe")
    assert answers(company) == (kept,)


def test_a_preview_asks_and_keeps_nothing(company: Company, vies: EmbeddedVies) -> None:
    company.configure(write_mode="read_only")
    vies.store.register(NUMBER)
    sale(company)
    opened = company.connection()
    shown = asyncio.run(preview(opened))
    opened.log.close()
    assert (len(shown.documents), shown.problems, len(vies.store.calls)) == (1, (), 1)
    assert answers(company) == ()


def test_a_check_of_more_than_one_run_may_post_asks_about_each_number_once(company: Company, vies: EmbeddedVies) -> None:
    company.configure(limits={"max_documents_per_run": 1})
    french = (("eu_vat", "FR40303265045", "pending"),)
    company.pay(company.invoice(company.customer("Maison SARL", country="FR", tax_ids=french), tax_rates=[]))
    vies.store.register(NUMBER)
    vies.store.register("FR40303265045")
    sale(company)
    opened = company.connection()
    asyncio.run(check(opened))
    opened.log.close()
    assert sorted(call["countryCode"] for call in vies.store.calls) == ["DE", "FR"]
    assert answers(company) == ()


def test_a_run_that_writes_nothing_to_the_ledger_keeps_the_proof_all_the_same(company: Company, vies: EmbeddedVies) -> None:
    company.configure(write_mode="dry_run")
    vies.store.register(NUMBER)
    sale(company)
    company.sync()
    company.sync()
    assert (len(answers(company)), len(vies.store.calls)) == (1, 1)
