"""Alerts: one per cause, told once a day by each route, cleared when the cause is gone."""

import asyncio
import email
import email.policy
import logging
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from cloudify_pipeline.control import alert_routes, sync
from cloudify_pipeline.control.alert_causes import record_causes, run_ended, told_as
from cloudify_pipeline.control.alert_delivery import after_run, deliver_alerts, find_alerts
from cloudify_pipeline.control.alerts import clear_alert, open_alerts, raise_alert
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.control.outcome import FailedStep
from cloudify_pipeline.errors import Problem
from cloudify_pipeline.posting.endings import Ending
from cloudify_pipeline.posting.log import alerts as log
from cloudify_pipeline_tests.control.receivers import Hook, Mailbox, mail_server, web_hook
from cloudify_pipeline_tests.whole_runs.conftest import Company, company

__all__ = ["company"]

HOUR = timedelta(hours=1)


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hook]:
    with web_hook() as running:
        monkeypatch.setenv("ALERT_HOOK", running.url)
        monkeypatch.setattr(alert_routes, "PAUSE", 0)
        yield running


@pytest.fixture
def mailbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    with mail_server() as running:
        monkeypatch.setenv("ALERT_SMTP", running.url)
        yield running


def opened(company: Company, *routes: dict[str, Any]) -> OpenConnection:
    company.settings["alerts"] = list(routes)
    return company.connection()


WEBHOOK = {"on": ["failed", "held", "connection", "degraded"], "to": "webhook", "url": {"env": "ALERT_HOOK"}}
EMAIL = {"to": "email", "address": "books@example.com", "smtp": {"env": "ALERT_SMTP"}, "sender": "cloudify@example.com"}
LOG = {"on": ["held"], "to": "log"}


def ended(opened: OpenConnection, *endings: tuple[str, str, str | None, str | None]) -> None:
    """Records with (id, state, code, total in DKK)."""
    made = [
        Ending(
            "customer" if id_.startswith("cus") else "document",
            id_,
            state,  # type: ignore[arg-type]
            total=None if total is None else Decimal(total),
            currency="DKK" if total else None,
            stripe_number=id_.upper(),
            problem=None if code is None else Problem(code, f"{code} happened"),
        )
        for id_, state, code, total in endings
    ]
    opened.log.record(opened.name, made, run_id="run", now=opened.clock())


def keys(opened: OpenConnection) -> set[str]:
    return {alert.key for alert in open_alerts(opened)}


def test_the_same_key_again_is_not_a_second_alert_and_renews_its_words(company: Company) -> None:
    one = opened(company)
    raise_alert(one, "degraded", "breaker", "10 refusals")
    company.now += HOUR
    raise_alert(one, "degraded", "breaker", "20 refusals", facts={"count": 20})
    (alert,) = open_alerts(one)
    assert (alert.message, alert.times, alert.facts, alert.last_at - alert.first_at) == ("20 refusals", 2, {"count": 20}, HOUR)
    clear_alert(one, "breaker")
    assert open_alerts(one) == []
    company.now += HOUR
    raise_alert(one, "degraded", "breaker", "1 refusal")
    (alert,) = open_alerts(one)
    assert (alert.times, alert.first_at) == (1, company.now)
    one.log.close()


def test_alerts_of_one_connection_are_not_anothers(company: Company) -> None:
    one = opened(company)
    raise_alert(one, "held", "held:E-TOTAL", "one")
    assert log.read(one.log.engine, "sydlys") == []
    clear_alert(one, "held:E-OTHER")
    assert keys(one) == {"held:E-TOTAL"}
    one.log.close()


