"""The ledger document of a Stripe invoice or charge: recipient, dates, lines and totals decided, or the reason why not."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, replace

from cloudify_pipeline.accounting.chart import Chart, Number
from cloudify_pipeline.accounting.documents import CustomerRef, SalesDocument
from cloudify_pipeline.accounting.parties import LedgerRecord
from cloudify_pipeline.errors import Problem
from cloudify_pipeline.mapping.apply import map_record
from cloudify_pipeline.mapping.compile import CompiledMappings
from cloudify_pipeline.planning.lines import LinePlanner
from cloudify_pipeline.planning.plans import Evidence, Hold, PlannedCustomer, PlannedDocument, PlannedProduct, Skip
from cloudify_pipeline.planning.records import ChargeRecord, InvoiceRecord, Record, book_date, instant
from cloudify_pipeline.planning.rules import DueDocument
from cloudify_pipeline.planning.vat import ZoneDecision, decide_zone
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
    customer: PlannedCustomer | Hold | None,
    products: Mapping[str, PlannedProduct | Hold],
    numbered: Mapping[str, LedgerRecord],
) -> PlannedDocument | Hold | Skip:
    """The document that `due` says should stand in the ledger for `record`.

    `customer` is None when Stripe names none: the default customer then stands in. `products` are the plans of the Stripe
    products by id, `numbered` the ledger products by number that the settings name.
    """
    evidence = list(due.evidence)
    if isinstance(record, InvoiceRecord) and not record.lines:
        return Skip(record.stripe_id, "S-ZERO", "the invoice has no lines", tuple(evidence))
    planner = LinePlanner(record, settings, lines, chart, products, numbered, evidence)
    planned = _plan(record, due, settings, documents, customer, planner)
    return Hold(record.stripe_id, planned, tuple(evidence)) if isinstance(planned, Problem) else planned


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
) -> PlannedDocument | Problem:
    chart, evidence = planner.chart, planner.evidence
    problem = _amount_problem(record, chart)
    if problem is not None:
        return problem
    invoiced = _invoiced(customer, settings, chart)
    if isinstance(invoiced, Problem):
        return invoiced
    evidence.append(invoiced.evidence)
    dated = _date(record, settings, chart)
    if isinstance(dated, Problem):
        return dated
    day, why = dated
    evidence.append(why)
    due_date = _due_date(record, chart, invoiced.terms, day)
    if isinstance(due_date, Problem):
        return due_date
    zone = _zone(record, settings, chart, invoiced)
    if isinstance(zone, Problem):
        return zone
    evidence.append(zone.evidence)
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
    document = SalesDocument(
        key=f"{KEY}{record.stripe_id}",
        kind=due.kind,
        stripe_id=record.stripe_id,
        stripe_number=record.number,
        currency=record.currency,
        date=day,
        due_date=due_date,
        customer=invoiced.reference,
        payment_terms=invoiced.terms,
        vat_zone=zone.zone,
        layout=invoiced.layout,
        lines=priced.lines,
        stripe_total=priced.stripe_total,
        predicted=priced.predicted,
        send_by=settings.invoices.send_by,
        fields=fields,
    )
    return PlannedDocument(document, due.rule, (*mapped.lineage, *planner.lineage), tuple(evidence))


def _amount_problem(record: Record, chart: Chart) -> Problem | None:
    if record.total_minor < 0:
        return Problem("E-NEGATIVE", f"the total is {record.total} {record.currency}", field="total", found=str(record.total))
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


def _zone(record: Record, settings: ConnectionSettings, chart: Chart, invoiced: _Invoiced) -> ZoneDecision | Problem:
    """The zone by the buyer's country and number; with a number in the settings, the customer's own zone instead."""
    given = settings.customers.defaults.vat_zone
    if given == "auto":
        return decide_zone(record, settings.vat, chart, customer_zone=invoiced.zone)
    zone = given if invoiced.zone is None else invoiced.zone
    known = chart.vat_zones.get(zone)
    if known is None or not known.enabled:
        return _unknown("customers.defaults.vat_zone", zone)
    rule = "customers.defaults.vat_zone is a number: the customer's own zone"
    return ZoneDecision(zone, "customer", rule, Evidence("vat_zone", f"{zone} ({known.name})", rule, {"default": str(given)}))


def _date(record: Record, settings: ConnectionSettings, chart: Chart) -> tuple[datetime.date, Evidence] | Problem:
    """The document's date, and where it came from; an instant that is missing gives way to finalized_at, then created."""
    wanted = settings.invoices.date
    names = dict.fromkeys((wanted, "finalized_at", "created"))
    found = next(((name, moment) for name in names if (moment := record.instant(name)) is not None), None)
    if found is None:
        return Problem("E-PERIOD", f"the record has no {wanted}", field="invoices.date", found=wanted)
    name, moment = found
    day = book_date(moment)
    if not chart.open_on(day):
        message = f"{day.isoformat()} lies in a closed or barred period, or in no accounting year"
        return Problem("E-PERIOD", message, field="invoices.date", found=day.isoformat())
    return day, Evidence("date", day.isoformat(), f"invoices.date: {wanted}", {name: moment.isoformat()})


def _due_date(record: Record, chart: Chart, terms: Number, day: datetime.date) -> datetime.date | Problem | None:
    """Only terms of the type dueDate take a date; for all others the ledger computes it and drops what is sent."""
    if chart.payment_terms[terms].type != "dueDate":
        return None
    if isinstance(record, ChargeRecord):
        return day
    moment = instant(record.invoice.get("due_date"))
    if moment is None:
        name = f"payment terms {terms} ({chart.payment_terms[terms].name})"
        return Problem("E-DUE-MISSING", f"{name} need a due date, and the invoice has none", field="due_date")
    due_date = book_date(moment)
    if due_date < day:
        message = f"the due date {due_date.isoformat()} lies before the invoice date {day.isoformat()}"
        return Problem("E-DUE-EARLY", message, field="due_date", found=due_date.isoformat())
    return due_date


def _unknown(setting: str, number: Number) -> Problem:
    return Problem("E-REFERENCE", f"{setting}: {number} does not exist in the ledger", field=setting, found=str(number))
