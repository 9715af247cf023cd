"""`cloudify vat`: a month's EU-sales list, boxes and One Stop Shop draft, and whether the ledger agrees."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer

from cloudify_pipeline.accounting.eu_sales import whole
from cloudify_pipeline.accounting.vat_return import BOXES, Box
from cloudify_pipeline.cli.names import Name, chosen, opening
from cloudify_pipeline.cli.output import ATTENTION, DONE, AsJson, moneys, say, show_json, table
from cloudify_pipeline.cli.paragraphs import heading, paragraph
from cloudify_pipeline.cli.progress import watching
from cloudify_pipeline.control.vat_files import can_be_filed, write_files
from cloudify_pipeline.control.vat_periods import Period, last_month, month, quarter
from cloudify_pipeline.control.vat_reconcile import NO_CODE, Difference, DifferenceKind
from cloudify_pipeline.control.vat_return import VatReturn, vat_return
from cloudify_pipeline.control.vat_threshold import threshold_document
from cloudify_pipeline.control.vat_threshold import words as threshold_words
from cloudify_pipeline.errors import SettingsError, SettingsProblem

Month = Annotated[str | None, typer.Option("--month", metavar="YYYY-MM", help="The month; by default the one before this.")]
Quarter = Annotated[str | None, typer.Option("--quarter", metavar="YYYYQn", help="A quarter instead, for the One Stop Shop.")]
Csv = Annotated[Path | None, typer.Option("--csv", metavar="DIR", help="Also write the files to upload and to keep.")]

_HEADINGS: dict[DifferenceKind, str] = {
    "by_hand": "In the ledger without this pipeline",
    "missing": "Posted, and not in the ledger",
    "amount": "Another amount in the ledger",
    "code": "Another VAT code in the ledger",
    "no_vat_number": "In rubrik B without a VAT number of another member state",
    "untold": "Goods or services not told apart: set vat.supply_default, or vat.supply for the VAT code",
    "unplaced": "In no box",
    "no_evidence": (
        "Posted by this pipeline, and what they are is not known here: run a sync, then ask again (not for one that the ledger "
        "has in another VAT zone than it is planned in today)"
    ),
    "no_base": "No amount in the base currency",
    "rounding": "Rounding (no difference)",
    "elsewhere": "Posted by another connection into the same books (no difference): see its own return",
    "moved": "Counted in another period (no difference)",
}
_ALWAYS: tuple[Box, ...] = ("b_goods", "b_services", "c")
_IN_NO_BOX = frozenset({"exempt", "oss", "foreign", "unplaced"})
_SHOWN = 20


def vat(name: Name = None, month: Month = None, quarter: Quarter = None, csv: Csv = None, as_json: AsJson = False) -> int:
    """EU-sales list, VAT boxes and One Stop Shop draft of a month, held against the ledger's VAT codes. Sends only GET."""
    with opening(chosen(name)) as opened, watching(quiet=as_json):
        found = asyncio.run(vat_return(opened, _period(month, quarter) or last_month(opened.clock())))
    files = [] if csv is None else write_files(found, csv)
    if as_json:
        show_json({**_document(found), "files": [str(one) for one in files]})
    else:
        _show(found)
        if files:
            say()
            say(f"Written to {csv}: {', '.join(sorted(one.name for one in files))}")
    return DONE if found.agrees else ATTENTION


def _period(wanted_month: str | None, wanted_quarter: str | None) -> Period | None:
    if wanted_month is not None and wanted_quarter is not None:
        raise SettingsError("the call", [SettingsProblem("--quarter", wanted_quarter, "a month or a quarter, not both")])
    if wanted_month is not None:
        return month(wanted_month)
    return None if wanted_quarter is None else quarter(wanted_quarter)


def _document(found: VatReturn) -> dict[str, Any]:
    return {
        "connection": found.connection,
        "company": found.company,
        "seller": found.seller,
        "currency": found.base_currency,
        "period": {"name": found.period.name, "first": found.period.first, "last": found.period.last},
        "agrees": found.agrees,
        "documents": found.documents,
        "eu_sales": {
            "due": found.period.list_due,
            "can_be_filed": can_be_filed(found),
            "buyers": [
                {
                    "country": one.country,
                    "vat_number": one.number,
                    "goods": one.goods,
                    "services": one.services,
                    "not_told_apart": one.untold,
                    "goods_whole": one.whole_goods,
                    "services_whole": one.whole_services,
                }
                for one in found.listed
            ],
        },
        "boxes": {
            box: {"what": BOXES[box], "net": sums.net, "vat": sums.vat, "whole": found.whole(box)}
            for box, sums in found.boxes.items()
        },
        "sales_vat": [{"rate": rate, "net": one.net, "vat": one.vat} for (_, rate), one in found.sales_vat.items()],
        "one_stop_shop": [
            {"country": country, "rate": rate, "net": one.net, "vat": one.vat} for (country, rate), one in found.oss.items()
        ],
        "codes": [
            {
                "code": one.code,
                "name": one.name,
                "documents": one.ours,
                "vat": one.vat,
                "ledger": one.ledger,
                "difference": one.difference,
            }
            for one in found.codes
        ],
        "differences": [{**_plain(one), "counts": one.counts} for one in found.differences],
        "not_booked": {"documents": found.waiting.documents, "net": found.waiting.sums},
        "eu_consumers": None if found.watch is None else threshold_document(found.watch),
        "notes": found.notes,
    }


def _plain(one: Difference) -> dict[str, Any]:
    names = ("kind", "about", "words", "code", "ours", "ledger")
    return {name: getattr(one, name) for name in names}


