"""The table of contents: what Dagster finds in this code location."""

import dagster as dg

from cloudify_pipeline.orchestration.checks import checks
from cloudify_pipeline.orchestration.control_assets import control_status
from cloudify_pipeline.orchestration.jobs import jobs
from cloudify_pipeline.orchestration.ledger_assets import (
    ledger_customers,
    ledger_documents,
    ledger_products,
    ledger_settled,
)
from cloudify_pipeline.orchestration.plan_assets import plan_assets
from cloudify_pipeline.orchestration.resources import RunScope
from cloudify_pipeline.orchestration.schedules import hourly_sync
from cloudify_pipeline.orchestration.sensors import sensors
from cloudify_pipeline.orchestration.stripe_assets import stripe_assets

defs = dg.Definitions(
    assets=[
        stripe_assets,
        plan_assets,
        ledger_customers,
        ledger_products,
        ledger_documents,
        ledger_settled,
        control_status,
    ],
    asset_checks=checks,
    jobs=jobs,
    schedules=[hourly_sync],
    sensors=sensors,
    resources={"scope": RunScope()},
    # Steps share one process: a step of its own costs seconds, and staging has one writer at a time anyway.
    executor=dg.in_process_executor,
)
