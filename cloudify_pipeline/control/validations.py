"""What must hold before going live, beyond the numbers of the chart: each a named validation with its own test.

V-… are the rules of reference/product.md §5b B11; those about the chart's own numbers are in :mod:`.chart_checks`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from cloudify_pipeline.accounting.chart import Chart
from cloudify_pipeline.accounting.money import format_money
from cloudify_pipeline.catalogue import entry
from cloudify_pipeline.control.affected import staged_records
from cloudify_pipeline.control.books import second_words, shared_books
from cloudify_pipeline.control.causes import add, stripe_total
from cloudify_pipeline.control.chart_checks import Checked
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.control.planner import Planned
from cloudify_pipeline.ledgers.port import LedgerDocument, LedgerIdentity
from cloudify_pipeline.mapping.paths import parse_path
from cloudify_pipeline.planning.plans import PlannedDocument, Skip
from cloudify_pipeline.settings.local import ledger_is_local

RARELY_EMPTY = Decimal("0.01")
"""A match field that is empty for more than this share of the customers is worth a warning."""
_SETTLING = frozenset({"paidInCash", "creditcard"})
"""Types of payment terms by which the ledger itself settles an invoice when it is booked (product.md §4.4)."""


@dataclass(frozen=True, slots=True)
class Checking:
    """What a validation looks at."""

    opened: OpenConnection
    identity: LedgerIdentity
    chart: Chart
    planned: Planned
    earlier: tuple[LedgerDocument, ...] = ()
    """What the ledger has of the customers that are due, from before this program posted anything."""


@dataclass(frozen=True, slots=True)
class NeverSent:
    """Invoices that wait to be sent and never will be, because Stripe charges them automatically."""

    invoices: int
    sums: Mapping[str, Decimal]


def validate(checking: Checking) -> tuple[Checked, ...]:
    """What every validation finds, in order."""
    return tuple(found for validation in VALIDATIONS for found in validation(checking))


def validate_settings(checking: Checking) -> tuple[Checked, ...]:
    """What those find that look at settings and ledger; with nothing planned, of these alone."""
    return tuple(found for validation in OF_SETTINGS for found in validation(checking))


def match_fields_are_filled(checking: Checking) -> Iterator[Checked]:
    """V-25: a field that customers are matched on is filled for nearly all of them."""
    settings = checking.opened.settings.customers
    paths = [parse_path(pair.stripe) for pair in settings.match]
    empty: list[list[str]] = [[] for _ in paths]
    of = everywhere = 0
    for stripe_id, customer in staged_records(checking.opened.staging, "customers"):
        of += 1
        lacks = [path.read(customer) in (None, "") for path in paths]
        everywhere += all(lacks)
        for ids, lacking in zip(empty, lacks, strict=True):
            if lacking:
                ids.append(stripe_id)
    after = {
        "error": "each of them is held",
        "next_pair": f"the next pair is tried, and {everywhere} have none of them and are held",
        "create": f"{everywhere} have none of them, and each becomes a new customer",
    }[settings.on_empty_match_field]
    for place, (pair, ids) in enumerate(zip(settings.match, empty, strict=True)):
        if len(ids) > RARELY_EMPTY * of:
            words = f"{pair.stripe} is empty for {len(ids)} of {of} customers; {after}: {_some(ids)}"
            remedy = "Fill it in Stripe, or match on a field that is always filled."
            yield Checked(f"customers.match[{place}]", "warning", "E-MATCH-EMPTY", words, remedy)


def trigger_reaches_the_invoices(checking: Checking) -> Iterator[Checked]:
    """V-26: a rule for sent invoices takes none that are charged automatically; how many, and for how much."""
    lost = never_sent(checking.opened, checking.planned)
    if lost is not None:
        words = f"{lost.invoices} invoices ({_amounts(lost.sums)}) are charged automatically and so never sent; "
        words += "no rule will ever fire for them"
        yield Checked("invoices.rules", "warning", "S-NEVER-SENT", words, entry("S-NEVER-SENT").remedy)


def terms_do_not_settle_twice(checking: Checking) -> Iterator[Checked]:
    """V-31: with cash or card terms the ledger settles at booking; a payment from the journal would settle it again."""
    settings = checking.opened.settings
    if not settings.journal.enabled:
        return
    terms = {settings.customers.defaults.payment_terms: "customers.defaults.payment_terms"}
    for plan in checking.planned.documents.values():
        if isinstance(plan, PlannedDocument):
            terms.setdefault(plan.document.payment_terms, f"the customer of {plan.document.stripe_number or plan.stripe_id}")
    for number, where in terms.items():
        known = checking.chart.payment_terms.get(number)
        if known is not None and known.type in _SETTLING:
            words = f"payment terms {number} ({known.name}) are of the type {known.type}: the ledger settles the invoice when it "
            words += "is booked, and the journal would post its payment once more"
            yield Checked(where, "error", "E-TERMS-TYPE", words, "Choose other payment terms, or set journal.enabled: false.")


def electronic_invoices_can_be_sent(checking: Checking) -> Iterator[Checked]:
    """V-34: sending by EAN needs a CVR number of the seller, and an EAN number and a contact on every document."""
    if checking.opened.settings.invoices.send_by != "ean":
        return
    remedy = entry("E-EAN").remedy
    if not checking.identity.details.get("company_number"):
        words = f"{checking.identity.company} has no CVR number in the ledger"
        yield Checked("invoices.send_by", "error", "E-EAN", words, "Enter the company's CVR number in the ledger.")
    if checking.identity.details.get("electronic_invoices") == "no":
        words = f"{checking.identity.company} is not set up to send electronic invoices"
        yield Checked("invoices.send_by", "error", "E-EAN", words, "Register for electronic invoicing in the ledger.")
    documents = [plan for plan in checking.planned.documents.values() if isinstance(plan, PlannedDocument)]
    for what, target in (("EAN number", "recipient.ean"), ("contact", "recipient.attention.customerContactNumber")):
        lacking = [plan.stripe_id for plan in documents if not plan.document.fields.get(target)]
        if lacking:
            words = f"{len(lacking)} of {len(documents)} documents have no {what} of the buyer ({target}): {_some(lacking)}"
            yield Checked("invoices.send_by", "error", "E-EAN", words, remedy)


def stripe_test_data_stay_out_of_real_books(checking: Checking) -> Iterator[Checked]:
    """V-37: what Stripe marks as test data has no place in books that are not on this machine.

    Stripe says `livemode` of every object. No answer of a ledger tells a trial from a company's own books; all that is
    known is whether its address is this machine's. People try on a trial agreement, so it is a warning.
    """
    opened = checking.opened
    staged = any(opened.staging.summary(kind).rows for kind in ("customer", "invoice"))
    if not staged or not opened.staging.test_mode() or ledger_is_local(opened.settings):
        return
    books = f"{checking.identity.company} (agreement {checking.identity.agreement})"
    words = f"test mode: Stripe's data are test data, and {books} may be real books"
    remedy = "Use a live key of Stripe. In an agreement that was made for trying out, test data do no harm."
    yield Checked("stripe.api_key", "warning", "E-SETTINGS", words, remedy)


def books_are_shared_knowingly(checking: Checking) -> Iterator[Checked]:
    """V-38: two connections into the same books are for two Stripe accounts; documents of one account have one writer."""
    opened, agreement = checking.opened, checking.identity.agreement
    for one in shared_books(opened, agreement):
        if one.first:
            yield Checked("ledger", "error", "E-CONN-SECOND", second_words(opened, one), entry("E-CONN-SECOND").remedy)
        elif one.pair == "same":
            words = (
                f"connection {one.connection} reads the same Stripe account into agreement {agreement} ({one.why}) and is refused"
            )
            yield Checked("ledger", "warning", "E-CONN-SECOND", words, f"Remove the file of {one.connection}.")
        elif one.pair == "unknown":
            words = f"connection {one.connection} writes to agreement {agreement} too, and nothing tells its Stripe account"
            remedy = "Right for another Stripe account; for the same one keep a single connection."
            yield Checked("ledger", "warning", "E-SETTINGS", words, remedy)


def barred_periods_can_be_read(checking: Checking) -> Iterator[Checked]:
    """Closed and barred are two things; where the ledger does not tell which periods are barred, a booking may be refused."""
    if not checking.chart.barred_known:
        words = "the ledger does not let this app read which periods are barred; closed ones are known"
        remedy = "Give the app the role that the README names for accounting years, or close what you bar."
        yield Checked("accounting year", "warning", "E-PERIOD", words, remedy)


def what_stands_already_is_not_booked_again(checking: Checking) -> Iterator[Checked]:
    """The past of an old ledger is somebody else's work: `go_live_from` says where ours begins."""
    earlier = checking.earlier
    if earlier:
        customers = len({str(one.customer) for one in earlier})
        words = (
            f"go_live_from is not set, and the ledger has {len(earlier)} documents of {customers} of the customers that are due, "
        )
        words += (
            f"since {earlier[0].date} (the last of {earlier[-1].date}); all that Stripe has had since its first invoice is due"
        )
        yield Checked("go_live_from", "warning", "E-EARLIER", words, entry("E-EARLIER").remedy)


