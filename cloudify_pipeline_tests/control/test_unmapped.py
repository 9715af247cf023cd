"""Refusals that nobody knows yet: counted by the service's own code, alerted once, over when no record waits any more."""

from datetime import timedelta

import pytest

from cloudify_pipeline.control.alerts import open_alerts
from cloudify_pipeline.control.unmapped import alert_unmapped, raw_code, unmapped_refusals
from cloudify_pipeline.sandbox.faults import Fault
from cloudify_pipeline_tests.whole_runs.conftest import Company, company

__all__ = ["company"]


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("HTTP 400 E99999: Noget gik galt. Hint: Ask support.", "E99999"),
        ("HTTP 400: the answer is not JSON", "HTTP 400"),
        ("Stripe refused /v1/invoices: HTTP 402 card_declined: No. (request req_1)", "card_declined"),
        ("something else", "unknown"),
    ],
)
def test_the_services_own_code_is_read_from_the_message(message: str, code: str) -> None:
    assert raw_code(message) == code


def test_unknown_refusals_are_counted_and_alert_once_until_nothing_waits(company: Company) -> None:
    company.sandbox.faults_economic.add(Fault(method="POST", path_pattern="/invoices/drafts", status=422, times=None))
    for _ in range(2):
        company.pay(company.invoice(company.customer()))
    refused = company.sync()
    assert set(refused.codes().values()) == {"E-UNMAPPED"}

    opened = company.connection()
    (one,) = unmapped_refusals(opened)
    assert (one.raw_code, one.count, one.waiting) == ("HTTP 422", 2, 2)
    assert one.message == "HTTP 422: Injected fault."
    assert one.last_at == company.now
    for _ in range(2):
        alert_unmapped(opened, unmapped_refusals(opened))
    (alert,) = open_alerts(opened)
    assert (alert.on, alert.key, alert.facts["count"]) == ("degraded", "unmapped:HTTP 422", 2)
    assert "Injected fault." in alert.message
    assert unmapped_refusals(opened, since=company.now + timedelta(seconds=1))[0].count == 0, "still waiting, nothing new"

    with opened.log.engine.begin() as db:
        db.exec_driver_sql("UPDATE records SET code = NULL, state = 'posted'")
    (over,) = unmapped_refusals(opened)
    assert (over.count, over.waiting) == (2, 0)
    alert_unmapped(opened, [over])
    assert open_alerts(opened) == []
    opened.log.close()


def test_a_known_refusal_is_not_counted(company: Company) -> None:
    company.sandbox.faults_economic.add(Fault(method="POST", path_pattern="/invoices/drafts", status=415, times=None))
    company.pay(company.invoice(company.customer()))
    assert set(company.sync().codes().values()) == {"E-REQUEST"}
    opened = company.connection()
    assert unmapped_refusals(opened) == ()
    opened.log.close()
