"""A month's VAT return after whole runs: list, boxes, One Stop Shop and the ledger's own accounts."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from cloudify_pipeline.control.vat_periods import month, quarter
from cloudify_pipeline.control.vat_return import VatReturn, vat_return
from cloudify_pipeline.control.vat_threshold import words
from cloudify_pipeline.ledgers.economic.ledger import EconomicLedger
from cloudify_pipeline.posting.log.decisions import decisions
from cloudify_pipeline.posting.log.schema import identities, vat_sales
from cloudify_pipeline.sandbox.economic.documents import book, written
from cloudify_pipeline.sandbox.stripe.invoices import Line
from cloudify_pipeline_tests.whole_runs.conftest import Company

GERMAN = (("eu_vat", "DE136695976", "verified"),)


def filed(company: Company, name: str = "2026-11") -> VatReturn:
    opened = company.connection()
    try:
        return asyncio.run(vat_return(opened, quarter(name) if "Q" in name else month(name)))
    finally:
        opened.log.close()


def sell(company: Company, name: str, country: str, **given: Any) -> str:
    """A paid invoice over 100.00, to a business with the VAT number where it is German."""
    number = GERMAN if country == "DE" else ()
    taxed = [company.rate] if country in {"DK", "FR"} else []
    return company.pay(company.invoice(company.customer(name, country, tax_ids=number), **{"tax_rates": taxed, **given}))


def euro(company: Company) -> str:
    """A price of 99.00 EUR."""
    product = company.sandbox.stripe.get("price", company.price)["product"]
    return company.sandbox.stripe.add_price(product, 9_900, "eur", at=company.now - timedelta(days=3))


@pytest.fixture
def sold(company: Company) -> dict[str, str]:
    """One posted sale to each kind of buyer, by country; the German one in euro."""
    company.configure(vat={"supply_default": "services"})
    made = {
        country: sell(company, name, country) for country, name in (("DK", "Frøstrup ApS"), ("FR", "Claire"), ("NO", "Fjell"))
    }
    made["DE"] = sell(company, "Müller GmbH", "DE", lines=[Line(euro(company))], currency="eur")
    assert company.sync().codes() == {}
    return made


def boxes(found: VatReturn) -> dict[str, str]:
    """Net of every box that has something."""
    return {box: str(sums.net) for box, sums in found.boxes.items() if sums.net}


def ledger_of(company: Company, stripe_id: str) -> dict[str, Any]:
    (document,) = [one for one in company.sandbox.economic.booked() if one["references"]["other"] == f"stripe:{stripe_id}"]
    return document


def told(found: VatReturn) -> list[tuple[str, str | None, str, str]]:
    return [(one.kind, one.code, str(one.ours), str(one.ledger)) for one in found.differences]


def test_a_month_with_every_kind_of_buyer_agrees_per_vat_code(company: Company, sold: Mapping[str, str]) -> None:
    found = filed(company)
    assert boxes(found) == {"sales_vat": "200.00", "b_services": "738.59", "c": "100.00"}
    assert [(one.country, one.number, one.whole_services) for one in found.listed] == [("DE", "136695976", 738)]
    assert [(one.code, str(one.ours), str(one.ledger)) for one in found.codes] == [
        ("ABRY", "100.00", "100.00"), ("U25", "200.00", "200.00"), ("UEUY", "738.59", "738.59"),
    ]  # fmt: skip
    assert (found.differences, found.agrees, found.documents) == ((), True, 4)
    assert found.watch is not None
    assert (found.watch.total, found.watch.documents) == (Decimal(100), 1)
    assert filed(company, "2026Q4").parts == found.parts
    assert filed(company, "2026-10").parts == ()


def test_a_credit_note_is_negative_in_its_own_month(company: Company, sold: Mapping[str, str]) -> None:
    company.now += timedelta(days=30)
    company.sandbox.stripe.create_credit_note(sold["DE"], None, at=company.now - timedelta(minutes=30))
    company.sandbox.stripe.create_credit_note(sold["FR"], None, at=company.now - timedelta(minutes=30))
    assert company.sync().codes() == {}
    before, found = filed(company), filed(company, "2026-12")
    assert boxes(before)["b_services"] == "738.59"
    assert boxes(found) == {"sales_vat": "-100.00", "b_services": "-738.59"}
    assert [(one.country, one.number, one.whole_services) for one in found.listed] == [("DE", "136695976", -738)]
    assert (before.agrees, found.agrees) == (True, True)
    assert found.watch is not None
    assert found.watch.total == 0


# -- what the ledger has otherwise ----------------------------------------------------------------------------------------


def test_an_invoice_that_is_booked_by_hand_is_named(company: Company, sold: Mapping[str, str]) -> None:
    original = ledger_of(company, sold["NO"])
    store = company.sandbox.economic
    fields = ("date", "currency", "layout", "paymentTerms", "customer", "recipient", "references")
    body = {name: original[name] for name in fields}
    line = {"product": {"productNumber": "SENSOR-1"}, "description": "Sensor", "quantity": 1, "unitNetPrice": 449}
    with store.lock:
        # Copied from our own invoice in the ledger: the key comes along, and it is no document of ours.
        draft = {"draftInvoiceNumber": 9_001, **written(store, "drafts.post", {**body, "lines": [line]}, company.now)}
        store.put("drafts", 9_001, draft)
        number = book(store, {"draftInvoice": {"draftInvoiceNumber": 9_001}})["bookedInvoiceNumber"]
    store.add_voucher("2026-11-30", "Salg over disken", 1010, Decimal("-80.00"), "U25")
    found = filed(company)
    assert [(one.about, one.code, one.ledger) for one in found.differences] == [
        (f"invoice {number}", "ABR", Decimal("449.00")), ("voucher 900001", "U25", Decimal("80.00")),
    ]  # fmt: skip
    assert {one.kind for one in found.differences} == {"by_hand"}
    assert not found.agrees
    assert {one.code: str(one.difference) for one in found.codes} == {
        "ABR": "449.00", "ABRY": "0.00", "U25": "80.00", "UEUY": "0.00",
    }  # fmt: skip


def changed(company: Company, stripe_id: str, **amounts: str) -> None:
    """Somebody with access to the database (no user can) gives a booked invoice other amounts."""
    store, number = company.sandbox.economic, ledger_of(company, stripe_id)["bookedInvoiceNumber"]
    with store.lock:
        record: Any = store.get("booked", number)
        store.put("booked", number, {**record, **{name: Decimal(amount) for name, amount in amounts.items()}})


def moved_entry(company: Company, stripe_id: str, account: int, **entry: Any) -> None:
    store, number = company.sandbox.economic, ledger_of(company, stripe_id)["bookedInvoiceNumber"]
    with store.lock:
        voucher: Any = store.get("vouchers", number)
        entries = [{**one, **entry} if one["account"]["accountNumber"] == account else one for one in voucher["entries"]]
        store.put("vouchers", number, {**voucher, "entries": entries})


def test_another_amount_and_another_vat_code_are_named_with_both_sides(
    company: Company, sold: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    moved_entry(company, sold["NO"], 1130, amountInBaseCurrency=Decimal("-90.00"))
    moved_entry(company, sold["FR"], 1110, vatAccount={"vatCode": "ABR"})
    changed(company, sold["DK"], vatAmount="24.00", grossAmount="124.00")
    found = filed(company)
    assert set(told(found)) == {
        ("amount", "ABRY", "100.00", "90.00"), ("amount", None, "None", "None"),
        ("code", "ABR", "0", "100.00"), ("code", "U25", "100.00", "0"),
    }  # fmt: skip
    assert "VAT 25.00 DKK; the ledger has net 100.00 DKK and VAT 24.00 DKK" in found.differences[-1].words

    async def refused(*_: object) -> None:
        """The app's role may not read accounts."""

    monkeypatch.setattr(EconomicLedger, "sales_entries", refused)
    found = filed(company)
    assert told(found) == [("amount", None, "None", "None")], "documents are compared by their totals then"
    assert {one.ledger for one in found.codes} == {None}
    assert "role Bookkeeping" in found.notes[1]


