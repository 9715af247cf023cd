"""Facts of European VAT that no ledger holds: member states, special territories, and the numbers by which buyers are known.

Sources: Council Directive 2006/112/EC art. 5–7 and annex XII; for Northern Ireland Directive (EU) 2020/1756;
reference/product.md §4.2.
"""

import re
from dataclasses import dataclass
from typing import Literal

from stdnum.eu import vat as eu_vat
from stdnum.exceptions import InvalidChecksum, ValidationError

EU = frozenset("AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK".split())  # noqa: SIM905
"""Member states by ISO code. Monaco is taxed as France, see :func:`vat_country`."""

OUTSIDE_DANISH_VAT = frozenset({"GL", "FO"})
"""Parts of the Kingdom of Denmark to which Danish VAT never applies."""

SPECIAL = {
    "AX": "Åland",
    "IC": "the Canary Islands",
    "EA": "Ceuta and Melilla",
    "XI": "Northern Ireland",
    "DE-27498": "Heligoland",
    "DE-78266": "Büsingen",
    "IT-22061": "Campione d'Italia",
    "IT-23041": "Livigno",
    "GR-63086": "Mount Athos",
}
"""Territories whose VAT depends on what is sold: a person maps them, or the document waits. A key is the territory's own code,
or its country and postal code where it has none."""


@dataclass(frozen=True, slots=True)
class _Area:
    """Postal codes of `country` that lie in `code`; with `city`, only when that town, or no town at all, is named."""

    country: str
    postal: str
    code: str
    city: str = ""


_AREAS = tuple(
    _Area(*row)
    for row in (
        ("FI", "22", "AX"),
        ("ES", "35", "IC"),
        ("ES", "38", "IC"),
        ("ES", "51", "EA"),
        ("ES", "52", "EA"),
        ("GB", "BT", "XI"),
        ("DE", "27498", "DE-27498"),
        ("DE", "78266", "DE-78266"),
        ("IT", "22061", "IT-22061"),
        ("IT", "23041", "IT-23041"),
        ("IT", "23030", "IT-23041", "LIVIGNO"),
        ("GR", "63086", "GR-63086"),
        ("GR", "63087", "GR-63086"),
        ("DK", "39", "GL"),
        ("FR", "97133", "BL"),
        ("FR", "97150", "MF"),
        ("FR", "971", "GP"),
        ("FR", "972", "MQ"),
        ("FR", "973", "GF"),
        ("FR", "974", "RE"),
        ("FR", "975", "PM"),
        ("FR", "976", "YT"),
        ("FR", "977", "BL"),
        ("FR", "978", "MF"),
        ("FR", "984", "TF"),
        ("FR", "986", "WF"),
        ("FR", "987", "PF"),
        ("FR", "988", "NC"),
    )
)
_FAROESE = re.compile(r"[0-9]{3}")
"""Danish postal codes have four digits, Faroese ones three."""
_COUNTRY_IN_FRONT = re.compile(r"^[A-Z]{1,2}-?(?=[0-9])")


def vat_country(country: str) -> str:
    """The state whose VAT applies in `country` (ISO code): Monaco is France; every other country is itself."""
    return {"MC": "FR"}.get(country, country)


def plain_postal_code(country: str, postal_code: str | None) -> str:
    """Without spaces and without a country in front: ``D-78266`` and ``782 66`` are ``78266``."""
    code = re.sub(r"\s", "", postal_code or "").upper()
    # British postal codes begin with letters that mean something.
    return code if country == "GB" else _COUNTRY_IN_FRONT.sub("", code)


def special_territory(country: str, postal_code: str | None, city: str | None = None) -> str | None:
    """The code of the territory with VAT rules of its own that the address lies in, or None.

    Either one of :data:`SPECIAL`, or the ISO code of a part of the same kingdom or republic that lies outside the Union's VAT
    (Greenland, Réunion, …), where the address names the mother country and only the postal code tells.
    """
    if country in SPECIAL:
        return country
    code = plain_postal_code(country, postal_code)
    if country == "DK" and _FAROESE.fullmatch(code):
        return "FO"
    town = (city or "").strip().upper()
    for area in _AREAS:
        if area.country == country and code.startswith(area.postal) and (not area.city or town in {"", area.city}):
            return area.code
    return None


def plain_number(vat_number: str) -> str:
    """A VAT number without spaces, dots and dashes, in capitals."""
    return re.sub(r"[\s.\-]", "", vat_number).upper()


def number_country(vat_number: str) -> str:
    """The ISO code of the state that issued an EU VAT number: its prefix, where Greece writes EL. XI is Northern Ireland."""
    prefix = vat_number.strip().upper()[:2]
    return "GR" if prefix == "EL" else prefix


def number_fault(vat_number: str) -> Literal["form", "check digit"] | None:
    """What is wrong with an EU VAT number as it is written: its form (prefix, length, signs) or its check digit.

    A Danish one is DK and a CVR number: 8 digits, modulus 11. No fault does not mean that the number is in use.
    """
    try:
        eu_vat.validate(plain_number(vat_number))
    except InvalidChecksum:
        return "check digit"
    except ValidationError:
        return "form"
    return None
