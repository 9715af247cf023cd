"""Stripe → DuckDB: the pipeline's extraction against stripe-python's auto-paging with pandas, same account, same run."""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pandas as pd
import stripe

from cloudify_pipeline.sandbox.server import Sandbox
from cloudify_pipeline.sandbox.stripe.bulk import add_invoices
from cloudify_pipeline.staging.store import Staging
from cloudify_pipeline.stripe_source.client import StripeReader
from cloudify_pipeline.stripe_source.extract import extract

VERSION = "2026-10-28.endive"


def pipeline(sandbox: Sandbox, folder: Path) -> int:
    """Everything the pipeline stages: raw JSON kept, typed columns, lines; the number of invoices."""

    async def run() -> int:
        reader = StripeReader(sandbox.stripe_key, api_base=sandbox.stripe_url, api_version=VERSION)
        try:
            report = await extract(reader, Staging(folder / "staging.duckdb"), now=datetime.now(UTC))
        finally:
            await reader.close()
        return report.kinds["invoice"].seen

    return asyncio.run(run())


def naive(sandbox: Sandbox, folder: Path) -> int:
    """The usual script: SDK objects, a data frame, one table; invoices and customers alone."""
    stripe.enable_telemetry = False
    client = stripe.StripeClient(sandbox.stripe_key, stripe_version=VERSION, base_addresses={"api": sandbox.stripe_url})
    expand = {"limit": 100, "expand": ["data.discounts", "data.payments"]}
    invoices = [invoice.to_dict(for_json=True) for invoice in client.v1.invoices.list(expand).auto_paging_iter()]
    customers = [customer.to_dict(for_json=True) for customer in client.v1.customers.list({"limit": 100}).auto_paging_iter()]
    with duckdb.connect(str(folder / "naive.duckdb")) as connection:
        for name, rows in (("invoices", invoices), ("customers", customers)):
            frame = pd.DataFrame({"id": [row["id"] for row in rows], "body": [json.dumps(row) for row in rows]})
            connection.execute(f"CREATE TABLE {name} AS SELECT * FROM frame")
            del frame
    return len(invoices)


def measure(name: str, work: Callable[[Sandbox, Path], int], sandbox: Sandbox) -> float:
    """Seconds of one run."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        count = work(sandbox, Path(folder))
        seconds = time.perf_counter() - started
    sys.stdout.write(f"{name:<40} {count:>7} invoices {seconds:>8.2f} s {count / seconds:>9.0f} invoices/s\n")
    return seconds


def main(count: int) -> None:
    """Measure both."""
    with Sandbox(None, load=lambda store, now: add_invoices(store, count, until=now - timedelta(minutes=5))) as sandbox:
        ours = measure("pipeline (six kinds, raw JSON, lines)", pipeline, sandbox)
        theirs = measure("stripe-python 16 + pandas (two kinds)", naive, sandbox)
    sys.stdout.write(f"ratio {theirs / ours:.1f} × faster than stripe-python with pandas\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5_000)
