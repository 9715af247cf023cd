"""Which box of the VAT return a sale belongs in: a table an accountant can read, and that nothing is lost or counted twice."""

import datetime
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudify_pipeline.accounting.documents import Totals
from cloudify_pipeline.accounting.eu_sales import Listed, eu_sales_list, skat_file, whole
from cloudify_pipeline.accounting.vat_return import (
    BOXES,
    Box,
    CodeSum,
    Sale,
    Supplies,
    box_sums,
    code_sums,
    in_base,
    parts,
    rate_sums,
)

DAY = datetime.date(2026, 10, 14)


def code(net: str, vat: str = "0", *, name: str | None = "X", rate: str = "0") -> CodeSum:
    return CodeSum(name, "1110", Decimal(rate), Decimal(net), Decimal(vat))


def sale(kind: str, place: str | None, *codes: CodeSum, number: str | None = None, **more: object) -> Sale:
    given: dict[str, object] = {"tax_exempt": "none", "supply": "services", "currency": "DKK", **more}
    return Sale("in_1", "N-1", DAY, kind=kind, place=place, vat_number=number, codes=codes or (code("100"),), **given)  # type: ignore[arg-type]


CASES = [
    # Danish VAT: whoever the buyer is, while the One Stop Shop is not in use
    (sale("domestic", "DK", code("100", "25", rate="25")), "sales_vat"),
    (sale("domestic", "FR", code("100", "25", rate="25")), "sales_vat"),
    (sale("mapped", "SE", code("100", "25", rate="25")), "sales_vat"),
    # a Danish product that bears no VAT (course, insurance): in no box
    (sale("domestic", "DK"), "exempt"),
    (sale("mapped", "DK"), "exempt"),
    # Danes without VAT: the buyer accounts for it (rubrik C), or is exempt (no box)
    (sale("domestic_exempt", "DK", tax_exempt="reverse"), "c"),
    (sale("domestic_exempt", "DK", tax_exempt="exempt"), "exempt"),
    # EU businesses
    (sale("eu", "DE", number="DE136695976"), "b_services"),
    (sale("eu", "DE", number="DE136695976", supply="goods"), "b_goods"),
    (sale("eu", "DE", number="DE136695976", supply=None), "b_untold"),
    (sale("eu", "DE"), "b_services"),
    (sale("mapped", "DE", number="DE136695976", supply="goods"), "b_goods"),
    (sale("eu", "XI", number="XI123456789", supply="goods"), "b_goods"),
    # outside the EU, and the parts of the kingdom outside Danish VAT
    (sale("abroad", "NO"), "c"),
    (sale("abroad", "GL"), "c"),
    (sale("mapped", "FO"), "c"),
    (sale("abroad", None), "c"),
    # One Stop Shop
    (sale("oss", "FR", code("100", "20", rate="20")), "oss"),
    (sale("oss", "LU", code("100", "0")), "oss"),
    # a zone of somebody's own, without VAT, for what cannot be without
    (sale("mapped", "SE"), "unplaced"),
    (sale("mapped", None), "unplaced"),
    # VAT of another country, where the seller is registered there: nothing of it is Danish salgsmoms
    (sale("mapped", "DE", code("100", "19", rate="19")), "foreign"),
    (sale("mapped", "SE", code("100", "25", rate="25"), taxed_by="SE"), "foreign"),
    (sale("mapped", "SE", code("100", "25", rate="25"), taxed_by="DK"), "sales_vat"),
    (sale("mapped", "DK", code("100", "12", rate="12")), "unplaced"),
    (sale("mapped", None, code("100", "19", rate="19")), "unplaced"),
    # Northern Ireland is as the EU for goods alone
    (sale("mapped", "XI", number="XI110305878", supply="goods"), "b_goods"),
    (sale("mapped", "XI", number="XI110305878"), "c"),
    # a Danish number, or one of no member state, makes nobody a business in another one
    (sale("mapped", "DE", number="DK13585628"), "unplaced"),
    (sale("mapped", "DE", number="EU372000041"), "unplaced"),
    # a credit note is in the box of its invoice, negative
    (sale("eu", "DE", code("-100"), number="DE136695976"), "b_services"),
]


@pytest.mark.parametrize(("sold", "box"), CASES, ids=lambda case: f"{case.kind} {case.place}" if isinstance(case, Sale) else case)
def test_the_box_of_a_sale(sold: Sale, box: str) -> None:
    (part,) = parts(sold, Supplies(), "DKK")
    assert part.box == box