def _show(found: VatReturn) -> None:
    period = found.period
    say(f"{found.company}, CVR {found.seller or 'unknown'}: VAT of {period.name} ({period.first} to {period.last})", style="bold")
    say(f"{_count(found.documents, 'booked invoice')} of this pipeline. Amounts in {found.base_currency}.")
    _list(found)
    _boxes(found)
    _oss(found)
    _codes(found)
    _differences(found)
    _rest(found)


def _list(found: VatReturn) -> None:
    heading(f"1. EU-sales list, due by {found.period.list_due} (in whole {found.base_currency})")
    if not found.listed:
        paragraph("Nothing was sold without VAT to EU businesses.", indent=1)
        return
    untold = any(one.untold for one in found.listed)
    columns = ("Country", "VAT number", "Goods>", "Services>", *(("Not told apart>",) if untold else ()))
    rows = [
        (
            one.country or "–",
            one.number or "no VAT number: in no list",
            _kroner(one.whole_goods),
            _kroner(one.whole_services),
            *((_kroner(whole(one.untold)),) if untold else ()),
        )
        for one in found.listed
    ]
    listed = [one for one in found.listed if one.number]
    rows.append(
        (
            "",
            "on the list",
            _kroner(sum(one.whole_goods for one in listed)),
            _kroner(sum(one.whole_services for one in listed)),
            *((_kroner(sum(whole(one.untold) for one in listed)),) if untold else ()),
        )
    )
    table("", columns, rows)


def _boxes(found: VatReturn) -> None:
    heading("2. The VAT return")
    rows = []
    for (_, rate), sums in found.sales_vat.items():
        rows.append(
            (f"Salgsmoms, sales at {rate.normalize():f} %", _amount(sums.net), _amount(sums.vat), _kroner(whole(sums.vat)))
        )
    for box, sums in found.boxes.items():
        if box != "sales_vat" and (sums.net or sums.vat or box in _ALWAYS):
            reported = "" if box in _IN_NO_BOX else _kroner(found.whole(box))
            rows.append((BOXES[box], _amount(sums.net), _amount(sums.vat) if sums.vat else "", reported))
    table("", ("Box", "Net>", "VAT>", "To report>"), rows)
    for note in found.notes:
        paragraph(note, indent=1)
    if found.oss:
        paragraph(
            "Sales in the One Stop Shop also belong in the ordinary return: goods in rubrik B that is not on the EU-sales list, "
            "services in rubrik C. They are not in the figures above.",
            indent=1,
        )


def _oss(found: VatReturn) -> None:
    heading("3. One Stop Shop" + ("" if found.period.quarter else " (declared by quarter: --quarter)"))
    if not found.oss:
        paragraph("Nothing was sold in the One Stop Shop.", indent=1)
        return
    rows = [
        (country, f"{rate.normalize():f} %", _amount(sums.net), _amount(sums.vat)) for (country, rate), sums in found.oss.items()
    ]
    rows.append(("", "in all", _amount(found.boxes["oss"].net), _amount(found.boxes["oss"].vat)))
    table("", ("Country", "Rate>", f"Net {found.base_currency}>", f"VAT {found.base_currency}>"), rows)


def _codes(found: VatReturn) -> None:
    heading("4. Reconciliation with the ledger, by VAT code (net)")
    rows = (
        (
            one.code,
            one.name,
            _amount(one.ours),
            "not read" if one.ledger is None else _amount(one.ledger),
            "" if one.difference is None else "agrees" if one.difference == 0 else _amount(one.difference),
        )
        for one in found.codes
    )
    table("", ("VAT code", "Name", "Our documents>", "Ledger>", "Difference>"), rows)


def _differences(found: VatReturn) -> None:
    kinds = [kind for kind in _HEADINGS if any(one.kind == kind for one in found.differences)]
    if found.agrees:
        say("The ledger, the list and the boxes agree.", style="green")
    if not kinds:
        return
    heading("Explained" if found.agrees else "Differences")
    for kind in kinds:
        items = [one for one in found.differences if one.kind == kind]
        paragraph(_HEADINGS[kind], indent=1, style="held" if items[0].counts else "")
        if kind == "untold":
            _by_code(items)
            continue
        rows = [
            (one.about, one.code or "", *("" if side is None else _amount(side) for side in (one.ours, one.ledger)), one.words)
            for one in items[:_SHOWN]
        ]
        table("", ("Document", "VAT code", "Ours>", "Ledger>", "What"), rows)
        if len(items) > _SHOWN:
            paragraph(f"and {len(items) - _SHOWN} more (--json, --csv)", indent=1)


def _by_code(items: Sequence[Difference]) -> None:
    """What is settled for a whole VAT code need not be told document by document."""
    codes = sorted({one.code or NO_CODE for one in items})
    rows = []
    for code in codes:
        several = [one for one in items if (one.code or NO_CODE) == code]
        rows.append((code, str(len(several)), _amount(sum((one.ours or Decimal(0) for one in several), Decimal(0)))))
    table("", ("VAT code", "Documents>", "Net>"), rows)


def _rest(found: VatReturn) -> None:
    if found.waiting.documents:
        say()
        paragraph(
            f"{_count(found.waiting.documents, 'document')} of the period {'is' if found.waiting.documents == 1 else 'are'} not "
            f"booked yet and in no box: {moneys(found.waiting.sums)} without VAT.",
        )
    if found.watch is not None:
        say()
        level = found.watch.level
        say(f"EU consumers: {threshold_words(found.watch)}.", style="red" if level == 100 else "yellow" if level else None)
        for currency, source in found.watch.rates.items():
            paragraph(f"{currency} at {source}", indent=1)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _amount(amount: Decimal) -> str:
    return f"{amount:,.2f}"


def _kroner(amount: int) -> str:
    return f"{amount:,}"
