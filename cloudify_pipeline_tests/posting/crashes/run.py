"""One run at the posting layer, with the real ledger over HTTP and the real log, which may be killed at a named point."""

import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import httpx
from sqlalchemy import Connection

from cloudify_pipeline.ledgers.economic.ledger import EconomicLedger
from cloudify_pipeline.ledgers.port import Answer, Operation, Write
from cloudify_pipeline.posting.adoption import look
from cloudify_pipeline.posting.document import Portion
from cloudify_pipeline.posting.documents import post_documents
from cloudify_pipeline.posting.endings import Ending, RecordKind
from cloudify_pipeline.posting.log.commits import Change, GroupCommit
from cloudify_pipeline.posting.log.lease import held
from cloudify_pipeline.posting.log.store import LogChange, PostingLog
from cloudify_pipeline.posting.parties import post_customers, post_products
from cloudify_pipeline.posting.protocol import Executor
from cloudify_pipeline.sandbox.economic.demo_agreement import AGREEMENT_GRANT_TOKEN, APP_SECRET_TOKEN
from cloudify_pipeline_tests.posting.crashes.scenarios import Work

CONNECTION = "nordlys"
Point = Literal[
    "before the intent", "after the intent", "before the call", "after the answer", "while recording", "after recording"
]


@dataclass
class Crash:
    """This process stops at `point` of the `nth` write that is `operation`, by `with_signal`."""

    operation: Operation
    point: Point
    nth: int = 1
    with_signal: int = signal.SIGKILL

    def at(self, point: Point, operation: str) -> None:
        if (point, operation) == (self.point, self.operation):
            self.nth -= 1
            if self.nth == 0:
                os.kill(os.getpid(), self.with_signal)


class _Log(PostingLog):
    """The log, which knows what its changes are about and can be killed inside a transaction."""

    crash: Crash | None = None

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.operations: dict[int, str] = {}
        self.committing: list[tuple[Point, str]] = []

    def intent_change(self, connection: str, write: Write, **given: Any) -> LogChange:
        change = super().intent_change(connection, write, **given)

        def apply(db: Connection) -> int:
            operation_id = int(change.apply(db))
            self.operations[operation_id] = write.operation
            self._inside("before the intent", write.operation)
            self.committing.append(("after the intent", write.operation))
            return operation_id

        return LogChange(apply)

    def outcome_change(self, operation_id: int, *, outcome: str, **given: Any) -> LogChange:
        change = super().outcome_change(operation_id, outcome=outcome, **given)

        def apply(db: Connection) -> None:
            change.apply(db)
            operation = self.operations.get(operation_id)
            if operation is not None and outcome in {"confirmed", "found"}:
                self._inside("while recording", operation)
                self.committing.append(("after recording", operation))

        return LogChange(apply)

    def _inside(self, point: Point, operation: str) -> None:
        if self.crash is not None:
            self.crash.at(point, operation)


class _Commits(GroupCommit):
    """Commits, and the moment after one."""

    def __init__(self, log: _Log) -> None:
        super().__init__(log.engine)
        self._log = log

    async def commit(self, change: Change) -> Any:
        result = await super().commit(change)
        done, self._log.committing = self._log.committing, []
        for point, operation in done:
            if self._log.crash is not None:
                self._log.crash.at(point, operation)
        return result


class _Ledger(EconomicLedger):
    """The ledger's own client, and the moments around a call."""

    crash: Crash | None = None

    async def send(self, write: Write, idempotency_key: str, *, before: Callable[[], None] = lambda: None) -> Answer:
        if self.crash is not None:
            self.crash.at("before the call", write.operation)
        answer = await super().send(write, idempotency_key, before=before)
        if self.crash is not None:
            self.crash.at("after the answer", write.operation)
        return answer


async def post(
    work: Work,
    *,
    log_url: str,
    ledger_url: str,
    clock: Callable[[], datetime],
    timeout: float = 20.0,
    crash: Crash | None = None,
) -> list[Ending]:
    """Post `work` as a run does: customers, products, documents, under the lease."""

    async def no_sleep(_: float) -> None:
        return None

    log = _Log(log_url)
    log.crash = crash
    ledger = _Ledger(
        APP_SECRET_TOKEN, AGREEMENT_GRANT_TOKEN, api_base=ledger_url, openapi_base=ledger_url,
        attempts=2, timeout=httpx.Timeout(timeout), sleep=no_sleep,
    )  # fmt: skip
    ledger.crash = crash
    try:
        with held(log.engine, CONNECTION, now=clock()) as lease:
            async with _Commits(log) as commits:
                executor = Executor(ledger, log, commits, lease=lease, run_id="run", clock=clock, sleep=no_sleep)
                parties = await post_customers(executor, work.customers)
                await executor.commit(log.record_changes(CONNECTION, parties, run_id="run", now=clock()))
                goods = await post_products(executor, work.products)
                await executor.commit(log.record_changes(CONNECTION, goods, run_id="run", now=clock()))
                planned = [plan.stripe_id for plan in work.documents]
                seen = await look(executor, lambda ids: ids, planned)
                how = Portion(seen=seen.found, adopted=seen.adopted)
                return [*parties, *goods, *await post_documents(executor, work.documents, portion=how)]
    finally:
        await ledger.close()
        log.close()


def remembered(log_url: str) -> Mapping[str, Any]:
    """What the log says in the end: every record's ending, every link, and what has no outcome."""
    log = PostingLog(log_url)
    try:
        kinds: tuple[RecordKind, ...] = ("customer", "product", "document")
        return {
            "endings": {
                (kind, row["stripe_id"]): (row["state"], row["number"], row["ledger_kind"], row["code"])
                for kind in kinds
                for row in log.records(CONNECTION, kind)
            },
            "links": {
                (kind, stripe_id): (found.number, found.ledger_kind, found.fingerprint)
                for kind in kinds
                for stripe_id, found in log.identities(CONNECTION, kind).items()
            },
            "without an outcome": sorted(log.open_keys(CONNECTION)),
        }
    finally:
        log.close()
