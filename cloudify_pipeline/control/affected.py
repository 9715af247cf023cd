"""Which staged records another set of field mappings would fill otherwise: what a change of the settings does, counted."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cloudify_pipeline.accounting.documents import FieldValue
from cloudify_pipeline.control.joined import goods_of, joined_records, lines_of, portions, priced
from cloudify_pipeline.errors import Problem, RunStopped
from cloudify_pipeline.mapping.apply import map_record
from cloudify_pipeline.mapping.compile import CompiledMappings, FieldMapping
from cloudify_pipeline.mapping.values import to_text
from cloudify_pipeline.planning.products import with_price
from cloudify_pipeline.planning.records import InvoiceRecord
from cloudify_pipeline.settings.load import Mappings
from cloudify_pipeline.staging.store import Staging
from cloudify_pipeline.stripe_objects import Kind

SAMPLES = 3
_EVER = 2**40
"""Epoch seconds that no record is created after."""
_AT_ONCE = 1000
"""Invoices in memory, bare: each reading looks through all of staging, so few are better than many."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One record's value before and after; None is an empty field, ``held: <code>`` a value that would hold the record."""

    stripe_id: str
    before: str | None
    after: str | None


@dataclass(slots=True)
class AffectedField:
    """One ledger field whose mapping differs: `changed` of the `of` staged records of its section get another value."""

    section: str
    target: str
    of: int = 0
    changed: int = 0
    samples: list[Sample] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Effect:
    """Every field whose mapping differs; `unknown` is why nothing could be counted."""

    fields: tuple[AffectedField, ...] = ()
    unknown: str | None = None


Pair = tuple[FieldMapping | None, FieldMapping | None]


def affected(staging: Staging | None, before: Mappings, after: Mappings) -> Effect:
    """Compare two sets of mappings over what is staged. Reads staging only, and nothing where no mapping differs.

    Documents that stand in the ledger keep their values whatever the settings say; the count does not leave them out.
    """
    differing = {section: _differing(getattr(before, section), getattr(after, section)) for section in _RECORDS}
    if not any(differing.values()):
        return Effect()
    if staging is None:
        return Effect(unknown="nothing is staged yet: a preview or sync reads Stripe first")
    try:
        found = [one for section, pairs in differing.items() if pairs for one in _counted(staging, section, pairs)]
    except RunStopped as busy:
        return Effect(unknown=busy.message)
    return Effect(tuple(found))


def _differing(before: CompiledMappings, after: CompiledMappings) -> dict[str, Pair]:
    # Whether a mapping is written or pre-mapped makes no difference to what it fills.
    old = {one.target.path: replace(one, written=True) for one in before.mappings}
    new = {one.target.path: replace(one, written=True) for one in after.mappings}
    return {path: (old.get(path), new.get(path)) for path in {**old, **new} if old.get(path) != new.get(path)}


def _counted(staging: Staging, section: str, pairs: Mapping[str, Pair]) -> list[AffectedField]:
    name = "documents" if section == "lines" else section
    prefix = "lines." if section == "lines" else ""
    found = {path: AffectedField(name, f"{prefix}{path}") for path in pairs}
    for stripe_id, record in _RECORDS[section](staging):
        for path, (old, new) in pairs.items():
            one, before, after = found[path], _value(old, record), _value(new, record)
            one.of += 1
            if before != after:
                one.changed += 1
                if len(one.samples) < SAMPLES:
                    one.samples.append(Sample(stripe_id, before, after))
    return list(found.values())


def _value(mapping: FieldMapping | None, record: Mapping[str, Any]) -> str | None:
    if mapping is None:
        return None
    mapped = map_record((mapping,), record)
    if mapped.problems:
        return _held(mapped.problems[0])
    value: FieldValue | None = mapped.values.get(mapping.target.path)
    return None if value is None else to_text(value)


def _held(problem: Problem) -> str:
    return f"held: {problem.code}"


Records = Iterator[tuple[str, Mapping[str, Any]]]


def _customers(staging: Staging) -> Records:
    return _live(staging, "customer")


def _products(staging: Staging) -> Records:
    prices: dict[str, dict[str, Any]] = {}
    for stripe_id, price in _live(staging, "price"):
        prices.setdefault(str(price.get("product")), {})[stripe_id] = price
    for stripe_id, product in _live(staging, "product"):
        yield stripe_id, with_price(product, prices.get(stripe_id, {}))


def staged_invoices(staging: Staging) -> Iterator[tuple[str, Mapping[str, Any], Sequence[Mapping[str, Any]]]]:
    """Every staged invoice that may become a document, and its lines, as mappings read them."""
    for part in portions(_due_some_day(staging, "invoice"), _AT_ONCE):
        with staging.reading():
            invoices = staging.objects("invoice", part)
            customers = staging.objects(
                "customer", sorted({str(one["customer"]) for one in invoices.values() if one.get("customer")})
            )
            products, prices = goods_of(staging, invoices.values())
        for stripe_id in part:
            if (invoice := invoices.get(stripe_id)) is None:
                continue
            lines = [
                {**line, "product": products.get(str(one.get("product"))), "price": prices.get(str(one.get("price")))}
                for line in lines_of(invoice)
                for one in (priced(line),)
            ]
            yield stripe_id, {**invoice, "customer": customers.get(invoice.get("customer") or "")}, lines


def line_name(stripe_id: str, place: int) -> str:
    """What the line at `place` (from 1) of an invoice is called."""
    return f"{stripe_id} line {place}"


def _documents(staging: Staging) -> Records:
    return ((stripe_id, invoice) for stripe_id, invoice, _ in staged_invoices(staging))


def _lines(staging: Staging) -> Records:
    for stripe_id, _, lines in staged_invoices(staging):
        for place, line in enumerate(lines, start=1):
            yield line_name(stripe_id, place), line


def _charges(staging: Staging) -> Records:
    for record in joined_records(staging, _due_some_day(staging, "charge")):
        if not isinstance(record, InvoiceRecord):
            yield record.stripe_id, {**record.as_invoice(), "customer": record.customer}


_RECORDS = {
    "customers": _customers,
    "products": _products,
    "documents": _documents,
    "lines": _lines,
    "charges": _charges,
}


def staged_records(staging: Staging, section: str) -> Records:
    """Every staged record as mappings read it; a section is customers, products, documents, lines or charges."""
    return _RECORDS[section](staging)


def _live(staging: Staging, kind: Kind) -> Records:
    for part in portions(sorted(staging.live_ids(kind, 0, _EVER))):
        yield from staging.objects(kind, part).items()


def _due_some_day(staging: Staging, kind: str) -> list[str]:
    return [one.id for one in staging.candidates() if one.kind == kind]
