"""The jobs: the whole way of a sync, the same for chosen records, and the same without the last part."""

import dagster as dg

from cloudify_pipeline.orchestration.resources import PREVIEW, REPLAY

sync = dg.define_asset_job(
    "sync",
    selection=dg.AssetSelection.groups("stripe", "plan", "ledger", "control"),
    description="Stripe → staging → plan → ledger, for one connection. Running it again posts nothing twice.",
)

# All the choices stand in the launchpad, each choosing nothing until it is filled in.
_CHOICES = {
    "invoice_ids": [],
    "ledger_numbers": [],
    "failed": False,
    "error_code": "",
    "changed_since": "",
    "changed_until": "",
    "revision": "",
    "everything": False,
}

replay = dg.define_asset_job(
    REPLAY,
    config={"resources": {"scope": {"config": _CHOICES}}},
    selection=dg.AssetSelection.groups("stripe", "plan", "ledger", "control"),
    description=(
        "Tries chosen records again, in order: customers, products, documents. What is booked stays as it is; a draft whose "
        "plan has changed is replaced under its own number. Say in the launchpad, under resources → scope, which records: "
        "invoice_ids, ledger_numbers, failed, error_code, changed_since, changed_until, revision or everything."
    ),
)

preview = dg.define_asset_job(
    PREVIEW,
    selection=dg.AssetSelection.groups("stripe", "plan"),
    description="What a sync would post, and why. Nothing but GET is sent, to Stripe or to the ledger.",
)

jobs = [sync, replay, preview]
