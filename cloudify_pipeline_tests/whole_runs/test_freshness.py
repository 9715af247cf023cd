"""When the ledger was synced last, when it will be next, and what has waited longest."""

from datetime import UTC, datetime, timedelta

import pytest

from cloudify_pipeline.control.freshness import Freshness, freshness, next_sync
from cloudify_pipeline.errors import NotAuthorised
from cloudify_pipeline_tests.whole_runs.conftest import NOW, Company


def fresh(company: Company) -> Freshness:
    opened = company.connection()
    try:
        return freshness(opened)
    finally:
        opened.log.close()


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2026-11-02T09:00:00+00:00", "2026-11-02T11:00:00+01:00"),
        ("2026-11-02T09:59:59+00:00", "2026-11-02T11:00:00+01:00"),
        ("2026-07-01T21:10:00+00:00", "2026-07-02T00:00:00+02:00"),
        # The clock is set back at 01:00 UTC: the hour from 2 to 3 comes twice, and each is an hour.
        ("2026-10-25T00:30:00+00:00", "2026-10-25T02:00:00+01:00"),
        ("2026-10-24T23:30:00+00:00", "2026-10-25T02:00:00+02:00"),
        ("2026-03-29T00:30:00+00:00", "2026-03-29T03:00:00+02:00"),
    ],
)
def test_the_next_sync_is_at_the_next_full_hour_in_copenhagen(now: str, due: str) -> None:
    assert next_sync(datetime.fromisoformat(now)).isoformat() == due


def test_before_the_first_sync_nothing_is_known(company: Company) -> None:
    found = fresh(company)
    assert (found.last_synced_at, found.oldest_waiting) == (None, None)
    assert found.note is not None


def test_a_sync_that_changes_nothing_counts_as_one(company: Company) -> None:
    company.pay(company.invoice(company.customer()))
    company.sync()
    assert fresh(company).last_synced_at == NOW
    company.now = NOW + timedelta(hours=3)
    company.sync()
    found = fresh(company)
    assert found.last_synced_at == company.now
    assert (found.oldest_waiting, found.note) == (None, None)


def test_the_record_that_became_due_first_waits_longest_though_another_was_created_earlier(company: Company) -> None:
    # Created first and paid an hour ago; created later and paid two hours ago.
    late = company.invoice(company.customer("Nowhere", country=None))
    company.now += timedelta(hours=1)
    early = company.invoice(company.customer("Nowhere either", country=None))
    company.sandbox.stripe.pay(early, at=company.now - timedelta(hours=2))
    company.sandbox.stripe.pay(late, at=company.now - timedelta(hours=1))
    company.pay(company.invoice(company.customer()))
    company.sync()
    oldest = fresh(company).oldest_waiting
    assert oldest is not None
    assert (oldest.stripe_id, oldest.state, oldest.error_code) == (early, "held", "E-VAT-ZONE")
    assert (oldest.due_since, oldest.age_seconds) == (company.now - timedelta(hours=2), 7200)
    assert not oldest.late
    company.now += timedelta(seconds=1)
    assert (fresh(company).oldest_waiting or oldest).late


def test_what_is_not_due_does_not_wait(company: Company) -> None:
    company.invoice(company.customer())
    company.sync()
    assert fresh(company).oldest_waiting is None


def test_a_record_that_no_run_could_plan_waits_too(company: Company) -> None:
    invoice = company.pay(company.invoice(company.customer()))
    company.sandbox.economic.revoke_grant()
    with pytest.raises(NotAuthorised):
        company.sync()
    oldest = fresh(company).oldest_waiting
    assert oldest is not None
    assert (oldest.stripe_id, oldest.state) == (invoice, None)


def test_in_a_dry_run_the_planned_documents_wait(company: Company) -> None:
    company.configure(write_mode="dry_run")
    invoice = company.pay(company.invoice(company.customer()))
    company.sync()
    oldest = fresh(company).oldest_waiting
    assert oldest is not None
    assert (oldest.stripe_id, oldest.state) == (invoice, "planned")


def test_a_run_that_holds_staging_does_not_keep_the_status(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloudify_pipeline.control.freshness._PATIENCE", 0.0)
    company.pay(company.invoice(company.customer()))
    company.sync()
    opened = company.connection()
    with opened.staging.reading():
        found = freshness(opened)
    opened.log.close()
    assert found.note is not None
    assert found.last_synced_at == NOW
    assert found.next_sync_at == datetime(2026, 11, 2, 10, tzinfo=UTC)
