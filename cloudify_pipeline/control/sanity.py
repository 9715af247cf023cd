"""Sanity checks of what would be posted, seen from outside planning: each looks at the finished plan and at Stripe's own object.

They are those of reference/product.md §4.3 that no single document can be held for, or that are worth a second pair of eyes.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from cloudify_pipeline.accounting.money import format_money, from_minor
from cloudify_pipeline.accounting.vat_return import Sale, Supplies, parts
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.planning.plans import PlannedDocument, load
from cloudify_pipeline.settings.models import ConnectionSettings


@dataclass(frozen=True, slots=True)
class Doubt:
    """What is odd, in words; `about` is a Stripe invoice or payment by its number or id, or a month."""

    about: str
    words: str


def planned_documents(opened: OpenConnection) -> list[PlannedDocument]:
    """The documents that the last planning would have posted."""
    plans = (load(row.kind, row.body) for row in opened.staging.plans("plan_documents"))
    return [plan for plan in plans if isinstance(plan, PlannedDocument)]


def vat_is_stripes(
    plans: Sequence[PlannedDocument], invoices: Mapping[str, Mapping[str, Any]], settings: ConnectionSettings
) -> Iterator[Doubt]:
    """§4.3 no. 1 and 8: gross and VAT of the plan are those of Stripe's invoice, read anew from what Stripe sent.

    VAT may differ by as much as a correction line may bear; the gross never.
    """
    for plan in plans:
        invoice = invoices.get(plan.stripe_id)
        if invoice is None:
            continue  # a payment states no VAT
        ours, currency = plan.document.predicted, plan.document.currency
        gross = from_minor(int(invoice.get("total") or 0), currency)
        taxes = invoice.get("total_taxes") or ()
        vat = from_minor(sum(int(tax.get("amount") or 0) for tax in taxes), currency)
        if ours.gross != gross or abs(ours.vat - vat) > settings.invoices.rounding.tolerance:
            words = f"the ledger would have VAT {ours.vat} of {ours.gross}, Stripe has {vat} of {gross} {currency}"
            yield Doubt(_name(plan), words)


def bookkeepers_zones_are_sound(plans: Iterable[PlannedDocument]) -> Iterator[Doubt]:
    """§4.3 no. 2 to 6 where the zone is the customer's own in the ledger: what any other zone would be held for."""
    for plan in plans:
        for one in plan.evidence:
            if one.decision == "vat_check":
                yield Doubt(_name(plan), one.rule)


def eu_sales_agree(plans: Iterable[PlannedDocument], settings: ConnectionSettings) -> Iterator[Doubt]:
    """§4.3 no. 11: per month, what goes to the EU zone is what the EU-sales list can name a VAT number for."""
    sold: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    listed: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    unlisted: dict[tuple[str, str], list[str]] = defaultdict(list)
    for plan in plans:
        document = plan.document
        if str(document.vat_zone) != str(settings.vat.zones.eu) or document.kind == "draft_order":
            continue
        month = (document.date.strftime("%Y-%m"), document.currency)
        sold[month] += document.predicted.net
        if _input(plan, "vat_number") not in {None, "", "none"}:
            listed[month] += document.predicted.net
        else:
            unlisted[month].append(_name(plan))
    for month, total in sorted(sold.items()):
        if unlisted[month]:
            words = f"sales to EU businesses of {format_money(total, month[1])}, of which the EU-sales list has "
            words += f"{format_money(listed[month], month[1])}: no VAT number on {', '.join(unlisted[month][:10])}"
            yield Doubt(month[0], words)


def posted_eu_sales_agree(sales: Iterable[Sale], supplies: Supplies, base_currency: str) -> Iterator[Doubt]:
    """§4.3 no. 11 of what was posted: per month, rubrik B is the EU-sales list, and each part of it is goods or services.

    From the posting log alone; `cloudify vat` holds the same against the ledger's accounts.
    """
    for sale in sales:
        if sale.currency != base_currency and sale.base is None:
            continue  # not booked yet: in no return
        about = f"{sale.date:%Y-%m}"
        try:
            made = parts(sale, supplies, base_currency)
        except ValueError as error:
            yield Doubt(about, str(error))
            continue
        found = [one for one in made if one.box in {"b_goods", "b_services", "b_untold"}]
        amount = format_money(sum((one.net for one in found), Decimal(0)), base_currency)
        if found and sale.listed_number is None:
            yield Doubt(
                about,
                f"{sale.name}: {amount} in rubrik B, and not on the EU-sales list: the buyer has no VAT number of another state",
            )
        elif any(one.box == "b_untold" for one in found):
            yield Doubt(about, f"{sale.name}: {amount} in rubrik B, and nobody says whether of goods or of services")


def foreign_vat_is_stated(plans: Iterable[PlannedDocument], base_currency: str | None) -> Iterator[Doubt]:
    """§4.3 no. 14: Danish VAT in another currency stands on the document in the base currency, or with its rate of exchange."""
    for plan in plans:
        document = plan.document
        if base_currency is None or document.currency == base_currency or document.predicted.vat == 0:
            continue
        texts = (*(str(value) for value in document.fields.values()), *(line.description for line in document.lines))
        if "exchangeRate" not in document.fields and not any(base_currency in text.split() for text in texts):
            vat = format_money(document.predicted.vat, document.currency)
            yield Doubt(_name(plan), f"VAT of {vat} is stated in {document.currency} alone, not in {base_currency}")


def _name(plan: PlannedDocument) -> str:
    return plan.document.stripe_number or plan.stripe_id


def _input(plan: PlannedDocument, name: str) -> str | None:
    """What the VAT decision saw."""
    return next((one.inputs[name] for one in plan.evidence if one.decision == "vat_zone" and name in one.inputs), None)
