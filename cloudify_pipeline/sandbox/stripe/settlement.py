"""Payments as they reach the account's balance: converted into the one currency that the account is paid out in."""

from collections.abc import Mapping
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

from cloudify_pipeline.sandbox.stripe.correcting import Correcting
from cloudify_pipeline.sandbox.stripe.objects import Json, number

RATES: Mapping[str, Decimal] = {
    "dkk": Decimal(1),
    "eur": Decimal("7.4604"),
    "usd": Decimal("6.38714"),
    "gbp": Decimal("8.5612"),
    "sek": Decimal("0.6759"),
    "nok": Decimal("0.63428"),
    # Between minor units: one yen is 4.2185 øre.
    "jpy": Decimal("4.2185"),
}
"""What a minor unit of each currency is worth in øre. A payment in any other currency stays in it."""

_SHARE, _FIXED = Decimal("0.015"), 180
_PENDING_DAYS = 7


class Settling(Correcting):
    """The part of the account that settles payments. `settles_in` is its currency, `rates` what it converts at."""

    def __init__(self, path: Path | None = None, *, ids: str = "") -> None:
        super().__init__(path, ids=ids)
        self.settles_in = "dkk"
        self.rates = dict(RATES)

    def _settled(self, charge: Json) -> Json:
        """`charge` with its balance transaction, which is kept."""
        transaction = self._transaction(charge)
        self.save(transaction)
        return {**charge, "balance_transaction": transaction["id"]}

    def settle(self, charge: str, *, at: datetime) -> None:
        """What an asynchronous capture does some time after the payment: its balance transaction comes to be."""
        with self.transaction():
            paid = self._settled(self.get("charge", charge))
            self.save(paid)
            self.emit("charge.updated", paid, at, previous={"balance_transaction": None})

    def _transaction(self, charge: Json) -> Json:
        currency, rate = charge["currency"], self.rates.get(charge["currency"])
        converted = rate is not None and currency != self.settles_in
        gross = Decimal(charge["amount_captured"])
        amount = int((gross * (rate if converted and rate is not None else 1)).quantize(Decimal(1), ROUND_HALF_UP))
        fee = int((amount * _SHARE).quantize(Decimal(1), ROUND_HALF_UP)) + _FIXED
        into = self.settles_in if converted else currency
        details = {"application": None, "currency": into, "description": "Stripe processing fees", "type": "stripe_fee"}
        return {
            "id": f"txn_{charge['id'][3:]}",
            "object": "balance_transaction",
            "amount": amount,
            "available_on": charge["created"] + _PENDING_DAYS * 86_400,
            "balance_type": "payments",
            "created": charge["created"],
            "currency": into,
            "description": charge["description"],
            "exchange_rate": number(rate) if converted and rate is not None else None,
            "fee": fee,
            "fee_details": [{"amount": fee, **details}],
            "net": amount - fee,
            "reporting_category": "charge",
            "source": charge["id"],
            "status": "pending",
            "type": "charge",
        }