Validation = Callable[[Checking], Iterator[Checked]]

VALIDATIONS: tuple[Validation, ...] = (
    match_fields_are_filled,
    trigger_reaches_the_invoices,
    terms_do_not_settle_twice,
    electronic_invoices_can_be_sent,
    stripe_test_data_stay_out_of_real_books,
    books_are_shared_knowingly,
    barred_periods_can_be_read,
    what_stands_already_is_not_booked_again,
)
OF_SETTINGS: tuple[Validation, ...] = (terms_do_not_settle_twice, electronic_invoices_can_be_sent)
"""Those whose errors make every document wrong, whatever is staged. Who shares the books is asked anew by each run."""


def never_sent(opened: OpenConnection, planned: Planned) -> NeverSent | None:
    """The invoices that no rule will ever fire for, because they are charged automatically; None without any."""
    ids = [
        stripe_id
        for stripe_id, plan in planned.documents.items()
        if isinstance(plan, Skip) and plan.code == "S-NEVER-SENT" and stripe_id.startswith("in_")
    ]
    if not ids:
        return None
    staged: Mapping[str, dict[str, Any]] = opened.staging.objects("invoice", ids)
    return NeverSent(len(ids), add(stripe_total(invoice) for invoice in staged.values()))


def _amounts(sums: Mapping[str, Decimal]) -> str:
    return " · ".join(format_money(amount, currency) for currency, amount in sorted(sums.items()))


def _some(ids: Sequence[str]) -> str:
    return ", ".join(ids[:10]) + (f" and {len(ids) - 10} more" if len(ids) > 10 else "")
