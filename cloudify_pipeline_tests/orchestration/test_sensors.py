"""The sensors against the embedded Stripe: evaluated as the daemon does, and their runs executed."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import dagster as dg
import pytest
import yaml

from cloudify_pipeline.connection import open_connection
from cloudify_pipeline.control.alerts import open_alerts
from cloudify_pipeline.orchestration.instance import instance
from cloudify_pipeline.posting import protocol
from cloudify_pipeline.posting.log import hints
from cloudify_pipeline.posting.log.stripe_bindings import bind_stripe
from cloudify_pipeline.sandbox.faults import Fault
from cloudify_pipeline.sandbox.server import Sandbox
from cloudify_pipeline.sandbox.stripe.invoices import Line
from cloudify_pipeline.settings.paths import connection_file
from cloudify_pipeline_tests.orchestration.conftest import now


class Daemon:
    """Evaluates sensors of a loaded code location and keeps their cursors."""

    def __init__(self, location: ModuleType, recorded: dg.DagsterInstance, sandbox: Sandbox) -> None:
        self.defs: dg.Definitions = location.defs
        self.recorded = recorded
        self.sandbox = sandbox
        self.cursors: dict[str, str | None] = {}

    def tick(self, sensor: str) -> list[dg.RunRequest]:
        definition = self.defs.get_repository_def().get_sensor_def(sensor)
        context = dg.build_sensor_context(
            instance=self.recorded, cursor=self.cursors.get(sensor), repository_def=self.defs.get_repository_def()
        )
        self.said = ""
        data = definition.evaluate_tick(context)
        self.said = data.skip_message or ""
        self.cursors[sensor] = data.cursor
        return list(data.run_requests or [])

    def execute(self, job: str, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        definition: dg.JobDefinition = self.defs.resolve_job_def(job)
        return definition.execute_in_process(
            partition_key=request.partition_key, run_config=request.run_config, instance=self.recorded, raise_on_error=False
        )

    def wait(self) -> None:
        """Half a minute goes by: the marks get older instead."""
        for name, cursor in self.cursors.items():
            known = json.loads(cursor or "{}")
            for mark in known.values():
                if "looked_at" in mark:
                    mark["looked_at"] -= 60
            self.cursors[name] = json.dumps(known)

    def requests(self) -> int:
        return len([call for call in self.sandbox.stripe.calls if call.path == "/v1/events"])


@pytest.fixture
def daemon(location: ModuleType, sandbox: Sandbox) -> Iterator[Daemon]:
    with instance() as recorded:
        yield Daemon(location, recorded, sandbox)


def change_settings(**sections: Any) -> None:
    file = connection_file("nordlys")
    settings = yaml.safe_load(file.read_text(encoding="utf-8"))
    for name, section in sections.items():
        settings[name] = {**settings.get(name, {}), **section} if isinstance(section, dict) else section
    file.write_text(yaml.safe_dump(settings), encoding="utf-8")


@contextmanager
def opened() -> Iterator[Any]:
    connection = open_connection("nordlys")
    try:
        yield connection
    finally:
        connection.log.close()


def newly_paid(sandbox: Sandbox, *, pay: bool = True) -> str:
    store = sandbox.stripe
    price, rate = store.rows("price")[0]["id"], store.rows("tax_rate")[0]["id"]
    buyer = next(row["id"] for row in store.rows("customer") if row["name"] == "Frøstrup ApS")
    invoice = store.create_invoice(buyer, [Line(price)], at=now(), tax_rates=[rate])
    store.finalize(invoice, at=now())
    if pay:
        store.pay(invoice, at=now())
    return invoice


def ids_of(request: dg.RunRequest) -> list[str]:
    ids: list[str] = request.run_config["resources"]["scope"]["config"]["invoice_ids"]
    return ids


def booked(sandbox: Sandbox) -> set[str]:
    return {document["references"]["other"] for document in sandbox.economic.booked()}


def test_a_newly_paid_invoice_is_booked_within_one_tick_and_its_run(daemon: Daemon, sandbox: Sandbox) -> None:
    assert daemon.tick("paid_invoices") == []
    assert "starts from now" in daemon.said
    daemon.wait()
    invoice = newly_paid(sandbox)
    before = daemon.requests()
    (request,) = daemon.tick("paid_invoices")
    assert daemon.requests() - before == 1, "one page, one request"
    assert invoice in ids_of(request)
    assert (request.partition_key, str(request.run_key).split(":")[0]) == ("nordlys", "nordlys")
    assert daemon.execute("sync", request).success
    assert f"stripe:{invoice}" in booked(sandbox)
    daemon.wait()
    assert daemon.tick("paid_invoices") == []
    assert json.loads(daemon.cursors["paid_invoices"] or "")["nordlys"]["resting"] == [], "its charge wakes nobody later"


def test_our_own_metadata_writes_wake_nobody(daemon: Daemon, sandbox: Sandbox) -> None:
    daemon.tick("paid_invoices")
    invoice = newly_paid(sandbox)
    daemon.wait()
    daemon.tick("paid_invoices")
    daemon.wait()
    for status in ("posted", "booked"):
        sandbox.stripe.update_invoice(invoice, at=now(), metadata={"ledger_status": status})
    assert daemon.tick("paid_invoices") == []
    assert daemon.tick("replay_requests") == []


def test_a_sent_invoice_is_posted_by_the_run_that_its_event_asked_for(daemon: Daemon, sandbox: Sandbox) -> None:
    change_settings(invoices={"rules": [{"when": "sent", "create": "booked_invoice"}], "include_charges": False})
    daemon.tick("paid_invoices")
    daemon.wait()
    first = newly_paid(sandbox, pay=False)
    sandbox.stripe.send(first, at=now())
    (request,) = daemon.tick("paid_invoices")
    assert ids_of(request) == [first]
    assert daemon.execute("sync", request).success
    assert daemon.execute("sync", dg.RunRequest(partition_key="nordlys")).success
    second = newly_paid(sandbox, pay=False)
    # After a whole sync only the latest sendings are read again.
    sandbox.stripe.send(second, at=datetime.now(UTC))
    daemon.wait()
    (request,) = daemon.tick("paid_invoices")
    assert daemon.execute("sync", request).success
    assert {f"stripe:{first}", f"stripe:{second}"} <= booked(sandbox)


def test_more_than_a_page_is_taken_page_by_page_and_nothing_is_lost(daemon: Daemon, sandbox: Sandbox) -> None:
    change_settings(invoices={"include_charges": False})
    daemon.tick("paid_invoices")
    daemon.wait()
    newly_paid(sandbox)
    (request,) = daemon.tick("paid_invoices")
    invoices = [newly_paid(sandbox) for _ in range(130)]
    daemon.wait()
    (first,) = daemon.tick("paid_invoices")
    (second,) = daemon.tick("paid_invoices")
    assert [*ids_of(first), *ids_of(second)] == invoices, "oldest first, all in one second"
    assert len({request.run_key, first.run_key, second.run_key}) == 3
    assert daemon.tick("paid_invoices") == []


def test_a_reset_cursor_asks_for_nothing_twice(daemon: Daemon, sandbox: Sandbox) -> None:
    daemon.tick("paid_invoices")
    daemon.wait()
    newly_paid(sandbox)
    (request,) = daemon.tick("paid_invoices")
    daemon.execute("sync", request)
    daemon.cursors.clear()
    assert daemon.tick("paid_invoices") == []
    daemon.wait()
    again = daemon.tick("paid_invoices")
    assert [one.run_key for one in again] in ([], [request.run_key]), "the same events have the same run key"


def test_after_more_than_thirty_days_everything_due_is_asked_for(daemon: Daemon, sandbox: Sandbox) -> None:
    long_ago = int((now() - timedelta(days=45)).timestamp())
    daemon.cursors["paid_invoices"] = json.dumps({"nordlys": {"looked_at": long_ago, "event": "evt_gone", "event_at": long_ago}})
    (request,) = daemon.tick("paid_invoices")
    assert (request.run_key, request.run_config) == ("nordlys:all:evt_gone", {})
    assert daemon.execute("sync", request).success
    assert len(booked(sandbox)) == 2


def test_an_event_that_stripe_no_longer_knows_is_not_taken_for_an_empty_page(daemon: Daemon) -> None:
    minute_ago = int(now().timestamp()) - 60
    daemon.cursors["paid_invoices"] = json.dumps(
        {"nordlys": {"looked_at": minute_ago, "event": "evt_gone", "event_at": minute_ago}}
    )
    (request,) = daemon.tick("paid_invoices")
    assert request.run_key == "nordlys:all:evt_gone"


def test_a_failed_read_leaves_the_cursor_fails_the_tick_and_alerts(daemon: Daemon, sandbox: Sandbox) -> None:
    daemon.tick("paid_invoices")
    daemon.wait()
    kept = daemon.cursors["paid_invoices"]
    invoice = newly_paid(sandbox)
    sandbox.faults_stripe.add(Fault("GET", "^/v1/events$", "status", status=500, times=None))
    with pytest.raises(dg.Failure, match="E-SERVER"):
        daemon.tick("paid_invoices")
    assert daemon.cursors["paid_invoices"] == kept
    with opened() as connection:
        (alert,) = open_alerts(connection)
        assert (alert.on, alert.key) == ("connection", "connection:stripe-events")
    sandbox.faults_stripe.clear()
    (request,) = daemon.tick("paid_invoices")
    assert invoice in ids_of(request)
    with opened() as connection:
        assert open_alerts(connection) == []


def test_one_broken_connection_does_not_stop_the_others(daemon: Daemon, sandbox: Sandbox) -> None:
    file = connection_file("nordlys")
    (file.parent / "broken.yaml").write_text("stripe: [", encoding="utf-8")
    from cloudify_pipeline_tests.orchestration.conftest import reloaded

    with reloaded() as location:
        daemon.defs = location.defs
        daemon.tick("paid_invoices")
        daemon.wait()
        newly_paid(sandbox)
        (request,) = daemon.tick("paid_invoices")
    assert request.partition_key == "nordlys"


def test_between_two_looks_stripe_is_not_asked_unless_a_hint_came(daemon: Daemon, sandbox: Sandbox) -> None:
    daemon.tick("paid_invoices")
    daemon.wait()
    daemon.tick("paid_invoices")
    before = daemon.requests()
    daemon.tick("paid_invoices")
    assert daemon.requests() == before
    with opened() as connection:
        hints.ask(connection.log.engine, "nordlys", connection.clock() + timedelta(seconds=1))
    daemon.tick("paid_invoices")
    assert daemon.requests() == before + 1


def test_replay_in_the_metadata_replays_once(daemon: Daemon, sandbox: Sandbox) -> None:
    daemon.tick("replay_requests")
    invoice = newly_paid(sandbox)
    sandbox.stripe.update_invoice(invoice, at=now(), metadata={"po": "77", "ledger_status": "replay"})
    daemon.wait()
    (request,) = daemon.tick("replay_requests")
    assert ids_of(request) == [invoice]
    assert str(request.run_key).startswith("nordlys:replay:evt_")
    assert daemon.execute("replay", request).success
    assert f"stripe:{invoice}" in booked(sandbox)
    assert sandbox.stripe.invoice(invoice)["metadata"]["ledger_status"] == "booked", "the write-back clears the request"
    daemon.wait()
    assert daemon.tick("replay_requests") == []


def test_a_replay_is_found_behind_an_hours_own_answers_after_the_cursor_was_reset(daemon: Daemon, sandbox: Sandbox) -> None:
    invoices = [newly_paid(sandbox) for _ in range(3)]
    sandbox.stripe.update_invoice(invoices[0], at=now(), metadata={"ledger_status": "replay"})
    for n in range(240):
        sandbox.stripe.update_invoice(invoices[1 + n % 2], at=now(), metadata={"ledger_status": "booked", "n": str(n)})
    (request,) = daemon.tick("replay_requests")
    assert ids_of(request) == [invoices[0]]
    daemon.wait()
    assert daemon.tick("replay_requests") == []


def test_each_setting_of_replay_is_one_request_and_no_other_update_is(daemon: Daemon, sandbox: Sandbox) -> None:
    daemon.tick("replay_requests")
    invoice = newly_paid(sandbox)
    keys = set()
    for status in ("replay", "booked", "replay"):
        sandbox.stripe.update_invoice(invoice, at=now(), metadata={"ledger_status": status})
        daemon.wait()
        keys |= {request.run_key for request in daemon.tick("replay_requests")}
    assert len(keys) == 2
    daemon.wait()
    sandbox.stripe.update_invoice(invoice, at=now(), metadata={"po": "78", "ledger_status": "replay"})
    assert daemon.tick("replay_requests") == [], "an update of something else is not a request"


def test_the_sensors_run_by_themselves_and_have_their_names(location: ModuleType) -> None:
    sensors = {sensor.name: sensor for sensor in location.defs.get_repository_def().sensor_defs}
    assert set(sensors) == {"paid_invoices", "replay_requests", "sync_alerts"}
    assert {sensor.default_status for sensor in sensors.values()} == {dg.DefaultSensorStatus.RUNNING}


# -- alerts ---------------------------------------------------------------------------------------------------------------


def alert_keys() -> set[str]:
    with opened() as connection:
        return {alert.key for alert in open_alerts(connection)}


def test_sync_alerts_tells_of_failed_runs_and_held_records_and_clears_both(
    daemon: Daemon, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    change_settings(alerts=[{"to": "log"}])
    sync = dg.RunRequest(partition_key="nordlys")
    assert daemon.tick("sync_alerts") == []
    assert daemon.said == "nordlys: 0 open alerts, 0 told now"
    sandbox.economic.revoke_grant()
    assert not daemon.execute("sync", sync).success
    daemon.tick("sync_alerts")
    assert daemon.said == "nordlys: 1 open alerts, 1 told now"
    assert alert_keys() == {"run:sync:E-CONN-GRANT"}
    assert len([line for line in caplog.messages if "Grant access again" in line]) >= 1
    daemon.tick("sync_alerts")
    assert daemon.said == "nordlys: 1 open alerts, 0 told now"


def test_sync_alerts_tells_what_a_run_left_behind(daemon: Daemon, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "SETTLING_SECONDS", 0)
    sandbox.faults_economic.add(Fault("POST", "^/invoices/drafts$", "status", status=500, times=None))
    daemon.execute("sync", dg.RunRequest(partition_key="nordlys"))
    daemon.tick("sync_alerts")
    assert alert_keys() == {"held:E-VAT-ZONE", "degraded:E-SERVER"}
    sandbox.faults_economic.clear()
    assert daemon.execute("sync", dg.RunRequest(partition_key="nordlys")).success
    daemon.tick("sync_alerts")
    assert alert_keys() == {"held:E-VAT-ZONE"}


def test_sync_alerts_names_connections_that_cannot_be_watched(daemon: Daemon) -> None:
    connection_file("nordlys").write_text("stripe: [", encoding="utf-8")
    with pytest.raises(dg.Failure, match="nordlys cannot be watched: E-SETTINGS"):
        daemon.tick("sync_alerts")


# -- whose key it is ------------------------------------------------------------------------------------------------------


def swapped_to(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """The key is of live mode by its own words, or of another account by Stripe's; the events are the same."""
    if how == "mode":
        sandbox.stripe.restricted_key = "rk_live_51NordlysSandboxRestrictedKey0002"
        monkeypatch.setenv("CLOUDIFY_DEMO_STRIPE_KEY", sandbox.stripe.restricted_key)
    else:
        sandbox.stripe.account = "acct_1AnotherShop000000"


