"""`cloudify preview`: the exact documents a sync would create. Sends only GET."""

import asyncio
from typing import Annotated

import msgspec
import typer

from cloudify_pipeline.cli.check import problems_list
from cloudify_pipeline.cli.names import chosen_and_records, documents_only, opening
from cloudify_pipeline.cli.output import ATTENTION, DONE, AsJson, money, plain, say, show_json, table
from cloudify_pipeline.cli.progress import watching
from cloudify_pipeline.control.preview import Preview, Request
from cloudify_pipeline.control.preview import preview as look_ahead

Words = Annotated[list[str] | None, typer.Argument(metavar="[NAME] [INVOICE]...", help="The connection, and which invoices.")]
Sample = Annotated[int | None, typer.Option("--sample", min=1, help="Only the newest so many documents.")]
Bodies = Annotated[bool, typer.Option("--bodies", help="Show each request's body too; --json always has them.")]


def preview(words: Words = None, sample: Sample = None, bodies: Bodies = False, as_json: AsJson = False) -> int:
    """The exact documents that would be created, predicted totals, problems; no write request to either side."""
    name, ids = chosen_and_records(words or [])
    wanted = documents_only(ids)
    with opening(name) as opened, watching(quiet=as_json):
        found = asyncio.run(look_ahead(opened, ids=wanted, sample=sample))
    if as_json:
        show_json(_document(found))
    else:
        _show(found, bodies=bodies or len(wanted) == 1)
    held = any(cause.record_kind == "document" for cause in found.problems)
    return ATTENTION if held or found.unknown_ids else DONE


def _document(found: Preview) -> dict[str, object]:
    parties = {name: [_with_requests(one) for one in getattr(found, name)] for name in ("customers", "products", "documents")}
    rest = ("connection", "write_mode", "counts", "writes", "reads", "unknown_ids", "resting", "problems")
    return {**{name: getattr(found, name) for name in rest}, **parties}


def _with_requests(one: object) -> dict[str, object]:
    requests: tuple[Request, ...] = one.requests  # type: ignore[attr-defined]
    # The body goes in as the bytes that would be sent: re-encoding could write a number in another way.
    shown = [{**plain(request), "body": msgspec.Raw(request.body.encode())} for request in requests]
    return {**plain(one), "requests": shown}


def _show(found: Preview, *, bodies: bool) -> None:
    rows = (
        (
            one.stripe_number or one.stripe_id,
            one.customer,
            one.stands or one.kind.replace("_", " "),
            one.date,
            money(one.net, one.currency),
            money(one.vat, one.currency),
            money(one.gross, one.currency),
            one.does if one.stands else "",
        )
        for one in found.documents
    )
    if found.documents:
        columns = ("Stripe", "Customer", "Document", "Date", "Net>", "VAT>", "Total>", "")
        table(f"What a sync of {found.connection} would create", columns, rows)
    for title, parties in (("Customers", found.customers), ("Products", found.products)):
        changed = [one for one in parties if one.requests]
        if changed:
            parties_rows = ((one.stripe_id, one.action, one.number or "given at creation", one.name) for one in changed)
            table(f"{title} that would be created or changed", ("Stripe", "", "Number", "Name"), parties_rows)
    if bodies:
        _show_bodies(found)
    problems_list(found.problems)
    for unknown in found.unknown_ids:
        say(f"{unknown}: Stripe has no such invoice or payment, or none that a document could be made of", style="yellow")
    say(" · ".join(f"{what} {count}" for what, count in found.counts.items() if count) or "nothing is due")
    if found.resting.payments:
        say(str(found.resting))
    say(f"A sync would send {found.writes} writes to the ledger; this preview sent {found.reads} reads and no write.")
    mode = "" if found.write_mode == "write" else f" (write_mode is {found.write_mode}: it would only plan them)"
    say(f"Next: cloudify sync {found.connection}{mode}")


def _show_bodies(found: Preview) -> None:
    for request in (
        request for several in (found.customers, found.products, found.documents) for one in several for request in one.requests
    ):
        say(f"{request.method} {request.path}  ({request.about})", style="bold")
        say(msgspec.json.format(request.body, indent=2))
