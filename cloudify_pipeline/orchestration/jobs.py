"""The jobs: the whole way of a sync, and the same without the last part."""

import dagster as dg

sync = dg.define_asset_job(
    "sync",
    selection=dg.AssetSelection.groups("stripe", "plan", "ledger", "control"),
    description="Stripe → staging → plan → ledger, for one connection. Running it again posts nothing twice.",
)

preview = dg.define_asset_job(
    "preview",
    selection=dg.AssetSelection.groups("stripe", "plan"),
    description="What a sync would post, and why. Nothing but GET is sent, to Stripe or to the ledger.",
)

jobs = [sync, preview]
