"""The EU-sales list ("EU-salg uden moms"): what was sold without VAT to each VAT number in other member states.

Amounts are reported in whole kroner. The file is SKAT's comma-separated format (skat.dk, oid 392): a record 0 with the seller,
a record 2 for each VAT number, a record 10 with count and sum; nine fields each, CR and LF behind every one.
"""

import datetime
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

from cloudify_pipeline.accounting.vat_return import Part

LISTED = frozenset({"b_goods", "b_services", "b_untold"})
"""The boxes that the list repeats buyer by buyer."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One VAT number: `country` is its prefix (EL for Greece, XI for Northern Ireland), `number` what follows.

    Both are empty for sales in rubrik B whose buyer has no VAT number of another member state: they are in no list, and are told
    as a difference.
    """

    country: str
    number: str
    goods: Decimal
    services: Decimal
    untold: Decimal

    @property
    def whole_goods(self) -> int:
        """In whole kroner."""
        return whole(self.goods)

    @property
    def whole_services(self) -> int:
        """In whole kroner."""
        return whole(self.services)


def whole(amount: Decimal) -> int:
    """Whole kroner: the øre are left out, of a negative amount as well."""
    return int(amount.to_integral_value(ROUND_DOWN))


def eu_sales_list(found: Iterable[Part]) -> tuple[Listed, ...]:
    """Every VAT number of rubrik B with its sums in øre, by country and number; the line without a number comes first."""
    sums: dict[tuple[str, str], list[Decimal]] = {}
    columns = {"b_goods": 0, "b_services": 1, "b_untold": 2}
    for one in found:
        if one.box in LISTED:
            number = one.sale.listed_number or ""
            row = sums.setdefault((number[:2], number[2:]), [Decimal(0)] * 3)
            row[columns[one.box]] += one.net
    return tuple(Listed(*key, *row) for key, row in sorted(sums.items()))


def skat_file(listed: Iterable[Listed], seller: str, last: datetime.date) -> str:
    """The file that TastSelv Erhverv takes, for the period that ends with `last`. `seller` is the CVR number.

    A buyer whose sums are nothing is left out, as the format asks. What is not told apart must be decided before.
    """
    rows = [one for one in listed if one.number and (one.whole_goods or one.whole_services)]
    total = sum(one.whole_goods + one.whole_services for one in rows)
    records = [
        ("0", seller, "LISTE", "", "", "", "", "", ""),
        *(
            (
                "2",
                f"{at}",
                last.isoformat(),
                seller,
                one.country,
                one.number,
                str(one.whole_goods),
                "0",  # triangular trade, which no Stripe sale tells of
                str(one.whole_services),
            )
            for at, one in enumerate(rows, 1)
        ),
        ("10", str(len(rows)), str(total), "", "", "", "", "", ""),
    ]
    return "".join(",".join(record) + "\r\n" for record in records)
