"""Our documents' sums per VAT code against the ledger's own accounts, and every difference by name.

The ledger's figures are its booked entries (:class:`~cloudify_pipeline.ledgers.port.SalesEntry`), whoever made them; where the
app may not read accounts, its booked invoices alone, by their totals.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Literal

from cloudify_pipeline.accounting.chart import Chart
from cloudify_pipeline.accounting.money import format_money
from cloudify_pipeline.accounting.vat_return import Part, Sale
from cloudify_pipeline.ledgers.port import LedgerDocument, SalesEntry

NO_CODE = "no code"
_OERE = Decimal("0.01")

DifferenceKind = Literal[
    "by_hand", "missing", "amount", "code", "no_vat_number", "untold", "unplaced", "no_evidence", "no_base",
    "rounding", "moved", "elsewhere",
]  # fmt: skip
_TOLD_ONLY = frozenset({"rounding", "moved", "elsewhere"})


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that a bookkeeper must look at. Amounts are net, in the base currency; None where there is none on that side."""

    kind: DifferenceKind
    about: str
    words: str
    code: str | None = None
    ours: Decimal | None = None
    ledger: Decimal | None = None

    @property
    def counts(self) -> bool:
        """Whether the period does not agree because of it; what is explained by itself is only told."""
        return self.kind not in _TOLD_ONLY


@dataclass(frozen=True, slots=True)
class CodeLine:
    """One VAT code of the period. `ledger` is None where the accounts could not be read."""

    code: str
    name: str
    ours: Decimal
    vat: Decimal
    ledger: Decimal | None

    @property
    def difference(self) -> Decimal | None:
        """Ledger less ours."""
        return None if self.ledger is None else self.ledger - self.ours


@dataclass(frozen=True, slots=True)
class Booked:
    """The ledger's side of a period. `entries` is None where the accounts may not be read.

    `ours` are the booked invoices of our documents by Stripe id, `others` what was booked without this pipeline.
    """

    ours: Mapping[str, LedgerDocument]
    others: Sequence[LedgerDocument]
    entries: Sequence[SalesEntry] | None
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    """Of the others: invoice number → the connection that posted it, where two share their books; empty for one elsewhere."""


def code_lines(parts: Iterable[Part], booked: Booked, chart: Chart) -> tuple[CodeLine, ...]:
    """Every VAT code that our documents or the ledger's entries have."""
    ours: dict[str, list[Decimal]] = {}
    for one in parts:
        sums = ours.setdefault(one.code or NO_CODE, [Decimal(0), Decimal(0)])
        sums[0] += one.net
        sums[1] += one.vat
    ledger: dict[str, Decimal] = {}
    for entry in booked.entries or ():
        ledger[entry.vat_code or NO_CODE] = ledger.get(entry.vat_code or NO_CODE, Decimal(0)) + entry.amount
    lines = []
    for code in sorted(ours.keys() | ledger.keys(), key=lambda code: (code == NO_CODE, code)):
        net, vat = ours.get(code, [Decimal(0), Decimal(0)])
        known = chart.vat_codes.get(code)
        total = None if booked.entries is None else ledger.get(code, Decimal(0))
        lines.append(CodeLine(code, known.name if known else "", net, vat, total))
    return tuple(lines)


def differences(parts: Sequence[Part], sales: Mapping[str, Sale], booked: Booked, chart: Chart) -> Iterator[Difference]:
    """What our documents and the ledger do not agree in, document by document. `sales` by Stripe id."""
    totals = {i: words for i, document in booked.ours.items() if i in sales and (words := _totals(sales[i], document))}
    items: list[tuple[str, Difference]] = []
    if booked.entries is None:
        yield from (_unread(document, booked, chart) for document in booked.others)
    else:
        items = list(_by_code(_of_documents(parts), _entries_of(booked), chart.base_currency))
        yield from _by_hand(booked)
    for stripe_id, item in items:
        yield replace(item, words=totals.get(stripe_id, item.words))
    for stripe_id in totals.keys() - {stripe_id for stripe_id, _ in items}:
        yield Difference("amount", named(sales[stripe_id]), totals[stripe_id])


