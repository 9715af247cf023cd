"""What Stripe has that takes posted documents back, in the order in which it does: nothing is read but ids and amounts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from cloudify_pipeline.accounting.money import to_minor
from cloudify_pipeline.control.joined import DISPUTES
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.planning.paid_twice import INVOICED
from cloudify_pipeline.posting.log.standing import posted_amounts
from cloudify_pipeline.posting.log.store import Identity
from cloudify_pipeline.posting.originals import RETURNED
from cloudify_pipeline.staging.corrections import StagedDispute, StagedNote, StagedRefund

ClosedState = Literal["void", "uncollectible"]
ENDINGS: tuple[ClosedState, ...] = ("uncollectible", "void")
UNDONE = frozenset({"failed", "canceled"})
"""A refund that came to nothing (reference/stripe.md): Stripe has the money again."""
LOST = "lost"
"""The one status in which a dispute takes a sale back: an inquiry, an open one and an appeal decide nothing."""
WON: Literal["won"] = "won"


@dataclass(frozen=True, slots=True)
class Claim:
    """One thing that takes a document back. `minor` is how much, None for all that is left (minor units).

    `status` is Stripe's own word; `posted`: it is a document, or is to become one; `before` what was taken off before it.
    A refund that did not succeed after it was posted is `returned`: it takes off less than nothing.
    """

    id: str
    original: str
    kind: Literal["credit_note", "refund", "dispute", "void", "uncollectible", "returned", "invoiced"]
    status: str
    content_hash: str
    minor: int | None
    posted: bool
    before: int = 0
    only_notes: bool = True
    """Whether all that was taken off before it was taken off by credit notes, whose VAT is known."""
    refunds: tuple[str, ...] = ()
    """Refunds and disputes a credit note is for that stand in the ledger as documents of their own: it is posted by them."""
    explains: tuple[str, ...] = ()
    """All refunds and disputes a credit note is or may be for, whatever is known of them."""
    notes: tuple[str, ...] = ()
    """Credit notes that somebody may have written for a dispute that was lost."""


def claims(opened: OpenConnection, standing: Mapping[str, Identity]) -> list[Claim]:
    """Every claim on a document, those on the same one in the order in which they count."""
    staged = opened.staging
    with staged.reading():
        notes, refunds, closed = staged.credit_notes(), staged.refunds(), staged.closed_invoices()
        disputes = staged.disputes()
    amounts = _posted(
        opened, [one for one in standing if one.startswith(("re_", "pyr_", *DISPUTES)) or one.endswith((*_OF_STATES, INVOICED))]
    )
    named: list[Claim] = [*_notes(opened, notes, disputes, standing), *_refunds(opened, notes, refunds, standing, amounts)]
    named += _disputes(opened, notes, disputes, standing, amounts)
    named += _closed(opened, closed, standing, amounts)
    named += [
        Claim(i, i.removesuffix(INVOICED), "invoiced", "paid", one.source_hash, amounts.get(i), posted=True)
        for i, one in standing.items()
        if i.endswith(INVOICED)
    ]
    # What stands counts first: what is new may take off no more than the rest.
    return list(_in_order(sorted(named, key=lambda one: one.id not in standing)))


_OF_STATES = tuple(f":{state}" for state in ENDINGS)


def _posted(opened: OpenConnection, ids: Sequence[str]) -> dict[str, int]:
    """What corrections that stand in the ledger take off, by id; minor units."""
    amounts = posted_amounts(opened.log, opened.name, ids) if ids else {}
    return {
        stripe_id: to_minor(-total, currency)
        for stripe_id, (total, currency) in amounts.items()
        if total is not None and currency is not None
    }


def _notes(
    opened: OpenConnection, notes: Iterable[StagedNote], disputes: Iterable[StagedDispute], standing: Mapping[str, Identity]
) -> Iterable[Claim]:
    wanted = opened.settings.invoices.credit_notes
    for note in notes:
        # What stands in the ledger counts, whatever has become of it in Stripe.
        stands = note.id in standing
        answers = [*note.refunds, *(one.id for one in disputes if note.out_of_band and _may_be_for(note, one))]
        by = () if stands else tuple(one for one in answers if one in standing and f"{one}{RETURNED}" not in standing)
        posted = stands or (wanted and note.status == "issued" and not by)
        yield Claim(
            note.id, note.invoice, "credit_note", note.status, note.content_hash, note.amount_minor, posted,
            refunds=by, explains=tuple(answers),
        )  # fmt: skip


def _refunds(
    opened: OpenConnection,
    notes: Iterable[StagedNote],
    refunds: Iterable[StagedRefund],
    standing: Mapping[str, Identity],
    amounts: Mapping[str, int],
) -> Iterable[Claim]:
    """Refunds as far as no credit note says what they are for, each followed by what takes it back itself."""
    of_notes: dict[str, int] = {}
    for note in notes:
        for refund, minor in note.refunds.items():
            of_notes[refund] = of_notes.get(refund, 0) + (minor if note.status == "issued" else 0)
    wanted = opened.settings.invoices.corrections.refunds == "credit"
    for one in refunds:
        original = _sale(one, standing)
        if original is None:
            continue
        stands = standing.get(one.id)
        minor = max(0, one.amount_minor - of_notes.get(one.id, 0))
        if stands is not None:
            minor = amounts.get(one.id, one.amount_minor)
        posted = stands is not None or (wanted and one.status == "succeeded" and minor > 0)
        yield Claim(one.id, original, "refund", one.status, one.content_hash, minor, posted)
        back = f"{one.id}{RETURNED}"
        booked = stands is not None and stands.ledger_kind == "booked_invoice"
        if back in standing or (booked and wanted and one.status in UNDONE):
            yield Claim(back, original, "returned", one.status, one.content_hash, -minor, posted=True)


def _sale(one: StagedRefund | StagedDispute, standing: Mapping[str, Identity]) -> str | None:
    """The document that a refund or dispute takes back: the payment's own, as long as that stands for the sale."""
    own = one.charge if one.charge in standing and f"{one.charge}{INVOICED}" not in standing else None
    return own if own is not None and one.invoice not in standing else one.invoice or one.charge


