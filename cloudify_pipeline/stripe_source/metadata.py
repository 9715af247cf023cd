"""Writing metadata back to Stripe, through the official SDK; and what the key must be allowed to do."""

import asyncio
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import stripe

from cloudify_pipeline.errors import NotAuthorised, Problem, RunStopped
from cloudify_pipeline.stripe_source.client import RightMissing, StripeReader
from cloudify_pipeline.stripe_source.errors import code_of
from cloudify_pipeline.stripe_source.limits import Limits, is_loopback


@dataclass(frozen=True, slots=True)
class Right:
    """One right of a restricted key: `resource` as Stripe's key page names it, and why it is needed."""

    resource: str
    access: Literal["read", "write"]
    why: str
    probe: str | None = None
    """The list that tells whether a read is allowed."""
    vital: bool = True
    """Whether no run works without it."""


NEEDED_RIGHTS = (
    Right("Invoices", "read", "the documents that are booked", "/v1/invoices"),
    Right("Customers", "read", "the buyers of the documents", "/v1/customers"),
    Right("Products", "read", "the products on the lines", "/v1/products"),
    Right("Prices", "read", "the prices on the lines", "/v1/prices"),
    Right("Tax rates", "read", "the VAT that Stripe charged", "/v1/tax_rates"),
    Right("Charges and refunds", "read", "payments without an invoice", "/v1/charges"),
    Right("Invoice payments", "read", "which charge pays which invoice", "/v1/invoice_payments"),
    Right("Credit notes", "read", "what corrects a document", "/v1/credit_notes"),
    Right("Disputes", "read", "payments that the buyer's bank took back", "/v1/disputes", vital=False),
    Right(
        "Checkout Sessions",
        "read",
        "what a payment without an invoice sold, and its VAT",
        "/v1/checkout/sessions",
        vital=False,
    ),
    Right("Events", "read", "what has changed since the last run", "/v1/events"),
    Right("Customers", "write", "the ledger's customer number in the customer's metadata"),
    Right("Invoices", "write", "where the document stands, in the invoice's metadata"),
)
RATE_RIGHT = Right("Balance", "read", "the rate at which Stripe converted a payment", "/v1/balance_transactions")
"""Needed as well by a reader that reads rates."""

Writable = Literal["customer", "invoice", "charge"]
_ENDPOINTS: dict[Writable, str] = {"customer": "/v1/customers", "invoice": "/v1/invoices", "charge": "/v1/charges"}


@dataclass(frozen=True, slots=True)
class Account:
    """The account a key belongs to. Without the right to read it, name and id are None."""

    id: str | None
    name: str | None
    country: str | None
    livemode: bool


@dataclass(frozen=True, slots=True)
class Rights:
    """What a key may read, as Stripe itself answered."""

    account: Account
    refused: tuple[Right, ...]


