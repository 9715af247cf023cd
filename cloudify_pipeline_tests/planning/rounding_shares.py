"""How the generated invoices end: the share of each rounding step and of holds. Run as a module, it prints the table.

Every plan is written as the request that would be sent and handed to the embedded ledger's own arithmetic, which shares no
code with planning; its gross must be Stripe's total to the minor unit.
"""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from cloudify_pipeline.accounting.chart import Chart, Named, SalesAccount, VatCode, VatZone
from cloudify_pipeline.accounting.documents import SalesDocument
from cloudify_pipeline.accounting.parties import LedgerRecord
from cloudify_pipeline.ledgers.economic.writes import create_document
from cloudify_pipeline.planning.documents import plan_document
from cloudify_pipeline.planning.plans import Hold, PlannedCustomer, PlannedDocument, PlannedProduct, Skip
from cloudify_pipeline.planning.records import InvoiceRecord
from cloudify_pipeline.planning.rounding import in_force
from cloudify_pipeline.planning.rules import DueDocument, due
from cloudify_pipeline.sandbox.economic.amounts import priced
from cloudify_pipeline.sandbox.economic.store import EconomicStore
from cloudify_pipeline_tests.planning import books
from cloudify_pipeline_tests.planning.stripe_arithmetic import GOODS, RATES, THREE, TWO, WHOLE, ZERO, Made, exponent, invoice

Rounding = Literal["per_document", "per_line"]
ROUNDINGS: tuple[Rounding, ...] = ("per_document", "per_line")
LACKING = frozenset({"SLE", "STD"})
"""Currencies that these books do not have."""
_ZONES = {regime: number for number, regime in enumerate(RATES, start=1)}
_CODES = {rate: f"V{number}" for number, rate in enumerate(sorted({r for rates in RATES.values() for r in rates}))}
_FREE_GROUP = 9
_PRODUCTS = {**{name: group for group, name in enumerate(GOODS)}, "NONE": 0, "DISC": 0, "ROUND": _FREE_GROUP}


def _cells() -> Iterator[tuple[int, int, str]]:
    """(product group, zone, rate)."""
    for regime, zone in _ZONES.items():
        for group, rate in enumerate(RATES[regime]):
            yield group, zone, rate
        yield _FREE_GROUP, zone, "0"


CHART = Chart(
    base_currency="DKK",
    currencies=frozenset({*TWO, *ZERO, *THREE, *WHOLE} - LACKING),
    vat_zones={zone: VatZone(zone, regime) for regime, zone in _ZONES.items()},
    vat_codes={code: VatCode(code, code, Decimal(rate)) for rate, code in _CODES.items()},
    product_groups={group: Named(group, str(group)) for group in {*range(len(GOODS)), _FREE_GROUP}},
    sales_accounts={(group, zone): SalesAccount(1000 + group * 10 + zone, _CODES[rate]) for group, zone, rate in _cells()},
    customer_groups={1: Named(1, "Customers")},
    payment_terms=books.CHART.payment_terms,
    layouts=books.CHART.layouts,
    periods=books.CHART.periods,
)
_NUMBERED = {n: LedgerRecord(n, n, barred=False, fields={}, group=_PRODUCTS[n]) for n in ("NONE", "DISC", "ROUND")}
_GOODS = {name: PlannedProduct(name, "use", name, name, group=_PRODUCTS[name], unit=None, fields={}) for name in GOODS}
_MAPPINGS = books.document_mappings(), books.line_mappings()


def _store(rounding: Rounding) -> EconomicStore:
    """The embedded ledger's arithmetic over the same books."""
    store = EconomicStore(vat_rounding=rounding)
    for name, group in _PRODUCTS.items():
        store.put("products", name, {"productNumber": name, "productGroup": {"productGroupNumber": group}})
    for rate, code in _CODES.items():
        store.put("vat-accounts", code, {"vatCode": code, "ratePercentage": Decimal(rate)})
    for group, zone, rate in _cells():
        number = 1000 + group * 10 + zone
        store.put("accounts", number, {"accountNumber": number, "vatAccount": {"vatCode": _CODES[rate]}})
        store.put("sales-accounts", f"{group}/{zone}", {"accountNumber": number})
    return store


Body = Mapping[str, Any]
Answer = Callable[[Body, EconomicStore], Decimal]


def request(document: SalesDocument) -> Body:
    """What would be sent for `document`, as the server reads it."""
    body: Body = json.loads(create_document(document, 101, {}, layout=19, chart=None).body, parse_float=Decimal)
    return body


def answered(body: Body, store: EconomicStore) -> Decimal:
    """The gross that the embedded ledger makes of a request."""
    return Decimal(priced(store, {**body, "exchangeRate": Decimal(100)})["grossAmount"])


