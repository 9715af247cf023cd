"""Check: every number, account and mapping of the settings against the live ledger and the staged data. GET only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from cloudify_pipeline.accounting.parties import LedgerRecord, Lookup
from cloudify_pipeline.control.causes import Cause, add, causes, stripe_total
from cloudify_pipeline.control.chart_checks import Checked, named_customers, named_products
from cloudify_pipeline.control.filled import Filled, filled
from cloudify_pipeline.control.health import health_of, stop_at_other_books
from cloudify_pipeline.control.opened import OpenConnection, check_books
from cloudify_pipeline.control.planner import Planned, plan_connection
from cloudify_pipeline.control.preview import fill
from cloudify_pipeline.ledgers.port import Ledger
from cloudify_pipeline.mapping.paths import parse_path
from cloudify_pipeline.planning.plans import Hold, PlannedDocument, Skip

_RARELY_EMPTY = Decimal("0.01")
"""A match field that is empty for more than this share of the customers is worth a warning (product.md V-25)."""


@dataclass(frozen=True, slots=True)
class NeverSent:
    """Invoices that wait to be sent and never will be, because Stripe charges them automatically."""

    invoices: int
    sums: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class Preflight:
    """What stands against a sync. `findings` are about the settings, `problems` about records, grouped by cause.

    `facts` are whose books these are and what the configured numbers point to.
    """

    connection: str
    facts: Mapping[str, str]
    findings: tuple[Checked, ...]
    filled: tuple[Filled, ...]
    problems: tuple[Cause, ...]
    never_sent: NeverSent | None
    counts: Mapping[str, int]

    @property
    def errors(self) -> tuple[Checked, ...]:
        """Findings that keep documents from being right."""
        return tuple(finding for finding in self.findings if finding.severity == "error")


async def check(opened: OpenConnection) -> Preflight:
    """Hold the settings against the ledger's chart and what is staged; staging is filled first when it is empty.

    Raises:
        NotAuthorised: a token or key is refused, or they are for other books.
        Unreachable: Stripe or the ledger does not answer.
    """
    await fill(opened)
    async with opened.ledger() as ledger:
        identity = await check_books(opened, ledger)
        stop_at_other_books(opened, identity)
        chart = await ledger.chart()
        customers = await named_records(ledger, "customers", named_customers(opened.settings))
        products = await named_records(ledger, "products", named_products(opened.settings))
        planned = await plan_connection(opened, ledger)
    health = health_of(
        opened,
        identity,
        chart,
        now=opened.clock(),
        customers=customers,
        products=products,
        planned=planned,
        ahead={"ledger": ledger.requests.ahead},
        currencies=_currencies(opened),
    )
    never_sent = _never_sent(opened, planned)
    return Preflight(
        connection=opened.name,
        facts=health.facts,
        findings=(*health.problems, *_loading(opened), *_rare_matches(opened, planned), *_trigger(never_sent)),
        filled=filled(opened, planned),
        problems=causes(opened, planned),
        never_sent=never_sent,
        counts={
            "planned": sum(isinstance(plan, PlannedDocument) for plan in planned.documents.values()),
            "held": sum(isinstance(plan, Hold) for plan in planned.documents.values()),
            "skipped": sum(isinstance(plan, Skip) for plan in planned.documents.values()),
            "already in the ledger": planned.settled,
            "waiting": planned.waiting,
        },
    )


async def named_records(ledger: Ledger, kind: str, numbers: Mapping[str, str]) -> dict[str, LedgerRecord | None]:
    """The ledger's records that the settings name, by setting; None where there is none."""
    lookups = {key: Lookup("number", number) for key, number in numbers.items()}
    wanted = list(dict.fromkeys(lookups.values()))
    if not wanted:
        return {}
    found = await (ledger.customers(wanted) if kind == "customers" else ledger.products(wanted))
    return {
        key: next((record for record in found.get(lookup, ()) if str(record.number) == lookup.value), None)
        for key, lookup in lookups.items()
    }


def _currencies(opened: OpenConnection) -> dict[str, Decimal]:
    """Sums of what is staged, per currency."""
    staged = (opened.staging.summary(kind).sums for kind in ("invoice", "charge"))
    return add((currency, amount) for sums in staged for currency, amount in sums.items())


def _loading(opened: OpenConnection) -> list[Checked]:
    """What loading the file thought worth a warning."""
    compiled = opened.loaded.mappings
    sections = (compiled.customers, compiled.products, compiled.documents, compiled.lines)
    warnings = dict.fromkeys([*opened.loaded.warnings, *(text for section in sections for text in section.warnings)])
    return [Checked("fields", "warning", "E-MAPPING", text, "Look whether this is meant.") for text in warnings]


def _rare_matches(opened: OpenConnection, planned: Planned) -> list[Checked]:
    """Match fields that are empty for many of the customers that are needed now."""
    staged = opened.staging.objects("customer", list(planned.customers))
    findings = []
    for index, pair in enumerate(opened.settings.customers.match):
        path = parse_path(pair.stripe)
        empty = [stripe_id for stripe_id, customer in staged.items() if path.read(customer) in (None, "")]
        if staged and len(empty) > _RARELY_EMPTY * len(staged):
            words = f"{pair.stripe} is empty for {len(empty)} of {len(staged)} customers: {_some(empty)}"
            remedy = "Fill it in Stripe, or match on a field that is always filled."
            findings.append(Checked(f"customers.match[{index}]", "warning", "E-MATCH-EMPTY", words, remedy))
    return findings


def _never_sent(opened: OpenConnection, planned: Planned) -> NeverSent | None:
    ids = [
        stripe_id
        for stripe_id, plan in planned.documents.items()
        if isinstance(plan, Skip) and plan.code == "S-NEVER-SENT" and stripe_id.startswith("in_")
    ]
    if not ids:
        return None
    staged: Mapping[str, dict[str, Any]] = opened.staging.objects("invoice", ids)
    return NeverSent(len(ids), add(stripe_total(invoice) for invoice in staged.values()))


def _trigger(never_sent: NeverSent | None) -> list[Checked]:
    if never_sent is None:
        return []
    amounts = " · ".join(f"{amount:,.2f} {currency}" for currency, amount in never_sent.sums.items())
    words = (
        f"{never_sent.invoices} invoices ({amounts}) are charged automatically and so never sent; no rule will ever fire for them"
    )
    return [Checked("invoices.rules", "warning", "S-NEVER-SENT", words, "Use when: paid or when: finalized for them.")]


def _some(ids: Sequence[str]) -> str:
    return ", ".join(ids[:10]) + (f" and {len(ids) - 10} more" if len(ids) > 10 else "")
