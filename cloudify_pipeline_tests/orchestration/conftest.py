"""Dagster on a home of its own, over the embedded servers with a handful of invoices."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib import reload
from pathlib import Path
from types import ModuleType

import pytest

from cloudify_pipeline.sandbox.server import Sandbox
from cloudify_pipeline.sandbox.stripe.dataset import connection_file
from cloudify_pipeline.sandbox.stripe.invoices import Line
from cloudify_pipeline.sandbox.stripe.store import StripeStore
from cloudify_pipeline_tests.dagster_homes import prepared_home


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _few(store: StripeStore, now: datetime) -> None:
    at = now - timedelta(hours=3)
    rate = store.add_tax_rate(25, at=at)
    price = store.add_price(store.add_product("Pro plan", at=at, metadata={"sku": "PRO-NEW"}), 10_000, at=at)
    for name, country in (("Frøstrup ApS", "DK"), ("Ærø *Kajak* [ø]", "DK"), ("Nowhere", None)):
        address = {"line1": "Havnegade 1", "country": country}
        buyer = store.add_customer(at=at, name=name, email=f"{len(name)}@example.com", address=address)
        invoice = store.create_invoice(buyer, [Line(price)], at=at, tax_rates=[rate])
        store.finalize(invoice, at=at)
        store.pay(invoice, at=at)


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    connections = tmp_path / "connections"
    connections.mkdir()
    monkeypatch.setenv("CLOUDIFY_CONNECTIONS", str(connections))
    monkeypatch.setenv("CLOUDIFY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DAGSTER_HOME", prepared_home(tmp_path / "home" / "dagster"))
    with Sandbox(None, clock=now, load=_few) as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        (connections / "nordlys.yaml").write_text(connection_file(running.stripe_url, running.economic_url), encoding="utf-8")
        yield running


MODULES = [
    "partitions", "checks", "control_assets", "jobs", "ledger_assets", "plan_assets", "schedules", "sensors",
    "stripe_assets",
]  # fmt: skip


@contextmanager
def reloaded() -> Iterator[ModuleType]:
    """The code location as it loads with the connections there are now: partitions are read at load."""
    from cloudify_pipeline import definitions, orchestration

    for name in MODULES:
        reload(getattr(orchestration, name))
    yield reload(definitions)


@pytest.fixture
def location(sandbox: Sandbox) -> Iterator[ModuleType]:
    with reloaded() as loaded:
        yield loaded


Loaded = Callable[[], ModuleType]
