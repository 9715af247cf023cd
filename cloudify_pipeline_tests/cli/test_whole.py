"""`sync` and `demo` as recorded Dagster runs against the embedded servers."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from dagster import AssetKey

from cloudify_pipeline.catalogue import entry
from cloudify_pipeline.cli.demo_expected import differences
from cloudify_pipeline.orchestration.instance import instance
from cloudify_pipeline.sandbox.stripe.dataset import Expected
from cloudify_pipeline.stripe_objects import CHARGE_RESTS
from cloudify_pipeline_tests.cli.conftest import Call, Load
from cloudify_pipeline_tests.whole_runs.conftest import Company


def test_a_sync_is_a_recorded_run_and_a_second_one_posts_nothing(shop: Company, call: Call, load: Load) -> None:
    load()
    called = call("sync", "--json")
    assert called.code == 1, "one document is held"
    found = called.document
    assert set(found) >= {"connection", "run_id", "counts", "ids", "documents", "seconds"}
    assert {state: count for state, count in found["counts"].items() if count} == {"booked": 1, "held": 1}
    assert len(found["ids"]) == 2
    assert {row["state"] for row in found["documents"]} == {"booked", "held"}
    assert called.err == "", "Dagster's own lines are kept quiet"
    with instance() as recorded:
        run = recorded.get_run_by_id(found["run_id"])
    assert run is not None
    assert (run.job_name, run.tags["dagster/partition"]) == ("sync", "nordlys")

    booked = next(row["stripe_id"] for row in found["documents"] if row["state"] == "booked")
    again = call("sync", "nordlys", booked, "--json")
    assert again.code == 0, "what is held is not in this run's scope"
    assert again.document["counts"] == found["counts"]
    assert len(shop.sandbox.economic.booked()) == 1


def test_a_sync_says_how_many_payments_rest_and_until_when_and_ends_with_0(company: Company, call: Call, load: Load) -> None:
    company.connection().log.close()
    load()
    buyer = company.customer()
    for _ in range(2):
        company.sandbox.stripe.charge(buyer, 10_000, at=datetime.now(UTC))
    called = call("sync", "--json")
    assert (called.code, called.document["counts"]["planned"]) == (0, 2)
    assert called.document["resting"]["payments"] == 2
    assert datetime.fromisoformat(called.document["resting"]["until"]) <= datetime.now(UTC) + CHARGE_RESTS
    assert {row["error_code"] for row in called.document["documents"]} == {"S-RESTS"}
    shown = call("sync")
    assert shown.code == 0
    assert re.search(r"2 payments rest until \d\d:\d\d \(they may still get an invoice\)", shown.out)
    assert "planned 2" in call("status").out
    assert not company.sandbox.economic.booked()
    with instance() as recorded:
        planned = recorded.get_latest_materialization_event(AssetKey(["plan", "documents"]))
    assert planned is not None
    assert planned.asset_materialization is not None
    assert str(planned.asset_materialization.metadata["resting"].value).startswith("2 payments rest until ")


def test_a_sync_that_could_attempt_nothing_ends_with_3_and_the_remedy(shop: Company, call: Call, load: Load) -> None:
    load()
    shop.sandbox.economic.revoke_grant()
    called = call("sync", "--json")
    assert called.code == 3
    error = called.document["error"]
    assert (error["code"], error["remedy"]) == ("E-CONN-GRANT", entry("E-CONN-GRANT").remedy)
    assert error["run_id"]
    secrets = shop.sandbox.environment.values()
    assert not [secret for secret in secrets if secret in called.out + called.err]


@pytest.fixture
def demo_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load: Load) -> Path:
    """A fresh home; the demo's connection file is there before the code location loads, as in a process of its own."""
    home = tmp_path / "home"
    connections = home / "demo-connections"
    connections.mkdir(parents=True)
    (connections / "demo.yaml").touch()
    monkeypatch.setenv("CLOUDIFY_HOME", str(home))
    monkeypatch.setenv("CLOUDIFY_CONNECTIONS", str(connections))
    load()
    return home


def test_the_demo_ends_as_its_data_set_expects_and_posts_nothing_twice(demo_home: Path, call: Call) -> None:
    first = call("demo", "--json")
    assert first.code == 0, first.document["differences"]
    found = first.document
    assert found["as_expected"] is True
    assert found["new_documents"] == found["counts"]["booked"] > 100
    assert found["counts"]["held"] > 5
    assert sum(one["documents"] for one in found["arrived"]) == found["new_documents"]
    ports = (demo_home / "sandbox" / "ports.json").read_text()

    second = call("demo")
    assert second.code == 0
    assert "0 new documents" in second.out
    assert "E-MATCH-MANY" in second.out
    assert second.out.rstrip().endswith("Next: cloudify demo --ui")
    assert (demo_home / "sandbox" / "ports.json").read_text() == ports, "the same ports as before"


def row(stripe_id: str, state: str, code: str | None = None) -> dict[str, str | None]:
    return {"stripe_id": stripe_id, "state": state, "error_code": code, "error": "why"}


EXPECTED = Expected(
    {"in_held": frozenset({"E-PERIOD"})}, {"in_open": "S-NOT-DUE", "ch_paying": "S-HAS-INVOICE"}, frozenset({"in_1"})
)
RIGHT = [row("in_1", "booked"), row("in_held", "held", "E-PERIOD"), row("in_open", "skipped", "S-NOT-DUE")]


@pytest.mark.parametrize(
    ("documents", "sentences"),
    [
        (RIGHT, []),
        (RIGHT[1:], ["in_1 should be in the ledger and is not known"]),
        ([row("in_1", "failed", "E-SERVER"), *RIGHT[1:]], ["in_1 should be in the ledger and is failed (E-SERVER: why)"]),
        (
            [RIGHT[0], row("in_held", "held", "E-TOTAL"), RIGHT[2]],
            ["in_held should be held with E-PERIOD and is held (E-TOTAL: why)"],
        ),
        ([RIGHT[0], row("in_held", "booked"), RIGHT[2]], ["in_held should be held with E-PERIOD and is booked"]),
        ([*RIGHT, row("ch_paying", "booked")], ["ch_paying should be skipped with S-HAS-INVOICE and is booked"]),
        ([*RIGHT, row("in_more", "booked")], ["in_more is booked and was not expected"]),
    ],
)
def test_every_difference_from_what_is_expected_is_a_sentence(
    documents: list[dict[str, str | None]], sentences: list[str]
) -> None:
    assert differences(EXPECTED, documents) == sentences
