"""Asset checks: the controls a bookkeeper would do by hand, per connection. They warn; they never stop a run."""

import warnings
from collections import Counter
from collections.abc import Iterable

import dagster as dg

from cloudify_pipeline.control import sanity
from cloudify_pipeline.control.completeness import missing
from cloudify_pipeline.control.unmapped import alert_unmapped, unmapped_refusals
from cloudify_pipeline.control.vat_recent import recent_eu_sales_doubts
from cloudify_pipeline.control.vat_threshold import alert_threshold, threshold_doubts, threshold_watch
from cloudify_pipeline.control.vat_threshold import words as threshold_words
from cloudify_pipeline.orchestration.partitions import connections
from cloudify_pipeline.orchestration.resources import RunScope
from cloudify_pipeline.orchestration.words import reasons_table, shown

# Checks without partitions would let one connection's pass hide another's failure; in this version the parameter is a preview.
warnings.filterwarnings("ignore", message="Specifying a partitions_def on an AssetCheckSpec", category=dg.PreviewWarning)


@dg.asset_check(asset=dg.AssetKey(["stripe", "invoices"]), partitions_def=connections)
def stripe_amounts_add_up(context: dg.AssetCheckExecutionContext, scope: RunScope) -> dg.AssetCheckResult:
    """Every staged invoice satisfies Stripe's own arithmetic: total = lines − discounts + exclusive tax + shipping."""
    with scope.opened(context.partition_key) as opened:
        faults = opened.staging.arithmetic_faults()
    lines = [f"- {invoice}: {text}" for invoice, text in faults[:50]]
    return dg.AssetCheckResult(
        passed=not faults,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"invoices that do not add up": len(faults), "which": dg.MetadataValue.md("\n".join(lines) or "None.")},
    )


@dg.asset_check(asset=dg.AssetKey(["ledger", "documents"]), partitions_def=connections)
def totals_agree(context: dg.AssetCheckExecutionContext, scope: RunScope) -> dg.AssetCheckResult:
    """No document stands in the ledger with another total than Stripe's."""
    with scope.opened(context.partition_key) as opened:
        rows = [row for row in opened.log.records(opened.name) if row["code"] == "E-TOTAL" and row["number"]]
    return dg.AssetCheckResult(
        passed=not rows,
        severity=dg.AssetCheckSeverity.ERROR,
        metadata={"documents": len(rows), "which": reasons_table(rows, live=not opened.staging.test_mode())},
    )


@dg.asset_check(asset=dg.AssetKey(["ledger", "documents"]), partitions_def=connections)
def nothing_held_or_failed(context: dg.AssetCheckExecutionContext, scope: RunScope) -> dg.AssetCheckResult:
    """Every document that is due stands in the ledger: none waits for a person."""
    with scope.opened(context.partition_key) as opened:
        rows = opened.log.records(opened.name, states=("held", "failed"))
    by_code = Counter(row["code"] for row in rows)
    return dg.AssetCheckResult(
        passed=not rows,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "held or failed": len(rows),
            **{str(code): count for code, count in by_code.most_common()},
            "reasons": reasons_table(rows, live=not opened.staging.test_mode()),
        },
    )


@dg.asset_check(asset=dg.AssetKey(["ledger", "documents"]), partitions_def=connections)
def no_unmapped_refusals(context: dg.AssetCheckExecutionContext, scope: RunScope) -> dg.AssetCheckResult:
    """No record waits for a refusal whose words are not in the error catalogue; those of the last thirty days are counted."""
    with scope.opened(context.partition_key) as opened:
        refusals = unmapped_refusals(opened)
        alert_unmapped(opened, refusals)
    lines = [f"- {one.raw_code}: {one.count} ×, request {one.request_id or 'unknown'}" for one in refusals]
    return dg.AssetCheckResult(
        passed=not any(one.waiting for one in refusals),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "refusals in thirty days": sum(one.count for one in refusals),
            "records that wait": sum(one.waiting for one in refusals),
            "which": dg.MetadataValue.md("\n".join(lines) or "None."),
        },
    )


@dg.asset_check(asset=dg.AssetKey(["ledger", "documents"]), partitions_def=connections)
def every_due_document_has_an_ending(context: dg.AssetCheckExecutionContext, scope: RunScope) -> dg.AssetCheckResult:
    """Every invoice, payment and correction that is due is in the ledger, held, skipped, failed or waiting: none is lost."""
    with scope.opened(context.partition_key) as opened:
        lost = missing(opened, scope.invoice_ids or None)
    return dg.AssetCheckResult(
        passed=not lost,
        severity=dg.AssetCheckSeverity.ERROR,
        metadata={"missing": len(lost), "which": dg.MetadataValue.md("\n".join(f"- {one}" for one in lost[:50]) or "None.")},
    )


