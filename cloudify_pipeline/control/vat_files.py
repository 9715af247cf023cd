"""The VAT return as files, to upload and to keep: SKAT's own format for the EU-sales list, plain CSV for the rest."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path

from cloudify_pipeline.accounting.eu_sales import LISTED, skat_file, whole
from cloudify_pipeline.accounting.vat import plain_number
from cloudify_pipeline.accounting.vat_return import BOXES
from cloudify_pipeline.control.vat_reconcile import named
from cloudify_pipeline.control.vat_return import VatReturn

EU_SALES = "eu-sales"
_OPEN = frozenset({"no_vat_number", "untold", "unplaced", "no_evidence", "no_base", "missing"})
"""Differences that leave it open what rubrik B is made of. What somebody booked by hand is theirs to add."""
_OTHERWISE = frozenset({"amount", "code"})
"""Differences that do so where they are in rubrik B, by our word or the ledger's."""
_KRONER = "DKK"
"""The list is reported in whole kroner, whatever the books are kept in."""


def write_files(found: VatReturn, folder: Path) -> list[Path]:
    """Write every file of the period into `folder`, over those of an earlier call; gives their paths.

    The EU-sales file is left out while something is open that could belong in rubrik B: it would be wrong.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = found.period.name
    texts = {
        f"boxes-{name}.csv": _boxes(found),
        f"one-stop-shop-{name}.csv": _oss(found),
        f"reconciliation-{name}.csv": _reconciliation(found),
        f"documents-{name}.csv": _documents(found),
    }
    upload = folder / f"{EU_SALES}-{name}.csv"
    if can_be_filed(found):
        texts[upload.name] = skat_file(found.listed, _cvr(found.seller), found.period.last)
    else:
        upload.unlink(missing_ok=True)
    for file, text in texts.items():
        (folder / file).write_text(text, encoding="utf-8", newline="")
    return [folder / file for file in texts]


def can_be_filed(found: VatReturn) -> bool:
    """Whether there is a list in kroner, a CVR number to file it with, and nothing is open that could belong on it."""
    if not found.listed or not _cvr(found.seller) or found.base_currency != _KRONER:
        return False
    ours = [one for one in found.parts if one.box in LISTED]
    codes, names = {one.code for one in ours}, {named(one.sale) for one in ours}
    return not any(
        one.kind in _OPEN or (one.kind in _OTHERWISE and (one.code in codes or one.about in names)) for one in found.differences
    )


def _cvr(seller: str) -> str:
    """The eight digits that the format asks for, out of what somebody wrote in the ledger; empty when there are none."""
    digits = plain_number(seller).removeprefix("DK")
    return digits if re.fullmatch(r"[0-9]{8}", digits) else ""


def _boxes(found: VatReturn) -> str:
    rows: list[Sequence[object]] = []
    for box, sums in found.boxes.items():
        rows.append((box, BOXES[box], "", sums.net, sums.vat, found.whole(box)))
        if box == "sales_vat":
            rows += [(box, "", rate, one.net, one.vat, whole(one.net)) for (_, rate), one in found.sales_vat.items()]
    return _csv(("box", "what", "rate", f"net {found.base_currency}", f"vat {found.base_currency}", "net, whole"), rows)


def _oss(found: VatReturn) -> str:
    rows = ((country, rate, sums.net, sums.vat) for (country, rate), sums in found.oss.items())
    return _csv(("country", "rate", f"net {found.base_currency}", f"vat {found.base_currency}"), rows)


def _reconciliation(found: VatReturn) -> str:
    codes = (("code", one.code, one.name, one.ours, one.ledger, one.difference) for one in found.codes)
    items = ((one.kind, one.code, f"{one.about}: {one.words}", one.ours, one.ledger, None) for one in found.differences)
    return _csv(("kind", "vat_code", "what", "documents", "ledger", "difference"), (*codes, *items))


def _documents(found: VatReturn) -> str:
    header = (
        "invoice", "stripe_number", "stripe_id", "date", "box", "vat_code", "rate", "goods_or_services", "country", "vat_number",
        "currency", f"net {found.base_currency}", f"vat {found.base_currency}",
    )  # fmt: skip
    rows = (
        (
            one.sale.number, one.sale.name, one.sale.stripe_id, one.sale.date, one.box, one.code, one.rate, one.supply,
            one.sale.place, one.sale.vat_number, one.sale.currency, one.net, one.vat,
        )
        for one in found.parts
    )  # fmt: skip
    return _csv(header, rows)


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(header)
    for row in rows:
        writer.writerow("" if cell is None else format(cell, "f") if isinstance(cell, Decimal) else cell for cell in row)
    return out.getvalue()
