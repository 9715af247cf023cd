"""An open connection: a Stripe account, its staging, its ledger and the posting log, in one object."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from cloudify_pipeline.errors import NotAuthorised
from cloudify_pipeline.ledgers.port import Ledger, LedgerIdentity
from cloudify_pipeline.posting.log.lease import Sleep, books_of
from cloudify_pipeline.posting.log.store import PostingLog
from cloudify_pipeline.settings.load import LoadedConnection
from cloudify_pipeline.settings.models import ConnectionSettings
from cloudify_pipeline.settings.secrets import Secret
from cloudify_pipeline.staging.store import Staging

if TYPE_CHECKING:
    # Loading Stripe's clients takes longer than the status of a hundred thousand documents.
    from cloudify_pipeline.stripe_source.client import StripeReader
    from cloudify_pipeline.stripe_source.metadata import StripeWriter
    from cloudify_pipeline.vies.client import Vies

Client_co = TypeVar("Client_co", covariant=True)


class NewClient(Protocol[Client_co]):
    """Makes a client. With `hurry` it gives up on a silent server within seconds: a person waits for the answer."""

    def __call__(self, *, hurry: bool = False) -> Client_co:
        """The client, to be closed after use."""
        ...


@dataclass(frozen=True, slots=True)
class GrantAccess:
    """How the ledger's owner lets this software in, for a ledger where that is done on a page of the ledger's own.

    `link` gives that page's address from the app's public token and the address to return to, which gets ``?token=…``;
    `grant` is where the token belongs, and `key` that setting's name.
    """

    link: Callable[[str, str | None], str]
    grant: Secret
    key: str


@dataclass(frozen=True, slots=True)
class OpenConnection:
    """Everything one connection's run works with. Clients are opened for one step and closed after it."""

    name: str
    loaded: LoadedConnection
    home: Path
    staging: Staging
    log: PostingLog
    clock: Callable[[], datetime]
    pinned_agreement: str | None
    new_ledger: NewClient[Ledger]
    new_stripe: "NewClient[StripeReader]"
    new_stripe_writer: "Callable[[], StripeWriter]"
    grant_access: GrantAccess | None = None
    new_vies: "Callable[[], Vies] | None" = None
    """The register of VAT numbers, where the settings say to ask it."""
    settings_of: "Callable[[str], ConnectionSettings | None]" = lambda name: None
    """The settings of another connection; None where its file is gone or has mistakes."""
    sleep: Sleep = asyncio.sleep
    """How a run waits for its turn at the books."""

    @property
    def settings(self) -> ConnectionSettings:
        """The effective settings."""
        return self.loaded.settings

    @property
    def may_write(self) -> bool:
        """Whether anything but GET may be sent, to either side."""
        return self.settings.write_mode == "write"

    @property
    def books(self) -> str | None:
        """The books that the connection is bound to, as leases name them (``economic:123456``); None before first contact."""
        bound = self.log.binding(self.name)
        return None if bound is None else books_of(self.settings.ledger, str(bound["agreement"]))

    @asynccontextmanager
    async def ledger(self, *, hurry: bool = False) -> AsyncIterator[Ledger]:
        """The ledger's client for one step."""
        ledger = self.new_ledger(hurry=hurry)
        try:
            yield ledger
        finally:
            await ledger.close()

    @asynccontextmanager
    async def stripe(self, *, hurry: bool = False) -> "AsyncIterator[StripeReader]":
        """Stripe's reader for one step."""
        reader = self.new_stripe(hurry=hurry)
        try:
            yield reader
        finally:
            await reader.close()


@asynccontextmanager
async def asking(new_vies: "Callable[[], Vies]") -> "AsyncIterator[Vies]":
    """VIES for one step."""
    vies = new_vies()
    try:
        yield vies
    finally:
        await vies.close()


async def check_books(opened: OpenConnection, ledger: Ledger) -> LedgerIdentity:
    """Whose books these are: bound at first contact, refused when they are others than before.

    Raises:
        NotAuthorised: E-CONN-AGREEMENT when the tokens speak for another agreement; E-CONN-READONLY when a run is to
            write and the licence is read-only.
    """
    identity = await ledger.identify()
    bound = opened.log.binding(opened.name)
    expected = opened.pinned_agreement or (bound["agreement"] if bound else None)
    if expected is not None and expected != identity.agreement:
        raise NotAuthorised(
            f"connection {opened.name} is bound to agreement {expected}; these tokens are for {identity.agreement} "
            f"({identity.company})",
            code="E-CONN-AGREEMENT",
        )
    if opened.may_write and not identity.can_write:
        raise NotAuthorised(f"{identity.company} (agreement {identity.agreement}) may only be read", code="E-CONN-READONLY")
    if bound is None and opened.may_write:
        opened.log.bind(opened.name, identity, opened.clock())
    return identity
