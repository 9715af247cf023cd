"""Credit notes as they stand on the wire, with the amounts that Stripe computes for them. Minor units, always positive."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from cloudify_pipeline.sandbox.stripe import amounts, objects
from cloudify_pipeline.sandbox.stripe.objects import Json

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class CreditLine:
    """What is credited of one invoice line (all that is left of it without an `amount`), or a custom line of its own.

    `amount` is before discounts and exclusive tax; `tax_rates` are for a custom line.
    """

    invoice_line: str | None = None
    amount: int | None = None
    description: str | None = None
    tax_rates: tuple[str, ...] = ()


def fresh(id_: str, created: int, invoice: Json, number: str, given: Mapping[str, object]) -> Json:
    """A credit note without lines or amounts."""
    return {
        "id": id_,
        "object": "credit_note",
        "amount": 0,
        "amount_shipping": 0,
        "created": created,
        "currency": invoice["currency"],
        "customer": invoice["customer"],
        "customer_account": None,
        "customer_balance_transaction": None,
        "discount_amount": 0,
        "discount_amounts": [],
        "effective_at": created,
        "invoice": invoice["id"],
        "lines": {"object": "list", "data": [], "has_more": False, "url": f"/v1/credit_notes/{id_}/lines"},
        "livemode": False,
        "memo": None,
        "metadata": {},
        "number": number,
        "out_of_band_amount": None,
        "pdf": f"https://pay.stripe.com/credit_notes/{objects.ACCOUNT}/test_{id_[3:]}/pdf",
        "post_payment_amount": 0,
        "pre_payment_amount": 0,
        "pretax_credit_amounts": [],
        "reason": None,
        "refunds": [],
        "shipping_cost": None,
        "status": "issued",
        "subtotal": 0,
        "subtotal_excluding_tax": 0,
        "total": 0,
        "total_excluding_tax": 0,
        "total_taxes": [],
        "type": "pre_payment",
        "voided_at": None,
        **given,
    }


def line_of(id_: str, line: Json, rates: Mapping[str, Json], amount: int, credited: Sequence[Json]) -> Json:
    """`amount` of an invoice line; `credited` are the lines of earlier credit notes for it.

    What is credited last takes the rest of discount and tax, so that all of them together are the line.
    """
    last = amount + sum(int(one["amount"]) for one in credited) == line["amount"]
    discounts = []
    for given in line["discount_amounts"]:
        before = sum(d["amount"] for one in credited for d in one["discount_amounts"] if d["discount"] == given["discount"])
        share = given["amount"] - before if last else amounts.rounded(Decimal(given["amount"] * amount) / line["amount"])
        discounts.append({"amount": share, "discount": given["discount"]})
    taken = sum(one["amount"] for one in discounts)
    taxes = []
    for tax in line["taxes"]:
        rate = tax["tax_rate_details"]["tax_rate"]
        before = sum(t["amount"] for one in credited for t in one["taxes"] if t["tax_rate_details"]["tax_rate"] == rate)
        percent = Decimal(str(rates[rate]["percentage"])) if tax["amount"] else _ZERO
        inside = tax["tax_behavior"] == "inclusive"
        base = Decimal(amount - taken) * percent / (100 + percent if inside else 100)
        part = tax["amount"] - before if last else amounts.rounded(base)
        taxes.append({**tax, "amount": part, "taxable_amount": amount - taken - (part if inside else 0)})
    return {
        "id": id_,
        "object": "credit_note_line_item",
        "amount": amount,
        "description": line["description"],
        "discount_amount": taken,
        "discount_amounts": discounts,
        "invoice_line_item": line["id"],
        "livemode": False,
        "metadata": {},
        "pretax_credit_amounts": [{**one, "type": "discount"} for one in discounts],
        "quantity": line["quantity"] if amount == line["amount"] else None,
        "tax_rates": [rates[tax["tax_rate_details"]["tax_rate"]] for tax in line["taxes"]],
        "taxes": taxes,
        "type": "invoice_line_item",
        "unit_amount": None,
        "unit_amount_decimal": line["pricing"]["unit_amount_decimal"] if line["pricing"] and amount == line["amount"] else None,
    }


def custom_line(id_: str, line: CreditLine, rates: Sequence[Json]) -> Json:
    """A line that no line of the invoice stands behind."""
    amount = line.amount or 0
    taxes = []
    for rate in rates:
        percent = Decimal(str(rate["percentage"]))
        part = amounts.rounded(Decimal(amount) * percent / (100 + percent if rate["inclusive"] else 100))
        taxes.append({
            "amount": part,
            "tax_behavior": "inclusive" if rate["inclusive"] else "exclusive",
            "tax_rate_details": {"tax_rate": rate["id"]},
            "taxability_reason": "standard_rated" if percent else "zero_rated",
            "taxable_amount": amount - (part if rate["inclusive"] else 0),
            "type": "tax_rate_details",
        })  # fmt: skip
    return {
        "id": id_,
        "object": "credit_note_line_item",
        "amount": amount,
        "description": line.description,
        "discount_amount": 0,
        "discount_amounts": [],
        "livemode": False,
        "metadata": {},
        "pretax_credit_amounts": [],
        "quantity": 1,
        "tax_rates": list(rates),
        "taxes": taxes,
        "type": "custom_line_item",
        "unit_amount": amount,
        "unit_amount_decimal": str(amount),
    }


def write_amounts(note: Json, lines: Sequence[Json], shipping: Json | None) -> None:
    """Put `lines` into the note, and the sums of them; `shipping` is the part of the invoice's shipping_cost."""
    note["lines"]["data"] = list(lines)
    carriage = shipping["amount_total"] if shipping else 0
    exclusive = sum(tax["amount"] for line in lines for tax in line["taxes"] if tax["tax_behavior"] == "exclusive")
    inclusive = sum(tax["amount"] for line in lines for tax in line["taxes"] if tax["tax_behavior"] == "inclusive")
    amount, discount = sum(line["amount"] for line in lines), sum(line["discount_amount"] for line in lines)
    total = amount - discount + exclusive + carriage
    note.update(
        amount=total,
        amount_shipping=carriage,
        discount_amount=discount,
        discount_amounts=_discounts(lines),
        shipping_cost=shipping,
        subtotal=amount,
        subtotal_excluding_tax=amount - inclusive,
        total=total,
        total_excluding_tax=total - exclusive - inclusive - (shipping["amount_tax"] if shipping else 0),
        total_taxes=_taxes(lines),
    )


def _discounts(lines: Sequence[Json]) -> list[Json]:
    sums: dict[str, int] = {}
    for line in lines:
        for given in line["discount_amounts"]:
            sums[given["discount"]] = sums.get(given["discount"], 0) + given["amount"]
    return [{"amount": amount, "discount": discount} for discount, amount in sums.items()]


def _taxes(lines: Sequence[Json]) -> list[Json]:
    sums: dict[str, Json] = {}
    for line in lines:
        for tax in line["taxes"]:
            known = sums.setdefault(tax["tax_rate_details"]["tax_rate"], {**tax, "amount": 0, "taxable_amount": 0})
            known["amount"] += tax["amount"]
            known["taxable_amount"] += tax["taxable_amount"]
    return list(sums.values())
