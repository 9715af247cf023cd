"""One partition is one connection: a Stripe account and the ledger it is posted to.

The list is read when the code location loads; after adding a connection file, reload the location.
"""

import dagster as dg

from cloudify_pipeline.settings.paths import connection_names

connections = dg.StaticPartitionsDefinition(connection_names())
