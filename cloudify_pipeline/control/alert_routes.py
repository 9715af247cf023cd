"""The routes of an alert: a line in the log, a JSON document to a web address, an e-mail. No secret address is ever shown."""

import hashlib
import json
import logging
import smtplib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import httpx
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_fixed

from cloudify_pipeline.errors import SettingsError, SettingsProblem
from cloudify_pipeline.posting.log.alerts import Alert
from cloudify_pipeline.settings.models import Alert as AlertSettings
from cloudify_pipeline.tls import tls

TIMEOUT = httpx.Timeout(5.0, connect=3.0)
MAIL_TIMEOUT = 10.0
PAUSE = 0.5
"""Seconds before the second try."""
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_SUBJECT = 120

Say = Callable[[str], object]
_logger = logging.getLogger("cloudify_pipeline.alerts")


class NotTold(Exception):
    """A route did not take an alert. The text has no address in it."""


class Route(Protocol):
    """Where alerts go. `name` tells routes apart and is kept in the log; it never shows a secret."""

    name: str
    together: bool
    """Whether several alerts go in one message."""

    def tell(self, alerts: Sequence[Alert]) -> None:
        """Hand them over.

        Raises:
            NotTold: they were not taken.
            SettingsError: a secret that the route needs is missing or no address.
        """
        ...


def route_of(settings: AlertSettings, *, say: Say | None = None) -> Route:
    """The route that an entry of `alerts` describes; `say` also gets the lines of the log's route."""
    if settings.to == "log":
        return LogRoute(say)
    if settings.to == "webhook":
        return WebhookRoute(settings)
    return EmailRoute(settings)


def line(alert: Alert) -> str:
    """One line for a person."""
    return f"{alert.connection}: {' '.join(alert.message.split())}"


@dataclass(slots=True)
class LogRoute:
    """Lines of the program's log; and what `say` writes to, which is Dagster's log when a sensor tells."""

    say: Say | None = None
    name: str = "log"
    together: bool = False

    def tell(self, alerts: Sequence[Alert]) -> None:
        """Write one line each."""
        for alert in alerts:
            _logger.warning("%s", line(alert))
            if self.say is not None:
                self.say(line(alert))


class WebhookRoute:
    """One POST of JSON for each alert; ``text`` makes it readable where a chat's incoming webhook stands behind the address."""

    together = False

    def __init__(self, settings: AlertSettings, transport: httpx.BaseTransport | None = None) -> None:
        self._url = settings.url
        self._transport = transport
        self.name = f"webhook {settings.url!r}"

    def tell(self, alerts: Sequence[Alert]) -> None:
        """POST them; a passing trouble is tried once more."""
        url = self._address()
        retrying = Retrying(
            retry=retry_if_exception_type(_Passing), stop=stop_after_attempt(2), wait=wait_fixed(PAUSE), reraise=True
        )
        loopback = httpx.URL(url).host in _LOOPBACK
        with _quiet(), httpx.Client(timeout=TIMEOUT, verify=tls(), transport=self._transport, trust_env=not loopback) as client:
            for alert in alerts:
                try:
                    retrying(_post, client, url, document(alert))
                except _Passing as error:
                    raise NotTold(str(error)) from None

    def _address(self) -> str:
        url = self._url.reveal("alerts.url") if self._url else ""
        try:
            parts = httpx.URL(url)
        except httpx.InvalidURL:
            parts = httpx.URL("")
        if parts.host and (parts.scheme == "https" or (parts.scheme == "http" and parts.host in _LOOPBACK)):
            return url
        raise _wrong("alerts.url", "an https:// address; http:// only for localhost, 127.0.0.1 and [::1]")


class _Passing(NotTold):
    """A trouble that may be over in a moment."""


def _post(client: httpx.Client, url: str, body: dict[str, Any]) -> None:
    headers = {"Content-Type": "application/json", "Idempotency-Key": body["id"]}
    try:
        response = client.post(url, content=json.dumps(body).encode(), headers=headers)
    except httpx.HTTPError as error:
        # Its text may hold the address.
        raise _Passing(f"no answer ({type(error).__name__})") from None
    if response.is_success:
        return
    kind = _Passing if response.status_code in {408, 429} or response.is_server_error else NotTold
    raise kind(f"status {response.status_code}")


