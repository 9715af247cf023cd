"""Connect: whether both sides of a connection answer, who they are, what they may, and how to mend what is wrong."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from cloudify_pipeline.catalogue import entry
from cloudify_pipeline.control import grant
from cloudify_pipeline.control.account import Known, known, other_account, take, what_rebinding_does
from cloudify_pipeline.control.account import rebind as rebind_stripe
from cloudify_pipeline.control.books import second_to, second_words
from cloudify_pipeline.control.chart_checks import named_customers, named_products
from cloudify_pipeline.control.check_first import named_records
from cloudify_pipeline.control.glance import refused_as_read_only
from cloudify_pipeline.control.health import Health, clock_facts, clock_problems, health_of
from cloudify_pipeline.control.opened import GrantAccess, OpenConnection
from cloudify_pipeline.control.planner import Planned
from cloudify_pipeline.errors import Problem, RunStopped, SettingsError
from cloudify_pipeline.ledgers.port import Ledger, LedgerIdentity
from cloudify_pipeline.posting.endings import RecordKind
from cloudify_pipeline.posting.log.stripe_bindings import stripe_binding
from cloudify_pipeline.stripe_objects import named
from cloudify_pipeline.stripe_source.limits import is_loopback
from cloudify_pipeline.stripe_source.metadata import NEEDED_RIGHTS, check_rights

Status = Literal["Connected", "Degraded", "Expired", "ReadOnlyLicence", "NotConnected"]
Severity = Literal["error", "warning"]

_STATUS: Mapping[str, Status] = {
    "E-CONN-GRANT": "Expired",
    "E-CONN-READONLY": "ReadOnlyLicence",
    "E-CONN-ROLE": "Degraded",
    "E-CONN-MODULE": "Degraded",
}
_SILENT = "See that this machine has a network and the address in the settings is right, then run connect again."
TEST_MODE = "test mode: Stripe's test data, no money has moved"
_WORST_LAST: tuple[Status, ...] = ("Connected", "Degraded", "ReadOnlyLicence", "Expired", "NotConnected")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong with one side (stripe, ledger), with what to do. A warning does not keep a run from working."""

    side: Literal["stripe", "ledger"]
    severity: Severity
    code: str
    message: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Side:
    """One side: its status and what it told about itself (account or agreement, currency, rights)."""

    status: Status
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ConnectionReport:
    """Both sides of a connection. `next_command` is what to run now; `bound` whether the books are pinned.

    `install_link` is the page where access is granted: when it is missing or withdrawn, and the app's public token is known.
    """

    connection: str
    status: Status
    stripe: Side
    ledger: Side
    bound: bool
    findings: tuple[Finding, ...]
    next_command: str
    install_link: str | None = None
    points_to: Mapping[str, str] = field(default_factory=dict)
    """Setting → number and name of what it points to in the ledger."""

    @property
    def mistaken(self) -> bool:
        """The settings lack something: that is to be mended first."""
        return any(finding.code == "E-SETTINGS" for finding in self.findings)

    @property
    def connected(self) -> bool:
        """Nothing keeps a run from working."""
        return not any(finding.severity == "error" for finding in self.findings)


