"""Check: every number, account and mapping of the settings against the live ledger and the staged data. GET only."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from cloudify_pipeline.accounting.oss_threshold import ThresholdWatch
from cloudify_pipeline.control.causes import Cause, add, causes
from cloudify_pipeline.control.chart_checks import Checked, cells_in_use, named_customers, named_products, other_rates
from cloudify_pipeline.control.check_first import check_settings, named_records
from cloudify_pipeline.control.earlier import earlier_documents
from cloudify_pipeline.control.filled import Filled, filled
from cloudify_pipeline.control.health import health_of, stop_at_other_books
from cloudify_pipeline.control.matrix import Cell, charged
from cloudify_pipeline.control.opened import OpenConnection, check_books
from cloudify_pipeline.control.planner import Planned, plan_connection
from cloudify_pipeline.control.preview import fill
from cloudify_pipeline.control.triggers import Trial, try_triggers
from cloudify_pipeline.control.validations import Checking, NeverSent, never_sent, validate
from cloudify_pipeline.control.vat_threshold import threshold_watch
from cloudify_pipeline.ledgers.port import Ledger
from cloudify_pipeline.planning.plans import Hold, PlannedDocument, Skip
from cloudify_pipeline.posting.log.checks import SettingsCheck


@dataclass(frozen=True, slots=True)
class Preflight:
    """What stands against a sync. `findings` are about the settings, `problems` about records, grouped by cause.

    `facts` are whose books these are and what the configured numbers point to, `matrix` is where VAT comes from, and
    `triggers` what each trigger would have taken and missed.
    """

    connection: str
    facts: Mapping[str, str]
    findings: tuple[Checked, ...]
    matrix: tuple[Cell, ...]
    filled: tuple[Filled, ...]
    problems: tuple[Cause, ...]
    triggers: tuple[Trial, ...]
    never_sent: NeverSent | None
    counts: Mapping[str, int]
    settings_check: SettingsCheck
    """Of settings and chart alone, as it is kept: what decides whether a run may write."""
    eu_consumers: ThresholdWatch | None = None
    """How far the year has come towards the threshold of EUR 10,000, with what is due; None where it is not watched."""

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
        checked = check_settings(opened, identity, chart, customers=customers, products=products)
        planned = await _whole_plan(opened, ledger)
        earlier = await earlier_documents(opened, ledger, planned)
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
    cells = cells_in_use(opened.settings, chart, products, planned, charged(opened, planned))
    found = validate(Checking(opened, identity, chart, planned, earlier))
    return Preflight(
        connection=opened.name,
        facts={**health.facts, **_stripe(opened)},
        findings=(*health.problems, *other_rates(cells), *_loading(opened), *found),
        matrix=cells,
        filled=filled(opened),
        problems=causes(opened, planned),
        triggers=try_triggers(opened),
        never_sent=never_sent(opened, planned),
        counts={
            "planned": sum(isinstance(plan, PlannedDocument) for plan in planned.documents.values()),
            "held": sum(isinstance(plan, Hold) for plan in planned.documents.values()),
            "skipped": sum(isinstance(plan, Skip) for plan in planned.documents.values()),
            "already in the ledger": planned.settled,
            "waiting": planned.waiting,
        },
        settings_check=checked,
        eu_consumers=threshold_watch(opened, base_currency=chart.base_currency, due=planned.documents.values()),
    )


async def _whole_plan(opened: OpenConnection, ledger: Ledger) -> Planned:
    """Everything that is due, also what one run would leave for the next."""
    first = await plan_connection(opened, ledger)
    if not first.waiting:
        return first
    whole = await plan_connection(opened, ledger, ids=list(first.documents), had=first.vat_answers)
    whole.settled, whole.waiting = first.settled, first.waiting
    return whole


def _stripe(opened: OpenConnection) -> dict[str, str]:
    staged = opened.staging.whose()
    return {} if staged is None else {"Stripe": str(staged)}


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
