"""The group *stripe*: what was read from Stripe, as it is."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from time import monotonic
from zoneinfo import ZoneInfo

import dagster as dg

from cloudify_pipeline.accounting.money import format_money
from cloudify_pipeline.control.progress import tell
from cloudify_pipeline.control.sync import stage
from cloudify_pipeline.orchestration.partitions import connections
from cloudify_pipeline.orchestration.resources import RunScope
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
}

_KINDS: dict[str, Kind] = {
    "customers": "customer",
    "products": "product",
    "prices": "price",
    "tax_rates": "tax_rate",
    "invoices": "invoice",
    "charges": "charge",
}


@dg.multi_asset(
    name="stripe",
    group_name="stripe",
    partitions_def=connections,
    specs=[dg.AssetSpec(["stripe", name], description=text, kinds={"stripe", "duckdb"}) for name, text in _DESCRIPTIONS.items()],
)
def stripe_assets(context: dg.AssetExecutionContext, scope: RunScope) -> Iterator[dg.MaterializeResult]:
    """Reads what is new or changed in Stripe into staging."""
    opened = scope.open(context.partition_key)
    started = monotonic()
    since = datetime.fromisoformat(scope.since).replace(tzinfo=COPENHAGEN).astimezone(UTC) if scope.since else None
    report = asyncio.run(
        stage(opened, since=since, ids=scope.invoice_ids, progress=lambda kind, done: tell(f"reading {kind}s", done))
    )
    context.log.info(f"read Stripe in {monotonic() - started:.1f} s with {report.requests} requests")
    for name, kind in _KINDS.items():
        summary = opened.staging.summary(kind)
        counted = report.kinds.get(kind)
        yield dg.MaterializeResult(
            asset_key=["stripe", name],
            metadata={
                "dagster/row_count": summary.rows,
                "dagster/column_schema": dg.TableSchema([dg.TableColumn(column, type_) for column, type_ in summary.columns]),
                "dagster/table_name": f"{context.partition_key}.{name}",
                "read": counted.seen if counted else 0,
                "changed": counted.changed if counted else 0,
                "deleted": summary.deleted,
                "how": report.mode,
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