def test_records_are_grouped_by_cause_with_count_sum_remedy_and_where_to_look(company: Company) -> None:
    one = opened(company)
    ended(
        one,
        ("in_1", "held", "E-VAT-ZONE", "125.00"),
        ("in_2", "held", "E-VAT-ZONE", "0.10"),
        ("cus_1", "held", "E-VAT-ZONE", None),
        ("in_3", "held", "E-DEPENDENCY", "99.00"),
        ("in_4", "failed", "E-SERVER", "10.00"),
        ("in_5", "failed", "E-REFUSED", "20.00"),
        ("in_6", "booked", None, "30.00"),
    )
    causes = {cause.key: cause for cause in record_causes(one)}
    assert set(causes) == {"held:E-VAT-ZONE", "degraded:E-SERVER", "failed:E-REFUSED"}
    zone = causes["held:E-VAT-ZONE"]
    assert zone.facts["sums"] == {"DKK": "125.10"}
    assert zone.facts["count"] == 3
    assert zone.message.startswith("1 customer and 2 documents, 125.10 DKK, wait for a person: ")
    assert "Add the country" in zone.message
    assert zone.message.endswith("Look: cloudify status nordlys")
    one.log.close()


KINDS = [
    ("held", "E-TOTAL", "held"),
    ("held", "E-QUARANTINE", "degraded"),
    ("held", "E-BREAKER", "degraded"),
    ("planned", "E-LIMIT", "degraded"),
    ("failed", "E-RATE", "degraded"),
    ("failed", "E-CONFLICT", "degraded"),
    ("failed", "E-REFUSED", "failed"),
]


@pytest.mark.parametrize(("state", "code", "on"), KINDS)
def test_passing_troubles_and_limits_are_degraded_success(state: str, code: str, on: str) -> None:
    assert told_as(state, code) == on


def test_a_cause_that_is_gone_is_cleared_and_others_alerts_stand(company: Company) -> None:
    one = opened(company)
    raise_alert(one, "degraded", "drift:account 1010", "the account is gone")
    ended(one, ("in_1", "held", "E-VAT-ZONE", "125.00"))
    find_alerts(one)
    find_alerts(one)
    assert keys(one) == {"drift:account 1010", "held:E-VAT-ZONE"}
    assert [alert.times for alert in open_alerts(one)] == [1, 1], "looking again is not happening again"
    ended(one, ("in_1", "booked", None, "125.00"))
    find_alerts(one)
    assert keys(one) == {"drift:account 1010"}
    one.log.close()


def test_a_failed_run_is_told_by_its_code_and_cleared_by_the_next_good_one(company: Company) -> None:
    one = opened(company)
    run_ended(one, [FailedStep("plan", "E-CONN-GRANT", "the grant was withdrawn"), FailedStep("x", "E-INTERNAL", "pass=hunter2")])
    connection, internal = sorted(open_alerts(one), key=lambda alert: alert.on)
    assert (connection.on, connection.key) == ("connection", "run:sync:E-CONN-GRANT")
    assert "Grant access again" in connection.message
    assert "cloudify connect nordlys" in connection.message
    assert "hunter2" not in internal.message, "nobody chose the words of an unforeseen error"
    run_ended(one, [], job="replay")
    assert len(open_alerts(one)) == 2, "a replay that ended well says nothing of the sync"
    run_ended(one, [])
    assert open_alerts(one) == []
    run_ended(one, [FailedStep("ledger__settled", "E-SERVER", "2 records could not be reached")])
    assert open_alerts(one) == [], "those records are told themselves"
    run_ended(one, [FailedStep("stripe", "E-LEASE", "another run is at work")])
    assert open_alerts(one) == [], "the other run does the work"
    one.log.close()


def test_what_is_due_for_more_than_two_periods_is_told(company: Company) -> None:
    company.configure(write_mode="write")
    company.sync()
    company.now += 1.5 * HOUR
    invoice = company.pay(company.invoice(company.customer()))
    one = opened(company)
    asyncio.run(sync.stage(one))
    find_alerts(one)
    assert keys(one) == set(), "paid an hour ago"
    company.now += 1.5 * HOUR
    find_alerts(one)
    (late,) = open_alerts(one)
    assert (late.on, late.key) == ("degraded", "late:record")
    assert invoice in late.message
    company.now += 2 * HOUR
    find_alerts(one)
    assert keys(one) == {"late:record", "late:sync"}
    one.log.close()
    company.sync()
    one = company.connection()
    find_alerts(one)
    assert keys(one) == set()
    one.log.close()


def test_nothing_is_late_where_nothing_is_to_be_posted(company: Company) -> None:
    company.configure(write_mode="dry_run")
    company.pay(company.invoice(company.customer()))
    company.sync()
    company.now += 5 * HOUR
    one = company.connection()
    find_alerts(one)
    assert keys(one) == set()
    one.log.close()