def test_goods_and_services_are_told_by_the_code_then_at_posting_then_by_the_settings() -> None:
    said = Supplies({"UEUV": "goods"}, "services")
    mixed = sale("eu", "DE", code("10", name="UEUV"), code("20", name="UEUY"), number="DE136695976", supply=None)
    assert [(one.code, one.box) for one in parts(mixed, said, "DKK")] == [("UEUV", "b_goods"), ("UEUY", "b_services")]
    posted = replace(mixed, supply="goods")
    assert {one.box for one in parts(posted, said, "DKK")} == {"b_goods"}


def test_another_currency_has_the_ledgers_own_base_amounts_shared_out_to_the_oere() -> None:
    codes = code("33.33", name="A"), code("33.33", name="B"), code("33.34", name="C")
    sold = sale("abroad", "NO", *codes, currency="EUR", base=Totals(Decimal("746.05"), Decimal(0), Decimal("746.05")))
    assert [one.net for one in in_base(sold, "DKK")] == [Decimal("248.66"), Decimal("248.66"), Decimal("248.73")]


@pytest.mark.parametrize("base", [None, Totals(Decimal(0), Decimal(0), Decimal(0))])
def test_what_cannot_be_converted_is_refused(base: Totals | None) -> None:
    sold = sale("abroad", "NO", code("100"), code("-100"), currency="EUR", base=base)
    with pytest.raises(ValueError, match="N-1 is in EUR"):
        parts(sold, Supplies(), "DKK")


# -- nothing lost, nothing twice ------------------------------------------------------------------------------------------

amounts = st.decimals(-99_999, 99_999, places=2)
codes = st.builds(
    lambda name, rate, net: CodeSum(name, "1", Decimal(rate), net, (net * rate / 100).quantize(Decimal("0.01"))),
    st.sampled_from(["U25", "UEUV", "UEUY", "ABR", None]),
    st.sampled_from([0, 0, 20, 25]),
    amounts,
)
sales = st.builds(
    Sale,
    stripe_id=st.uuids().map(str),
    name=st.just("N"),
    date=st.just(DAY),
    currency=st.just("DKK"),
    kind=st.sampled_from(["domestic", "eu", "abroad", "domestic_exempt", "oss", "mapped"]),
    place=st.sampled_from(["DK", "DE", "FR", "GR", "NO", "GL", "XI", "AX", None]),
    vat_number=st.sampled_from([None, "DE136695976", "FR40303265045", "EL094259216", "XI123456789"]),
    tax_exempt=st.sampled_from(["none", "exempt", "reverse"]),
    supply=st.sampled_from(["goods", "services", None]),
    codes=st.lists(codes, min_size=1, max_size=4).map(tuple),
)


@given(st.lists(sales, max_size=12))
def test_the_boxes_are_all_sales_and_the_list_is_rubrik_b(month: list[Sale]) -> None:
    found = [part for one in month for part in parts(one, Supplies({"UEUV": "goods"}), "DKK")]
    net = sum((one.totals.net for one in month), Decimal(0))
    vat = sum((one.totals.vat for one in month), Decimal(0))
    boxes = box_sums(found)
    assert sum(one.net for one in boxes.values()) == net
    assert sum(one.vat for one in boxes.values()) == vat
    assert sum((one.net for one in code_sums(found).values()), Decimal(0)) == net
    by_rate: tuple[Box, ...] = ("sales_vat", "oss")
    for box in by_rate:
        assert sum((one.gross for one in rate_sums(found, box).values()), Decimal(0)) == boxes[box].gross
    listed = eu_sales_list(found)
    assert sum((one.goods for one in listed), Decimal(0)) == boxes["b_goods"].net
    assert sum((one.services for one in listed), Decimal(0)) == boxes["b_services"].net
    assert sum((one.untold for one in listed), Decimal(0)) == boxes["b_untold"].net
    assert len({(one.country, one.number) for one in listed}) == len(listed)
    assert set(boxes) == set(BOXES)
    assert {one.sale.kind for one in found if one.box == "oss"} <= {"oss"}


def test_greece_is_one_buyer_on_the_list_however_its_number_is_written() -> None:
    sold = [sale("eu", "GR", number=number) for number in ("GR094259216", "EL 094259216", "el094259216")]
    (only,) = eu_sales_list(part for one in sold for part in parts(one, Supplies(), "DKK"))
    assert (only.country, only.number, only.services) == ("EL", "094259216", Decimal(300))


