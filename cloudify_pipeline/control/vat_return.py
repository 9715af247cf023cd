"""The VAT return of a period, from what was posted: EU-sales list, boxes, One Stop Shop draft, and whether the ledger agrees.

A document belongs to the period of its date in the ledger. What it is to the VAT return was kept when it was posted; where
that is missing (an older version posted it, or the log was lost) it is decided once more from the staged Stripe object.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from cloudify_pipeline.accounting.documents import Totals
from cloudify_pipeline.accounting.eu_sales import Listed, eu_sales_list, whole
from cloudify_pipeline.accounting.oss_threshold import ThresholdWatch
from cloudify_pipeline.accounting.vat_return import Box, Part, Sale, Supplies, box_sums, parts, rate_sums
from cloudify_pipeline.control.joined import own_object
from cloudify_pipeline.control.opened import OpenConnection, check_books
from cloudify_pipeline.control.planner import plan_connection
from cloudify_pipeline.control.vat_periods import Period
from cloudify_pipeline.control.vat_reconcile import Booked, CodeLine, Difference, code_lines, differences
from cloudify_pipeline.control.vat_threshold import threshold_watch
from cloudify_pipeline.ledgers.port import Ledger, LedgerDocument, SalesEntry
from cloudify_pipeline.planning.plans import PlannedDocument
from cloudify_pipeline.planning.totals import percent
from cloudify_pipeline.planning.vat_return import sale_of
from cloudify_pipeline.posting.decided import decided_sale, in_zone
from cloudify_pipeline.posting.log.store import Identity
from cloudify_pipeline.posting.log.vat_sales import kept_sales, posted_elsewhere
from cloudify_pipeline.posting.standing import PREFIX, stripe_id_of
from cloudify_pipeline.settings.models import VatSettings

RUBRIK_A = "Rubrik A is of goods and services bought abroad: nothing of this pipeline's documents."
NO_ACCOUNTS = (
    "The ledger does not let this app read the accounts (role Bookkeeping or SuperUser): documents are compared by their totals, "
    "and vouchers without an invoice are not seen."
)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Documents dated in the period that are no booked invoices yet, and so in no box: how many, and net per currency."""

    documents: int = 0
    sums: Mapping[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VatReturn:
    """A period. All amounts are in `base_currency`, unrounded; `parts` are what every sum is made of."""

    connection: str
    company: str
    seller: str
    base_currency: str
    period: Period
    parts: tuple[Part, ...]
    listed: tuple[Listed, ...]
    boxes: Mapping[Box, Totals]
    sales_vat: Mapping[tuple[str, Decimal], Totals]
    oss: Mapping[tuple[str, Decimal], Totals]
    codes: tuple[CodeLine, ...]
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]
    waiting: Waiting
    watch: ThresholdWatch | None

    @property
    def documents(self) -> int:
        """How many documents the period has."""
        return len({one.sale.stripe_id for one in self.parts})

    def whole(self, box: Box) -> int:
        """The net of `box` in whole kroner. Rubrik B is the sum of the list's lines, so that both agree to the krone."""
        if box == "b_goods":
            return sum(one.whole_goods for one in self.listed)
        if box == "b_services":
            return sum(one.whole_services for one in self.listed)
        if box == "b_untold":
            return sum(whole(one.untold) for one in self.listed)
        return whole(self.boxes[box].net)

    @property
    def agrees(self) -> bool:
        """Whether ledger, list and boxes agree, and nothing waits for a person's word."""
        return not any(one.counts for one in self.differences)


async def vat_return(opened: OpenConnection, period: Period) -> VatReturn:
    """Read the ledger's period and hold our documents against it; sends only GET.

    Raises:
        NotAuthorised: a token is refused, or it is for other books.
        Unreachable: the ledger does not answer.
    """
    async with opened.ledger() as ledger:
        identity = await check_books(opened, ledger)
        chart = await ledger.chart()
        listed = await ledger.documents_dated(period.first, period.last, ("booked_invoice",))
        booked = _whose(opened, listed, await ledger.sales_entries(period.first, period.last))
        sales, rebuilt = await _sales(opened, ledger, booked)
        gone, waiting = await _elsewhere(opened, ledger, period, booked)
    currency = chart.base_currency
    found, unknown = _in_boxes(opened, sales, currency)
    told = (
        *differences(found, sales, booked, chart),
        *gone,
        *unknown,
        *_without_evidence(booked, sales),
        *_undecided(found),
    )
    notes = [RUBRIK_A]
    if booked.entries is None:
        notes.append(NO_ACCOUNTS)
    if rebuilt:
        notes.append(
            f"{rebuilt} documents have no evidence of their posting; it was decided once more, from what Stripe says now."
        )
    return VatReturn(
        connection=opened.name,
        company=identity.company,
        seller=identity.details.get("company_number", ""),
        base_currency=currency,
        period=period,
        parts=tuple(found),
        listed=eu_sales_list(found),
        boxes=box_sums(found),
        sales_vat=rate_sums(found, "sales_vat"),
        oss=rate_sums(found, "oss"),
        codes=code_lines(found, booked, chart),
        differences=told,
        notes=tuple(notes),
        waiting=waiting,
        watch=threshold_watch(opened, base_currency=currency),
    )


