"""The language that a document speaks to its buyer, for the words that are written into it."""

from collections.abc import Container, Iterator

from babel.languages import get_official_languages

from cloudify_pipeline.planning.records import Record
from cloudify_pipeline.planning.vat import NORTHERN_IRELAND
from cloudify_pipeline.planning.vat_buyers import buyer_of
from cloudify_pipeline.settings.models import VatSettings

FALLBACK = "en"


def language_of(record: Record, vat: VatSettings, known: Container[str]) -> str:
    """The first language of the buyer among `known`: its own choice in Stripe, then its country's, then English."""
    return next((one for one in _wanted(record, vat) if one in known), FALLBACK)


def _wanted(record: Record, vat: VatSettings) -> Iterator[str]:
    for locale in (record.customer or {}).get("preferred_locales") or ():
        yield str(locale).replace("_", "-").partition("-")[0].lower()
    country = buyer_of(record, vat.supply_default).country
    if country and country != NORTHERN_IRELAND:
        yield from get_official_languages(country, de_facto=True)
