"""What this installation keeps of a connection's data: the staging file and the posting log, table by table."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.engine import make_url

from cloudify_pipeline.posting.log.schema import metadata
from cloudify_pipeline.settings.paths import posting_url, staging_file
from cloudify_pipeline.staging.schema import (
    CHARGE_VERDICTS,
    CURSORS,
    EVENTS_SEEN,
    LINES,
    PAYS,
    PLAN_TABLES,
    RESTING,
    SENT,
    SESSION_LINES,
    TABLES,
    Table,
)


@dataclass(frozen=True, slots=True)
class Kept:
    """One table. `place` is the file or database it is in; `personal` says whether data of persons can be in it."""

    place: str
    table: str
    what: str
    columns: tuple[str, ...]
    personal: bool


STAGED: Mapping[str, tuple[str, bool]] = {
    "invoice_lines": ("product, price, quantity, amount and text of each line", True),
    "session_lines": ("product and price of each line of a Checkout session", False),
    "invoice_pays": ("which payments an invoice names", False),
    "plan_customers": ("the customers that the last run planned, with the values of their fields and where they come from", True),
    "plan_products": ("likewise the products", False),
    "plan_documents": ("likewise the documents, with recipient and texts", True),
    "events_seen": ("which Stripe events were processed", False),
    "sent": ("when Stripe e-mailed an invoice", False),
    "charge_verdicts": ("which invoice a payment pays", False),
    "resting": ("until when a payment may still get an invoice", False),
    "cursors": ("how far Stripe was read", False),
}

LOGGED: Mapping[str, tuple[str, bool]] = {
    "schema_version": ("the version of these tables", False),
    "bindings": ("agreement and company the connection is bound to", False),
    "stripe_bindings": ("Stripe account and mode (test or live) the connection is bound to", False),
    "leases": ("which run writes at the moment", False),
    "book_leases": ("which connection's run writes to each agreement at the moment", False),
    "identities": ("which ledger number a Stripe id became, and the customer's or product's name at that time", True),
    "operations": ("every request to the ledger, its body to the byte, before it was sent", True),
    "attempts": ("when it was sent, what the ledger answered, and its words where it refused", True),
    "audit": (
        "the hash chain: each decision, intent and outcome with the row it made, and the hash of the entry before it",
        True,
    ),
    "audit_heads": ("the last entry of each connection's chain", False),
    "search_terms": ("what status --find finds a record by: ids, e-mail, ledger numbers", True),
    "written_back": ("which state Stripe's metadata was told last, as a hash", False),
    "chart_seen": ("what the configured numbers pointed to in the ledger at the last run", False),
    "accepted": ("what somebody decided about a held document, and who", True),
    "vat_numbers": (
        "what VIES or Stripe answered about a buyer's VAT number: when, registered name and address, consultation number",
        True,
    ),
    "settings_checks": ("whether the settings fitted the ledger, when, and which did not (a barred customer by its name)", True),
    "rounding_seen": ("how the ledger rounded VAT in the answers to our own documents", False),
    "looks": ("how far the ledger was looked through for documents that carry a key of ours, and when", False),
    "keyed_elsewhere": ("Stripe ids that stand in the ledger and are not this connection's so far", False),
    "vat_sales": ("each posted document's sums by VAT code, with the buyer's country and VAT number, for the VAT return", True),
    "decisions": (
        "what was decided of each document, customer and product when it was sent: rule, settings, VAT decision with what it "
        "looked at, and each field with its Stripe path, the value found there and what was written",
        True,
    ),
    "meant": ("what a replaced draft was last meant to say", True),
    "alerts": ("what somebody is to be told of: cause, count, sums, and some records' numbers", False),
    "alert_deliveries": ("which route was told of it, and when", True),
    "hints": ("when Stripe's webhook last asked for a look", False),
    "records": ("each record's state: buyer's name, number, total, and the value that was found wrong where one was", True),
}


def kept_here(connection: str) -> tuple[Kept, ...]:
    """Every table that holds something of `connection`, with its columns as they are made. No password is shown."""
    staging = str(staging_file(connection))
    log = make_url(posting_url()).render_as_string(hide_password=True)
    raw = [
        Kept(
            staging,
            table.name,
            f"every {kind.replace('_', ' ')} as Stripe sent it, whole (body)",
            tuple(table.columns),
            _personal(kind),
        )
        for kind, table in TABLES.items()
    ]
    made = [Kept(staging, table.name, *_described(STAGED, table.name, tuple(table.columns))) for table in _OTHERS]
    logged = [
        Kept(log, str(table.name), *_described(LOGGED, table.name, tuple(str(column.name) for column in table.columns)))
        for table in metadata.sorted_tables
    ]
    return (*raw, *made, *logged)


_OTHERS: tuple[Table, ...] = (
    LINES,
    SESSION_LINES,
    PAYS,
    *PLAN_TABLES.values(),
    EVENTS_SEEN,
    SENT,
    CHARGE_VERDICTS,
    RESTING,
    CURSORS,
)


def _described(words: Mapping[str, tuple[str, bool]], table: str, columns: tuple[str, ...]) -> tuple[str, tuple[str, ...], bool]:
    what, personal = words.get(table, ("", True))
    return what, columns, personal


def _personal(kind: str) -> bool:
    return kind in {"customer", "invoice", "charge"}
