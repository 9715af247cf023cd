"""Which document is due for an invoice or charge, and why: the first rule whose `when` and `if` hold."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from cloudify_pipeline.accounting.chart import Number
from cloudify_pipeline.planning.plans import Evidence, Skip
from cloudify_pipeline.planning.records import ChargeRecord, InvoiceRecord, Record, billing_country
from cloudify_pipeline.settings.models import Condition, ConnectionSettings, Document, InvoiceRule, Trigger

FIRED, WAITING, ELSEWHERE = "due", "not yet", "does not apply"


@dataclass(frozen=True, slots=True)
class DueDocument:
    """A document is due: its kind, the rule that says so, and the instant at which its trigger fired."""

    kind: Document
    rule: str
    fired_at: datetime
    trigger: Trigger
    evidence: tuple[Evidence, ...] = ()
    vat_zone: tuple[Number | str, str] | None = None
    """The VAT zone, or kind of zone, that the rule gives its documents, and the rule's words for it."""


def due(record: Record, settings: ConnectionSettings) -> DueDocument | Skip:
    """The document that is due for `record`, or the reason why none is.

    The rule that applies decides alone: when it fired before `go_live_from`, no later rule is asked.
    """
    out = _left_out(record, settings)
    if out is not None:
        return out
    looked: list[Evidence] = []
    for index, rule in enumerate(settings.invoices.rules):
        evidence, fired_at = _look(record, rule, f"rules[{index}]: {rule.when} → {rule.create}")
        looked.append(evidence)
        if fired_at is None:
            continue
        if settings.go_live_from is not None and fired_at < settings.go_live_from:
            reason = f"{rule.when} at {fired_at.isoformat()}, before go_live_from {settings.go_live_from.isoformat()}"
            return _skip(record, "S-BEFORE-GO-LIVE", reason, looked)
        empty = _empty(record)
        if empty is not None:
            return _skip(record, "S-ZERO", empty, looked)
        zone = None if rule.vat_zone is None else (rule.vat_zone, f"invoices.rules[{index}].vat_zone is {rule.vat_zone}")
        return DueDocument(rule.create, evidence.rule, fired_at, rule.when, tuple(looked), zone)
    return _none_fired(record, settings.invoices.rules, looked)


def _left_out(record: Record, settings: ConnectionSettings) -> Skip | None:
    """What no rule is asked about."""
    if isinstance(record, InvoiceRecord):
        status = "deleted" if record.invoice.get("deleted") else str(record.invoice.get("status"))
        if status in {"void", "deleted"}:
            return _skip(record, "S-VOID", f"the invoice is {status}", [_state(status)])
        return None
    if record.invoice_id is not None:
        return _skip(record, "S-HAS-INVOICE", f"it pays invoice {record.invoice_id}", [_state("paid through an invoice")])
    if not settings.invoices.include_charges:
        return _skip(record, "S-CHARGES-OFF", "invoices.include_charges is false", [_state("left out")])
    status = str(record.charge.get("status"))
    if status == "failed":
        return _skip(record, "S-CHARGE-FAILED", "the payment failed", [_state(status)])
    if status != "succeeded":
        return _skip(record, "S-CHARGE-FAILED", f"the payment has not succeeded: it is {status}", [_state(status)])
    if record.charge.get("captured") is False:
        return _skip(record, "S-NOT-DUE", "the payment is authorised and not captured", [_state("not captured")])
    return None


def _state(status: str) -> Evidence:
    return Evidence("rule", ELSEWHERE, "status", {"status": status})


def _look(record: Record, rule: InvoiceRule, name: str) -> tuple[Evidence, datetime | None]:
    """One rule held against `record`: what was seen, and when its trigger fired."""
    seen = _facts(record, rule.when)
    if rule.if_ is not None:
        failed = _failed(record, rule.if_)
        seen |= _asked(record, rule.if_)
        if failed:
            return Evidence("rule", ELSEWHERE, name, seen | {"because": failed}), None
    fired_at = _fired(record, rule.when)
    return Evidence("rule", WAITING if fired_at is None else FIRED, name, seen), fired_at


def _fired(record: Record, when: Trigger) -> datetime | None:
    if when == "sent":
        return record.sent_at if isinstance(record, InvoiceRecord) and record.invoice.get("status") != "draft" else None
    if when == "finalized":
        return record.instant("finalized_at")
    paid = isinstance(record, ChargeRecord) or record.invoice.get("status") == "paid"
    return record.instant("paid_at") if paid else None


