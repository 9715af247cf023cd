"""All connections of this installation at a glance: ledger, write mode, the books they are bound to, where they stand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cloudify_pipeline.errors import SettingsError
from cloudify_pipeline.posting.log.store import PostingLog
from cloudify_pipeline.settings.load import LoadedConnection


@dataclass(frozen=True, slots=True)
class Overview:
    """One connection. `problem` is what is wrong with its file; then nothing else is known."""

    name: str
    ledger: str | None
    write_mode: str | None
    agreement: str | None
    company: str | None
    last_change: datetime | None
    counts: Mapping[str, int]
    problem: str | None = None


def overview(files: Sequence[tuple[str, LoadedConnection | SettingsError]], log: PostingLog) -> list[Overview]:
    """One line for each connection file, in the order given."""
    return [_one(name, loaded, log) for name, loaded in files]


def _one(name: str, loaded: LoadedConnection | SettingsError, log: PostingLog) -> Overview:
    bound = log.binding(name) or {}
    rows = log.records(name)
    mistaken = isinstance(loaded, SettingsError)
    return Overview(
        name=name,
        ledger=None if isinstance(loaded, SettingsError) else loaded.settings.ledger,
        write_mode=None if isinstance(loaded, SettingsError) else loaded.settings.write_mode,
        agreement=bound.get("agreement"),
        company=bound.get("company"),
        last_change=rows[0]["updated_at"] if rows else None,
        counts=log.counts(name),
        problem=str(loaded) if mistaken else None,
    )
