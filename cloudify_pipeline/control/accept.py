"""A person's word on a held document: it is that one in the ledger, post it as planned, or leave it as it is."""

import re
from collections.abc import Mapping
from typing import Any

from cloudify_pipeline.accounting.chart import Number
from cloudify_pipeline.catalogue import entry
from cloudify_pipeline.control.books import refuse_second
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.errors import SettingsError, SettingsProblem
from cloudify_pipeline.ledgers.port import StoredKind
from cloudify_pipeline.posting.log.persons import Decision, Word, word_change

DECISIONS: Mapping[str, tuple[Decision, ...]] = {
    "E-DUP-HUMAN": ("link", "post"),
    "E-GONE": ("keep", "post"),
    "E-KEY-LOST": ("link", "post"),
    "E-KIND": ("keep",),
    "E-VOIDED": ("keep",),
    "E-UNCOLLECTIBLE": ("keep",),
    "E-CREDITED": ("keep",),
    "E-DISPUTED": ("keep",),
    "E-REF-OVER": ("keep",),
    "E-CHANGED": ("keep",),
    "E-PAID-TWICE": ("keep", "post"),
    "E-PAID-ALIKE": ("keep", "post"),
}
"""What may be decided of each code; the first is what a plain `accept` means."""

_SHOWN = re.compile(r"(draft invoice|booked invoice|draft order) (\S+?)(?:,|$)")
_KINDS: dict[str, StoredKind] = {
    "draft invoice": "draft_invoice", "booked invoice": "booked_invoice", "draft order": "draft_order",
}  # fmt: skip


def accept(opened: OpenConnection, stripe_id: str, *, by: str, post: bool = False, number: str | None = None) -> Word:
    """Keep the word of `by` on the held document `stripe_id`; the next run, or a replay of it, acts on it.

    Raises:
        SettingsError: E-CONN-SECOND, another connection posts this account into these books.
        SettingsError: it is not held, nothing can be decided about its reason, or it is not clear which document is meant.
    """
    refuse_second(opened)
    row = next((row for row in opened.log.records(opened.name, states=("held",)) if row["stripe_id"] == stripe_id), None)
    if row is None:
        raise _wrong("ID", stripe_id, f"a held document; `cloudify status {opened.name}` shows them")
    allowed = DECISIONS.get(row["code"], ())
    if not allowed:
        raise _wrong("ID", stripe_id, f"it is held for {row['code']}, which nobody can accept: {entry(row['code']).remedy}")
    if post and "post" not in allowed:
        stands = "stands in the ledger already" if row["number"] else "cannot be posted as it is"
        raise _wrong("--post", stripe_id, f"it is held for {row['code']}, and {stands}")
    decision: Decision = "post" if post else allowed[0]
    kind, linked = _linked(row, number) if decision == "link" else (None, None)
    word = Word(stripe_id, row["code"], row["message"], decision, by, opened.clock(), linked, kind)
    with opened.log.engine.begin() as db:
        word_change(opened.name, word).apply(db)
    return word


def _linked(row: Mapping[str, Any], number: str | None) -> tuple[StoredKind, Number]:
    shown = _SHOWN.findall(row["found"] or "")
    fitting = [(kind, found) for kind, found in shown if number is None or found == number]
    if len(fitting) != 1:
        names = ", ".join(f"{kind} {found}" for kind, found in shown)
        raise _wrong("--number", number or "nothing", f"one of the documents shown: {names}")
    kind, found = fitting[0]
    return _KINDS[kind], int(found) if found.isdigit() else found


def _wrong(key: str, found: str, allowed: str) -> SettingsError:
    return SettingsError("the call", [SettingsProblem(key, found, allowed)])
