"""Whose Stripe data these are: account and mode are bound at first contact, and nothing of another one is read or planned."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.errors import NotAuthorised, Problem, SettingsError
from cloudify_pipeline.posting.endings import Ending, RecordKind
from cloudify_pipeline.posting.log.lease import held
from cloudify_pipeline.posting.log.stripe_bindings import StripeBinding, bind_stripe, some_records, stripe_binding
from cloudify_pipeline.stripe_objects import Kind, Whose, key_mark, key_mode, mode_name, named

if TYPE_CHECKING:
    from cloudify_pipeline.stripe_source.client import StripeReader

_KINDS: tuple[RecordKind, ...] = ("document", "customer", "product")
_PROOFS = 2
"""Of each kind so many objects are asked for where an account cannot be told by name: one of them may be gone."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a connection's data belonged to so far: as it was bound, and as the staged objects say."""

    bound: StripeBinding | None
    staged: Whose | None
    modes: frozenset[bool]
    """Of staged objects that are older than such a note."""

    @property
    def foreign(self) -> bool:
        """Whether the staged objects are of another account or mode than the bound one."""
        return self.bound is not None and self.staged is not None and not _fits(self.bound, self.staged)

    @property
    def account(self) -> str | None:
        """The account, where it is known."""
        if self.bound is not None and self.bound.account:
            return self.bound.account
        return None if self.staged is None or self.foreign else self.staged.account

    @property
    def expected(self) -> frozenset[bool]:
        """The modes that the objects are of: one; none before the first contact; both where keys were mixed up."""
        if self.bound is not None:
            return frozenset({self.bound.livemode})
        return self.modes if self.staged is None else frozenset({self.staged.livemode})

    def __str__(self) -> str:
        if len(self.expected) != 1:
            return "test mode and live mode" if self.expected else "nothing yet"
        return named(self.account, livemode=next(iter(self.expected)))


def known(opened: OpenConnection) -> Known:
    """What the connection's data belonged to so far."""
    bound = stripe_binding(opened.log.engine, opened.name)
    if not opened.staging.path.is_file():
        return Known(bound, None, frozenset())
    with opened.staging.reading():
        staged = opened.staging.whose()
        modes = frozenset() if staged else frozenset(opened.staging.modes())
    return Known(bound, staged, modes)


async def contact(opened: OpenConnection, reader: "StripeReader", *, bind: bool = True) -> Whose:
    """Whose data the key reads, before the first object is staged: bound at first contact, refused when it is another's.

    From here on staging takes only objects of that mode. Without `bind` the log stays as it is: staging alone remembers.

    Raises:
        NotAuthorised: E-CONN-ACCOUNT, E-CONN-MODE, the key is for another account or mode than before.
        Unreachable: Stripe does not answer.
    """
    from cloudify_pipeline.stripe_source.metadata import account_of  # noqa: PLC0415

    before = known(opened)
    account = (await account_of(reader)).id
    problem = await other_account(opened, reader, account, before)
    if problem is not None:
        raise NotAuthorised(problem.message, code=problem.code)
    return take(opened, account or before.account, livemode=await _mode(opened, reader, before), before=before, bind=bind)


def take(
    opened: OpenConnection, account: str | None, *, livemode: bool, before: Known, bind: bool = True, stage: bool = True
) -> Whose:
    """Let staging, and with `bind` the log, belong to `account`; what is staged of another is thrown away.

    Without `stage` no staging file is made where there is none.
    """
    belongs = Whose(account, livemode, key_mark(_key(opened)))
    if stage or opened.staging.path.is_file():
        opened.staging.claim(belongs, anew=before.foreign)
    if bind and (before.bound is None or before.bound.account != account):
        at = opened.clock() if before.bound is None else before.bound.bound_at
        bind_stripe(opened.log.engine, opened.name, account, livemode=livemode, now=at)
    return belongs


