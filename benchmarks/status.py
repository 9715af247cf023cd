"""`cloudify status` as a user calls it, the whole process, over a log and a staging of 100,000 documents."""

import hashlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cloudify_pipeline.posting.log import schema as t
from cloudify_pipeline.posting.log.decisions import decisions
from cloudify_pipeline.posting.log.store import PostingLog
from cloudify_pipeline.staging.store import Staging
from cloudify_pipeline.stripe_objects import RawObject

NAME = "bulk"
SETTINGS = """
stripe: {api_key: {env: BENCHMARK_KEY}}
ledger: economic
economic: {app_secret_token: {env: BENCHMARK_KEY}, agreement_grant_token: {env: BENCHMARK_KEY}}
customers: {defaults: {payment_terms: 1, group: 1}}
products: {defaults: {group: 1}}
"""
_START = datetime(2026, 1, 1, tzinfo=UTC)


def fill_log(log: PostingLog, count: int) -> None:
    """`count` booked documents, one of a hundred held, what they are found by, and as many bytes decided as posting keeps."""
    with log.engine.begin() as db:
        for start in range(0, count, 10_000):
            numbers = range(start, min(count, start + 10_000))
            db.execute(t.records.insert(), [_record(n) for n in numbers])
            db.execute(t.search_terms.insert(), [_term(n, term) for n in numbers for term in _terms(n)])
            db.execute(decisions.insert(), [_decision(n) for n in numbers])


def fill_staging(staging: Staging, count: int) -> None:
    """The invoices of those documents."""
    with staging.batch() as batch:
        for start in range(0, count, 10_000):
            batch.upsert("invoice", [_invoice(n) for n in range(start, min(count, start + 10_000))])


def _record(n: int) -> dict[str, object]:
    held = n % 100 == 99
    return {
        "connection": NAME,
        "kind": "document",
        "stripe_id": f"in_{n:024d}",
        "state": "held" if held else "booked",
        "stripe_number": f"BULK-{n:06d}",
        "name": f"Kunde {n} ApS",
        "ledger_kind": None if held else "booked_invoice",
        "number": None if held else str(100_000 + n),
        "total": "1250.00",
        "currency": "DKK",
        "code": "E-VAT-ID" if held else None,
        "message": "DE123 is not verified" if held else None,
        "revision": f"{n:016x}",
        "attempts": 1,
        "run_id": "benchmark",
        "updated_at": _START + timedelta(minutes=n),
    }


def _decision(n: int) -> dict[str, object]:
    # What tells one from another does not pack; a decision of three lines takes some 1,400 bytes.
    body = json.dumps(
        {"document": f"in_{n:024d}", "evidence": [hashlib.sha256(f"{n} {k}".encode()).hexdigest() for k in range(38)]}
    )
    return {
        "connection": NAME,
        "kind": "document",
        "stripe_id": f"in_{n:024d}",
        "number": 1,
        "at": _START + timedelta(minutes=n),
        "revision": f"{n:016x}",
        "settings_hash": "a" * 64,
        "rule": "rules[0]: paid → booked_invoice",
        "sent": True,
        "body": body,
    }


def _terms(n: int) -> list[str]:
    ids = (f"in_{n:024d}", f"cus_{n % 30_000:020d}", f"pi_{n:024d}", f"ch_{n:024d}")
    return [*ids, f"kunde{n % 30_000}@bulk.example", str(100_000 + n), str(500_000 + n)]


def _term(n: int, term: str) -> dict[str, object]:
    return {"connection": NAME, "kind": "document", "stripe_id": f"in_{n:024d}", "term": term}


def _invoice(n: int) -> RawObject:
    created = int((_START + timedelta(minutes=n)).timestamp())
    body = {
        "id": f"in_{n:024d}", "object": "invoice", "status": "paid", "currency": "dkk", "total": 125000, "created": created,
        "number": f"BULK-{n:06d}", "customer": f"cus_{n % 30_000:020d}",
        "status_transitions": {"finalized_at": created, "paid_at": created},
    }  # fmt: skip
    return RawObject(f"in_{n:024d}", created, json.dumps(body).encode())


def measured(*arguments: str) -> tuple[float, float]:
    """Seconds by the clock and of the processor, the median of three calls; the second is the machine's own, however busy."""
    clock, processor = [], []
    for _ in range(3):
        started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "cloudify_pipeline", *arguments], check=True, stdout=subprocess.DEVNULL)  # noqa: S603
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        clock.append(time.perf_counter() - started)
        processor.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(clock), statistics.median(processor)


def main(count: int) -> None:
    """Fill both, and measure."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "connections").mkdir()
        (folder / "connections" / f"{NAME}.yaml").write_text(SETTINGS, encoding="utf-8")
        os.environ |= {"CLOUDIFY_CONNECTIONS": str(folder / "connections"), "CLOUDIFY_HOME": name, "BENCHMARK_KEY": "sk_test_x"}
        os.environ.pop("CLOUDIFY_POSTING_URL", None)
        log = PostingLog(f"sqlite:///{folder / 'posting.db'}")
        fill_log(log, count)
        log.close()
        fill_staging(Staging(folder / NAME / "staging.duckdb"), count)
        one = count // 2
        calls = {
            "--version": ("--version",),
            "status": ("status", NAME),
            "status --json": ("status", NAME, "--json"),
            "status --find <invoice id>": ("status", NAME, "--find", f"in_{one:024d}"),
            "status --find <charge id>": ("status", NAME, "--find", f"ch_{one:024d}"),
            "status --find <ledger number>": ("status", NAME, "--find", str(100_000 + one)),
            "status --find <e-mail>": ("status", NAME, "--find", f"kunde{one % 30_000}@bulk.example"),
            "status --find <part of a name>": ("status", NAME, "--find", f"unde {one} A"),
        }
        for words, arguments in calls.items():
            clock, processor = measured(*arguments)
            sys.stdout.write(f"{words:<34} {count:>7} documents {clock:>6.2f} s {processor:>6.2f} s of the processor\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