@dataclass(slots=True)
class Shares:
    """Endings by kind of invoice, and the plans whose gross the ledger makes another than Stripe's total."""

    rounding: Rounding
    endings: Counter[tuple[str, str]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    elsewhere: int = 0
    """Planned documents that a ledger of the other rounding would answer with another gross; comparing catches them."""

    @property
    def invoices(self) -> int:
        return sum(self.endings.values())


class Judged:
    """Plans invoices for one rounding model, and holds each plan against the embedded ledger."""

    def __init__(self, rounding: Rounding, *, corrections: bool = True, answer: Answer = answered) -> None:
        self.shares = Shares(rounding)
        self._answer = answer
        self._stores = {name: _store(name) for name in ROUNDINGS}
        self._settings = {
            (discounts, zone): books.settings(
                customers={"defaults": {"payment_terms": 1, "group": 1, "vat_zone": zone}},
                products={"no_product": "NONE", "discount_product": "DISC", "rounding_product": "ROUND" if corrections else None},
                invoices={"discounts": discounts, "rounding": {"vat": rounding}},
            )
            for discounts in ("line", "product_line")
            for zone in _ZONES.values()
        }

    def plan(self, made: Made, discounts: str) -> PlannedDocument | Hold | Skip:
        """The plan of one invoice."""
        zone = _ZONES[made.regime]
        settings = self._settings[discounts, zone]
        products = {name: {"id": name, "name": name, "metadata": {}} for name in GOODS}
        record = InvoiceRecord(made.invoice, {"id": "cus_1", "name": "Frøstrup ApS"}, products, {}, made.rates)
        decision = due(record, settings)
        if not isinstance(decision, DueDocument):
            return decision
        customer = PlannedCustomer(
            "cus_1", "use", 101, "Frøstrup ApS", "DKK", group=1, payment_terms=1, vat_zone=zone, layout=19, fields={}
        )
        return plan_document(
            record, due=decision, settings=settings, documents=_MAPPINGS[0], lines=_MAPPINGS[1], chart=CHART, today=date.max,
            customer=customer, products=_GOODS, numbered=_NUMBERED, vat_rounding=in_force(settings.invoices.rounding.vat),
        )  # fmt: skip

    def judge(self, made: Made, discounts: str) -> None:
        """Plan it, and count how it ended."""
        planned = self.plan(made, discounts)
        if not isinstance(planned, PlannedDocument):
            code = planned.code if isinstance(planned, Skip) else planned.problem.code
            self.shares.endings[kind(made), code] += 1
            return
        step = next(one.outcome for one in planned.evidence if one.decision == "rounding" and "lines" in one.inputs)
        self.shares.endings[kind(made), step] += 1
        total = Decimal(made.invoice["total"]).scaleb(-exponent(made.currency))
        body = request(planned.document)
        grosses = {name: self._answer(body, store) for name, store in self._stores.items()}
        if grosses[self.shares.rounding] != total or planned.document.predicted.gross != total:
            self.shares.wrong.append(f"{made.invoice['id']}: {grosses[self.shares.rounding]} for {total} {made.currency}")
        self.shares.elsewhere += any(gross != total for gross in grosses.values())


def kind(made: Made) -> str:
    """What an invoice is an example of, in words."""
    places = {0: "no decimals", 3: "three decimals"}.get(exponent(made.currency), "two decimals")
    places = "whole units" if made.currency in WHOLE else places
    if made.regime in {"abroad", "reverse"}:
        return f"{places}, no VAT"
    return f"{places}, VAT {'inside' if made.inclusive else 'on top'}{', rounded once' if made.once else ''}"


def run(count: int, rounding: Rounding, *, first: int = 0, corrections: bool = True) -> Shares:
    """Plan and judge `count` generated invoices; discounts go into the lines and onto a line of their own in turn."""
    judged = Judged(rounding, corrections=corrections)
    for seed in range(first, first + count):
        judged.judge(invoice(seed), "product_line" if seed % 2 else "line")
    return judged.shares


def table(shares: Shares) -> str:
    """The shares as text."""
    endings = sorted({ending for _, ending in shares.endings}, key=lambda ending: (ending.startswith(("E-", "S-")), ending))
    kinds = sorted({name for name, _ in shares.endings})
    lines = [f"{shares.invoices} invoices, VAT rounded {shares.rounding.replace('_', ' ')}; {len(shares.wrong)} planned wrong"]
    for name in ("all", *kinds):
        mine = Counter({e: sum(n for (k, at), n in shares.endings.items() if at == e and name in {"all", k}) for e in endings})
        parts = ", ".join(f"{ending} {mine[ending] / mine.total():.2%}" for ending in endings if mine[ending])
        lines.append(f"  {name} ({mine.total()}): {parts}")
    lines.append(f"  a ledger of the other rounding would answer {shares.elsewhere} of the planned with another total")
    return "\n".join(lines)


def main() -> None:
    """Print the table for both models, with and without a product for corrections."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    for corrections in (True, False):
        sys.stdout.write(f"products.rounding_product {'is set' if corrections else 'is not set'}\n")
        for rounding in ROUNDINGS:
            sys.stdout.write(table(run(count, rounding, corrections=corrections)) + "\n\n")


if __name__ == "__main__":
    main()
