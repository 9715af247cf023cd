"""The ledger product of a Stripe product: linked by hand or found by the match pairs, created, updated, or held."""

import re
from collections import defaultdict
from collections.abc import Container, Mapping
from dataclasses import replace

from cloudify_pipeline.accounting.chart import Chart, Named, Number
from cloudify_pipeline.accounting.documents import FieldValue
from cloudify_pipeline.accounting.parties import Candidates, LedgerRecord, Lookup
from cloudify_pipeline.errors import Problem
from cloudify_pipeline.mapping.apply import map_record
from cloudify_pipeline.mapping.compile import CompiledMappings
from cloudify_pipeline.mapping.lineage import Lineage
from cloudify_pipeline.planning.matching import NUMBER, agrees, ask, differing, match, without
from cloudify_pipeline.planning.plans import Evidence, Hold, PartyAction, PlannedProduct
from cloudify_pipeline.planning.records import Raw, id_of
from cloudify_pipeline.settings.models import ConnectionSettings, ProductSettings

MAX_NUMBER = 25
"""Characters of a product number (reference/economic.md §6.3)."""

_NUMBER_TARGETS = (NUMBER, "productNumber")
_NO_PRICES: Mapping[str, Raw] = {}


def product_lookups(
    product: Raw, prices: Mapping[str, Raw], settings: ProductSettings, mappings: CompiledMappings | None = None
) -> tuple[Lookup, ...] | Problem:
    """What to ask the ledger about `product`: its link, or the match pairs; and whether the number it would get is taken."""
    if settings.links:
        linked = settings.links.get(str(product["id"]))
        lookups = [Lookup(NUMBER, linked)] if linked else []
    else:
        lookups = [one.lookup for one in ask(with_price(product, prices), settings.match) if one.lookup is not None]
    if settings.on_not_found == "create":
        lookups.append(Lookup(NUMBER, _new_number(product, prices, mappings)[0]))
    if settings.on_not_found == "default_product" and settings.default_product:
        lookups.append(Lookup(NUMBER, settings.default_product))
    return tuple(dict.fromkeys(lookup for lookup in lookups if lookup.value))


def plan_product(
    product: Raw,
    *,
    settings: ConnectionSettings,
    mappings: CompiledMappings,
    chart: Chart,
    candidates: Candidates,
    known: LedgerRecord | None,
    prices: Mapping[str, Raw] = _NO_PRICES,
    linked: Number | None = None,
    taken: Container[Number] = frozenset(),
) -> PlannedProduct | Hold:
    """The ledger product that `product` is, or becomes.

    `known` is the record that an earlier run linked, as it stands now; `linked` its number, also when the record is gone;
    `taken` are ledger numbers of other Stripe products.
    """
    planner = _Product(product, prices, settings.products, mappings)
    planner.groups, planner.units, planner.candidates = chart.product_groups, chart.units, candidates
    planner.taken = taken
    plan = planner.plan(known)
    if known is not None or linked is None or settings.products.links:
        return plan
    if isinstance(plan, Hold):
        return replace(plan, problem=without(plan.problem, f"product {linked}", "E-PROD-GONE", str(linked)))
    return replace(plan, gone=linked)


def distinct_numbers(plans: Mapping[str, PlannedProduct | Hold]) -> dict[str, PlannedProduct | Hold]:
    """`plans` with every new product held whose number another new product would get too, whatever their order."""
    wanted: dict[str, list[str]] = defaultdict(list)
    for stripe_id, plan in plans.items():
        if isinstance(plan, PlannedProduct) and plan.action == "create":
            wanted[plan.number.casefold()].append(stripe_id)
    checked = dict(plans)
    for ids in wanted.values():
        for stripe_id in ids if len(ids) > 1 else ():
            plan = plans[stripe_id]
            if isinstance(plan, PlannedProduct):
                message = f"{' and '.join(sorted(ids))} would all become product {plan.number}"
                problem = Problem("E-DUPLICATE-NUMBER", message, found=plan.number)
                checked[stripe_id] = Hold(stripe_id, problem, plan.evidence)
    return checked


