"""What stands in the ledger fields that settings and rules decide: from which Stripe paths, and decided by what.

One function for each kind of record; each answers with a fact for every word that a ledger's catalogue may use
(:attr:`~cloudify_pipeline.settings.load.Catalogues.decided`), or None where these settings never write it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from cloudify_pipeline.settings.models import Condition, ConnectionSettings

_PLACE = ("country", "postal_code", "city")
_ZONES = "the VAT rules, with the numbers and countries of vat"


@dataclass(frozen=True, slots=True)
class Fact:
    """The Stripe paths that are looked at, what decides, and whether it stands in every record that is created."""

    sources: tuple[str, ...]
    decided_by: str
    always: bool = True


@dataclass(frozen=True, slots=True)
class Decision:
    """Stripe paths that are read to decide something, beside those whose values are written."""

    what: str
    setting: str
    sources: tuple[str, ...]


Facts = Mapping[str, Fact | None]


def customer_facts(settings: ConnectionSettings) -> Facts:
    """A new customer."""
    own, number = settings.customers.defaults, settings.customers.number
    zone = ("shipping.address", "address")
    from_stripe = own.currency == "from_stripe"
    return {
        "number": Fact((number.stripe_field,), "customers.number: source stripe") if number.stripe_field else None,
        "currency": Fact(
            ("currency", "invoice.currency") if from_stripe else (),
            f"customers.defaults.currency: {own.currency}" + (", else the ledger's base currency" if from_stripe else ""),
        ),
        "group": Fact((), f"customers.defaults.group: {own.group}"),
        "payment_terms": Fact((), f"customers.defaults.payment_terms: {own.payment_terms}"),
        "vat_zone": Fact((*_places(*zone), "tax_exempt", "tax_ids"), _ZONES)
        if own.vat_zone == "auto"
        else Fact((), f"customers.defaults.vat_zone: {own.vat_zone}"),
        "layout": None if own.layout is None else Fact((), f"customers.defaults.layout: {own.layout}"),
    }


def product_facts(settings: ConnectionSettings, number_from: tuple[str, ...]) -> Facts:
    """A new product; `number_from` are the Stripe paths that are mapped to its number."""
    own = settings.products.defaults
    how = (
        "products.fields, else the SKU, else a form of the Stripe id" if number_from else "the SKU, else a form of the Stripe id"
    )
    return {
        "number": Fact((*number_from, "metadata.sku", "id"), how),
        "group": Fact((), f"products.defaults.group: {own.group}"),
        "unit": None if own.unit is None else Fact((), f"products.defaults.unit: {own.unit}"),
    }


def invoice_facts(settings: ConnectionSettings) -> Facts:
    """The document of an invoice; the facts of its lines are :func:`line_facts`."""
    instants = {"finalized_at": "status_transitions.finalized_at", "paid_at": "status_transitions.paid_at"}
    names = dict.fromkeys((settings.invoices.date, "finalized_at", "created"))
    buyer = _places("shipping_details.address", "customer_shipping.address", "customer_address")
    return {
        **_document(settings),
        "date": Fact(
            tuple(instants.get(name, name) for name in names), f"invoices.date: {settings.invoices.date}{_moved(settings)}"
        ),
        "due_date": Fact(("due_date",), "the payment terms, where they are of the kind that takes a due date", always=False),
        "vat_zone": _zone(settings, (*buyer, "customer_tax_exempt", "customer_tax_ids", "customer.tax_ids")),
    }


def charge_facts(settings: ConnectionSettings) -> Facts:
    """The document of a payment without an invoice."""
    buyer = _places("shipping.address", "billing_details.address", "customer.address")
    return {
        **_document(settings),
        "date": Fact(("created",), f"a payment has one instant{_moved(settings)}"),
        "due_date": Fact(("created",), "the payment terms, where they are of the kind that takes a due date", always=False),
        "vat_zone": _zone(settings, (*buyer, "customer.tax_exempt", "customer.tax_ids")),
    }


def _moved(settings: ConnectionSettings) -> str:
    """What becomes of a date in a closed period, where it is not held."""
    moves = settings.invoices.closed_period == "first_open_day"
    return "; in a closed period the first open day after it, with its own date in a line of text" if moves else ""


def _document(settings: ConnectionSettings) -> Facts:
    own, match = settings.customers, settings.customers.match
    layout = settings.invoices.layout
    default = "" if own.default_customer is None else f", customers.default_customer: {own.default_customer}"
    return {
        "currency": Fact(("currency",), "the currency Stripe invoiced in"),
        "exchange_rate": _rate(settings),
        "layout": Fact((), "the customer's layout in the ledger, customers.defaults.layout, else the ledger's lowest")
        if layout is None
        else Fact((), f"invoices.layout: {layout}"),
        "payment_terms": Fact((), "the customer's terms in the ledger, else customers.defaults.payment_terms"),
        "customer": Fact(tuple(f"customer.{pair.stripe}" for pair in match), f"customers.match{default}"),
        "key": Fact(("id",), "the key by which the document is found again: stripe:<id>"),
        "reverse_charge": Fact(
            ("customer_tax_ids", "customer.tax_ids", "customer.preferred_locales"),
            "the mapping, else the words of vat.reverse_charge_text in a sale to an EU business",
            always=False,
        ),
    }


def _rate(settings: ConnectionSettings) -> Fact:
    taken_back = "in a credit note, the rate of the document it takes back"
    if settings.invoices.exchange_rate == "ledger":
        return Fact((), taken_back, always=False)
    source = ("charge.balance_transaction.exchange_rate", "charge.balance_transaction.currency", "payments")
    return Fact(source, f"invoices.exchange_rate: stripe; {taken_back}", always=False)


def _zone(settings: ConnectionSettings, sources: tuple[str, ...]) -> Fact:
    own = settings.customers.defaults.vat_zone
    if own == "auto":
        overrides = settings.vat.zone_from
        return Fact((*overrides, *sources), f"vat.zone_from, else {_ZONES}" if overrides else _ZONES)
    return Fact((), f"the customer's zone in the ledger, else customers.defaults.vat_zone: {own}")


def line_facts(settings: ConnectionSettings) -> Facts:
    """A line of an invoice; a line without an amount is text alone."""
    own = settings.products
    found_by = ("products.links",) if own.links else ("products.match",)
    named = [f"{name}: {number}" for name in _NAMED if (number := getattr(own, name))]
    return {
        "position": Fact((), "the order of Stripe's lines"),
        "product": Fact(
            ("pricing.price_details.product", "shipping_cost"),
            ", ".join((*found_by, *(f"products.{one}" for one in named))),
            False,
        ),
        "quantity": Fact(("quantity_decimal", "quantity"), "Stripe's line; one piece where no price of two decimals fits", False),
        "unit_price": Fact(
            ("pricing.unit_amount_decimal", "amount", "discounts", "discount_amounts", "taxes", "shipping_cost"),
            f"Stripe's line less its discounts and the VAT inside it; invoices.discounts: {settings.invoices.discounts}",
            False,
        ),
        "description": Fact(
            ("description", "product.name", "id", "discounts", "invoice.customer_tax_ids"),
            "the mapping, else Stripe's line; shipping, discount, rounding and reverse-charge lines have a text of their own",
            False,
        ),
    }


def payment_line_facts(settings: ConnectionSettings) -> Facts:
    """The one line of a payment without an invoice."""
    return {
        "position": Fact((), "it is the only line"),
        "product": Fact((), f"products.no_product: {settings.products.no_product}"),
        "quantity": Fact((), "one piece"),
        "unit_price": Fact(("amount_captured", "amount"), "what was paid, less the VAT of the ledger's product in it"),
        "description": Fact(("description", "id"), "Stripe's text, else Payment and its id"),
    }


def booking_facts(settings: ConnectionSettings) -> Facts:
    """The request that books a draft."""
    send_by = settings.invoices.send_by
    return {
        "draft": Fact((), "the number the ledger gave the draft"),
        "send_by": None if send_by == "none" else Fact((), f"invoices.send_by: {send_by}"),
    }


def decisions(settings: ConnectionSettings) -> tuple[Decision, ...]:
    """What else is read in Stripe's objects, and what for."""
    invoices, customers, products = settings.invoices, settings.customers, settings.products
    asked = dict.fromkeys(path for rule in invoices.rules if rule.if_ for path in _conditions(rule.if_))
    instants = {
        "sent": "invoice.sent (event)",
        "finalized": "status_transitions.finalized_at",
        "paid": "status_transitions.paid_at",
    }
    fired = dict.fromkeys(instants[rule.when] for rule in invoices.rules)
    totals = ("total", "total_taxes", "total_discount_amounts", "shipping_cost", "lines.amount", "lines.discount_amounts")
    found = [
        Decision("whether an invoice is due", "invoices.rules", ("status", "created", "total", *fired, *asked)),
        Decision(
            "whether the total will be Stripe's to the last minor unit", "", (*totals, "lines.taxes", "tax_rate.percentage")
        ),
        Decision("which customer of the ledger it is", "customers.match", tuple(pair.stripe for pair in customers.match)),
    ]
    if products.links:
        found.append(Decision("which product of the ledger it is", "products.links", ("id",)))
    else:
        found.append(
            Decision("which product of the ledger it is", "products.match", tuple(pair.stripe for pair in products.match))
        )
    if invoices.include_charges:
        paths = ("status", "created", "payment_intent", "amount_captured", "amount")
        found.append(Decision("whether a payment pays no invoice and is due", "invoices.include_charges", paths))
    if invoices.sold_by_another == "hold":
        sellers = ("issuer", "on_behalf_of", "transfer_data", "transfer")
        found.append(Decision("whether another account sells it", "invoices.sold_by_another", sellers))
    return tuple(found)


_NAMED = ("default_product", "no_product", "discount_product", "rounding_product")


def _conditions(condition: Condition) -> list[str]:
    paths = [*_places("customer_address", "shipping_details.address")] if condition.country is not None else []
    names = ("currency", "amount", "collection_method")
    paths += ["total" if name == "amount" else name for name in names if getattr(condition, name) is not None]
    return [*paths, *(f"metadata.{key}" for key in condition.metadata or {})]


def _places(*roots: str) -> tuple[str, ...]:
    return tuple(f"{root}.{name}" for root in roots for name in _PLACE)
