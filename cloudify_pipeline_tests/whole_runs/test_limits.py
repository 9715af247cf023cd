"""Where a run stops by itself: caps, the same refusal again and again, one record refused run after run."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from cloudify_pipeline.control.alert_delivery import find_alerts
from cloudify_pipeline.control.alerts import open_alerts
from cloudify_pipeline.posting.limits import SAME_REFUSALS
from cloudify_pipeline.sandbox.faults import Fault
from cloudify_pipeline_tests.whole_runs.conftest import Company, Run

REFUSED = Fault("POST", "^/invoices/drafts$", "status", status=400, times=None)


def drafts(run: Run) -> int:
    return sum(path == "/invoices/drafts" for _, path in run.writes)


def test_the_same_refusal_in_a_row_stops_the_rest_of_the_run(company: Company) -> None:
    buyer = company.customer()
    for _ in range(40):
        company.pay(company.invoice(buyer))
    company.sandbox.faults_economic.add(REFUSED)
    run = company.sync()
    # Six are in flight when the tenth refusal comes.
    assert SAME_REFUSALS <= drafts(run) < SAME_REFUSALS + 6
    codes = list(run.codes().values())
    assert codes.count("E-BREAKER") == 40 - drafts(run)
    assert run.counts() == {"failed": drafts(run), "held": 40 - drafts(run)}
    company.sandbox.faults_economic.clear()
    company.now += timedelta(hours=1)
    assert company.sync().counts() == {"booked": 40}


def test_a_success_between_refusals_keeps_the_run_going(company: Company) -> None:
    buyer = company.customer()
    company.pay(company.invoice(buyer))
    company.sync()
    for _ in range(30):
        company.pay(company.invoice(buyer))
    for _ in range(4):
        company.sandbox.faults_economic.add(Fault("POST", "^/invoices/drafts$", "status", status=400, times=4, after=2))
    run = company.sync()
    assert "E-BREAKER" not in run.codes().values()


def test_a_record_refused_run_after_run_is_left_alone_until_somebody_replays_it(company: Company) -> None:
    company.configure(limits={"quarantine_after": 3})
    company.connection()
    invoice = company.pay(company.invoice(company.customer()))
    company.sandbox.faults_economic.add(REFUSED)
    tried = []
    for hour in range(5):
        run = company.sync(run_id=f"run {hour}")
        tried.append((drafts(run), run.codes()[invoice]))
        company.now += timedelta(hours=1)
    assert tried == [(1, "E-UNMAPPED")] * 3 + [(0, "E-QUARANTINE")] * 2
    company.sandbox.faults_economic.clear()
    assert company.sync(run_id="run 6").codes() == {invoice: "E-QUARANTINE"}, "it is a person's now"
    assert company.sync(run_id="run 7", ids=(invoice,), again=True).counts() == {"booked": 1}


def test_a_changed_invoice_leaves_quarantine_by_itself(company: Company) -> None:
    company.configure(limits={"quarantine_after": 1}, invoices={"fields": {"notes.heading": "metadata.po"}})
    invoice = company.pay(company.invoice(company.customer(), metadata={"po": "1"}))
    company.sandbox.faults_economic.add(REFUSED)
    company.sync(run_id="a")
    company.sandbox.faults_economic.clear()
    company.now += timedelta(hours=1)
    assert company.sync(run_id="b").codes() == {invoice: "E-QUARANTINE"}
    company.sandbox.stripe.update_invoice(invoice, at=company.now, metadata={"po": "2"})
    company.now += timedelta(hours=1)
    assert company.sync(run_id="c").counts() == {"booked": 1}


@pytest.mark.parametrize("limit", [1, 2])
def test_what_is_over_the_limit_waits_for_its_turn_and_says_so(company: Company, limit: int) -> None:
    company.configure(limits={"max_documents_per_run": limit})
    buyer = company.customer()
    for _ in range(4):
        company.pay(company.invoice(buyer))
    run = company.sync()
    assert run.counts() == {"booked": limit, "planned": 4 - limit}
    assert set(run.codes().values()) == {"E-LIMIT"}
    for _ in range(4 // limit):
        company.now += timedelta(hours=1)
        company.sync()
    assert len(company.documents()) == 4


def refuse_once(company: Company) -> None:
    company.configure(limits={"quarantine_after": 1})
    for _ in range(4):
        company.sandbox.faults_economic.add(Fault("POST", "^/invoices/drafts$", "status", status=400, times=4, after=1))


@pytest.mark.parametrize(
    ("code", "makes"),
    [
        ("E-BREAKER", lambda company: company.sandbox.faults_economic.add(REFUSED)),
        ("E-LIMIT", lambda company: company.configure(limits={"max_documents_per_run": 1})),
        ("E-QUARANTINE", refuse_once),
    ],
)
def test_each_stop_is_one_alert_however_many_records_wait(
    company: Company, code: str, makes: Callable[[Company], object]
) -> None:
    buyer = company.customer()
    for _ in range(20):
        company.pay(company.invoice(buyer))
    makes(company)
    for hour in range(2):
        company.sync(run_id=f"run {hour}")
        company.now += timedelta(hours=1)
    opened = company.connection()
    find_alerts(opened)
    find_alerts(opened)
    alerts = [alert for alert in open_alerts(opened) if code in alert.key]
    opened.log.close()
    assert [(alert.on, alert.key) for alert in alerts] == [("degraded", f"degraded:{code}")]
    assert code in alerts[0].message
