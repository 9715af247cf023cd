"""The ledger document of a Stripe invoice or charge: recipient, dates, lines and totals decided, or the reason why not."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, replace

from cloudify_pipeline.accounting.chart import Chart, Number
from cloudify_pipeline.accounting.documents import CustomerRef, DocumentKind, SalesDocument
from cloudify_pipeline.accounting.parties import LedgerRecord
from cloudify_pipeline.errors import Problem
from cloudify_pipeline.mapping.apply import map_record
from cloudify_pipeline.mapping.compile import CompiledMappings
from cloudify_pipeline.planning.corrections import Correction, Original
from cloudify_pipeline.planning.dates import document_date, document_due_date
from cloudify_pipeline.planning.exchange import exchange_rate
from cloudify_pipeline.planning.lines import LinePlanner
from cloudify_pipeline.planning.plans import Evidence, Hold, PlannedCustomer, PlannedDocument, PlannedProduct, Skip
from cloudify_pipeline.planning.records import ChargeRecord, InvoiceRecord, Record, sold
from cloudify_pipeline.planning.rounding import Model, in_force
from cloudify_pipeline.planning.rules import DueDocument
from cloudify_pipeline.planning.vat import ZoneDecision, decide_zone, is_overridden
from cloudify_pipeline.planning.vat_checks import checked_zone, zone_of_held
from cloudify_pipeline.planning.vat_return import buyer_evidence
from cloudify_pipeline.planning.vat_words import reverse_charge_words
from cloudify_pipeline.settings.models import ConnectionSettings

KEY = "stripe:"
"""Prefix of the durable key by which a ledger document is found again."""


def plan_document(
    record: Record,
    *,
    due: DueDocument,
    settings: ConnectionSettings,
    documents: CompiledMappings,
    lines: CompiledMappings,
    chart: Chart,
    today: datetime.date,
    customer: PlannedCustomer | Hold | None,
    products: Mapping[str, PlannedProduct | Hold],
    numbered: Mapping[str, LedgerRecord],
    vat_rounding: Model | None = None,
    corrects: tuple[Correction, Original] | None = None,
) -> PlannedDocument | Hold | Skip:
    """The document that `due` says should stand in the ledger for `record`.

    `customer` is None when Stripe names none: the default customer then stands in. `products` are the plans of the Stripe
    products by id, `numbered` the ledger products by number that the settings name; nothing is dated after `today`;
    `vat_rounding` is where the ledger is taken to round VAT, by default as the settings say. `corrects`: `record` is a
    correction's, and takes back that document.
    """
    evidence = list(due.evidence)
    if isinstance(record, InvoiceRecord) and not record.lines:
        return Skip(record.stripe_id, "S-ZERO", "the invoice has no lines", tuple(evidence))
    planner = LinePlanner(sold(record), settings, lines, chart, products, numbered, evidence)
    planner.model = vat_rounding or in_force(settings.invoices.rounding.vat)
    planned = _plan(record, due, settings, documents, customer, planner, corrects, today)
    if not isinstance(planned, Problem):
        return planned
    if all(one.decision != "vat_zone" for one in evidence):
        evidence += zone_of_held(record, settings, chart, due.vat_zone)
    return Hold(record.stripe_id, planned, tuple(evidence))


@dataclass(frozen=True, slots=True)
class _Invoiced:
    """Who is invoiced, and what the document takes over from the customer."""

    reference: CustomerRef
    terms: Number
    layout: Number | None
    zone: Number | None
    name: str
    evidence: Evidence


def _plan(  # noqa: PLR0917
    record: Record,
    due: DueDocument,
    settings: ConnectionSettings,
    mappings: CompiledMappings,
    customer: PlannedCustomer | Hold | None,
    planner: LinePlanner,
    corrects: tuple[Correction, Original] | None,
    today: datetime.date,
) -> PlannedDocument | Problem:
    chart, evidence = planner.chart, planner.evidence
    problem = record.unsold if isinstance(record, ChargeRecord) else None
    problem = problem or _amount_problem(record, chart, due.kind)
    if problem is not None:
        return problem
    invoiced = _invoiced(customer, settings, chart)
    if isinstance(invoiced, Problem):
        return invoiced
    if corrects is not None:
        invoiced = _as_original(invoiced, corrects[1])
    evidence.append(invoiced.evidence)
    dated = document_date(record, settings, chart, today, happened=corrects[0].happened if corrects else None)
    if isinstance(dated, Problem):
        return dated
    evidence.append(dated.evidence)
    due_date = document_due_date(record, chart, invoiced.terms, dated, owed=corrects is None)
    if isinstance(due_date, Problem):
        return due_date
    decided = _zone(record, settings, chart, invoiced, due) if corrects is None else _original_zone(corrects[1], chart)
    zone = checked_zone(record, decided, settings.vat, evidence)
    if isinstance(zone, Problem):
        return zone
    evidence.append(buyer_evidence(record, zone, settings.vat))
    priced = planner.plan(zone.zone)
    if isinstance(priced, Problem):
        return priced
    source = record.invoice if isinstance(record, InvoiceRecord) else record.as_invoice()
    mapped = map_record(mappings, {**source, "customer": record.customer})
    if mapped.problems:
        return mapped.problems[0]
    fields = dict(sorted(mapped.values.items()))
    if not fields.get("recipient.name") and invoiced.name:
        fields["recipient.name"] = invoiced.name
    rated = exchange_rate(record, due, settings, chart, fields, original=corrects[1] if corrects else None)
    if isinstance(rated, Problem):
        return rated
    fields |= rated.fields
    evidence += rated.evidence
    words = reverse_charge_words(record, zone, fields, settings.vat)
    fields |= words.fields
    evidence += words.evidence
    document = SalesDocument(
        key=f"{KEY}{record.stripe_id}",
        kind=due.kind,
        stripe_id=record.stripe_id,
        stripe_number=record.number,
        currency=record.currency,
        date=dated.day,
        due_date=due_date,
        customer=invoiced.reference,
        payment_terms=invoiced.terms,
        vat_zone=zone.zone,
        layout=invoiced.layout,
        lines=(*priced.lines, *((corrects[0].text(corrects[1]),) if corrects else ()), *dated.words, *words.lines),
        stripe_total=priced.stripe_total,
        predicted=priced.predicted,
        send_by=settings.invoices.send_by,
        fields=dict(sorted(fields.items())),
        original_date=None if dated.original == dated.day else dated.original,
    )
    lineage = (*mapped.lineage, *words.lineage, *planner.lineage)
    planned = PlannedDocument(document, due.rule, lineage, tuple(evidence))
    return planned if corrects is None else replace(planned, corrects=corrects[0].original_id, naming=corrects[0].naming)


def _amount_problem(record: Record, chart: Chart, kind: DocumentKind) -> Problem | None:
    """A negative invoice is a negative document, as credit notes are; an order over less than nothing means nothing."""
    if record.total_minor < 0 and kind == "draft_order":
        message = f"the total is {record.total} {record.currency}, and an order cannot be negative"
        return Problem("E-NEGATIVE", message, field="total", found=str(record.total))
    if record.currency not in chart.currencies:
        message = f"currency {record.currency} is not set up in the ledger"
        return Problem("E-CURRENCY", message, field="currency", found=record.currency)
    return None


def _invoiced(customer: PlannedCustomer | Hold | None, settings: ConnectionSettings, chart: Chart) -> _Invoiced | Problem:
    own = settings.customers
    if isinstance(customer, Hold):
        # The cause's own code: what a person has to mend is there, and the document follows by itself.
        cause = customer.problem
        return replace(cause, message=f"its customer {customer.stripe_id} is held: {cause.message}")
    if customer is None and own.default_customer is None:
        message = "Stripe names no customer, and customers.default_customer is not set"
        return Problem("E-CUST-MISSING", message, field="customer")
    if customer is None:
        reference, name, zone = CustomerRef(own.default_customer), "", None
        terms, layout = own.defaults.payment_terms, own.defaults.layout
        why = Evidence("customer", str(own.default_customer), "customers.default_customer", {"customer": "none in Stripe"})
    else:
        reference, name = CustomerRef(customer.number, customer.stripe_id), customer.name
        zone = customer.vat_zone if customer.zone_known else None
        terms, layout = customer.payment_terms, customer.layout
        number = str(customer.number or "given by the ledger")
        why = Evidence("customer", number, customer.action, {"customer": customer.stripe_id, "name": name})
    if settings.invoices.layout is not None:
        layout = settings.invoices.layout
    if layout is not None and layout not in chart.layouts:
        return _unknown("invoices.layout", layout)
    if terms not in chart.payment_terms:
        return _unknown("customers.defaults.payment_terms", terms)
    return _Invoiced(reference, terms, layout, zone, name, why)


def _zone(
    record: Record, settings: ConnectionSettings, chart: Chart, invoiced: _Invoiced, due: DueDocument
) -> ZoneDecision | Problem:
    """The zone by the buyer's country and number; with a number in the settings, the customer's own zone instead."""
    given = settings.customers.defaults.vat_zone
    if given == "auto" or is_overridden(record, settings.vat, due.vat_zone):
        return decide_zone(record, settings.vat, chart, customer_zone=invoiced.zone, rule_zone=due.vat_zone)
    zone = given if invoiced.zone is None else invoiced.zone
    known = chart.vat_zones.get(zone)
    if known is None or not known.enabled:
        return _unknown("customers.defaults.vat_zone", zone)
    rule = "customers.defaults.vat_zone is a number: the customer's own zone"
    return ZoneDecision(zone, "customer", rule, Evidence("vat_zone", f"{zone} ({known.name})", rule, {"default": str(given)}))


def _as_original(invoiced: _Invoiced, original: Original) -> _Invoiced:
    """Who is invoiced, as the customer of the document that is taken back."""
    number = str(original.customer.number or "given by the ledger")
    inputs = {"corrects": original.stripe_id, "customer": original.customer.stripe_id or "none in Stripe"}
    evidence = Evidence("customer", number, f"the customer of {original.words}", inputs)
    return replace(invoiced, reference=original.customer, evidence=evidence)


def _original_zone(original: Original, chart: Chart) -> ZoneDecision | Problem:
    """The zone of the document that is taken back: what was declared there is taken back there."""
    known = chart.vat_zones.get(original.zone)
    if known is None:
        message = f"VAT zone {original.zone} of {original.words} does not exist in the ledger any more"
        return Problem("E-VAT-ZONE", message, found=str(original.zone))
    rule = f"the zone of {original.words}, which it corrects"
    return ZoneDecision(original.zone, "customer", rule, Evidence("vat_zone", f"{original.zone} ({known.name})", rule))


def _unknown(setting: str, number: Number) -> Problem:
    return Problem("E-REFERENCE", f"{setting}: {number} does not exist in the ledger", field=setting, found=str(number))
