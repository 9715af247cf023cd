"""The embedded Stripe as a server: keys, rights, versions, metadata, idempotency, limits and faults."""

import gzip
from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest

from cloudify_pipeline.sandbox.faults import Fault
from cloudify_pipeline_tests.sandbox.stripe_account import Account, make_account


@pytest.fixture
def account() -> Iterator[Account]:
    account = make_account()
    yield account
    account.store.close()


@pytest.mark.parametrize(
    ("authorization", "words"),
    [
        (None, "You did not provide an API key"),
        ("Bearer sk_test_wrong_0000000001", "Invalid API Key provided: sk_test_***"),
        ("Basic !", "You did not"),
    ],
)
async def test_a_wrong_key_is_401_and_never_repeated_whole(account: Account, authorization: str | None, words: str) -> None:
    account.client.headers.pop("Authorization")
    answer = await account.client.get("/v1/invoices", headers={"Authorization": authorization} if authorization else {})
    assert (answer.status_code, words in answer.text, "wrong_0000" in answer.text) == (401, True, False)


async def test_a_key_may_come_as_the_user_of_basic_auth(account: Account) -> None:
    account.client.headers.pop("Authorization")
    answer = await account.client.get("/v1/account", auth=(account.store.secret_key, ""))
    assert answer.json()["country"] == "DK"


async def test_a_restricted_key_without_the_right_is_403_and_told_its_name(account: Account) -> None:
    account.store.rights -= {"rak_event_read", "rak_invoice_write"}
    account.client.headers["Authorization"] = f"Bearer {account.store.restricted_key}"
    id_ = account.sold()
    answers = [
        await account.client.get("/v1/events"),
        await account.client.post(f"/v1/invoices/{id_}", data={"metadata[a]": "b"}),
    ]
    assert [answer.status_code for answer in answers] == [403, 403]
    assert "'rak_event_read'" in answers[0].text
    assert "'rak_invoice_write'" in answers[1].text
    assert (await account.client.get("/v1/invoices")).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("POST", "/v1/invoices", 403, "rak_invoice_write"),
        ("POST", "/v1/products/prod_1", 403, "rak_product_write"),
        ("DELETE", "/v1/customers/cus_1", 403, "rak_customer_write"),
        ("POST", "/v1/invoices/in_1/finalize", 403, "rak_invoice_write"),
        ("POST", "/v1/refunds", 403, "rak_charge_write"),
        ("POST", "/v1/balance_transactions", 403, "rak_balance_write"),
        ("GET", "/v1/bicycles", 404, "Unrecognized request URL (GET: /v1/bicycles)."),
    ],
)
async def test_nothing_but_what_is_needed_is_open(account: Account, method: str, path: str, status: int, words: str) -> None:
    answer = await account.client.request(method, path)
    assert (answer.status_code, words in answer.text) == (status, True)


async def test_answers_are_indented_json_with_id_and_version_and_zipped_when_accepted(account: Account) -> None:
    for _ in range(3):
        account.sold()
    request = account.client.build_request("GET", "/v1/invoices", headers={"Accept-Encoding": "gzip"})
    answer = await account.client.send(request, stream=True)
    raw = b"".join([chunk async for chunk in answer.aiter_raw()])
    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(raw).startswith(b'{\n  "object": "list",\n  "data": [\n    {')
    assert answer.headers["request-id"].startswith("req_")
    assert answer.headers["stripe-version"] == "2026-10-28.endive"


async def test_who_pins_no_version_gets_the_account_s_old_one(account: Account) -> None:
    account.client.headers.pop("Stripe-Version")
    id_ = account.sold()
    old = await account.get(f"/v1/invoices/{id_}")
    assert (old["paid"], old["tax"], old["lines"]["data"][0]["price"]["id"], "total_taxes" in old) == (
        True,
        7475,
        account.price,
        False,
    )
    account.client.headers["Stripe-Version"] = "2031-01-01.future"
    assert await account.refused(f"/v1/invoices/{id_}") == (400, "invalid_api_version", None)


async def test_events_carry_the_old_shape_whatever_version_asks(account: Account) -> None:
    account.sold()
    [event] = (await account.get("/v1/events", {"type": "invoice.paid"}))["data"]
    assert (event["api_version"], "total_taxes" in event["data"]["object"]) == ("2022-11-15", False)


