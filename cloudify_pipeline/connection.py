"""Opens a connection: its settings, Stripe, staging, ledger and log in one object.

The one place that knows which class a setting names. A client is imported when it is made: loading one takes longer than
what most commands do, and `status` makes none.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cloudify_pipeline.control.opened import GrantAccess, OpenConnection
from cloudify_pipeline.errors import SettingsError
from cloudify_pipeline.ledgers.economic import fields as economic_fields
from cloudify_pipeline.ledgers.economic.premapped import PREMAPPED as ECONOMIC_PREMAPPED
from cloudify_pipeline.ledgers.port import Ledger
from cloudify_pipeline.posting.log.store import PostingLog
from cloudify_pipeline.settings.load import Catalogues, LoadedConnection, load_settings
from cloudify_pipeline.settings.models import ConnectionSettings, VatEvidence
from cloudify_pipeline.settings.paths import connection_file, home, posting_url, staging_file
from cloudify_pipeline.staging.store import Staging
from cloudify_pipeline.stripe_source.fields import CATALOGUES as STRIPE_FIELDS

if TYPE_CHECKING:
    from cloudify_pipeline.stripe_source.client import StripeReader
    from cloudify_pipeline.stripe_source.metadata import StripeWriter
    from cloudify_pipeline.vies.client import Vies

ECONOMIC_GRANT = "economic.agreement_grant_token"
HURRIED_ATTEMPTS = 2
"""One silence may be chance; the second is reported."""
HURRIED_SECONDS, HURRIED_CONNECT_SECONDS = 10.0, 3.0

_PATIENCE = 5.0
"""Seconds that a question about staging waits for a run."""


def catalogues() -> Catalogues:
    """What can be mapped, from Stripe to the ledger."""
    return Catalogues(
        ledger={
            "customers": economic_fields.CUSTOMER_FIELDS,
            "products": economic_fields.PRODUCT_FIELDS,
            "documents": economic_fields.DOCUMENT_FIELDS,
        },
        premapped=ECONOMIC_PREMAPPED,
        stripe=STRIPE_FIELDS,
        decided=economic_fields.DECIDED,
    )


def load_connection(name: str) -> LoadedConnection:
    """The checked settings of connection `name`.

    Raises:
        SettingsError: there is no such connection, or its file has mistakes; all of them are in it.
    """
    return load_settings(connection_file(name), catalogues=catalogues())


def open_connection(name: str, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> OpenConnection:
    """Connection `name`, ready to run. No call is made before a step asks for one.

    Raises:
        SettingsError: the settings are wrong.
        LogUnavailable: the posting log cannot be opened.
    """
    loaded = load_connection(name)
    settings = loaded.settings
    folder = home() / name
    folder.mkdir(parents=True, exist_ok=True)
    return OpenConnection(
        name=name,
        loaded=loaded,
        home=folder,
        staging=Staging(staging_file(name)),
        log=PostingLog(posting_url()),
        clock=clock,
        pinned_agreement=_pinned_agreement(settings),
        new_ledger=lambda *, hurry=False: _ledger(settings, hurry=hurry),
        new_stripe=lambda *, hurry=False: _stripe(settings, hurry=hurry),
        new_stripe_writer=lambda: _stripe_writer(settings),
        grant_access=_grant_access(settings),
        new_vies=(lambda: _vies(settings.vat.evidence, clock)) if settings.vat.evidence.vies else None,
        settings_of=_settings_of,
    )


def _settings_of(name: str) -> ConnectionSettings | None:
    try:
        return load_connection(name).settings
    except SettingsError:
        return None


def staged(name: str) -> Staging | None:
    """What is staged for connection `name`, for a look that opens nothing else; None before its first sync or preview.

    It waits a few seconds for a run that writes, and then says so (RunStopped, E-LEASE).
    """
    path = staging_file(name)
    return Staging(path, wait_seconds=_PATIENCE) if path.is_file() else None


def _ledger(settings: ConnectionSettings, *, hurry: bool) -> Ledger:
    import httpx  # noqa: PLC0415

    from cloudify_pipeline.ledgers.economic import client as economic_client  # noqa: PLC0415
    from cloudify_pipeline.ledgers.economic.ledger import EconomicLedger  # noqa: PLC0415

    economic = settings.economic
    if economic is None:  # the settings' own checks refuse such a file
        message = f"ledger {settings.ledger} has no section"
        raise ValueError(message)
    return EconomicLedger(
        economic.app_secret_token.reveal("economic.app_secret_token"),
        economic.agreement_grant_token.reveal(ECONOMIC_GRANT),
        api_base=economic.api_base,
        openapi_base=economic.openapi_base,
        attempts=HURRIED_ATTEMPTS if hurry else economic_client.ATTEMPTS,
        timeout=httpx.Timeout(HURRIED_SECONDS, connect=HURRIED_CONNECT_SECONDS) if hurry else economic_client.TIMEOUT,
    )


def _stripe(settings: ConnectionSettings, *, hurry: bool) -> "StripeReader":
    import httpx  # noqa: PLC0415

    from cloudify_pipeline.stripe_source import client as stripe_client  # noqa: PLC0415

    stripe = settings.stripe
    return stripe_client.StripeReader(
        stripe.api_key.reveal("stripe.api_key"),
        api_base=stripe.api_base,
        api_version=stripe.api_version,
        attempts=HURRIED_ATTEMPTS if hurry else 1 + stripe_client.RETRIES,
        timeout=httpx.Timeout(HURRIED_SECONDS, connect=HURRIED_CONNECT_SECONDS) if hurry else stripe_client.TIMEOUT,
        sleep=_nap if hurry else asyncio.sleep,
        rates=settings.invoices.exchange_rate == "stripe",
    )


async def _nap(seconds: float) -> None:
    await asyncio.sleep(min(seconds, 1.0))


def _grant_access(settings: ConnectionSettings) -> GrantAccess | None:
    if settings.economic is None:
        return None
    return GrantAccess(_install_url, settings.economic.agreement_grant_token, ECONOMIC_GRANT)


def _install_url(app_public_token: str, redirect_url: str | None) -> str:
    from cloudify_pipeline.ledgers.economic.ledger import install_url  # noqa: PLC0415

    return install_url(app_public_token, redirect_url)


def _stripe_writer(settings: ConnectionSettings) -> "StripeWriter":
    from cloudify_pipeline.stripe_source.metadata import StripeWriter  # noqa: PLC0415

    stripe = settings.stripe
    return StripeWriter(stripe.api_key.reveal("stripe.api_key"), api_base=stripe.api_base, api_version=stripe.api_version)


def _vies(evidence: VatEvidence, clock: Callable[[], datetime]) -> "Vies":
    from cloudify_pipeline.vies.client import Vies  # noqa: PLC0415

    return Vies(evidence.api_base, requester=evidence.requester, clock=clock)


def _pinned_agreement(settings: ConnectionSettings) -> str | None:
    number = settings.economic.agreement_number if settings.economic else None
    return None if number is None else str(number)
