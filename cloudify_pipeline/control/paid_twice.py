"""Payments that were posted by themselves and turn out to pay an invoice: what of it is known before anything is planned."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cloudify_pipeline.control.corrections import WAITING
from cloudify_pipeline.control.joined import is_charge, joined_records
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.errors import Problem
from cloudify_pipeline.planning.paid_twice import INVOICED, both_stand, like_each_other, paid_twice, pairs
from cloudify_pipeline.planning.records import InvoiceRecord, Record
from cloudify_pipeline.posting.log.persons import words
from cloudify_pipeline.posting.log.store import Identity
from cloudify_pipeline.staging.links import LinkedCharge

States = Mapping[str, tuple[str, str | None, str | None]]


@dataclass(slots=True)
class PaidTwice:
    """What one planning run knows of payments that have a document of their own, or wait for one, and pay an invoice."""

    opened: OpenConnection
    standing: Mapping[str, Identity]
    linked: Mapping[str, LinkedCharge] = field(default_factory=dict)
    """Payments that stand by themselves, or wait to, and pay an invoice by now."""

    @classmethod
    def look(cls, opened: OpenConnection, standing: Mapping[str, Identity], states: States) -> "PaidTwice":
        """Ask staging about the payments that the log knows; one question, whatever their number."""
        known = [one for one in standing if _is_payment(one)]
        known += [one for one, (state, *_) in states.items() if state in WAITING and one not in standing and _is_payment(one)]
        found = {one.id: one for one in opened.staging.linked_charges(known)}
        return cls(opened, standing, {one: link for one, link in found.items() if f"{one}{INVOICED}" not in standing})

    def pays(self, charge: str) -> str | None:
        """The first of the invoices that `charge` pays."""
        link = self.linked.get(charge)
        return link.invoices[0] if link else None

    def doubled(self, charge: str) -> Problem | None:
        """A problem when `charge` stands in the ledger beside an invoice that it pays."""
        link, own = self.linked.get(charge), self.standing.get(charge)
        if link is None or own is None:
            return None
        beside = {one: in_words(self.standing[one]) for one in link.invoices if one in self.standing}
        if not beside or any(self._let_through(one, paid_twice(one, {charge: in_words(own)})) for one in beside):
            return None
        return both_stand(charge, in_words(own), beside)

    def held(self, record: Record) -> Problem | None:
        """Why `record`, which is due and not in the ledger, is not posted: a payment of it stands by itself."""
        if not isinstance(record, InvoiceRecord):
            return None
        own = own_documents(record.payments, self.standing)
        problem = paid_twice(record.stripe_id, own) if own else None
        return None if problem is None or self._let_through(record.stripe_id, problem) else problem

    def pays_by(self, record: Record) -> tuple[str, ...]:
        """The payments of `record` that may have no document of their own when it is posted; none where a person said so."""
        if not isinstance(record, InvoiceRecord):
            return ()
        own = own_documents(record.payments, self.standing)
        if own and self._let_through(record.stripe_id, paid_twice(record.stripe_id, own)):
            return ()
        return tuple(one for one in record.payments if is_charge(one))

    def alike(self, due: Iterable[str]) -> dict[str, Problem]:
        """Of the new ones among `due`, those that may be one sale with another object, though nothing links the two.

        An invoice waits for what stands in the ledger alone; a payment also for an invoice that is due with it.
        """
        new = [one for one in due if one not in self.standing]
        found = self.opened.staging.alike(new)
        nearest = pairs([(one.invoice, one.charge, one.apart) for one in found if not self._gone(one.charge)])
        waits = {i: o for i, o in nearest.items() if i in set(new) and (o in self.standing or (is_charge(i) and o in set(new)))}
        problems: dict[str, Problem] = {}
        for record in joined_records(self.opened.staging, list(waits)):
            stands = self.standing.get(waits[record.stripe_id])
            problem = like_each_other(record, waits[record.stripe_id], in_words(stands) if stands else None)
            if not self._let_through(record.stripe_id, problem):
                problems[record.stripe_id] = problem
        return problems

    def _gone(self, charge: str) -> bool:
        """Whether all of a payment was given back, or its document was taken back: it is nobody's money any more."""
        if f"{charge}{INVOICED}" in self.standing:
            return True
        staged = self.opened.staging.objects("charge", [charge]).get(charge, {})
        return int(staged.get("amount_refunded") or 0) >= int(staged.get("amount_captured") or staged.get("amount") or 0)

    def _let_through(self, stripe_id: str, problem: Problem) -> bool:
        said = words(self.opened.log, self.opened.name, [stripe_id]).get(stripe_id, ())
        return any((one.code, one.message, one.decision) == (problem.code, problem.message, "post") for one in said)


def own_documents(payments: Iterable[str], standing: Mapping[str, Identity]) -> dict[str, str]:
    """The `payments` that stand in the ledger by themselves and are not taken back, each with its ledger document in words."""
    return {one: in_words(standing[one]) for one in payments if one in standing and f"{one}{INVOICED}" not in standing}


def in_words(standing: Identity) -> str:
    """``booked invoice 20188``."""
    return f"{(standing.ledger_kind or 'document').replace('_', ' ')} {standing.number}"


def _is_payment(stripe_id: str) -> bool:
    return is_charge(stripe_id) and ":" not in stripe_id
