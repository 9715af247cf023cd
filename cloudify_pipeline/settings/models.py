"""The connection file as models: one per section, unknown keys refused, defaults as documented.

The names are the file's. `built` says which keys a written value may have today: see :mod:`.unbuilt`.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from cloudify_pipeline.settings.secrets import Secret

Number = int | str
LedgerName = Literal["economic", "business_central"]
WriteMode = Literal["read_only", "dry_run", "write"]
Trigger = Literal["sent", "finalized", "paid"]
Document = Literal["draft_invoice", "booked_invoice", "draft_order"]
Zone = Literal["domestic", "eu", "abroad", "domestic_exempt"]


class Section(BaseModel):
    """Base of every section: frozen, and strict about names."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, coerce_numbers_to_str=True)


class StripeSettings(Section):
    """The Stripe account that is read."""

    api_key: Secret
    api_base: str = "https://api.stripe.com"
    api_version: str = "2026-10-28.endive"
    webhook_secret: Secret | None = None
    account: str | None = Field(default=None, pattern="^acct_[A-Za-z0-9]+$")
    """The account that the key must be for; None: the one of the first contact."""


class EconomicSettings(Section):
    """The e-conomic agreement that is written."""

    app_secret_token: Secret
    agreement_grant_token: Secret
    api_base: str = "https://restapi.e-conomic.com"
    openapi_base: str = "https://apis.e-conomic.com"
    agreement_number: int | None = None


class BusinessCentralSettings(Section):
    """The Business Central company that is written."""

    tenant_id: str
    environment: str = "production"
    company_id: str
    client_id: str
    client_secret: Secret
    api_base: str = "https://api.businesscentral.dynamics.com/v2.0"
    authority: str = "https://login.microsoftonline.com"


class MatchPair(Section):
    """A Stripe field and the ledger field it must equal."""

    stripe: str
    ledger: str


class MappingOptions(Section):
    """The long form of a field mapping: where the value comes from, and what happens to it."""

    from_: Any = Field(default=None, alias="from")
    value: Any = None
    template: str | None = None
    transform: list[str | dict[str, Any]] = []
    on_empty: Any = "omit"
    on_too_long: Literal["error", "truncate"] | None = None


FieldMappings = dict[str, Any]
"""Ledger field → mapping as written; :mod:`cloudify_pipeline.mapping.compile` reads them."""


class CustomerNumber(Section):
    """Who numbers new customers, and where the number is kept in Stripe."""

    source: Literal["ledger", "stripe"] = "ledger"
    stripe_field: str | None = None
    store_in: str | None = "metadata.economic_customer_number"


class CustomerDefaults(Section):
    """What a new customer gets beside its mapped fields."""

    payment_terms: Number
    group: Number
    vat_zone: Number | Literal["auto"] = "auto"
    currency: str = "from_stripe"
    layout: Number | None = None


class CustomerSettings(Section):
    """How Stripe customers are found, created and updated in the ledger."""

    match: list[MatchPair] = [
        MatchPair(stripe="metadata.economic_customer_number", ledger="number"),
        MatchPair(stripe="email", ledger="email"),
    ]
    on_empty_match_field: Literal["error", "next_pair", "create"] = "next_pair"
    on_multiple_matches: Literal["hold", "lowest_number"] = "hold"
    on_not_found: Literal["create", "default_customer", "hold"] = "create"
    default_customer: Number | None = None
    on_found: Literal["use", "update"] = "use"
    number: CustomerNumber = CustomerNumber()
    defaults: CustomerDefaults
    fields: FieldMappings = {}


class ProductDefaults(Section):
    """What a new product gets beside its mapped fields."""

    group: Number
    unit: Number | None = None


class ProductSettings(Section):
    """How Stripe products are found, created and updated in the ledger."""

    match: list[MatchPair] = [MatchPair(stripe="metadata.sku", ledger="number")]
    links: dict[str, str] = {}
    on_not_found: Literal["create", "default_product", "hold"] = "create"
    default_product: str | None = None
    on_found: Literal["use", "update"] = "use"
    defaults: ProductDefaults
    no_product: str | None = None
    discount_product: str | None = None
    rounding_product: str | None = None
    fields: FieldMappings = {}


class Condition(Section):
    """When a rule applies: every part that is written must hold. Text is compared without regard to case."""

    country: list[str] | None = None
    currency: list[str] | None = None
    amount: dict[Literal["gt", "gte", "lt", "lte", "eq"], Decimal] | None = None
    collection_method: Literal["charge_automatically", "send_invoice"] | None = None
    metadata: dict[str, str | list[str] | None] | None = None


class InvoiceRule(Section):
    """Which document is due, and when. `if` narrows it to some invoices; `vat_zone` overrides the VAT decision for them."""

    when: Trigger
    create: Document
    if_: Condition | None = Field(default=None, alias="if")
    vat_zone: Zone | Number | None = None


class Rounding(Section):
    """How far a correction line may go, in the document's currency, and where the ledger rounds VAT.

    `vat: learn` assumes once per document and rate, until the ledger's answer to a document shows otherwise.
    """

    tolerance: Decimal = Decimal("0.05")
    vat: Literal["learn", "per_document", "per_line"] = "learn"


