"""A small Stripe account and a client of its server, for the tests of the embedded Stripe."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

from cloudify_pipeline.sandbox.faults import Faults
from cloudify_pipeline.sandbox.stripe.app import create_app
from cloudify_pipeline.sandbox.stripe.invoices import Line
from cloudify_pipeline.sandbox.stripe.store import StripeStore

NOW = datetime(2026, 11, 21, 10, tzinfo=UTC)
VERSION = "2026-10-28.endive"


@dataclass
class Account:
    """A store with one customer, one price and one tax rate, and its server."""

    store: StripeStore
    faults: Faults
    client: httpx.AsyncClient
    customer: str
    product: str
    price: str
    vat: str
    now: datetime = NOW

    async def get(self, path: str, params: Mapping[str, Any] | list[tuple[str, str]] | None = None) -> Any:
        """The JSON of a GET that must be answered with 200."""
        answer = await self.client.get(path, params=params)  # type: ignore[arg-type]
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def refused(self, path: str, params: Mapping[str, Any] | None = None) -> tuple[int, str, str | None]:
        """Status, code and parameter of a GET that is refused."""
        answer = await self.client.get(path, params=params)
        error = answer.json()["error"]
        return answer.status_code, error.get("code", error["type"]), error.get("param")

    def sold(self, quantity: int = 1, at: datetime = NOW, **given: Any) -> str:
        """A paid invoice."""
        id_ = self.store.create_invoice(self.customer, [Line(self.price, quantity)], at=at, tax_rates=[self.vat], **given)
        self.store.finalize(id_, at=at)
        self.store.pay(id_, at=at)
        return id_


def make_account(*, requests_per_second: int | None = None) -> Account:
    """A fresh account; its client pins the newest API version."""
    store, faults = StripeStore(), Faults()
    long_ago = datetime(2026, 1, 5, 9, tzinfo=UTC)
    vat = store.add_tax_rate(25, at=long_ago)
    product = store.add_product("Nordlys Pro", at=long_ago, metadata={"sku": "PRO-M"})
    price = store.add_price(product, 29_900, at=long_ago)
    customer = store.add_customer(
        at=long_ago,
        name="Havnens Kaffebar ApS",
        email="hej@havnenskaffe.example",
        address={"line1": "Nordre Toldbod 7", "city": "København", "country": "DK"},
        tax_ids=[("eu_vat", "DK25313763", "verified")],
    )
    app = create_app(store, faults, clock=lambda: account.now, requests_per_second=requests_per_second)
    headers = {"Authorization": f"Bearer {store.secret_key}", "Stripe-Version": VERSION}
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://stripe.test", headers=headers)
    account = Account(store, faults, client, customer, product, price, vat)
    return account
