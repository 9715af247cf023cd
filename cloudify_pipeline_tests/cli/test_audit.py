"""The audit command: verifying, the archive and its way back, and the documents as of a past day."""

import csv
import json
import os
import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import time_machine

from cloudify_pipeline.accounting.vat_evidence import Answer
from cloudify_pipeline.control import audit as control
from cloudify_pipeline.control.audit_tables import archived_tables
from cloudify_pipeline.control.search import fill_terms
from cloudify_pipeline.control.status import status
from cloudify_pipeline.ledgers.port import LedgerIdentity
from cloudify_pipeline.posting.endings import Ending
from cloudify_pipeline.posting.log.store import PostingLog
from cloudify_pipeline.posting.log.vat_numbers import keep_vat_answers, vat_answers
from cloudify_pipeline.settings.paths import posting_url
from cloudify_pipeline_tests.cli.conftest import Call
from cloudify_pipeline_tests.whole_runs.conftest import NOW, Company


def log_file() -> Path:
    return Path(os.environ["CLOUDIFY_HOME"]) / "posting.db"


def tamper(statement: str) -> None:
    """Somebody who has taken the retention guard away."""
    with closing(sqlite3.connect(log_file(), isolation_level=None)) as db:
        for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            db.execute(f"DROP TRIGGER {name}")
        db.execute(statement)


def take_away_the_log() -> None:
    for file in log_file().parent.glob("posting.db*"):
        file.unlink()


@pytest.fixture
def books(written: Path) -> Path:
    """A log with one booked document and no server behind it; the folder of the connection files."""
    log = PostingLog(posting_url())
    log.bind("nordlys", LedgerIdentity("1234567", "Nordlys Software ApS", "DKK"), NOW)
    log.record("nordlys", [Ending("document", "in_1", "booked", number=20001)], run_id="run", now=NOW)
    log.close()
    return written


def test_a_whole_log_is_said_to_be_whole_and_a_changed_one_not(shop: Company, call: Call) -> None:
    shop.sync()
    said = call("audit", "nordlys", "verify")
    assert said.code == 0
    assert "Whole: " in said.out
    anchor = said.out.rsplit("--anchor ", 1)[1].strip()
    assert call("audit", "verify", "--anchor", anchor).code == 0
    tamper("UPDATE records SET total = '1.00' WHERE kind = 'document' AND state = 'booked'")
    changed = call("audit", "verify", "--json")
    assert changed.code == 1
    [finding] = changed.document["findings"]
    assert (finding["table"], finding["what"]) == ("records", "total is “1.00”, was “125.00”")
    assert changed.document["first_bad"] == finding["seq"]
    assert "changed past this program" in call("audit", "verify").out


def test_a_check_that_somebody_made_green_by_hand_is_found(shop: Company, call: Call) -> None:
    shop.configure(customers={"defaults": {"payment_terms": 1, "group": 99}})
    shop.connection().log.close()
    assert call("check").code == 2
    tamper("UPDATE settings_checks SET errors = '[]', green_at = at")
    verified = call("audit", "nordlys", "verify", "--json")
    assert verified.code == 1
    (finding,) = verified.document["findings"]
    assert finding["table"] == "settings_checks"
    assert "green_at is “20" in finding["what"]


def test_an_archive_comes_back_with_the_same_status_and_a_chain_that_verifies(shop: Company, call: Call, tmp_path: Path) -> None:
    shop.sync()
    folder = tmp_path / "archive"
    with time_machine.travel(NOW + timedelta(hours=2, minutes=10), tick=False):
        before = call("status", "--json").out
        exported = call("audit", "nordlys", "export", str(folder), "--json")
        take_away_the_log()
        assert json.loads(call("status", "--json").out)["documents"] == []
        restored = call("audit", "nordlys", "restore", str(folder), "--json")
        after = call("status", "--json").out
    assert (exported.code, restored.code) == (0, 0)
    assert restored.document["verified"]["whole"]
    assert after == before
    # Nothing is posted again, and the next run goes on with the chain.
    assert shop.sync().writes == []
    assert call("audit", "verify", "--anchor", str(folder)).code == 0