async def test_metadata_is_merged_and_an_empty_value_unsets(account: Account) -> None:
    path = f"/v1/invoices/{account.sold(metadata={'kept': '1', 'gone': '2', 'order ref': 'PO 1'})}"
    answer = await account.client.post(path, data={"metadata[gone]": "", "metadata[ledger_status]": "bøgt ✓"})
    assert answer.json()["metadata"] == {"kept": "1", "order ref": "PO 1", "ledger_status": "bøgt ✓"}
    [event] = (await account.get("/v1/events", {"type": "invoice.updated", "limit": 1}))["data"]
    assert event["data"]["previous_attributes"] == {"metadata": {"gone": "2", "ledger_status": None}}
    assert (await account.client.post(path, data={"metadata": ""})).json()["metadata"] == {}


@pytest.mark.parametrize(
    ("data", "param"),
    [
        ({f"metadata[{'k' * 41}]": "v"}, f"metadata[{'k' * 41}]"),
        ({"metadata[k]": "v" * 501}, "metadata[k]"),
        ({f"metadata[k{n}]": "v" for n in range(51)}, "metadata"),
        ({"description": "x"}, "description"),
    ],
)
async def test_metadata_limits_are_kept_and_nothing_else_is_written(account: Account, data: dict[str, str], param: str) -> None:
    id_ = account.sold()
    answer = await account.client.post(f"/v1/invoices/{id_}", data=data)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert account.store.invoice(id_)["metadata"] == {}


async def test_fifty_keys_of_forty_characters_with_five_hundred_each_are_taken(account: Account) -> None:
    data = {f"metadata[{n:040d}]": "v" * 500 for n in range(50)}
    answer = await account.client.post(f"/v1/customers/{account.customer}", data=data)
    assert (answer.status_code, len(answer.json()["metadata"])) == (200, 50)


async def test_an_idempotency_key_carries_out_a_write_once_for_a_day(account: Account) -> None:
    path, key = f"/v1/invoices/{account.sold()}", {"Idempotency-Key": "k-1"}

    async def write(value: str) -> httpx.Response:
        return await account.client.post(path, data={"metadata[a]": value}, headers=key)

    first, again, other = await write("1"), await write("1"), await write("2")
    assert again.json() == first.json()
    assert (again.headers["idempotent-replayed"], "idempotent-replayed" in first.headers) == ("true", False)
    assert (other.status_code, other.json()["error"]["type"]) == (400, "idempotency_error")
    account.now += timedelta(hours=24)
    assert (await write("2")).json()["metadata"] == {"a": "2"}


async def test_the_limiter_refuses_the_request_too_many_with_its_reason() -> None:
    account = make_account(requests_per_second=2)
    answers = [await account.client.get("/v1/invoices") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[-1].headers["stripe-rate-limited-reason"] == "endpoint-rate"
    assert (await account.client.get("/v1/customers")).status_code == 200
    account.store.close()


@pytest.mark.parametrize(("status", "code"), [(429, "rate_limit"), (409, "lock_timeout"), (500, "api_error")])
async def test_injected_statuses_speak_stripe(account: Account, status: int, code: str) -> None:
    account.faults.add(Fault(path_pattern="^/v1/invoices", status=status))
    assert await account.refused("/v1/invoices") == (status, code, None)
    assert (await account.client.get("/v1/invoices")).status_code == 200


async def test_a_lost_answer_leaves_the_write_done(account: Account) -> None:
    id_ = account.sold()
    account.faults.add(Fault(method="POST", kind="timeout_after_commit"))
    with pytest.raises(httpx.ReadTimeout):
        await account.client.post(f"/v1/invoices/{id_}", data={"metadata[a]": "b"})
    assert account.store.invoice(id_)["metadata"] == {"a": "b"}


async def test_a_revoked_key_is_401_in_stripe_s_words(account: Account) -> None:
    account.faults.add(Fault(kind="revoked"))
    assert await account.refused("/v1/invoices") == (401, "api_key_expired", None)


async def test_calls_are_kept_and_counted(account: Account) -> None:
    await account.client.get("/v1/invoices?limit=3")
    await account.client.get("/v1/bicycles")
    assert [(call.method, call.path, call.status) for call in account.store.calls] == [
        ("GET", "/v1/invoices", 200),
        ("GET", "/v1/bicycles", 404),
    ]
    assert account.store.counters("calls:") == {"calls:GET:200": 1, "calls:GET:404": 1}