def test_a_draft_that_somebody_booked_in_the_next_month_counts_there_and_does_not_wait(company: Company) -> None:
    company.configure(vat={"supply_default": "services"}, invoices={"rules": [{"when": "paid", "create": "draft_invoice"}]})
    sell(company, "Müller GmbH", "DE", lines=[Line(euro(company))], currency="eur")
    company.sync()
    assert filed(company).waiting.documents == 1
    store = company.sandbox.economic
    (draft,) = store.drafts()
    with store.lock:
        store.put("drafts", draft["draftInvoiceNumber"], {**draft, "date": "2026-12-01"})
        book(store, {"draftInvoice": {"draftInvoiceNumber": draft["draftInvoiceNumber"]}})
    november, december = filed(company), filed(company, "2026-12")
    assert november.waiting.documents == 0
    assert [(one.kind, one.counts) for one in november.differences] == [("moved", False)]
    assert boxes(november) == {}
    assert (boxes(december), december.agrees) == ({"b_services": "738.59"}, True)


def test_an_invoice_that_is_gone_or_has_moved_is_named(company: Company, sold: Mapping[str, str]) -> None:
    store = company.sandbox.economic
    gone, moved = (ledger_of(company, sold[country])["bookedInvoiceNumber"] for country in ("NO", "DK"))
    with store.lock:
        for number in (gone, moved):
            record: Any = store.get("booked", number)
            store.delete("booked", number)
            store.delete("vouchers", number)
            if number == moved:
                store.put("booked", number, {**record, "date": "2026-12-01"})
    found = filed(company)
    assert {one.kind: one.about.split()[1] for one in found.differences} == {"missing": str(gone), "moved": str(moved)}
    assert not found.agrees
    assert boxes(found) == {"sales_vat": "100.00", "b_services": "738.59"}
    assert boxes(filed(company, "2026-12")) == {"sales_vat": "100.00"}


# -- what is not known, or not decided ------------------------------------------------------------------------------------


