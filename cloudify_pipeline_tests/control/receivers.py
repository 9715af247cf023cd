"""A web hook's receiver and a mail server on this machine, as small as they can be."""

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any


class Hook:
    """What was POSTed. `answers` are the statuses to give, the last for ever."""

    def __init__(self) -> None:
        self.answers = [200]
        self.got: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.url = ""


@contextmanager
def web_hook() -> Iterator[Hook]:
    hook = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = hook.answers.pop(0) if len(hook.answers) > 1 else hook.answers[0]
            hook.got.append(json.loads(body))
            hook.keys.append(self.headers["Idempotency-Key"])
            self.send_response(status)
            self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    hook.url = f"http://127.0.0.1:{server.server_port}/hook/T0-secret-path"
    with _running(server):
        yield hook


class Mailbox:
    """What the mail server took. `refuse` is the status it answers to the recipient instead."""

    def __init__(self) -> None:
        self.refuse: str | None = None
        self.mails: list[str] = []
        self.logins: list[str] = []
        self.url = ""


@contextmanager
def mail_server() -> Iterator[Mailbox]:
    box = Mailbox()

    class Handler(socketserver.StreamRequestHandler):
        def say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

        def handle(self) -> None:
            self.say("220 here")
            while command := self.rfile.readline().decode().strip():
                verb = command.upper().split(" ")[0]
                if verb == "EHLO":
                    self.say("250-here\r\n250 AUTH PLAIN")
                elif verb == "AUTH":
                    box.logins.append(command)
                    self.say("235 welcome")
                elif verb == "RCPT" and box.refuse:
                    self.say(box.refuse)
                elif verb == "DATA":
                    self.say("354 go on")
                    lines = []
                    while (line := self.rfile.readline().decode().rstrip("\r\n")) != ".":
                        lines.append(line)
                    box.mails.append("\n".join(lines))
                    self.say("250 taken")
                elif verb == "QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("250 fine")

    server = socketserver.TCPServer(("127.0.0.1", 0), Handler)
    box.url = f"smtp://nordlys:p%40ss-secret@127.0.0.1:{server.server_address[1]}"
    with _running(server):
        yield box


@contextmanager
def _running(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
