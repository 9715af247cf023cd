"""Payments that were posted by themselves and turn out to pay an invoice: what of it is known before anything is planned."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cloudify_pipeline.control.corrections import WAITING
from cloudify_pipeline.control.joined import is_charge, joined_records
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.errors import Problem
from cloudify_pipeline.planning.paid_twice import (
    INVOICED,
    both_stand,
    like_each_other,
    not_credited,
    paid_twice,
    pairs,
    why_not_credited,
)
from cloudify_pipeline.planning.records import ChargeRecord, InvoiceRecord, Record
from cloudify_pipeline.posting.log.persons import words
from cloudify_pipeline.posting.log.store import Identity
from cloudify_pipeline.posting.standing import ACCEPTED
from cloudify_pipeline.staging.links import LinkedCharge

States = Mapping[str, tuple[str, str | None, str | None]]


@dataclass(slots=True)
class PaidTwice:
    """What one planning run knows of payments that have a document of their own, or wait for one, and pay an invoice."""

    opened: OpenConnection
    standing: Mapping[str, Identity]
    linked: Mapping[str, LinkedCharge] = field(default_factory=dict)
    """Payments that stand by themselves, or wait to, and pay an invoice by now."""
    _second: dict[str, tuple[InvoiceRecord, dict[str, str]]] = field(default_factory=dict)
    """Invoices that are due if the documents of their payments are taken back: the record, and those documents."""

    @classmethod
    def look(cls, opened: OpenConnection, standing: Mapping[str, Identity], states: States) -> "PaidTwice":
        """Ask staging about the payments that the log knows; one question, whatever their number."""
        known = [one for one in standing if _is_payment(one)]
        known += [one for one, (state, *_) in states.items() if state in WAITING and one not in standing and _is_payment(one)]
        found = {one.id: one for one in opened.staging.linked_charges(known)}
        return cls(opened, standing, {one: link for one, link in found.items() if f"{one}{INVOICED}" not in standing})

    @property
    def _credits(self) -> bool:
        return self.opened.settings.invoices.paid_twice == "credit"

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

    def doubled_and_stays(self, charge: str) -> Problem | None:
        """As :meth:`doubled`, where the settings leave it to a person."""
        return None if self._credits else self.doubled(charge)

    def held(self, record: Record) -> Problem | None:
        """Why `record`, which is due and not in the ledger, is not posted: a payment of it stands by itself.

        Where the settings have that taken back, :meth:`taken_back` decides when everything that is due is known.
        """
        problem = self.second(record)
        if problem is not None and self._credits and isinstance(record, InvoiceRecord):
            self._second[record.stripe_id] = record, own_documents(record.payments, self.standing)
            return None
        return problem

    def second(self, record: Record) -> Problem | None:
        """A problem when `record` is an invoice of which a payment stands by itself, and nobody said that it is posted."""
        if not isinstance(record, InvoiceRecord):
            return None
        own = own_documents(record.payments, self.standing)
        problem = paid_twice(record.stripe_id, own) if own else None
        return None if problem is None or self._let_through(record.stripe_id, problem) else problem

    def taken_back(
        self, found: Collection[str], took_back: Callable[[str], list[str]], asked: Collection[str] | None
    ) -> tuple[dict[str, Problem], dict[str, str]]:
        """Problems of what is not posted after all, and the payments whose documents are taken back (id → content hash).

        `found` is all that is due; `took_back` tells what took a part of a payment's document back. One payment that stays
        keeps all the invoices that it pays from being posted, and those the other payments of theirs from being taken back.
        `asked` are the only records that a run is about, None for all.
        """
        if not self._credits:
            return {}, {}
        problems: dict[str, Problem] = {}
        due = {stripe_id for stripe_id in self._second if stripe_id in found}
        while True:
            wanted = {charge for stripe_id in due for charge in self._second[stripe_id][1]}
            reasons = {charge: self._why_not(charge, due, took_back(charge)) for charge in sorted(wanted)}
            stays = {charge: why for charge, why in reasons.items() if why is not None}
            lost = {one: [c for c in self._second[one][1] if c in stays] for one in due}
            lost = {one: several for one, several in lost.items() if several}
            for stripe_id, several in lost.items():
                twice = paid_twice(stripe_id, self._second[stripe_id][1])
                problems[stripe_id] = not_credited(twice, "; ".join(f"{one}: {stays[one]}" for one in several))
            if not lost:
                break
            due -= set(lost)
        for charge, link in self.linked.items():
            concerned = asked is None or not {charge, *link.invoices}.isdisjoint(asked)
            problem = self.doubled(charge) if concerned and charge not in wanted else None
            why = None if problem is None else self._why_not(charge, due, took_back(charge))
            if problem is not None and why is None:
                wanted.add(charge)
            elif problem is not None:
                problems[charge] = not_credited(problem, str(why))
        return problems, {charge: self.linked[charge].content_hash for charge in sorted(wanted) if charge in self.linked}

    def _why_not(self, charge: str, due: Collection[str], taken: Sequence[str]) -> str | None:
        """Why the document of `charge` is not taken back, when the invoices `due` are posted."""
        link, own = self.linked.get(charge), self.standing[charge]
        if link is None:
            return "what it pays is not known"
        others = [one for one in link.invoices if one not in due and one not in self.standing]
        if others:
            return f"{', '.join(others)}, which it pays as well, is not due"
        if own.how == ACCEPTED:
            return f"{in_words(own)} was entered by hand"
        if own.ledger_kind != "booked_invoice":
            return f"{in_words(own)} is no booked invoice: delete it, or book it"
        staged = self.opened.staging.objects("charge", [charge]).get(charge)
        if staged is None:
            return "it is not staged"
        record = ChargeRecord(staged)
        invoices = {one.stripe_id: one.total_minor for one in joined_records(self.opened.staging, link.invoices)}
        return why_not_credited(record.total_minor, record.currency, link.paid, invoices, taken)

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
        """Whether a person said that it is posted all the same; why a document is not taken back does not matter for that."""
        said = words(self.opened.log, self.opened.name, [stripe_id]).get(stripe_id, ())
        return any(
            one.decision == "post" and one.code == problem.code and one.message.partition("; it is not")[0] == problem.message
            for one in said
        )


def own_documents(payments: Iterable[str], standing: Mapping[str, Identity]) -> dict[str, str]:
    """The `payments` that stand in the ledger by themselves and are not taken back, each with its ledger document in words."""
    return {one: in_words(standing[one]) for one in payments if one in standing and f"{one}{INVOICED}" not in standing}


def in_words(standing: Identity) -> str:
    """``booked invoice 20188``."""
    return f"{(standing.ledger_kind or 'document').replace('_', ' ')} {standing.number}"


def _is_payment(stripe_id: str) -> bool:
    return is_charge(stripe_id) and ":" not in stripe_id