async def other_account(opened: OpenConnection, reader: "StripeReader", account: str | None, before: Known) -> Problem | None:
    """Why the key (of `account`, None where it may not be told) is not for what the connection read so far."""
    mode, pinned = key_mode(_key(opened)), opened.settings.stripe.account
    if pinned is not None and account != pinned:
        found = account or "one that it may not name (Stripe calls the right rak_accounts_kyc_basic_read)"
        return Problem("E-CONN-ACCOUNT", f"stripe.account is {pinned}, and the key is for {found}", "stripe.account", found)
    if before.expected and (len(before.expected) > 1 or (mode is not None and mode not in before.expected)):
        return _wrong_mode(opened, before)
    if account is not None and before.account is not None:
        return None if account == before.account else _wrong_account(opened, before, account)
    if before.staged is not None and before.staged.key == key_mark(_key(opened)) and not before.foreign:
        return None
    return await _unproven(opened, reader, account, before)


async def check_key(opened: OpenConnection, reader: "StripeReader") -> None:
    """As :func:`contact`, without asking staging or changing anything: for a look whose finding a run examines once more.

    Raises as :func:`contact`.
    """
    from cloudify_pipeline.stripe_source.metadata import account_of  # noqa: PLC0415

    check_mode(opened)
    bound = stripe_binding(opened.log.engine, opened.name)
    expected = opened.settings.stripe.account or (bound.account if bound else None)
    if expected is None:
        return
    account = (await account_of(reader)).id
    if account is not None and account != expected:
        words = f"connection {opened.name} reads the Stripe account {expected}, and the key is for {account}"
        raise NotAuthorised(words, code="E-CONN-ACCOUNT")


def check_mode(opened: OpenConnection) -> None:
    """Refuse a key that says by itself that it is of the other mode.

    Raises:
        NotAuthorised: E-CONN-MODE.
    """
    bound = stripe_binding(opened.log.engine, opened.name)
    mode = key_mode(_key(opened))
    if bound is not None and mode is not None and mode != bound.livemode:
        problem = _wrong_mode(opened, Known(bound, None, frozenset()))
        raise NotAuthorised(problem.message, code=problem.code)


def check_staged(opened: OpenConnection) -> None:
    """Refuse to plan or post from objects of another account, mode or key than the settings', without asking anybody.

    Raises:
        NotAuthorised: E-CONN-ACCOUNT, E-CONN-MODE.
    """
    before = known(opened)
    if before.foreign:
        words = (
            f"what is staged is of {before.staged}, and connection {opened.name} is bound to {before}; the next sync reads anew"
        )
        raise NotAuthorised(words, code="E-CONN-ACCOUNT")
    try:
        key = _key(opened)
    except SettingsError:
        # Without a key nothing can be read; what was read before is as good as it was.
        return
    mode = key_mode(key)
    if before.expected and (len(before.expected) > 1 or (mode is not None and mode not in before.expected)):
        problem = _wrong_mode(opened, before)
        raise NotAuthorised(problem.message, code=problem.code)
    pinned = opened.settings.stripe.account
    if before.staged is None:
        return
    if pinned is not None and before.staged.account != pinned:
        words = f"stripe.account is {pinned}, and what is staged is of {before.staged}"
        raise NotAuthorised(words, code="E-CONN-ACCOUNT")
    if before.staged.key != key_mark(key):
        words = f"the Stripe key is another than the one that {before.staged} was read with; the next sync asks whose it is"
        raise NotAuthorised(words, code="E-CONN-ACCOUNT")


def read_with_this_key(opened: OpenConnection) -> bool:
    """Whether what is staged was read with the key of the settings, so that nobody need ask whose it is."""
    staged = opened.staging.whose()
    try:
        return staged is not None and staged.key == key_mark(_key(opened))
    except SettingsError:
        return True


def rebind(opened: OpenConnection, account: str | None, *, livemode: bool, before: Known) -> str:
    """Bind the connection to another account or mode and forget what was staged; what has happened, in words.

    What the former account left unfinished in the log is skipped by name; its documents stay in the ledger.

    Raises:
        RunStopped: E-LEASE, a run of the connection is at work.
    """
    with held(opened.log.engine, opened.name, now=opened.clock()):
        belongs = Whose(account, livemode, key_mark(_key(opened)))
        gone = opened.staging.claim(belongs, anew=True)
        standing = _give_up(opened, before)
        bind_stripe(opened.log.engine, opened.name, account, livemode=livemode, now=opened.clock())
    words = f"connection {opened.name} is bound to {belongs} from now on, no longer to {before}: {_count(gone, 'staged object')} "
    words += "of it thrown away, and the next sync reads the account from its beginning"
    return words + (f"; {_count(standing, 'document')} of it stay in the ledger and are followed no longer" if standing else "")


