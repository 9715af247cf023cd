"""Many plain invoices at once, for runs of thousands and for measurements."""

from datetime import datetime, timedelta
from decimal import Decimal

from cloudify_pipeline.sandbox.stripe.invoices import Line
from cloudify_pipeline.sandbox.stripe.store import StripeStore


def add_invoices(
    store: StripeStore,
    count: int,
    *,
    until: datetime,
    customers: int = 100,
    lines: int = 3,
    every: timedelta = timedelta(seconds=60),
) -> list[str]:
    """`count` paid Danish invoices in DKK with 25 % VAT, the newest paid at `until`, one `every` so often before it.

    Net prices are whole kroner, so that no rounding is in the way. Ids in the order of creation.
    """
    start = until - every * count - timedelta(hours=1)
    with store.transaction():
        rate = store.add_tax_rate(25, at=start)
        skus = [f"BULK-{n + 1}" for n in range(10)]
        products = [store.add_product(f"Modul {sku}", at=start, metadata={"sku": sku}) for sku in skus]
        prices = [store.add_price(product, Decimal(10_000 * (n + 1)), at=start) for n, product in enumerate(products)]
        buyers = [
            store.add_customer(
                at=start,
                name=f"Kunde {n + 1} ApS",
                email=f"kunde{n + 1}@bulk.example",
                address={"line1": f"Havnegade {n + 1}", "city": "Aarhus", "postal_code": "8000", "country": "DK"},
            )
            for n in range(customers)
        ]
        ids = []
        for n in range(count):
            at = until - every * (count - 1 - n)
            wanted = [Line(prices[(n + k) % len(prices)], quantity=1 + (n + k) % 5) for k in range(lines)]
            invoice = store.create_invoice(buyers[n % customers], wanted, at=at, tax_rates=[rate])
            store.finalize(invoice, at=at)
            store.pay(invoice, at=at)
            ids.append(invoice)
    return ids
