"""A small company's books, a connection to them, and Stripe objects as they come: what the planning tests start from."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from cloudify_pipeline.accounting.chart import (
    AccountingPeriod,
    Chart,
    Named,
    Number,
    PaymentTerms,
    SalesAccount,
    VatCode,
    VatZone,
)
from cloudify_pipeline.accounting.documents import DocumentKind
from cloudify_pipeline.accounting.parties import LedgerRecord
from cloudify_pipeline.mapping.compile import CompiledMappings, compile_mappings
from cloudify_pipeline.mapping.fields import Field, FieldCatalogue
from cloudify_pipeline.planning.corrections import Correction, Original
from cloudify_pipeline.planning.documents import plan_document
from cloudify_pipeline.planning.plans import Hold, PlannedCustomer, PlannedDocument, PlannedProduct, Skip
from cloudify_pipeline.planning.records import ChargeRecord, InvoiceRecord
from cloudify_pipeline.planning.rules import DueDocument
from cloudify_pipeline.settings.models import ConnectionSettings

DOMESTIC, EU, ABROAD, EXEMPT, CLOSED_ZONE = 1, 2, 3, 4, 5
GOODS, VAT_FREE, HALF_MADE = 1, 2, 3
NOV = int(datetime(2026, 11, 10, 12, tzinfo=UTC).timestamp())

CHART = Chart(
    base_currency="DKK",
    currencies=frozenset({"DKK", "EUR", "USD", "SEK", "JPY", "KWD"}),
    vat_zones={
        DOMESTIC: VatZone(DOMESTIC, "Domestic"),
        EU: VatZone(EU, "EU"),
        ABROAD: VatZone(ABROAD, "Abroad"),
        EXEMPT: VatZone(EXEMPT, "Domestic without VAT"),
        CLOSED_ZONE: VatZone(CLOSED_ZONE, "Old", enabled=False),
    },
    vat_codes={"U25": VatCode("U25", "Sale 25 %", Decimal(25)), "OLD": VatCode("OLD", "Old", Decimal(25), barred=True)},
    product_groups={GOODS: Named(GOODS, "Goods"), VAT_FREE: Named(VAT_FREE, "No VAT"), HALF_MADE: Named(HALF_MADE, "Half made")},
    sales_accounts={
        (GOODS, DOMESTIC): SalesAccount(1010, "U25"),
        (GOODS, EU): SalesAccount(1020, None),
        (GOODS, ABROAD): SalesAccount(1030, None),
        (GOODS, EXEMPT): SalesAccount(1040, None),
        **{(VAT_FREE, zone): SalesAccount(1050, None) for zone in (DOMESTIC, EU, ABROAD, EXEMPT)},
        (HALF_MADE, ABROAD): SalesAccount(1060, "OLD"),
    },
    customer_groups={1: Named(1, "Customers"), 9: Named(9, "Barred", barred=True)},
    payment_terms={1: PaymentTerms(1, "Paid", "net", 0), 2: PaymentTerms(2, "By date", "dueDate")},
    layouts={19: Named(19, "Standard"), 20: Named(20, "English")},
    units={1: Named(1, "pcs")},
    periods=(
        AccountingPeriod(date(2025, 1, 1), date(2025, 12, 31)),
        AccountingPeriod(date(2026, 1, 1), date(2026, 9, 30)),
        AccountingPeriod(date(2026, 10, 1), date(2026, 10, 31), closed=True),
        AccountingPeriod(date(2026, 11, 1), date(2027, 1, 31)),
    ),
)


def replaced_chart(
    *, codes: Mapping[str, VatCode] | None = None, accounts: Mapping[tuple[Number, Number], SalesAccount] | None = None
) -> Chart:
    """The same books with other VAT codes, or accounts in some cells of the matrix."""
    both = {**CHART.vat_codes, **(codes or {})}, {**CHART.sales_accounts, **(accounts or {})}
    return replace(CHART, vat_codes=both[0], sales_accounts=both[1])


TODAY = date(2027, 1, 31)
"""The last day of these books."""

_SECRET = {"env": "UNSET"}


def settings(**sections: Any) -> ConnectionSettings:
    """A connection file with only what is required, and `sections` merged in one level deep."""
    written: dict[str, Any] = {
        "stripe": {"api_key": _SECRET},
        "ledger": "economic",
        "customers": {"defaults": {"payment_terms": 1, "group": 1}},
        "products": {"defaults": {"group": GOODS}},
    }
    for name, section in sections.items():
        both = isinstance(written.get(name), dict) and isinstance(section, dict)
        written[name] = {**written[name], **section} if both else section
    return ConnectionSettings.model_validate(written)


def _fields(name: str, *fields: Field) -> FieldCatalogue:
    return FieldCatalogue(name, fields)


STRIPE_CUSTOMER = FieldCatalogue(
    "Stripe customer",
    [Field(p, "text") for p in ("id", "name", "email", "phone", "address.line1", "address.city", "address.country")],
    open_paths=["metadata"],
)
STRIPE_PRODUCT = FieldCatalogue(
    "Stripe product", [Field(p, "text") for p in ("id", "name", "description")], open_paths=["metadata"]
)
STRIPE_INVOICE = FieldCatalogue(
    "Stripe invoice",
    [Field(p, "text") for p in ("id", "number", "customer_name", "customer_address.city", "customer.name")],
    open_paths=["metadata"],
)
STRIPE_LINE = FieldCatalogue(
    "Stripe line", [Field(p, "text") for p in ("description", "product.name", "price.nickname")], open_paths=["metadata"]
)


def customer_mappings(**written: Any) -> CompiledMappings:
    """Name, e-mail and city of a customer."""
    targets = _fields(
        "customer", Field("name", "text", max_length=255), Field("email", "text"), Field("city", "text", max_length=50)
    )
    premapped = {"name": ["name", "email", "id"], "email": "email", "city": "address.city"}
    return compile_mappings(written, premapped=premapped, targets=targets, sources=STRIPE_CUSTOMER, where="customers.fields")


def product_mappings(**written: Any) -> CompiledMappings:
    """Name and number of a product."""
    targets = _fields("product", Field("name", "text", max_length=300), Field("productNumber", "text"))
    return compile_mappings(written, premapped={"name": "name"}, targets=targets, sources=STRIPE_PRODUCT, where="products.fields")


def document_mappings(**written: Any) -> CompiledMappings:
    """Recipient and heading of a document."""
    targets = _fields(
        "document",
        Field("recipient.name", "text", max_length=250),
        Field("recipient.city", "text", max_length=20),
        Field("notes.heading", "text"),
    )
    premapped = {"recipient.name": ["customer_name", "customer.name"], "recipient.city": "customer_address.city"}
    return compile_mappings(written, premapped=premapped, targets=targets, sources=STRIPE_INVOICE, where="invoices.fields")


def line_mappings(**written: Any) -> CompiledMappings:
    """The text of a line."""
    targets = _fields("line", Field("lines.description", "text", max_length=2500))
    premapped = {"lines.description": "description"}
    return compile_mappings(
        {f"lines.{key}": value for key, value in written.items()},
        premapped=premapped,
        targets=targets,
        sources=STRIPE_LINE,
        where="invoices.fields",
    )


RATES: dict[str, dict[str, Any]] = {
    "txr_25": {"id": "txr_25", "percentage": Decimal(25), "inclusive": False},
    "txr_25i": {"id": "txr_25i", "percentage": Decimal(25), "inclusive": True},
    "txr_20": {"id": "txr_20", "percentage": Decimal(20), "inclusive": False},
    "txr_0": {"id": "txr_0", "percentage": Decimal(0), "inclusive": False},
}
DK_ADDRESS = {"country": "DK", "city": "Frøstrup", "line1": "Rødspætteallé 4", "postal_code": "7741"}
US_ADDRESS = {"country": "US", "city": "Warrenton", "line1": None, "postal_code": "63385"}


def tax(
    amount: int, taxable: int, *, rate: str = "txr_25", inclusive: bool = False, reason: str = "standard_rated"
) -> dict[str, Any]:
    """One tax of a line, as Stripe states it."""
    return {
        "amount": amount,
        "taxable_amount": taxable,
        "tax_behavior": "inclusive" if inclusive else "exclusive",
        "taxability_reason": reason,
        "type": "tax_rate_details",
        "tax_rate_details": {"tax_rate": rate},
    }


def line(amount: int, **more: Any) -> dict[str, Any]:
    """One invoice line for product prod_A; `unit` is the unit amount in minor units."""
    unit = more.pop("unit", None)
    product = more.pop("product", "prod_A")
    return {
        "id": "il_1",
        "object": "line_item",
        "amount": amount,
        "description": "Pro plan",
        "discount_amounts": [],
        "discounts": [],
        "quantity": 1,
        "taxes": [],
        "metadata": {},
        "pricing": None
        if product is None
        else {
            "type": "price_details",
            "unit_amount_decimal": None if unit is None else str(unit),
            "price_details": {"price": "price_A", "product": product},
        },
        **more,
    }


def invoice(lines: Sequence[Mapping[str, Any]] = (), /, **more: Any) -> dict[str, Any]:
    """A paid Danish invoice; its total is what its lines add up to, unless one is given."""
    on_top = sum(t["amount"] for one in lines for t in one["taxes"] if t["tax_behavior"] == "exclusive")
    given = sum(d["amount"] for one in lines for d in one["discount_amounts"])
    shipping = (more.get("shipping_cost") or {}).get("amount_total", 0)
    return {
        "id": "in_1",
        "object": "invoice",
        "number": "ABCD-0001",
        "status": "paid",
        "currency": "dkk",
        "customer": "cus_1",
        "customer_name": "Frøstrup ApS",
        "customer_email": "billing@example.com",
        "customer_address": DK_ADDRESS,
        "customer_shipping": None,
        "customer_tax_exempt": "none",
        "customer_tax_ids": [],
        "collection_method": "charge_automatically",
        "created": NOV,
        "effective_at": NOV,
        "due_date": None,
        "status_transitions": {"finalized_at": NOV, "paid_at": NOV},
        "metadata": {},
        "discounts": [],
        "total": sum(one["amount"] for one in lines) - given + on_top + shipping,
        "lines": {"object": "list", "data": list(lines)},
        **more,
    }


def record(lines: Sequence[Mapping[str, Any]] = (), /, *, sent_at: datetime | None = None, **more: Any) -> InvoiceRecord:
    """:func:`invoice` with its customer, product and tax rates."""
    customer = {"id": "cus_1", "name": "Frøstrup ApS", "email": "billing@example.com", "tax_ids": {"object": "list", "data": []}}
    products = {"prod_A": {"id": "prod_A", "name": "Pro plan", "metadata": {}}}
    return InvoiceRecord(invoice(lines, **more), customer, products, {}, RATES, sent_at)


def charge(amount: int = 10000, **more: Any) -> ChargeRecord:
    """A Danish payment that took `amount`."""
    return ChargeRecord(
        {
            "id": "ch_1",
            "object": "charge",
            "status": "succeeded",
            "captured": True,
            "amount": amount,
            "amount_captured": amount,
            "currency": "dkk",
            "created": NOV,
            "description": "Gavekort",
            "billing_details": {"name": "Jenny Rosen", "email": None, "phone": None, "address": DK_ADDRESS},
            "shipping": None,
            "metadata": {},
            **more,
        }
    )


PLANNED_CUSTOMER = PlannedCustomer(
    "cus_1", "use", 101, "Frøstrup ApS", "DKK", group=1, payment_terms=1, vat_zone=DOMESTIC, layout=19, fields={}
)
PLANNED_PRODUCT = PlannedProduct("prod_A", "use", "A-1", "Pro plan", group=GOODS, unit=None, fields={})
NUMBERED = {
    number: LedgerRecord(number, name, barred=False, fields={}, group=group)
    for number, name, group in (
        ("NONE", "Other sales", GOODS),
        ("DISC", "Discount", GOODS),
        ("ROUND", "Rounding", VAT_FREE),
        ("HALF", "Half made", HALF_MADE),
    )
}
DUE = DueDocument("booked_invoice", "rules[0]: paid → booked_invoice", datetime.fromtimestamp(NOV, UTC), "paid")


def plan(
    what: InvoiceRecord | ChargeRecord,
    connection: ConnectionSettings | None = None,
    *,
    customer: PlannedCustomer | Hold | None = PLANNED_CUSTOMER,
    products: Mapping[str, PlannedProduct | Hold] | None = None,
    documents: CompiledMappings | None = None,
    lines: CompiledMappings | None = None,
    as_kind: DocumentKind = "booked_invoice",
    also: frozenset[str] = frozenset(),
    today: date = TODAY,
    corrects: tuple[Correction, Original] | None = None,
) -> PlannedDocument | Hold | Skip:
    """Plan one record against these books, which have the currencies `also` too, on the day `today`."""
    return plan_document(
        what,
        due=replace(DUE, kind=as_kind),
        settings=connection or settings(),
        documents=documents or document_mappings(),
        lines=lines or line_mappings(),
        chart=replace(CHART, currencies=CHART.currencies | also),
        today=today,
        customer=customer,
        products={"prod_A": PLANNED_PRODUCT} if products is None else products,
        numbered=NUMBERED,
        corrects=corrects,
    )


def replace_product(stripe_id: str) -> PlannedProduct:
    """The planned product under another Stripe id."""
    return replace(PLANNED_PRODUCT, stripe_id=stripe_id, number=stripe_id.removeprefix("prod_"))
