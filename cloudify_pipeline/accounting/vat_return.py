"""Sales as the Danish VAT return has them: which box each part of a sale belongs in, in the base currency.

Boxes (skat.dk, "Indberet din handel med udlandet"): salgsmoms per rate; rubrik B goods and services, which the EU-sales list
repeats buyer by buyer; rubrik C; the One Stop Shop, a return of its own. Rubrik A is of purchases, which no sale is.
Every part of every sale is in exactly one :data:`Box`, so that the boxes together are all sales.
"""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Literal

from cloudify_pipeline.accounting.documents import Totals
from cloudify_pipeline.accounting.money import round_half_up
from cloudify_pipeline.accounting.vat import EU, number_country, plain_number, vat_country

Supply = Literal["goods", "services"]
Box = Literal["sales_vat", "b_goods", "b_services", "b_untold", "c", "exempt", "oss", "foreign", "unplaced"]
BOXES: Mapping[Box, str] = {
    "sales_vat": "Salgsmoms: sales with Danish VAT",
    "b_goods": "Rubrik B goods, on the EU-sales list",
    "b_services": "Rubrik B services, on the EU-sales list",
    "b_untold": "Rubrik B, goods or services not told apart",
    "c": "Rubrik C: other sales without VAT",
    "exempt": "In no box: Danish sales exempt from VAT",
    "oss": "One Stop Shop: sales with the VAT of other countries",
    "foreign": "In no box: sales with another country's VAT, declared there",
    "unplaced": "Not placed: a person must decide the box",
}
HOME = "DK"
_NORTHERN_IRELAND = "XI"
_RATE = Decimal(25)
"""Denmark has one."""
_NO_VAT: Mapping[str, Box] = {"domestic": "exempt", "abroad": "c"}


@dataclass(frozen=True, slots=True)
class Supplies:
    """What a person says is goods and what services, by VAT code, else by `default`: for what nobody had said at posting."""

    by_code: Mapping[str, Supply] = field(default_factory=dict)
    default: Supply | None = None

    def of(self, sale: "Sale", part: "CodeSum") -> Supply | None:
        """What `sale` sells in `part`; None where nobody has said. A return that is filed does not change with the settings."""
        return part.supply or self.by_code.get(part.code or "") or sale.supply or self.default


@dataclass(frozen=True, slots=True)
class CodeSum:
    """Part of a sale: net and VAT on one VAT code and sales account, in the document's currency. No code: None.

    `supply` is what was said at posting that it is; None where nobody had, or an earlier version did not keep it by code.
    """

    code: str | None
    account: str | None
    rate: Decimal
    net: Decimal
    vat: Decimal
    supply: Supply | None = None


@dataclass(frozen=True, slots=True)
class Sale:
    """One document as the VAT return sees it; a correction has negative amounts, in its own month.

    `kind` is the kind of buyer that decided the VAT zone (domestic, eu, abroad, domestic_exempt, oss, mapped), `place` the
    country or special territory. `base` are its totals in the ledger's base currency, where the ledger has told them.
    """

    stripe_id: str
    name: str
    date: datetime.date
    currency: str
    kind: str
    place: str | None
    vat_number: str | None
    tax_exempt: str
    supply: Supply | None
    codes: tuple[CodeSum, ...]
    base: Totals | None = None
    number: str | None = None
    """The ledger's number of the booked invoice."""
    taxed_by: str | None = None
    """The country whose VAT Stripe charged, where it says so and it is one."""
    stored: Totals | None = None
    """Its totals in its own currency as the ledger answered them, where it has."""

    @property
    def totals(self) -> Totals:
        """In the document's currency."""
        net = sum((one.net for one in self.codes), Decimal(0))
        vat = sum((one.vat for one in self.codes), Decimal(0))
        return Totals(net, vat, net + vat)

    @property
    def listed_number(self) -> str | None:
        """The buyer's VAT number as the EU-sales list has it, Greece as EL; None where it is no other member state's."""
        number = plain_number(self.vat_number or "")
        issued = number_country(number)
        if issued == HOME or issued not in EU | {_NORTHERN_IRELAND}:
            return None
        return f"{'EL' if issued == 'GR' else issued}{number[2:]}"

    @property
    def eu_consumer(self) -> bool:
        """Whether it counts towards the threshold of EUR 10,000: to a consumer in another member state, not in the OSS.

        The special territories are no part of the Union's VAT area and count nowhere; Northern Ireland does for goods.
        """
        if self.place is None or self.kind in {"eu", "abroad", "oss", "domestic_exempt"}:
            return False
        northern_ireland = self.place == _NORTHERN_IRELAND and self.supply == "goods"
        elsewhere = (vat_country(self.place) in EU and vat_country(self.place) != HOME) or northern_ireland
        return elsewhere and (self.kind == "domestic" or self.vat_number is None)


@dataclass(frozen=True, slots=True)
class Part:
    """One code's share of a sale in its box. `net` and `vat` are in the base currency."""

    sale: Sale
    code: str | None
    rate: Decimal
    box: Box
    supply: Supply | None
    net: Decimal
    vat: Decimal