def test_an_empty_machine_says_the_same_of_every_document(
    shop: Company, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.sync()
    call("audit", "export", str(tmp_path / "archive"))
    here = shop.connection()
    before = json.dumps(status(here))
    here.log.close()
    monkeypatch.setenv("CLOUDIFY_HOME", str(tmp_path / "another"))
    assert call("audit", "restore", str(tmp_path / "archive")).code == 0
    there = shop.connection()
    assert json.dumps(status(there)) == before
    there.log.close()


ANSWER = Answer("DE136695976", "vies", True, NOW, "Musterfirma GmbH", "Musterweg 1", "WAPIAAAAZ0000001", "DK13585628")


def test_the_proof_of_vat_numbers_comes_back_and_an_archive_from_before_there_was_any_is_taken(
    books: Path, call: Call, tmp_path: Path
) -> None:
    assert call("audit", "export", str(tmp_path / "before")).code == 0
    log = PostingLog(posting_url())
    keep_vat_answers(log.engine, "nordlys", [ANSWER], NOW)
    log.close()
    assert call("audit", "export", str(tmp_path / "after")).code == 0
    manifest = json.loads((tmp_path / "before" / "manifest.json").read_bytes())
    del manifest["tables"]["vat_numbers"]
    (tmp_path / "before" / "manifest.json").write_text(json.dumps(manifest))
    found = []
    for folder in ("before", "after"):
        take_away_the_log()
        restored = call("audit", "restore", str(tmp_path / folder), "--json")
        assert (restored.code, restored.document["verified"]["whole"]) == (0, True)
        log = PostingLog(posting_url())
        found.append(vat_answers(log.engine, "nordlys", [ANSWER.number]))
        log.close()
    assert found == [{}, {ANSWER.number: (ANSWER,)}]
    manifest = json.loads((tmp_path / "after" / "manifest.json").read_bytes())
    del manifest["tables"]["vat_numbers"]
    (tmp_path / "after" / "manifest.json").write_text(json.dumps(manifest))
    take_away_the_log()
    taken_away = call("audit", "restore", str(tmp_path / "after"), "--json").document["verified"]
    assert not taken_away["whole"]
    assert [one["table"] for one in taken_away["findings"]] == ["vat_numbers"]


def test_the_manifest_vouches_for_every_file_and_both_forms_hold_the_same_rows(shop: Company, call: Call, tmp_path: Path) -> None:
    shop.sync()
    folder = tmp_path / "archive"
    manifest = call("audit", "export", str(folder), "--json").document
    assert json.loads((folder / "manifest.json").read_bytes()) == manifest
    files = {name: digest for table in manifest["tables"].values() for name, digest in table["files"].items()}
    assert files == {
        file.name: sha256(file.read_bytes()).hexdigest() for file in folder.iterdir() if file.name != "manifest.json"
    }
    assert set(manifest["tables"]) == {table.name for table in archived_tables()}
    for name, table in manifest["tables"].items():
        rows = pq.read_table(folder / f"{name}.parquet").to_pylist()
        with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as opened:
            lines = list(csv.DictReader(opened))
        assert len(rows) == len(lines) == table["rows"]
        # Instants and bytes have another form in text.
        plain = {key for row in rows for key, value in row.items() if value is None or isinstance(value, str | int)}
        assert [[text(row[key]) for key in sorted(plain)] for row in rows] == [
            [one[key] for key in sorted(plain)] for one in lines
        ]
    assert manifest["chain"]["seq"] == manifest["tables"]["audit"]["rows"]


def text(value: Any) -> str:
    return "" if value is None else str(value)


def test_an_archive_is_not_written_over_anything(books: Path, call: Call, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    refused = call("audit", "export", str(tmp_path))
    assert refused.code == 2
    assert "empty or does not exist" in refused.err


def damaged(folder: Path, how: str) -> str:
    """Damage the archive; the file that must be named."""
    match how:
        case "changed":
            file = folder / "records.parquet"
            body = bytearray(file.read_bytes())
            body[len(body) // 2] ^= 1
            file.write_bytes(bytes(body))
        case "cut":
            file = folder / "attempts.csv"
            file.write_bytes(file.read_bytes()[:-10])
        case "missing":
            file = folder / "operations.parquet"
            file.unlink()
        case "no manifest":
            file = folder / "manifest.json"
            file.unlink()
        case "newer":
            file = folder / "manifest.json"
            manifest = json.loads(file.read_bytes())
            file.write_text(json.dumps({**manifest, "schema_version": 99}))
        case _:
            file = folder / "manifest.json"
            manifest = json.loads(file.read_bytes())
            file.write_text(json.dumps({**manifest, "connection": "another"}))
    return file.name


@pytest.mark.parametrize("how", ["changed", "cut", "missing", "no manifest", "newer", "another connection"])
def test_a_damaged_archive_is_refused_by_the_name_of_its_file(books: Path, call: Call, tmp_path: Path, how: str) -> None:
    call("audit", "export", str(tmp_path / "archive"))
    take_away_the_log()
    name = damaged(tmp_path / "archive", how)
    refused = call("audit", "restore", str(tmp_path / "archive"))
    assert refused.code == 2
    assert name in refused.err
    assert json.loads(call("status", "--json").out)["documents"] == []


def test_an_archive_is_not_put_over_books_that_are_there(books: Path, call: Call, tmp_path: Path) -> None:
    call("audit", "export", str(tmp_path / "archive"))
    refused = call("audit", "restore", str(tmp_path / "archive"))
    assert refused.code == 2
    assert "rows in bindings" in refused.err


def test_beside_another_connection_the_ids_move_and_the_chain_still_verifies(shop: Company, call: Call, tmp_path: Path) -> None:
    shop.sync()
    call("audit", "export", str(tmp_path / "archive"))
    kept = tmp_path / "kept.db"
    shutil.copy(log_file(), kept)
    take_away_the_log()
    # A log in which another connection has used the same ids.
    other = (shop.folder / "nordlys.yaml").read_text()
    (shop.folder / "other.yaml").write_text(other)
    shutil.copy(kept, log_file())
    names = (
        "operations",
        "identities",
        "records",
        "bindings",
        "stripe_bindings",
        "audit",
        "audit_heads",
        "vat_sales",
        "decisions",
        "settings_checks",
        "search_terms",
        "leases",
    )
    for name in names:
        tamper(f"UPDATE {name} SET connection = 'other'")
    restored = call("audit", "nordlys", "restore", str(tmp_path / "archive"), "--json")
    assert restored.code == 0
    assert restored.document["verified"]["findings"] == []
    assert call("audit", "nordlys", "verify").code == 0
    tamper("UPDATE attempts SET outcome = 'refused' WHERE id = (SELECT max(id) FROM attempts)")
    [finding] = call("audit", "nordlys", "verify", "--json").document["findings"]
    assert finding["what"] == "outcome is “refused”, was “confirmed”"


def test_a_past_day_is_what_status_said_then(shop: Company, call: Call) -> None:
    days = []
    for day in range(3):
        shop.now = NOW + timedelta(days=day)
        shop.pay(shop.invoice(shop.customer(f"Kunde {day} ApS")))
        shop.sync()
        opened = shop.connection()
        days.append((shop.now, status(opened)))
        opened.log.close()
    assert [sum(said["counts"].values()) for _, said in days] == [3, 4, 5]
    opened = shop.connection()
    for at, said in days:
        then = control.as_of(opened, at + timedelta(hours=1))
        assert {name: then[name] for name in said} == said
    assert control.as_of(opened, NOW - timedelta(days=1))["documents"] == []
    opened.log.close()
    assert "Documents of nordlys as of 2026-11-02 23:59" in call("audit", "as-of", "2026-11-02").out
    assert len(call("audit", "as-of", "2026-11-03T12:00", "--json").document["documents"]) == 4
    assert "nothing is known of before" in call("audit", "as-of", "2026-01-01").out


@pytest.mark.parametrize(
    "words", [["verify", "more"], ["nordlys"], ["export"], ["nordlys", "destroy"], ["as-of", "yesterday"], ["nordlys", "restore"]]
)
def test_a_wrong_call_says_what_is_right(books: Path, call: Call, words: list[str]) -> None:
    refused = call("audit", *words)
    assert refused.code == 2
    assert "E-SETTINGS" in refused.err


def test_one_document_is_found_by_every_id_of_it(shop: Company, call: Call) -> None:
    shop.sync()
    opened = shop.connection()
    fill_terms(opened)
    assert fill_terms(opened) == 0
    document = next(row for row in status(opened)["documents"] if row["customer"] == "Ærø & Søn [DK]")
    [payment] = opened.staging.payments_of([document["stripe_id"]]).values()
    opened.log.close()
    with closing(sqlite3.connect(log_file())) as db:
        drafted = db.execute("SELECT number FROM operations WHERE operation = 'create_document'").fetchone()[0]
    wanted = [document["stripe_id"], document["stripe_number"], document["ledger_number"], drafted, "faktura@aeroe.example"]
    wanted += [*payment, "FAKTURA@aeroe.example", "Ærø"]
    assert {one[:3] for one in payment} == {"pi_", "ch_"}
    for one in wanted:
        found = call("status", "--find", one, "--json").document["documents"]
        assert [row["stripe_id"] for row in found] == [document["stripe_id"]], one


def test_settings_in_force_are_part_of_the_chain(shop: Company) -> None:
    first = shop.connection()
    assert control.note_settings(first)
    assert not control.note_settings(first)
    first.log.close()
    shop.configure(invoices={"rules": [{"when": "paid", "create": "draft_invoice"}]})
    then = shop.connection()
    assert control.note_settings(then)
    assert control.verified(then)["whole"]
    then.log.close()


def test_the_end_of_a_day_is_copenhagens(books: Path, call: Call) -> None:
    said = call("audit", "as-of", "2026-11-02", "--json").document
    assert said["as_of"] == "2026-11-02T22:59:59.999999+00:00"
    assert [row["ledger_number"] for row in said["documents"]] == ["20001"]