class _Product:
    def __init__(self, product: Raw, prices: Mapping[str, Raw], own: ProductSettings, mappings: CompiledMappings) -> None:
        self.product = product
        self.prices = prices
        self.id = str(product["id"])
        self.own = own
        self.mappings = mappings
        self.groups: Mapping[Number, Named] = {}
        self.units: Mapping[Number, Named] = {}
        self.candidates: Candidates = {}
        self.taken: Container[Number] = frozenset()
        self.evidence: list[Evidence] = []

    def plan(self, known: LedgerRecord | None) -> PlannedProduct | Hold:
        if self.own.links:
            return self._linked()
        if known is not None:
            if known.barred:
                return self._hold(_barred(known))
            self._note(str(known.number), "linked earlier", {"name": known.name})
            return self._found(known)
        asked = ask(with_price(self.product, self.prices), self.own.match)
        found = match(asked, self.candidates, decision="product", barred_code="E-PROD-BARRED")
        if isinstance(found, tuple):
            self.evidence += found[1]
            return self._hold(found[0])
        self.evidence += found.evidence
        return self._found(found.record) if found.record is not None else self._not_found()

    def _linked(self) -> PlannedProduct | Hold:
        number = self.own.links.get(self.id)
        if number is None:
            self._note("not linked", "products.links", {"product": self.id})
            return self._not_found()
        return self._named(f"products.links.{self.id}", number)

    def _named(self, setting: str, number: str | None) -> PlannedProduct | Hold:
        """A ledger product that the settings name: its number is taken, and nothing of it is changed."""
        if number is None:
            return self._hold(Problem("E-REFERENCE", f"{setting} is not set", field=setting))
        record = self._by_number(number)
        if record is None:
            return self._hold(Problem("E-REFERENCE", f"{setting}: {number} is not in the ledger", field=setting, found=number))
        if record.barred:
            return self._hold(_barred(record))
        self._note(number, setting, {"name": record.name})
        return self._planned("use", record, {}, ())

    def _by_number(self, number: str) -> LedgerRecord | None:
        lookup = Lookup(NUMBER, number)
        return next((one for one in self.candidates.get(lookup, ()) if agrees(one, lookup)), None)

    def _found(self, record: LedgerRecord) -> PlannedProduct | Hold:
        fields: dict[str, FieldValue] = {}
        lineage: tuple[Lineage, ...] = ()
        if self.own.on_found == "update":
            mapped = map_record(self.mappings, with_price(self.product, self.prices))
            if mapped.problems:
                return self._hold(mapped.problems[0])
            values = {path: value for path, value in mapped.values.items() if path not in _NUMBER_TARGETS}
            fields = differing(values, record)
            lineage = tuple(line for line in mapped.lineage if line.target in fields)
            for path in fields:
                self._note(str(fields[path]), f"on_found: update {path}", {"ledger": str(record.fields.get(path, ""))})
        return self._planned("update" if fields else "use", record, fields, lineage)

    def _not_found(self) -> PlannedProduct | Hold:
        if self.own.on_not_found == "default_product":
            return self._named("products.default_product", self.own.default_product)
        if self.own.on_not_found == "hold":
            name = self.product.get("name") or self.id
            return self._hold(Problem("E-PROD-MISSING", f"no ledger product is found for {name} ({self.id})"))
        return self._create()

    def _create(self) -> PlannedProduct | Hold:
        number, source = _new_number(self.product, self.prices, self.mappings)
        if not 1 <= len(number) <= MAX_NUMBER:
            message = f"{source} gives product number {number!r}: it needs 1 to {MAX_NUMBER} characters"
            return self._hold(Problem("E-PROD-NUM", message, field=source, found=number))
        holder = self._by_number(number)
        if holder is not None:
            if source == "id":
                # Nobody else makes numbers out of Stripe ids: it is the product that an earlier run made.
                self._note(number, "its Stripe id is the ledger number", {"name": holder.name})
                return self._hold(_barred(holder)) if holder.barred else self._found(holder)
            if number not in self.taken and not self._differs(holder):
                self._note(number, "has the number and every field already", {"name": holder.name})
                return self._hold(_barred(holder)) if holder.barred else self._found(holder)
            message = f"product number {number} ({source}) belongs to {holder.name} in the ledger, which no match pair finds"
            return self._hold(Problem("E-DUPLICATE-NUMBER", message, field=source, found=number))
        group, unit = self.own.defaults.group, self.own.defaults.unit
        known = self.groups.get(group)
        if known is None or known.barred:
            return self._hold(_unknown("products.defaults.group", group))
        if unit is not None and unit not in self.units:
            return self._hold(_unknown("products.defaults.unit", unit))
        mapped = map_record(self.mappings, with_price(self.product, self.prices))
        if mapped.problems:
            return self._hold(mapped.problems[0])
        fields = {path: value for path, value in sorted(mapped.values.items()) if path not in {"name", *_NUMBER_TARGETS}}
        self._note("create", "on_not_found: create", {"number": number, "from": source})
        return PlannedProduct(
            stripe_id=self.id,
            action="create",
            number=number,
            name=str(mapped.values.get("name") or self.product.get("name") or self.id),
            group=group,
            unit=unit,
            fields=fields,
            lineage=tuple(mapped.lineage),
            evidence=tuple(self.evidence),
        )

    def _differs(self, holder: LedgerRecord) -> bool:
        """Whether `holder` lacks something of what a create would send: then it is not what an earlier run made."""
        values = map_record(self.mappings, with_price(self.product, self.prices)).values
        name = str(values.get("name") or self.product.get("name") or self.id)
        return bool(
            differing({**{path: one for path, one in values.items() if path not in _NUMBER_TARGETS}, "name": name}, holder)
        )

    def _planned(
        self, action: PartyAction, record: LedgerRecord, fields: Mapping[str, FieldValue], lineage: tuple[Lineage, ...]
    ) -> PlannedProduct | Hold:
        if record.group is None:
            message = f"product {record.number} ({record.name}) has no product group in the ledger, so its VAT is not known"
            return self._hold(Problem("E-PROD-GROUP", message, found=str(record.number)))
        return PlannedProduct(
            stripe_id=self.id,
            action=action,
            number=str(record.number),
            name=record.name,
            group=record.group,
            unit=self.own.defaults.unit,
            fields=dict(fields),
            lineage=lineage,
            evidence=tuple(self.evidence),
        )

    def _note(self, outcome: str, rule: str, inputs: Mapping[str, str]) -> None:
        self.evidence.append(Evidence("product", outcome, rule, dict(inputs)))

    def _hold(self, problem: Problem) -> Hold:
        return Hold(self.id, problem, tuple(self.evidence))