def _facts(record: Record, when: Trigger) -> dict[str, str]:
    if isinstance(record, ChargeRecord):
        return {"charge": str(record.charge.get("status")), "created": _text(record.instant("created"))}
    facts = {"status": str(record.invoice.get("status"))}
    moment = record.sent_at if when == "sent" else record.instant(f"{when}_at")
    return facts | {f"{when}_at": _text(moment)}


def _text(moment: datetime | None) -> str:
    return "never" if moment is None else moment.isoformat()


def _asked(record: Record, condition: Condition) -> dict[str, str]:
    """The value seen for each part of `condition` that is written."""
    seen: dict[str, str] = {}
    if condition.country is not None:
        seen["country"] = billing_country(record) or "none"
    if condition.currency is not None:
        seen["currency"] = record.currency
    if condition.amount is not None:
        seen["amount"] = str(record.total)
    if condition.collection_method is not None:
        seen["collection_method"] = _collection(record) or "none"
    for key in condition.metadata or {}:
        seen[f"metadata.{key}"] = str(record.metadata.get(key) or "absent")
    return seen


def _failed(record: Record, condition: Condition) -> str | None:
    """The first part of `condition` that does not hold, in words; None when all hold."""
    if condition.country is not None and not _among(billing_country(record), condition.country):
        return f"country is not {' or '.join(condition.country)}"
    if condition.currency is not None and not _among(record.currency, condition.currency):
        return f"currency is not {' or '.join(condition.currency)}"
    for operator, bound in (condition.amount or {}).items():
        if not _compares(record.total, operator, bound):
            return f"amount is not {operator} {bound}"
    if condition.collection_method is not None and _collection(record) != condition.collection_method:
        return f"collection_method is not {condition.collection_method}"
    for key, wanted in (condition.metadata or {}).items():
        value = record.metadata.get(key) or None
        allowed = [wanted] if isinstance(wanted, str) else wanted
        if allowed is None and value is not None:
            return f"metadata.{key} is not absent"
        if allowed is not None and not _among(value, allowed):
            return f"metadata.{key} is not {' or '.join(allowed)}"
    return None


def _collection(record: Record) -> str | None:
    return record.invoice.get("collection_method") if isinstance(record, InvoiceRecord) else None


def _among(value: str | None, allowed: Sequence[str]) -> bool:
    return value is not None and value.casefold() in {one.casefold() for one in allowed}


def _compares(amount: Decimal, operator: str, bound: Decimal) -> bool:
    return {
        "gt": amount > bound,
        "gte": amount >= bound,
        "lt": amount < bound,
        "lte": amount <= bound,
        "eq": amount == bound,
    }[operator]


def _empty(record: Record) -> str | None:
    if isinstance(record, InvoiceRecord) and not record.lines:
        return "the invoice has no lines"
    return "the total is zero" if record.total_minor == 0 else None


def _none_fired(record: Record, rules: Sequence[InvoiceRule], looked: list[Evidence]) -> Skip:
    """Why nothing is due; a rule that can never fire for this record is said to be so."""
    waiting = [rule for rule, seen in zip(rules, looked, strict=True) if seen.outcome == WAITING]
    if waiting and all(rule.when == "sent" for rule in waiting):
        if isinstance(record, ChargeRecord):
            reason = "the rule waits for an invoice to be sent by e-mail, and a payment without an invoice is never sent"
            return _skip(record, "S-NEVER-SENT", reason, looked)
        if record.invoice.get("collection_method") == "charge_automatically" and record.invoice.get("status") != "draft":
            looked = [replace(seen, inputs={**seen.inputs, "collection_method": "charge_automatically"}) for seen in looked]
            reason = (
                "the rule waits for the invoice to be sent by e-mail, but Stripe charges this customer's card automatically "
                "and sends no invoice; use when: paid or when: finalized for such invoices"
            )
            return _skip(record, "S-NEVER-SENT", reason, looked)
    if not waiting:
        return _skip(record, "S-NOT-DUE", "no rule's conditions hold", looked)
    awaited = " or ".join(dict.fromkeys(rule.when for rule in waiting))
    status = record.invoice.get("status") if isinstance(record, InvoiceRecord) else record.charge.get("status")
    return _skip(record, "S-NOT-DUE", f"it is {status}, and not {awaited} yet", looked)


def _skip(record: Record, code: str, reason: str, looked: Sequence[Evidence]) -> Skip:
    return Skip(record.stripe_id, code, reason, tuple(looked))
