"""Draft invoices, draft orders and booked invoices: the rules beyond the schemas, and booking."""

import calendar
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

from cloudify_pipeline.sandbox.economic import rules
from cloudify_pipeline.sandbox.economic.amounts import line_vat, priced, sales_account
from cloudify_pipeline.sandbox.economic.entries import voucher_of
from cloudify_pipeline.sandbox.economic.errors import ApiError, Findings, Json, Path, not_found, refusal
from cloudify_pipeline.sandbox.economic.references import Reference, resolve
from cloudify_pipeline.sandbox.economic.store import EconomicStore

_HEADER = (
    Reference("layout", "layouts", "layoutNumber"),
    Reference("paymentTerms", "payment-terms", "paymentTermsNumber", code="E07080", title="PaymentTerms"),
    Reference("customer", "customers", "customerNumber"),
)
_VAT_ZONE = Reference("vatZone", "vat-zones", "vatZoneNumber")
_PRODUCT = Reference("product", "products", "productNumber")
_UNIT = Reference("unit", "units", "unitNumber")
_PEOPLE = (Reference("salesPerson", "employees", "employeeNumber"), Reference("vendorReference", "employees", "employeeNumber"))


def written(store: EconomicStore, name: str, body: Json, now: datetime, *, before: Json | None = None) -> Json:
    """A checked and priced draft or order. `before` is what a PUT replaces: it gives the header fields a PUT may leave out."""
    findings = Findings()
    document = rules.check(name, body, findings)
    if before is not None:
        for field in ("date", "currency", "layout", "paymentTerms", "customer"):
            document.setdefault(field, before[field])
        if isinstance(document.get("recipient"), dict):
            document["recipient"].setdefault("name", before["recipient"]["name"])
    findings.refuse()
    _check_references(store, document, body, findings)
    for index, line in enumerate(document.get("lines", [])):
        _check_line(store, line, index, findings)
    _check_due_date(document, findings)
    findings.refuse()
    for index, line in enumerate(document.get("lines", []), 1):
        line.setdefault("lineNumber", index)
        line.setdefault("sortKey", line["lineNumber"])
    customer = store.get("customers", document["customer"]["customerNumber"]) or {}
    if "corporateIdentificationNumber" in customer:
        document["recipient"]["cvr"] = customer["corporateIdentificationNumber"]
    return {**priced(store, document), "lastUpdated": now.strftime("%Y-%m-%dT%H:%M:%SZ")}


def _check_references(store: EconomicStore, document: Json, body: Json, findings: Findings) -> None:
    document["currency"] = document["currency"].upper()
    if store.get("currencies", document["currency"]) is None:
        hint = "Find a list of currencies at https://restapi.e-conomic.com/currencies ."
        findings.add(("currency",), "currency does not exist.", "E06000", document["currency"], hint)
    layout, terms, customer = (resolve(store, reference, document, (), findings) for reference in _HEADER)
    resolve(store, _VAT_ZONE, document["recipient"], ("recipient",), findings)
    if layout is not None and layout.get("deleted"):
        findings.add(("layout",), f"Layout '{layout['layoutNumber']}' is deleted.", value=layout["layoutNumber"])
    if customer is not None and customer.get("barred"):
        findings.add(("customer",), f"Customer '{customer['customerNumber']}' is barred.", value=customer["customerNumber"])
    for person in _PEOPLE:
        if person.field in document.get("references", {}):
            resolve(store, person, document["references"], ("references",), findings)
    sent_terms = body.get("paymentTerms")
    sent_type = sent_terms.get("paymentTermsType") if isinstance(sent_terms, dict) else None
    if sent_type is not None and (terms is None or sent_type != terms["paymentTermsType"]):
        findings.add(
            ("paymentTermsType",),
            "Payment terms type does not match the type on the payment terms specified.",
            "E07180",
            sent_type,
            "Either specify the matching payment terms type for the payment terms in question, or omit the property.",
        )
    if terms is not None:
        document["paymentTerms"] = terms


def _check_line(store: EconomicStore, line: Json, index: int, findings: Findings) -> None:
    path: Path = ("lines", index)
    if "unit" in line:
        unit = resolve(store, _UNIT, line, path, findings)
        line["unit"] = unit or line["unit"]
    if "product" not in line:
        for field in ("quantity", "unitNetPrice"):
            if field in line:
                findings.add((*path, field), f"Property product must have a value when {field} is set.", value=line[field])
        return
    product = resolve(store, _PRODUCT, line, path, findings)
    if product is not None and product.get("barred"):
        number = product["productNumber"]
        hint = "Find a list of products at https://restapi.e-conomic.com/products ."
        findings.add((*path, "product"), f"Product '{number}' is barred.", "E06600", number, hint)
    if "quantity" not in line:
        hint = "Please check your request data."
        findings.add((*path, "quantity"), "Property quantity must have a value when product is set.", "E04730", hint=hint)
    if product is not None and not line.get("description"):
        findings.add((*path, "description"), "Property description must have a value when product is set.")


