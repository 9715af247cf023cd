"""The lines of a document: ledger products, texts, VAT rates, and totals that are Stripe's or a reason why not."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from cloudify_pipeline.accounting.chart import Chart, Number
from cloudify_pipeline.accounting.documents import FieldValue, ProductRef, SalesLine, Totals
from cloudify_pipeline.accounting.money import from_minor, round_half_up, smallest
from cloudify_pipeline.accounting.parties import LedgerRecord
from cloudify_pipeline.errors import Problem
from cloudify_pipeline.mapping.apply import map_record
from cloudify_pipeline.mapping.compile import CompiledMappings
from cloudify_pipeline.mapping.lineage import Lineage
from cloudify_pipeline.mapping.texts import clean_text
from cloudify_pipeline.planning.plans import Evidence, Hold, PlannedProduct
from cloudify_pipeline.planning.prices import PricedLine, price_lines, too_fine
from cloudify_pipeline.planning.records import ChargeRecord, InvoiceRecord, Record, id_of
from cloudify_pipeline.planning.rounding import AS_IS, CORRECTED, HELD, ONE_PIECE, Difference, Model, correction, in_force, other
from cloudify_pipeline.planning.stripe_amounts import Stated, stripe_totals
from cloudify_pipeline.planning.totals import percent, predict, rate_problem, rated, total_problem, vat_by_rate, vat_problem
from cloudify_pipeline.planning.vat_return import code_evidence
from cloudify_pipeline.settings.models import ConnectionSettings

_LINES = "lines."


@dataclass(frozen=True, slots=True)
class Priced:
    """Lines whose predicted gross is Stripe's total."""

    lines: tuple[SalesLine, ...]
    predicted: Totals
    stripe_total: Decimal
    corrected: str = ""
    """What the totals were without the correction line, when there is one."""