def what_rebinding_does(opened: OpenConnection, before: Known) -> str:
    """What ``--rebind`` would do, for whoever is about to decide."""
    kinds: tuple[Kind, ...] = ("customer", "invoice", "charge") if opened.staging.path.is_file() else ()
    staged = sum(opened.staging.summary(kind).rows for kind in kinds)
    standing = sum(opened.log.counts(opened.name).get(state, 0) for state in ("posted", "booked"))
    words = f"cloudify connect {opened.name} --rebind throws away what is staged of {before} "
    words += f"({_count(staged, 'customer, invoice or payment', 'customers, invoices and payments')}), and the next sync reads "
    words += "the key's account from its beginning"
    return words + (f"; {_count(standing, 'document')} of it stay in the ledger and are followed no longer" if standing else "")


def stripe_facts(opened: OpenConnection) -> Mapping[str, str]:
    """The account and mode that the connection is bound to, for people; nothing before the first contact."""
    bound = stripe_binding(opened.log.engine, opened.name)
    if bound is None:
        return {}
    told = f"{bound.account or 'not told by the key'}, since {bound.bound_at:%Y-%m-%d}"
    return {"account": told, "mode": mode_name(livemode=bound.livemode)}


def _give_up(opened: OpenConnection, before: Known) -> int:
    """Skip what the former account left planned, held or failed; how many of its documents stand in the ledger."""
    problem = Problem("S-OTHER-ACCOUNT", f"it belongs to {before}, which this connection no longer reads")
    for kind in _KINDS:
        rows = opened.log.records(opened.name, kind, states=("planned", "held", "failed", "posting"))
        endings = [Ending(kind, row["stripe_id"], "skipped", problem=problem) for row in rows]
        opened.log.record(opened.name, endings, run_id="connect", now=opened.clock())
    return sum(opened.log.counts(opened.name).get(state, 0) for state in ("posted", "booked"))


async def _unproven(opened: OpenConnection, reader: "StripeReader", account: str | None, before: Known) -> Problem | None:
    """Whether objects that were read before are unknown to the key: then it is another account's, whatever its name."""
    from cloudify_pipeline.stripe_source.metadata import knows_any  # noqa: PLC0415

    staged = opened.staging.path.is_file() and not before.foreign
    ids = opened.staging.some_ids(_PROOFS) if staged else []
    ids = ids or some_records(opened.log.engine, opened.name, _PROOFS)
    has = await knows_any(reader, ids)
    if has:
        return None
    if has is False:
        words = f"Stripe does not know {', '.join(ids[:3])} by this key, which connection {opened.name} read of {before}"
        return Problem("E-CONN-ACCOUNT", words, "stripe.api_key")
    if account is None and before.account is not None:
        words = f"connection {opened.name} is bound to {before}, and the key may not tell which account it is for "
        return Problem("E-CONN-ACCOUNT", words + "(Stripe calls the right rak_accounts_kyc_basic_read)", "stripe.api_key")
    return None


async def _mode(opened: OpenConnection, reader: "StripeReader", before: Known) -> bool:
    from cloudify_pipeline.stripe_source.metadata import mode_of  # noqa: PLC0415

    told = key_mode(_key(opened))
    if told is None and before.expected:
        (told,) = before.expected
    return bool(told if told is not None else await mode_of(reader))


def _wrong_mode(opened: OpenConnection, before: Known) -> Problem:
    mode = key_mode(_key(opened))
    key = "a key that names no mode" if mode is None else f"a key of {mode_name(livemode=mode)}"
    words = f"connection {opened.name} reads {before}, and stripe.api_key is {key}"
    return Problem("E-CONN-MODE", words, "stripe.api_key")


def _wrong_account(opened: OpenConnection, before: Known, account: str) -> Problem:
    words = f"connection {opened.name} reads {before}, and the key is for {account}"
    return Problem("E-CONN-ACCOUNT", words, "stripe.api_key", account)


def _fits(bound: StripeBinding, staged: Whose) -> bool:
    same = bound.account is None or staged.account is None or bound.account == staged.account
    return same and bound.livemode == staged.livemode


def _key(opened: OpenConnection) -> str:
    return opened.settings.stripe.api_key.reveal("stripe.api_key")


def _count(count: int, one: str, several: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else several or f'{one}s'}"
