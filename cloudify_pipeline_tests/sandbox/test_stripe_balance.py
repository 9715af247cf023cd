"""The balance transactions of the embedded Stripe: what a payment became in the currency that the account is paid out in."""

from collections.abc import Iterator

import pytest

from cloudify_pipeline.sandbox.stripe.invoices import Line
from cloudify_pipeline_tests.sandbox.stripe_account import Account, make_account


@pytest.fixture
def account() -> Iterator[Account]:
    account = make_account()
    yield account
    account.store.close()


@pytest.mark.parametrize(
    ("currency", "amount", "became", "into", "rate"),
    [
        ("eur", 125_000, 932_550, "dkk", 7.4604),
        ("jpy", 5_000, 21_093, "dkk", 4.2185),
        ("dkk", 125_000, 125_000, "dkk", None),
        # What it does not convert stays what it is.
        ("chf", 5_000, 5_000, "chf", None),
    ],
)
async def test_a_payment_is_converted_by_minor_units(
    account: Account, *, currency: str, amount: int, became: int, into: str, rate: float | None
) -> None:
    charge = account.store.charge(account.customer, amount, at=account.now, currency=currency)
    shown = await account.get(f"/v1/charges/{charge}", {"expand[]": "balance_transaction"})
    transaction = shown["balance_transaction"]
    assert (transaction["amount"], transaction["currency"], transaction["exchange_rate"]) == (became, into, rate)
    assert transaction["net"] == transaction["amount"] - transaction["fee"]
    assert transaction["source"] == charge
    (listed,) = (await account.get("/v1/balance_transactions", {"source": charge}))["data"]
    assert listed == transaction
    assert (await account.get(f"/v1/charges/{charge}"))["balance_transaction"] == transaction["id"]


async def test_a_list_of_payments_shows_them_too_and_needs_the_right(account: Account) -> None:
    account.sold()
    asked = {"expand[]": "data.balance_transaction"}
    (paid,) = (await account.get("/v1/charges", asked))["data"]
    assert paid["balance_transaction"]["object"] == "balance_transaction"
    account.store.rights -= {"rak_balance_read"}
    account.client.headers["Authorization"] = f"Bearer {account.store.restricted_key}"
    refused = await account.client.get("/v1/charges", params=asked)
    assert (refused.status_code, "'rak_balance_read'" in refused.text) == (403, True)
    assert (await account.client.get("/v1/charges")).status_code == 200


async def test_a_payment_may_be_settled_after_the_event(account: Account) -> None:
    invoice = account.store.create_invoice(account.customer, [Line(account.price)], at=account.now)
    account.store.finalize(invoice, at=account.now)
    account.store.pay(invoice, at=account.now, settled=False)
    (paid,) = (await account.get("/v1/charges"))["data"]
    assert paid["balance_transaction"] is None
    account.store.settle(paid["id"], at=account.now)
    (event,) = (await account.get("/v1/events", {"type": "charge.updated"}))["data"]
    assert event["data"]["object"]["balance_transaction"] == f"txn_{paid['id'][3:]}"


async def test_several_payments_pay_one_invoice(account: Account) -> None:
    invoice = account.store.create_invoice(account.customer, [Line(account.price)], at=account.now)
    account.store.finalize(invoice, at=account.now)
    due = account.store.invoice(invoice)["amount_due"]
    account.store.pay(invoice, at=account.now, parts=(1_000, 500))
    shown = await account.get(f"/v1/invoices/{invoice}", {"expand[]": "payments"})
    assert sorted(one["amount_paid"] for one in shown["payments"]["data"]) == sorted([1_000, 500, due - 1_500])
    assert (shown["status"], shown["amount_paid"]) == ("paid", due)