def supplies_of(vat: VatSettings) -> Supplies:
    """What the settings say is goods and what services."""
    return Supplies(vat.supply, vat.supply_default)


def _whose(opened: OpenConnection, listed: Sequence[LedgerDocument], entries: Sequence[SalesEntry] | None) -> Booked:
    """Which of the ledger's invoices are ours: by the number that was linked, else by the key.

    A credit note that somebody copies from an invoice in the ledger carries its key too, and is not ours. Nor is what
    another connection posted: one of this log, or one of another home whose Stripe objects this account does not have.
    """
    linked = _linked(opened)
    keys = {str(one.number): stripe_id_of(one.key) for one in listed if one.key.startswith(PREFIX)}
    unlinked = [one for one in set(keys.values()) if one not in linked]
    by_others = {**dict.fromkeys(_unknown_to_us(opened, unlinked), ""), **posted_elsewhere(opened.log, opened.name, unlinked)}
    by_number = {str(identity.number): stripe_id for stripe_id, identity in linked.items()}
    ours = {by_number[str(one.number)]: one for one in listed if str(one.number) in by_number}
    others = []
    for one in listed:
        stripe_id = keys.get(str(one.number))
        if str(one.number) in by_number:
            continue
        if stripe_id is None or stripe_id in linked or stripe_id in ours or stripe_id in by_others:
            others.append(one)
        else:
            ours[stripe_id] = one
    numbers = (str(one.number) for one in others)
    elsewhere = {number: by_others[keys[number]] for number in numbers if keys.get(number) in by_others}
    return Booked(ours, others, entries, elsewhere)


def _unknown_to_us(opened: OpenConnection, keyed: Sequence[str]) -> set[str]:
    """Those of `keyed` that are not staged; none where nothing is staged at all, which tells nothing."""
    objects = {one: own_object(one) for one in keyed}
    if not objects or not opened.staging.path.is_file() or not opened.staging.summary("invoice").rows:
        return set()
    known = opened.staging.known(list(objects.values()))
    return {one for one, stripe_id in objects.items() if stripe_id not in known}


def _linked(opened: OpenConnection) -> dict[str, Identity]:
    """Our booked invoices, by Stripe id."""
    known = opened.log.identities(opened.name, "document")
    return {stripe_id: identity for stripe_id, identity in known.items() if identity.ledger_kind == "booked_invoice"}


async def _sales(opened: OpenConnection, ledger: Ledger, booked: Booked) -> tuple[dict[str, Sale], int]:
    """What each of our booked invoices is to the VAT return, dated and converted as the ledger has it; how many were rebuilt."""
    known = kept_sales(opened.log, opened.name, ids=list(booked.ours))
    # A run that died behind its booking has not come to keeping the sale; what was decided, it had kept before.
    then = (decided_sale(opened.log, opened.name, stripe_id) for stripe_id in booked.ours if stripe_id not in known)
    known |= {sale.stripe_id: sale for sale in then if sale is not None}
    missing = [stripe_id for stripe_id in booked.ours if stripe_id not in known]
    rebuilt = await _rebuilt(opened, ledger, {one: booked.ours[one] for one in missing}) if missing else {}
    sales = {}
    for stripe_id, document in booked.ours.items():
        sale = known.get(stripe_id) or rebuilt.get(stripe_id)
        if sale is not None:
            base = document.base or sale.base
            sales[stripe_id] = replace(
                sale, date=document.date or sale.date, base=base, number=str(document.number), stored=document.totals
            )
    return sales, len(rebuilt)


