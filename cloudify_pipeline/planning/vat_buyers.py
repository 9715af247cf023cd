"""Who is taxed: the buyer as the invoice froze it, its VAT number, and what is known of that number as proof."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

from cloudify_pipeline.accounting.vat import number_fault, plain_number
from cloudify_pipeline.accounting.vat_evidence import NOTHING, Known
from cloudify_pipeline.planning.records import (
    ChargeRecord,
    InvoiceRecord,
    Raw,
    Record,
    billing_address,
    book_date,
    instant,
    shipping_address,
    sold,
)
from cloudify_pipeline.planning.vat_evidence import Proof, prove

Supply = Literal["goods", "services"]


@dataclass(frozen=True, slots=True)
class Buyer:
    """What the zone is decided from. `vat_number` is an EU VAT number, `verified` only by evidence of that very number.

    `doubt` is why it is not verified, where that is known, and `open` says that evidence may still come: such a number is no
    reason to tax a business as a private buyer. `fault` is what is wrong with the number as it is written; `on` the day of
    the supply, None for a customer as such.
    """

    country: str | None
    postal_code: str | None = None
    city: str | None = None
    exempt: str = "none"
    vat_number: str | None = None
    verified: bool = False
    doubt: str | None = None
    open: bool = False
    fault: Literal["form", "check digit"] | None = None
    on: date | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Claim:
    """A VAT number and Stripe's verification of it; `tax_id` is empty where the customer no longer has the number."""

    value: str
    tax_id: Raw

    @property
    def number(self) -> str:
        """Without spaces, in capitals."""
        return plain_number(self.value)

    @property
    def status(self) -> str:
        """Stripe's word on the number: verified, pending, unverified, unavailable or none."""
        return str((self.tax_id.get("verification") or {}).get("status") or "none")

    def proof(self, on: date | None, known: Known) -> Proof:
        """Whether it is proven on the day `on`."""
        status, tax_id = (self.status, str(self.tax_id.get("id") or "")) if self.tax_id else (None, None)
        return prove(self.number, status, tax_id, on, known)

    def inputs(self) -> dict[str, str]:
        """What is kept for the tax authorities. Stripe tells when it got the number, and not the day of its verification."""
        found = {"verification": self.status if self.tax_id else "the number is not on the Stripe customer"}
        if self.tax_id.get("id"):
            found["tax_id"] = str(self.tax_id["id"])
        given = instant(self.tax_id.get("created"))
        if given is not None:
            found["number_since"] = book_date(given).isoformat()
        verification = self.tax_id.get("verification") or {}
        for name in ("verified_name", "verified_address"):
            if verification.get(name):
                found[name] = str(verification[name])
        return found


def buyer_of(source: Record | Mapping[str, Any], supply: Supply | None = None, vat_numbers: Known | None = None) -> Buyer:
    """The buyer of an invoice as it was frozen, of a charge, or a Stripe customer as it is today.

    Goods are taxed where they go, services where the buyer is billed; as long as `supply` does not say which it is, the
    shipping address comes first, as in Stripe's own tax calculation. `vat_numbers` is what is known of a customer's VAT
    numbers; a record brings that itself.
    """
    source = sold(source) if isinstance(source, ChargeRecord) else source
    if isinstance(source, InvoiceRecord):
        places = shipping_address(source), billing_address(source)
        exempt = source.invoice.get("customer_tax_exempt")
        return _buyer(places, exempt, claims_of(source), supply, _day(source), source.vat_numbers)
    if isinstance(source, ChargeRecord):
        customer = source.customer or {}
        billing = billing_address(source)
        billing = billing if billing.get("country") else customer.get("address") or {}
        places = shipping_address(source), billing
        exempt = customer.get("tax_exempt")
        return _buyer(places, exempt, claims_of(source), supply, _day(source), source.vat_numbers)
    places = (source.get("shipping") or {}).get("address") or {}, source.get("address") or {}
    return _buyer(places, source.get("tax_exempt"), claims_of(source), supply, None, vat_numbers or NOTHING)


def claims_of(source: Record | Mapping[str, Any]) -> list[Claim]:
    """The EU VAT numbers of an invoice as it was frozen, of a charge's customer, or of a Stripe customer."""
    source = sold(source) if isinstance(source, ChargeRecord) else source
    if isinstance(source, InvoiceRecord):
        customer, ids = source.customer, source.invoice.get("customer_tax_ids")
    else:
        customer = source.customer if isinstance(source, ChargeRecord) else source
        ids = _data((customer or {}).get("tax_ids"))
    return [Claim(value, _tax_id(value, customer)) for value in _values(ids)]


def _buyer(  # noqa: PLR0917
    places: tuple[Raw, Raw], exempt: Any, claims: list[Claim], supply: Supply | None, on: date | None, known: Known
) -> Buyer:
    shipping, billing = places
    first, second = (billing, shipping) if supply == "services" else (shipping, billing)
    place = first if first.get("country") else second
    proofs = [(one, one.proof(on, known)) for one in claims]
    number, proof = min(proofs, key=lambda pair: (not pair[1].proven, not pair[1].open), default=(None, Proof(False)))
    postal = str(place.get("postal_code") or "").strip()
    inputs = {
        "ship_to": str(shipping.get("country") or "none"),
        "bill_to": str(billing.get("country") or "none"),
        **({"postal_code": postal} if postal else {}),
        "vat_number": number.value if number else "none",
        "verified": "yes" if proof.proven else "no",
        **(number.inputs() if number else {}),
        **proof.inputs(),
        **({"date": on.isoformat()} if on else {}),
    }
    return Buyer(
        country=str(place["country"]).strip().upper() if place.get("country") else None,
        postal_code=postal or None,
        city=place.get("city"),
        exempt=str(exempt or "none"),
        vat_number=number.value if number else None,
        verified=proof.proven,
        doubt=proof.doubt,
        open=proof.open,
        fault=number_fault(number.value) if number else None,
        on=on,
        inputs=inputs,
    )


def _day(record: Record) -> date | None:
    """The tax point: the day the invoice took effect."""
    names = ("effective_at", "finalized_at", "created")
    moment = next((moment for name in names if (moment := record.instant(name)) is not None), None)
    return None if moment is None else book_date(moment)


def _tax_id(number: str, customer: Raw | None) -> Raw:
    """The customer's tax id of that very number: the verification stands there, the invoice only repeats the number."""
    for tax_id in _data((customer or {}).get("tax_ids")):
        if tax_id.get("type") == "eu_vat" and plain_number(str(tax_id.get("value") or "")) == plain_number(number):
            return tax_id
    return {}


def _values(ids: Any) -> list[str]:
    """The EU VAT numbers among tax ids; others prove nothing here."""
    return [str(one["value"]) for one in ids or () if one.get("type") == "eu_vat" and one.get("value")]


def _data(listed: Any) -> list[Raw]:
    return list((listed or {}).get("data") or ()) if isinstance(listed, Mapping) else list(listed or ())
