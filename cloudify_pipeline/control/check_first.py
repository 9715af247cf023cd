"""No write on unchecked settings: before anything is sent, they are held against the live chart, once for each settings.

Whatever may write asks :func:`check_first`. What was green once is not asked again: when the ledger moves later, the change
is told as drift and holds what it touches, and everything else goes on. Warnings and held records refuse nothing.
"""

from collections.abc import Mapping, Sequence

from cloudify_pipeline.accounting.chart import Chart
from cloudify_pipeline.accounting.parties import LedgerRecord, Lookup
from cloudify_pipeline.catalogue import entry
from cloudify_pipeline.control.alerts import clear_alert, open_alerts, raise_alert
from cloudify_pipeline.control.chart_checks import Checked, check_chart, named_customers, named_products
from cloudify_pipeline.control.health import stop_at_other_books
from cloudify_pipeline.control.opened import OpenConnection, check_books
from cloudify_pipeline.control.planner import Planned
from cloudify_pipeline.control.settings_checked import REFUSED, bound_to, is_green
from cloudify_pipeline.control.validations import Checking, validate_settings
from cloudify_pipeline.errors import SettingsError, SettingsProblem
from cloudify_pipeline.ledgers.port import Ledger, LedgerIdentity
from cloudify_pipeline.posting.log.checks import SettingError, SettingsCheck, keep_check
from cloudify_pipeline.settings.load import checked_hash

ALERT = f"settings:{REFUSED}"
"""The alert that no run may write. It lasts until a check is green, or nothing is to be written."""
_NAMED = 5


async def check_first(opened: OpenConnection) -> None:
    """Let a run that may write go on only with settings that were green against these books; else check them now. GET only.

    Raises:
        SettingsError: E-CHECK-FIRST with every error; nothing was sent.
        NotAuthorised: a token is refused, or is for other books: nobody can say whether the settings are right.
        Unreachable: the ledger does not answer: likewise.
    """
    if not opened.may_write:
        _over(opened)
        return
    books = bound_to(opened)
    if books is not None and is_green(opened, books):
        _over(opened)
        return
    async with opened.ledger() as ledger:
        identity = await check_books(opened, ledger)
        if is_green(opened, identity.agreement):
            _over(opened)
            return
        stop_at_other_books(opened, identity)
        chart = await ledger.chart()
        customers = await named_records(ledger, "customers", named_customers(opened.settings))
        products = await named_records(ledger, "products", named_products(opened.settings))
    check = check_settings(opened, identity, chart, customers=customers, products=products)
    if check.errors:
        raise_alert(opened, "failed", ALERT, _message(opened, check), facts=_facts(opened, check))
        where = f"{opened.loaded.path.name} does not fit {identity.company} (agreement {identity.agreement})"
        problems = [SettingsProblem(one.key, f"{one.code}: {one.found}", one.remedy) for one in check.errors]
        raise SettingsError(where, problems, code=REFUSED)


def check_settings(
    opened: OpenConnection,
    identity: LedgerIdentity,
    chart: Chart,
    *,
    customers: Mapping[str, LedgerRecord | None],
    products: Mapping[str, LedgerRecord | None],
) -> SettingsCheck:
    """Hold the settings against the chart alone, whatever is staged, and keep the result; one that is green ends the alert.

    `customers` and `products` are the records that the settings name, by setting.
    """
    nothing = Planned()
    found = (
        *check_chart(opened.settings, chart, customers, products, nothing, currencies={}, now=opened.clock()),
        *validate_settings(Checking(opened, identity, chart, nothing)),
    )
    check = SettingsCheck(checked_hash(opened.settings), identity.agreement, opened.clock(), _errors(found))
    if not check.errors:
        _over(opened)
    return keep_check(opened.log.engine, opened.name, check)


def is_refused(opened: OpenConnection) -> bool:
    """Whether runs are refused: the last one that might have written was, and no check was green since."""
    return any(alert.key == ALERT for alert in open_alerts(opened))


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


def _over(opened: OpenConnection) -> None:
    if is_refused(opened):
        clear_alert(opened, ALERT)


def _errors(found: Sequence[Checked]) -> tuple[SettingError, ...]:
    return tuple(SettingError(one.key, one.code, one.found, one.remedy) for one in found if one.severity == "error")


def _message(opened: OpenConnection, check: SettingsCheck) -> str:
    named = "; ".join(f"{one.key}: {one.code}: {one.found}" for one in check.errors[:_NAMED])
    more = f"; and {len(check.errors) - _NAMED} more" if len(check.errors) > _NAMED else ""
    return f"{REFUSED}: {entry(REFUSED).cause} {named}{more}. {entry(REFUSED).remedy} Look: cloudify check {opened.name}"


def _facts(opened: OpenConnection, check: SettingsCheck) -> dict[str, object]:
    return {
        "code": REFUSED,
        "count": len(check.errors),
        "errors": [f"{one.key}: {one.code}: {one.found}" for one in check.errors],
        "remedy": entry(REFUSED).remedy,
        "look": f"cloudify check {opened.name}",
    }
