"""Whatever Stripe takes back, in whatever order: never more than there is, never twice, each to the minor unit or held."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudify_pipeline.accounting.documents import Totals
from cloudify_pipeline.accounting.money import from_minor, to_minor
from cloudify_pipeline.control.corrections import Corrections
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.ledgers.port import Ledger, LedgerDocument
from cloudify_pipeline.planning.plans import Hold, PlannedDocument, Skip
from cloudify_pipeline.planning.records import InvoiceRecord
from cloudify_pipeline.posting.endings import Ending
from cloudify_pipeline.posting.log.store import Identity, PostingLog
from cloudify_pipeline.staging.corrections import StagedDispute, StagedNote, StagedRefund
from cloudify_pipeline_tests.planning import books

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
CREDIT_ALL = {"voided": "credit", "uncollectible": "credit", "refunds": "credit", "disputes": "credit"}
CONNECTION = books.settings(
    products={"no_product": "NONE", "rounding_product": "ROUND"}, invoices={"corrections": CREDIT_ALL}
)  # fmt: skip
FREE = replace(books.PLANNED_PRODUCT, stripe_id="prod_F", number="F-1", group=books.VAT_FREE)
PRODUCTS = {"prod_A": books.PLANNED_PRODUCT, "prod_F": FREE}
NAMES = count()
OUTSIDE = "outside"
"""What a credit note is for that gave the money back outside Stripe."""


def share(amount: int, percent: int, *, inside: bool) -> int:
    base = 100 + percent if inside else 100
    return (2 * amount * percent + base) // (2 * base)


@dataclass
class Stripe:
    """What a seller has in Stripe of one invoice, as staging keeps it."""

    invoice: dict[str, Any]
    notes: dict[str, dict[str, Any]] = field(default_factory=dict)
    given_back: dict[str, dict[str, Any]] = field(default_factory=dict)
    disputed: dict[str, dict[str, Any]] = field(default_factory=dict)

    def sessions_of(self, intents: Sequence[str]) -> Mapping[str, Any]:
        return {}

    @contextmanager
    def reading(self) -> Iterator[None]:
        yield

    def credit_notes(self) -> list[StagedNote]:
        return [
            StagedNote(i, f"{i}-{one['status']}", "in_1", one["status"], one["total"], NOW, one["for"], one["outside"])
            for i, one in self.notes.items()
        ]

    def refunds(self) -> list[StagedRefund]:
        return [
            StagedRefund(i, f"{i}-{one['status']}", "ch_1", "in_1", one["status"], one["amount"], NOW)
            for i, one in self.given_back.items()
        ]

    def disputes(self) -> list[StagedDispute]:
        return [
            StagedDispute(i, f"{i}-{one['status']}", "ch_1", "in_1", one["status"], one["amount"], NOW, "DKK")
            for i, one in self.disputed.items()
        ]

    def closed_invoices(self) -> dict[str, tuple[str, str]]:
        status = self.invoice["status"]
        return {"in_1": (status, status)} if status != "paid" else {}

    def content_hashes(self, kind: str, ids: Sequence[str]) -> dict[str, str]:
        return {one: str(self.invoice["status"]) for one in ids if kind == "invoice"}

    def objects(self, kind: str, ids: Sequence[str] | None) -> Mapping[str, Any]:
        known: dict[str, Mapping[str, Any]] = {
            "invoice": {"in_1": self.invoice},
            "credit_note": self.notes,
            "refund": self.given_back,
            "dispute": self.disputed,
            "product": {one: {"id": one, "name": one, "metadata": {}} for one in PRODUCTS},
            "tax_rate": books.RATES,
        }
        found = known.get(kind, {})
        return {one: found[one] for one in (found if ids is None else ids) if one in found}

    def sent_at(self, ids: Sequence[str]) -> dict[str, datetime]:
        return {}

    def payments_of(self, ids: Sequence[str]) -> dict[str, list[str]]:
        return {}

    def resting(self) -> dict[str, datetime | None]:
        return {}

    def credited(self, ids: Sequence[str]) -> dict[str, int]:
        return {"in_1": sum(int(one["total"]) for one in self.notes.values() if one["status"] == "issued")}

    # -- what the seller does

    def credit(self, at: int, amount: int, explains: str | None) -> None:
        billed = self.invoice["lines"]["data"][at % len(self.invoice["lines"]["data"])]
        (tax,) = billed["taxes"]
        inside, percent = (
            tax["tax_behavior"] == "inclusive",
            0 if billed["pricing"]["price_details"]["product"] == "prod_F" else 25,
        )
        part = share(amount, percent, inside=inside)
        taxes = [{**tax, "amount": part, "taxable_amount": amount - (part if inside else 0)}]
        line = {"id": "cnli", "amount": amount, "invoice_line_item": billed["id"], "taxes": taxes, "discount_amount": 0}
        total = amount if inside else amount + part
        refund = self.given_back.get(explains or "")
        told = {} if refund is None else {refund["id"]: min(total, refund["amount"])}
        id_ = f"cn_{len(self.notes)}"
        self.notes[id_] = {"id": id_, "status": "issued", "created": NOW.timestamp(), "total": total, "for": told,
                           "outside": total if explains == OUTSIDE else 0,
                           "lines": {"data": [line]}, "currency": "dkk", "number": id_}  # fmt: skip

    def refund(self, amount: int) -> None:
        id_ = f"re_{len(self.given_back)}"
        self.given_back[id_] = {"id": id_, "status": "succeeded", "created": NOW.timestamp(), "amount": amount, "currency": "dkk"}

    def dispute(self, amount: int) -> None:
        id_ = f"du_{len(self.disputed)}"
        self.disputed[id_] = {"id": id_, "status": "lost", "created": NOW.timestamp(), "amount": amount, "currency": "dkk"}

    def true_of(self) -> int:
        """What went back in all: credit notes, refunds as far as none is for them, lost disputes."""
        explained: dict[str, int] = {}
        for one in self.notes.values():
            for refund, minor in one["for"].items():
                explained[refund] = explained.get(refund, 0) + minor
        refunds = [one for one in self.given_back.values() if one["status"] == "succeeded"]
        alone = sum(max(0, int(one["amount"]) - explained.get(one["id"], 0)) for one in refunds)
        lost = sum(int(one["amount"]) for one in self.disputed.values() if one["status"] != "won")
        return sum(int(one["total"]) for one in self.notes.values()) + alone + lost


class Books:
    """The ledger and the log, and a sync of what the seller did."""

    def __init__(self, stripe: Stripe, log: PostingLog) -> None:
        self.stripe, self.log, self.name = stripe, log, f"c{next(NAMES)}"
        self.total = int(stripe.invoice["total"])
        self.posted: dict[str, int] = {}
        self.reinstated: set[str] = set()
        self.clock = lambda: NOW + timedelta(hours=1)
        self.settings = CONNECTION
        self.staging = stripe
        self._book("in_1", self.total)

    def _book(self, stripe_id: str, minor: int, source_hash: str = "") -> None:
        total = from_minor(minor, "DKK")
        ending = Ending("document", stripe_id, "booked", number=20188, ledger_kind="booked_invoice", total=total, currency="DKK")
        self.log.record(self.name, [ending], run_id="run", now=NOW)
        identity = Identity(stripe_id, 20188, "booked_invoice", stripe_id, "created", source_hash)
        with self.log.engine.begin() as db:
            self.log.identity_change(self.name, "document", identity, NOW).apply(db)

    async def document(self, kind: str, number: int) -> LedgerDocument:
        nothing = Totals(Decimal(0), Decimal(0), Decimal(0))
        return LedgerDocument("booked_invoice", 20188, "stripe:in_1", "DKK", nothing, 101, vat_zone=books.DOMESTIC)

    def sync(self) -> dict[str, str]:
        """Post what is due; what was held or skipped, and why."""
        found = Corrections(cast("OpenConnection", self))
        found.collect(None)
        asyncio.run(found.find_originals(cast("Ledger", self)))
        ended: dict[str, Hold | Skip] = {}
        for one, decision, original in found.due({}, 100):
            stripe_id, record = one.correction.stripe_id, one.correction.record
            assert isinstance(record, InvoiceRecord)
            corrects = (one.correction, original)
            plan = books.plan(record, CONNECTION, products=PRODUCTS, as_kind=decision.kind, corrects=corrects)
            if isinstance(plan, PlannedDocument):
                self._check(plan, stripe_id)
                self._book(stripe_id, self.posted[stripe_id], one.claim.content_hash)
            else:
                ended[stripe_id] = plan
        ended |= found.undone
        self.log.record(self.name, [self._ending(one) for one in ended.values()], run_id="run", now=NOW)
        return {i: one.problem.code if isinstance(one, Hold) else one.code for i, one in ended.items()}

    def _ending(self, plan: Hold | Skip) -> Ending:
        return Ending("document", plan.stripe_id, "held" if isinstance(plan, Hold) else "skipped")

    def _check(self, plan: PlannedDocument, stripe_id: str) -> None:
        document = plan.document
        assert document.predicted.gross == document.stripe_total
        minor = to_minor(document.stripe_total, "DKK")
        if stripe_id in self.posted:
            assert minor == self.posted[stripe_id], "what is booked stays as it is"
            return
        if stripe_id.startswith("in_"):
            # What is left, less what waits to be taken off by its own document.
            assert 0 < -minor <= self.total + sum(self.posted.values())
        else:
            assert minor == self._stripes(stripe_id)
        assert (minor > 0) == stripe_id.endswith(":returned")
        assert (document.kind, document.vat_zone, document.customer.number) == ("booked_invoice", books.DOMESTIC, 101)
        sold = {line["taxes"][0]["tax_rate_details"]["tax_rate"] for line in self.stripe.invoice["lines"]["data"]}
        rates = {Decimal(0) if rate == "txr_0" else Decimal(25) for rate in sold}
        rounding = {"ROUND"} if any(one.product and one.product.number == "ROUND" for one in document.lines) else set()
        assert {one.vat_rate for one in document.lines if one.product and one.product.number not in rounding} <= rates
        assert plan.corrects == "in_1"
        assert " 20188 " in document.lines[-1].description
        self.posted[stripe_id] = minor

    def _stripes(self, stripe_id: str) -> int:
        """The amount by Stripe's own objects."""
        if stripe_id.startswith("cn_"):
            return -int(self.stripe.notes[stripe_id]["total"])
        if stripe_id.endswith(":returned"):
            return -self.posted[stripe_id.partition(":")[0]]
        if stripe_id.startswith("du_"):
            return -int(self.stripe.disputed[stripe_id]["amount"])
        told = sum(one["for"].get(stripe_id, 0) for one in self.stripe.notes.values())
        return int(told) - int(self.stripe.given_back[stripe_id]["amount"])