def _check_due_date(document: Json, findings: Findings) -> None:
    terms = document["paymentTerms"]
    kind = terms.get("paymentTermsType")
    if kind is None:
        return
    day = date.fromisoformat(document["date"])
    if kind == "dueDate":
        if "dueDate" not in document:
            findings.add(("dueDate",), "Due date must be specified when payment terms are of type dueDate.", "E04042")
        elif document["dueDate"] < document["date"]:
            findings.add(("dueDate",), "Due date cannot be earlier than the date.", "E04760", document["dueDate"])
        return
    if kind == "invoiceMonth":
        day = day.replace(day=calendar.monthrange(day.year, day.month)[1])
    elif kind.startswith("invoiceWeek"):
        # Sunday is day 6; a week that starts on Sunday ends on Saturday.
        day += timedelta(days=((5 if kind.endswith("Sunday") else 6) - day.weekday()) % 7)
    document["dueDate"] = (day + timedelta(days=terms.get("daysOfCredit", 0))).isoformat()


def book(store: EconomicStore, request: Json, with_number: int | None = None) -> Json:
    """Turn a draft into a booked invoice: irreversible, the draft is gone. Returns the booked invoice."""
    findings = Findings()
    wanted = rules.check("book.post" if with_number is None else "book.put", request, findings)
    number = wanted.get("draftInvoice", {}).get("draftInvoiceNumber")
    if number is None and not len(findings):
        findings.add(("draftInvoice",), "No identifiers present on draftInvoice.", "E04500")
    findings.refuse()
    draft = store.get("drafts", number)
    if draft is None:
        hint = "Find a list of draft invoices at https://restapi.e-conomic.com/invoices/drafts ."
        findings.add(("draftInvoice",), f"Draft invoice '{number}' not found.", "E06000", number, hint)
        findings.refuse()
        raise not_found("E06000")
    _check_bookable(store, draft, wanted.get("sendBy", "none"))
    booked_number = with_number if with_number is not None else wanted.get("bookWithNumber")
    if booked_number is None:
        booked_number = max(store.highest("booked"), int(store.fact("last_booked_number", 0))) + 1
    elif booked_number < 1 or store.get("booked", booked_number) is not None:
        raise _cannot_book(draft, f"The invoice number {booked_number} is already in use.")
    invoice = _as_booked(store, draft, booked_number)
    with store.transaction():
        store.delete("drafts", number)
        store.put("booked", booked_number, invoice)
        store.put("vouchers", booked_number, voucher_of(store, invoice))
        store.set_fact("last_booked_draft", max(number, int(store.fact("last_booked_draft", 0))))
    return invoice


def _as_booked(store: EconomicStore, draft: Json, number: int) -> Json:
    zone = draft["recipient"]["vatZone"]["vatZoneNumber"]
    lines = []
    for line in draft["lines"]:
        rate, amount = line_vat(store, line, zone)
        lines.append({**line, "vatRate": rate, "vatAmount": amount} if "product" in line else line)
    left_out = ("draftInvoiceNumber", "lastUpdated", "costPriceInBaseCurrency", "marginInBaseCurrency", "marginPercentage")
    kept = {name: value for name, value in draft.items() if name not in left_out}
    paid = draft["paymentTerms"]["paymentTermsType"] == "paidInCash"
    zero = draft["grossAmount"] - draft["grossAmount"]
    return {
        "bookedInvoiceNumber": number,
        "orderNumber": draft["draftInvoiceNumber"],
        **kept,
        "remainder": zero if paid else draft["grossAmount"],
        "remainderInBaseCurrency": zero if paid else draft["grossAmountInBaseCurrency"],
        "lines": lines,
    }


def _check_bookable(store: EconomicStore, draft: Json, send_by: str) -> None:
    day = draft["date"]
    period = next((p for p in store.all("periods") if p["fromDate"] <= day <= p["toDate"]), None)
    shown = date.fromisoformat(day).strftime("%d.%m.%Y")
    if period is None:
        raise _cannot_book(draft, f"The invoice date {shown} does not lie within an accounting year.", "E04870")
    if period["closed"] or period["barred"]:
        state = "barred" if period["barred"] else "closed"
        raise _cannot_book(draft, f"The invoice date {shown} lies within a {state} period.", "E04870")
    products = list(_products(store, draft))
    if not products:
        raise _cannot_book(draft, "The invoice has no lines with a product.")
    for product in products:
        if product.get("barred"):
            raise _cannot_book(draft, f"Product '{product['productNumber']}' is barred.", "E06600")
        if sales_account(store, product, draft["recipient"]["vatZone"]["vatZoneNumber"]) is None:
            raise _cannot_book(draft, f"Product '{product['productNumber']}' has no sales account in the VAT zone.")
    customer = store.get("customers", draft["customer"]["customerNumber"]) or {}
    if customer.get("barred"):
        raise _cannot_book(draft, f"Customer '{customer['customerNumber']}' is barred.")
    if send_by == "EAN" and not (draft["recipient"].get("ean") or customer.get("ean")):
        raise _cannot_book(draft, "The customer has no EAN.")


def _products(store: EconomicStore, draft: Json) -> Iterator[Json]:
    for line in draft.get("lines", []):
        if "product" in line:
            product: Any = store.get("products", line["product"]["productNumber"])
            yield product or {"productNumber": line["product"]["productNumber"], "barred": True}


def _cannot_book(draft: Json, why: str, code: str | None = None) -> ApiError:
    tail = f"(a booking of draft invoice {draft['draftInvoiceNumber']} failed.)"
    return refusal(400, f"Cannot book the current invoice: {why} {tail}", code)
