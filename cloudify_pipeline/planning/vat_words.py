"""The words that a sale without VAT to an EU business must carry: reverse charge, and the buyer's VAT number.

Directive 2006/112/EC art. 226 no. 4 and 11a; the words are the directive's own in each language version.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from cloudify_pipeline.accounting.documents import FieldValue, SalesLine
from cloudify_pipeline.mapping.lineage import Lineage
from cloudify_pipeline.planning.languages import language_of
from cloudify_pipeline.planning.plans import Evidence
from cloudify_pipeline.planning.records import Record
from cloudify_pipeline.planning.vat import ZoneDecision, kind_of
from cloudify_pipeline.planning.vat_buyers import buyer_of
from cloudify_pipeline.settings.models import VatSettings

NUMBER = "{vat_number}"
"""Where the buyer's VAT number stands in a text."""

REVERSE_CHARGE: Mapping[str, str] = {
    "da": f"Omvendt betalingspligt. Købers momsnummer: {NUMBER}",
    "de": f"Steuerschuldnerschaft des Leistungsempfängers. USt-IdNr. des Kunden: {NUMBER}",
    "en": f"Reverse charge. Buyer's VAT number: {NUMBER}",
    "es": f"Inversión del sujeto pasivo. NIF-IVA del cliente: {NUMBER}",
    "fi": f"Käännetty verovelvollisuus. Ostajan ALV-numero: {NUMBER}",
    "fr": f"Autoliquidation. Numéro de TVA de l'acquéreur : {NUMBER}",
    "it": f"Inversione contabile. Partita IVA del cliente: {NUMBER}",
    "nl": f"Btw verlegd. Btw-nummer van de afnemer: {NUMBER}",
    "pl": f"Odwrotne obciążenie. Numer VAT nabywcy: {NUMBER}",
    "pt": f"Autoliquidação. Número de IVA do adquirente: {NUMBER}",
    "sv": f"Omvänd betalningsskyldighet. Köparens momsregistreringsnummer: {NUMBER}",
}


@dataclass(frozen=True, slots=True)
class Words:
    """What is added to a document: a field, or a text line where the field is taken; nothing for other zones."""

    fields: Mapping[str, FieldValue]
    lines: tuple[SalesLine, ...] = ()
    lineage: tuple[Lineage, ...] = ()
    evidence: tuple[Evidence, ...] = ()


def reverse_charge_words(record: Record, decided: ZoneDecision, fields: Mapping[str, FieldValue], vat: VatSettings) -> Words:
    """The words for `record`, in the buyer's language; `fields` are what mappings have filled already."""
    kind = kind_of(decided.zone, vat) if decided.kind == "customer" else decided.kind
    if kind != "eu":
        return Words({})
    buyer = buyer_of(record, vat.supply_default)
    language = language_of(record, vat, {*REVERSE_CHARGE, *vat.reverse_charge_text})
    text = _text(language, buyer.vat_number, vat)
    target = vat.reverse_charge_field
    as_field = target is not None and not fields.get(target)
    place = str(target) if as_field else "a line of text"
    source = "vat.reverse_charge_text" if language in vat.reverse_charge_text else "the words of the law"
    inputs = {"language": language, "vat_number": buyer.vat_number or "none", "place": place}
    evidence = (Evidence("reverse_charge", text, source, inputs),)
    if not as_field:
        return Words({}, (SalesLine(text),), evidence=evidence)
    return Words({str(target): text}, lineage=(Lineage(place, source, buyer.vat_number or "", (), text),), evidence=evidence)


def _text(language: str, number: str | None, vat: VatSettings) -> str:
    text = vat.reverse_charge_text.get(language) or REVERSE_CHARGE[language]
    if number is None:
        # The ledger customer's own zone: its number stands on the customer in the ledger.
        return text.partition(". ")[0] if NUMBER in text else text
    return text.replace(NUMBER, number) if NUMBER in text else f"{text} {number}"
