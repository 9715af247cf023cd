"""The table of VAT cases in ``vat_cases.txt``, each planned as a whole document."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from cloudify_pipeline.accounting.chart import SalesAccount, VatCode, VatZone
from cloudify_pipeline.accounting.documents import CustomerRef
from cloudify_pipeline.accounting.vat_return import Supplies, parts
from cloudify_pipeline.planning.corrections import Correction, Original
from cloudify_pipeline.planning.documents import plan_document
from cloudify_pipeline.planning.plans import Evidence, Hold, PlannedDocument
from cloudify_pipeline.planning.records import InvoiceRecord
from cloudify_pipeline.planning.reversals import Part as Share
from cloudify_pipeline.planning.reversals import reversal
from cloudify_pipeline.planning.vat_return import sale_of
from cloudify_pipeline_tests.planning.books import (
    ABROAD,
    CHART,
    DUE,
    EU,
    GOODS,
    NUMBERED,
    PLANNED_CUSTOMER,
    PLANNED_PRODUCT,
    TODAY,
    document_mappings,
    line,
    line_mappings,
    record,
    settings,
    tax,
)

TABLE = Path(__file__).with_name("vat_cases.txt")
OSS = {11: ("Germany", 19), 12: ("Sweden", 25), 13: ("Estonia", 24), 14: ("Estonia until June 2025", 22)}
BOOKS = replace(
    CHART,
    vat_zones={**CHART.vat_zones, **{zone: VatZone(zone, name) for zone, (name, _) in OSS.items()}},
    vat_codes={**CHART.vat_codes, **{f"O{zone}": VatCode(f"O{zone}", name, Decimal(rate)) for zone, (name, rate) in OSS.items()}},
    sales_accounts={**CHART.sales_accounts, **{(GOODS, zone): SalesAccount(1100 + zone, f"O{zone}") for zone in OSS}},
)


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the table."""

    row: int
    country: str
    postal: str
    ship_to: str
    number: str
    verification: str
    exempt: str
    charged: str
    settings: str
    outcome: str
    why: str

    def __str__(self) -> str:
        return f"{self.country or 'nowhere'} {self.postal}: {self.why}"

    @property
    def vat(self) -> dict[str, Any]:
        if self.settings.startswith("says "):
            return {"zone_from": ["metadata.vat_zone"]}
        text = self.settings if self.settings.startswith("{") else "{" + self.settings + "}"
        return dict(yaml.safe_load(text))

    def invoice(self) -> InvoiceRecord:
        """The sale as Stripe has it."""
        postal, _, city = self.postal.partition(",")
        percent, _, rate_country = self.charged.partition(" ")
        rate = {"id": "txr", "percentage": Decimal(percent), "inclusive": False, "country": rate_country or None}
        reason = "standard_rated" if percent != "0" else "not_collecting"
        sold = line(10000, unit=10000, taxes=[tax(int(percent) * 100, 10000, rate="txr", reason=reason)])
        made = record(
            [sold],
            customer_address={"country": self.country, "postal_code": postal, "city": city.strip()} if self.country else None,
            customer_shipping={"address": {"country": self.ship_to}} if self.ship_to else None,
            customer_tax_exempt=self.exempt or "none",
            customer_tax_ids=[{"type": "eu_vat", "value": self.number}] if self.number else [],
            metadata={"vat_zone": self.settings.removeprefix("says ")} if self.settings.startswith("says ") else {},
        )
        known = {"type": "eu_vat", "value": self.number, "verification": {"status": self.verification}}
        data = [known] if self.number and self.verification != "gone" else []
        return replace(
            made, tax_rates={"txr": rate}, customer={"id": "cus_1", "name": "A", "tax_ids": {"object": "list", "data": data}}
        )


def cases() -> list[Case]:
    found = []
    for row, text in enumerate(TABLE.read_text(encoding="utf-8").splitlines(), start=1):
        if text.strip() and not text.startswith("#"):
            found.append(Case(row, *(cell.strip() for cell in text.split("|"))))
    return found


def planned(case: Case, corrects: tuple[Correction, Original] | None = None) -> PlannedDocument | Hold:
    done = plan_document(
        case.invoice() if corrects is None else corrects[0].record,
        due=DUE,
        settings=settings(vat=case.vat),
        documents=document_mappings(),
        lines=line_mappings(),
        chart=BOOKS,
        today=TODAY,
        customer=replace(PLANNED_CUSTOMER, vat_zone=ABROAD),
        products={"prod_A": PLANNED_PRODUCT},
        numbered=NUMBERED,
        corrects=corrects,
    )
    assert isinstance(done, PlannedDocument | Hold)
    return done


