"""Invoices as Stripe computes them, made from a seed: whole numbers of minor units throughout, and no code of planning.

Stripe's order (reference/stripe.md §2): quantity × unit amount, rounded; the line's own discounts; the invoice's discounts,
shared out over the lines that may be discounted; tax on what is left of each line, on top or inside; the total. A seller may
have tax rounded once for the whole invoice instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from random import Random
from typing import Any, Literal

ZERO = ("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF")
THREE = ("BHD", "JOD", "KWD", "OMR", "TND")
WHOLE = ("ISK", "UGX")
_TWO = """
AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BWP BYN BZD CAD CDF CHF CNY COP CRC CVE CZK
DKK DOP DZD EGP ETB EUR FJD FKP GBP GEL GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR JMD KES KGS KHR KYD KZT LAK LBP LKR
LRD LSL MAD MDL MKD MMK MNT MOP MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB
SAR SBD SCR SEK SGD SHP SLE SOS SRD STD SZL THB TJS TOP TRY TTD TWD TZS UAH USD UYU UZS WST XCD YER ZAR ZMW
"""
TWO = tuple(_TWO.split())

Regime = Literal["danish", "swedish", "french", "swiss", "reverse", "abroad"]
RATES: dict[Regime, tuple[str, ...]] = {
    "danish": ("25", "0", "25", "25"),
    "swedish": ("25", "0", "12", "6"),
    "french": ("20", "0", "10", "5.5"),
    "swiss": ("8.1", "0", "2.6", "3.8"),
    "reverse": ("0", "0", "0", "0"),
    "abroad": ("0", "0", "0", "0"),
}
"""VAT of the four goods, in percent, where the buyer is."""
GOODS = ("prod_0", "prod_1", "prod_2", "prod_3")


def exponent(currency: str) -> int:
    """Decimals of a minor unit."""
    return 0 if currency in ZERO else 3 if currency in THREE else 2


def grain(currency: str) -> int:
    """Amounts are multiples of this many minor units."""
    return 10 if currency in THREE else 100 if currency in WHOLE else 1


@dataclass(slots=True)
class Line:
    """One line on its way to Stripe's shape; `left` is its amount after the discounts so far."""

    amount: int
    good: int
    quantity: Fraction = Fraction(1)
    unit: Fraction | None = None
    discountable: bool = True
    discounts: list[tuple[str, int]] = field(default_factory=list)
    own: list[str] = field(default_factory=list)
    tax: int = 0
    proration: bool = False

    @property
    def left(self) -> int:
        return self.amount - sum(taken for _, taken in self.discounts)


@dataclass(frozen=True, slots=True)
class Made:
    """An invoice, the tax rates it names, and what it is an example of."""

    invoice: dict[str, Any]
    rates: dict[str, dict[str, Any]]
    regime: Regime
    currency: str
    inclusive: bool
    once: bool


def invoice(seed: int) -> Made:
    """The invoice of `seed`: always the same one."""
    return _Maker(Random(seed), seed).make()


