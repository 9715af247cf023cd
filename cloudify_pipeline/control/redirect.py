"""The address on this machine that a grant's page sends the browser back to.

That page adds ``?token=…`` and echoes no state, so the state is in the address itself: a path that nobody can guess. The
token stands in the request line, which is therefore never logged.
"""

import queue
import re
import secrets
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

_TOKEN = re.compile(r"[!-~]{1,512}")
_PAGE = "<!doctype html><meta charset=utf-8><title>Cloudify Pipeline</title><p>{}</p>"
_RECEIVED = "Access was granted. Close this window and go back to the terminal."
_WITHOUT = "This address was opened without a grant. Grant access on the ledger's page; it leads back here."
_UNKNOWN = "There is nothing here."


class _Server(ThreadingHTTPServer):
    # A browser opens spare connections and says nothing on them; with one thread they would keep the real one waiting.
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a browser that went away is no matter, and a traceback is no place for its request."""


class Redirect:
    """Listens on loopback only, from its making until it is left. `url` is the address to return to.

    Raises:
        OSError: the port is taken or may not be used.
    """

    def __init__(self, port: int = 0) -> None:
        self._path = f"/{secrets.token_urlsafe(32)}"
        self._tokens: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._server = _Server(("127.0.0.1", port), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}{self._path}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def wait(self, timeout: float) -> str | None:
        """The first token that came, or None after `timeout` seconds."""
        try:
            return self._tokens.get(timeout=timeout)
        except queue.Empty:
            return None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        path, tokens = self._path.encode(), self._tokens

        class Handler(BaseHTTPRequestHandler):
            timeout = 10
            server_version, sys_version = "cloudify", ""

            def do_GET(self) -> None:
                asked = urlsplit(self.path)
                if not secrets.compare_digest(asked.path.encode("utf-8", "surrogateescape"), path):
                    self._answer(HTTPStatus.NOT_FOUND, _UNKNOWN)
                    return
                token = next(iter(parse_qs(asked.query).get("token", ())), "")
                if not _TOKEN.fullmatch(token):
                    self._answer(HTTPStatus.BAD_REQUEST, _WITHOUT)
                    return
                # Answered first: the command may end as soon as it has the token.
                try:
                    self._answer(HTTPStatus.OK, _RECEIVED)
                finally:
                    tokens.put(token)

            def _answer(self, status: HTTPStatus, words: str) -> None:
                body = _PAGE.format(words).encode()
                self.send_response(status)
                for name, value in (
                    ("Content-Type", "text/html; charset=utf-8"),
                    ("Content-Length", str(len(body))),
                    ("Cache-Control", "no-store"),
                    ("Referrer-Policy", "no-referrer"),
                ):
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing: the line that would be logged holds the token."""

        return Handler