async def _rebuilt(opened: OpenConnection, ledger: Ledger, documents: Mapping[str, LedgerDocument]) -> dict[str, Sale]:
    """Decided once more, where the ledger has the document in the zone of today's plan: in another, it was decided otherwise."""
    if not opened.staging.path.is_file():
        return {}
    planned = await plan_connection(opened, ledger, ids=list(documents))
    plans = ((planned.documents.get(stripe_id), stored) for stripe_id, stored in documents.items())
    sales = (sale_of(plan) for plan, stored in plans if isinstance(plan, PlannedDocument) and in_zone(stored, plan))
    return {sale.stripe_id: sale for sale in sales if sale is not None}


async def _elsewhere(opened: OpenConnection, ledger: Ledger, period: Period, booked: Booked) -> tuple[list[Difference], Waiting]:
    """Documents that were posted with a date of the period and are not among its booked invoices."""
    dated = kept_sales(opened.log, opened.name, first=period.first, last=period.last)
    identities = opened.log.identities(opened.name, "document", list(dated))
    identities = {one: identity for one, identity in identities.items() if one not in booked.ours}
    drafts = [one for one, identity in identities.items() if identity.ledger_kind != "booked_invoice"]
    by_hand = await _booked_by_hand(ledger, drafts)
    told = []
    waiting: dict[str, Decimal] = {}
    count = 0
    for stripe_id, identity in identities.items():
        sale, document = dated[stripe_id], by_hand.get(stripe_id)
        if document is None and identity.ledger_kind != "booked_invoice":
            count += 1
            waiting[sale.currency] = waiting.get(sale.currency, Decimal(0)) + sale.totals.net
            continue
        document = document or await ledger.document("booked_invoice", identity.number)
        number = identity.number if document is None else document.number
        about, net = f"invoice {number} ({sale.name})", sale.base.net if sale.base else None
        if document is None:
            told.append(Difference("missing", about, "was posted, and is no longer in the ledger", None, net, None))
        else:
            words = f"was posted for {sale.date.isoformat()}, and the ledger has {document.date}: it counts there"
            told.append(Difference("moved", about, words, None, net, None))
    return told, Waiting(count, waiting)


async def _booked_by_hand(ledger: Ledger, drafts: Sequence[str]) -> dict[str, LedgerDocument]:
    """Those of our drafts that somebody has booked since a run last looked at them, by Stripe id."""
    found = await ledger.documents([f"{PREFIX}{stripe_id}" for stripe_id in drafts]) if drafts else {}
    several = {stripe_id: found.get(f"{PREFIX}{stripe_id}", ()) for stripe_id in drafts}
    return {one: hits[0] for one, hits in several.items() if len(hits) == 1 and hits[0].kind == "booked_invoice"}


def _in_boxes(opened: OpenConnection, sales: Mapping[str, Sale], currency: str) -> tuple[list[Part], list[Difference]]:
    found: list[Part] = []
    unknown = []
    for sale in sorted(sales.values(), key=lambda sale: (sale.date, sale.name)):
        try:
            found += parts(sale, supplies_of(opened.settings.vat), currency)
        except ValueError as error:
            unknown.append(Difference("no_base", sale.name, str(error)))
    return found, unknown


def _without_evidence(booked: Booked, sales: Mapping[str, Sale]) -> Iterator[Difference]:
    for stripe_id, document in booked.ours.items():
        if stripe_id not in sales:
            words = f"has the key of {stripe_id}; in VAT zone {document.vat_zone} of the ledger"
            net = document.base.net if document.base else None
            yield Difference("no_evidence", f"invoice {document.number}", words, None, None, net)


def _undecided(found: Sequence[Part]) -> Iterator[Difference]:
    """What the boxes need and nobody said: a VAT number, goods or services, a box at all."""
    for one in found:
        about = f"invoice {one.sale.number} ({one.sale.name})"
        if one.box in {"b_goods", "b_services", "b_untold"} and one.sale.listed_number is None:
            lacks = (
                f"with the VAT number {one.sale.vat_number}, which is no other member state's"
                if one.sale.vat_number
                else "without a VAT number"
            )
            yield Difference("no_vat_number", about, f"in the zone of EU businesses {lacks}: in no list", one.code, one.net)
        if one.box == "b_untold":
            yield Difference("untold", about, "goods or services?", one.code, one.net)
        if one.box == "unplaced":
            words = f"without VAT to {one.sale.place or 'no known country'}, in a zone that names no kind of buyer"
            if one.rate:
                words = f"at {percent(one.rate)} in a zone that names no kind of buyer: whose VAT is it?"
            yield Difference("unplaced", about, words, one.code, one.net)
