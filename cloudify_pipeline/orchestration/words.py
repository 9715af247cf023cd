"""Metadata that an accountant reads: counts by ending, sums per currency, documents with links, reasons with remedies."""

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
    """The Stripe dashboard's page of an invoice, payment or customer."""
    pages = {"in": "invoices", "ch": "payments", "py": "payments", "cus": "customers", "prod": "products"}
    page = pages.get(stripe_id.split("_", 1)[0], "search?query=")
    return f"https://dashboard.stripe.com/{'' if live else 'test/'}{page}/{stripe_id}"


def documents_table(rows: Sequence[Mapping[str, Any]], *, live: bool) -> dg.MarkdownMetadataValue:
    """Documents with amounts and links, newest first."""
    lines = ["| Stripe | Customer | Ledger document | Amount | State |", "|---|---|---|--:|---|"]
    for row in rows[:SHOWN]:
        number = f"{(row['ledger_kind'] or '').replace('_', ' ')} {row['number'] or ''}".strip() or "–"
        document = f"[{number}]({row['url']})" if row["url"] else number
        amount = format_money(row["total"], row["currency"]) if row["total"] is not None else ""
        stripe = f"[{row['stripe_number'] or row['stripe_id']}]({stripe_link(row['stripe_id'], live=live)})"
        lines.append(f"| {stripe} | {_cell(row['name'])} | {document} | {amount} | {row['state']} |")
    return dg.MetadataValue.md("\n".join([*lines, *_more(rows)]))


def reasons_table(rows: Sequence[Mapping[str, Any]], *, live: bool) -> dg.MarkdownMetadataValue:
    """Held and failed records: what is wrong, and what to do."""
    if not rows:
        return dg.MetadataValue.md("Nothing is held or failed.")
    lines = ["| Stripe | Reason | What to do | Code |", "|---|---|---|---|"]
    for row in rows[:SHOWN]:
        stripe = f"[{row['stripe_number'] or row['stripe_id']}]({stripe_link(row['stripe_id'], live=live)})"
        remedy = entry(row["code"]).remedy if row["code"] else ""
        lines.append(f"| {stripe} | {_cell(row['message'])} | {_cell(remedy)} | {row['code'] or ''} |")
    return dg.MetadataValue.md("\n".join([*lines, *_more(rows)]))


def _more(rows: Sequence[object]) -> list[str]:
    return [] if len(rows) <= SHOWN else ["", f"… and {len(rows) - SHOWN} more: `cloudify status` lists all."]


def _cell(text: str | None) -> str:
    return (text or "").replace("|", "\\|").replace("\n", " ").replace("\r", " ")
