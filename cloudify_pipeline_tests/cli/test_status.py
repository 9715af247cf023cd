"""Status: what is shown of how fresh the ledger is, beside the documents."""

from cloudify_pipeline_tests.cli.conftest import Call
from cloudify_pipeline_tests.whole_runs.conftest import Company


def test_status_tells_the_last_and_the_next_sync_and_what_waits_longest(shop: Company, call: Call) -> None:
    shop.sync()
    found = call("status", "--json").document
    assert set(found) == {"connection", "documents", "counts", "last_synced_at", "next_sync_at", "oldest_waiting", "note"}
    assert found["last_synced_at"] == "2026-11-02T09:00:00+00:00"
    held = next(row for row in found["documents"] if row["state"] == "held")
    assert found["oldest_waiting"]["stripe_id"] == held["stripe_id"]
    assert found["oldest_waiting"]["error_code"] == "E-VAT-ZONE"
    words = call("status").out
    assert "Last sync 2026-11-02 10:00 · next hourly sync " in words
    assert f"Waiting longest: {held['stripe_number']} (held E-VAT-ZONE), due since 2026-11-02 09:00, " in words


def test_before_the_first_sync_status_says_so(shop: Company, call: Call) -> None:
    words = call("status").out
    assert "Last sync never" in words
    assert "Waiting: not known, nothing is staged yet" in words


def test_a_limit_shows_the_newest_and_counts_the_rest(shop: Company, call: Call) -> None:
    shop.sync()
    words = call("status", "--limit", "1").out
    assert "… and 1 more" in words
    assert "booked 1" in words
    assert "more; --limit" not in call("status", "--limit", "1", "--find", "Ærø").out
