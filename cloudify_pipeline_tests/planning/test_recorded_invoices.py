"""Every recorded invoice, and how it ends: it goes through and agrees with Stripe's total, or is held for a named reason."""

import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cloudify_pipeline.accounting.chart import Number, SalesAccount, VatCode
from cloudify_pipeline.planning.documents import plan_document
from cloudify_pipeline.planning.plans import Hold, PlannedDocument, Skip
from cloudify_pipeline.planning.records import InvoiceRecord, id_of
from cloudify_pipeline.planning.rules import DueDocument, due
from cloudify_pipeline_tests.planning import books

MISSOURI = {"txr_1REBcPKXBGcbgpbZad52Yd7V": {"percentage": Decimal("7.95")}}
WHEN = {"rules": [{"when": "finalized", "create": "booked_invoice"}]}
CONNECTION = books.settings(invoices=WHEN, products={"no_product": "NONE", "rounding_product": "ROUND"})

# File, how it ends as it stands, and the nets of its lines (or how it ends) once its buyer is an American and it is of today.
RECORDED: list[tuple[str, str, list[str] | str]] = [
    ("01-new-2026-03-25.dahlia-draft.json", "S-NOT-DUE", "S-NOT-DUE"),
    ("02-new-2026-03-25.dahlia-paid.json", "E-VAT-ZONE", ["10.00"]),
    ("03-new-2025-10-29.clover-simple.json", "E-VAT-ZONE", ["10.00"]),
    ("04-new-2025-10-29.clover-proration-negline-payments.json", "E-VAT-ZONE", ["-25.00", "250.00"]),
    ("05-new-2025-10-29.clover-proration-swap-and-invoice.json", "E-VAT-ZONE", ["-25.00", "250.00"]),
    ("06-new-2025-10-29.clover-draft-zero-nolines.json", "S-NOT-DUE", "S-NOT-DUE"),
    ("07-new-2025-10-29.clover-discount-50pct.json", "E-VAT-ZONE", ["9.50"]),
    # Sales tax of 7.95 % that the books do not bear: the buyer paid it, and it must not vanish.
    ("08-both-2025-discounts-line-and-invoice-exclusive-tax.json", "E-VAT-RATE", "E-VAT-RATE"),
    ("10-both-2022-11-15-event-eur-recorded-2026.json", "E-VAT-ZONE", ["20.00"]),
    ("11-old-2024-06-20-simple.json", "E-PERIOD", ["10.00"]),
    ("12-old-2020-08-27-coupon.json", "E-PERIOD", ["15.00"]),
    ("13-old-2020-08-27-quantity10.json", "E-PERIOD", ["250.00"]),
    ("16-old-2020-zero-open.json", "S-ZERO", "S-ZERO"),
    # Its tax stands where no line tells of it, as before API version 2025-03-31.
    ("19-old-djstripe-inclusive-tax.json", "E-PERIOD", "E-STRIPE-SUM"),
    ("24-crafted-ledgerly-credit-balance.json", "S-NOT-DUE", "S-NOT-DUE"),
    ("25-crafted-ledgerly-out-of-band.json", "S-NOT-DUE", "S-NOT-DUE"),
    ("28-crafted-ledgerly-send-invoice-open.json", "S-NOT-DUE", "S-NOT-DUE"),
]

Shared = Callable[[str], Path]


def recorded(folder: Path, name: str, **changed: Any) -> InvoiceRecord:
    found = json.loads((folder / name).read_text(), parse_float=Decimal)
    invoice = {**(found["data"]["object"] if found["object"] == "event" else found), **changed}
    details = [(line.get("pricing") or {}).get("price_details") or {} for line in invoice["lines"]["data"]]
    products: dict[str, Any] = {product: {} for one in details if (product := id_of(one.get("product")))}
    return InvoiceRecord(invoice, None, products, {}, MISSOURI, None)


def plan(record: InvoiceRecord, **more: Any) -> PlannedDocument | Hold | Skip:
    decision = due(record, CONNECTION)
    if not isinstance(decision, DueDocument):
        return decision
    return plan_document(
        record,
        due=decision,
        settings=CONNECTION,
        documents=books.document_mappings(),
        lines=books.line_mappings(),
        customer=books.PLANNED_CUSTOMER,
        products={key: books.replace_product(key) for key in record.products},
        numbered=books.NUMBERED,
        **{"chart": books.CHART, "today": date.max, **more},
    )


def code(planned: PlannedDocument | Hold | Skip) -> str:
    assert not isinstance(planned, PlannedDocument), planned
    return planned.problem.code if isinstance(planned, Hold) else planned.code


def test_the_table_has_every_recorded_invoice(shared: Shared) -> None:
    assert [name for name, *_ in RECORDED] == sorted(file.name for file in shared("fixtures/stripe/invoices").glob("*.json"))


@pytest.mark.parametrize(("name", "as_it_stands", "abroad"), RECORDED)
def test_a_recorded_invoice(name: str, as_it_stands: str, abroad: list[str] | str, shared: Shared) -> None:
    folder = shared("fixtures/stripe/invoices")
    assert code(plan(recorded(folder, name))) == as_it_stands
    record = recorded(folder, name, customer_address=books.US_ADDRESS, effective_at=books.NOV)
    planned = plan(record)
    if isinstance(abroad, str):
        assert code(planned) == abroad
        return
    assert isinstance(planned, PlannedDocument), planned
    assert [str(one.net) for one in planned.document.lines] == abroad
    assert planned.document.predicted.gross == planned.document.stripe_total == record.total


def test_discounts_on_lines_and_invoice_with_tax_go_through_where_the_books_bear_the_rate(shared: Shared) -> None:
    cell: dict[tuple[Number, Number], SalesAccount] = {(books.GOODS, books.ABROAD): SalesAccount(1030, "MO")}
    chart = books.replaced_chart(codes={"MO": VatCode("MO", "Missouri", Decimal("7.95"))}, accounts=cell)
    planned = plan(recorded(shared("fixtures/stripe/invoices"), RECORDED[7][0]), chart=chart)
    assert isinstance(planned, PlannedDocument), planned
    assert [str(one.net) for one in planned.document.lines] == ["156.60", "70.47"]
    totals = planned.document.predicted
    assert (str(totals.net), str(totals.vat), str(totals.gross)) == ("227.07", "18.05", "245.12")