def _totals(sale: Sale, document: LedgerDocument) -> str:
    """How the document's own amounts differ, in its own currency; empty when they do not."""
    ours, theirs = sale.totals, document.totals
    if (ours.net, ours.vat, sale.currency) == (theirs.net, theirs.vat, document.currency):
        return ""
    here = f"net {format_money(ours.net, sale.currency)} and VAT {format_money(ours.vat, sale.currency)}"
    there = f"net {format_money(theirs.net, document.currency)} and VAT {format_money(theirs.vat, document.currency)}"
    return f"posted with {here}; the ledger has {there}"


def _unread(document: LedgerDocument, booked: Booked, chart: Chart) -> Difference:
    zone = chart.vat_zones.get(document.vat_zone) if document.vat_zone is not None else None
    where = f"VAT zone {document.vat_zone}" + (f" ({zone.name})" if zone else "")
    net = document.base.net if document.base else document.totals.net
    kind, by = _by_whom(booked, document.number)
    return Difference(kind, f"invoice {document.number}", f"in the ledger {by}, in {where}", ledger=net)


def _by_whom(booked: Booked, number: object) -> tuple[DifferenceKind, str]:
    other = booked.elsewhere.get(str(number))
    if other is None:
        return "by_hand", "without this pipeline"
    return "elsewhere", f"by connection {other}" if other else "by another connection: this Stripe account does not have it"


def _entries_of(booked: Booked) -> dict[str, dict[str, Decimal]]:
    """Each of our documents' sums per code, as its entries have them."""
    numbers = {str(document.number): stripe_id for stripe_id, document in booked.ours.items()}
    theirs: dict[str, dict[str, Decimal]] = {}
    for entry in booked.entries or ():
        stripe_id = numbers.get(str(entry.document))
        if stripe_id is not None:
            sums, code = theirs.setdefault(stripe_id, {}), entry.vat_code or NO_CODE
            sums[code] = sums.get(code, Decimal(0)) + entry.amount
    return theirs


def _by_hand(booked: Booked) -> Iterator[Difference]:
    """Entries that belong to no document of ours."""
    numbers = {str(document.number) for document in booked.ours.values()}
    others: dict[tuple[str, str], list[SalesEntry]] = {}
    for entry in booked.entries or ():
        if str(entry.document) not in numbers:
            about = f"voucher {entry.voucher}" if entry.document is None else f"invoice {entry.document}"
            others.setdefault((about, entry.vat_code or NO_CODE), []).append(entry)
    for (about, code), entries in sorted(others.items()):
        net, first = sum((one.amount for one in entries), Decimal(0)), entries[0]
        kind, by = _by_whom(booked, first.document)
        words = f"in the ledger on {first.date.isoformat()} {by}" + (f": {first.text}" if first.text else "")
        yield Difference(kind, about, words, code, None, net)


def _of_documents(parts: Sequence[Part]) -> dict[str, tuple[Sale, dict[str, Decimal]]]:
    ours: dict[str, tuple[Sale, dict[str, Decimal]]] = {}
    for one in parts:
        _, sums = ours.setdefault(one.sale.stripe_id, (one.sale, {}))
        sums[one.code or NO_CODE] = sums.get(one.code or NO_CODE, Decimal(0)) + one.net
    return ours


def _by_code(
    ours: Mapping[str, tuple[Sale, Mapping[str, Decimal]]], theirs: Mapping[str, Mapping[str, Decimal]], currency: str
) -> Iterator[tuple[str, Difference]]:
    for stripe_id, (sale, here) in ours.items():
        there = theirs.get(stripe_id, {})
        off = {code: there.get(code, Decimal(0)) - here.get(code, Decimal(0)) for code in here.keys() | there.keys()}
        off = {code: amount for code, amount in off.items() if amount}
        small = sale.currency != currency and all(abs(amount) <= _OERE for amount in off.values())
        kind: DifferenceKind = "amount" if sum(off.values()) else "rounding" if small else "code"
        words = {
            "amount": "another net on its accounts",
            "code": "the same net on another VAT code",
            "rounding": f"an øre of {sale.currency} in {currency} on another VAT code",
        }[kind]
        for code in sorted(off):
            amounts = here.get(code, Decimal(0)), there.get(code, Decimal(0))
            yield stripe_id, Difference(kind, named(sale), words, code, *amounts)


def named(sale: Sale) -> str:
    """Our document as differences are about it."""
    return f"invoice {sale.number} ({sale.name})" if sale.number else sale.name
