"""How a document is brought to Stripe's total, and where the ledger rounds VAT, as its own answers show it.

The chain (reference/product.md §4.5): the unit price as it is → quantity 1 at the line's total → a correction line without
VAT within the tolerance → hold. The first two are :mod:`.prices`'; this room has the third, and the words for all four.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from cloudify_pipeline.accounting.documents import ProductRef, SalesLine, Totals
from cloudify_pipeline.planning.plans import Evidence
from cloudify_pipeline.planning.totals import ASSUMED, VatRounding, predict

AS_IS = "unit price as it is"
ONE_PIECE = "quantity 1 × line total"
CORRECTED = "correction line"
HELD = "hold"
Step = Literal["unit price as it is", "quantity 1 × line total", "correction line", "hold"]

_CENT = Decimal("0.01")
_OTHER: Mapping[VatRounding, VatRounding] = {"per_document": "per_line", "per_line": "per_document"}


@dataclass(frozen=True, slots=True)
class Difference:
    """What is missing to Stripe's total: `gross` on the document, and per VAT rate (empty where Stripe's is not known)."""

    gross: Decimal
    vat: Mapping[Decimal, Decimal]
    taxed_lines: int
    """Lines that bear VAT: each may have been rounded by Stripe on its own."""
    smallest: Decimal = Decimal("0.01")
    """The amount that Stripe rounds to in this currency."""


def correction(
    missing: Difference, *, product: str | None, rate: Decimal | None, tolerance: Decimal
) -> tuple[SalesLine | None, str]:
    """A line without VAT that makes the total Stripe's, or None and why there is none.

    `rate` is the VAT that `product` bears in the document's zone, None where it cannot be used. Only what rounding explains is
    corrected, so that no wrong rate hides behind it: the currency's smallest amount a taxed line, and within the tolerance
    over all rates.
    """
    amount = missing.gross
    if amount == 0:
        return None, "the total is right, and a line cannot mend the VAT of one rate"
    if amount != amount.quantize(_CENT):
        return None, f"{amount} has more than two decimals"
    if abs(amount) > tolerance:
        return None, f"{abs(amount)} is over invoices.rounding.tolerance ({tolerance})"
    if abs(amount) > missing.taxed_lines * missing.smallest or sum(abs(part) for part in missing.vat.values()) > tolerance:
        return None, "it is more than rounding explains"
    if product is None:
        return None, "products.rounding_product is not set"
    if rate is None:
        return None, f"products.rounding_product: {product} cannot be used in this VAT zone"
    if rate != 0:
        return None, f"products.rounding_product: {product} bears VAT in this VAT zone"
    sign = Decimal(1) if amount > 0 else Decimal(-1)
    return SalesLine("Rounding", ProductRef(product), sign, abs(amount), net=amount), ""


def other(rounding: VatRounding) -> VatRounding:
    """The model that is not `rounding`."""
    return _OTHER[rounding]


@dataclass(frozen=True, slots=True)
class Seen:
    """What the ledger's answer to one of our documents shows: VAT `answered`, where the other model would give `otherwise`."""

    key: str
    rounding: VatRounding
    answered: Decimal
    otherwise: Decimal
    at: datetime


def seen(key: str, lines: Sequence[SalesLine], answered: Totals, at: datetime) -> Seen | None:
    """Where the ledger rounded the VAT of the document that it `answered`, or None when that cannot be told.

    It can be told where the models differ, the net is the one sent and the VAT is just one model's. `lines` are the
    document's as planned, with the rates of the chart.
    """
    by_model: dict[VatRounding, Totals] = {name: predict(lines, name) for name in _OTHER}
    if by_model["per_document"].vat == by_model["per_line"].vat:
        return None
    for name, totals in by_model.items():
        if (totals.net, totals.vat) == (answered.net, answered.vat):
            return Seen(key, name, answered.vat, by_model[_OTHER[name]].vat, at)
    return None


@dataclass(frozen=True, slots=True)
class Model:
    """The rounding in force, with why."""

    rounding: VatRounding
    evidence: Evidence


def in_force(setting: Literal["learn", "per_document", "per_line"], answers: Iterable[Seen] = ()) -> Model:
    """Where the ledger is taken to round VAT: as set, else as the latest answer shows, else as assumed.

    A ledger that has answered both ways is taken at its latest word, and the evidence counts both.
    """
    if setting != "learn":
        return Model(setting, Evidence("vat_rounding", setting, f"invoices.rounding.vat: {setting}"))
    known = sorted(answers, key=lambda one: (one.at, one.key))
    if not known:
        inputs = {"answers": "none that tells"}
        return Model(ASSUMED, Evidence("vat_rounding", ASSUMED, "assumed until an answer of the ledger tells", inputs))
    last = known[-1]
    inputs = {
        "document": last.key,
        "answered": f"VAT {last.answered}",
        "otherwise": f"VAT {last.otherwise}",
        "at": last.at.isoformat(),
        **{name: str(sum(one.rounding == name for one in known)) for name in _OTHER},
    }
    return Model(last.rounding, Evidence("vat_rounding", last.rounding, "the ledger's latest answer that tells", inputs))