PLAN = dg.AssetKey(["plan", "documents"])


@dg.asset_check(asset=PLAN, partitions_def=connections)
def planned_vat_is_stripes(context: dg.AssetCheckExecutionContext, scope: RunScope) -> dg.AssetCheckResult:
    """Gross and VAT of every planned document are those of Stripe's invoice, added up anew from what Stripe sent."""
    with scope.opened(context.partition_key) as opened:
        plans = sanity.planned_documents(opened)
        invoices = opened.staging.objects("invoice", [plan.stripe_id for plan in plans])
        doubts = sanity.vat_is_stripes(plans, invoices, opened.settings)
    return _doubted(doubts, "Look at the prices and tax rates of these invoices; report them.", dg.AssetCheckSeverity.ERROR)


@dg.asset_check(asset=PLAN, partitions_def=connections)
def own_vat_zones_are_sound(context: dg.AssetCheckExecutionContext, scope: RunScope) -> dg.AssetCheckResult:
    """Where a customer's own VAT zone in the ledger decides, it fits the buyer's country, VAT number and exemption."""
    with scope.opened(context.partition_key) as opened:
        doubts = sanity.bookkeepers_zones_are_sound(sanity.planned_documents(opened))
    return _doubted(doubts, "Correct the customer's VAT zone in the ledger, or its address and number in Stripe.")


@dg.asset_check(asset=PLAN, partitions_def=connections)
def eu_sales_agree_with_the_list(context: dg.AssetCheckExecutionContext, scope: RunScope) -> dg.AssetCheckResult:
    """Rubrik B is the EU-sales list: of what is planned, and of what was posted for this month and the last."""
    with scope.opened(context.partition_key) as opened:
        doubts = [*sanity.eu_sales_agree(sanity.planned_documents(opened), opened.settings), *recent_eu_sales_doubts(opened)]
    remedy = (
        "Put the buyer's VAT number into Stripe, or another VAT zone on the customer; say with vat.supply_default, "
        "or vat.supply, what is goods and what is services. Before filing: cloudify vat."
    )
    return _doubted(doubts, remedy)


@dg.asset_check(asset=dg.AssetKey(["ledger", "documents"]), partitions_def=connections)
def eu_consumer_sales_below_threshold(context: dg.AssetCheckExecutionContext, scope: RunScope) -> dg.AssetCheckResult:
    """While the One Stop Shop is not in use: the year's sales to EU consumers are below 80 % of EUR 10,000."""
    with scope.opened(context.partition_key) as opened:
        watch = threshold_watch(opened)
        alert_threshold(opened, watch)
    figure = "not watched: the One Stop Shop is in use, or the ledger is unknown" if watch is None else threshold_words(watch)
    result = _doubted(threshold_doubts(watch), "Above the threshold VAT of the buyer's country is due: prepare vat.oss.zones.")
    return dg.AssetCheckResult(passed=result.passed, severity=result.severity, metadata={**result.metadata, "this year": figure})


@dg.asset_check(asset=PLAN, partitions_def=connections)
def foreign_vat_is_stated_in_base_currency(context: dg.AssetCheckExecutionContext, scope: RunScope) -> dg.AssetCheckResult:
    """VAT of a document in another currency also stands on it in the base currency, as the law asks."""
    with scope.opened(context.partition_key) as opened:
        bound = opened.log.binding(opened.name)
        base = str(bound["base_currency"]) if bound else None
        doubts = sanity.foreign_vat_is_stated(sanity.planned_documents(opened), base)
    remedy = "See that the ledger's layout prints it, or map a text (or exchangeRate) that states it."
    return _doubted(doubts, remedy)


def _doubted(
    doubts: Iterable[sanity.Doubt], remedy: str, severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.WARN
) -> dg.AssetCheckResult:
    found = list(doubts)
    lines = [f"- {shown(one.about)}: {shown(one.words)}" for one in found[:50]]
    return dg.AssetCheckResult(
        passed=not found,
        severity=severity,
        metadata={
            "found": len(found),
            "which": dg.MetadataValue.md("\n".join(lines) or "None."),
            "what to do": remedy if found else "Nothing.",
        },
    )


checks = [
    stripe_amounts_add_up,
    planned_vat_is_stripes,
    own_vat_zones_are_sound,
    eu_sales_agree_with_the_list,
    foreign_vat_is_stated_in_base_currency,
    eu_consumer_sales_below_threshold,
    totals_agree,
    nothing_held_or_failed,
    every_due_document_has_an_ending,
    no_unmapped_refusals,
]
