"""The receiver of Stripe's webhooks: what it takes, what it refuses, and that it only asks for a tick."""

import json
import time
from pathlib import Path

import httpx
import pytest
import stripe
import yaml

from cloudify_pipeline.cli.webhook import LARGEST, TOLERANCE, create_app
from cloudify_pipeline.errors import LogUnavailable
from cloudify_pipeline.posting.log import hints
from cloudify_pipeline.posting.log.store import PostingLog
from cloudify_pipeline.settings.paths import posting_url
from cloudify_pipeline_tests.cli.conftest import Call

SECRET = "whsec_nordlys_0001"
EVENT = json.dumps({"id": "evt_1", "object": "event", "type": "invoice.paid", "data": {"object": {"id": "in_1"}}})


@pytest.fixture
def hooked(written: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Connection `nordlys` has a webhook's secret, `sydlys` has none."""
    monkeypatch.setenv("STRIPE_WEBHOOK_SECRET", SECRET)
    settings = yaml.safe_load((written / "nordlys.yaml").read_text(encoding="utf-8"))
    (written / "sydlys.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    settings["stripe"]["webhook_secret"] = {"env": "STRIPE_WEBHOOK_SECRET"}
    (written / "nordlys.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    return written


def signed(body: str = EVENT, secret: str = SECRET, *, age: int = 0) -> dict[str, str]:
    header = stripe.WebhookSignature.generate_signature_header(body, secret, int(time.time()) - age)
    return {"Stripe-Signature": header}


async def post(path: str, body: str | bytes, headers: dict[str, str]) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(create_app()), base_url="http://receiver") as client:
        return await client.post(path, content=body, headers=headers)


def asked() -> set[str]:
    log = PostingLog(posting_url())
    try:
        return set(hints.asked(log.engine))
    finally:
        log.close()


async def test_a_signed_event_asks_for_a_tick_of_that_connection(hooked: Path) -> None:
    answer = await post("/stripe/nordlys", EVENT, signed())
    assert answer.status_code == 202
    assert asked() == {"nordlys"}


async def test_nothing_of_the_payload_is_used(hooked: Path) -> None:
    odd = '{"type": "invoice.paid", "data": {"object": {"id": "../../etc"'
    assert (await post("/stripe/nordlys", odd, signed(odd))).status_code == 202
    assert asked() == {"nordlys"}


REFUSED = [
    ("another secret", "/stripe/nordlys", EVENT, signed(secret="whsec_other"), 400),
    ("no signature", "/stripe/nordlys", EVENT, {}, 400),
    ("not a signature", "/stripe/nordlys", EVENT, {"Stripe-Signature": "t=x,v1=y"}, 400),
    ("another body", "/stripe/nordlys", EVENT + " ", signed(), 400),
    ("an old one, sent again", "/stripe/nordlys", EVENT, signed(age=TOLERANCE + 60), 400),
    ("no text", "/stripe/nordlys", b"\xff\xfe", signed(), 400),
    ("too large", "/stripe/nordlys", "x" * (LARGEST + 1), signed("x" * (LARGEST + 1)), 413),
    ("unknown connection", "/stripe/nobody", EVENT, signed(), 404),
    ("without a secret", "/stripe/sydlys", EVENT, signed(), 404),
    ("no connection's name", "/stripe/..%2Fnordlys", EVENT, signed(), 404),
    ("elsewhere", "/", EVENT, signed(), 404),
]


@pytest.mark.parametrize(("_name", "path", "body", "headers", "status"), REFUSED, ids=[one[0] for one in REFUSED])
async def test_everything_else_is_refused_and_asks_for_nothing(
    hooked: Path, _name: str, path: str, body: str | bytes, headers: dict[str, str], status: int
) -> None:
    answer = await post(path, body, headers)
    assert answer.status_code == status
    assert asked() == set()
    assert SECRET not in answer.text


async def test_an_empty_secret_lets_nobody_in(hooked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIPE_WEBHOOK_SECRET", "")
    assert (await post("/stripe/nordlys", EVENT, signed(secret=""))).status_code == 404


async def test_a_hint_that_cannot_be_kept_is_sent_again_by_stripe(hooked: Path) -> None:
    def broken(_: str) -> None:
        raise LogUnavailable("the disk is full")

    transport = httpx.ASGITransport(create_app(broken))
    async with httpx.AsyncClient(transport=transport, base_url="http://receiver") as client:
        answer = await client.post("/stripe/nordlys", content=EVENT, headers=signed())
    assert (answer.status_code, answer.json()["said"]) == (503, "E-LOG: the hint could not be kept")


async def test_only_post_is_taken(hooked: Path) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(create_app()), base_url="http://receiver") as client:
        assert (await client.get("/stripe/nordlys")).status_code == 405


def test_without_any_secret_the_command_says_which_setting_is_missing(written: Path, call: Call) -> None:
    called = call("webhook", "--json")
    assert called.code == 2
    assert "stripe.webhook_secret" in called.out
