"""Staging: a copy of Stripe's objects that may be thrown away, one DuckDB file for each connection.

Every method opens the file for one short transaction and closes it again; nothing keeps it open between two calls.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from cloudify_pipeline.errors import NotAuthorised
from cloudify_pipeline.staging import belonging, corrections, extraction, links, profile, reading
from cloudify_pipeline.staging.connection import StagingFile
from cloudify_pipeline.staging.corrections import StagedDispute, StagedNote, StagedRefund
from cloudify_pipeline.staging.links import Alike, LinkedCharge
from cloudify_pipeline.staging.profile import FieldProfile, SampledKind
from cloudify_pipeline.staging.reading import Candidate, Summary
from cloudify_pipeline.staging.writing import Batch, PlanRow
from cloudify_pipeline.stripe_objects import Kind, UndecidedCharge, Whose

T = TypeVar("T")


class Staging:
    """The staged objects, plans and cursors of one connection.

    Raises:
        RunStopped: from any method, E-LEASE, when another process keeps the file for longer than `wait_seconds`.
    """

    def __init__(self, path: Path, *, wait_seconds: float = 120) -> None:
        self.path = path
        self._file = StagingFile(path, wait_seconds=wait_seconds)
        self._open: duckdb.DuckDBPyConnection | None = None
        self._claimed: Whose | None = None

    @contextmanager
    def batch(self) -> Iterator[Batch]:
        """One transaction of writes; a cursor moves only together with its data. No network call belongs inside.

        Raises:
            NotAuthorised: E-CONN-ACCOUNT, the objects belong to another account or mode than was claimed.
        """
        with self._file.transaction() as connection:
            if self._claimed is not None and belonging.whose(connection) != self._claimed:
                words = f"another account was bound while {self._claimed} was being read; nothing more of it is staged"
                raise NotAuthorised(words, code="E-CONN-ACCOUNT")
            yield Batch(connection)

    def claim(self, belongs: Whose, *, anew: bool = False) -> int:
        """Say what the objects belong to that are staged from here on; `anew` throws away all that was staged before.

        Returns:
            How many objects were thrown away.
        """
        with self._file.transaction() as connection:
            gone = belonging.clear(connection) if anew else 0
            if belonging.whose(connection) != belongs:
                belonging.set_whose(connection, belongs)
        self._claimed = belongs
        return gone

    def whose(self) -> Whose | None:
        """What the staged objects belong to; None in a file from before that was kept, and in an empty one."""
        return self._read(belonging.whose)

    def modes(self) -> set[bool]:
        """The modes that the staged objects say they are of: True live, False test."""
        return self._read(belonging.modes)

    def some_ids(self, limit: int) -> list[str]:
        """Up to `limit` each of the staged customers, invoices and payments."""
        return self._read(belonging.some, limit)

    def known(self, ids: Sequence[str]) -> set[str]:
        """Those of `ids` that are staged, of whatever kind."""
        return self._read(belonging.known, ids)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """One opening of the file for the questions asked inside; no network call and no batch belongs there."""
        with self._file.transaction() as connection:
            self._open = connection
            try:
                yield
            finally:
                self._open = None

    def objects(self, kind: Kind, ids: Sequence[str] | None = None) -> dict[str, dict[str, Any]]:
        """Staged objects by id (all of them without `ids`), parsed exactly; a deleted one has ``deleted: True``."""
        return self._read(reading.objects, kind, ids)

    def content_hashes(self, kind: Kind, ids: Sequence[str]) -> dict[str, str]:
        """Content hashes by id: another hash than before means that Stripe changed the object."""
        return self._read(reading.content_hashes, kind, ids)

    def candidates(self, *, but: Sequence[str] = ()) -> list[Candidate]:
        """Every staged invoice and payment without invoice for which a document might be due, newest last; none of `but`."""
        return self._read(reading.candidates, but)

    def linked_charges(self, ids: Sequence[str]) -> list[LinkedCharge]:
        """Those of the charges `ids` that pay an invoice by now, by whatever says so."""
        return self._read(links.linked_charges, ids)

    def alike(self, ids: Sequence[str]) -> list[Alike]:
        """Invoices marked as paid outside Stripe with payments that may be that money, where either is among `ids`."""
        return self._read(links.alike, ids)

    def credit_notes(self) -> list[StagedNote]:
        """Every staged credit note of an invoice, oldest first."""
        return self._read(corrections.credit_notes)

    def refunds(self) -> list[StagedRefund]:
        """Every staged refund, oldest first."""
        return self._read(corrections.refunds)

    def disputes(self) -> list[StagedDispute]:
        """Every staged dispute, oldest first."""
        return self._read(corrections.disputes)

    def closed_invoices(self) -> dict[str, tuple[str, str]]:
        """Invoices that are void or uncollectible: id → (status, content hash)."""
        return self._read(corrections.closed_invoices)

    def sent_at(self, ids: Sequence[str]) -> dict[str, datetime]:
        """When each of these invoices was first e-mailed to its customer."""
        return self._read(reading.sent_at, ids)

    def payments_of(self, invoices: Sequence[str]) -> dict[str, list[str]]:
        """The payment intents and charges that pay each of these invoices."""
        return self._read(reading.payments_of, invoices)

    def sessions_of(self, intents: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The Checkout session that took each of these payment intents."""
        return self._read(reading.sessions_of, intents)

    def without_session(self, intents: Sequence[str]) -> set[str]:
        """Those of these payment intents that no staged Checkout session took."""
        return self._read(extraction.without_session, intents)

    def awaiting_invoice(self, since: int) -> list[str]:
        """Checkout sessions made at `since` (epoch seconds) or later that make an invoice of their payment; none is known yet."""
        return self._read(extraction.awaiting_invoice, since)

    def arithmetic_faults(self) -> list[tuple[str, str]]:
        """Invoices whose amounts do not add up by Stripe's own identity: (invoice id, what is wrong)."""
        return self._read(reading.arithmetic_faults)

    def summary(self, kind: Kind) -> Summary:
        """Counts, sums and span of one kind."""
        return self._read(reading.summary, kind)

    def test_mode(self) -> bool:
        """Whether these are Stripe test data."""
        return self._read(reading.test_mode)

    def replace_plans(self, table: str, rows: Sequence[PlanRow], *, only: Sequence[str] | None = None) -> None:
        """Put `rows` in the place of the plans of ``plan_customers``, ``plan_products`` or ``plan_documents``."""
        with self.batch() as batch:
            batch.replace_plans(table, rows, only)

    def plans(self, table: str, ids: Sequence[str] | None = None) -> list[PlanRow]:
        """The staged plans of a table, those of `ids` when they are named."""
        return self._read(reading.plans, table, ids)

    def profile(self, kind: SampledKind, paths: Sequence[str], *, limit: int = 3) -> dict[str, FieldProfile]:
        """How often each mapping path is filled in the newest records, with up to `limit` different values."""
        return self._read(profile.profile, kind, paths, limit)

    def samples(self, kind: SampledKind, path: str, limit: int = 3) -> list[Any]:
        """Up to `limit` different values of a mapping path, newest first."""
        return list(self.profile(kind, [path], limit=limit)[path].samples)

    def fill_rate(self, kind: SampledKind, path: str) -> float | None:
        """The share of the newest records in which a mapping path has a value, 0 to 1; None without records."""
        return self.profile(kind, [path])[path].fill_rate

    def cursor(self, name: str) -> str | None:
        """A cursor's value, or None before it was ever set."""
        return self._read(extraction.cursor, name)

    def unseen_events(self, ids: Sequence[str]) -> set[str]:
        """Those of `ids` that no earlier run has processed."""
        return self._read(extraction.unseen_events, ids)

    def live_ids(self, kind: Kind, created_from: int, created_to: int, status: str | None = None) -> set[str]:
        """What is staged and not deleted, created between two epoch seconds (both included)."""
        return self._read(extraction.live_ids, kind, created_from, created_to, status)

    def created_times(self, kind: Kind) -> list[int]:
        """When the staged objects of a kind were created: epoch seconds, ascending."""
        return self._read(extraction.created_times, kind)

    def undecided_charges(self) -> list[UndecidedCharge]:
        """Succeeded charges of which it is not known for good whether they pay an invoice."""
        return self._read(extraction.undecided_charges)

    def resting(self) -> dict[str, datetime | None]:
        """The payments that may still get an invoice, and until when each rests; None where its rest has not begun."""
        return self._read(reading.resting)

    def credited(self, invoices: Sequence[str]) -> dict[str, int]:
        """By how much the credit notes that are staged and stand lower each of these invoices (minor units)."""
        return self._read(corrections.credited, invoices)

    def is_disputed(self) -> bool:
        """Whether any staged payment is, or was, disputed."""
        return self._read(extraction.is_disputed)

    def missing_references(self) -> dict[Kind, list[str]]:
        """Customers, products and prices that are named by what is staged and are not staged themselves."""
        return self._read(extraction.missing_references)

    def references_of(self, ids: Sequence[str]) -> dict[Kind, list[str]]:
        """Customers, products and prices that these staged invoices and charges name."""
        return self._read(extraction.references_of, ids)

    def _read(self, question: Callable[..., T], *arguments: Any) -> T:
        if self._open is not None:
            return question(self._open, *arguments)
        with self._file.transaction() as connection:
            return question(connection, *arguments)