@st.composite
def invoices(draw: st.DrawFn) -> dict[str, Any]:
    inside = draw(st.booleans())
    lines = []
    for n in range(draw(st.integers(1, 3))):
        amount, free = draw(st.integers(1, 60_000)), draw(st.booleans()) and n > 0
        part = share(amount, 0 if free else 25, inside=inside)
        rate = "txr_0" if free else "txr_25i" if inside else "txr_25"
        tax = books.tax(part, amount - part if inside else amount, rate=rate, inclusive=inside)
        lines.append(books.line(amount, id=f"il_{n}", unit=amount, product="prod_F" if free else "prod_A", taxes=[tax]))
    return books.invoice(lines)


ACTIONS = st.one_of(
    st.tuples(st.just("note"), st.integers(0, 2), st.integers(1, 40_000), st.booleans()),
    st.tuples(st.just("refund"), st.integers(1, 40_000)),
    st.tuples(st.just("refund all"), st.just(0)),
    st.tuples(st.just("fail"), st.integers(0, 3)),
    st.tuples(st.just("dispute"), st.integers(1, 40_000)),
    st.tuples(st.just("void"), st.just(0)),
    st.tuples(st.just("uncollectible"), st.just(0)),
    st.tuples(st.just("paid"), st.just(0)),
)
DISPUTES = st.one_of(
    st.tuples(st.just("note outside"), st.just(0), st.integers(1, 20_000)),
    st.tuples(st.just("refund"), st.integers(1, 20_000)),
    st.tuples(st.just("dispute"), st.integers(1, 30_000)),
    st.tuples(st.just("decide"), st.integers(0, 1), st.sampled_from(["lost", "won", "appeal_under_review"])),
)


