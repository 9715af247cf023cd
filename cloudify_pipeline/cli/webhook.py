"""`cloudify webhook`: receives Stripe's webhooks as a hint. It checks the signature and asks for a tick, nothing more.

What is in the payload is not looked at: the sensors read Stripe's events themselves, with their own key.
"""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated

import stripe
import typer
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from cloudify_pipeline.cli.output import DONE, AsJson, console, show_json
from cloudify_pipeline.cli.ui import free_port
from cloudify_pipeline.connection import load_connection
from cloudify_pipeline.errors import PipelineError, SettingsError, SettingsProblem
from cloudify_pipeline.posting.log import hints
from cloudify_pipeline.posting.log.store import PostingLog
from cloudify_pipeline.settings.paths import connection_names, posting_url

Host = Annotated[str, typer.Option("--host", help="The address to listen on; Stripe reaches it through your own HTTPS proxy.")]
Port = Annotated[int, typer.Option("--port", min=1, max=65535, help="The port to listen on.")]

LARGEST = 1024 * 1024
"""Bytes; Stripe's events are far smaller."""
TOLERANCE = 300
"""Seconds that a signature may be old, as Stripe's own library has it: an older one may be a copy."""
SECRET = "stripe.webhook_secret"  # noqa: S105 - the setting's name

Ask = Callable[[str], None]


def webhook(host: Host = "127.0.0.1", port: Port = 8480, as_json: AsJson = False) -> int:
    """Receive Stripe's webhooks at POST /stripe/NAME as a hint to look now instead of within half a minute. Ctrl-C ends it."""
    served = [name for name in connection_names() if _secret(name) is not None]
    if not served:
        raise SettingsError(
            "the call", [SettingsProblem(SECRET, "nothing in any connection", "{env: NAME} of the whsec_… value")]
        )
    chosen = free_port(host, port)
    urls = {name: f"http://{host}:{chosen}/stripe/{name}" for name in served}
    if as_json:
        show_json({"urls": urls})
    else:
        for name, url in urls.items():
            console(sys.stderr).print(f"{name}: {url}", markup=False, highlight=False)
    uvicorn.run(create_app(), host=host, port=chosen, log_level="warning", access_log=False)
    return DONE


def create_app(ask: Ask | None = None) -> Starlette:
    """The receiver, to be run here or mounted elsewhere. `ask` is called with the connection's name for every good hint."""
    asks = ask or _ask

    async def receive(request: Request) -> JSONResponse:
        name = request.path_params["connection"]
        secret = await run_in_threadpool(_secret, name)
        if secret is None:
            return _answer(404, "no such connection, or it has no stripe.webhook_secret")
        body = await _body(request)
        if body is None:
            return _answer(413, "larger than an event of Stripe's")
        try:
            stripe.WebhookSignature.verify_header(body, request.headers.get("stripe-signature"), secret, TOLERANCE)
        except (stripe.SignatureVerificationError, UnicodeDecodeError):
            return _answer(400, "the signature is not Stripe's, or it is old")
        try:
            await run_in_threadpool(asks, name)
        except PipelineError as error:
            # Stripe sends it again, and the sensors look by themselves anyway.
            return _answer(503, f"{error.code}: the hint could not be kept")
        return _answer(202, "looked for within seconds")

    return Starlette(routes=[Route("/stripe/{connection}", receive, methods=["POST"])])


def _ask(name: str) -> None:
    log = PostingLog(posting_url())
    try:
        hints.ask(log.engine, name, datetime.now(UTC))
    finally:
        log.close()


def _secret(name: str) -> str | None:
    """The endpoint's secret; None for a connection that is not there, is mistaken or has none."""
    if name not in connection_names():
        return None
    try:
        secret = load_connection(name).settings.stripe.webhook_secret
        return None if secret is None else secret.reveal(SECRET)
    except SettingsError:
        return None


async def _body(request: Request) -> bytes | None:
    """The body; None when it is too large, without reading it to the end."""
    read = bytearray()
    async for part in request.stream():
        read += part
        if len(read) > LARGEST:
            return None
    return bytes(read)


def _answer(status: int, said: str) -> JSONResponse:
    return JSONResponse({"said": said}, status_code=status)
