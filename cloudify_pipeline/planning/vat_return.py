"""What the VAT return will ask of a document when it is filed: whose sale it was, and its net and VAT by the ledger's codes.

Decided with the document and kept as evidence: a month later the buyer, the settings and the chart may be others.
"""

from collections.abc import Mapping
from decimal import Decimal

from cloudify_pipeline.accounting.chart import Chart, Number
from cloudify_pipeline.accounting.documents import SalesLine
from cloudify_pipeline.accounting.money import round_half_up
from cloudify_pipeline.accounting.vat import plain_number
from cloudify_pipeline.accounting.vat_return import CodeSum, Sale, Supply
from cloudify_pipeline.planning.plans import Evidence, PlannedDocument
from cloudify_pipeline.planning.records import Record
from cloudify_pipeline.planning.totals import VatRounding, vat_by_rate
from cloudify_pipeline.planning.vat import ZoneDecision, kind_of, place_of
from cloudify_pipeline.planning.vat_buyers import buyer_of
from cloudify_pipeline.planning.vat_checks import charged_by
from cloudify_pipeline.settings.models import VatSettings

BUYER, CODE = "vat_return", "vat_code"
_NONE = "none"

_Cell = tuple[str, str, Decimal]
"""VAT code, account, rate."""


def buyer_evidence(record: Record, zone: ZoneDecision, vat: VatSettings) -> Evidence:
    """Kind of buyer, place, VAT number and what is sold, as far as the settings say it."""
    buyer = buyer_of(record, vat.supply_default)
    kind = kind_of(zone.zone, vat) if zone.kind == "customer" else zone.kind
    if kind == "mapped" and str(zone.zone) in {str(number) for number in vat.oss.zones.values()}:
        kind = "oss"
    inputs = {
        "place": place_of(buyer) or _NONE,
        "vat_number": plain_number(buyer.vat_number) if buyer.vat_number else _NONE,
        "tax_exempt": buyer.exempt,
        "supply": vat.supply_default or _NONE,
        "taxed_by": charged_by(record) or _NONE,
    }
    return Evidence(BUYER, kind, zone.rule, inputs)


def code_evidence(
    lines: tuple[SalesLine, ...],
    chart: Chart,
    zone: Number,
    groups: Mapping[str, Number],
    *,
    rounding: VatRounding,
    settings: VatSettings,
) -> tuple[Evidence, ...]:
    """Net and VAT of a document by VAT code and sales account; together they are its totals. `groups`: of product numbers."""
    nets: dict[_Cell, Decimal] = {}
    for line in lines:
        if line.product is None or line.net == 0:
            continue
        account = chart.sales_accounts.get((groups[str(line.product.number)], zone))
        cell = (_NONE, _NONE, line.vat_rate)
        if account is not None:
            cell = (account.vat_code or _NONE, str(account.number), line.vat_rate)
        nets[cell] = nets.get(cell, Decimal(0)) + line.net
    vat = _shared_out(nets, vat_by_rate(lines, rounding))
    found = []
    for cell, net in nets.items():
        code, number, rate = cell
        amounts = {"account": number, "rate": str(rate), "net": str(net), "vat": str(vat[cell])}
        supply = settings.supply.get(code) or settings.supply_default or _NONE
        found.append(Evidence(CODE, code, f"account {number}", {**amounts, "supply": supply}))
    return tuple(found)


def sale_of(plan: PlannedDocument) -> Sale | None:
    """The sale that `plan` is to the VAT return; None for a plan that an earlier version made, which has no such evidence."""
    buyer = next((one for one in plan.evidence if one.decision == BUYER), None)
    if buyer is None:
        return None
    document, told = plan.document, buyer.inputs
    return Sale(
        stripe_id=plan.stripe_id,
        name=document.stripe_number or plan.stripe_id,
        date=document.date,
        currency=document.currency,
        kind=buyer.outcome,
        place=_known(told["place"]),
        vat_number=_known(told["vat_number"]),
        tax_exempt=told["tax_exempt"],
        supply=_supply(told["supply"]),
        codes=tuple(
            CodeSum(
                _known(one.outcome),
                _known(one.inputs["account"]),
                Decimal(one.inputs["rate"]),
                Decimal(one.inputs["net"]),
                Decimal(one.inputs["vat"]),
                _supply(one.inputs.get("supply", _NONE)),
            )
            for one in plan.evidence
            if one.decision == CODE
        ),
        taxed_by=_known(told.get("taxed_by", _NONE)),
    )


def _shared_out(nets: Mapping[_Cell, Decimal], vat: Mapping[Decimal, Decimal]) -> dict[_Cell, Decimal]:
    """The VAT of each rate over the codes that bear it; what rounding leaves over goes to the largest."""
    shares = {cell: round_half_up(net * cell[2] / 100) for cell, net in nets.items()}
    for rate, total in vat.items():
        cells = [cell for cell in nets if cell[2] == rate]
        if cells:
            largest = max(cells, key=lambda cell: abs(nets[cell]))
            shares[largest] += total - sum((shares[cell] for cell in cells), Decimal(0))
    return shares


def _supply(text: str) -> Supply | None:
    return text if text in {"goods", "services"} else None  # type: ignore[return-value]


def _known(text: str) -> str | None:
    return None if text == _NONE else text
