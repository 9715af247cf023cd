import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from cloudify_pipeline.catalogue import CATALOGUE
from cloudify_pipeline.stripe_source.client import RequestRefused
from cloudify_pipeline.stripe_source.errors import CODES_IN_USE, code_of, own_words
from cloudify_pipeline_tests.stripe_source.fake_stripe import FakeStripe


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        (401, {"type": "invalid_request_error"}, "E-CONN-GRANT"),
        (401, {"code": "api_key_expired"}, "E-CONN-GRANT"),
        (403, {"code": "more_permissions_required_for_application"}, "E-CONN-ROLE"),
        (400, {"code": "livemode_mismatch"}, "E-CONN-GRANT"),
        (404, {"code": "resource_missing", "param": "id"}, "E-STRIPE-GONE"),
        (400, {"code": "parameter_missing", "param": "customer"}, "E-REQUEST"),
        (404, {"message": "Unrecognized request URL"}, "E-REQUEST"),
        (400, {"type": "idempotency_error"}, "E-IDEMPOTENCY"),
        (409, {"code": "idempotency_key_in_use"}, "E-RATE"),
        (429, {}, "E-RATE"),
        (400, {"param": "metadata"}, "E-METADATA-FULL"),
        (400, {"param": "metadata[ledger_error]"}, "E-REQUEST"),
        (402, {"type": "card_error", "code": "card_declined"}, "E-UNMAPPED"),
        (400, {"type": "invalid_request_error", "code": "invoice_no_such_thing", "param": "x"}, "E-UNMAPPED"),
        (400, {}, "E-UNMAPPED"),
        (500, {"type": "api_error"}, "E-SERVER"),
        (None, {}, "E-SERVER"),
    ],
)
def test_what_stripe_answers_has_a_code(status: int | None, error: dict[str, Any], code: str) -> None:
    assert code_of(status, error) == code


def test_every_code_is_in_the_catalogue() -> None:
    assert set(CATALOGUE) >= CODES_IN_USE


@pytest.mark.parametrize(("name", "status", "code"), [("error_lock_timeout", 409, "E-RATE"), ("error_rate_limit", 429, "E-RATE")])
def test_recorded_errors(name: str, status: int, code: str, shared: Callable[[str], Path]) -> None:
    body = json.loads((shared("fixtures/stripe/objects") / f"{name}.json").read_text(encoding="utf-8"))
    assert code_of(status, body["error"]) == code
    # The same body without its status: a proxy may have changed that.
    assert code_of(400, body["error"]) == code


def test_words_that_nobody_knows_are_shown_short_and_without_a_key() -> None:
    error = {"code": "new_thing", "message": "The key rk_live_51Habc***xyz9 may not. " + "x" * 400}
    words = own_words(400, error)
    assert words.startswith("HTTP 400 new_thing: The key (key) may not. xxx")
    assert len(words) < 350
    assert "xyz9" not in words
    assert own_words(402, {"type": "card_error"}) == "HTTP 402 card_error: no message"


async def test_a_refusal_carries_its_code_and_an_unknown_one_its_words_and_request_id() -> None:
    def answer(error: dict[str, Any]) -> Callable[[FakeStripe, httpx.Request], httpx.Response]:
        return lambda _, __: httpx.Response(400, json={"error": error}, headers={"Request-Id": "req_9"})

    known = {"code": "parameter_unknown", "param": "colour", "message": "Received unknown parameter: colour"}
    unknown = {"code": "brand_new", "message": "Something new."}
    for error, code, said in (
        (known, "E-REQUEST", "Stripe refused /v1/invoices: status 400, parameter_unknown, colour"),
        (unknown, "E-UNMAPPED", "Stripe refused /v1/invoices: HTTP 400 brand_new: Something new. (request req_9)"),
    ):
        async with FakeStripe(before=answer(error)).reader() as reader:
            with pytest.raises(RequestRefused) as refused:
                await reader.page("/v1/invoices", {})
        assert (refused.value.code, str(refused.value)) == (code, said)
