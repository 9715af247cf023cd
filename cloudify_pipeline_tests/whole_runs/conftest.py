"""A company with an embedded Stripe and an embedded e-conomic on loopback, a connection file, and the steps of a sync."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from cloudify_pipeline.connection import open_connection
from cloudify_pipeline.control import sync
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.posting import protocol
from cloudify_pipeline.posting.endings import Ending
from cloudify_pipeline.posting.log.lease import Sleep
from cloudify_pipeline.sandbox.server import Sandbox
from cloudify_pipeline.sandbox.stripe.invoices import Line
from cloudify_pipeline.stripe_source.extract import ExtractReport

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)

CONNECTION: dict[str, Any] = {
    "stripe": {"api_key": {"env": "CLOUDIFY_DEMO_STRIPE_KEY"}},
    "ledger": "economic",
    "economic": {
        "app_secret_token": {"env": "CLOUDIFY_DEMO_APP_SECRET_TOKEN"},
        "agreement_grant_token": {"env": "CLOUDIFY_DEMO_GRANT_TOKEN"},
    },
    "write_mode": "write",
    "customers": {"defaults": {"payment_terms": 1, "group": 1}},
    "products": {"on_not_found": "create", "defaults": {"group": 3}, "no_product": "STRIPE"},
}


@dataclass
class Run:
    """What one sync did."""

    report: ExtractReport
    endings: list[Ending]
    calls: list[tuple[str, str]]
    """(method, path) of every request to the ledger."""

    @property
    def writes(self) -> list[tuple[str, str]]:
        return [call for call in self.calls if call[0] != "GET"]

    def counts(self) -> dict[str, int]:
        return dict(Counter(ending.state for ending in self.endings if ending.kind == "document"))

    def codes(self) -> dict[str, str]:
        return {e.stripe_id: e.problem.code for e in self.endings if e.problem is not None}


@dataclass
class Company:
    """The test's hands on both servers and on the pipeline between them."""

    sandbox: Sandbox
    folder: Path
    now: datetime = NOW
    settings: dict[str, Any] = field(default_factory=lambda: deepcopy(CONNECTION))
    rate: str = ""
    price: str = ""
    stripe_url: str | None = None
    """Where the key's account answers, when it is not the sandbox's."""
    name: str = "nordlys"
    """The connection's, and so its file's."""

    def configure(self, **sections: Mapping[str, Any] | str | None) -> None:
        for name, section in sections.items():
            if isinstance(section, Mapping):
                self.settings[name] = {**self.settings.get(name, {}), **section}
            else:
                self.settings[name] = section

    def connection(self) -> OpenConnection:
        self.settings["stripe"]["api_base"] = self.stripe_url or self.sandbox.stripe_url
        self.settings["economic"]["api_base"] = self.sandbox.economic_url
        self.settings["economic"]["openapi_base"] = self.sandbox.economic_url
        (self.folder / f"{self.name}.yaml").write_text(yaml.safe_dump(self.settings), encoding="utf-8")
        return open_connection(self.name, clock=lambda: self.now)

    def sync(self, **scope: Any) -> Run:
        return asyncio.run(self._sync(**scope))

    async def _sync(
        self,
        ids: tuple[str, ...] = (),
        since: datetime | None = None,
        *,
        run_id: str = "run",
        again: bool = False,
        named: tuple[str, ...] = (),
        sleep: Sleep = asyncio.sleep,
    ) -> Run:
        opened = replace(self.connection(), sleep=sleep)
        # While one connection to it is open in this process, DuckDB opens the file at once instead of in a dozen milliseconds.
        with duckdb.connect(str(opened.staging.path)):
            return await self._steps(opened, ids, since, run_id=run_id, again=again, named=named)

    async def _steps(
        self,
        opened: OpenConnection,
        ids: tuple[str, ...],
        since: datetime | None,
        *,
        run_id: str,
        again: bool,
        named: tuple[str, ...],
    ) -> Run:
        before = len(self.sandbox.economic.calls)
        report = await sync.stage(opened, ids=ids, since=since)
        await sync.plan(opened, ids=ids or None)
        endings: list[Ending] = []
        endings += (await sync.post_planned_customers(opened, run_id)).endings
        endings += (await sync.post_planned_products(opened, run_id)).endings
        endings += (await sync.post_planned_documents(opened, run_id, again=again, named=named)).endings
        endings += (await sync.settle(opened, run_id)).endings
        opened.log.close()
        calls = [(call.method, call.path) for call in list(self.sandbox.economic.calls)[before:]]
        return Run(report, endings, calls)

    # -- what happens in Stripe -----------------------------------------------------------------------------------------

    def customer(self, name: str = "Frøstrup ApS", country: str | None = "DK", **given: Any) -> str:
        given.setdefault("email", f"{abs(hash(name))}@example.com")
        address = {"line1": "Havnegade 1", "city": "Aarhus", "postal_code": "8000", "country": country}
        return self.sandbox.stripe.add_customer(at=self.now - timedelta(days=2), name=name, address=address, **given)

    def invoice(self, customer: str, *, lines: list[Line] | None = None, **given: Any) -> str:
        """A finalized invoice over one Pro plan, 100.00 and 25 % VAT."""
        given.setdefault("tax_rates", [self.rate])
        at = self.now - timedelta(days=1)
        invoice = self.sandbox.stripe.create_invoice(customer, lines or [Line(self.price)], at=at, **given)
        self.sandbox.stripe.finalize(invoice, at=at)
        return invoice

    def pay(self, invoice: str, **given: Any) -> str:
        self.sandbox.stripe.pay(invoice, at=self.now - timedelta(hours=1), **given)
        return invoice

    # -- what stands in the ledger --------------------------------------------------------------------------------------

    def documents(self) -> dict[str, tuple[str, Decimal]]:
        """Durable key → (kind, gross)."""
        ledger = self.sandbox.economic
        kinds = {"draft_invoice": ledger.drafts(), "booked_invoice": ledger.booked(), "draft_order": ledger.orders()}
        found = {}
        for kind, documents in kinds.items():
            for document in documents:
                key = document["references"]["other"]
                assert key not in found, f"{key} stands in the ledger twice"
                found[key] = (kind, Decimal(document["grossAmount"]))
        return found


@pytest.fixture
def company(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Company]:
    clock = {"company": None}
    folder = tmp_path / "connections"
    folder.mkdir()
    monkeypatch.setenv("CLOUDIFY_CONNECTIONS", str(folder))
    monkeypatch.setenv("CLOUDIFY_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(protocol, "SETTLING_SECONDS", 0)

    def now() -> datetime:
        current = clock["company"]
        return current.now if isinstance(current, Company) else NOW

    with Sandbox(None, clock=now, load=lambda store, at: None) as sandbox:
        for name, value in sandbox.environment.items():
            monkeypatch.setenv(name, value)
        made = Company(sandbox, folder)
        clock["company"] = made  # type: ignore[assignment]
        earlier = NOW - timedelta(days=3)
        made.rate = sandbox.stripe.add_tax_rate(25, at=earlier)
        product = sandbox.stripe.add_product("Pro plan", at=earlier, metadata={"sku": "PRO-NEW"})
        made.price = sandbox.stripe.add_price(product, 10_000, at=earlier)
        yield made
