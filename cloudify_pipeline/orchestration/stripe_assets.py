"""The group *stripe*: what was read from Stripe, as it is."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from time import monotonic
from zoneinfo import ZoneInfo

import dagster as dg

from cloudify_pipeline.accounting.money import format_money
from cloudify_pipeline.control.account import stripe_facts
from cloudify_pipeline.control.check_first import check_first
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.control.progress import tell
from cloudify_pipeline.control.replay import to_fetch
from cloudify_pipeline.control.sync import stage
from cloudify_pipeline.errors import RunStopped
from cloudify_pipeline.orchestration.partitions import connections
from cloudify_pipeline.orchestration.resources import RunScope, posts
from cloudify_pipeline.stripe_objects import Kind

COPENHAGEN = ZoneInfo("Europe/Copenhagen")

_DESCRIPTIONS = {
    "customers": "The customers of the Stripe account, with their tax ids. Deleted ones stay as tombstones.",
    "products": "What is sold: the products of the Stripe account.",
    "prices": "The prices of the products.",
    "tax_rates": "The tax rates that Stripe's invoices refer to.",
    "invoices": (
        "Every Stripe invoice with all its lines, discounts and payments, exactly as Stripe sent it. "
        "Amounts are Stripe's own and are never computed again."
    ),
    "charges": "Payments that were taken without an invoice.",
    "refunds": "Money that went back on payments, with or without a credit note.",
    "disputes": "Payments that a buyer's bank questions: what is lost takes the sale back.",
    "checkout_sessions": (
        "What Checkout and payment links sold: lines, taxes, discounts and the buyer's tax ids. It decides what a payment "
        "without an invoice is in the books."
    ),
    "credit_notes": "What takes invoices back, in whole or in part, with all its lines. Amounts are positive, as in Stripe.",
}

_KINDS: dict[str, Kind] = {
    "customers": "customer",
    "products": "product",
    "prices": "price",
    "tax_rates": "tax_rate",
    "invoices": "invoice",
    "charges": "charge",
    "refunds": "refund",
    "disputes": "dispute",
    "checkout_sessions": "checkout_session",
    "credit_notes": "credit_note",
}

_COLUMNS = {
    "id": "Stripe's id",
    "created": "when it was made, UTC",
    "livemode": "false: test data",
    "deleted": "deleted in Stripe; kept as a tombstone",
    "content_hash": "changes when Stripe changes the object",
    "status": "Stripe's status",
    "customer": "the Stripe customer",
    "currency": "ISO code",
    "amount_minor": "amount in the currency's minor unit (øre, cents)",
    "number": "Stripe's invoice number",
    "collection_method": "charged automatically, or sent to be paid",
    "due_date": "when it must be paid, UTC",
    "finalized_at": "when it became final, UTC",
    "paid_at": "when it was paid, UTC",
    "sum_fault": "what does not add up in Stripe's own amounts; empty when all does",
    "invoice": "the invoice that it corrects or pays",
    "off_stripe_minor": "how much of it was paid outside Stripe, as somebody has said",
    "refunds": "the refunds that belong to it, each with its amount in minor units",
    "out_of_band_minor": "how much of it was given back outside Stripe",
    "disputed": "whether the buyer's bank questions it, or did",
    "charge": "the payment that was refunded or disputed",
    "payment_intent": "the payment it belongs to",
    "makes_invoice": "whether Stripe makes an invoice of its payment",
    "tax_exempt": "none, exempt or reverse",
    "percentage": "percent",
    "inclusive": "whether the price includes the tax",
    "body": "the whole object as Stripe sent it",
}


@dg.multi_asset(
    name="stripe",
    group_name="stripe",
    partitions_def=connections,
    specs=[dg.AssetSpec(["stripe", name], description=text, kinds={"stripe", "duckdb"}) for name, text in _DESCRIPTIONS.items()],
)
def stripe_assets(context: dg.AssetExecutionContext, scope: RunScope) -> Iterator[dg.MaterializeResult]:
    """Reads what is new or changed in Stripe into staging."""
    with scope.opened(context.partition_key) as opened:
        started = monotonic()
        if posts(context):
            _check_early(context, opened)
        since = datetime.fromisoformat(scope.since).replace(tzinfo=COPENHAGEN).astimezone(UTC) if scope.since else None
        ids = to_fetch(scope.records(opened, context.job_name) or ())
        report = asyncio.run(stage(opened, since=since, ids=ids, progress=lambda kind, done: tell(f"reading {kind}s", done)))
        context.log.info(f"read Stripe in {monotonic() - started:.1f} s with {report.requests} requests")
        for name, kind in _KINDS.items():
            summary = opened.staging.summary(kind)
            counted = report.kinds.get(kind)
            yield dg.MaterializeResult(
                asset_key=["stripe", name],
                metadata={
                    "dagster/row_count": summary.rows,
                    "dagster/column_schema": dg.TableSchema(
                        [dg.TableColumn(column, type_, description=_COLUMNS.get(column)) for column, type_ in summary.columns]
                    ),
                    "dagster/table_name": f"{context.partition_key}.{name}",
                    "read": counted.seen if counted else 0,
                    "changed": counted.changed if counted else 0,
                    "deleted": summary.deleted,
                    "how": report.mode,
                    **{f"Stripe {name}": words for name, words in stripe_facts(opened).items()},
                    **({"sums": " · ".join(format_money(s, c) for c, s in sorted(summary.sums.items()))} if summary.sums else {}),
                    **{f"status: {status}": count for status, count in summary.by_status.items()},
                    **(
                        {"oldest": summary.oldest.isoformat(), "newest": summary.newest.isoformat()}
                        if summary.oldest and summary.newest
                        else {}
                    ),
                    "requests to Stripe": report.requests,
                    "seconds": round(monotonic() - started, 1),
                },
            )


def _check_early(context: dg.AssetExecutionContext, opened: OpenConnection) -> None:
    """Refuse wrong settings before an hour of reading; a ledger that does not answer is planning's to tell, which asks again."""
    try:
        asyncio.run(check_first(opened))
    except RunStopped as stopped:
        context.log.warning(f"the settings are not checked yet: {stopped.code}: {stopped.message}")