class StripeWriter:
    """Metadata writes to one account. A failure is told as a problem; it never stops a run, the next one writes again.

    `limits` overrides the rate limits that the key and the host imply (none for a server on this machine); one writer
    belongs to one event loop. `http_client` is for tests and embedded servers.
    """

    def __init__(
        self,
        api_key: str,
        *,
        api_base: str,
        api_version: str,
        http_client: stripe.HTTPClient | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._limits = limits or (Limits.none() if is_loopback(api_base) else Limits.of_key(api_key))
        # The SDK keeps this switch for the whole process; telemetry would also write a file into the user's home.
        stripe.enable_telemetry = False
        self._client = stripe.StripeClient(
            api_key,
            stripe_version=api_version,
            base_addresses={"api": api_base.rstrip("/")},
            max_network_retries=3,
            http_client=http_client,
        )

    async def set_customer_metadata(self, customer_id: str, metadata: Mapping[str, str]) -> Problem | None:
        """Merge `metadata` into a customer's; an empty value removes its key. None when it is written."""
        return await self.set_metadata("customer", customer_id, metadata)

    async def set_invoice_metadata(self, invoice_id: str, metadata: Mapping[str, str]) -> Problem | None:
        """Merge `metadata` into an invoice's, whatever its status. None when it is written."""
        return await self.set_metadata("invoice", invoice_id, metadata)

    async def set_metadata(self, kind: Writable, stripe_id: str, metadata: Mapping[str, str]) -> Problem | None:
        """Merge `metadata` into an object's; an empty value removes its key. None when it is written."""
        await self._limits.wait(f"{_ENDPOINTS[kind]}/{stripe_id}")
        return await asyncio.to_thread(self._write, kind, stripe_id, dict(metadata))

    def _write(self, kind: Writable, stripe_id: str, metadata: dict[str, str]) -> Problem | None:
        # New for each call: under a key of the content, Stripe would answer A after A, B from memory and leave B standing.
        options: stripe.RequestOptions = {"idempotency_key": f"cloudify-{uuid.uuid4()}"}
        try:
            if kind == "customer":
                self._client.v1.customers.update(stripe_id, {"metadata": metadata}, options)
            elif kind == "invoice":
                self._client.v1.invoices.update(stripe_id, {"metadata": metadata}, options)
            else:
                self._client.v1.charges.update(stripe_id, {"metadata": metadata}, options)
        except stripe.StripeError as error:
            return _problem(stripe_id, error)
        return None


def _problem(stripe_id: str, error: stripe.StripeError) -> Problem:
    """The error's facts, never its text: Stripe repeats the end of the key in some."""
    status = error.http_status
    code = str(getattr(error.error, "code", None) or error.code or type(error).__name__)
    if isinstance(error, stripe.AuthenticationError):
        return Problem("E-CONN-GRANT", f"Stripe did not accept the key when the metadata of {stripe_id} was written", "metadata")
    if isinstance(error, stripe.PermissionError):
        return Problem("E-CONN-ROLE", f"The Stripe key may not write the metadata of {stripe_id}", "metadata")
    if status in {409, 429}:
        return Problem("E-RATE", f"Stripe was busy with {stripe_id} ({code}); the next run writes its metadata", "metadata")
    if status is None or status >= 500:
        return Problem(
            "E-SERVER", f"Stripe did not take the metadata of {stripe_id} ({code}); the next run writes it", "metadata"
        )
    told = {"code": getattr(error.error, "code", None) or error.code, "param": getattr(error.error, "param", None)}
    refused = code_of(status, {**told, "type": getattr(error.error, "type", None)})
    return Problem(refused, f"Stripe refused the metadata of {stripe_id} ({code}, status {status})", "metadata")


async def check_rights(reader: StripeReader) -> Rights:
    """Whose account this is, and which needed reads the key is refused. A write can only be tried by writing.

    Raises:
        NotAuthorised: the key itself is not accepted.
        Unreachable: Stripe gave no whole answer after every retry.
    """
    refused: list[Right] = []
    livemode: bool | None = None
    for right in (*NEEDED_RIGHTS, *([RATE_RIGHT] if reader.rates else [])):
        if right.probe is None:
            continue
        try:
            page = await reader.page(right.probe, {"limit": 1})
        except NotAuthorised as error:
            _only_a_right(error)
            refused.append(right)
            continue
        for one in page.objects:
            livemode = bool(_fields(one.body).get("livemode")) if livemode is None else livemode
    return Rights(await account_of(reader, livemode), tuple(refused))


async def account_of(reader: StripeReader, livemode: bool | None = None) -> Account:
    """Whose account this is, in one request. `livemode` is what objects of it have said.

    A key that may not read the account is refused with the account's id in the refusal; where even that is absent, the
    id is None.

    Raises:
        NotAuthorised: the key itself is not accepted.
        Unreachable: Stripe gave no whole answer after every retry.
    """
    live = reader.key_is_live if livemode is None else livemode
    try:
        found = await reader.retrieve("/v1/account")
    except RightMissing as refused:
        return Account(refused.account, None, None, live)
    fields = _fields(found.body) if found else {}
    profile = fields.get("business_profile")
    name = profile.get("name") if isinstance(profile, dict) else None
    return Account(_str(fields.get("id")), _str(name), _str(fields.get("country")), live)


_KNOWN_AT: Mapping[str, str] = {"in": "/v1/invoices", "ch": "/v1/charges", "py": "/v1/charges", "cus": "/v1/customers"}


async def knows_any(reader: StripeReader, ids: Sequence[str]) -> bool | None:
    """Whether the key's account has any of these objects: ids are never given twice. None when none could be asked about.

    Raises as :func:`account_of`.
    """
    asked = False
    for stripe_id in ids:
        path = _KNOWN_AT.get(stripe_id.partition("_")[0])
        if path is None:
            continue
        try:
            found = await reader.retrieve(f"{path}/{stripe_id}")
        except RightMissing:
            continue
        if found is not None:
            return True
        asked = True
    return False if asked else None


async def mode_of(reader: StripeReader) -> bool | None:
    """Whether the account's objects are live, for a key that does not say so itself; None where there is no object."""
    for path in ("/v1/invoices", "/v1/customers"):
        page = await reader.page(path, {"limit": 1})
        for one in page.objects:
            livemode = _fields(one.body).get("livemode")
            if isinstance(livemode, bool):
                return livemode
    return None


def _only_a_right(error: RunStopped) -> None:
    if error.code != "E-CONN-ROLE":
        raise error


def _fields(body: bytes) -> dict[str, object]:
    parsed: dict[str, object] = json.loads(body)
    return parsed


def _str(value: object) -> str | None:
    return str(value) if value else None
