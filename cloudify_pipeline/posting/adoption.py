"""What stands in the ledger and carries a key of ours is ours, whoever wrote it and whatever this log says.

The log may be a backup's, a copy, or new; another home may have posted meanwhile, and a person may have booked a draft. So
no create leaves before the ledger was looked at: its drafts and open orders, and what was booked since the last look.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cloudify_pipeline.ledgers.port import LedgerDocument, StoredKind
from cloudify_pipeline.posting.log.looks import LastLook, last_look, look_change, met_elsewhere
from cloudify_pipeline.posting.log.store import Identity, LogChange
from cloudify_pipeline.posting.protocol import Executor
from cloudify_pipeline.posting.standing import FOUND, PREFIX, SEVERAL, concluded, linking, stripe_id_of

FRESH = timedelta(minutes=20)
"""How long a look holds. With the longest portion behind it, a second home's create is younger than the ledger's memory of it."""

_PART = 500

Ours = Callable[[Sequence[str]], Collection[str]]
"""Those of some Stripe ids that are of the connection's own Stripe account."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at the ledger found, by Stripe id; `adopted` are those that this log did not know."""

    at: datetime
    found: Mapping[str, tuple[LedgerDocument, ...]] = field(default_factory=dict)
    adopted: frozenset[str] = frozenset()

    def is_fresh(self, now: datetime) -> bool:
        """Whether creates may still rely on it."""
        return abs(now - self.at) < FRESH

    def single(self, stripe_id: str) -> LedgerDocument | None:
        """The document of `stripe_id` where it was adopted and is the only one."""
        hits = self.found.get(stripe_id, ())
        return hits[0] if len(hits) == 1 and stripe_id in self.adopted else None


async def look(executor: Executor, ours: Ours, planned: Sequence[str]) -> Look:
    """Look at the ledger and remember every document that is ours and that this log does not know.

    `planned` are the Stripe ids that are about to be posted, or decide whether something is: one that an earlier look took for
    another account's is found again.
    """
    log, connection, now = executor.log, executor.connection, executor.clock()
    before = last_look(log, connection)
    keyed = await executor.ledger.keyed_documents(PREFIX, after=before.mark if before else None)
    found: dict[str, list[LedgerDocument]] = {}
    for document in keyed.documents:
        found.setdefault(stripe_id_of(document.key), []).append(document)
    known = log.identities(connection, "document", [*found, *planned])
    unknown = [stripe_id for stripe_id in found if stripe_id not in known]
    mine = set(ours(unknown)) if unknown else set()
    open_keys = {key for _, key in log.open_keys(connection)}
    late = [one for one in met_elsewhere(log, connection, planned) if one not in known and one not in found]
    keys = {f"{PREFIX}{one}": one for one in late}
    for key, hits in (await executor.ledger.documents(list(keys))).items() if keys else ():
        if hits:
            found[keys[key]] = list(hits)
            mine.add(keys[key])
    doubled = [one for one in known if known[one].how != SEVERAL and _stands_twice(known[one], found.get(one, ()))]
    links = [change for one in (*mine, *doubled) for change in _linked(executor, one, found[one], open_keys)]
    for start in range(0, len(links), _PART):
        await executor.commit(*links[start : start + _PART])
    # Last: a look that breaks off is made again from where the one before it ended.
    elsewhere = [stripe_id for stripe_id in unknown if stripe_id not in mine]
    await executor.commit(look_change(connection, LastLook(keyed.mark, now), elsewhere))
    return Look(now, {stripe_id: tuple(documents) for stripe_id, documents in found.items()}, frozenset(mine))


def _stands_twice(standing: Identity, hits: Sequence[LedgerDocument]) -> bool:
    """Whether another document says the same; one of another amount is a person's, as a credit note made from the first."""
    own = next((one for one in hits if (one.kind, one.number) == (standing.ledger_kind, standing.number)), None)
    alike = [one for one in hits if own is not None and (one.currency, one.totals.gross) == (own.currency, own.totals.gross)]
    return len(alike) > 1


def _linked(
    executor: Executor, stripe_id: str, documents: Sequence[LedgerDocument], unanswered: Collection[str]
) -> list[LogChange]:
    # Of several that carry one key, which is the right one is a person's to say; until then none is posted beside them.
    how = FOUND if len(documents) == 1 else SEVERAL
    booked = next((document for document in documents if document.kind == "booked_invoice"), documents[0])
    key = f"{PREFIX}{stripe_id}"
    closed = concluded(executor, key, booked) if key in unanswered else []
    return [linking(executor, stripe_id, booked, how, ""), *closed]


UNBOOKED: frozenset[StoredKind] = frozenset({"draft_invoice", "draft_order"})
_BY_KEY = frozenset({"created", FOUND})
"""How a document came to be linked that carries our key; one that a person has linked carries none."""


def open_kinds(identities: Mapping[str, Identity]) -> frozenset[StoredKind]:
    """Of drafts and open orders, the kinds that this log knows some of."""
    return frozenset(one.ledger_kind for one in identities.values() if one.ledger_kind in UNBOOKED and one.how in _BY_KEY)


def unseen(identities: Mapping[str, Identity], seen: Sequence[LedgerDocument]) -> set[str]:
    """Stripe ids of drafts and open orders that are not among those that were `seen` with their key.

    Somebody has booked, deleted or renamed them since.
    """
    places = {(stripe_id_of(document.key), document.kind, str(document.number)) for document in seen}
    return {
        one.stripe_id
        for one in identities.values()
        if one.ledger_kind in UNBOOKED and one.how in _BY_KEY and (one.stripe_id, one.ledger_kind, str(one.number)) not in places
    }