def act(stripe: Stripe, action: tuple[Any, ...]) -> None:
    match action:
        case ("note", at, amount, explains):
            stripe.credit(at, amount, next(reversed(stripe.given_back), None) if explains else None)
        case ("note outside", at, amount):
            stripe.credit(at, amount, OUTSIDE)
        case ("dispute", amount):
            stripe.dispute(amount)
        case ("decide", which, status) if which < len(stripe.disputed):
            list(stripe.disputed.values())[which]["status"] = status
        case ("refund", amount):
            stripe.refund(amount)
        case ("refund all", _):
            stripe.refund(int(stripe.invoice["total"]))
        case ("fail", which) if which < len(stripe.given_back):
            list(stripe.given_back.values())[which]["status"] = "failed"
        case ("void" | "uncollectible" | "paid" as status, _):
            stripe.invoice["status"] = status


@pytest.fixture(scope="module")
def log() -> Iterator[PostingLog]:
    made = PostingLog("sqlite://")
    yield made
    made.close()


@settings(max_examples=120)
@given(invoice=invoices(), rounds=st.lists(st.lists(ACTIONS, max_size=4), min_size=1, max_size=4))
def test_the_sum_of_corrections_is_never_more_than_there_is(
    log: PostingLog, invoice: dict[str, Any], rounds: list[list[tuple[Any, ...]]]
) -> None:
    follow(log, invoice, rounds)


