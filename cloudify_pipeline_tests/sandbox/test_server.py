"""The sandbox as running servers."""

import socket
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from cloudify_pipeline.sandbox.faults import Fault
from cloudify_pipeline.sandbox.server import Sandbox
from cloudify_pipeline.sandbox.stripe.store import StripeStore

NOW = datetime(2026, 11, 21, 10, tzinfo=UTC)


def _clock() -> datetime:
    return NOW


def _little(store: StripeStore, now: datetime) -> None:
    store.add_customer(at=now, name="Den eneste")


def _stripe(sandbox: Sandbox, path: str) -> httpx.Response:
    return httpx.get(sandbox.stripe_url + path, headers={"Authorization": f"Bearer {sandbox.stripe_key}"})


def _economic(sandbox: Sandbox, path: str) -> httpx.Response:
    tokens = {"X-AppSecretToken": sandbox.app_secret_token, "X-AgreementGrantToken": sandbox.agreement_grant_token}
    return httpx.get(sandbox.economic_url + path, headers=tokens)


def test_both_servers_answer_on_loopback_and_stop() -> None:
    with Sandbox(clock=_clock) as sandbox:
        assert sandbox.stripe_url.startswith("http://127.0.0.1:")
        assert len(_stripe(sandbox, "/v1/invoices?limit=100").json()["data"]) == 100
        assert _economic(sandbox, "/self").json()["agreementNumber"] == 1234567
        assert sandbox.environment["CLOUDIFY_DEMO_STRIPE_KEY"] == sandbox.stripe_key
        assert sandbox.stripe_url in sandbox.connection_file()
        assert len(sandbox.expected.documents) > 170
        urls = (sandbox.stripe_url, sandbox.economic_url)
    for url in urls:
        with pytest.raises(httpx.ConnectError):
            httpx.get(url)


def test_a_second_start_finds_what_the_first_left(tmp_path: Path) -> None:
    with Sandbox(tmp_path, clock=_clock, load=_little) as sandbox:
        [customer] = _stripe(sandbox, "/v1/customers").json()["data"]
        sandbox.stripe.update_customer(customer["id"], at=NOW, name="Omdøbt")
    assert sorted(path.name for path in (tmp_path / "sandbox").glob("*.db")) == ["economic.db", "stripe.db"]
    with Sandbox(tmp_path, clock=_clock, load=_little) as sandbox:
        assert [one["name"] for one in _stripe(sandbox, "/v1/customers").json()["data"]] == ["Omdøbt"]
        assert _economic(sandbox, "/customers").json()["collection"]


@pytest.mark.parametrize(("now", "barred"), [(datetime(2026, 1, 20, tzinfo=UTC), False), (NOW, True)])
def test_january_is_open_in_the_ledger_while_sales_lie_in_it(now: datetime, barred: bool) -> None:
    with Sandbox(clock=lambda: now, load=_little) as sandbox:
        january = sandbox.economic.get("periods", "2026-01-01")
        assert january is not None
        assert january["barred"] is barred


def test_a_taken_port_is_refused_and_nothing_is_left_running() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        sandbox = Sandbox(clock=_clock, load=_little, ledger_port=taken.getsockname()[1])
        with pytest.raises(OSError, match="in use"):
            sandbox.__enter__()
    with pytest.raises(httpx.ConnectError):
        httpx.get(sandbox.stripe_url)


def test_a_dropped_connection_is_a_closed_socket() -> None:
    with Sandbox(clock=_clock, load=_little) as sandbox:
        sandbox.faults_stripe.add(Fault(kind="drop_before"))
        with pytest.raises(httpx.RemoteProtocolError):
            _stripe(sandbox, "/v1/customers")
        assert _stripe(sandbox, "/v1/customers").status_code == 200
