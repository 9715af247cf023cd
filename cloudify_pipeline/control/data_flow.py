"""Which data go where for one connection: Stripe paths to ledger fields, what is kept on the way, what is written back.

Made from the settings and the catalogues that a run uses, so it cannot say anything else than what a run does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from cloudify_pipeline.control.data_facts import (
    Decision,
    Facts,
    booking_facts,
    charge_facts,
    customer_facts,
    decisions,
    invoice_facts,
    line_facts,
    payment_line_facts,
    product_facts,
)
from cloudify_pipeline.control.data_kept import Kept, kept_here
from cloudify_pipeline.mapping.compile import CompiledMappings, FieldMapping
from cloudify_pipeline.mapping.sources import Value, ValueSource
from cloudify_pipeline.mapping.values import to_text
from cloudify_pipeline.settings.load import Catalogues, LoadedConnection
from cloudify_pipeline.settings.models import ConnectionSettings
from cloudify_pipeline.staging.schema import TABLES
from cloudify_pipeline.stripe_objects import Kind

Origin = Literal["mapping", "pre-mapped", "decided"]
_LINES = "lines."
_NUMBER = "number"
"""In a product mapping: the product's own key, by whatever name the ledger has for it."""


@dataclass(frozen=True, slots=True)
class FieldFlow:
    """A ledger field that is written: from which Stripe paths, how, and whether in every record that is created."""

    target: str
    sources: tuple[str, ...]
    how: str
    always: bool
    origin: Origin


@dataclass(frozen=True, slots=True)
class Section:
    """One kind of record in the ledger. `written` says when it is written, `staged` where its Stripe objects are kept."""

    name: str
    written: str
    staged: tuple[str, ...]
    fields: tuple[FieldFlow, ...]


@dataclass(frozen=True, slots=True)
class WrittenBack:
    """A value that is written to Stripe."""

    target: str
    what: str
    setting: str


@dataclass(frozen=True, slots=True)
class SentElsewhere:
    """What is sent to somebody who is neither Stripe nor the ledger: from which Stripe paths, what else, and by what setting."""

    to: str
    what: str
    sources: tuple[str, ...]
    setting: str


@dataclass(frozen=True, slots=True)
class DataFlow:
    """The page. `sections` are of the ledger, `kept` of this installation, `written_back` of Stripe, `elsewhere` of others."""

    connection: str
    ledger: str
    write_mode: str
    sections: tuple[Section, ...]
    decisions: tuple[Decision, ...]
    written_back: tuple[WrittenBack, ...]
    elsewhere: tuple[SentElsewhere, ...]
    kept: tuple[Kept, ...]


_STATE = {
    "ledger_status": "how the document of an invoice or payment ended",
    "ledger_document": "the ledger document's kind and number",
    "ledger_error": "the code and reason why it is held or failed",
    "ledger_synced_at": "when that was written",
}


def data_flow(loaded: LoadedConnection, catalogues: Catalogues) -> DataFlow:
    """Where the data of a connection go. Reads the settings alone: neither side is called, nothing is opened."""
    settings, mappings = loaded.settings, loaded.mappings
    decided = catalogues.decided
    documents, lines = _divided(decided.get("documents", {}))
    if settings.vat.reverse_charge_field is not None:
        documents[settings.vat.reverse_charge_field] = "reverse_charge"
    number_from = tuple(
        str(path)
        for one in mappings.products.mappings
        if _is_number(one, decided)
        for source in one.sources
        for path in source.paths
    )
    paying: tuple[Kind, ...] = ("charge",) if settings.invoices.exchange_rate == "stripe" else ()
    sections = [
        _section("customers", _customers_written(settings), ("customer",),
                 _fields(mappings.customers, decided.get("customers", {}), customer_facts(settings))),
        _section("products", _products_written(settings), ("product", "price"),
                 _fields(mappings.products, decided.get("products", {}), product_facts(settings, number_from))),
        _section("documents", _documents_written(settings), ("invoice", "customer", *paying),
                 _fields(mappings.documents, documents, invoice_facts(settings))),
        _section("lines", "with its document", ("invoice", "product", "price", "tax_rate"),
                 _fields(mappings.lines, lines, line_facts(settings), prefix=_LINES)),
    ]  # fmt: skip
    if settings.invoices.include_charges:
        payment = _fields(CompiledMappings(), lines, payment_line_facts(settings), prefix=_LINES)
        fields = (*_fields(mappings.charges, documents, charge_facts(settings)), *payment)
        written = "a payment without an invoice, as a document of its own (invoices.include_charges)"
        sections.append(_section("charges", written, ("charge", "invoice_payment", "customer"), fields))
    if any(rule.create == "booked_invoice" for rule in settings.invoices.rules):
        booking = _fields(CompiledMappings(), decided.get("booking", {}), booking_facts(settings))
        sections.append(_section("booking", "a draft whose total is Stripe's is booked (create: booked_invoice)", (), booking))
    return DataFlow(
        connection=loaded.name,
        ledger=settings.ledger,
        write_mode=settings.write_mode,
        sections=tuple(sections),
        decisions=decisions(settings),
        written_back=_written_back(settings),
        elsewhere=_elsewhere(settings),
        kept=kept_here(loaded.name),
    )