# -- telling --------------------------------------------------------------------------------------------------------------


def test_an_alert_is_told_once_a_day_by_each_route_that_asks_for_its_kind(
    company: Company, hook: Hook, mailbox: Mailbox, caplog: pytest.LogCaptureFixture
) -> None:
    one = opened(company, WEBHOOK, EMAIL, LOG)
    raise_alert(
        one, "degraded", "breaker", "The ledger refuses", facts={"code": "E-BREAKER", "count": 2, "sums": {"DKK": "1.50"}}
    )
    lines: list[str] = []
    assert deliver_alerts(one, say=lines.append).told == 2
    assert (len(hook.got), len(mailbox.mails), lines) == (1, 1, []), "the log asks for held only"
    body = hook.got[0]
    assert (body["connection"], body["on"], body["key"]) == ("nordlys", "degraded", "breaker")
    assert (body["code"], body["count"], body["sums"]) == ("E-BREAKER", 2, {"DKK": "1.50"})
    assert body["text"] == "nordlys: The ledger refuses"
    company.now += timedelta(hours=23)
    raise_alert(one, "degraded", "breaker", "The ledger refuses still")
    clear_alert(one, "breaker")
    raise_alert(one, "degraded", "breaker", "and again")
    assert deliver_alerts(one).told == 0
    company.now += HOUR
    assert deliver_alerts(one).told == 2, "still so after a day: a reminder"
    raise_alert(one, "held", "held:E-TOTAL", "One waits\nfor you")
    assert deliver_alerts(one, say=lines.append).told == 3
    assert lines == ["nordlys: One waits for you"]
    assert "nordlys: One waits for you" in caplog.messages
    assert set(open_alerts(one)[0].delivered) == {"webhook {env: ALERT_HOOK}", "email books@example.com"}
    one.log.close()


def test_a_mail_is_one_for_all_that_is_new(company: Company, mailbox: Mailbox) -> None:
    one = opened(company, EMAIL)
    raise_alert(one, "held", "held:E-VAT-ZONE", "2 documents wait\r\nBcc: everybody@example.com")
    company.now += HOUR
    raise_alert(one, "connection", "connection:x", "Æbler & Ål cannot be read")
    deliver_alerts(one)
    (raw,) = mailbox.mails
    mail = email.message_from_bytes(raw.encode(), policy=email.policy.default)
    assert (mail["To"], mail["From"], mail["Bcc"]) == ("books@example.com", "cloudify@example.com", None)
    assert mail["Subject"] == "nordlys: 2 documents wait Bcc: everybody@example.com (and 1 more)"
    assert "Æbler & Ål cannot be read" in mail.get_content()
    assert len(mailbox.logins) == 1
    one.log.close()


TROUBLES = [([500, 500], "status 500"), ([429, 429], "status 429"), ([404], "status 404"), ([302], "status 302")]


@pytest.mark.parametrize(("answers", "reason"), TROUBLES)
def test_what_a_route_did_not_take_is_logged_and_told_at_the_next_tick(
    company: Company, hook: Hook, caplog: pytest.LogCaptureFixture, answers: list[int], reason: str
) -> None:
    one = opened(company, WEBHOOK)
    raise_alert(one, "held", "held:E-TOTAL", "One waits")
    posts, hook.answers = len(answers), list(answers)
    told = deliver_alerts(one)
    assert (told.told, len(hook.got)) == (0, posts)
    assert reason in told.failed[0]
    assert told.failed[0] in caplog.messages
    hook.answers = [204]
    assert deliver_alerts(one).told == 1
    assert len(set(hook.keys)) == 1, "the same alert has the same key, so a receiver can tell a repeat"
    one.log.close()


def test_a_route_that_is_down_is_not_tried_for_every_alert(company: Company, hook: Hook) -> None:
    one = opened(company, WEBHOOK)
    for number in range(5):
        raise_alert(one, "held", f"held:{number}", "One waits")
    hook.answers = [500]
    deliver_alerts(one)
    assert len(hook.got) == 2
    hook.answers = [200]
    assert deliver_alerts(one).told == 5
    one.log.close()


