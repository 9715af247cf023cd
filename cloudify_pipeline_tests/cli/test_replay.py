"""`replay` and `accept`: the plan first, then a recorded run; nothing that stands in the ledger is posted twice."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cloudify_pipeline.control.explain import BY_HAND
from cloudify_pipeline.orchestration.instance import instance
from cloudify_pipeline_tests.cli.conftest import Call, Load
from cloudify_pipeline_tests.whole_runs.conftest import Company


@pytest.fixture
def synced(shop: Company, load: Load) -> Company:
    """One document is booked, one is held because the buyer's country is missing."""
    load()
    assert shop.sync().counts() == {"booked": 1, "held": 1}
    return shop


def held_one(call: Call) -> dict[str, Any]:
    (row,) = (row for row in call("status", "--json").document["documents"] if row["state"] == "held")
    return dict(row)


def mend(company: Company, invoice: str) -> None:
    """The customer gets a country, and so does the open invoice."""
    stripe = company.sandbox.stripe
    address = {"line1": "Havnegade 1", "city": "Aarhus", "postal_code": "8000", "country": "DK"}
    customer = stripe.get("invoice", invoice)["customer"]
    # The command line has no clock but the machine's.
    now = datetime.now(UTC)
    stripe.update_customer(customer, at=now, address=address)
    stripe.update_invoice(invoice, at=now, customer_address=address)


def test_a_replay_of_what_failed_makes_exactly_one_document(synced: Company, call: Call) -> None:
    held = held_one(call)
    mend(synced, held["stripe_id"])
    replayed = call("replay", "--failed", "--json")
    assert replayed.code == 0, replayed.out
    found = replayed.document
    assert found["ids"] == [held["stripe_id"]]
    assert [one["does"] for one in found["plan"]["documents"]] == ["create the draft and book it"]
    assert (found["counts_before"]["held"], found["counts"]["held"], found["counts"]["booked"]) == (1, 0, 2)
    assert len(synced.documents()) == 2
    with instance() as recorded:
        run = recorded.get_run_by_id(found["run_id"])
    assert run is not None
    assert run.job_name == "replay"


def test_a_replay_of_what_is_booked_does_nothing_and_says_so(synced: Company, call: Call) -> None:
    (booked,) = (row for row in call("status", "--json").document["documents"] if row["state"] == "booked")
    before = len(synced.sandbox.economic.writes())
    replayed = call("replay", "nordlys", "--number", booked["ledger_number"])
    assert replayed.code == 0
    assert "nothing: it stands as it should" in replayed.out
    assert "Nothing changed" in replayed.out
    assert len(synced.sandbox.economic.writes()) == before


def test_a_replay_of_everything_writes_nothing(synced: Company, call: Call) -> None:
    before = len(synced.sandbox.economic.writes())
    replayed = call("replay", "--all", "--json")
    assert replayed.document["plan"]["writes"] == 0
    assert len(replayed.document["ids"]) == 2
    assert len(synced.sandbox.economic.writes()) == before


def test_the_plan_alone_sends_nothing_and_starts_no_run(synced: Company, call: Call) -> None:
    held = held_one(call)
    mend(synced, held["stripe_id"])
    with instance() as recorded:
        runs = recorded.get_runs_count()
        planned = call("replay", "--error", "E-VAT-ZONE", "--plan")
        assert recorded.get_runs_count() == runs
    assert (planned.code, len(synced.documents())) == (0, 1)


WRONG_CALLS: list[tuple[list[str], str, str]] = [
    ([], "what to replay", "say which records"),
    (["--error", "E-NONSENSE"], "error_code", "cloudify errors"),
    (["--since", "yesterday"], "changed_since", "2026-11-01"),
    (["cus_1"], "INVOICE", "invoice or charge ids"),
]


def test_a_replay_says_what_is_wrong_with_the_call(shop: Company, call: Call) -> None:
    for arguments, key, words in WRONG_CALLS:
        called = call("replay", "nordlys", *arguments)
        assert (called.code, key in called.err) == (2, True), arguments
        assert words in " ".join(called.err.split())


def test_times_and_revisions_choose_records(synced: Company, call: Call) -> None:
    with_time = call("replay", "--since", "2026-11-01", "--until", "2026-11-30", "--plan", "--json").document
    assert len(with_time["ids"]) == 2
    assert call("replay", "--since", "2026-12-01", "--plan", "--json").document["ids"] == []
    (row,) = synced.connection().log.records("nordlys", states=("booked",))
    assert call("replay", "--revision", row["revision"], "--plan", "--json").document["ids"] == [row["stripe_id"]]


def test_a_draft_with_changed_mappings_is_replaced_under_its_number(shop: Company, call: Call, load: Load) -> None:
    shop.configure(invoices={"rules": [{"when": "paid", "create": "draft_invoice"}]})
    shop.sync()
    load()
    (before,) = shop.sandbox.economic.drafts()
    shop.configure(invoices={"fields": {"notes.heading": {"template": "Invoice {number}"}}})
    assert shop.sync().writes == [], "settings alone change nothing that stands"
    key = before["references"]["other"].removeprefix("stripe:")
    replayed = call("replay", "nordlys", key, "--json").document
    (after,) = shop.sandbox.economic.drafts()
    assert [one["does"] for one in replayed["plan"]["documents"]] == ["replace the draft"]
    assert after["draftInvoiceNumber"] == before["draftInvoiceNumber"]
    assert after["notes"]["heading"].startswith("Invoice ")


