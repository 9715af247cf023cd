"""The ledger customer of a Stripe customer: found by the match pairs, created, updated, or held with the reason."""

import re
from collections.abc import Container, Mapping
from dataclasses import replace
from typing import Any

from cloudify_pipeline.accounting.chart import Chart, Number
from cloudify_pipeline.accounting.documents import FieldValue
from cloudify_pipeline.accounting.parties import Candidates, LedgerRecord, Lookup
from cloudify_pipeline.accounting.vat_evidence import NOTHING, Known
from cloudify_pipeline.errors import Problem
from cloudify_pipeline.mapping.apply import map_record
from cloudify_pipeline.mapping.compile import CompiledMappings
from cloudify_pipeline.mapping.lineage import Lineage
from cloudify_pipeline.planning.matching import NUMBER, Asked, agrees, ask, differing, match, text_at, without
from cloudify_pipeline.planning.plans import Evidence, Hold, PartyAction, PlannedCustomer
from cloudify_pipeline.planning.records import Raw
from cloudify_pipeline.planning.vat import ZoneDecision, decide_zone, held_zone
from cloudify_pipeline.settings.models import ConnectionSettings, CustomerSettings

_CUSTOMER_NUMBER = re.compile(r"[1-9][0-9]{0,8}")


def customer_lookups(customer: Raw, settings: CustomerSettings) -> tuple[Lookup, ...] | Problem:
    """What to ask the ledger about `customer`, in order; a problem when the settings or a bad number forbid to ask.

    An empty Stripe value never becomes a question: it would match every record that has none.
    """
    asked = ask(customer, settings.match)
    empty = [one for one in asked if one.lookup is None]
    if settings.on_empty_match_field == "error" and empty:
        return Problem("E-MATCH-EMPTY", f"{empty[0].pair.stripe} is empty", field=empty[0].pair.stripe)
    if settings.on_empty_match_field == "next_pair" and len(empty) == len(asked):
        names = ", ".join(one.pair.stripe for one in asked)
        return Problem("E-MATCH-EMPTY", f"every field that customers are matched on is empty: {names}", field=names)
    lookups = [one.lookup for one in asked if one.lookup is not None]
    own = _number_from_stripe(customer, settings)
    if own is not None:
        lookups.append(Lookup(NUMBER, own))
    for lookup in lookups:
        if lookup.field == NUMBER and not _CUSTOMER_NUMBER.fullmatch(lookup.value):
            where = next((pair.stripe for pair in settings.match if pair.ledger == NUMBER), settings.number.stripe_field)
            message = f"{where} is {lookup.value!r}: a customer number is a whole number from 1 to 999999999"
            return Problem("E-CUST-NUM", message, field=where, found=lookup.value)
    return tuple(dict.fromkeys(lookups))


def plan_customer(
    customer: Raw,
    *,
    settings: ConnectionSettings,
    mappings: CompiledMappings,
    chart: Chart,
    candidates: Candidates,
    known: LedgerRecord | None,
    currency: str | None = None,
    linked: Number | None = None,
    same: bool = False,
    vat_numbers: Known = NOTHING,
    taken: Container[Number] = frozenset(),
) -> PlannedCustomer | Hold:
    """The ledger customer that `customer` is, or becomes.

    `known` is the record that an earlier run linked, as it stands now; `linked` its number, also when the record is gone;
    `same` says that it still is the record it was, so that whatever changed in Stripe does not matter.
    `currency` is that of the invoice, for customers to whom Stripe gave none; `vat_numbers` is what is known of its VAT
    numbers; `taken` are ledger numbers of other Stripe customers. A customer deleted in Stripe is never created.
    """
    planner = _Customer(customer, settings, mappings, chart=chart)
    planner.candidates = candidates
    planner.vat_numbers = vat_numbers
    planner.taken = taken
    own = settings.customers.defaults.currency
    stripes = str(customer.get("currency") or currency or chart.base_currency)
    planner.currency = (stripes if own == "from_stripe" else own).upper()
    return planner.plan(known, linked, same=same)


