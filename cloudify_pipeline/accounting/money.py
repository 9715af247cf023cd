"""Money: Stripe's minor units as exact decimals.

Stripe's currency table differs from ISO 4217 (ISK and UGX are sent with two decimals that are always 00, MGA with none),
so it stands here in full and no general library is asked. Source: docs.stripe.com/currencies, reference/stripe.md §2.3, whose
list of currencies without decimals has UGX too: as the special case it is, 5 UGX are sent as 500, and that is what counts here.
"""

from decimal import ROUND_HALF_UP, Decimal

ZERO_DECIMAL = frozenset(
    "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF".split()  # noqa: SIM905
)
THREE_DECIMAL = frozenset("BHD JOD KWD OMR TND".split())  # noqa: SIM905
WHOLE_UNITS = frozenset({"ISK", "UGX"})
"""Sent with two decimals that are always 00."""


def decimals(currency: str) -> int:
    """How many decimals a minor unit of `currency` (ISO code, any case) has at Stripe: 0, 2 or 3."""
    code = currency.upper()
    if code in ZERO_DECIMAL:
        return 0
    return 3 if code in THREE_DECIMAL else 2


def smallest(currency: str) -> int:
    """The minor units that all amounts in `currency` are multiples of at Stripe: 1, 10 (three decimals) or 100 (whole units)."""
    code = currency.upper()
    if code in WHOLE_UNITS:
        return 100
    return 10 if code in THREE_DECIMAL else 1


def from_minor(amount: int, currency: str) -> Decimal:
    """Stripe's integer `amount` in minor units as an exact amount: 12345, "dkk" → Decimal("123.45")."""
    return Decimal(amount).scaleb(-decimals(currency))


def to_minor(amount: Decimal, currency: str) -> int:
    """The inverse of :func:`from_minor`.

    Raises:
        ValueError: `amount` is finer than the currency's minor unit; money is never rounded silently.
    """
    scaled = amount.scaleb(decimals(currency))
    if scaled != scaled.to_integral_value():
        message = f"{amount} {currency.upper()} is finer than a minor unit"
        raise ValueError(message)
    return int(scaled)


def round_half_up(amount: Decimal, places: int = 2) -> Decimal:
    """Commercial rounding, the one bookkeeping uses: 0.125 → 0.13, -0.125 → -0.13."""
    rounded = amount.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)
    # No VAT on a negative amount would be -0.00.
    return rounded.copy_abs() if rounded.is_zero() else rounded


def format_money(amount: Decimal, currency: str) -> str:
    """For people: ``1,250.00 DKK``."""
    return f"{amount:,.{decimals(currency)}f} {currency.upper()}"
