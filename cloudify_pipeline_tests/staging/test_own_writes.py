"""What this software writes into Stripe's metadata is staged, and is no change of what a document is made of."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudify_pipeline.staging.heads import compact, content_hash, source_hash
from cloudify_pipeline.staging.store import Staging
from cloudify_pipeline.stripe_objects import STATE_KEYS, RawObject

STATE = {
    "ledger_status": "held",
    "ledger_error": 'E-VAT-ZONE: "x",} \\ {ø',
    "ledger_document": "draft_invoice 12",
    "ledger_synced_at": "2026-11-02T09:00:00+00:00",
}


def hashed(metadata: dict[str, str], kind: str = "invoice") -> str:
    body = {"id": "in_1", "object": kind, "metadata": metadata, "number": "A-1"}
    return content_hash(kind, compact(json.dumps(body, indent=2).encode()))  # type: ignore[arg-type]


@given(
    st.permutations(["po", "note", *STATE_KEYS]),
    st.sets(st.sampled_from(STATE_KEYS)),
    st.dictionaries(st.sampled_from(STATE_KEYS), st.text(max_size=30)),
)
def test_our_keys_in_any_place_do_not_change_the_source(order: list[str], shown: set[str], values: dict[str, str]) -> None:
    mine = {"po": 'PO "7",}', "note": "a,b"}
    metadata = {key: {**mine, **STATE, **values}[key] for key in order if key in mine or key in shown}
    plain = {key: mine[key] for key in order if key in mine}
    assert source_hash(hashed(metadata)) == hashed(plain)
    assert (hashed(metadata) == hashed(plain)) == (not shown)


@pytest.mark.parametrize("metadata", [{"po": "8"}, {"po": "7", "ledger_account": "1010"}, {}])
def test_a_persons_keys_are_a_change(metadata: dict[str, str]) -> None:
    assert source_hash(hashed({**metadata, **STATE})) != source_hash(hashed({"po": "7", **STATE}))


def test_a_customers_keys_are_a_persons_whatever_their_name() -> None:
    assert source_hash(hashed({"ledger_status": "a"}, "customer")) != source_hash(hashed({"ledger_status": "b"}, "customer"))


def test_the_object_is_staged_again_and_its_source_stays(tmp_path: Path) -> None:
    staging = Staging(tmp_path / "staging.duckdb")

    def put(metadata: dict[str, str], *, gone: bool = False) -> tuple[int, str]:
        body = {"id": "in_1", "object": "invoice", "status": "paid", "created": 1, "metadata": metadata}
        with staging.batch() as batch:
            changed = batch.tombstone("invoice", ["in_1"]) if gone else batch.upsert("invoice", [_raw(body)])
        assert staging.content_hashes("invoice", ["in_1"])["in_1"] == staging.candidates()[0].content_hash
        return changed, staging.candidates()[0].content_hash

    _, first = put({})
    assert put(STATE) == (1, first)
    assert staging.objects("invoice", ["in_1"])["in_1"]["metadata"] == STATE
    assert put(STATE) == (0, first)
    assert put({**STATE, "ledger_status": "replay"}) == (1, first)
    assert put({}, gone=True)[1] != first


def _raw(body: dict[str, object]) -> RawObject:
    return RawObject("in_1", 1, json.dumps(body).encode())


def settled(transaction: object, metadata: dict[str, str] | None = None) -> str:
    body = {
        "id": "ch_1",
        "object": "charge",
        "balance_transaction": transaction,
        "description": 'has "balance_transaction":{ in it',
        "metadata": metadata or {},
        "receipt_url": "https://pay.stripe.com/receipts/x",
    }
    return content_hash("charge", compact(json.dumps(body, indent=2).encode()))


@pytest.mark.parametrize("metadata", [{}, STATE])
def test_how_a_payment_was_settled_is_staged_and_is_no_change_of_its_source(metadata: dict[str, str]) -> None:
    pending = {"id": "txn_1", "status": "pending", "exchange_rate": 7.4604, "fee_details": [{"amount": 3}]}
    named, asked, paid_out = (settled(one, metadata) for one in ("txn_1", pending, {**pending, "status": "available"}))
    assert len({named, asked, paid_out}) == 3
    assert source_hash(named) == source_hash(asked) == source_hash(paid_out)
    assert source_hash(settled(None, metadata)) != source_hash(named)
    assert source_hash(settled({**pending, "id": "txn_2"}, metadata)) != source_hash(named)
