"""What a run is told at launch, and how it opens its connection."""

import dagster as dg
from pydantic import Field

from cloudify_pipeline.connection import open_connection
from cloudify_pipeline.control.opened import OpenConnection


class RunScope(dg.ConfigurableResource):
    """Which records a run is about. The defaults mean everything that is due."""

    invoice_ids: list[str] = Field(
        default_factory=list, description="Only these Stripe invoices and charges (in_…, ch_…). Empty: everything due."
    )
    since: str | None = Field(
        default=None, description="First run only: read Stripe from this day on (YYYY-MM-DD). Empty: from the beginning."
    )

    def open(self, connection: str) -> OpenConnection:
        """Open `connection`; its settings are read anew, so an edited file counts from the next run on."""
        return open_connection(connection)
