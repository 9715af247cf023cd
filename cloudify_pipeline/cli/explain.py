"""`cloudify explain`: everything that is known of one record."""

import asyncio
from typing import Annotated

import typer

from cloudify_pipeline.cli.names import chosen, opening
from cloudify_pipeline.cli.output import DONE, AsJson, document_name, local, money, say, show_json, table
from cloudify_pipeline.control.explain import Explained
from cloudify_pipeline.control.explain import explain as look_up
from cloudify_pipeline.errors import SettingsError, SettingsProblem

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
        ("Planned as", (found.planned or "").replace("_", " ") + f" ({found.plan_from})" if found.planned else found.note),
        ("Rule", found.rule),
        ("Link", found.url),
    ]
    table("", ("What", "Value"), [(what, value) for what, value in facts if value])
    if found.trouble:
        trouble = found.trouble
        say(f"{trouble.code}: {trouble.message}", style="red" if trouble.code.startswith("E-") else "yellow")
        say(f"  Cause: {trouble.cause}")
        say(f"  What to do: {trouble.remedy}")
    _decisions("Decisions", found)
    for party in ([found.customer] if found.customer else []) + list(found.products):
        _decisions(
            f"{party.kind.capitalize()} {party.stripe_id} → {party.ledger_number or party.planned or 'not planned'}", party
        )
        if party.trouble:
            say(f"  {party.trouble.code}: {party.trouble.message}", style="red")
    _amounts(found)
    _fields(found)
    _attempts(found)


def _decisions(title: str, found: Explained) -> None:
    if found.decisions:
        rows = (
            (one.decision, one.outcome, one.rule, ", ".join(f"{key}={value}" for key, value in one.inputs.items()))
            for one in found.decisions
        )
        table(title, ("Decision", "Outcome", "By", "Looked at"), rows)


def _amounts(found: Explained) -> None:
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
    net, vat, gross = (money(amount, totals.currency) for amount in (totals.net, totals.vat, totals.gross))
    say(f"net {net} + VAT {vat} = {gross}; Stripe's total is {money(totals.stripe_total, totals.currency)}")


def _fields(found: Explained) -> None:
    for title, lineage in (
        ("Fields", found.fields),
        *((f"Fields of {party.stripe_id}", party.fields) for party in (found.customer, *found.products) if party),
    ):
        if lineage:
            rows = (
                (one.target, one.source, one.raw, ", ".join(one.transforms), one.result, ", ".join(one.cleaned))
                for one in lineage
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
