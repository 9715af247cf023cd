"""What a run is told at launch, and how it opens its connection."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
from pydantic import Field

from cloudify_pipeline.catalogue import entry
from cloudify_pipeline.connection import open_connection
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.errors import PipelineError


class RunScope(dg.ConfigurableResource):
    """Which records a run is about. The defaults mean everything that is due."""

    invoice_ids: list[str] = Field(
        default_factory=list, description="Only these Stripe invoices and charges (in_…, ch_…). Empty: everything due."
    )
    since: str | None = Field(
        default=None, description="First run only: read Stripe from this day on (YYYY-MM-DD). Empty: from the beginning."
    )

    @contextmanager
    def opened(self, connection: str) -> Iterator[OpenConnection]:
        """Connection `connection` for one step; its settings are read anew, so an edited file counts from the next run on.

        What stops the run becomes a failed step that names the code, what happened and what to do.
        """
        try:
            opened = open_connection(connection)
            try:
                yield opened
            finally:
                opened.log.close()
        except PipelineError as error:
            remedy = entry(error.code).remedy
            raise dg.Failure(
                description=f"{error.code}: {error.message}. {remedy}",
                metadata={"code": error.code, "what happened": error.message, "what to do": remedy},
                allow_retries=False,
            ) from error