@pytest.mark.parametrize("number", ["DK13585628", "EU372000041", None])
def test_a_number_that_is_no_other_member_states_is_not_on_the_list(number: str | None) -> None:
    (only,) = eu_sales_list(parts(sale("eu", "DE", number=number), Supplies(), "DKK"))
    assert (only.country, only.number, only.services) == ("", "", Decimal(100))


def test_vat_that_cancels_out_in_another_currency_is_refused_and_not_lost() -> None:
    codes = code("100", "25", name="A", rate="25"), code("-50", "-25", name="B", rate="50")
    sold = sale("domestic", "DK", *codes, currency="EUR", base=Totals(Decimal("373"), Decimal(0), Decimal("373")))
    with pytest.raises(ValueError, match="N-1 is in EUR"):
        parts(sold, Supplies(), "DKK")


@given(st.lists(amounts, min_size=1, max_size=5), amounts)
def test_base_amounts_add_up_to_the_ledgers_total(nets: Sequence[Decimal], base: Decimal) -> None:
    sold = sale("abroad", "NO", *(code(str(net)) for net in nets), currency="EUR", base=Totals(base, Decimal(0), base))
    if sold.totals.net:
        assert sum(one.net for one in in_base(sold, "DKK")) == base


# -- the EU-sales list ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("amount", "kroner"), [("0.99", 0), ("100.99", 100), ("-100.99", -100), ("-0.50", 0), ("7", 7)])
def test_the_oere_are_left_out(amount: str, kroner: int) -> None:
    assert whole(Decimal(amount)) == kroner


def test_a_buyer_is_one_line_whatever_it_bought_and_however_its_number_is_written() -> None:
    bought = [
        sale("eu", "GR", code("100.60"), number="EL094259216"),
        sale("eu", "GR", code("50.60"), number="EL 094259216", supply="goods"),
        sale("eu", "GR", code("-20.10"), number="EL094259216"),
        sale("eu", "DE", code("10"), number="DE136695976"),
        sale("eu", "DE", code("5")),
        sale("domestic", "DK", code("9", "2.25", rate="25")),
    ]
    listed = eu_sales_list(part for one in bought for part in parts(one, Supplies(), "DKK"))
    assert listed == (
        Listed("", "", Decimal(0), Decimal(5), Decimal(0)),
        Listed("DE", "136695976", Decimal(0), Decimal(10), Decimal(0)),
        Listed("EL", "094259216", Decimal("50.60"), Decimal("80.50"), Decimal(0)),
    )


def test_the_file_is_in_the_format_that_skat_describes() -> None:
    listed = (
        Listed("AT", "U99999999", Decimal("100.40"), Decimal(2000), Decimal(0)),
        Listed("BE", "999999999", Decimal("0.40"), Decimal(0), Decimal(0)),
        Listed("DE", "136695976", Decimal(0), Decimal("-300.80"), Decimal(0)),
    )
    assert skat_file(listed, "12345678", datetime.date(2026, 10, 31)).split("\r\n") == [
        "0,12345678,LISTE,,,,,,",
        "2,1,2026-10-31,12345678,AT,U99999999,100,0,2000",
        "2,2,2026-10-31,12345678,DE,136695976,0,0,-300",
        "10,2,1800,,,,,,",
        "",
    ]


@pytest.mark.parametrize(
    ("sold", "counts"),
    [
        (sale("domestic", "FR"), True),
        (sale("domestic", "MC"), True),
        (sale("mapped", "SE"), True),
        (sale("domestic", "DE", number="DE136695976"), True),  # a number that is not verified: taxed as a private buyer
        (sale("domestic", "XI", supply="goods"), True),
        (sale("domestic", "XI"), False),
        (sale("domestic", "DK"), False),
        (sale("domestic", None), False),
        (sale("domestic", "AX"), False),
        (sale("domestic", "NO"), False),
        (sale("mapped", "SE", number="SE556036079301"), False),
        (sale("eu", "DE", number="DE136695976"), False),
        (sale("abroad", "NO"), False),
        (sale("oss", "FR"), False),
    ],
    ids=lambda case: f"{case.kind} {case.place} {case.vat_number or ''}" if isinstance(case, Sale) else str(case),
)
def test_only_consumers_in_other_member_states_count_towards_the_threshold(sold: Sale, counts: bool) -> None:
    assert sold.eu_consumer is counts