def _section(name: str, written: str, kinds: tuple[Kind, ...], fields: tuple[FieldFlow, ...]) -> Section:
    return Section(name, written, tuple(TABLES[kind].name for kind in kinds), fields)


def _fields(mappings: CompiledMappings, decided: Mapping[str, str], facts: Facts, *, prefix: str = "") -> tuple[FieldFlow, ...]:
    """Mapped fields, then decided ones; a field that is both (a line's text) is one row with the sources of both."""
    mapped = {one.target.path: one for one in mappings.mappings if one.target.path != _NUMBER}
    rows = []
    for path, mapping in mapped.items():
        # A mapped field of a line is written with a product only: a line without an amount is text alone.
        row = FieldFlow(f"{prefix}{path}", _paths(mapping), _how(mapping), not prefix and _never_empty(mapping), _origin(mapping))
        if path not in decided:
            rows.append(row)
    for path, word in decided.items():
        fact = facts[word]
        if fact is None:
            continue
        both = mapped.get(path)
        sources = (*_paths(both), *fact.sources) if both else fact.sources
        rows.append(FieldFlow(f"{prefix}{path}", tuple(dict.fromkeys(sources)), fact.decided_by, fact.always, "decided"))
    return tuple(rows)


def _divided(documents: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    header = {path: word for path, word in documents.items() if not path.startswith(_LINES)}
    return header, {path.removeprefix(_LINES): word for path, word in documents.items() if path.startswith(_LINES)}


def _is_number(mapping: FieldMapping, decided: Mapping[str, Mapping[str, str]]) -> bool:
    path = mapping.target.path
    return path == _NUMBER or decided.get("products", {}).get(path) == "number"


def _paths(mapping: FieldMapping) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(path) for source in mapping.sources for path in source.paths))


def _how(mapping: FieldMapping) -> str:
    named = [f"the constant {to_text(one.value)}" if isinstance(one, ValueSource) else str(one) for one in mapping.sources]
    steps = [str(one) for one in mapping.transforms]
    return " | ".join(named) + (f", then {', '.join(steps)}" if steps else "")


def _never_empty(mapping: FieldMapping) -> bool:
    return mapping.target.required or mapping.on_empty == "error" or isinstance(mapping.on_empty, Value)


def _origin(mapping: FieldMapping) -> Origin:
    return "mapping" if mapping.written else "pre-mapped"


def _customers_written(settings: ConnectionSettings) -> str:
    own = settings.customers
    creates = own.on_not_found == "create" or own.on_empty_match_field == "create"
    words = [f"created when none is found (customers.on_not_found: {own.on_not_found})" if creates else "never created"]
    if own.on_found == "update":
        words.append("mapped fields of a found one are updated; the rest goes back as the ledger had it (customers.on_found)")
    return "; ".join(words)


def _products_written(settings: ConnectionSettings) -> str:
    own = settings.products
    words = ["created when none is found (products.on_not_found)" if own.on_not_found == "create" else "never created"]
    if own.on_found == "update" and not own.links:
        words.append("mapped fields of a found one are updated; the rest goes back as the ledger had it (products.on_found)")
    return "; ".join(words)


def _documents_written(settings: ConnectionSettings) -> str:
    return "; ".join(f"{rule.create} when {rule.when}" for rule in settings.invoices.rules) + " (invoices.rules)"


def _written_back(settings: ConnectionSettings) -> tuple[WrittenBack, ...]:
    number = settings.customers.number
    written: tuple[WrittenBack, ...] = ()
    if number.source == "ledger" and number.store_in is not None:
        what = "the number that the ledger gave a customer this software created"
        written = (WrittenBack(f"customer.{number.store_in}", what, "customers.number.store_in"),)
    if settings.invoices.write_back:
        written += tuple(WrittenBack(f"metadata.{key}", what, "invoices.write_back") for key, what in _STATE.items())
    return written


def _elsewhere(settings: ConnectionSettings) -> tuple[SentElsewhere, ...]:
    evidence = settings.vat.evidence
    if not evidence.vies:
        return ()
    own = f", with the seller's own, {evidence.requester}" if evidence.requester else ""
    what = f"an EU business's VAT number that nothing proves{own}; its registered name and address are answered"
    paths = ("customer_tax_ids", "customer.tax_ids")
    return (SentElsewhere(f"VIES, {evidence.api_base}", what, paths, "vat.evidence.vies"),)
