"""The threshold above which sales to consumers in other member states bear their countries' VAT: EUR 10,000 a year, without VAT.

One sum for all other member states together, goods sold at a distance and electronic services, in the present and in the
preceding calendar year (Directive 2006/112/EC, article 59c). skat.dk gives it as about DKK 74,415.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

THRESHOLDS: Mapping[str, Decimal] = {"DKK": Decimal(74_415), "EUR": Decimal(10_000)}
"""By the ledger's base currency."""
EUROS = Decimal(10_000)
LEVELS = (80, 100)
"""Percent at which somebody is told."""


@dataclass(frozen=True, slots=True)
class ThresholdWatch:
    """How far a calendar year has come, without VAT, in `currency` (the ledger's base currency).

    `posted` stands in the ledger, `planned` is about to; `previous` is the year before. `rates` are those that amounts were
    converted at for which the ledger has not told its own, with where each comes from; `uncounted` has no rate at all.
    """

    year: int
    currency: str
    threshold: Decimal
    posted: Decimal
    planned: Decimal
    previous: Decimal = Decimal(0)
    documents: int = 0
    unknown: int = 0
    """Posted documents, of any buyer and year, of which nobody kept what they are: not counted."""
    rates: Mapping[str, str] = field(default_factory=dict)
    uncounted: Mapping[str, Decimal] = field(default_factory=dict)

    @property
    def total(self) -> Decimal:
        """Of the year."""
        return self.posted + self.planned

    @property
    def percent(self) -> Decimal:
        """Of the threshold, in two decimals that never round up to a level that is not reached."""
        return (self.total * 100 / self.threshold).quantize(Decimal("0.01"), rounding="ROUND_DOWN")

    @property
    def level(self) -> int:
        """The highest of :data:`LEVELS` that is reached, or 0. A preceding year above the threshold counts as reached."""
        if self.previous > self.threshold:
            return LEVELS[-1]
        return max((level for level in LEVELS if self.total * 100 >= level * self.threshold), default=0)