def test_one_passing_trouble_is_tried_again_at_once(company: Company, hook: Hook) -> None:
    one = opened(company, WEBHOOK)
    raise_alert(one, "held", "held:E-TOTAL", "One waits")
    hook.answers = [503, 200]
    assert deliver_alerts(one).told == 1
    assert len(hook.got) == 2
    one.log.close()


def test_a_mail_server_that_refuses_is_asked_again(company: Company, mailbox: Mailbox) -> None:
    one = opened(company, EMAIL)
    raise_alert(one, "held", "held:E-TOTAL", "One waits")
    mailbox.refuse = "450 p@ss-secret is busy"
    told = deliver_alerts(one)
    assert told.told == 0
    assert "secret" not in told.failed[0]
    mailbox.refuse = None
    assert deliver_alerts(one).told == 1
    one.log.close()


def test_a_password_is_not_sent_in_the_clear_to_another_machine(
    company: Company, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alert_routes, "_LOOPBACK", frozenset[str]())
    one = opened(company, EMAIL)
    raise_alert(one, "held", "held:E-TOTAL", "One waits")
    assert "no encryption" in deliver_alerts(one).failed[0]
    assert (mailbox.logins, mailbox.mails) == ([], [])
    one.log.close()


def test_no_line_no_row_and_no_error_shows_an_address_that_is_secret(
    company: Company, hook: Hook, mailbox: Mailbox, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    one = opened(company, WEBHOOK, EMAIL)
    raise_alert(one, "held", "held:E-TOTAL", "One waits")
    deliver_alerts(one)
    monkeypatch.setenv("ALERT_HOOK", "http://127.0.0.1:9/hook/T0-secret-path")
    monkeypatch.setenv("ALERT_SMTP", "smtp://nordlys:p%40ss-secret@127.0.0.1:9")
    company.now += timedelta(hours=25)
    told = deliver_alerts(one)
    assert len(told.failed) == 2
    monkeypatch.setenv("ALERT_HOOK", "http://hooks.example.com/T0-secret-path")
    monkeypatch.setenv("ALERT_SMTP", "imap://p%40ss-secret")
    told_again = deliver_alerts(one)
    assert "https:// address" in told_again.failed[0]
    one.log.engine.dispose()
    kept = (company.folder.parent / "home" / "posting.db").read_bytes()
    assert "secret" not in f"{caplog.text}{told}{told_again}"
    assert b"secret" not in kept
    one.log.close()


def test_two_deliverers_tell_once_and_a_dead_ones_claim_runs_out(company: Company, hook: Hook) -> None:
    one = opened(company, WEBHOOK)
    raise_alert(one, "held", "held:E-TOTAL", "One waits")
    (alert,) = open_alerts(one)
    # Another deliverer took it, and died before it told anybody.
    assert log.claim(one.log.engine, alert, "webhook {env: ALERT_HOOK}", company.now)
    assert deliver_alerts(one).told == 0
    company.now += log.CLAIM
    assert deliver_alerts(one).told == 1
    assert deliver_alerts(one).told == 0
    assert len(hook.got) == 1
    one.log.close()


def test_without_alerts_in_the_settings_nobody_is_told_and_all_is_kept(
    company: Company, caplog: pytest.LogCaptureFixture
) -> None:
    one = opened(company)
    raise_alert(one, "held", "held:E-TOTAL", "One waits")
    assert deliver_alerts(one).told == 0
    assert caplog.messages == []
    assert keys(one) == {"held:E-TOTAL"}
    one.log.close()


def test_after_a_run_from_the_command_line_everything_is_found_and_told(company: Company, hook: Hook) -> None:
    company.pay(company.invoice(company.customer("Nowhere", country=None)))
    company.settings["alerts"] = [WEBHOOK]
    company.sync()
    one = company.connection()
    told = after_run(one, [FailedStep("plan", "E-CONN-ROLE", "the key may not read /v1/prices")])
    assert (told.open, told.told) == (2, 2)
    assert {body["key"] for body in hook.got} == {"held:E-VAT-ZONE", "run:sync:E-CONN-ROLE"}
    one.log.close()
