"""What the keys of `vat` demand of each other and of the catalogues."""

import re
from collections.abc import Iterator

from babel import Locale

from cloudify_pipeline.accounting.vat import EU, OUTSIDE_DANISH_VAT, SPECIAL, number_fault
from cloudify_pipeline.mapping.paths import PathError, parse_path
from cloudify_pipeline.mapping.sources import type_of, unknown_path
from cloudify_pipeline.settings.findings import Finding, Seen
from cloudify_pipeline.stripe_objects import STATE_KEYS

_POSTAL = re.compile(r"([A-Za-z]{2})-[A-Za-z0-9]+")
_PLACEHOLDER = re.compile(r"\{[^}]*\}?")
_NUMBER = "{vat_number}"
_TEXT_LENGTH = 250
"""With the number this fits the shortest text a ledger line or note takes."""


def vat_countries_are_countries(seen: Seen) -> Iterator[Finding]:
    """V-3: exceptions name real countries, or a country and the beginning of its postal codes."""
    for country in seen.settings.vat.countries:
        postal = _POSTAL.fullmatch(country)
        # What the rules know by themselves needs no list of the world's countries, which takes long to read.
        if country.upper() not in SPECIAL.keys() | OUTSIDE_DANISH_VAT and not is_country(postal.group(1) if postal else country):
            yield Finding(f"vat.countries.{country}", country, "a country code such as GL, or with a postal code as in DE-78266")


def vat_zone_paths_exist(seen: Seen) -> Iterator[Finding]:
    """A zone is read from a Stripe field that there is, and that this software does not write itself."""
    for place, text in enumerate(seen.settings.vat.zone_from):
        key = f"vat.zone_from[{place}]"
        try:
            path = parse_path(text)
        except PathError as error:
            yield Finding(key, text, error.allowed)
            continue
        if len(path.parts) == 2 and path.parts[0] == "metadata" and path.parts[1] in STATE_KEYS:
            yield Finding(key, text, "another key: invoices.write_back writes this one itself")
        elif seen.catalogues is not None and type_of(path, seen.catalogues.stripe["invoices"]) is None:
            yield Finding(key, text, unknown_path(path, seen.catalogues.stripe["invoices"]))


def vat_evidence_can_be_shown(seen: Seen) -> Iterator[Finding]:
    """V-5: VIES gives the consultation number, by which an answer can be shown, to a VAT number that there can be."""
    evidence = seen.settings.vat.evidence
    key = "vat.evidence.requester"
    if evidence.requester is not None and number_fault(evidence.requester) is not None:
        yield Finding(key, evidence.requester, "the seller's own VAT number with its country, as in DK13585628")
    elif evidence.requester is not None and not evidence.vies:
        yield Finding(key, "vies: false", "it is used with vat.evidence.vies: true only", refused=False)
    elif evidence.vies and evidence.requester is None:
        yield Finding(key, "nothing", "without the seller's own VAT number VIES gives no consultation number", refused=False)


def one_stop_shop_is_for_other_member_states(seen: Seen) -> Iterator[Finding]:
    """V-8: the scheme is for consumers in other member states; goods to Northern Ireland count among them."""
    oss = seen.settings.vat.oss
    for country in oss.zones:
        if country.upper() not in (EU | {"XI"}) - {"DK"}:
            yield Finding(f"vat.oss.zones.{country}", country, "another EU member state's code, such as SE")
    if oss.from_ is not None and not oss.zones:
        yield Finding("vat.oss.from", oss.from_.isoformat(), "vat.oss.zones names the ledger's zone of each country")


def reverse_charge_texts_can_be_written(seen: Seen) -> Iterator[Finding]:
    """V-7: per language, not empty, and with no placeholder but the buyer's VAT number."""
    for language, text in seen.settings.vat.reverse_charge_text.items():
        key = f"vat.reverse_charge_text.{language}"
        if not re.fullmatch(r"[a-z]{2}", language) or language not in Locale("en").languages:
            yield Finding(key, language, "a language's code in small letters, such as da")
        unknown = [one for one in _PLACEHOLDER.findall(text) if one != _NUMBER]
        if not text.strip():
            yield Finding(key, "an empty text", "the words that the invoice must carry")
        elif unknown:
            yield Finding(key, unknown[0], f"only {_NUMBER} is filled in")
        elif len(text) > _TEXT_LENGTH:
            yield Finding(key, f"{len(text)} characters", f"at most {_TEXT_LENGTH} characters")


def reverse_charge_field_exists(seen: Seen) -> Iterator[Finding]:
    """V-7: the field is one of the ledger's documents that may be written, and holds text."""
    target = seen.settings.vat.reverse_charge_field
    if target is None or seen.catalogues is None or not seen.wrote("vat", "reverse_charge_field"):
        return
    found = seen.catalogues.ledger["documents"].get(target)
    if found is None or not found.writable or found.reserved or found.type != "text" or target.startswith("lines."):
        yield Finding("vat.reverse_charge_field", target, "a text field of the ledger's documents, or null for a line of text")


def is_country(code: str) -> bool:
    """Whether `code` is an ISO 3166 alpha-2 country code, in any case."""
    return len(code) == 2 and code.isascii() and code.isalpha() and code.upper() in _countries()


def _countries() -> set[str]:
    # CLDR's table also has groups that are no countries.
    codes = {str(code) for code in Locale("en").territories}
    return {code for code in codes if len(code) == 2} - {"EU", "EZ", "UN", "QO", "ZZ", "XA", "XB"}
