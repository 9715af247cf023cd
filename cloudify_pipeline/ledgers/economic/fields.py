"""The ledger's fields that can be mapped and matched on, with the limits of its official schemas.

Source: customers.post, products.post and invoices.drafts.post schemas (orders.drafts.post is the same), filterable flags
of the GET schemas; where the live server was seen to differ, the server wins (reference/economic.md §4.2, §6, §11).
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cloudify_pipeline.mapping.fields import Field, FieldCatalogue, FieldType

NUMBER = "number"
"""In a match pair: the record's own key, customerNumber or productNumber."""

LINES = "lines."
"""Prefix of the fields of a document's lines."""

_NEMHANDEL = ("ean", "corporateIdentificationNumber", "pNumber", "peppol")


def _text(path: str, longest: int | None = None, *, kind: FieldType = "text", **rest: Any) -> Field:
    return Field(path, kind, max_length=longest, **rest)


def _key(path: str, lowest: int | None = 1, **rest: Any) -> Field:
    return Field(path, "integer", minimum=lowest, **rest)


def _amount(path: str, decimals: int | None = None, **rest: Any) -> Field:
    return Field(path, "decimal", decimals=decimals, **rest)


def _date(path: str, **rest: Any) -> Field:
    return Field(path, "date", **rest)


def _set_by(setting: str) -> dict[str, Any]:
    return {"reserved": f"the setting {setting} decides it"}


_READ_ONLY: dict[str, Any] = {"writable": False}
_SEARCH: dict[str, Any] = {"filterable": True}
_CUSTOMER_NUMBER = {"maximum": 999999999}

CUSTOMER_FIELDS = FieldCatalogue(
    "e-conomic customer",
    (
        _key(NUMBER, **_CUSTOMER_NUMBER, **_SEARCH, **_set_by("customers.number")),
        _key("customerNumber", **_CUSTOMER_NUMBER, **_SEARCH, **_set_by("customers.number")),
        _text("name", 255, min_length=1, required=True, **_SEARCH),
        _text("email", 255, kind="email", **_SEARCH),
        _text("address", 510, description="Street and number; several lines are allowed.", **_SEARCH),
        _text("zip", 30, **_SEARCH),
        _text("city", 50, **_SEARCH),
        _text("country", 50, description="Free text: the country's name.", **_SEARCH),
        _text("corporateIdentificationNumber", 40, description="CVR number in Denmark.", **_SEARCH),
        # Filterable on the live server although the schema does not say so (§4.2).
        _text("pNumber", 10, min_length=10, **_SEARCH),
        _text("ean", 13, **_SEARCH),
        _text("publicEntryNumber", 50, **_SEARCH),
        _text("vatNumber", 20, description="Only for agreements in SE, UK, DE, PL and FI.", **_SEARCH),
        _text("telephoneAndFaxNumber", 255, kind="phone", **_SEARCH),
        _text("mobilePhone", 50, kind="phone", **_SEARCH),
        _text("website", 255, **_SEARCH),
        _amount("creditLimit", **_SEARCH),
        Field("eInvoicingDisabledByDefault", "boolean"),
        Field("barred", "boolean", **_SEARCH),
        _key("salesPerson.employeeNumber", None),
        _text("currency", 3, kind="currency", min_length=3, required=True, **_SEARCH, **_set_by("customers.defaults.currency")),
        _key("customerGroup.customerGroupNumber", None, required=True, **_SEARCH, **_set_by("customers.defaults.group")),
        _key("paymentTerms.paymentTermsNumber", None, required=True, **_set_by("customers.defaults.payment_terms")),
        _key("vatZone.vatZoneNumber", None, required=True, **_set_by("customers.defaults.vat_zone")),
        _key("layout.layoutNumber", None, **_set_by("customers.defaults.layout")),
        _amount("balance", **_SEARCH, **_READ_ONLY),
    ),
)

PRODUCT_FIELDS = FieldCatalogue(
    "e-conomic product",
    (
        _text(NUMBER, 25, min_length=1, required=True, **_SEARCH),
        _text("productNumber", 25, min_length=1, required=True, **_SEARCH),
        _text("name", 300, min_length=1, required=True, **_SEARCH),
        _text("description", 500, **_SEARCH),
        _text("barCode", 50, **_SEARCH),
        _amount("salesPrice", description="In the agreement's base currency.", **_SEARCH),
        _amount("costPrice", description="Read-only with the inventory module.", **_SEARCH),
        _amount("recommendedPrice", **_SEARCH),
        # A filter on it with $ne fails on the live server; $eq does not (§4.2).
        Field("barred", "boolean", **_SEARCH),
        # The live server refuses filters below inventory and fails on departmentalDistribution, whatever the schema says (§4.2).
        _amount("inventory.packageVolume", 2),
        _amount("inventory.recommendedCostPrice", 2, description="Required with the inventory module."),
        _amount("inventory.grossWeight", 2, **_READ_ONLY),
        _amount("inventory.netWeight", 2, **_READ_ONLY),
        _amount("inventory.available", **_READ_ONLY),
        _amount("inventory.inStock", **_READ_ONLY),
        _amount("inventory.orderedByCustomers", **_READ_ONLY),
        _amount("inventory.orderedFromSuppliers", **_READ_ONLY),
        _key("departmentalDistribution.departmentalDistributionNumber"),
        _text("departmentalDistribution.distributionType"),
        _key("productGroup.productGroupNumber", None, required=True, **_SEARCH, **_set_by("products.defaults.group")),
        _key("unit.unitNumber", None, **_SEARCH, **_set_by("products.defaults.unit")),
    ),
)