def _may_be_for(note: StagedNote, dispute: StagedDispute) -> bool:
    """Whether `note` may have been written for the loss of `dispute`: Stripe keeps no link, and gives no money back for it."""
    after = note.invoice == dispute.invoice and note.created >= dispute.created
    return after and note.out_of_band > 0 and note.status == "issued"


def _disputes(
    opened: OpenConnection,
    notes: Sequence[StagedNote],
    disputes: Iterable[StagedDispute],
    standing: Mapping[str, Identity],
    amounts: Mapping[str, int],
) -> Iterable[Claim]:
    """Disputes, each followed by what takes it back when it is won after it was posted as lost."""
    wanted = opened.settings.invoices.corrections.disputes == "credit"
    outside = [note for note in notes if note.out_of_band]
    for one in disputes:
        original = _sale(one, standing)
        if original is None:
            continue
        stands = standing.get(one.id)
        minor = one.amount_minor if stands is None else amounts.get(one.id, one.amount_minor)
        by = () if stands is not None else tuple(note.id for note in outside if _may_be_for(note, one))
        posted = stands is not None or (wanted and one.status == LOST and minor > 0 and not by)
        yield Claim(one.id, original, "dispute", one.status, one.content_hash, minor, posted, notes=by)
        back = f"{one.id}{RETURNED}"
        booked = stands is not None and stands.ledger_kind == "booked_invoice"
        if back in standing or (booked and wanted and one.status == WON):
            yield Claim(back, original, "returned", one.status, one.content_hash, -minor, posted=True)


def _closed(
    opened: OpenConnection,
    closed: Mapping[str, tuple[str, str]],
    standing: Mapping[str, Identity],
    amounts: Mapping[str, int],
) -> Iterable[Claim]:
    """Booked invoices that are void or uncollectible now, and those that were and are not any more."""
    settings = opened.settings.invoices.corrections
    wanted: Mapping[str, bool] = {"void": settings.voided == "credit", "uncollectible": settings.uncollectible == "credit"}
    of_old = [one for one in standing if one.endswith(_OF_STATES)]
    hashes = opened.staging.content_hashes("invoice", [one.partition(":")[0] for one in of_old]) if of_old else {}
    for state in ENDINGS:
        for invoice_id, (status, digest) in closed.items():
            booked = invoice_id in standing and standing[invoice_id].ledger_kind == "booked_invoice"
            if status == state and booked and wanted[state] and f"{invoice_id}:{state}" not in standing:
                # Its other ending took back all that was left, also where a log that was lost cannot tell how much.
                left = 0 if any(f"{invoice_id}{one}" in standing for one in _OF_STATES) else None
                yield Claim(f"{invoice_id}:{state}", invoice_id, state, status, digest, left, posted=True)
        for one in of_old:
            invoice_id, _, ending = one.partition(":")
            if ending == state:
                status = closed.get(invoice_id, ("neither", ""))[0]
                yield Claim(one, invoice_id, state, status, hashes.get(invoice_id, ""), amounts.get(one), posted=True)


def _in_order(named: Iterable[Claim]) -> Iterable[Claim]:
    taken: dict[str, int] = {}
    others: set[str] = set()
    for one in named:
        before = taken.get(one.original, 0)
        yield replace(one, before=before, only_notes=one.original not in others)
        if one.posted and one.minor is not None:
            taken[one.original] = before + one.minor
        if one.posted and one.kind != "credit_note":
            others.add(one.original)
