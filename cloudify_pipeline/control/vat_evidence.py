"""What is known of the VAT numbers that a planning run needs proof of: from the log, from Stripe, and where allowed from VIES.

Nothing is kept here: what is new is handed on, and a run that may write the log keeps it.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cloudify_pipeline.accounting.vat_evidence import Answer, Known
from cloudify_pipeline.control.opened import OpenConnection, asking
from cloudify_pipeline.planning.records import Record
from cloudify_pipeline.planning.vat import RuleZone, claims_to_prove
from cloudify_pipeline.planning.vat_buyers import Claim, buyer_of
from cloudify_pipeline.posting.log.vat_numbers import vat_answers

if TYPE_CHECKING:
    from cloudify_pipeline.vies.client import Vies

_ASK_AGAIN = timedelta(hours=20)
"""How long "not valid" stands before a run asks again: about once a day, whatever the hour of the schedule."""


@dataclass(frozen=True, slots=True)
class _Needed:
    """A number, the day of the sale (None: whenever), and for which Stripe customer."""

    claim: Claim
    on: date | None
    customer: str | None


@dataclass(slots=True)
class NumbersAsked:
    """The numbers of one planning run. `fresh` are the answers that the log does not have."""

    opened: OpenConnection
    fresh: list[Answer] = field(default_factory=list)
    _needed: dict[str, list[_Needed]] = field(default_factory=dict)

    def note(self, record: Record, rule_zone: RuleZone | None) -> None:
        """A document is due for `record`."""
        self._add(record, rule_zone, str(record.customer["id"]) if record.customer else None)

    def note_customer(self, customer: Mapping[str, Any]) -> None:
        """A customer may be created with the zone of its own numbers."""
        self._add(customer, None, str(customer["id"]))

    def _add(self, source: Record | Mapping[str, Any], rule_zone: RuleZone | None, customer: str | None) -> None:
        settings = self.opened.settings
        if settings.customers.defaults.vat_zone != "auto":
            return
        claims = claims_to_prove(source, settings.vat, rule_zone)
        on = buyer_of(source, settings.vat.supply_default).on if claims else None
        for claim in claims:
            self._needed.setdefault(claim.number, []).append(_Needed(claim, on, customer))

    async def find(self, *, had: Sequence[Answer] = (), again: bool = False) -> Known:
        """What is known of every number that was noted, the answers that were `had` a moment ago included.

        `again`: a person asked, so that "not valid" is asked about again at once.
        """
        now = self.opened.clock()
        logged = vat_answers(self.opened.log.engine, self.opened.name, self._needed)
        answers = {number: list(logged.get(number, ())) for number in self._needed}
        for one in had:
            if one.number in answers:
                answers[one.number].append(one)
        for number, needed in self._needed.items():
            found = list(_verifications(needed, answers[number], now))
            self._learn(answers, found)
        known = Known(
            answers={n: tuple(all_) for n, all_ in answers.items()}, valid_days=self.opened.settings.vat.evidence.valid_days
        )
        if self.opened.new_vies is None:
            return known
        wanted = [number for number in self._needed if self._is_due(number, known, now, again=again)]
        silent = await self._ask(self.opened.new_vies, wanted, answers) if wanted else {}
        return replace(known, answers={number: tuple(all_) for number, all_ in answers.items()}, silent=silent)

    def _learn(self, answers: Mapping[str, list[Answer]], found: Iterable[Answer]) -> None:
        for one in found:
            answers[one.number].append(one)
            self.fresh.append(one)

    def _is_due(self, number: str, known: Known, now: datetime, *, again: bool) -> bool:
        """Whether some sale needs VIES: nothing proves its number, and VIES has not just said that it is not valid."""
        for one in self._needed[number]:
            proof = one.claim.proof(one.on, known)
            refuted = proof.answer is not None and not proof.answer.valid
            if not proof.proven and (again or not refuted or proof.answer is None or now - proof.answer.at >= _ASK_AGAIN):
                return True
        return False

    async def _ask(
        self, new_vies: "Callable[[], Vies]", numbers: Sequence[str], answers: Mapping[str, list[Answer]]
    ) -> dict[str, str]:
        async with asking(new_vies) as vies:
            said = await asyncio.gather(*(vies.check(number) for number in numbers))
        silent = {}
        for number, one in zip(numbers, said, strict=True):
            if isinstance(one, Answer):
                self._learn(answers, [replace(one, customer=self._needed[number][0].customer)])
            else:
                silent[number] = one.reason
        return silent


def _verifications(needed: Iterable[_Needed], known: Sequence[Answer], now: datetime) -> Iterable[Answer]:
    """Stripe's verifications that are seen for the first time."""
    seen = {one.tax_id for one in known if one.source == "stripe"}
    for one in needed:
        tax_id = str(one.claim.tax_id.get("id") or "")
        if one.claim.status != "verified" or tax_id in seen:
            continue
        seen.add(tax_id)
        verification = one.claim.tax_id.get("verification") or {}
        name, address = (verification.get(key) or None for key in ("verified_name", "verified_address"))
        yield Answer(one.claim.number, "stripe", True, now, name, address, tax_id=tax_id, customer=one.customer)
