"""The demo data: about 75 days of Nordlys Software ApS's sales, and what a sync of them should come to.

All that should be booked lies in open periods of the demo agreement; what should be held is held for one named reason.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import resources

from cloudify_pipeline.sandbox.stripe.demo_sales import Sales
from cloudify_pipeline.sandbox.stripe.store import StripeStore

_REACH = timedelta(days=75)
_JANUARY_OPEN = timedelta(days=80)


@dataclass(frozen=True, slots=True)
class Expected:
    """What a sync with the demo connection comes to, by Stripe id.

    `held` has the codes that are right for each: the reason itself, or that of depending on the customer or product that
    has it. `skipped` has the code; charges that pay an invoice are in it too. `documents` are booked.
    """

    held: Mapping[str, frozenset[str]]
    skipped: Mapping[str, str]
    documents: frozenset[str]


def open_from(now: datetime) -> datetime:
    """The first open instant of the current year: its January is barred, unless `now` is in it or less than 80 days behind."""
    january = datetime(now.year, 1, 1, tzinfo=UTC)
    return january if now - january < _JANUARY_OPEN else datetime(now.year, 2, 1, tzinfo=UTC)


def load(store: StripeStore, now: datetime, seed: int = 1) -> Expected:
    """Fill an empty account with the sales until `now`, all or nothing."""
    now = now.astimezone(UTC)
    start = max(open_from(now), now - _REACH)
    with store.transaction():
        sales = Sales(store, start, now, seed)
        sales.make()
        store.note("expected", {"held": sales.held, "skipped": sales.skipped, "documents": sales.documents})
    return expected(store)


def expected(store: StripeStore) -> Expected:
    """What was noted when the data were made. Raises KeyError for an account without demo data."""
    noted = store.noted("expected")
    if noted is None:
        raise KeyError("expected")
    held = {id_: frozenset(codes) for id_, codes in noted["held"].items()}
    return Expected(held, noted["skipped"], frozenset(noted["documents"]))


def connection_file(stripe_url: str, economic_url: str) -> str:
    """The text of the connection file for the demo, with the addresses of the two servers."""
    text = resources.files(__package__).joinpath("demo_connection.yaml").read_text(encoding="utf-8")
    return text.replace("{stripe_url}", stripe_url).replace("{economic_url}", economic_url)