def parts(sale: Sale, supplies: Supplies, base_currency: str) -> tuple[Part, ...]:
    """Every part of `sale` in its box.

    Raises:
        ValueError: it is in another currency and the ledger has not told its totals in the base currency.
    """
    made = []
    for one in in_base(sale, base_currency):
        supply = supplies.of(sale, one)
        made.append(Part(sale, one.code, one.rate, box_of(sale, one.rate, supply), supply, one.net, one.vat))
    return tuple(made)


def box_of(sale: Sale, rate: Decimal, supply: Supply | None) -> Box:
    """The box of what is sold at `rate` percent."""
    if sale.kind == "oss":
        return "oss"
    if rate:
        return _taxed(sale, rate)
    if sale.kind == "eu":
        return _in_rubrik_b(supply)
    if sale.kind == "domestic_exempt":
        # Without VAT because the buyer accounts for it (momsloven § 46) is rubrik C; exempt (§ 13) is in no box.
        return "c" if sale.tax_exempt == "reverse" else "exempt"
    return _NO_VAT.get(sale.kind) or _by_place(sale, supply)


def _taxed(sale: Sale, rate: Decimal) -> Box:
    """Whose VAT it is: a zone of a person's own may be for a country that the seller is registered in, and declares it in."""
    if sale.kind != "mapped" or (sale.taxed_by in {None, HOME} and rate == _RATE):
        return "sales_vat"
    abroad = sale.place is not None and vat_country(sale.place) != HOME and sale.taxed_by != HOME
    return "foreign" if abroad else "unplaced"


def _by_place(sale: Sale, supply: Supply | None) -> Box:
    """Where a person's own zone decides: what the buyer's address says of a sale without VAT."""
    if sale.place is None:
        return "unplaced"
    country = vat_country(sale.place)
    if country == HOME:
        return "exempt"
    as_eu = country in EU or (sale.place == _NORTHERN_IRELAND and supply != "services")
    if not as_eu:
        return "c"
    return _in_rubrik_b(supply) if sale.listed_number else "unplaced"


def _in_rubrik_b(supply: Supply | None) -> Box:
    return "b_untold" if supply is None else "b_goods" if supply == "goods" else "b_services"


def in_base(sale: Sale, base_currency: str) -> tuple[CodeSum, ...]:
    """The codes' sums in the base currency: the ledger's own totals, shared out as the document is.

    Raises:
        ValueError: there are none, or they cannot be shared out.
    """
    if sale.currency == base_currency:
        return sale.codes
    own = sale.totals
    lost = (own.net == 0 and any(one.net for one in sale.codes)) or (own.vat == 0 and any(one.vat for one in sale.codes))
    if sale.base is None or lost:
        raise ValueError(f"{sale.name} is in {sale.currency}, and its amounts in {base_currency} are not known")
    nets = _shared(sale.base.net, own.net, [one.net for one in sale.codes])
    vats = _shared(sale.base.vat, own.vat, [one.vat for one in sale.codes])
    return tuple(replace(one, net=net, vat=vat) for one, net, vat in zip(sale.codes, nets, vats, strict=True))


def _shared(total: Decimal, whole: Decimal, amounts: Sequence[Decimal]) -> list[Decimal]:
    """`amounts`, whose sum is `whole`, as parts of `total`; what rounding leaves over goes to the largest."""
    if whole == 0:
        return [Decimal(0)] * len(amounts)
    shares = [round_half_up(amount * total / whole) for amount in amounts]
    largest = max(range(len(amounts)), key=lambda index: abs(amounts[index]))
    shares[largest] += total - sum(shares, Decimal(0))
    return shares


def box_sums(found: Iterable[Part]) -> dict[Box, Totals]:
    """Net, VAT and gross of every box, in the order of :data:`BOXES`."""
    sums = {box: (Decimal(0), Decimal(0)) for box in BOXES}
    for one in found:
        net, vat = sums[one.box]
        sums[one.box] = net + one.net, vat + one.vat
    return {box: Totals(net, vat, net + vat) for box, (net, vat) in sums.items()}


def rate_sums(found: Iterable[Part], box: Box) -> dict[tuple[str, Decimal], Totals]:
    """Net, VAT and gross of `box` by (country, rate): Denmark for salgsmoms, the buyer's for the One Stop Shop."""
    sums: dict[tuple[str, Decimal], Totals] = {}
    for one in found:
        if one.box == box:
            country = HOME if box == "sales_vat" else vat_country(one.sale.place or "?")
            before = sums.get((country, one.rate), Totals(Decimal(0), Decimal(0), Decimal(0)))
            sums[country, one.rate] = Totals(before.net + one.net, before.vat + one.vat, before.gross + one.net + one.vat)
    return dict(sorted(sums.items()))


def code_sums(found: Iterable[Part]) -> dict[str | None, Totals]:
    """Net, VAT and gross by the ledger's VAT code."""
    sums: dict[str | None, Totals] = {}
    for one in found:
        before = sums.get(one.code, Totals(Decimal(0), Decimal(0), Decimal(0)))
        sums[one.code] = Totals(before.net + one.net, before.vat + one.vat, before.gross + one.net + one.vat)
    return sums