class Corrections(Section):
    """What becomes of a posted sale that is voided, written off, refunded without a credit note, or lost to a dispute."""

    voided: Literal["hold", "credit"] = "hold"
    uncollectible: Literal["hold", "credit"] = "hold"
    refunds: Literal["hold", "credit"] = "hold"
    disputes: Literal["hold", "credit"] = "hold"


class InvoiceSettings(Section):
    """Which documents are created, when, and with what in them."""

    rules: list[InvoiceRule] = [InvoiceRule(when="paid", create="booked_invoice")]
    include_charges: bool = True
    date: Literal["effective_at", "finalized_at", "paid_at", "created"] = "effective_at"
    layout: Number | None = None
    send_by: Literal["none", "ean"] = "none"
    discounts: Literal["line", "product_line"] = "line"
    rounding: Rounding = Rounding()
    exchange_rate: Literal["ledger", "stripe"] = "ledger"
    sold_by_another: Literal["hold", "post"] = "hold"
    closed_period: Literal["hold", "first_open_day"] = "hold"
    credit_notes: bool = True
    corrections: Corrections = Corrections()
    paid_twice: Literal["hold", "credit"] = "hold"
    write_back: bool = True
    fields: FieldMappings = {}


class VatZones(Section):
    """The ledger's number for each kind of buyer."""

    domestic: Number = 1
    eu: Number = 2
    abroad: Number = 3
    domestic_exempt: Number = 4


class OneStopShop(Section):
    """Sales to EU consumers that are declared in the One Stop Shop: the ledger's zone for each country of destination."""

    zones: dict[str, Number] = {}
    from_: date | None = Field(default=None, alias="from")
    threshold: Annotated[Decimal, Field(gt=0)] | None = None
    """In the ledger's base currency; None: DKK 74,415 or EUR 10,000."""


class VatEvidence(Section):
    """What proves a buyer's VAT number besides Stripe's verification, and for how many days a proof holds.

    `requester` is the seller's own VAT number: only for a known one does VIES give a consultation number.
    """

    vies: bool = False
    requester: str | None = None
    valid_days: int | None = Field(default=None, ge=1, le=36_500)
    api_base: str = "https://ec.europa.eu/taxation_customs/vies/rest-api"


class VatSettings(Section):
    """How the VAT zone of a document is decided."""

    zones: VatZones = VatZones()
    countries: dict[str, Zone | Number] = {"GL": "abroad", "FO": "abroad"}
    zone_from: list[str] = []
    supply_default: Literal["goods", "services"] | None = None
    supply: dict[str, Literal["goods", "services"]] = {}
    """What is sold on a VAT code of the ledger, where one connection sells both."""
    unverified_vat_number: Literal["hold", "private"] = "hold"
    evidence: VatEvidence = VatEvidence()
    missing_country: Literal["hold", "customer_zone"] = "hold"
    oss: OneStopShop = OneStopShop()
    reverse_charge_text: dict[str, str] = {}
    reverse_charge_field: str | None = "notes.textLine2"


class JournalAccount(Section):
    """An account and the text of its entries."""

    account: Number
    text: str


class JournalFee(JournalAccount):
    """Where Stripe's fees go, and the VAT treatment somebody has decided."""

    vat: str


class JournalText(Section):
    """The text of an entry."""

    text: str = "Stripe {invoice.number}"


class JournalSettings(Section):
    """Payments, fees, payouts and refunds as journal entries."""

    enabled: bool = False
    number: Number | None = None
    clearing_accounts: dict[str, Number] = {}
    payout: JournalAccount | None = None
    fee: JournalFee | None = None
    refund: JournalAccount | None = None
    adjustment: JournalAccount | None = None
    exchange_account: Number | None = None
    suspense_account: Number | None = None
    customer_payment: JournalText = JournalText()
    refunds_as: Literal["credit_note", "journal"] = "credit_note"
    book: bool = False


class Limits(Section):
    """What one run may do; what is over a limit waits for the next run."""

    max_documents_per_run: int = Field(default=1000, ge=1)
    max_new_customers_per_run: int = Field(default=1000, ge=1)
    quarantine_after: int = Field(default=5, ge=1)


class Alert(Section):
    """Who is told of what. `smtp` is the mail server, as in ``smtp://user:password@mail.example.com:587``."""

    on: list[Literal["failed", "held", "connection", "degraded"]] = ["failed", "held", "connection", "degraded"]
    to: Literal["log", "webhook", "email"]
    url: Secret | None = None
    address: str | None = None
    smtp: Secret | None = None
    sender: str | None = None


def _instant(value: object) -> object:
    if isinstance(value, datetime) and value.tzinfo is None:
        message = "needs a time zone, as in 2026-11-01T00:00:00+01:00"
        raise ValueError(message)
    return value


class ConnectionSettings(Section):
    """One connection: a Stripe account and a ledger."""

    stripe: StripeSettings
    ledger: LedgerName
    economic: EconomicSettings | None = None
    business_central: BusinessCentralSettings | None = None
    write_mode: WriteMode = "dry_run"
    go_live_from: Annotated[AwareDatetime, BeforeValidator(_instant)] | None = None
    customers: CustomerSettings
    products: ProductSettings
    invoices: InvoiceSettings = InvoiceSettings()
    vat: VatSettings = VatSettings()
    journal: JournalSettings = JournalSettings()
    limits: Limits = Limits()
    alerts: list[Alert] = []
