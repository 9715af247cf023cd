"""What a run is told at launch, and how it opens its connection."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
from pydantic import Field

from cloudify_pipeline.catalogue import entry
from cloudify_pipeline.connection import open_connection
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.control.replay import Selection, selected
from cloudify_pipeline.errors import PipelineError

REPLAY = "replay"
"""The job that needs to be told what to try again."""
PREVIEW = "preview"
"""The job that ends with the plan."""


def posts(context: dg.AssetExecutionContext) -> bool:
    """Whether the run goes on to post: it has assets of the ledger, by its job or by what somebody chose in the catalog."""
    chosen = context.run.asset_selection
    return any(key.path[0] == "ledger" for key in chosen) if chosen else context.job_name != PREVIEW


class RunScope(dg.ConfigurableResource):
    """Which records a run is about. The defaults mean everything that is due."""

    invoice_ids: list[str] = Field(
        default_factory=list,
        description="Only these Stripe invoices, charges and credit notes. Empty: everything due.",
    )
    ledger_numbers: list[str] = Field(default_factory=list, description="Replay: the documents with these numbers in the ledger.")
    failed: bool = Field(default=False, description="Replay: every document that is failed or held.")
    error_code: str | None = Field(default=None, description="Replay: every record whose reason has this code, as in E-VAT-ZONE.")
    changed_since: str | None = Field(
        default=None, description="Replay: documents whose state last changed at or after this time (YYYY-MM-DD or with a time)."
    )
    changed_until: str | None = Field(default=None, description="Replay: and before this time.")
    revision: str | None = Field(default=None, description="Replay: documents that were planned as this revision.")
    everything: bool = Field(default=False, description="Replay: every document. What stands in the ledger is left as it is.")
    since: str | None = Field(
        default=None, description="First run only: read Stripe from this day on (YYYY-MM-DD). Empty: from the beginning."
    )

    def records(self, opened: OpenConnection, job: str) -> list[str] | None:
        """The documents that this run of `job` is about; None: everything that is due.

        Raises:
            SettingsError: a replay that does not say what to replay.
        """
        chosen = Selection(
            invoice_ids=tuple(self.invoice_ids),
            ledger_numbers=tuple(self.ledger_numbers),
            failed=self.failed,
            error_code=self.error_code or None,
            revision=self.revision or None,
            changed_since=self.changed_since or None,
            changed_until=self.changed_until or None,
            everything=self.everything,
        )
        return None if chosen.empty and job != REPLAY else selected(opened, chosen)

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
