"""Customers and products: the rules beyond the schemas, PUT as a full replace, numbers that come back after a delete."""

from datetime import datetime
from decimal import Decimal

from cloudify_pipeline.sandbox.economic import rules
from cloudify_pipeline.sandbox.economic.errors import ROOT, Findings, Json, not_found, refusal
from cloudify_pipeline.sandbox.economic.references import Reference, resolve
from cloudify_pipeline.sandbox.economic.store import EconomicStore

_CUSTOMER = (
    Reference("customerGroup", "customer-groups", "customerGroupNumber", code="E07140"),
    Reference("paymentTerms", "payment-terms", "paymentTermsNumber", code="E07080", title="PaymentTerms"),
    Reference("vatZone", "vat-zones", "vatZoneNumber"),
    Reference("layout", "layouts", "layoutNumber"),
    Reference("salesPerson", "employees", "employeeNumber"),
)
_PRODUCT = (Reference("productGroup", "product-groups", "productGroupNumber"), Reference("unit", "units", "unitNumber"))


def _stamp(now: datetime) -> str:
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")


def write_customer(store: EconomicStore, body: Json, now: datetime, number: int | None = None) -> tuple[Json, bool]:
    """Create, or with `number` replace or create, a customer; returns it and whether it is new."""
    findings = Findings()
    customer = rules.check("customers.post" if number is None else "customers.put", body, findings)
    findings.refuse()
    customer["currency"] = customer["currency"].upper()
    if store.get("currencies", customer["currency"]) is None:
        findings.add(
            ("currency",), "currency does not exist.", "E06000", customer["currency"], f"Find a list at {ROOT}/currencies ."
        )
    for reference in _CUSTOMER:
        if reference.field in customer:
            resolve(store, reference, customer, (), findings)
    _check_zone(store, customer, findings)
    wanted = customer.get("customerNumber")
    if number is None and wanted is not None and store.get("customers", wanted) is not None:
        findings.add(("customerNumber",), f"Customer number '{wanted}' already exists.", "E06010", wanted)
    findings.refuse()
    number = number if number is not None else wanted or store.highest("customers") + 1
    before = store.get("customers", number)
    balance = Decimal("0.00") if before is None else before["balance"]
    record = {**customer, "customerNumber": number, "balance": balance, "lastUpdated": _stamp(now)}
    store.put("customers", number, record)
    return record, before is None


def _check_zone(store: EconomicStore, customer: Json, findings: Findings) -> None:
    zone = store.get("vat-zones", customer["vatZone"].get("vatZoneNumber", 0))
    if zone is not None and not zone.get("enabledForCustomer"):
        findings.add(("vatZone",), "VAT zone is not enabled for customers.", value=zone["vatZoneNumber"])


def write_product(store: EconomicStore, body: Json, now: datetime, number: str | None = None) -> tuple[Json, bool]:
    """Create, or with `number` replace or create, a product; returns it and whether it is new."""
    findings = Findings()
    product = rules.check("products.post" if number is None else "products.put", body, findings)
    findings.refuse()
    for reference in _PRODUCT:
        if reference.field in product:
            resolve(store, reference, product, (), findings)
    wanted: str = product["productNumber"]
    if number is None and store.get("products", wanted) is not None:
        findings.add(("productNumber",), f"Product number '{wanted}' already exists.", "E06010", wanted)
    findings.refuse()
    number = number or wanted
    before = store.get("products", number)
    record = {"salesPrice": Decimal("0.00"), **product, "productNumber": number, "lastUpdated": _stamp(now)}
    store.put("products", number, record)
    return record, before is None


def delete_customer(store: EconomicStore, number: int) -> None:
    """Delete a customer that no document names; its number may be given again."""
    documents = (document for kind in ("drafts", "booked", "orders") for document in store.all(kind))
    if any(document["customer"]["customerNumber"] == number for document in documents):
        raise refusal(400, f"Customer '{number}' cannot be deleted because it is in use.")
    if store.delete("customers", number) is None:
        raise not_found("E06000")


def delete_product(store: EconomicStore, number: str) -> None:
    """Delete a product that no document line names."""
    for kind in ("drafts", "booked", "orders"):
        for document in store.all(kind):
            if any(line.get("product", {}).get("productNumber") == number for line in document["lines"]):
                raise refusal(400, f"Product '{number}' cannot be deleted because it is in use.")
    if store.delete("products", number) is None:
        raise not_found("E06000")
