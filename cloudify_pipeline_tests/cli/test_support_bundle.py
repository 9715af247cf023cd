"""The support bundle: what it holds, and that no secret and no personal value is in it."""

import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest

from cloudify_pipeline.accounting.vat_evidence import Answer
from cloudify_pipeline.connection import open_connection
from cloudify_pipeline.errors import Problem
from cloudify_pipeline.posting.endings import Ending
from cloudify_pipeline.posting.log.chart_seen import ChartSeen, remember
from cloudify_pipeline.posting.log.vat_numbers import keep_vat_answers
from cloudify_pipeline_tests.cli.conftest import Call, call
from cloudify_pipeline_tests.whole_runs.conftest import Company, company

__all__ = ["call", "company"]

AMOUNTS_AND_IDS = re.compile(r"-?[\d.,]{1,6}")
"""A postal code or a number of a few digits stands in amounts too; only what is longer can be told apart."""


def staged_people(name: str) -> set[str]:
    """Every personal value of the staged customers and of what their invoices and charges repeat of them."""
    opened = open_connection(name)
    try:
        found: set[str | None] = set()
        for customer in opened.staging.objects("customer").values():
            address = customer.get("address") or {}
            found |= {customer.get(key) for key in ("name", "email", "phone", "description")}
            found |= {address.get(key) for key in ("line1", "line2", "city", "postal_code", "state")}
            found |= set((customer.get("metadata") or {}).values())
            found |= {one["value"] for one in (customer.get("tax_ids") or {}).get("data", ())}
        for invoice in opened.staging.objects("invoice").values():
            found |= {invoice.get(key) for key in ("customer_name", "customer_email", "customer_phone", "description", "footer")}
            found |= set((invoice.get("metadata") or {}).values())
            found |= {one["value"] for one in invoice.get("customer_tax_ids") or ()}
        return {value for value in found if value and not AMOUNTS_AND_IDS.fullmatch(value)}
    finally:
        opened.log.close()


def texts(archive: Path) -> dict[str, str]:
    with zipfile.ZipFile(archive) as opened:
        return {name: opened.read(name).decode() for name in opened.namelist()}


@pytest.fixture
def shop(company: Company) -> Company:
    """A buyer with everything filled in and one without a country, who is held; a refused write; then a withdrawn grant."""
    full = company.customer(
        "Ærø Bådværft v/Sørine Quist",
        email="sorine.quist@baadvaerft.example",
        phone="+45 62 52 11 90",
        description="Betaler altid for sent",
        metadata={"contact": "Gunhild Thorup", "vip": "yes-indeed"},
    )
    company.pay(company.invoice(full, metadata={"po": "PO-Thorup-77"}, description="Til Sørine, 3. rate"))
    company.pay(company.invoice(company.customer("Zbigniew Kowalczyk", country=None, email="zk@nowhere.example")))
    company.sync()
    return company


def test_a_bundle_says_what_is_wrong_without_saying_who(shop: Company, call: Call, tmp_path: Path) -> None:
    called = call("support-bundle", "nordlys", str(tmp_path / "help"), "--json")
    assert called.code == 0
    found = texts(Path(called.document["file"]))
    people = staged_people("nordlys")
    assert {"Ærø Bådværft v/Sørine Quist", "Gunhild Thorup", "+45 62 52 11 90", "Zbigniew Kowalczyk"} <= people
    for name, text in found.items():
        unescaped = text.casefold()
        assert not {one for one in people if one.casefold() in unescaped}, name
        assert not {secret for secret in shop.sandbox.environment.values() if secret in text}, name
        assert not {word for word in ("quist", "thorup", "kowalczyk", "havnegade", "bådværft") if word in unescaped}, name

    parts: dict[str, Any] = {name.removesuffix(".json"): json.loads(text) for name, text in found.items()}
    assert {"dagster", "duckdb", "python", "cloudify-pipeline"} <= set(parts["versions"])
    held = {row["kind"]: row for row in parts["records"]}
    assert held["document"]["code"] == "E-VAT-ZONE"
    assert "the buyer has no country, neither for shipping nor for billing" in held["customer"]["message"]
    assert held["customer"]["stripe_id"].startswith("cus_")
    assert (float(held["document"]["total"]), held["document"]["currency"]) == (125.0, "DKK")
    draft = next(one for one in parts["calls"] if one["path"] == "/invoices/drafts")
    assert draft["request_id"]
    assert [(line["quantity"], line["unitNetPrice"]) for line in draft["body"]["lines"]] == [(1, 100)]
    assert draft["body"]["currency"] == "DKK"
    assert draft["body"]["recipient"]["name"].startswith("~")
    assert draft["body"]["references"]["other"].startswith("stripe:in_")
    assert parts["connection"]["bound_to"]["agreement"] == "1234567"
    assert parts["counts"]["document"] == {"booked": 1, "held": 1}
    keys = {row["key"]: row["value"] for row in parts["settings"]}
    assert keys["stripe.api_key"] == "{env: CLOUDIFY_DEMO_STRIPE_KEY}"
    assert keys["customers.defaults.group"] == "1"
    (staged,) = parts["objects"].values()
    assert (staged["total"], staged["currency"], staged["status"]) == (12500, "dkk", "paid")
    assert staged["customer_name"] == held["document"]["name"], "equal values stay equal"
    made = next(one for one in parts["calls"] if one["operation"] == "create_customer")
    assert made["body"]["name"] == draft["body"]["recipient"]["name"]


