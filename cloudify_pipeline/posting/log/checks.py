"""The checks of settings against a ledger's chart: of each settings and agreement the last one, and since when it is green."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

from sqlalchemy import Column, DateTime, Engine, String, Table, Text, select

from cloudify_pipeline.posting.log import evidence
from cloudify_pipeline.posting.log.chain import page
from cloudify_pipeline.posting.log.database import upsert
from cloudify_pipeline.posting.log.schema import metadata

settings_checks = Table(
    "settings_checks",
    metadata,
    Column("connection", String(64), primary_key=True),
    Column("settings_hash", String(64), primary_key=True),
    Column("agreement", String(64), primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("errors", Text, nullable=False),
    Column("green_at", DateTime(timezone=True)),
)


@dataclass(frozen=True, slots=True)
class SettingError:
    """A setting that does not fit the ledger: its key, the reason's code, what was found, and what to do."""

    key: str
    code: str
    found: str
    remedy: str


@dataclass(frozen=True, slots=True)
class SettingsCheck:
    """The last check of these settings against `agreement`. `green_at`: when they first had no error; None, never."""

    settings_hash: str
    agreement: str
    at: datetime
    errors: tuple[SettingError, ...] = ()
    green_at: datetime | None = None


def keep_check(engine: Engine, connection: str, check: SettingsCheck) -> SettingsCheck:
    """Keep `check` in the place of the last one of the same settings, with its entry in the audit chain; as it is kept.

    What was green once stays so: the ledger may move later, and that is drift.
    """
    c = settings_checks.c
    mine = (
        c.connection == connection,
        c.settings_hash == check.settings_hash,
        c.agreement == check.agreement,
    )
    with engine.begin() as db:
        # The chain is locked first: of two checks at once, the second sees what the first has kept.
        chain = page(db, connection, check.at)
        green_at = db.scalar(select(c.green_at).where(*mine))
        first = check.at if green_at is None and not check.errors else green_at
        kept = replace(check, green_at=first and _aware(first))
        row = {
            "connection": connection,
            "settings_hash": check.settings_hash,
            "agreement": check.agreement,
            "at": check.at,
            "errors": json.dumps([asdict(one) for one in check.errors], ensure_ascii=False),
            "green_at": kept.green_at,
        }
        chain.tell(evidence.settings_check(row), check.at)
        upsert(db, settings_checks, [row])
    return kept


def kept_checks(engine: Engine, connection: str, settings_hash: str) -> Mapping[str, SettingsCheck]:
    """Agreement → the last check of these settings against it, the latest first."""
    c = settings_checks.c
    query = select(settings_checks).where(c.connection == connection, c.settings_hash == settings_hash)
    with engine.connect() as db:
        rows = db.execute(query.order_by(c.at.desc())).mappings().all()
    return {
        row["agreement"]: SettingsCheck(
            row["settings_hash"],
            row["agreement"],
            _aware(row["at"]),
            tuple(SettingError(**one) for one in json.loads(row["errors"])),
            row["green_at"] and _aware(row["green_at"]),
        )
        for row in rows
    }


def _aware(value: datetime) -> datetime:
    return value if value.tzinfo else value.replace(tzinfo=UTC)
