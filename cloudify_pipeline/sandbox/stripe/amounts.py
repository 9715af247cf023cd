"""Stripe's arithmetic: line discounts, invoice discounts shared out over the lines, and tax per line. Minor units throughout."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal


@dataclass(frozen=True, slots=True)
class Discount:
    """A coupon as it applies to one line or one invoice; `percent` (0–100) or `amount_off`."""

    id: str
    percent: Decimal | None = None
    amount_off: int | None = None


@dataclass(frozen=True, slots=True)
class TaxTerms:
    """A tax rate as a line carries it; `reason` is Stripe's taxability_reason."""

    rate: str
    percent: Decimal
    inclusive: bool
    reason: str = "standard_rated"


@dataclass(frozen=True, slots=True)
class TaxAmount:
    """What one rate takes of one line (or, summed, of an invoice)."""

    terms: TaxTerms
    amount: int
    taxable: int


@dataclass(slots=True)
class LineAmounts:
    """One line: `amount` before discounts and exclusive tax, and what is computed from it."""

    amount: int
    discountable: bool = True
    own_discounts: Sequence[Discount] = ()
    tax_terms: Sequence[TaxTerms] = ()
    discounts: list[tuple[str, int]] = field(default_factory=list)
    taxes: list[TaxAmount] = field(default_factory=list)

    @property
    def net(self) -> int:
        """The amount after every discount so far; inclusive tax is still inside."""
        return self.amount - sum(taken for _, taken in self.discounts)


@dataclass(frozen=True, slots=True)
class InvoiceAmounts:
    """The totals of an invoice, named as Stripe names them."""

    subtotal: int
    subtotal_excluding_tax: int
    total: int
    total_excluding_tax: int
    discounts: list[tuple[str, int]]
    taxes: list[TaxAmount]


def rounded(amount: Decimal) -> int:
    """Whole minor units, halves away from zero."""
    return int(amount.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def line_amount(quantity: Decimal, unit_amount: Decimal) -> int:
    """Quantity × unit amount; unit amounts may have twelve decimals below the minor unit."""
    return rounded(quantity * unit_amount)


def share_out(amount: int, weights: Sequence[int]) -> list[int]:
    """`amount` in whole units in proportion to `weights`: largest remainders first, the sum exact."""
    total = sum(weights)
    if total == 0:
        return [0 for _ in weights]
    shares = [amount * weight // total for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda at: (-(amount * weights[at] % total), at))
    for at in by_remainder[: amount - sum(shares)]:
        shares[at] += 1
    return shares


def compute(lines: Sequence[LineAmounts], discounts: Sequence[Discount] = (), shipping: int = 0) -> InvoiceAmounts:
    """Fill in discounts and taxes of every line, and return the invoice's totals."""
    for line in lines:
        for discount in line.own_discounts:
            line.discounts.append((discount.id, _taken(discount, max(line.net, 0))))
    subtotal = sum(line.net for line in lines)
    subtotal_excluding_tax = sum(line.net - _inclusive(line) for line in lines)
    for discount in discounts:
        _apply_to_invoice(lines, discount)
    for line in lines:
        line.taxes = _taxes(line)
    exclusive = sum(tax.amount for line in lines for tax in line.taxes if not tax.terms.inclusive)
    taxes = _summed([tax for line in lines for tax in line.taxes])
    total = sum(line.net for line in lines) + exclusive + shipping
    return InvoiceAmounts(
        subtotal=subtotal,
        subtotal_excluding_tax=subtotal_excluding_tax,
        total=total,
        total_excluding_tax=total - sum(tax.amount for tax in taxes),
        discounts=_summed_discounts(lines),
        taxes=taxes,
    )


def _taken(discount: Discount, base: int) -> int:
    if discount.percent is not None:
        return rounded(base * discount.percent / 100)
    return min(discount.amount_off or 0, base)


def _apply_to_invoice(lines: Sequence[LineAmounts], discount: Discount) -> None:
    open_lines = [line for line in lines if line.discountable and line.net > 0]
    weights = [line.net for line in open_lines]
    for line, share in zip(open_lines, share_out(_taken(discount, sum(weights)), weights), strict=True):
        line.discounts.append((discount.id, share))


def _inclusive(line: LineAmounts) -> int:
    together = sum((terms.percent for terms in line.tax_terms if terms.inclusive), Decimal(0))
    return sum(rounded(line.net * terms.percent / (100 + together)) for terms in line.tax_terms if terms.inclusive)


def _taxes(line: LineAmounts) -> list[TaxAmount]:
    together = sum((terms.percent for terms in line.tax_terms if terms.inclusive), Decimal(0))
    taxable = line.net - _inclusive(line)
    amounts = []
    for terms in line.tax_terms:
        base = line.net * terms.percent / (100 + together) if terms.inclusive else taxable * terms.percent / 100
        amounts.append(TaxAmount(terms, rounded(base), taxable))
    return amounts


def _summed(taxes: Sequence[TaxAmount]) -> list[TaxAmount]:
    sums: dict[TaxTerms, TaxAmount] = {}
    for tax in taxes:
        before = sums.get(tax.terms)
        sums[tax.terms] = TaxAmount(
            tax.terms,
            tax.amount + (before.amount if before else 0),
            tax.taxable + (before.taxable if before else 0),
        )
    return list(sums.values())


def _summed_discounts(lines: Sequence[LineAmounts]) -> list[tuple[str, int]]:
    sums: dict[str, int] = {}
    for line in lines:
        for discount, taken in line.discounts:
            sums[discount] = sums.get(discount, 0) + taken
    return list(sums.items())