@pytest.mark.parametrize(("how", "code"), [("mode", "E-CONN-MODE"), ("account", "E-CONN-ACCOUNT")])
def test_a_sensor_with_a_swapped_key_asks_for_no_run_of_foreign_ids_and_tells_why(
    daemon: Daemon, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, how: str, code: str
) -> None:
    with opened() as connection:
        bind_stripe(connection.log.engine, "nordlys", sandbox.stripe.account, livemode=False, now=now())
    daemon.tick("paid_invoices")
    daemon.wait()
    newly_paid(sandbox)
    swapped_to(sandbox, monkeypatch, how)
    with pytest.raises(dg.Failure, match=code):
        daemon.tick("paid_invoices")
    with opened() as connection:
        assert [alert.facts["code"] for alert in open_alerts(connection)] == [code]


def test_an_event_of_the_other_mode_asks_for_no_run(daemon: Daemon, sandbox: Sandbox) -> None:
    with opened() as connection:
        bind_stripe(connection.log.engine, "nordlys", sandbox.stripe.account, livemode=False, now=now())
    daemon.tick("paid_invoices")
    daemon.wait()
    invoice = newly_paid(sandbox)
    for event in sandbox.stripe.rows("event"):
        if event["data"]["object"].get("id") == invoice:
            sandbox.stripe.save({**event, "livemode": True})
    assert invoice not in json.dumps([request.run_config for request in daemon.tick("paid_invoices")])