def test_who_waits_for_a_customer_follows_it_in_order(shop: Company, call: Call, load: Load) -> None:
    """Two records of the ledger have the buyer's e-mail: the customer is held, and its two invoices with it."""
    ledger = shop.sandbox.economic
    for number in (4711, 4712):
        ledger.add_customer(customerNumber=number, name="Kaffe ApS", email="kaffe@example.com")
    buyer = shop.customer("Kaffe ApS", email="kaffe@example.com")
    waiting = {shop.pay(shop.invoice(buyer)) for _ in range(2)}
    shop.sync()
    load()
    ledger.delete("customers", 4712)
    replayed = call("replay", "--error", "E-MATCH-MANY", "--json").document
    assert set(replayed["ids"]) == waiting
    assert {row["stripe_id"]: row["state"] for row in replayed["documents"]} == dict.fromkeys(waiting, "booked")
    assert {document["customer"]["customerNumber"] for document in ledger.booked()[-2:]} == {4711}


def by_hand(company: Company, days: int = 2, gross: int = 100) -> int:
    """A bookkeeper enters the very sale of `company`'s only new invoice in the ledger."""
    import httpx

    (customer,) = (c for c in company.sandbox.economic.customers() if c["name"] == "Frøstrup ApS")
    body = {
        "date": (company.now - timedelta(days=1) + timedelta(days=days)).date().isoformat(),
        "currency": "DKK",
        "layout": {"layoutNumber": 19},
        "paymentTerms": {"paymentTermsNumber": 1},
        "customer": {"customerNumber": customer["customerNumber"]},
        "recipient": {"name": "Frøstrup ApS", "vatZone": {"vatZoneNumber": 1}},
        "lines": [{"product": {"productNumber": "PRO-NEW"}, "description": "Pro", "quantity": 1, "unitNetPrice": gross}],
    }
    environment = company.sandbox.environment
    headers = {
        "X-AppSecretToken": environment["CLOUDIFY_DEMO_APP_SECRET_TOKEN"],
        "X-AgreementGrantToken": environment["CLOUDIFY_DEMO_GRANT_TOKEN"],
    }
    answer = httpx.post(f"{company.sandbox.economic_url}/invoices/drafts", json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    return int(answer.json()["draftInvoiceNumber"])


@pytest.fixture
def keyed_twice(company: Company, load: Load) -> tuple[Company, str, int]:
    """An invoice that is due, and a draft over the same sale that somebody entered by hand."""
    buyer = company.customer(email="froestrup@example.com")
    company.pay(company.invoice(buyer))
    assert company.sync().counts() == {"booked": 1}
    load()
    company.now += timedelta(days=30)
    twin = by_hand(company)
    invoice = company.pay(company.invoice(buyer))
    return company, invoice, twin


def test_a_document_made_by_hand_holds_the_invoice_and_both_are_shown(keyed_twice: tuple[Company, str, int], call: Call) -> None:
    company, invoice, twin = keyed_twice
    previewed = call("preview", "nordlys", invoice, "--json")
    assert [problem["code"] for problem in previewed.document["problems"]] == ["E-DUP-HUMAN"]
    assert call("sync", "--json").code == 1
    row = held_one(call)
    assert (row["stripe_id"], row["error_code"]) == (invoice, "E-DUP-HUMAN")
    assert f"draft invoice {twin}" in row["error"]
    assert "125.00 DKK" in row["error"]
    assert len(company.sandbox.economic.drafts()) == 1


def test_accept_links_the_document_in_the_ledger_and_never_writes_to_it(
    keyed_twice: tuple[Company, str, int], call: Call
) -> None:
    company, invoice, twin = keyed_twice
    company.sync()
    before = company.sandbox.economic.drafts()
    accepted = call("accept", "nordlys", invoice, "--json")
    assert (accepted.code, accepted.document["accepted"]["decision"]) == (0, "link")
    (row,) = (r for r in call("status", "--json").document["documents"] if r["stripe_id"] == invoice)
    assert (row["state"], row["ledger_number"]) == ("posted", str(twin))
    assert company.sandbox.economic.drafts() == before
    company.now += timedelta(hours=1)
    assert company.sync().writes == []
    assert company.sandbox.economic.drafts() == before
    told = call("explain", "nordlys", invoice, "--json").document
    assert (told["origin"]["unknown"], told["rule"], told["plan_from"]) == (BY_HAND, None, "not known")
    assert call("usage", "--json").document["total"] == 1, "what somebody entered is no document of ours"


def test_accept_post_posts_it_as_planned(keyed_twice: tuple[Company, str, int], call: Call) -> None:
    company, invoice, _ = keyed_twice
    company.sync()
    assert call("accept", "nordlys", invoice, "--post").code == 0
    assert company.sandbox.economic.booked()[-1]["references"]["other"] == f"stripe:{invoice}"


@pytest.mark.parametrize(("days", "gross"), [(4, 100), (2, 99)])
def test_another_amount_or_date_is_no_twin(company: Company, days: int, gross: int) -> None:
    buyer = company.customer(email="froestrup@example.com")
    company.pay(company.invoice(buyer))
    company.sync()
    company.now += timedelta(days=30)
    by_hand(company, days=days, gross=gross)
    company.pay(company.invoice(buyer))
    assert company.sync().counts() == {"booked": 1}


def test_what_nobody_can_accept_is_refused_with_the_remedy(synced: Company, call: Call) -> None:
    held = held_one(call)
    refused = call("accept", "nordlys", held["stripe_id"])
    assert refused.code == 2
    assert "E-VAT-ZONE" in refused.err
    assert call("accept", "nordlys", "in_nowhere").code == 2
