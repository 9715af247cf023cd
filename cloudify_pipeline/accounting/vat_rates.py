"""The member states' standard VAT rates by date: a sanity check of what was charged, never the source of a rate.

What the ledger computes comes from its own VAT codes. Source: the rates in force as the member states notify them to the
Commission (taxation-customs.ec.europa.eu, "VAT rates"); changes since 2020 are listed with their first day. Temporary
reductions of 2020 (Germany, Ireland) and 2023 (Luxembourg) have an end of their own.
"""

from datetime import date
from decimal import Decimal

_EVER = date.min
_STANDARD: dict[str, tuple[tuple[date, str], ...]] = {
    "AT": ((_EVER, "20"),),
    "BE": ((_EVER, "21"),),
    "BG": ((_EVER, "20"),),
    "CY": ((_EVER, "19"),),
    "CZ": ((_EVER, "21"),),
    "DE": ((_EVER, "19"), (date(2020, 7, 1), "16"), (date(2021, 1, 1), "19")),
    "DK": ((_EVER, "25"),),
    "EE": ((_EVER, "20"), (date(2024, 1, 1), "22"), (date(2025, 7, 1), "24")),
    "ES": ((_EVER, "21"),),
    "FI": ((_EVER, "24"), (date(2024, 9, 1), "25.5")),
    "FR": ((_EVER, "20"),),
    "GR": ((_EVER, "24"),),
    "HR": ((_EVER, "25"),),
    "HU": ((_EVER, "27"),),
    "IE": ((_EVER, "23"), (date(2020, 9, 1), "21"), (date(2021, 3, 1), "23")),
    "IT": ((_EVER, "22"),),
    "LT": ((_EVER, "21"),),
    "LU": ((_EVER, "17"), (date(2023, 1, 1), "16"), (date(2024, 1, 1), "17")),
    "LV": ((_EVER, "21"),),
    "MT": ((_EVER, "18"),),
    "NL": ((_EVER, "21"),),
    "PL": ((_EVER, "23"),),
    "PT": ((_EVER, "23"),),
    "RO": ((_EVER, "19"), (date(2025, 8, 1), "21")),
    "SE": ((_EVER, "25"),),
    "SI": ((_EVER, "22"),),
    "SK": ((_EVER, "20"), (date(2025, 1, 1), "23")),
}


def standard_rate(country: str, day: date) -> Decimal | None:
    """Percent in `country` (ISO code) on `day`; None for what is no member state."""
    since = [rate for first, rate in _STANDARD.get(country, ()) if first <= day]
    return Decimal(since[-1]) if since else None


def outdated_rate(country: str, rate: Decimal, day: date) -> bool:
    """Whether `rate` was or will be the standard rate of `country`, and is not on `day`."""
    return rate != standard_rate(country, day) and any(Decimal(known) == rate for _, known in _STANDARD.get(country, ()))
