"""Facts of European VAT that no ledger holds: member states, special territories, the country a VAT number speaks for.

Source: Council Directive 2006/112/EC art. 5–6; reference/product.md §4.2.
"""

EU = frozenset("AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK".split())  # noqa: SIM905
"""Member states by ISO code. Monaco is taxed as France, see :func:`vat_country`."""

OUTSIDE_DANISH_VAT = frozenset({"GL", "FO"})
"""Parts of the Kingdom of Denmark to which Danish VAT never applies."""

_POSTAL_TERRITORIES = {
    "FI": (("22", "AX"),),
    "ES": (("35", "IC"), ("38", "IC"), ("51", "EA"), ("52", "EA")),
    "GB": (("BT", "XI"),),
}
SPECIAL = {
    "AX": "Åland",
    "IC": "the Canary Islands",
    "EA": "Ceuta and Melilla",
    "XI": "Northern Ireland",
}
"""Territories whose VAT depends on what is sold: a person maps them, or the document waits."""


def vat_country(country: str) -> str:
    """The state whose VAT applies in `country` (ISO code): Monaco is France; every other country is itself."""
    return {"MC": "FR"}.get(country, country)


def special_territory(country: str, postal_code: str | None) -> str | None:
    """The code of the special territory that the address lies in, or None. GB with a BT postal code is Northern Ireland."""
    if country in SPECIAL:
        return country
    code = (postal_code or "").strip().upper()
    return next((name for prefix, name in _POSTAL_TERRITORIES.get(country, ()) if code.startswith(prefix)), None)


def number_country(vat_number: str) -> str:
    """The ISO code of the state that issued an EU VAT number: its prefix, where Greece writes EL. XI is Northern Ireland."""
    prefix = vat_number.strip().upper()[:2]
    return "GR" if prefix == "EL" else prefix
