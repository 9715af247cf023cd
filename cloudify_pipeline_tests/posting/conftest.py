"""Plans, a clock and a poster for posting's tests."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from cloudify_pipeline.accounting.documents import CustomerRef, DocumentKind, ProductRef, SalesDocument, SalesLine, Totals
from cloudify_pipeline.planning.plans import PlannedCustomer, PlannedDocument, PlannedProduct
from cloudify_pipeline.posting.documents import post_documents
from cloudify_pipeline.posting.endings import Ending
from cloudify_pipeline.posting.log.commits import GroupCommit
from cloudify_pipeline.posting.log.lease import Lease, held
from cloudify_pipeline.posting.log.store import PostingLog
from cloudify_pipeline.posting.parties import post_customers, post_products
from cloudify_pipeline.posting.protocol import Executor
from cloudify_pipeline_tests.posting.fake_ledger import FakeLedger, Killed

Sleep = Callable[[float], Awaitable[None]]


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, span: timedelta) -> None:
        self.now += span


class Poster:
    """Posts one customer, one product and their documents, as a run does."""

    def __init__(self, ledger: FakeLedger, log: PostingLog) -> None:
        self.ledger = ledger
        self.log = log
        self.clock = Clock()
        self.text: str | None = None

    def run(
        self, kind: DocumentKind = "booked_invoice", invoices: int = 1, action: str = "create", text: str | None = None
    ) -> list[Ending]:
        self.text = text
        return asyncio.run(self._run(kind, invoices, action))

    def run_until_killed(self, kind: DocumentKind = "booked_invoice", action: str = "create") -> None:
        with suppress(Killed):
            self.run(kind, action=action)

    async def _run(self, kind: DocumentKind, invoices: int, action: str) -> list[Ending]:
        async def no_sleep(_: float) -> None:
            return None

        with held(self.log.engine, "nordlys", now=self.clock()) as lease:
            return await self._post(lease, no_sleep, kind, invoices, action)

    async def _post(self, lease: Lease, sleep: Sleep, kind: DocumentKind, invoices: int, action: str) -> list[Ending]:
        async with GroupCommit(self.log.engine) as commits:
            executor = Executor(self.ledger, self.log, commits, lease=lease, run_id="run", clock=self.clock, sleep=sleep)
            endings = await post_customers(executor, [customer(action)])
            endings += await post_products(executor, [product()])
            return endings + await post_documents(executor, [invoice(kind, n, self.text) for n in range(1, invoices + 1)])


def customer(action: str = "create") -> PlannedCustomer:
    number = 7 if action == "update" else None
    fields = {"email": "billing@example.com", "name": "Frøstrup ApS"}
    return PlannedCustomer("cus_1", action, number, "Frøstrup ApS", "DKK", 1, 1, 1, None, fields)  # type: ignore[arg-type]


def product() -> PlannedProduct:
    return PlannedProduct("prod_1", "create", "PRO-M", "Pro plan", 3, None, {})


def invoice(kind: DocumentKind = "booked_invoice", n: int = 1, text: str | None = None) -> PlannedDocument:
    line = SalesLine(
        "Pro plan", ProductRef(stripe_id="prod_1"), Decimal(1), Decimal("100.00"), net=Decimal("100.00"), vat_rate=Decimal(25)
    )
    document = SalesDocument(
        key=f"stripe:in_{n}",
        kind=kind,
        stripe_id=f"in_{n}",
        stripe_number=f"NORD-{n:04}",
        currency="DKK",
        date=date(2026, 11, 2),
        due_date=None,
        customer=CustomerRef(stripe_id="cus_1"),
        payment_terms=1,
        vat_zone=1,
        layout=None,
        lines=(line,),
        stripe_total=Decimal("125.00"),
        predicted=Totals(Decimal("100.00"), Decimal("25.00"), Decimal("125.00")),
        fields={"recipient.name": "Frøstrup ApS", **({"notes.heading": text} if text else {})},
    )
    return PlannedDocument(document, "rules[0]")


@pytest.fixture
def log(tmp_path: Path) -> Iterator[PostingLog]:
    opened = PostingLog(f"sqlite:///{tmp_path / 'posting.db'}")
    yield opened
    opened.close()


@pytest.fixture
def poster(log: PostingLog) -> Poster:
    return Poster(FakeLedger(), log)


@pytest.fixture
def new_log(tmp_path: Path) -> Iterator[Callable[[], PostingLog]]:
    opened: list[PostingLog] = []

    def make() -> PostingLog:
        opened.append(PostingLog(f"sqlite:///{tmp_path / f'posting{len(opened)}.db'}"))
        return opened[-1]

    yield make
    for one in opened:
        one.close()