class _Maker:
    def __init__(self, random: Random, seed: int) -> None:
        self.random, self.seed = random, seed
        pick = random.random()
        self.currency = (
            "DKK" if pick < 0.4 else "EUR" if pick < 0.52 else "USD" if pick < 0.58 else random.choice(TWO + ZERO + THREE + WHOLE)
        )
        self.regime: Regime = random.choices(tuple(RATES), (50, 12, 12, 6, 8, 12))[0]
        self.inclusive = random.random() < 0.4
        self.once = random.random() < 0.08
        self.grain = grain(self.currency)
        # A seller who sends thousandths in a currency of three decimals, against the rule of card networks.
        if self.currency in THREE and random.random() < 0.2:
            self.grain = 1

    def round(self, amount: Fraction) -> int:
        """To the nearest multiple of the currency's grain, halves away from zero."""
        units = abs(amount) / self.grain
        whole = (2 * units.numerator + units.denominator) // (2 * units.denominator)
        return int(whole) * self.grain * (1 if amount >= 0 else -1)

    def make(self) -> Made:
        lines = self._lines()
        self._discount(lines)
        rates = RATES[self.regime]
        for line in lines:
            line.tax = self._tax(line.left, Fraction(rates[line.good]))
        shipping = self._shipping()
        totals = self._total_taxes(lines)
        on_top = 0 if self.inclusive else sum(tax["amount"] for tax in totals)
        total = sum(line.left for line in lines) + on_top + (shipping["amount_total"] if shipping else 0)
        balance = -self.random.randrange(1, abs(total) + 2) if total > 0 and self.random.random() < 0.1 else 0
        made = {
            "id": f"in_{self.seed}",
            "object": "invoice",
            "number": f"GEN-{self.seed:06}",
            "status": "paid",
            "currency": self.currency.lower(),
            "customer": "cus_1",
            "customer_name": "Frøstrup ApS",
            "customer_address": {"country": "DK"},
            "collection_method": "charge_automatically",
            "created": 1794312000,
            "effective_at": 1794312000,
            "due_date": None,
            "status_transitions": {"finalized_at": 1794312000, "paid_at": 1794312000},
            "metadata": {},
            "starting_balance": balance,
            "ending_balance": 0,
            "amount_due": max(total + balance, 0),
            "subtotal": sum(line.left for line in lines),
            "total_discount_amounts": self._total_discounts(lines),
            "total_taxes": totals,
            "shipping_cost": shipping,
            "discounts": [],
            "total": total,
            "lines": {"object": "list", "has_more": False, "data": [self._shown(n, line) for n, line in enumerate(lines)]},
        }
        known = {self._rate_id(rate): self._rate(rate) for rate in {*rates, rates[0]}}
        return Made(made, known, self.regime, self.currency, self.inclusive, self.once)

    # Lines

    def _lines(self) -> list[Line]:
        pick = self.random.random()
        count = self.random.choices((1, 2, 3, 4, 6, 9), (40, 22, 14, 10, 8, 6))[0]
        if pick < 0.006:
            count = self.random.randrange(101, 161)
        lines: list[Line] = []
        while len(lines) < count:
            lines += self._priced()
        return lines

    def _priced(self) -> list[Line]:
        kind = self.random.choices(
            ("unit", "small", "decimal", "fraction", "tiers", "volume", "package", "amount", "proration", "free"),
            (40, 6, 8, 6, 6, 4, 4, 8, 10, 3),
        )[0]
        good = self.random.choices((0, 1, 2, 3), (70, 6, 14, 10))[0]
        ways = {"tiers": self._tiers, "package": self._package, "amount": self._amount, "proration": self._proration}
        if kind in ways:
            return ways[kind](good)
        if kind == "free":
            return [Line(0, good, Fraction(1), Fraction(0))]
        usual = (1, 2, 3, 7, 10, 100, self.random.randrange(1, 500))
        quantity = Fraction(self.random.choices(usual, (50, 10, 10, 5, 5, 5, 15))[0])
        unit = Fraction(self._price())
        if kind == "small":
            unit = Fraction(self.random.randrange(1, 10**6), 10**4)
            quantity = Fraction(self.random.randrange(100, 2_000_000))
        elif kind == "decimal":
            unit = Fraction(self.random.randrange(1, 10**17), 10**12)
        elif kind == "fraction":
            quantity = Fraction(self.random.randrange(1, 40_000), 10 ** self.random.choice((1, 2, 3, 6)))
        return [Line(self.round(quantity * unit), good, quantity, unit)]

    def _price(self) -> int:
        random = self.random
        whole = random.choice((random.randrange(1, 100), random.randrange(100, 20_000), random.randrange(1, 3_000_000)))
        ending = self.random.choice((whole, whole * 100 - 1, whole * 100 + 95, whole * 10))
        return self.round(Fraction(ending)) or self.grain

    def _tiers(self, good: int) -> list[Line]:
        """Graduated: one line a tier, and a flat fee."""
        lines = [Line(self._price(), good, Fraction(1), None)] if self.random.random() < 0.5 else []
        for size in (10, 40, self.random.randrange(1, 900)):
            unit = Fraction(self.random.randrange(1, 10**6), 10**2)
            lines.append(Line(self.round(size * unit), good, Fraction(size), unit))
        return lines

    def _package(self, good: int) -> list[Line]:
        """A price for each started thousand: quantity × price is not the amount."""
        quantity, price = self.random.randrange(1, 20_000), self._price()
        return [Line(-(-quantity // 1000) * price, good, Fraction(quantity), Fraction(price))]

    def _amount(self, good: int) -> list[Line]:
        return [Line(self._price(), good, Fraction(self.random.choice((1, 1, 3))), None)]

    def _proration(self, good: int) -> list[Line]:
        """Unused time goes back, remaining time is charged; at a downgrade more goes back."""
        price, part = self._price(), Fraction(self.random.randrange(1, 2_678_400), 2_678_400)
        other = self.round(Fraction(price) * self.random.randrange(20, 300) / 100)
        back = Line(-self.round(price * part), good, Fraction(1), None, discountable=False, proration=True)
        on = Line(self.round(other * part), good, Fraction(1), None, discountable=False, proration=True)
        return [back, on] if self.random.random() < 0.85 else [back]

    # Discounts

    def _discount(self, lines: list[Line]) -> None:
        if self.random.random() < 0.2:
            for line in lines:
                for n in range(self.random.choices((0, 1, 2), (60, 30, 10))[0]):
                    if line.discountable and line.left > 0:
                        taken = self._taken(line.left)
                        line.discounts.append((f"di_line_{n}", taken))
                        line.own.append(f"di_line_{n}")
        for n in range(self.random.choices((0, 1, 2, 3), (70, 22, 6, 2))[0]):
            among = [line for line in lines if line.discountable and line.left > 0]
            weights = [line.left for line in among]
            if not among:
                return
            for line, share in zip(among, self._shared(self._taken(sum(weights)), weights), strict=True):
                line.discounts.append((f"di_invoice_{n}", share))

    def _taken(self, base: int) -> int:
        """A percentage, sometimes all of it, or an amount."""
        if self.random.random() < 0.6:
            percent = self.random.choice(("5", "10", "12.5", "20", "25", "33.33", "50", "66.7", "100"))
            return self.round(base * Fraction(percent) / 100)
        return min(self._price(), base)

    def _shared(self, amount: int, weights: Sequence[int]) -> list[int]:
        """In proportion, the sum exact: what is left over goes where it was cut most."""
        grain, total = self.grain, sum(weights)
        shares = [amount * weight // (total * grain) * grain for weight in weights]
        order = sorted(range(len(weights)), key=lambda at: (shares[at] - Fraction(amount * weights[at], total), at))
        rest = amount - sum(shares)
        for at in order:
            step = min(grain, rest)
            shares[at] += step
            rest -= step
        return shares

    # Tax

    def _tax(self, left: int, rate: Fraction) -> int:
        return self.round(left * rate / (100 + rate) if self.inclusive else left * rate / 100)

    def _total_taxes(self, lines: list[Line]) -> list[dict[str, Any]]:
        totals = []
        for rate in dict.fromkeys(RATES[self.regime]):
            those = [line for line in lines if RATES[self.regime][line.good] == rate]
            if those and self.regime != "abroad":
                amount = sum(line.tax for line in those)
                if self.once:
                    amount = self._tax(sum(line.left for line in those), Fraction(rate))
                totals.append(self._tax_shown(rate, amount, sum(line.left for line in those)))
        return totals

    def _shipping(self) -> dict[str, Any] | None:
        if self.random.random() > 0.1:
            return None
        rate, price = RATES[self.regime][0], self._price()
        tax = self._tax(price, Fraction(rate))
        total = price if self.inclusive else price + tax
        return {
            "amount_subtotal": price,
            "amount_tax": tax,
            "amount_total": total,
            "taxes": [] if self.regime == "abroad" else [self._tax_shown(rate, tax, price)],
        }

    # Stripe's shapes

    def _rate_id(self, rate: str) -> str:
        return f"txr_{rate}_{'in' if self.inclusive else 'ex'}"

    def _rate(self, rate: str) -> dict[str, Any]:
        return {"id": self._rate_id(rate), "percentage": rate, "inclusive": self.inclusive}

    def _tax_shown(self, rate: str, amount: int, left: int) -> dict[str, Any]:
        reason = "reverse_charge" if self.regime == "reverse" else "zero_rated" if rate == "0" else "standard_rated"
        return {
            "amount": amount,
            "taxable_amount": left - amount if self.inclusive else left,
            "tax_behavior": "inclusive" if self.inclusive else "exclusive",
            "taxability_reason": reason,
            "type": "tax_rate_details",
            "tax_rate_details": {"tax_rate": self._rate_id(rate)},
        }

    def _total_discounts(self, lines: list[Line]) -> list[dict[str, Any]]:
        sums: dict[str, int] = {}
        for line in lines:
            for name, taken in line.discounts:
                sums[name] = sums.get(name, 0) + taken
        return [{"amount": amount, "discount": name} for name, amount in sums.items()]

    def _shown(self, index: int, line: Line) -> dict[str, Any]:
        rate = RATES[self.regime][line.good]
        return {
            "id": f"il_{index}",
            "object": "line_item",
            "amount": line.amount,
            "currency": self.currency.lower(),
            "description": f"Line {index}",
            "discountable": line.discountable,
            "discount_amounts": [{"amount": taken, "discount": name} for name, taken in line.discounts],
            "discounts": line.own,
            "quantity": int(line.quantity),
            "quantity_decimal": _decimal(line.quantity),
            "metadata": {},
            "parent": {"invoice_item_details": {"proration": line.proration}},
            "pricing": {
                "type": "price_details",
                "unit_amount_decimal": None if line.unit is None else _decimal(line.unit),
                "price_details": {"price": "price_1", "product": GOODS[line.good]},
            },
            "taxes": [] if self.regime == "abroad" else [self._tax_shown(rate, line.tax, line.left)],
        }


def _decimal(number: Fraction) -> str:
    """At most twelve decimals, as Stripe writes them."""
    scaled = number * 10**12
    assert scaled.denominator == 1, number
    whole, rest = divmod(int(scaled), 10**12)
    return f"{whole}.{rest:012}".rstrip("0").rstrip(".")
