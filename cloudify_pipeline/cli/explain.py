"""`cloudify explain`: everything that is known of one record."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated

import typer

from cloudify_pipeline.accounting.documents import Totals as LedgerTotals
from cloudify_pipeline.cli.names import chosen, opening
from cloudify_pipeline.cli.output import DONE, AsJson, document_name, local, money, say, show_json, table
from cloudify_pipeline.control.explain import explain as look_up
from cloudify_pipeline.control.explained import Explained, Today, Totals, Trouble
from cloudify_pipeline.errors import SettingsError, SettingsProblem
from cloudify_pipeline.mapping.lineage import Lineage
from cloudify_pipeline.planning.plans import Evidence

Words = Annotated[list[str], typer.Argument(metavar="[NAME] ID", help="The connection, and a Stripe id or a ledger number.")]


def explain(words: Words, as_json: AsJson = False) -> int:
    """One Stripe id or ledger number: rule, customer, products, VAT decision, fields, attempts. Sends only GET."""
    name, wanted = _named(words)
    with opening(name) as opened:
        found = asyncio.run(look_up(opened, wanted))
    if as_json:
        show_json({"connection": name, **{key: getattr(found, key) for key in Explained.__slots__}})
    else:
        _show(name, found)
    return DONE


def _named(words: list[str]) -> tuple[str, str]:
    if len(words) == 1:
        return chosen(None), words[0]
    if len(words) == 2:
        return chosen(words[0]), words[1]
    raise SettingsError("the call", [SettingsProblem("ID", f"{len(words)} words", "a connection and one id or number")])


def _show(name: str, found: Explained) -> None:
    stands = found.state or "not in the log yet"
    say(f"{found.stripe_number or found.stripe_id} ({found.kind} of {name}): {stands}", style="bold")
    facts = [
        ("Stripe id", found.stripe_id),
        ("Name", found.name),
        ("Ledger", document_name(found.ledger_kind or "", found.ledger_number) if found.ledger_number else None),
        *_how(found),
        ("Rule", found.rule),
        ("Link", found.url),
    ]
    table("", ("What", "Value"), [(what, value) for what, value in facts if value])
    _trouble(found.trouble)
    _decisions("Decisions", found.decisions)
    for party in ([found.customer] if found.customer else []) + list(found.products):
        title = f"{party.kind.capitalize()} {party.stripe_id} → {party.ledger_number or party.planned or 'not planned'}"
        _decisions(f"{title} ({party.origin.unknown})" if party.origin and party.origin.unknown else title, party.decisions)
        if party.trouble:
            say(f"  {party.trouble.code}: {party.trouble.message}", style="red")
    _amounts(found)
    if found.actual is not None and found.totals is not None:
        say(f"the ledger has {_sum(found.actual, found.totals.currency)}")
    for title, lineage in (
        ("Fields", found.fields),
        *((f"Fields of {party.stripe_id}", party.fields) for party in (found.customer, *found.products) if party),
    ):
        _fields(title, lineage)
    if found.today is not None:
        _today(found, found.today)
    _attempts(found)


def _how(found: Explained) -> Iterator[tuple[str, str | None]]:
    """How it came to stand there, or what it is planned as."""
    planned, origin = (found.planned or "").replace("_", " "), found.origin
    if origin is None:
        yield "Planned as", f"{planned} ({found.plan_from})" if planned else found.note
    elif origin.unknown is not None:
        yield "Decided", origin.unknown
        yield "Written", _when(origin.confirmed_at, origin.run_id)
    else:
        since = f", in force since {local(origin.settings_since)}" if origin.settings_since else ""
        changed = found.today is not None and found.today.same_settings is False
        yield "Posted as", f"{planned}, decided {local(origin.decided_at)}"
        yield "Written", _when(origin.confirmed_at, origin.run_id)
        yield "Settings", f"{str(origin.settings_hash)[:12]}{since}{'; others are in force today' if changed else ''}"


def _when(at: datetime | None, run_id: str | None) -> str | None:
    return None if at is None else f"{local(at)}, run {run_id}"


def _today(found: Explained, today: Today) -> None:
    """What would be planned today, in words of its own: no part of what stands in the ledger."""
    if today.note and today.planned is None:
        say(f"Planned today: {today.note}.")
    elif found.origin is not None and found.origin.unknown is None:
        if not today.changes:
            say("Planned today: the same.")
            return
        rows = ((one.what, one.then or "", one.today or "") for one in today.changes)
        table("Planned today otherwise, which changes nothing of what stands", ("What", "When it was posted", "Today"), rows)
    else:
        say(
            f"Planned today: {(today.planned or 'nothing').replace('_', ' ')}{f', {today.rule}' if today.rule else ''}",
            style="bold",
        )
        _decisions("Planned today: decisions", today.decisions)
        _amounts(today)
        _fields("Planned today: fields", today.fields)
    _trouble(today.trouble)


def _trouble(trouble: Trouble | None) -> None:
    if trouble is not None:
        say(f"{trouble.code}: {trouble.message}", style="red" if trouble.code.startswith("E-") else "yellow")
        say(f"  Cause: {trouble.cause}")
        say(f"  What to do: {trouble.remedy}")


def _decisions(title: str, decisions: Sequence[Evidence]) -> None:
    if decisions:
        rows = (
            (one.decision, one.outcome, one.rule, ", ".join(f"{key}={value}" for key, value in one.inputs.items()))
            for one in decisions
        )
        table(title, ("Decision", "Outcome", "By", "Looked at"), rows)


def _amounts(found: Explained | Today) -> None:
    if found.totals is None:
        return
    totals = found.totals
    table(
        "Lines",
        ("Description", "Product", "Quantity>", "Price>", "Discount %>", "Net>", "VAT %>"),
        (
            (
                line.description,
                (line.product.number or line.product.stripe_id) if line.product else "",
                line.quantity,
                money(line.unit_price, totals.currency),
                line.discount_percentage or "",
                money(line.net, totals.currency),
                line.vat_rate,
            )
            for line in found.lines
        ),
    )
    say(f"{_sum(totals, totals.currency)}; Stripe's total is {money(totals.stripe_total, totals.currency)}")


def _sum(totals: Totals | LedgerTotals, currency: str) -> str:
    net, vat, gross = (money(amount, currency) for amount in (totals.net, totals.vat, totals.gross))
    return f"net {net} + VAT {vat} = {gross}"


def _fields(title: str, lineage: Sequence[Lineage]) -> None:
    if lineage:
        rows = (
            (one.target, one.source, one.raw, ", ".join(one.transforms), one.result, ", ".join(one.cleaned)) for one in lineage
        )
        table(title, ("Ledger field", "From", "Found in Stripe", "Transforms", "Written", "Cleaned"), rows)


def _attempts(found: Explained) -> None:
    if not found.attempts:
        say("No attempt was made to write it.")
        return
    rows = (
        (
            local(one["at"] or one["intended_at"]),
            one["operation"].replace("_", " "),
            one["outcome"] or "sent, no answer yet",
            one["number"],
            one["request_id"],
            f"{one['code']}: {one['message']}" if one["code"] else "",
            one["run_id"],
        )
        for one in found.attempts
    )
    table("Attempts", ("When", "What", "Outcome", "Number", "Request", "Error", "Run"), rows)