async def connect(opened: OpenConnection, *, rebind: bool = False, app_public_token: str | None = None) -> ConnectionReport:
    """Ask both sides who they are, and bind the connection to the ledger's books at first contact.

    `rebind` binds it to other books than before; that is refused once something was posted, because a customer number
    of one agreement is another customer in the next. It binds it to another Stripe account or mode as well: what was
    staged is thrown away, and the finding says what has happened. A grant that is still missing is a finding, for it is
    given by the link that `app_public_token` leads to.

    Raises:
        SettingsError: another secret has no value.
    """
    access = opened.grant_access if grant.missing(opened.grant_access) else None
    stripe_findings: list[Finding] = []
    findings: list[Finding] = []
    seen = Seen()
    if access is not None:
        stripe, (identity, health) = await _stripe_so_far(opened, stripe_findings, seen), (None, Health())
        words = f"{access.key} has {_lacking(access)}: {access.grant!r}"
        findings.append(_finding("ledger", "error", "E-SETTINGS", words, grant.how_to_grant(opened.name, access)))
    else:
        stripe, (identity, health) = await asyncio.gather(_stripe(opened, stripe_findings, seen), _identify(opened, findings))
    findings = stripe_findings + findings
    bound = _bind(opened, identity, findings, rebind=rebind) if identity is not None else False
    _bind_stripe(opened, seen, findings, rebind=rebind)
    if identity is not None:
        _second(opened, identity, findings)
    _compare(opened, stripe, findings)
    sides = {name: _status(findings, name) for name in ("stripe", "ledger")}
    status = max(sides.values(), key=_WORST_LAST.index)
    return ConnectionReport(
        connection=opened.name,
        status=status,
        stripe=Side(sides["stripe"], {**stripe, **_account(opened)}),
        ledger=Side(sides["ledger"], {**(_facts(identity) if identity else {}), **_told(health), **_books(opened)}),
        bound=bound,
        findings=tuple(findings),
        next_command=_next(opened, findings, identity),
        install_link=grant.link(opened.grant_access, app_public_token) if access or sides["ledger"] == "Expired" else None,
        points_to={key: words for key, words in health.facts.items() if "." in key},
    )


@dataclass(slots=True)
class Seen:
    """What Stripe's side is, beside what the connection read so far; `problem`: why it is not the same."""

    account: str | None = None
    livemode: bool = False
    before: Known | None = None
    problem: Problem | None = None


async def _stripe_so_far(opened: OpenConnection, findings: list[Finding], seen: Seen) -> dict[str, str]:
    """As :func:`_stripe`; before the grant is there, a key that is not there yet must not hide how to get the grant."""
    try:
        return await _stripe(opened, findings, seen)
    except SettingsError as error:
        findings += [
            _finding("stripe", "error", "E-SETTINGS", f"{one.key}: {one.found}", f"{one.allowed}.") for one in error.problems
        ]
        return {}


async def _stripe(opened: OpenConnection, findings: list[Finding], seen: Seen) -> dict[str, str]:
    key = opened.settings.stripe.api_key.reveal("stripe.api_key")
    facts = {"key": _kind_of_key(key)}
    try:
        async with opened.stripe(hurry=True) as reader:
            rights = await check_rights(reader)
            ahead = {"stripe": reader.ahead}
            before = await asyncio.to_thread(known, opened)
            seen.problem = await other_account(opened, reader, rights.account.id, before)
            seen.account, seen.livemode, seen.before = rights.account.id, rights.account.livemode, before
    except RunStopped as stopped:
        findings.append(_finding("stripe", "error", stopped.code, stopped.message))
        return facts
    account = rights.account
    facts |= {"mode": "live" if account.livemode else "test"}
    if not account.livemode:
        facts |= {"data": TEST_MODE}
    facts |= {
        name: value for name, value in (("account", account.id), ("name", account.name), ("country", account.country)) if value
    }
    facts |= clock_facts(ahead)
    findings += [_finding("stripe", "warning", one.code, one.found) for one in clock_problems(ahead)]
    for right in rights.refused:
        words = f"the key may not read {right.resource}: {right.why}"
        findings.append(_finding("stripe", "error" if right.vital else "warning", "E-CONN-ROLE", words))
    writes = _writes(opened)
    if opened.may_write and writes and key.startswith("rk_"):
        facts["needs to write"] = f"{' and '.join(writes)} (a key does not tell whether it may)"
    return facts


def _lacking(access: GrantAccess) -> str:
    try:
        access.grant.reveal(access.key)
    except SettingsError as error:
        return error.problems[0].found
    return "a value"


def _writes(opened: OpenConnection) -> list[str]:
    """The write rights that these settings need in Stripe."""
    numbers = opened.settings.customers.number
    wanted = {
        "Invoices": opened.settings.invoices.write_back,
        "Customers": numbers.source == "ledger" and numbers.store_in is not None,
    }
    return [right.resource for right in NEEDED_RIGHTS if right.access == "write" and wanted.get(right.resource, True)]