def decision(done: PlannedDocument | Hold) -> Evidence:
    (found,) = [one for one in done.evidence if one.decision == "vat_zone"]
    return found


@pytest.mark.parametrize("case", cases(), ids=str)
def test_a_sale_lands_in_its_zone_or_is_held(case: Case) -> None:
    done = planned(case)
    outcome, _, detail = case.outcome.partition(" ")
    if outcome == "held":
        assert isinstance(done, Hold), done
        assert done.problem.code == detail
        return
    assert isinstance(done, PlannedDocument), done
    assert str(done.document.vat_zone) == outcome
    assert decision(done).rule.startswith(f"{detail.removeprefix('row ')}: ")
    percent = Decimal(case.charged.partition(" ")[0])
    assert done.document.predicted.vat == percent
    assert done.document.predicted.gross == done.document.stripe_total == 100 + percent


@pytest.mark.parametrize("case", cases(), ids=str)
def test_every_sale_keeps_the_evidence_of_its_zone(case: Case) -> None:
    inputs = decision(planned(case)).inputs
    assert inputs["country"] == (case.ship_to if case.ship_to and "services" not in case.settings else case.country or "none")
    assert inputs["bill_to"] == (case.country or "none")
    assert inputs["vat_number"] == (case.number or "none")
    assert inputs["verified"] == ("yes" if case.verification == "verified" else "no")
    assert inputs["tax_exempt"] == (case.exempt or "none")
    assert inputs["date"] == "2026-11-10"


@pytest.mark.parametrize("case", cases(), ids=str)
def test_the_zone_for_eu_businesses_is_never_without_its_words_and_number(case: Case) -> None:
    done = planned(case)
    if isinstance(done, Hold):
        return
    words = str(done.document.fields.get("notes.textLine2", ""))
    assert (done.document.vat_zone == EU) == bool(words)
    if words:
        assert case.number
        assert case.number in words


def test_the_table_is_long_enough_to_be_read_as_the_rule() -> None:
    table = cases()
    outcomes = [case.outcome for case in table]
    assert len(table) >= 60
    assert len({(case.country, case.postal, case.number, case.verification, case.exempt, case.ship_to, case.charged,
                 case.settings) for case in table}) == len(table)  # fmt: skip
    assert {f"row {row}" for row in (*range(1, 10), 11, 12)} <= {one.partition(" ")[2] for one in outcomes}
    assert {"E-VAT-ID", "E-VAT-ZONE", "E-VAT-RATE"} == {one.partition(" ")[2] for one in outcomes if one.startswith("held")}


@pytest.mark.parametrize("case", cases(), ids=str)
def test_danish_vat_alone_is_danish_vat_in_the_return(case: Case) -> None:
    done = planned(case)
    if isinstance(done, Hold):
        return
    sale = sale_of(done)
    assert sale is not None
    (part,) = parts(sale, Supplies(), "DKK")
    percent, _, country = case.charged.partition(" ")
    assert (part.box == "sales_vat") == (percent != "0" and country in {"", "DK"})
    assert (part.box in {"oss", "foreign"}) == (percent != "0" and country not in {"", "DK"})


@pytest.mark.parametrize("share", [1, 2], ids=["all", "half"])
@pytest.mark.parametrize("case", cases(), ids=str)
def test_what_is_taken_back_is_in_the_box_it_was_in(case: Case, share: int) -> None:
    done, sold = planned(case), case.invoice()
    if isinstance(done, Hold):
        return
    found = reversal("re_1", sold, Share(sold.total_minor // share), datetime(2026, 12, 3, 12, tzinfo=UTC), "refund")
    assert isinstance(found, Correction), found
    original = Original(sold.stripe_id, "booked invoice 7", done.document.vat_zone, CustomerRef(1, "cus_1"), 7)
    back = planned(case, (found, original))
    assert isinstance(back, PlannedDocument), back
    before, after = sale_of(done), sale_of(back)
    assert before is not None
    assert after is not None
    (was,), (now,) = parts(before, Supplies(), "DKK"), parts(after, Supplies(), "DKK")
    assert (now.box, now.code, now.rate, after.listed_number) == (was.box, was.code, was.rate, before.listed_number)
    assert (now.net * share, now.sale.date.month) == (-was.net, 12)
    assert after.eu_consumer == before.eu_consumer
