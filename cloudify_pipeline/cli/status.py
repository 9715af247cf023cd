"""`cloudify status`: where every document stands."""

import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Annotated, Any

import typer

from cloudify_pipeline.catalogue import entry
from cloudify_pipeline.cli.names import Name, chosen, opening
from cloudify_pipeline.cli.output import DONE, AsJson, document_name, local, money, plain, say, table
from cloudify_pipeline.control import status as control
from cloudify_pipeline.control.freshness import Freshness, freshness
from cloudify_pipeline.control.settings_checked import check_words, last_check

Find = Annotated[str | None, typer.Option("--find", help="A Stripe or ledger id or number, an e-mail, or a part of one.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="Rows to show; --json lists all.")]


def status(name: Name = None, find: Find = None, limit: Limit = 50, as_json: AsJson = False) -> int:
    """Every document: state, ledger number, last attempt, reason; and how fresh the ledger is."""
    with opening(chosen(name)) as opened, ThreadPoolExecutor(1) as beside:
        # Two databases answer side by side. Whoever looks for a document does not wait for what is staged: a run may hold it.
        asked = beside.submit(freshness, opened) if find is None else None
        if as_json:
            sys.stdout.writelines(control.status_json(opened, find=find, more=lambda: _plain_freshness(asked)))
            sys.stdout.write("\n")
            sys.stdout.flush()
            return DONE
        found, known = control.newest(opened, find=find, limit=limit)
        fresh = None if asked is None else asked.result()
        checked = check_words(last_check(opened))
    documents = found["documents"]
    if not documents:
        nothing = f"Nothing contains “{find}”." if find else "Nothing is known yet."
        say(f"{nothing} Next: cloudify sync {found['connection']}")
    else:
        documents_table(f"Documents of {found['connection']}", documents)
        if known > len(documents):
            say(f"… and {known - len(documents)} more; --limit shows more rows, --json lists all.")
    say(counts_line(found["counts"]))
    if fresh is not None:
        _show_freshness(fresh)
        say(f"Settings: {checked}")
    return DONE


def _plain_freshness(asked: Future[Freshness] | None) -> dict[str, Any]:
    if asked is None:
        return {}
    fresh = asked.result()
    times = {"last_synced_at": fresh.last_synced_at, "next_sync_at": fresh.next_sync_at}
    return dict(plain({**times, "oldest_waiting": fresh.oldest_waiting, "note": fresh.note}))


def _show_freshness(fresh: Freshness) -> None:
    last = local(fresh.last_synced_at) or "never"
    say(f"Last sync {last} · next hourly sync {local(fresh.next_sync_at)}, while cloudify ui runs")
    oldest = fresh.oldest_waiting
    if fresh.note:
        say(f"Waiting: not known, {fresh.note}")
    elif oldest is None:
        say("Waiting: nothing that is due")
    else:
        state = " ".join(word for word in (oldest.state or "not planned yet", oldest.error_code) if word)
        words = f"{oldest.stripe_number or oldest.stripe_id} ({state}), due since {local(oldest.due_since)}"
        say(f"Waiting longest: {words}, {_age(oldest.age_seconds)}", style="yellow" if oldest.late else None)


def _age(seconds: int) -> str:
    """``3 days``, ``5 hours`` or ``12 minutes``: the largest unit of which there are at least two."""
    size, unit = next(((size, unit) for size, unit in ((86400, "days"), (3600, "hours")) if seconds >= 2 * size), (60, "minutes"))
    return f"{seconds // size} {unit}"


def documents_table(title: str, documents: Sequence[Mapping[str, Any]]) -> None:
    """Documents as `status` lists them, newest first."""
    troubled = any(row["error_code"] for row in documents)
    columns = ("Stripe", "Customer", "Ledger document", "Amount>", "State", "Tries>", "Last change")
    table(title, (*columns, "Reason") if troubled else columns, (_row(row)[: 8 if troubled else 7] for row in documents))


def _row(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return (
        row["stripe_number"] or row["stripe_id"],
        row["customer"],
        document_name(row["kind"], row["ledger_number"]),
        money(row["total"], row["currency"]),
        row["state"],
        row["attempts"],
        local(row["updated_at"]),
        f"{row['error_code']}: {row['error']}" if row["error_code"] else "",
    )


def reasons(title: str, documents: Sequence[Mapping[str, Any]]) -> None:
    """Held and failed documents: what is wrong with each, and what to do."""
    table(
        title,
        ("Stripe", "Customer", "Amount>", "State", "Code", "Reason", "What to do"),
        (
            (
                row["stripe_number"] or row["stripe_id"],
                row["customer"],
                money(row["total"], row["currency"]),
                row["state"],
                row["error_code"],
                row["error"],
                entry(row["error_code"]).remedy if row["error_code"] else "",
            )
            for row in documents
        ),
    )


def counts_line(counts: Mapping[str, int]) -> str:
    """``booked 12 · held 2``: every state that occurs."""
    return " · ".join(f"{state} {count}" for state, count in counts.items() if count) or "no documents"