_HEADER = (
    _date("date", required=True, **_SEARCH, **_set_by("invoices.date")),
    _date("dueDate", reserved="the payment terms decide it, with Stripe's due date where they ask for one"),
    Field("currency", "currency", required=True, **_SEARCH, reserved="it is the Stripe invoice's currency"),
    _amount("exchangeRate", 6, maximum=999999999999, description="Base currency for 100 units; else the day's rate.", **_SEARCH),
    _key("layout.layoutNumber", required=True, **_set_by("invoices.layout")),
    _key(
        "paymentTerms.paymentTermsNumber", required=True, **_SEARCH, reserved="customer and settings decide the terms"
    ),
    _key("paymentTerms.daysOfCredit", 0, **_READ_ONLY),
    _text("paymentTerms.paymentTermsType", **_READ_ONLY, allowed=(
        "net", "invoiceMonth", "paidInCash", "prepaid", "dueDate", "factoring", "invoiceWeekStartingSunday",
        "invoiceWeekStartingMonday", "creditcard", "avtaleGiro",
    )),
    _key("customer.customerNumber", required=True, **_CUSTOMER_NUMBER, **_SEARCH, reserved="the matched customer decides it"),
    _text("recipient.name", 250, required=True, **_SEARCH),
    _text("recipient.address", 250, **_SEARCH),
    _text("recipient.zip", 50, **_SEARCH),
    _text("recipient.city", 250, **_SEARCH),
    _text("recipient.country", 50, **_SEARCH),
    _text("recipient.ean", 13, **_SEARCH),
    _text("recipient.publicEntryNumber", 40, **_SEARCH),
    _text("recipient.mobilePhone", kind="phone"),
    _text("recipient.nemHandelType", allowed=_NEMHANDEL),
    _key("recipient.attention.customerContactNumber", None),
    _key("recipient.vatZone.vatZoneNumber", None, required=True, **_set_by("vat")),
    _key("deliveryLocation.deliveryLocationNumber", **_SEARCH),
    _text("delivery.address", 255, **_SEARCH),
    _text("delivery.zip", 30, **_SEARCH),
    _text("delivery.city", 50, **_SEARCH),
    _text("delivery.country", 50, **_SEARCH),
    _text("delivery.deliveryTerms", 100, **_SEARCH),
    _date("delivery.deliveryDate", **_SEARCH),
    _text("notes.heading", 250, **_SEARCH),
    _text("notes.textLine1", 1000, **_SEARCH),
    _text("notes.textLine2", 1000, **_SEARCH),
    _key("project.projectNumber", description="Needs the project module."),
    _key("references.customerContact.customerContactNumber"),
    _key("references.salesPerson.employeeNumber", **_SEARCH),
    _key("references.vendorReference.employeeNumber", **_SEARCH),
    _text("references.other", 250, **_SEARCH, reserved="it holds the durable key by which the document is found again"),
    *(_amount(path, 2, **_READ_ONLY) for path in (
        "grossAmount", "grossAmountInBaseCurrency", "netAmount", "vatAmount", "roundingAmount",
        "marginInBaseCurrency", "marginPercentage",
    )),
)  # fmt: skip

_PRICED = "the Stripe line and the rounding rules decide it"

_LINE = (
    _key("lineNumber", reserved="lines are numbered in Stripe's order"),
    _key("sortKey", reserved="lines are numbered in Stripe's order"),
    _text("description", 2500),
    _date("accrual.startDate"),
    _date("accrual.endDate"),
    _key("unit.unitNumber"),
    _text("product.productNumber", 25, **_set_by("products")),
    _amount("quantity", 2, reserved=_PRICED),
    _amount("unitNetPrice", 2, reserved=_PRICED),
    _amount("discountPercentage", 2, reserved=_PRICED),
    _amount("unitCostPrice", 2),
    # Computed by the server; the schema of a new invoice forgets to say so, that of a read one does not.
    _amount("marginInBaseCurrency", 2, **_READ_ONLY),
    _amount("marginPercentage", 2, **_READ_ONLY),
    _key("departmentalDistribution.departmentalDistributionNumber"),
    _text("departmentalDistribution.distributionType"),
)


DOCUMENT_FIELDS = FieldCatalogue(
    "e-conomic document", (*_HEADER, *(replace(field, path=f"{LINES}{field.path}") for field in _LINE))
)

DECIDED: Mapping[str, Mapping[str, str]] = {
    "customers": {
        "customerNumber": "number",
        "currency": "currency",
        "customerGroup.customerGroupNumber": "group",
        "paymentTerms.paymentTermsNumber": "payment_terms",
        "vatZone.vatZoneNumber": "vat_zone",
        "layout.layoutNumber": "layout",
    },
    "products": {
        "productNumber": "number",
        "productGroup.productGroupNumber": "group",
        "unit.unitNumber": "unit",
    },
    "documents": {
        "date": "date",
        "dueDate": "due_date",
        "currency": "currency",
        "exchangeRate": "exchange_rate",
        "layout.layoutNumber": "layout",
        "paymentTerms.paymentTermsNumber": "payment_terms",
        "customer.customerNumber": "customer",
        "recipient.vatZone.vatZoneNumber": "vat_zone",
        "references.other": "key",
        "lines.lineNumber": "position",
        "lines.sortKey": "position",
        "lines.product.productNumber": "product",
        "lines.quantity": "quantity",
        "lines.unitNetPrice": "unit_price",
        "lines.description": "description",
    },
    "booking": {"draftInvoice.draftInvoiceNumber": "draft", "sendBy": "send_by"},
}
"""What the requests of :mod:`.writes` hold beside the mapped fields: path → the fact that stands there, in words that are the
same for every ledger."""
