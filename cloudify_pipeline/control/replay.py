"""Which documents a replay is about: by Stripe id, ledger number, state, error code, time or revision."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from cloudify_pipeline.catalogue import CATALOGUE
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.errors import SettingsError, SettingsProblem
from cloudify_pipeline.posting.endings import RecordKind

BOOKS = ZoneInfo("Europe/Copenhagen")
WAITING = frozenset({"failed", "held"})


FETCHED_AGAIN = 200
"""So many records are fetched from Stripe one by one; for more, reading what changed since the last run is cheaper."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What is asked for; a record is chosen when one of the first five names it, and lies within the times.

    Times alone choose every document whose state changed within them. `everything` chooses all.
    """

    invoice_ids: tuple[str, ...] = ()
    ledger_numbers: tuple[str, ...] = ()
    failed: bool = False
    error_code: str | None = None
    revision: str | None = None
    changed_since: str | None = None
    changed_until: str | None = None
    everything: bool = False

    @property
    def named(self) -> bool:
        """Whether records are chosen by what they are, not by time alone."""
        return bool(self.invoice_ids or self.ledger_numbers or self.failed or self.error_code or self.revision)

    @property
    def empty(self) -> bool:
        """Whether nothing at all is chosen."""
        return not (self.named or self.changed_since or self.changed_until or self.everything)


def selected(opened: OpenConnection, selection: Selection) -> list[str]:
    """Stripe ids of the documents that `selection` chooses, oldest change first.

    A code that a customer or product is held for chooses the documents that wait for it, so that they follow in order.

    Raises:
        SettingsError: nothing is chosen, or a time or code cannot be read.
    """
    if selection.empty:
        where = "--failed, --error CODE, --number N, --since TIME, --revision R, --all, or Stripe invoice ids"
        raise SettingsError("the replay", [SettingsProblem("what to replay", "nothing", f"say which records: {where}")])
    if selection.error_code is not None and selection.error_code not in CATALOGUE:
        raise SettingsError("the replay", [SettingsProblem("error_code", selection.error_code, "a code of `cloudify errors`")])
    since, until = _time("changed_since", selection.changed_since), _time("changed_until", selection.changed_until)
    codes = _codes(opened, selection.error_code)
    found = [
        row["stripe_id"]
        for row in reversed(opened.log.records(opened.name))
        if (since is None or row["updated_at"] >= since)
        and (until is None or row["updated_at"] < until)
        and (not selection.named or _names(selection, row, codes))
    ]
    # An invoice that no run has met yet may be named as well.
    return list(dict.fromkeys([*found, *selection.invoice_ids]))


def to_fetch(ids: Sequence[str]) -> Sequence[str]:
    """Which of `ids` a replay reads from Stripe again by name; none when they are so many that the changes are read instead."""
    return ids if len(ids) <= FETCHED_AGAIN else ()


def _names(selection: Selection, row: Mapping[str, Any], codes: frozenset[str]) -> bool:
    return (
        row["stripe_id"] in selection.invoice_ids
        or (row["number"] is not None and row["number"] in selection.ledger_numbers)
        or (selection.failed and row["state"] in WAITING)
        or row["code"] in codes
        or (selection.revision is not None and row["revision"] == selection.revision)
    )


def _codes(opened: OpenConnection, code: str | None) -> frozenset[str]:
    if code is None:
        return frozenset()
    kinds: tuple[RecordKind, ...] = ("customer", "product")
    waiting = [row for kind in kinds for row in opened.log.records(opened.name, kind, states=("held", "failed"))]
    parties = any(row["code"] == code for row in waiting)
    return frozenset({code, "E-DEPENDENCY"} if parties else {code})


def _time(name: str, text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        allowed = "a day or a time, as in 2026-11-01 or 2026-11-01T09:30"
        raise SettingsError("the replay", [SettingsProblem(name, text, allowed)]) from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=BOOKS)).astimezone(UTC)