async def _identify(opened: OpenConnection, findings: list[Finding]) -> tuple[LedgerIdentity | None, Health]:
    """Who the ledger is, and what the settings' numbers point to in it."""
    identity, health = None, Health()
    try:
        async with opened.ledger(hurry=True) as ledger:
            identity = await ledger.identify()
            health = await _health(opened, ledger, identity)
    except RunStopped as stopped:
        findings.append(_finding("ledger", "error", stopped.code, stopped.message))
    if identity is None:
        return None, health
    severity: Severity = "error" if opened.may_write else "warning"
    whose = f"{identity.company} (agreement {identity.agreement})"
    refused = refused_as_read_only(opened.log, opened.name)
    if not identity.can_write:
        findings.append(_finding("ledger", severity, "E-CONN-READONLY", f"{whose} may only be read"))
    elif refused is not None:
        # Reading tells nothing of the licence; only a write shows it, and none is sent from here.
        words = f"{whose} refused the last write, on {refused:%Y-%m-%d %H:%M} UTC: its licence is read-only"
        remedy = f"{entry('E-CONN-READONLY').remedy} After that, cloudify sync {opened.name} shows whether it may write."
        findings.append(_finding("ledger", severity, "E-CONN-READONLY", words, remedy))
    findings += [
        _finding("ledger", "warning", one.code, one.found if one.key == "clock" else f"{one.key}: {one.found}", one.remedy)
        for one in health.problems
        if one.code != "E-CONN-READONLY"
    ]
    return identity, health


async def _health(opened: OpenConnection, ledger: Ledger, identity: LedgerIdentity) -> Health:
    chart = await ledger.chart()
    return health_of(
        opened,
        identity,
        chart,
        now=opened.clock(),
        customers=await named_records(ledger, "customers", named_customers(opened.settings)),
        products=await named_records(ledger, "products", named_products(opened.settings)),
        planned=Planned(),
        ahead={"ledger": ledger.requests.ahead},
    )


def _told(health: Health) -> dict[str, str]:
    """What health knows of the ledger beside its identity."""
    return {name: words for name, words in health.facts.items() if name in {"accounting year", "clock of the ledger"}}


def _bind(opened: OpenConnection, identity: LedgerIdentity, findings: list[Finding], *, rebind: bool) -> bool:
    """Whether the connection is bound to these books now."""
    pinned = opened.pinned_agreement
    before = opened.log.binding(opened.name)
    expected = pinned or (before["agreement"] if before else None)
    if expected is None or expected == identity.agreement:
        currency = before["base_currency"] if before else None
        if currency and currency != identity.base_currency and not rebind:
            words = f"the base currency of agreement {identity.agreement} was {currency}, is {identity.base_currency}"
            findings.append(_finding("ledger", "error", "E-CONN-CURRENCY", words))
            return True
        if before is None or currency != identity.base_currency:
            opened.log.bind(opened.name, identity, opened.clock())
        return True
    where = "by agreement_number in its file" if pinned else "since the first contact"
    words = (
        f"connection {opened.name} is bound to agreement {expected} {where}; these tokens are for {identity.agreement} "
        f"({identity.company})"
    )
    if not rebind or pinned:
        remedy = "Correct agreement_number in the file." if pinned else None
        findings.append(_finding("ledger", "error", "E-CONN-AGREEMENT", words, remedy))
        return False
    kinds: tuple[RecordKind, ...] = ("document", "customer", "product")
    if any(opened.log.identities(opened.name, kind) for kind in kinds):
        remedy = (
            "Give the other books a connection of their own: copy the file under a new name, "
            "with another customers.number.store_in."
        )
        findings.append(_finding("ledger", "error", "E-CONN-AGREEMENT", f"{words}; it has posted there already", remedy))
        return False
    opened.log.bind(opened.name, identity, opened.clock())
    return True


def _bind_stripe(opened: OpenConnection, seen: Seen, findings: list[Finding], *, rebind: bool) -> None:
    """Bind the connection to its Stripe account and mode at first contact; to another one only by a person's word."""
    before, problem = seen.before, seen.problem
    if before is None:
        return
    if problem is None:
        take(opened, seen.account or before.account, livemode=seen.livemode, before=before, stage=False)
        return
    if not rebind or problem.field == "stripe.account" or any(one.severity == "error" for one in findings):
        remedy = "Correct stripe.account in the file, or use a key of that account."
        if problem.field != "stripe.account":
            remedy = f"Use the key of {before}. If this connection is to read the other from now on: "
            remedy += f"{what_rebinding_does(opened, before)}."
        findings.append(_finding("stripe", "error", problem.code, problem.message, remedy))
        return
    try:
        done = rebind_stripe(opened, seen.account, livemode=seen.livemode, before=before)
    except RunStopped as stopped:
        findings.append(_finding("stripe", "error", stopped.code, stopped.message))
        return
    remedy = f"Look with cloudify check {opened.name} and cloudify preview {opened.name} before the next sync."
    findings.append(_finding("stripe", "warning", problem.code, done, remedy))


