"""`cloudify accept`: a person's word on a held document, and the replay that acts on it."""

import asyncio
import getpass
from typing import Annotated

import typer

from cloudify_pipeline.cli.names import chosen, documents_only, opening
from cloudify_pipeline.cli.output import AsJson, say, show_json
from cloudify_pipeline.cli.sync import document, run_job_here, say_mode
from cloudify_pipeline.control.accept import accept as keep_word
from cloudify_pipeline.control.check_first import check_first

Name = Annotated[str, typer.Argument(metavar="NAME", help="The connection.")]
Record = Annotated[str, typer.Argument(metavar="ID", help="The held Stripe invoice, payment, credit note, refund or dispute.")]
Post = Annotated[bool, typer.Option("--post", help="Post it as planned, although the ledger seems to have it.")]
Number = Annotated[str | None, typer.Option("--number", metavar="N", help="Which of several documents shown is meant.")]

_SAYS = {
    "link": "it is {kind} {number}, which stays as it is",
    "post": "it is posted as planned",
    "keep": "what stands in the ledger stays as it is",
    "nothing": "nothing is posted for it",
}


def accept(name: Name, record: Record, post: Post = False, number: Number = None, as_json: AsJson = False) -> int:
    """Say of a held document: it is the one shown in the ledger (the default), or --post it as planned."""
    (stripe_id,) = documents_only([record])
    name = chosen(name)
    with opening(name) as opened:
        # A word that no run may act on is not kept.
        asyncio.run(check_first(opened))
        word = keep_word(opened, stripe_id, by=getpass.getuser(), post=post, number=number)
    done = run_job_here(name, "replay", {"invoice_ids": [stripe_id]}, ids=[stripe_id], quiet=as_json)
    stands = word.decision != "keep" or any(row["ledger_number"] for row in done.outcome.documents)
    said = _SAYS[word.decision if stands else "nothing"].format(
        kind=(word.ledger_kind or "").replace("_", " "), number=word.number
    )
    if as_json:
        show_json({**document(done), "accepted": {"stripe_id": stripe_id, "code": word.code, "decision": word.decision}})
        return done.exit_code
    say(f"{stripe_id}: {word.code} accepted by {word.by}; {said}.")
    for row in done.outcome.documents:
        number_in = f"{(row['kind'] or '').replace('_', ' ')} {row['ledger_number'] or ''}".strip()
        say(f"{row['stripe_number'] or stripe_id}: {row['state']} {number_in}")
    say_mode(done.outcome)
    for failure in done.failures:
        say(str(failure))
    return done.exit_code