def test_two_bundles_have_no_pseudonym_in_common(shop: Company, call: Call, tmp_path: Path) -> None:
    names = []
    for folder in ("one", "two"):
        called = call("support-bundle", "nordlys", str(tmp_path / folder), "--json")
        records = json.loads(texts(Path(called.document["file"]))["records.json"])
        names.append({row["name"] for row in records if row["name"]})
    assert names[0].isdisjoint(names[1])


def test_what_is_known_of_vat_numbers_is_not_in_it_and_neither_is_the_own_number(
    shop: Company, call: Call, tmp_path: Path
) -> None:
    at = shop.now
    shop.configure(vat={"evidence": {"vies": True, "requester": "DK13585628"}})
    opened = shop.connection()
    answer = Answer("DE136695976", "vies", True, at, "Waldemar Knoblauch", "Knoblauchweg 7", "WAPIAAAAZ0000001", "DK13585628")
    keep_vat_answers(opened.log.engine, opened.name, [answer], at)
    problem = Problem("E-VAT-ID", "VAT number DE136695976 of Waldemar Knoblauch: see WAPIAAAAZ0000001", found="DE136695976")
    opened.log.record(opened.name, [Ending("document", "in_gone", "held", problem=problem)], run_id="run", now=at)
    opened.log.close()
    called = call("support-bundle", "nordlys", str(tmp_path / "help"), "--json")
    assert called.code == 0
    for name, text in texts(Path(called.document["file"])).items():
        assert not {one for one in ("136695976", "Knoblauch", "WAPIAAAAZ", "13585628") if one in text}, name
        assert name != "records.json" or "in_gone" in text


def test_it_is_made_when_nothing_answers_and_says_what_is_in_it(shop: Company, call: Call, tmp_path: Path) -> None:
    shop.sandbox.economic.revoke_grant()
    shop.sandbox.stripe.rights.clear()
    before = len(shop.sandbox.economic.calls) + len(shop.sandbox.stripe.calls)
    called = call("support-bundle", "nordlys", str(tmp_path / "help"))
    assert called.code == 0
    assert "what is held or failed, with the reason" in called.out
    assert re.search(r"\d+ different values are replaced by pseudonyms", called.out)
    assert len(shop.sandbox.economic.calls) + len(shop.sandbox.stripe.calls) == before


@pytest.mark.parametrize("wrong", ["file", "name"])
def test_a_wrong_call_is_told_and_ends_with_2(shop: Company, call: Call, tmp_path: Path, wrong: str) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    called = call("support-bundle", "nordlys" if wrong == "file" else "nobody", str(tmp_path / "file"), "--json")
    assert called.code == 2
    assert called.document["error"]["code"] == "E-SETTINGS"


def test_the_chart_and_its_drift_are_in_it_and_the_collective_customers_name_is_not(
    shop: Company, call: Call, tmp_path: Path
) -> None:
    opened = shop.connection()
    parts = {"customer 12": {"name": "Walter Wagner", "barred": "no"}, "VAT code U25": {"rate": "24 %", "name": "Salgsmoms"}}
    drift = ("VAT code U25: rate was 25 %, is 24 %", "customer 12: name was Else Madsen, is Walter Wagner")
    remember(opened.log.engine, "nordlys", ChartSeen("1234567", parts, shop.now, drift, shop.now))
    opened.log.close()
    found = texts(Path(call("support-bundle", "nordlys", str(tmp_path / "help"), "--json").document["file"]))
    chart, connection = json.loads(found["chart.json"]), json.loads(found["connection.json"])
    assert chart["VAT code U25"] == parts["VAT code U25"]
    assert chart["customer 12"]["barred"] == "no"
    assert connection["drift"][0] == drift[0]
    assert not [name for text in found.values() for name in ("Walter", "Wagner", "Madsen") if name in text]
