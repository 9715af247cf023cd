"""Documents into the ledger: the pipeline's six calls in flight against one after the other, same work, same run.

The embedded ledger answers in about a millisecond; `LATENCY` is added to every call, as a real one would take it.
"""

import asyncio
import os
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from cloudify_pipeline.connection import open_connection
from cloudify_pipeline.control import sync
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.posting import protocol
from cloudify_pipeline.sandbox.faults import Fault
from cloudify_pipeline.sandbox.server import Sandbox
from cloudify_pipeline.sandbox.stripe.bulk import add_invoices

LATENCY = 0.1


async def post(opened: OpenConnection) -> float:
    """Seconds that the documents take; everything before them is not counted."""
    await sync.stage(opened)
    await sync.plan(opened)
    await sync.post_planned_customers(opened, "benchmark")
    await sync.post_planned_products(opened, "benchmark")
    started = time.perf_counter()
    stepped = await sync.post_planned_documents(opened, "benchmark")
    seconds = time.perf_counter() - started
    booked = sum(ending.state == "booked" for ending in stepped.endings)
    sys.stdout.write(f"{booked:>6} documents {seconds:>8.2f} s {stepped.writes / seconds:>7.1f} writes/s\n")
    return seconds


def measure(count: int, concurrency: int) -> float:
    """Post `count` documents with so many calls in flight."""
    protocol.CONCURRENCY = concurrency
    with (
        tempfile.TemporaryDirectory() as folder,
        Sandbox(None, load=lambda store, now: add_invoices(store, count, until=now - timedelta(minutes=5))) as sandbox,
    ):
        connections = Path(folder) / "connections"
        connections.mkdir()
        (connections / "bulk.yaml").write_text(sandbox.connection_file(), encoding="utf-8")
        os.environ |= {**sandbox.environment, "CLOUDIFY_CONNECTIONS": str(connections), "CLOUDIFY_HOME": folder}
        sandbox.faults_economic.add(Fault("POST", "^/invoices/", "delay", times=None, seconds=LATENCY))
        opened = open_connection("bulk")
        try:
            sys.stdout.write(f"{concurrency} in flight: ")
            return asyncio.run(post(opened))
        finally:
            opened.log.close()


def main(count: int) -> None:
    """Measure both."""
    one = measure(count, 1)
    several = measure(count, 6)
    sys.stdout.write(f"ratio {one / several:.1f} × faster than one call after the other at {LATENCY * 1000:.0f} ms\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
