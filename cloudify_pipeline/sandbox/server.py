"""The sandbox as a running thing: an embedded Stripe and an embedded e-conomic on loopback ports."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloudify_pipeline.sandbox.economic.app import create_app as economic_app
from cloudify_pipeline.sandbox.economic.demo_agreement import AGREEMENT_GRANT_TOKEN, APP_SECRET_TOKEN
from cloudify_pipeline.sandbox.economic.store import EconomicStore
from cloudify_pipeline.sandbox.faults import Faults
from cloudify_pipeline.sandbox.stripe import dataset
from cloudify_pipeline.sandbox.stripe.app import create_app as stripe_app
from cloudify_pipeline.sandbox.stripe.store import StripeStore
from cloudify_pipeline.sandbox.vies import PATH as VIES_PATH
from cloudify_pipeline.sandbox.vies import ViesStore
from cloudify_pipeline.sandbox.vies import create_app as vies_app

Load = Callable[[StripeStore, datetime], object]
_PATIENCE = 10.0


def _now() -> datetime:
    return datetime.now(UTC)


class Sandbox:
    """Both servers, with the demo data loaded at the first start.

    `home` keeps the state in ``home/sandbox``; None keeps it in memory. Port 0 takes a free one. `load` fills an empty
    Stripe account. The stores can be used from Python while the servers run.
    """

    def __init__(
        self,
        home: Path | None = None,
        *,
        clock: Callable[[], datetime] = _now,
        stripe_port: int = 0,
        ledger_port: int = 0,
        load: Load = dataset.load,
    ) -> None:
        folder = home / "sandbox" if home else None
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
        self.clock = clock
        self.stripe = StripeStore(folder / "stripe.db" if folder else None)
        self.economic = EconomicStore(folder / "economic.db" if folder else None)
        self.faults_stripe = Faults()
        self.faults_economic = Faults()
        self.app_secret_token = APP_SECRET_TOKEN
        self.agreement_grant_token = AGREEMENT_GRANT_TOKEN
        self._fill(load)
        self.ahead: dict[str, timedelta] = {"stripe": timedelta(0), "economic": timedelta(0)}
        """How far each server's Date header is ahead of this machine's clock: the fault of a clock that is wrong."""
        stripe = _Dated(stripe_app(self.stripe, self.faults_stripe, clock=clock), lambda: self.ahead["stripe"])
        economic = _Dated(economic_app(self.economic, self.faults_economic, clock=clock), lambda: self.ahead["economic"])
        self._stripe = _Server(stripe, stripe_port)
        self._economic = _Server(economic, ledger_port)

    @property
    def stripe_key(self) -> str:
        """The restricted key: it may read what the pipeline reads, and write metadata."""
        return self.stripe.restricted_key

    @property
    def stripe_url(self) -> str:
        """Where the embedded Stripe answers."""
        return self._stripe.url

    @property
    def economic_url(self) -> str:
        """Where the embedded e-conomic answers, for both of its APIs."""
        return self._economic.url

    @property
    def urls(self) -> Mapping[str, str]:
        """Where each server answers, by the side of the connection it stands for."""
        return {"stripe": self.stripe_url, "ledger": self.economic_url}

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment variables that the demo connection takes its secrets from."""
        return {
            "CLOUDIFY_DEMO_STRIPE_KEY": self.stripe_key,
            "CLOUDIFY_DEMO_APP_SECRET_TOKEN": self.app_secret_token,
            "CLOUDIFY_DEMO_GRANT_TOKEN": self.agreement_grant_token,
        }

    @property
    def expected(self) -> dataset.Expected:
        """What a sync of the untouched demo data should come to."""
        return dataset.expected(self.stripe)

    def connection_file(self) -> str:
        """The text of the connection file between the two servers."""
        return dataset.connection_file(self.stripe_url, self.economic_url)

    def _fill(self, load: Load) -> None:
        now = self.clock()
        with self.stripe.transaction():
            if self.stripe.noted("loaded") is not None:
                return
            load(self.stripe, now)
            self.stripe.note("loaded", int(now.timestamp()))
        self.economic.seed(now)
        if dataset.open_from(now).month == 1:
            self.economic.set_period(f"{now.year}-01-01", barred=False)

    def __enter__(self) -> Self:
        """Start both servers and wait until they answer."""
        with contextlib.ExitStack() as undo:
            undo.callback(self._close_stores)
            for server in (self._stripe, self._economic):
                server.start()
                undo.callback(server.stop)
            self._undo = undo.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop both servers and close the stores."""
        # Both are asked before either is waited for: each looks up only every tenth of a second.
        for server in (self._stripe, self._economic):
            server.ask_to_stop()
        self._undo.close()

    def _close_stores(self) -> None:
        self.stripe.close()
        self.economic.close()


class EmbeddedStripe:
    """Another Stripe account on a loopback port, beside a sandbox; its state is in memory."""

    def __init__(self, store: StripeStore, *, clock: Callable[[], datetime] = _now, port: int = 0) -> None:
        self.store = store
        self.faults = Faults()
        self._server = _Server(_Dated(stripe_app(store, self.faults, clock=clock), timedelta), port)

    @property
    def url(self) -> str:
        """What ``stripe.api_base`` is set to."""
        return self._server.url

    def __enter__(self) -> Self:
        """Start the server and wait until it answers."""
        self._server.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop it and close the store."""
        self._server.stop()
        self.store.close()


class EmbeddedVies:
    """An embedded VIES on a loopback port, beside a sandbox where a connection asks for one; its state is in memory."""

    def __init__(self, *, clock: Callable[[], datetime] = _now, port: int = 0) -> None:
        self.store = ViesStore()
        self.faults = Faults()
        self._server = _Server(vies_app(self.store, self.faults, clock=clock), port)

    @property
    def api_base(self) -> str:
        """What ``vat.evidence.api_base`` is set to."""
        return f"{self._server.url}{VIES_PATH}"

    def __enter__(self) -> Self:
        """Start the server and wait until it answers."""
        self._server.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop it."""
        self._server.stop()


class _Dated:
    """Puts a Date header on every answer: this machine's time, or another one on demand."""

    def __init__(self, app: ASGIApp, ahead: Callable[[], timedelta]) -> None:
        self._app = app
        self._ahead = ahead

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = format_datetime(_now() + self._ahead(), usegmt=True).encode()
                message = {**message, "headers": [*message["headers"], (b"date", date)]}
            await send(message)

        await self._app(scope, receive, dated)


class _Server:
    """One application under uvicorn in a thread of its own."""

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app = app
        self._port = port
        self.url = ""

    def start(self) -> None:
        # The socket is bound here, so that the port is known and a taken one fails at once.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind(("127.0.0.1", self._port))
        except OSError:
            self._socket.close()
            raise
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(
            self._app,
            lifespan="off",
            log_config=None,
            access_log=False,
            ws="none",
            date_header=False,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)
        self._thread.start()
        deadline = time.monotonic() + _PATIENCE
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"the embedded server on {self.url} did not start")
            time.sleep(0.005)

    def ask_to_stop(self) -> None:
        self._server.should_exit = self._server.force_exit = True

    def stop(self) -> None:
        self.ask_to_stop()
        self._thread.join(_PATIENCE)
        self._socket.close()
