"""What the posting log knows of the check of the settings in force; see :mod:`.check_first`. It asks nobody."""

from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.posting.log.checks import SettingsCheck, kept_checks
from cloudify_pipeline.settings.load import checked_hash

REFUSED = "E-CHECK-FIRST"


def bound_to(opened: OpenConnection) -> str | None:
    """The agreement whose books these settings write; None before the first contact."""
    bound = opened.log.binding(opened.name)
    return opened.pinned_agreement or (str(bound["agreement"]) if bound else None)


def is_green(opened: OpenConnection, agreement: str) -> bool:
    """Whether the settings in force have fitted the ledger of `agreement` once."""
    check = kept_checks(opened.log.engine, opened.name, checked_hash(opened.settings)).get(agreement)
    return check is not None and check.green_at is not None


def last_check(opened: OpenConnection) -> SettingsCheck | None:
    """The last check of the settings in force against the books in use; while those are unknown, against any."""
    checks = kept_checks(opened.log.engine, opened.name, checked_hash(opened.settings))
    books = bound_to(opened)
    return next(iter(checks.values()), None) if books is None else checks.get(books)


def check_words(check: SettingsCheck | None) -> str:
    """What a check says, and what follows from it, in one line."""
    if check is None:
        return "not checked yet; the first run that may write does it"
    at = f"{check.at:%Y-%m-%d %H:%M} UTC against agreement {check.agreement}"
    if not check.errors:
        return f"green, {at}"
    errors = f"{len(check.errors)} error{'s' if len(check.errors) > 1 else ''}, {at}"
    if check.green_at is None:
        return f"{errors}; no run may write ({REFUSED})"
    return f"{errors}; green on {check.green_at:%Y-%m-%d %H:%M} UTC, so runs go on and what it touches is held"
