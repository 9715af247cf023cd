"""The group *control*: where everything stands."""

import dagster as dg

from cloudify_pipeline.control.settings_checked import check_words, last_check
from cloudify_pipeline.control.status import status
from cloudify_pipeline.orchestration.partitions import connections
from cloudify_pipeline.orchestration.resources import RunScope
from cloudify_pipeline.orchestration.words import documents_table, reasons_table, sums


@dg.asset(
    key=["control", "status"],
    group_name="control",
    partitions_def=connections,
    kinds={"report"},
    deps=[dg.AssetKey(["ledger", "documents"])],
)
def control_status(context: dg.AssetExecutionContext, scope: RunScope) -> dg.MaterializeResult:
    """Where every invoice and payment of this connection stands today, whichever run brought it there."""
    with scope.opened(context.partition_key) as opened:
        rows = opened.log.records(opened.name)
        live = not opened.staging.test_mode()
        return dg.MaterializeResult(
            metadata={
                **status(opened)["counts"],
                "in the ledger": sums(rows, ("posted", "booked")),
                "held and failed": reasons_table([row for row in rows if row["state"] in {"held", "failed"}], live=live),
                "settings check": check_words(last_check(opened)),
                "latest documents": documents_table([row for row in rows if row["state"] in {"posted", "booked"}], live=live),
            }
        )