@dataclass(slots=True)
class LinePlanner:
    """Plans the lines of one record. `evidence` and `lineage` tell afterwards why they are as they are, also of a failure."""

    record: Record
    settings: ConnectionSettings
    mappings: CompiledMappings
    chart: Chart
    products: Mapping[str, PlannedProduct | Hold]
    numbered: Mapping[str, LedgerRecord]
    evidence: list[Evidence] = field(default_factory=list)
    lineage: list[Lineage] = field(default_factory=list)
    groups: dict[str, Number] = field(default_factory=dict)
    model: Model = field(default_factory=lambda: in_force("learn"))
    """Where the ledger is taken to round VAT."""

    def plan(self, zone: Number) -> Priced | Problem:
        """The lines in VAT zone `zone`. A discount that its own line cannot carry to the øre goes into the lines it lowers."""
        record, wanted = self.record, self.settings.invoices.discounts
        stated = stripe_totals(record) if isinstance(record, InvoiceRecord) else None
        if isinstance(stated, Problem):
            return stated
        problem = (
            too_fine(stated.totals.gross, record.currency) or too_fine(stated.totals.vat, record.currency) if stated else None
        )
        if problem is not None:
            return problem
        before = len(self.evidence), len(self.lineage)
        planned = self._plan(zone, stated, wanted)
        because = _not_to_the_oere(planned)
        if wanted == "line" or because is None:
            return planned
        first = self.evidence[before[0] :], self.lineage[before[1] :]
        del self.evidence[before[0] :], self.lineage[before[1] :]
        self._note("discount", "in the lines", "product_line not possible", {"because": because})
        again = self._plan(zone, stated, "line")
        if isinstance(planned, Priced) and _not_to_the_oere(again) is not None:
            self.evidence[before[0] :], self.lineage[before[1] :] = first
            return planned
        return again

    def _plan(self, zone: Number, stated: Stated | None, discounts: str) -> Priced | Problem:
        priced = price_lines(self.record, discounts=discounts)
        if isinstance(priced, Problem):
            return priced
        plain: list[SalesLine] = []
        for index, source in enumerate(priced):
            line = self._line(index, source)
            if isinstance(line, Problem):
                return line
            plain.append(line)
        lines = rated(plain, self.chart, zone, self.groups)
        if isinstance(lines, Problem):
            return lines
        if isinstance(self.record, ChargeRecord):
            lines = tuple(self._without_vat(line) for line in lines)
        for line, source in zip(lines, priced, strict=True):
            problem = rate_problem(line, source.tax_rate)
            if problem is not None:
                return problem
        return self._compared(lines, priced, stated, zone)

    def _compared(
        self, lines: tuple[SalesLine, ...], priced: tuple[PricedLine, ...], stated: Stated | None, zone: Number
    ) -> Priced | Problem:
        """The lines with a correction where one is allowed; a problem when the ledger's total would not be Stripe's."""
        rounding = self.model.rounding
        ours, predicted = vat_by_rate(lines, rounding), predict(lines, rounding)
        theirs = _stripe_vat(priced) if stated is None or stated.once is None else stated.once
        stripe = Totals(self.record.total - predicted.vat, predicted.vat, self.record.total) if stated is None else stated.totals
        if predict(lines, other(rounding)) != predicted:
            self.evidence.append(self.model.evidence)
        pieces = sum(1 for one in priced if one.in_words)
        used = {"lines": str(len(lines))} | ({"quantity 1": str(pieces)} if pieces else {})
        currency = self.record.currency
        problem = total_problem(predicted, stripe, currency, paid=stated is None) or vat_problem(ours, theirs, currency)
        if problem is not None:
            parts = {rate: theirs[rate] - vat for rate, vat in ours.items() if rate in theirs}
            line, why = self._correction(lines, stripe.gross - predicted.gross, parts, zone)
            used["without"] = problem.message
            if line is None:
                self._note("rounding", HELD, why, used)
                return self._held(problem, why, lines, stripe)
            lines = (*lines, line)
            self._group_of(line)
            predicted = predict(lines, rounding)
            self._note("rounding", CORRECTED, f"{line.net} on products.rounding_product", used)
        elif pieces:
            self._note("rounding", ONE_PIECE, "no two-decimal price gives the net of a line", used)
        else:
            self._note("rounding", AS_IS, "each line is its quantity at its price", used)
        per_rate = {percent(rate): f"VAT {vat}, Stripe {theirs.get(rate, 'does not say')}" for rate, vat in ours.items()}
        inputs = {"net": str(predicted.net), "vat": str(predicted.vat), "stripe_vat": str(stripe.vat), **per_rate}
        self._note("totals", str(predicted.gross), "predicted gross is Stripe's total", {**inputs, "vat_rounding": rounding})
        self.evidence += code_evidence(lines, self.chart, zone, self.groups, rounding=rounding, settings=self.settings.vat)
        return Priced(lines, predicted, stripe.gross, used.get("without", ""))

    def _correction(
        self, lines: tuple[SalesLine, ...], gross: Decimal, vat: Mapping[Decimal, Decimal], zone: Number
    ) -> tuple[SalesLine | None, str]:
        """A line without VAT that makes the total Stripe's, where settings and chart allow one; else why there is none."""
        number = self.settings.products.rounding_product
        record = self.numbered.get(number) if number is not None else None
        rate = None
        if record is not None and not record.barred and record.group is not None:
            rate = self.chart.vat_rate(record.group, zone)
        taxed = sum(1 for line in lines if line.net and line.vat_rate)
        missing = Difference(gross, vat, taxed, from_minor(smallest(self.record.currency), self.record.currency))
        return correction(missing, product=number, rate=rate, tolerance=self.settings.invoices.rounding.tolerance)

    def _held(self, problem: Problem, why: str, lines: tuple[SalesLine, ...], stripe: Totals) -> Problem:
        """`problem` with why no line mends it, and whether a ledger that rounds VAT elsewhere would have Stripe's total."""
        message = f"{problem.message}; no correction line: {why}"
        elsewhere = other(self.model.rounding)
        if predict(lines, elsewhere) == stripe:
            message += f"; with VAT rounded {elsewhere.replace('_', ' ')} it would be right (invoices.rounding.vat)"
        return replace(problem, message=message)

    def _line(self, index: int, line: PricedLine) -> SalesLine | Problem:
        self.evidence += [replace(one, inputs={"line": str(index + 1), **one.inputs}) for one in line.evidence]
        text, _ = clean_text(line.description, None, single_line=False)
        fields: dict[str, FieldValue] = {}
        if isinstance(self.record, InvoiceRecord) and line.role == "line" and line.raw is not None:
            mapped = self._mapped(self.record, index, line.raw)
            if isinstance(mapped, Problem):
                return mapped
            text = str(mapped.pop("description", "") or text)
            fields = mapped
        if line.in_words:
            text = f"{text} ({line.in_words})"
        if line.net == 0:
            return SalesLine(text, stripe_line_id=line.stripe_line_id)
        product = self._product(line)
        if isinstance(product, Problem):
            return product
        return SalesLine(
            description=text,
            product=product,
            quantity=line.quantity,
            unit_price=line.unit_price,
            net=line.net,
            stripe_line_id=line.stripe_line_id,
            fields=fields,
        )

    def _mapped(self, record: InvoiceRecord, index: int, line: Mapping[str, Any]) -> dict[str, FieldValue] | Problem:
        details = (line.get("pricing") or {}).get("price_details") or {}
        product = record.products.get(id_of(details.get("product")) or "")
        price = record.prices.get(id_of(details.get("price")) or "")
        mapped = map_record(self.mappings, {**line, "product": product, "price": price})
        if mapped.problems:
            return mapped.problems[0]
        self.lineage += [replace(one, target=f"lines[{index}].{one.target.removeprefix(_LINES)}") for one in mapped.lineage]
        return {path.removeprefix(_LINES): value for path, value in sorted(mapped.values.items())}

    def _product(self, line: PricedLine) -> ProductRef | Problem:
        if line.product is None:
            if line.role == "discount":
                return self._named("discount_product", self.settings.products.discount_product, "E-DISCOUNT-PRODUCT", line)
            return self._named("no_product", self.settings.products.no_product, "E-PROD-NONE", line)
        planned = self.products.get(line.product)
        if isinstance(planned, PlannedProduct):
            self.groups[planned.number] = planned.group
            return ProductRef(planned.number, line.product)
        what = f"product {line.product} of line {line.description!r}"
        if planned is None:
            return Problem("E-DEPENDENCY", f"{what} is not staged", field="lines.product", found=line.product)
        return replace(planned.problem, message=f"{what} is held: {planned.problem.message}")

    def _named(self, setting: str, number: str | None, code: str, line: PricedLine) -> ProductRef | Problem:
        """The ledger product that the settings name for lines without one of their own."""
        where = f"products.{setting}"
        if number is None:
            return Problem(code, f"line {line.description!r} names no product, and {where} is not set", field=where)
        record = self.numbered.get(number)
        if record is None:
            return Problem("E-REFERENCE", f"{where}: {number} does not exist in the ledger", field=where, found=number)
        if record.barred:
            return Problem("E-PROD-BARRED", f"{where}: {number} is barred in the ledger", field=where, found=number)
        if record.group is None:
            return Problem("E-PROD-GROUP", f"{where}: {number} has no product group in the ledger", field=where, found=number)
        self.groups[number] = record.group
        self._note("product", number, where, {"line": line.description})
        return ProductRef(number)

    def _group_of(self, line: SalesLine) -> None:
        """Remember the product group of the correction line, which no Stripe line asked for."""
        number = str(line.product.number) if line.product else ""
        record = self.numbered.get(number)
        if record is not None and record.group is not None:
            self.groups[number] = record.group

    def _without_vat(self, line: SalesLine) -> SalesLine:
        """A payment states no VAT: what was paid holds it, so its net is the amount without the ledger's rate."""
        net = round_half_up(line.net * 100 / (100 + line.vat_rate))
        self._note("rounding", str(net), "VAT inside the payment", {"paid": str(line.net), "rate": str(line.vat_rate)})
        return replace(line, net=net, unit_price=abs(net))

    def _note(self, decision: str, outcome: str, rule: str, inputs: Mapping[str, str]) -> None:
        self.evidence.append(Evidence(decision, outcome, rule, dict(inputs)))


def _stripe_vat(priced: tuple[PricedLine, ...]) -> dict[Decimal, Decimal]:
    """Stripe's VAT per rate; nothing where a rate is not known, since its tax could belong to any."""
    sums: dict[Decimal, Decimal] = {}
    for line in priced:
        if line.tax_rate is None:
            return {}
        sums[line.tax_rate] = sums.get(line.tax_rate, Decimal(0)) + line.tax_amount
    return sums


def _not_to_the_oere(planned: Priced | Problem) -> str | None:
    """What the ledger's VAT or totals would be otherwise than Stripe's, before any correction; None when nothing would."""
    if isinstance(planned, Priced):
        return planned.corrected or None
    return planned.message if planned.code in {"E-TOTAL", "E-VAT-RATE"} else None
