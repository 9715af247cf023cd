"""The rate of exchange of a document, where `invoices.exchange_rate` takes it from Stripe: what Stripe itself converted at.

A rate is a fact of a payment: it stands in the balance transaction of its charge, and counts minor units (reference/stripe.md
§0.8). It is written only where it is the rate of the whole payment into the ledger's own currency; everywhere else the ledger's
rate of the day stands, and the evidence says why.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from cloudify_pipeline.accounting.chart import Chart
from cloudify_pipeline.accounting.documents import EXCHANGE_RATE, FieldValue
from cloudify_pipeline.accounting.money import decimals, format_money, from_minor, round_half_up
from cloudify_pipeline.errors import Problem
from cloudify_pipeline.planning.corrections import Original
from cloudify_pipeline.planning.plans import Evidence
from cloudify_pipeline.planning.records import ChargeRecord, Raw, Record, book_date, id_of, instant
from cloudify_pipeline.planning.rules import DueDocument
from cloudify_pipeline.settings.models import ConnectionSettings

DECIMALS = 6
"""What a ledger keeps of a rate for 100 units."""

_SETTING = "invoices.exchange_rate: stripe"


@dataclass(frozen=True, slots=True)
class Rated:
    """What a document says of its rate: the field, or nothing where the ledger converts, and why."""

    fields: Mapping[str, FieldValue]
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class _Paid:
    """One charge: its balance transaction, and how much of the document it paid (minor units)."""

    charge: Raw
    minor: int

    @property
    def settled(self) -> Raw:
        found = self.charge.get("balance_transaction")
        return found if isinstance(found, Mapping) else {}


def exchange_rate(
    record: Record,
    due: DueDocument,
    settings: ConnectionSettings,
    chart: Chart,
    mapped: Mapping[str, FieldValue],
    *,
    original: Original | None = None,
) -> Rated | Problem:
    """The rate that `record` is written with, as base currency for 100 units. `original` is the document it takes back.

    A rate that a mapping gives stands. A problem is what the next run, or reading the record again, mends by itself.
    """
    base = chart.base_currency
    if record.currency == base or mapped.get(EXCHANGE_RATE) is not None:
        return Rated({})
    if original is not None:
        return _of_original(original, record.currency, base)
    if settings.invoices.exchange_rate != "stripe":
        return Rated({})
    if not isinstance(record, ChargeRecord) and due.trigger != "paid":
        # Whether it happens to be paid by the time of a run must not decide what is in the books.
        return _ledgers(f"the document is due when it is {due.trigger}, before it is paid")
    paid = _payments(record)
    if isinstance(paid, str):
        return _ledgers(paid)
    if isinstance(paid, Problem):
        return paid
    for one in paid:
        unknown = _unknown(record, one)
        if unknown is not None:
            return unknown
    for one in paid:
        into = str(one.settled.get("currency") or "").upper()
        if into != base or one.settled.get("exchange_rate") is None:
            return _ledgers(f"{one.charge['id']} was settled in {into or 'no known currency'}, not in {base}")
    return _of_payments(record.currency, base, paid)


def per_hundred(rate: Decimal, currency: str, base: str) -> Decimal:
    """Stripe's `rate` between minor units as `base` for 100 units of `currency`: EUR at 7.4604 → 746.04, JPY at 4.61 → 4.61."""
    return (rate * 100).scaleb(decimals(currency) - decimals(base))


def _of_payments(currency: str, base: str, paid: list[_Paid]) -> Rated | Problem:
    rate = _plain(round_half_up(per_hundred(_mean(paid), currency, base), DECIMALS))
    if rate <= 0:
        exact = _mean(paid)
        return Problem("E-EXCHANGE", f"Stripe's rate is {exact}, which is no rate", found=str(exact))
    words = f"{rate} {base} for 100 {currency}"
    rule = _SETTING if len(paid) == 1 else f"{_SETTING}, {len(paid)} payments by their amounts"
    return Rated({EXCHANGE_RATE: rate}, (Evidence("exchange_rate", words, rule, dict(_sources(currency, paid))),))


def _mean(paid: list[_Paid]) -> Decimal:
    """The rate of all payments together, each by its amount; one rate is taken as it is."""
    rates = {Decimal(one.settled["exchange_rate"]) for one in paid}
    if len(rates) == 1:
        return rates.pop()
    whole = sum(one.minor for one in paid)
    return sum((one.minor * Decimal(one.settled["exchange_rate"]) for one in paid), Decimal(0)) / whole


def _plain(rate: Decimal) -> Decimal:
    """`rate` without the zeros that say nothing, and with two decimals at least."""
    short = rate.quantize(Decimal("0.01"))
    return short if short == rate else rate.normalize()


def _sources(currency: str, paid: list[_Paid]) -> Iterator[tuple[str, str]]:
    for one in paid:
        day = instant(one.settled.get("created") or one.charge.get("created"))
        amount = format_money(from_minor(one.minor, currency), currency)
        on = f" on {book_date(day).isoformat()}" if day else ""
        yield str(one.settled["id"]), f"{one.settled['exchange_rate']} for {amount} of {one.charge['id']}{on}"


def _payments(record: Record) -> list[_Paid] | str | Problem:
    """What paid `record`; in words, why it has no rate of Stripe's; a problem where that is not known yet."""
    if isinstance(record, ChargeRecord):
        return [_Paid(record.charge, record.total_minor)]
    listed = (record.invoice.get("payments") or {}).get("data") or ()
    done = [one for one in listed if one.get("status") == "paid" and int(one.get("amount_paid") or 0)]
    if not done:
        return "nothing was paid through Stripe"
    found = []
    for one in done:
        payment = one.get("payment") or {}
        references = {id_of(payment.get(name)) for name in ("payment_intent", "charge")} - {None}
        if not references:
            return (
                f"{format_money(from_minor(int(one['amount_paid']), record.currency), record.currency)} was paid outside Stripe"
            )
        charges = [
            charge
            for charge in record.charges
            if charge.get("status") == "succeeded" and references & {charge.get("id"), id_of(charge.get("payment_intent"))}
        ]
        if not charges:
            which = " ".join(sorted(str(one) for one in references))
            message = f"its payment {which} has not been read from Stripe, and with it the rate"
            return Problem("E-EXCHANGE", message, field="exchange_rate", found=which)
        whole = len(charges) == 1
        found += [_Paid(charge, int(one["amount_paid"] if whole else charge.get("amount") or 0)) for charge in charges]
    return found


def _unknown(record: Record, paid: _Paid) -> Problem | None:
    """Why the rate of a payment is not known; Stripe settles some of them after the event."""
    if paid.settled.get("currency"):
        return None
    why = "has not been settled by Stripe yet"
    if paid.charge.get("balance_transaction") is not None:
        why = f"was read from Stripe without its rate; sync {record.stripe_id} by its id"
    message = f"payment {paid.charge['id']} {why}"
    return Problem("E-EXCHANGE", message, field="exchange_rate", found=str(paid.charge["id"]))


def _of_original(original: Original, currency: str, base: str) -> Rated:
    """What is taken back was converted once; at another rate a difference would stay in the books that nobody made."""
    if original.rate is None:
        return Rated({})
    words, rule = f"{original.rate} {base} for 100 {currency}", f"the rate of {original.words}, which it corrects"
    return Rated({EXCHANGE_RATE: original.rate}, (Evidence("exchange_rate", words, rule),))


def _ledgers(why: str) -> Rated:
    return Rated({}, (Evidence("exchange_rate", "the ledger's rate of the day", _SETTING, {"because": why}),))
