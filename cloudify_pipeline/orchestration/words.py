"""Metadata that an accountant reads: counts by ending, sums per currency, documents with links, reasons with remedies."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import dagster as dg

from cloudify_pipeline.accounting.money import format_money
from cloudify_pipeline.catalogue import entry

SHOWN = 200
"""Rows of a table in the catalog; the rest is counted and found with `cloudify status`."""

ENDINGS = ("booked", "posted", "planned", "held", "failed", "skipped")


def counts(rows: Iterable[Mapping[str, Any]]) -> dict[str, dg.MetadataValue]:
    """How many records ended in each way."""
    by_state = Counter(row["state"] for row in rows)
    return {state: dg.MetadataValue.int(by_state[state]) for state in ENDINGS if by_state[state] or state == "held"}


def sums(rows: Iterable[Mapping[str, Any]], states: Sequence[str]) -> str:
    """Exact sums per currency of the records in `states`: ``12,500.00 DKK · 99.00 EUR``."""
    totals: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        if row["state"] in states and row["total"] is not None:
            totals[row["currency"]] += row["total"]
    return " · ".join(format_money(total, currency) for currency, total in sorted(totals.items())) or "nothing"


def stripe_link(stripe_id: str, *, live: bool) -> str:
    """The Stripe dashboard's page of an invoice, payment, credit note or customer."""
    pages = {"in": "invoices", "ch": "payments", "py": "payments", "cn": "credit_notes", "cus": "customers", "prod": "products"}
    pages |= {"du": "disputes", "dp": "disputes"}
    # A refund has no page of its own.
    found = stripe_id.partition(":")[0]
    page = pages.get(found.split("_", 1)[0])
    return f"https://dashboard.stripe.com/{'' if live else 'test/'}{f'{page}/' if page else 'search?query='}{found}"


def documents_table(rows: Sequence[Mapping[str, Any]], *, live: bool) -> dg.MarkdownMetadataValue:
    """Documents with amounts and links, newest first."""
    if not rows:
        return dg.MetadataValue.md("None in this run.")
    lines = ["| Stripe | Customer | Ledger document | Amount | State |", "|---|---|---|--:|---|"]
    for row in rows[:SHOWN]:
        number = _together(f"{(row['ledger_kind'] or '').replace('_', ' ')} {row['number'] or ''}".strip()) or "–"
        document = f"[{number}]({row['url']})" if row["url"] else number
        lines.append(f"| {_stripe(row, live)} | {_cell(row['name'])} | {document} | {_amount(row)} | {row['state']} |")
    return dg.MetadataValue.md("\n".join([*lines, *_more(rows)]))


def reasons_table(rows: Sequence[Mapping[str, Any]], *, live: bool) -> dg.MarkdownMetadataValue:
    """Held and failed records: what is wrong, and what to do."""
    if not rows:
        return dg.MetadataValue.md("Nothing is held or failed.")
    lines = ["| Stripe | Customer | Amount | Reason | What to do | Code |", "|---|---|--:|---|---|---|"]
    for row in rows[:SHOWN]:
        remedy = entry(row["code"]).remedy if row["code"] else ""
        cells = (
            _stripe(row, live),
            _cell(row["name"], 40),
            _amount(row),
            _cell(row["message"], 400),
            _cell(remedy, 400),
            row["code"] or "",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return dg.MetadataValue.md("\n".join([*lines, *_more(rows)]))


def shown(text: str) -> str:
    """Text with foreign parts, for a line of Markdown: its own signs are shown, not obeyed."""
    return _cell(text, 400)


def _stripe(row: Mapping[str, Any], live: bool) -> str:
    return f"[{_together(row['stripe_number'] or row['stripe_id'])}]({stripe_link(row['stripe_id'], live=live)})"


def _amount(row: Mapping[str, Any]) -> str:
    return _together(format_money(row["total"], row["currency"])) if row["total"] is not None else ""


def _together(text: str) -> str:
    """Keeps an amount and its currency on one line. Hyphens stay as they are: ids and codes are copied and searched for."""
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def _more(rows: Sequence[object]) -> list[str]:
    return [] if len(rows) <= SHOWN else ["", f"… and {len(rows) - SHOWN} more: `cloudify status` lists all."]


def _cell(text: str | None, width: int = 60) -> str:
    """Foreign text inside a Markdown table: its own signs are shown, not obeyed."""
    line = " ".join((text or "").split())
    cut = line if len(line) <= width else f"{line[: width - 1]}…"
    return re.sub(r"([\\`*_\[\]<>|#~])", r"\\\1", cut)