class _Customer:
    def __init__(self, customer: Raw, settings: ConnectionSettings, mappings: CompiledMappings, *, chart: Chart) -> None:
        self.customer = customer
        self.id = str(customer["id"])
        self.settings = settings
        self.own = settings.customers
        self.mappings = mappings
        self.chart = chart
        self.candidates: Candidates = {}
        self.vat_numbers = NOTHING
        self.currency = chart.base_currency
        self.taken: Container[Number] = frozenset()
        self.evidence: list[Evidence] = []

    def plan(self, known: LedgerRecord | None, linked: Number | None, *, same: bool) -> PlannedCustomer | Hold:
        if known is not None:
            return self._known(known, same=same)
        if linked is None:
            return self._new()
        self._note("gone", "linked earlier", {"number": str(linked)})
        # Stripe may name the number still, and the ledger may have given it to somebody else.
        self.candidates = {**self.candidates, **{Lookup(field, str(linked)): () for field in (NUMBER, "customerNumber")}}
        plan = self._new()
        if isinstance(plan, Hold):
            return replace(plan, problem=without(plan.problem, f"customer {linked}", "E-CUST-GONE", str(linked)))
        return replace(plan, gone=linked)

    def _new(self) -> PlannedCustomer | Hold:
        lookups = customer_lookups(self.customer, self.own)
        if isinstance(lookups, Problem):
            # Nothing can be asked of a deleted customer's own fields, but the default customer still stands in.
            return self._default() if self._deleted and self._has_default else self._hold(lookups)
        found = match(
            self._asked(),
            self.candidates,
            decision="customer",
            barred_code="E-CUST-BARRED",
            on_multiple=self.own.on_multiple_matches,
        )
        if isinstance(found, tuple):
            self.evidence += found[1]
            return self._hold(found[0])
        self.evidence += found.evidence
        return self._found(found.record) if found.record is not None else self._not_found()

    @property
    def _deleted(self) -> bool:
        return bool(self.customer.get("deleted"))

    @property
    def _has_default(self) -> bool:
        return self.own.on_not_found == "default_customer" and self.own.default_customer is not None

    def _asked(self) -> tuple[Asked, ...]:
        return ask(self.customer, self.own.match)

    def _known(self, record: LedgerRecord, *, same: bool) -> PlannedCustomer | Hold:
        """The link of an earlier run, unless the number was deleted meanwhile and given to somebody else."""
        inputs = {"number": str(record.number), "name": record.name}
        if record.barred:
            self._note("barred", "linked earlier", inputs)
            return self._hold(Problem("E-CUST-BARRED", f"customer {record.number} ({record.name}) is barred in the ledger"))
        asked = [one.lookup for one in self._asked() if one.lookup is not None and one.lookup.field != NUMBER]
        same_name = record.name.strip().casefold() == str(self.customer.get("name") or "").strip().casefold()
        if not (same or same_name) and not any(agrees(record, lookup) for lookup in asked):
            renamed = self._named_anew(record)
            if renamed is not None:
                return renamed
            self._note("changed", "linked earlier", inputs | {lookup.field: lookup.value for lookup in asked})
            message = (
                f"customer {record.number} was linked to {self.id} earlier, but is now {record.name}: "
                f"neither {' nor '.join(['its name', *(lookup.field for lookup in asked)])} agrees"
                if asked
                else f"customer {record.number} was linked to {self.id} earlier, but is now {record.name}, "
                "and the Stripe customer has no other field to compare"
            )
            return self._hold(Problem("E-CUST-TAKEN", message, field="number", found=str(record.number)))
        self._note(str(record.number), "linked earlier", inputs)
        return self._found(record)

    def _named_anew(self, record: LedgerRecord) -> PlannedCustomer | Hold | None:
        """The customer of another number that Stripe names by now: how a person says who it is."""
        named = tuple(one for one in self._asked() if one.lookup and one.lookup.field == NUMBER)
        found = match(named, self.candidates, decision="customer", barred_code="E-CUST-BARRED")
        if isinstance(found, tuple) or found.record is None or found.record.number == record.number:
            return None
        self.evidence += found.evidence
        return self._found(found.record)

    def _found(self, record: LedgerRecord) -> PlannedCustomer | Hold:
        fields: dict[str, FieldValue] = {}
        lineage: tuple[Lineage, ...] = ()
        if self.own.on_found == "update":
            mapped = map_record(self.mappings, self.customer)
            if mapped.problems:
                return self._hold(mapped.problems[0])
            fields = differing(dict(mapped.values), record)
            lineage = tuple(line for line in mapped.lineage if line.target in fields)
            for path in fields:
                self._note(str(fields[path]), f"on_found: update {path}", {"ledger": str(record.fields.get(path, ""))})
        return self._planned(
            "update" if fields else "use",
            record.number,
            record.name,
            fields=fields,
            lineage=lineage,
            zone=self._zone_of(record),
            record=record,
        )

    def _zone_of(self, record: LedgerRecord) -> Number | None:
        if record.vat_zone is not None:
            return record.vat_zone
        zone = self._zone()
        return None if isinstance(zone, Problem) else zone

    def _not_found(self) -> PlannedCustomer | Hold:
        all_empty = all(one.lookup is None for one in self._asked())
        if self._has_default and (self._deleted or not (all_empty and self.own.on_empty_match_field == "create")):
            return self._default()
        if self._deleted:
            return self._hold(Problem("E-CUST-DELETED", f"{self.id} is deleted in Stripe, and no ledger customer matches it"))
        if all_empty or self.own.on_not_found == "create":
            return self._create()
        if self.own.on_not_found == "default_customer":
            problem = Problem("E-REFERENCE", "customers.default_customer is not set", field="customers.default_customer")
            return self._hold(problem)
        tried = ", ".join(f"{one.pair.stripe} {one.lookup.value}" for one in self._asked() if one.lookup is not None)
        return self._hold(Problem("E-MATCH-NONE", f"no ledger customer has {tried}"))

    def _default(self) -> PlannedCustomer | Hold:
        number = self.own.default_customer
        setting = "customers.default_customer"
        lookup = Lookup(NUMBER, str(number))
        record = next((one for one in self.candidates.get(lookup, ()) if agrees(one, lookup)), None)
        if record is None:
            return self._hold(
                Problem("E-REFERENCE", f"{setting} {number} is not in the ledger", field=setting, found=str(number))
            )
        if record.barred:
            return self._hold(Problem("E-CUST-BARRED", f"{setting} {number} is barred in the ledger", field=setting))
        self._note(str(number), setting, {})
        return self._planned("use", record.number, record.name, fields={}, lineage=(), zone=record.vat_zone, record=record)

    def _create(self) -> PlannedCustomer | Hold:
        number = self._number()
        if isinstance(number, Problem):
            return self._hold(number)
        mapped = map_record(self.mappings, self.customer)
        name = str(mapped.values.get("name") or self.customer.get("name") or self.customer.get("email") or self.id)
        holder = self._holder(number)
        if holder is not None:
            return self._of_that_number(holder, {**mapped.values, "name": name})
        problem = self._missing()
        if problem is not None:
            return self._hold(problem)
        zone = self._zone()
        if isinstance(zone, Problem):
            return self._hold(zone)
        if mapped.problems:
            return self._hold(mapped.problems[0])
        fields = {path: value for path, value in sorted(mapped.values.items()) if path != "name"}
        self._note(
            "create", f"on_not_found: {self.own.on_not_found}", {"number": "from the ledger" if number is None else str(number)}
        )
        return self._planned("create", number, name, fields=fields, lineage=tuple(mapped.lineage), zone=zone)

    def _number(self) -> Number | Problem | None:
        """The number for a new customer: None where the ledger gives it."""
        if self.own.number.source == "ledger":
            return None
        own = _number_from_stripe(self.customer, self.own)
        where = self.own.number.stripe_field
        if own is None:
            return Problem(
                "E-CUST-NUM", f"{where or 'customers.number.stripe_field'} is empty: the customer has no number", field=where
            )
        return int(own)

    def _holder(self, number: Number | None) -> LedgerRecord | None:
        """Whoever has the `number` of a new customer in the ledger already."""
        lookup = Lookup(NUMBER, str(number))
        return next((one for one in self.candidates.get(lookup, ()) if agrees(one, lookup)), None)

    def _of_that_number(self, holder: LedgerRecord, wanted: dict[str, FieldValue]) -> PlannedCustomer | Hold:
        """The customer that has the very number and fields is the one that an earlier run made, which the log does not know."""
        where = self.own.number.stripe_field
        if holder.number not in self.taken and not differing(wanted, holder):
            self._note(str(holder.number), "has the number and every field already", {"name": holder.name})
            return self._found(holder)
        words = f"number {holder.number} belongs to {holder.name} in the ledger"
        return self._hold(Problem("E-CUST-TAKEN", words, field=where, found=str(holder.number)))

    def _missing(self) -> Problem | None:
        """The first default that the ledger does not have."""
        chart, defaults = self.chart, self.own.defaults
        if self.currency not in chart.currencies:
            return Problem("E-CURRENCY", f"currency {self.currency} is not set up in the ledger", found=self.currency)
        group = chart.customer_groups.get(defaults.group)
        if group is None or group.barred:
            return _unknown("customers.defaults.group", defaults.group, barred=group is not None)
        if defaults.payment_terms not in chart.payment_terms:
            return _unknown("customers.defaults.payment_terms", defaults.payment_terms)
        if defaults.layout is not None and defaults.layout not in chart.layouts:
            return _unknown("customers.defaults.layout", defaults.layout)
        return None

    def _zone(self) -> Number | Problem:
        wanted = self.own.defaults.vat_zone
        if wanted == "auto":
            decided = decide_zone(self.customer, self.settings.vat, self.chart, vat_numbers=self.vat_numbers)
            if isinstance(decided, ZoneDecision):
                self.evidence.append(decided.evidence)
                return decided.zone
            self.evidence.append(held_zone(self.customer, self.settings.vat, decided, self.vat_numbers))
            return decided
        zone = self.chart.vat_zones.get(wanted)
        if zone is None or not zone.enabled:
            return _unknown("customers.defaults.vat_zone", wanted, barred=zone is not None)
        return wanted

    def _planned(
        self,
        action: PartyAction,
        number: Number | None,
        name: str,
        *,
        fields: Mapping[str, FieldValue],
        lineage: tuple[Lineage, ...],
        zone: Number | None,
        record: LedgerRecord | None = None,
    ) -> PlannedCustomer:
        defaults = self.own.defaults
        terms, layout = (record.payment_terms, record.layout) if record is not None else (None, None)
        store_in = self.own.number.store_in
        generated = action == "create" and self.own.number.source == "ledger" and store_in is not None
        return PlannedCustomer(
            stripe_id=self.id,
            action=action,
            number=number,
            name=name,
            currency=self.currency,
            group=defaults.group,
            payment_terms=defaults.payment_terms if terms is None else terms,
            vat_zone=self.settings.vat.zones.domestic if zone is None else zone,
            layout=defaults.layout if layout is None else layout,
            fields=dict(fields),
            store_number_in=_metadata_key(store_in) if generated and store_in is not None else None,
            lineage=lineage,
            evidence=tuple(self.evidence),
            zone_known=zone is not None,
        )

    def _note(self, outcome: str, rule: str, inputs: Mapping[str, Any]) -> None:
        self.evidence.append(Evidence("customer", outcome, rule, dict(inputs)))

    def _hold(self, problem: Problem) -> Hold:
        return Hold(self.id, problem, tuple(self.evidence))


def _number_from_stripe(customer: Raw, settings: CustomerSettings) -> str | None:
    if settings.number.source != "stripe" or not settings.number.stripe_field:
        return None
    return text_at(customer, settings.number.stripe_field) or None


def _unknown(setting: str, number: Number, *, barred: bool = False) -> Problem:
    state = "is barred" if barred else "does not exist"
    return Problem("E-REFERENCE", f"{setting}: {number} {state} in the ledger", field=setting, found=str(number))


def _metadata_key(path: str) -> str:
    return path.removeprefix("metadata.").strip('"')