def test_what_was_posted_without_evidence_is_decided_once_more(company: Company, sold: Mapping[str, str]) -> None:
    company.now += timedelta(hours=2)
    company.sandbox.stripe.create_credit_note(sold["FR"], None, at=company.now - timedelta(minutes=30))
    assert company.sync().codes() == {}
    before = filed(company)
    opened = company.connection()
    with opened.log.engine.begin() as db:
        # A log of before there were these tables; the database would not let their rows be deleted.
        db.execute(text("DROP TRIGGER keep_decisions_as_is"))
        for table in (vat_sales, decisions):
            db.execute(table.update().values(connection="lost"))
    opened.log.close()
    found = filed(company)
    assert found.parts == before.parts
    assert found.agrees
    assert "5 documents have no evidence" in found.notes[1]
    assert found.watch is not None
    assert "5 documents that an earlier version posted are not counted" in words(found.watch)
    opened.staging.path.unlink()
    found = filed(company)
    assert [one.kind for one in found.differences] == ["no_evidence"] * 5


def test_goods_and_services_must_be_told_apart(company: Company) -> None:
    company.configure(products={**company.settings["products"], "defaults": {"group": 1}})
    sell(company, "Müller GmbH", "DE")
    assert company.sync().codes() == {}
    assert told(filed(company)) == [("untold", "UEUV", "100.00", "None")]
    company.configure(vat={"supply": {"UEUV": "goods"}})
    found = filed(company)
    assert (boxes(found), found.agrees) == ({"b_goods": "100.00"}, True)


def test_the_bookkeepers_own_eu_zone_without_a_number_is_in_no_list(company: Company) -> None:
    company.configure(customers={"defaults": {"payment_terms": 1, "group": 1, "vat_zone": 2}}, vat={"supply_default": "services"})
    company.pay(company.invoice(company.customer("Privat", "FR"), tax_rates=[]))
    assert company.sync().codes() == {}
    found = filed(company)
    assert told(found) == [("no_vat_number", "UEUY", "100.00", "None")]
    assert [(one.number, one.services) for one in found.listed] == [("", Decimal("100.00"))]


def test_a_draft_is_in_no_box_until_somebody_books_it(company: Company) -> None:
    company.configure(invoices={"rules": [{"when": "paid", "create": "draft_invoice"}]})
    sell(company, "Fjell", "NO")
    assert company.sync().codes() == {}
    found = filed(company)
    assert (found.parts, found.waiting.documents, dict(found.waiting.sums)) == ((), 1, {"DKK": Decimal("100.00")})
    (draft,) = company.sandbox.economic.drafts()
    with company.sandbox.economic.lock:
        book(company.sandbox.economic, {"draftInvoice": {"draftInvoiceNumber": draft["draftInvoiceNumber"]}})
    found = filed(company)
    assert (boxes(found), found.waiting.documents, found.agrees) == ({"c": "100.00"}, 0, True)


def test_the_one_stop_shop_is_told_by_country_and_rate(company: Company) -> None:
    store, french = company.sandbox.economic, 5
    with store.lock:
        zone = {"vatZoneNumber": french, "name": "OSS Frankrig", "enabledForCustomer": True, "enabledForSupplier": False}
        code = {"vatCode": "OSSFR", "name": "OSS FR 20 %", "ratePercentage": Decimal(20), "account": {"accountNumber": 6902}}
        store.put("vat-zones", french, zone)
        store.put("vat-accounts", "OSSFR", {**code, "vatType": {"vatTypeNumber": 1, "name": "Sales VAT"}})
        account: Any = store.get("accounts", 1110)
        store.put("accounts", 1160, {**account, "accountNumber": 1160, "vatAccount": {"vatCode": "OSSFR"}})
        store.put("sales-accounts", "3/5", {"productGroupNumber": 3, "vatZoneNumber": french, "accountNumber": 1160})
    company.configure(vat={"oss": {"zones": {"FR": french}}, "supply_default": "services"})
    rate = company.sandbox.stripe.add_tax_rate(20, at=company.now - timedelta(days=3), country="FR")
    sell(company, "Claire", "FR", tax_rates=[rate])
    sell(company, "Frøstrup ApS", "DK")
    assert company.sync().codes() == {}
    found = filed(company, "2026Q4")
    assert {key: (str(sums.net), str(sums.vat)) for key, sums in found.oss.items()} == {("FR", Decimal(20)): ("100.00", "20.00")}
    assert boxes(found) == {"sales_vat": "100.00", "oss": "100.00"}
    assert (found.agrees, found.watch) == (True, None)


def test_what_another_connection_posted_into_the_same_books_is_its_own(company: Company, sold: Mapping[str, str]) -> None:
    opened = company.connection()
    with opened.log.engine.begin() as db:
        for table in (identities, vat_sales):
            mine = (table.c.connection == "nordlys") & (table.c.stripe_id == sold["NO"])
            db.execute(table.update().where(mine).values(connection="sydlys"))
    opened.log.close()
    found = filed(company)
    (one,) = found.differences
    assert (one.kind, one.code, one.ledger, one.counts) == ("elsewhere", "ABRY", Decimal("100.00"), False)
    assert one.words.startswith("in the ledger on 2026-11-01 by connection sydlys: ")
    assert found.agrees