def _second(opened: OpenConnection, identity: LedgerIdentity, findings: list[Finding]) -> None:
    one = second_to(opened, identity.agreement)
    if one is not None:
        severity: Severity = "error" if opened.may_write else "warning"
        findings.append(_finding("ledger", severity, "E-CONN-SECOND", second_words(opened, one)))


def _account(opened: OpenConnection) -> dict[str, str]:
    """The account of the first contact: known even when Stripe lets nobody in."""
    bound = stripe_binding(opened.log.engine, opened.name)
    if bound is None:
        return {}
    return {"bound to": f"{named(bound.account, livemode=bound.livemode)}, since {bound.bound_at:%Y-%m-%d}"}


def _compare(opened: OpenConnection, stripe: Mapping[str, str], findings: list[Finding]) -> None:
    """Test data has no place in real books (product.md V-37)."""
    section = getattr(opened.settings, opened.settings.ledger, None)
    base = str(getattr(section, "api_base", ""))
    if (stripe.get("mode") or stripe.get("key", "")).endswith("test") and base and not is_loopback(base):
        words = f"test mode: the Stripe key is a test key, and {base} is the real ledger: test invoices are booked in real books "
        words += "unless the agreement is one for trying out"
        remedy = "Use a live key, or the tokens of a trial agreement; leave write_mode at dry_run until then."
        findings.append(_finding("stripe", "warning", "E-CONN-AGREEMENT", words, remedy))


def _finding(
    side: Literal["stripe", "ledger"], severity: Severity, code: str, message: str, remedy: str | None = None
) -> Finding:
    # The catalogue speaks of a run that goes on by itself; here a person waits for the way to mend it.
    silent = _SILENT if code == "E-SERVER" else None
    return Finding(side, severity, code, message, remedy or silent or entry(code).remedy)


def _status(findings: list[Finding], side: str) -> Status:
    statuses = [_STATUS.get(one.code, "NotConnected") for one in findings if one.side == side and one.severity == "error"]
    if any(one.side == side and one.code == "E-CONN-READONLY" for one in findings):
        statuses.append("ReadOnlyLicence")
    return max(statuses, key=_WORST_LAST.index, default="Connected")


def _facts(identity: LedgerIdentity) -> dict[str, str]:
    return {
        "agreement": identity.agreement,
        "company": identity.company,
        "currency": identity.base_currency,
        "user": identity.user,
        "may write": "yes" if identity.can_write else "no",
        **identity.details,
    }


def _books(opened: OpenConnection) -> dict[str, str]:
    """The books of the first contact: known even when the ledger lets nobody in."""
    bound = opened.log.binding(opened.name)
    if bound is None:
        return {}
    since = f"agreement {bound['agreement']}, {bound['company']}, since {bound['bound_at']:%Y-%m-%d}"
    return {"bound to": since}


def _kind_of_key(key: str) -> str:
    """What the key's own prefix says; no other part of it is shown."""
    kinds = {"sk": "secret key", "rk": "restricted key", "pk": "publishable key"}
    kind, _, rest = key.partition("_")
    return f"{kinds.get(kind, 'key of an unknown kind')}, {'test' if rest.startswith('test') else 'live'}"


def _next(opened: OpenConnection, findings: list[Finding], identity: LedgerIdentity | None) -> str:
    codes = {finding.code for finding in findings if finding.severity == "error"}
    if codes == {"E-CONN-READONLY"} and identity is not None and identity.can_write:
        return f"cloudify sync {opened.name}"
    if codes:
        return f"cloudify connect {opened.name}"
    return f"cloudify check {opened.name}"
