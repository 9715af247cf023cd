"""Whether a VAT number is proven on the day of a sale: by what VIES answered, or by Stripe's verification, and how old that is.

The tax authorities ask for documentation of every buyer's number in a sale without VAT (reference/product.md §5a-3, N-15).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from cloudify_pipeline.accounting.vat_evidence import Answer, Known, Source
from cloudify_pipeline.planning.records import book_date

_NAMES: Mapping[Source, str] = {"vies": "VIES", "stripe": "Stripe"}


@dataclass(frozen=True, slots=True)
class Proof:
    """Whether a number is proven and by which answer; else `doubt`, and whether what is missing can still come (`open`).

    `until` is the last day for which the answer holds; None: for good.
    """

    proven: bool
    answer: Answer | None = None
    doubt: str | None = None
    open: bool = False
    until: date | None = None

    def inputs(self) -> dict[str, str]:
        """What a person is shown of the answer."""
        if self.answer is None:
            return {}
        one = self.answer
        found = {"evidence": _NAMES[one.source], "evidence_date": book_date(one.at).isoformat()}
        if self.until is not None:
            found["evidence_until"] = self.until.isoformat()
        if one.consultation_number:
            found["consultation_number"] = one.consultation_number
        if one.name:
            found["registered_name"] = one.name
        if one.address:
            found["registered_address"] = one.address
        return found


def prove(number: str, status: str | None, tax_id: str | None, on: date | None, known: Known) -> Proof:
    """Whether `number` is proven on the day `on` (None: whenever). `status` and `tax_id` are Stripe's, None where it has none.

    The last answer until that day decides, and then any later one that says yes: what is found out afterwards takes nothing
    back from a sale that was documented. Stripe's verification counts as long as it stands there as verified, and when the
    number is no longer on the customer: an object that was deleted takes nothing back either.
    """
    counted = [
        one
        for one in known.answers.get(number, ())
        if one.source == "vies" or status is None or (status == "verified" and one.tax_id == tax_id)
    ]
    counted.sort(key=lambda one: (one.at, one.source == "vies"))
    silence = known.silent.get(number)
    asks_again = f"VIES {silence}; the next run asks again" if silence else None
    if not counted:
        return Proof(status == "verified", None, asks_again, open=asks_again is not None)
    before = [one for one in counted if on is None or book_date(one.at) <= on]
    if before and before[-1].valid:
        until = _until(before[-1], known)
        if on is None or until is None or on <= until:
            return Proof(True, before[-1], until=until)
    later = next((one for one in counted[len(before) :] if one.valid), None)
    if later is not None:
        return Proof(True, later, until=_until(later, known))
    last = counted[-1]
    day = book_date(last.at).isoformat()
    if not last.valid:
        return Proof(False, last, f"{_NAMES[last.source]} said on {day} that it is not valid")
    old = f"the evidence is from {day}, older than {known.valid_days} days on {on}"
    return Proof(False, last, f"{old}; {asks_again}" if asks_again else old, open=True)


def _until(one: Answer, known: Known) -> date | None:
    return None if known.valid_days is None else book_date(one.at) + timedelta(days=known.valid_days)