@settings(max_examples=100)
@given(rounds=st.lists(st.lists(DISPUTES, min_size=1, max_size=2), min_size=3, max_size=6))
def test_disputes_are_lost_and_won_in_any_order(log: PostingLog, rounds: list[list[tuple[Any, ...]]]) -> None:
    tax = books.tax(25_000, 100_000)
    follow(log, books.invoice([books.line(100_000, id="il_0", unit=100_000, taxes=[tax])]), rounds)


def follow(log: PostingLog, invoice: dict[str, Any], rounds: list[list[tuple[Any, ...]]]) -> None:
    """Each round is what Stripe takes back, and a sync after it; the last sync has no news."""
    stripe = Stripe(invoice)
    company = Books(stripe, log)
    for actions in [*rounds, []]:
        for action in actions:
            act(stripe, action)
        ended = company.sync()
        taken = -sum(company.posted.values())
        assert 0 <= taken <= company.total
        if not any(":" in one and not one.endswith(":returned") for one in company.posted):
            assert taken <= stripe.true_of(), "nothing is taken back twice"
        known = company.posted.keys() | ended.keys()
        told = {refund for one in stripe.notes.values() for refund in one["for"]}
        due = {i for i, one in stripe.given_back.items() if one["status"] == "succeeded" and i not in told}
        lost = {i for i, one in stripe.disputed.items() if one["status"] == "lost"}
        assert stripe.notes.keys() | due | lost <= known, "each has an ending"
        outside = any(one["outside"] and i in company.posted for i, one in stripe.notes.items())
        standing = [i for i in stripe.disputed if i in company.posted and f"{i}:returned" not in company.posted]
        assert not (outside and standing), "no credit note that may be for a dispute is posted beside it"
        for i, one in stripe.disputed.items():
            reinstated = f"{i}:returned" in company.posted
            assert reinstated <= (one["status"] == "won" or i in company.reinstated), "an appeal decides nothing"
            company.reinstated |= {i} if reinstated else set()
    if not any("E-REF-OVER" in one for one in ended.values()):
        before = dict(company.posted)
        company.sync()
        assert company.posted == before, "a sync without news posts nothing"
