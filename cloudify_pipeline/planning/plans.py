"""What planning says of one record: what should stand in the ledger, or why nothing does.

Plain values: planning the same inputs twice gives equal objects, equal bytes (:func:`dump`) and an equal `revision`.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cache
from typing import Any, Literal

from pydantic import TypeAdapter

from cloudify_pipeline.accounting.chart import Number
from cloudify_pipeline.accounting.documents import FieldValue, SalesDocument
from cloudify_pipeline.errors import Problem
from cloudify_pipeline.mapping.lineage import Lineage
from cloudify_pipeline.planning.correction_words import Naming

LATER = frozenset({"E-LIMIT", "S-RESTS"})
"""Codes of a skip that a later run takes up by itself: until then it is planned."""

PartyAction = Literal["use", "create", "update"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """One decision: what was decided (rule, vat_zone, customer, product, rounding, …), by which rule, from which inputs."""

    decision: str
    outcome: str
    rule: str
    inputs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Subject:
    """What a held or skipped document is about, in words and Stripe's own amount (currency's own unit)."""

    number: str | None
    name: str | None
    total: Decimal
    currency: str
    terms: tuple[str, ...] = ()
    """As :attr:`PlannedDocument.terms`."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A person must decide: nothing is sent until the cause is mended."""

    stripe_id: str
    problem: Problem
    evidence: tuple[Evidence, ...] = ()
    subject: Subject | None = None
    source_hash: str = ""


@dataclass(frozen=True, slots=True)
class Skip:
    """A rule says that nothing is due (yet): not an error."""

    stripe_id: str
    code: str
    reason: str
    evidence: tuple[Evidence, ...] = ()
    subject: Subject | None = None
    source_hash: str = ""


@dataclass(frozen=True, slots=True)
class PlannedCustomer:
    """Use an existing ledger customer, create one, or update the mapped fields of one.

    `number` is the ledger number: known for use and update, for create only when it comes from Stripe.
    `fields` are the mapped ledger fields by path; the five defaults stand beside them.
    """

    stripe_id: str
    action: PartyAction
    number: Number | None
    name: str
    currency: str
    group: Number
    payment_terms: Number
    vat_zone: Number
    layout: Number | None
    fields: Mapping[str, FieldValue]
    store_number_in: str | None = None
    """Metadata key of the Stripe customer that gets the ledger number, or None."""
    lineage: tuple[Lineage, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    source_hash: str = ""
    """The staged Stripe object this was planned from; another one means that Stripe changed it."""
    zone_known: bool = True
    """False for a customer found in the ledger whose zone nobody told: `vat_zone` then says nothing and is never written."""
    gone: Number | None = None
    """The number it had, of a customer that somebody deleted in the ledger; None for one that stands or never did."""


@dataclass(frozen=True, slots=True)
class PlannedProduct:
    """Use an existing ledger product, create one, or update the mapped fields of one. `number` is always known."""

    stripe_id: str
    action: PartyAction
    number: str
    name: str
    group: Number
    unit: Number | None
    fields: Mapping[str, FieldValue]
    lineage: tuple[Lineage, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    source_hash: str = ""
    gone: Number | None = None
    """As :attr:`PlannedCustomer.gone`."""


@dataclass(frozen=True, slots=True)
class PlannedDocument:
    """The document that should stand in the ledger, with the reasons."""

    document: SalesDocument
    rule: str
    lineage: tuple[Lineage, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    source_hash: str = ""
    """The staged Stripe object this was planned from; another one means that Stripe changed it."""
    terms: tuple[str, ...] = ()
    """What else it is found by: ids and e-mails that Stripe joins to it. No part of what stands in the ledger."""
    corrects: str | None = None
    """The invoice that it takes back, which must stand in the ledger first."""
    naming: Naming | None = None
    """How its text names that invoice: one that is booked in the same run has its number only then."""
    explains: tuple[str, ...] = ()
    """The refunds that a credit note is for: one that stands in the ledger by itself has taken the same back already."""
    paid_by: tuple[str, ...] = ()
    """The payments of an invoice: one that stands in the ledger by itself is the same sale."""

    @property
    def stripe_id(self) -> str:
        """The Stripe invoice or charge it stands for."""
        return self.document.stripe_id


def naming_booked(plan: PlannedDocument, number: Number) -> PlannedDocument:
    """`plan` of a correction, its text naming the original by the ledger's `number`, under which it is booked by now."""
    if plan.naming is None:
        return plan
    unbooked, booked = plan.naming.unbooked, plan.naming.of(number)
    lines = (
        replace(line, description=booked) if line.product is None and line.description == unbooked else line
        for line in plan.document.lines
    )
    return replace(plan, document=replace(plan.document, lines=tuple(lines)))


Plan = PlannedCustomer | PlannedProduct | PlannedDocument | Hold | Skip

_KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in (PlannedCustomer, PlannedProduct, PlannedDocument, Hold, Skip)}


@cache
def _adapter(name: str) -> TypeAdapter[Any]:
    # Made at the first use: building all of them costs every command that plans nothing.
    return TypeAdapter(SalesDocument if name == "SalesDocument" else _KINDS[name])


def dump(plan: Plan) -> tuple[str, bytes]:
    """`plan` as (kind, JSON bytes), for staging; exact: decimals are written as text."""
    kind = type(plan).__name__
    return kind, _adapter(kind).dump_json(plan)


def load(kind: str, body: bytes) -> Plan:
    """The plan that :func:`dump` wrote."""
    plan: Plan = _adapter(kind).validate_json(body)
    return plan


def revision(plan: Plan) -> str:
    """The hash that names what should stand in the ledger; how it was decided, and from which state of Stripe, is not in it."""
    if isinstance(plan, PlannedDocument):
        customer = plan.document.customer
        # A Stripe customer has no number before it is created and one after: the document is the same.
        named = replace(customer, number=None) if customer.stripe_id else customer
        return _digest("document", _adapter("SalesDocument").dump_json(replace(plan.document, customer=named)))
    if isinstance(plan, Hold | Skip):
        bare: Plan = replace(plan, evidence=(), source_hash="")
    else:
        bare = replace(plan, evidence=(), lineage=(), source_hash="")
    return _digest(*dump(bare))


def _digest(kind: str, body: bytes) -> str:
    return hashlib.sha256(kind.encode() + b"\n" + body).hexdigest()[:16]