def with_price(product: Raw, prices: Mapping[str, Raw]) -> dict[str, object]:
    """The product as mappings and match pairs see it: with its price, which is the default one, else its only one."""
    own = [price for price in prices.values() if id_of(price.get("product")) == product["id"]]
    default = prices.get(id_of(product.get("default_price")) or "")
    return {**product, "price": default or (own[0] if len(own) == 1 else None)}


def _new_number(product: Raw, prices: Mapping[str, Raw], mappings: CompiledMappings | None) -> tuple[str, str]:
    """The number of a new product and where it comes from: the mapped number, else its SKU, else a form of its id.

    A number from the id has only letters, digits and hyphens, which need no encoding in the ledger's paths.
    """
    if mappings is not None:
        values = map_record(mappings, with_price(product, prices)).values
        for target in _NUMBER_TARGETS:
            if values.get(target):
                return str(values[target]).strip(), target
    sku = str((product.get("metadata") or {}).get("sku") or "").strip()
    if sku:
        return sku, "metadata.sku"
    return re.sub(r"[^A-Za-z0-9-]", "", str(product["id"]).removeprefix("prod_"))[:MAX_NUMBER], "id"


def _barred(record: LedgerRecord) -> Problem:
    return Problem("E-PROD-BARRED", f"product {record.number} ({record.name}) is barred in the ledger", found=str(record.number))


def _unknown(setting: str, number: Number) -> Problem:
    message = f"{setting}: {number} does not exist in the ledger or is barred"
    return Problem("E-REFERENCE", message, field=setting, found=str(number))
