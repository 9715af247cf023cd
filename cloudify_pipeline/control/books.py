"""Who writes to some books: one connection for each pair of a Stripe account and an agreement, whatever its file is called.

A renamed or copied file has a log of its own that does not know what the other's has posted: it would post all of it again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from cloudify_pipeline.catalogue import entry
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.errors import SettingsError, SettingsProblem
from cloudify_pipeline.posting.log.stripe_bindings import (
    Neighbour,
    StripeBinding,
    has_posted,
    known_records,
    neighbours,
    stripe_binding,
)
from cloudify_pipeline.settings.models import ConnectionSettings

Pair = Literal["same", "other", "unknown"]
Depth = Literal["names", "unknown", "all"]
"""What is compared: accounts and keys; where an account is not known, staged objects and the other's records; these always."""


@dataclass(frozen=True, slots=True)
class Shared:
    """Another connection into the same books. `pair`: whether it reads the same Stripe account, in the same mode.

    `first`: that one may go on, and this one may not.
    """

    connection: str
    pair: Pair
    first: bool
    why: str


def refuse_second(opened: OpenConnection, agreement: str | None = None, *, depth: Depth = "all") -> None:
    """Refuse a run that would write beside another connection of the same Stripe account and agreement.

    `agreement` is the one that the ledger has told; without it, the one that the connection is bound to.

    Raises:
        SettingsError: E-CONN-SECOND.
    """
    if not opened.may_write:
        return
    one = second_to(opened, agreement, depth=depth)
    if one is not None:
        problem = SettingsProblem("this connection", second_words(opened, one), entry("E-CONN-SECOND").remedy)
        raise SettingsError(opened.loaded.path.name, [problem], code="E-CONN-SECOND")


def second_to(opened: OpenConnection, agreement: str | None = None, *, depth: Depth = "all") -> Shared | None:
    """The connection that goes before this one on the same pair; None where this one may write."""
    return next((one for one in shared_books(opened, agreement, depth=depth) if one.first), None)


def second_words(opened: OpenConnection, one: Shared) -> str:
    """Why this connection may not write."""
    words = f"connection {one.connection} posts this Stripe account into these books already ({one.why})"
    gone = "" if opened.settings_of(one.connection) else f"; its file is gone: name this one's file {one.connection}.yaml again"
    return f"{words}, and {opened.name} would post everything once more{gone}"


def shared_books(opened: OpenConnection, agreement: str | None = None, *, depth: Depth = "all") -> Iterator[Shared]:
    """Every other connection of this log that is bound to the same books."""
    bound = opened.log.binding(opened.name)
    agreement = agreement or (bound["agreement"] if bound else opened.pinned_agreement)
    if agreement is None:
        return
    others = neighbours(opened.log.engine, opened.name, agreement)
    if not others:
        return
    since = None
    if bound is not None and bound["agreement"] == agreement:
        since = bound["bound_at"].replace(tzinfo=None)
    posted = has_posted(opened.log.engine, opened.name)
    mine = _mine(opened, depth=depth)
    for other in others:
        theirs = opened.settings_of(other.connection)
        pair, why = _pair(opened, mine, other, theirs, depth=depth)
        counts = other.posted or (theirs is not None and theirs.write_mode == "write")
        first = pair == "same" and counts and _goes_first(other, posted=posted, since=since, than=opened.name)
        yield Shared(other.connection, pair, first, why)


def _goes_first(other: Neighbour, *, posted: bool, since: datetime | None, than: str) -> bool:
    """Who has posted goes before who has not; then who was bound first."""
    if other.posted != posted:
        return other.posted
    at = other.bound_at.replace(tzinfo=None)
    return since is None or (at, other.connection) < (since, than)


def _mine(opened: OpenConnection, *, depth: Depth) -> StripeBinding | None:
    bound = stripe_binding(opened.log.engine, opened.name)
    if bound is not None or depth == "names":
        return bound
    staged = opened.staging.whose() if opened.staging.path.is_file() else None
    return None if staged is None else StripeBinding(staged.account, staged.livemode, opened.clock())


def _pair(
    opened: OpenConnection,
    mine: StripeBinding | None,
    other: Neighbour,
    theirs: ConnectionSettings | None,
    *,
    depth: Depth,
) -> tuple[Pair, str]:
    """Whether both read one account: by name, by the key, else by an object that both have. Ids are given once."""
    known = mine is not None and other.stripe is not None and bool(mine.account and other.stripe.account)
    same_mode = mine is None or other.stripe is None or mine.livemode == other.stripe.livemode
    if mine is not None and other.stripe is not None and known and same_mode and mine.account == other.stripe.account:
        return "same", f"both read {mine.account}"
    if same_mode and not known and theirs is not None and _same_key(opened.settings, theirs):
        return "same", "both have the same Stripe key"
    if (depth == "all" or (depth == "unknown" and not known)) and opened.staging.path.is_file():
        for part in known_records(opened.log.engine, other.connection):
            both = opened.staging.known(part)
            if both:
                return "same", f"it has {min(both)} and others of this account"
    return ("other" if known or not same_mode else "unknown"), ""


def _same_key(one: ConnectionSettings, other: ConnectionSettings) -> bool:
    try:
        return one.stripe.api_key.reveal() == other.stripe.api_key.reveal()
    except SettingsError:
        return False