def document(alert: Alert) -> dict[str, Any]:
    """What a webhook gets. `id` is the same whenever the same alert is sent again."""
    same = f"{alert.connection}\n{alert.key}\n{alert.first_at.isoformat()}"
    return {
        "id": hashlib.sha256(same.encode()).hexdigest()[:32],
        "connection": alert.connection,
        "on": alert.on,
        "key": alert.key,
        "message": alert.message,
        "text": line(alert),
        "first_at": alert.first_at.isoformat(),
        "last_at": alert.last_at.isoformat(),
        "times": alert.times,
        **{name: alert.facts[name] for name in ("code", "count", "sums", "remedy", "look") if name in alert.facts},
    }


class EmailRoute:
    """One mail for all that is new, through the SMTP server of the settings.

    ``smtps://`` is encrypted from the start; ``smtp://`` with a password is encrypted by STARTTLS or not used at all, except
    on this machine.
    """

    together = True

    def __init__(self, settings: AlertSettings) -> None:
        self._smtp = settings.smtp
        self._to = settings.address or ""
        self._from = settings.sender
        self.name = f"email {self._to}"

    def tell(self, alerts: Sequence[Alert]) -> None:
        """Send the mail."""
        try:
            self._send(mail(alerts, to=self._to, sender=self._from or self._to))
        except smtplib.SMTPResponseException as error:
            raise NotTold(f"the mail server answered {error.smtp_code} ({type(error).__name__})") from None
        except (smtplib.SMTPException, OSError) as error:
            raise NotTold(f"the mail was not taken ({type(error).__name__})") from None

    def _send(self, message: EmailMessage) -> None:
        try:
            parts = urlsplit(self._smtp.reveal("alerts.smtp") if self._smtp else "")
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if not host or parts.scheme not in {"smtp", "smtps"}:
            raise _wrong("alerts.smtp", "smtp://user:password@host:587 or smtps://user:password@host")
        context = tls()
        if parts.scheme == "smtps":
            server: smtplib.SMTP = smtplib.SMTP_SSL(host, port or 465, timeout=MAIL_TIMEOUT, context=context)
        else:
            server = smtplib.SMTP(host, port or 587, timeout=MAIL_TIMEOUT)
        with server:
            server.ehlo()
            if parts.scheme == "smtp" and server.has_extn("starttls"):
                server.starttls(context=context)
                server.ehlo()
            elif parts.scheme == "smtp" and parts.password and host not in _LOOPBACK:
                raise NotTold("the mail server offers no encryption, so the password was not sent")
            if parts.username:
                server.login(unquote(parts.username), unquote(parts.password or ""))
            server.send_message(message)


def mail(alerts: Sequence[Alert], *, to: str, sender: str) -> EmailMessage:
    """One mail about `alerts` of one connection."""
    message = EmailMessage()
    first = " ".join(alerts[0].message.split())
    more = f" (and {len(alerts) - 1} more)" if len(alerts) > 1 else ""
    subject = f"{alerts[0].connection}: {first}"
    message["Subject"] = (subject if len(subject) <= _SUBJECT else f"{subject[: _SUBJECT - 1]}…") + more
    message["From"], message["To"] = sender, to
    parts = [
        f"{alert.on}: {' '.join(alert.message.split())}\nsince {alert.first_at:%Y-%m-%d %H:%M} UTC, {alert.times} times"
        for alert in alerts
    ]
    message.set_content("\n\n".join(parts) + "\n")
    return message


def _wrong(key: str, allowed: str) -> SettingsError:
    return SettingsError("connection", [SettingsProblem(key, "no usable address", allowed)])


@contextmanager
def _quiet() -> Iterator[None]:
    """Httpx logs the address of each request, and this one is a secret."""
    logger = logging.getLogger("httpx")

    def nothing(_: logging.LogRecord) -> bool:
        return False

    logger.addFilter(nothing)
    try:
        yield
    finally:
        logger.removeFilter(nothing)
