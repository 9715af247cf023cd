"""The line of text by which a correction names the document that it takes back, in the buyer's language.

A credit note must refer to its invoice unmistakably (directive 2006/112/EC art. 219): by the ledger's number once the
invoice is booked, before that by Stripe's.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from babel.languages import get_official_languages

from cloudify_pipeline.accounting.chart import Number
from cloudify_pipeline.planning.records import InvoiceRecord, Record, billing_country, book_date

Why = Literal["credit_note", "refund", "void", "uncollectible", "returned", "dispute", "won", "invoiced"]
NUMBER = "{number}"
"""Where the ledger's number of the original stands in a text, as long as nobody knows it."""

_FALLBACK = "en"
_WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "credit_note": "Credit note {id} for {original}",
        "refund": "Refund {id} of {original}",
        "void": "Reversal of {original}: the invoice was voided",
        "uncollectible": "Reversal of {original}: the invoice was written off",
        "returned": "Reversal of refund {id}, which did not succeed, of {original}",
        "dispute": "Reversal of {original}: dispute {id} was lost",
        "won": "Reinstatement of {original}: dispute {id} was won after all",
        "invoiced": "Reversal of {original}: it is invoiced as {id}",
        "invoice": "invoice",
        "payment": "payment",
        "of": "of",
    },
    "da": {
        "credit_note": "Kreditnota {id} til {original}",
        "refund": "Tilbagebetaling {id} af {original}",
        "void": "Tilbageførsel af {original}: fakturaen er annulleret",
        "uncollectible": "Tilbageførsel af {original}: fakturaen er afskrevet",
        "returned": "Tilbageførsel af tilbagebetaling {id}, som ikke blev gennemført, af {original}",
        "dispute": "Tilbageførsel af {original}: indsigelse {id} er tabt",
        "won": "Genindførsel af {original}: indsigelse {id} blev alligevel vundet",
        "invoiced": "Tilbageførsel af {original}: den er faktureret som {id}",
        "invoice": "faktura",
        "payment": "betaling",
        "of": "af",
    },
}


@dataclass(frozen=True, slots=True)
class Naming:
    """A correction's line of text: `unbooked` names the original as Stripe does, `booked` has a place for its number."""

    unbooked: str
    booked: str

    def of(self, number: Number | None) -> str:
        """The text with the original's ledger number; without one as Stripe names it."""
        return self.unbooked if number is None else self.booked.replace(NUMBER, str(number))


def naming(why: Why, name: str, original: Record) -> Naming:
    """How the correction `name` (a credit note's number, the id of a refund or dispute) names `original`."""
    words = _WORDS[_language(original)]
    what = words["invoice" if isinstance(original, InvoiceRecord) else "payment"]
    moment = original.instant("effective_at") or original.instant("finalized_at")
    on = "" if moment is None else f" {words['of']} {book_date(moment).isoformat()}"
    key = f"stripe:{original.stripe_id}"
    number = f" {original.number}" if original.number else ""
    stripes = f"Stripe {original.number}, {key}" if original.number else key
    return Naming(
        words[why].format(id=name, original=f"{what}{number}{on} ({key})"),
        words[why].format(id=name, original=f"{what} {NUMBER}{on} ({stripes})"),
    )


def _language(original: Record) -> str:
    """The first language of the buyer that there are words in: its own choice in Stripe, then its country's, then English."""
    return next((one for one in _wanted(original) if one in _WORDS), _FALLBACK)


def _wanted(original: Record) -> Iterator[str]:
    for locale in (original.customer or {}).get("preferred_locales") or ():
        yield str(locale).replace("_", "-").partition("-")[0].lower()
    country = billing_country(original)
    if country is not None:
        yield from get_official_languages(country, de_facto=True)
