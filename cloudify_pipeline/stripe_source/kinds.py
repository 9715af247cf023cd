"""Where each kind of object is read, and with what expanded; invoices and credit notes come with all their lines."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import msgspec

from cloudify_pipeline.stripe_objects import Kind, RawObject
from cloudify_pipeline.stripe_source.client import StripeReader


@dataclass(frozen=True, slots=True)
class Source:
    """One kind of object at Stripe: its list, what is expanded in it, and how many windows of it are read at once."""

    kind: Kind
    path: str
    expand: tuple[str, ...] = ()
    in_flight: int = 2
    only: Mapping[str, str] = field(default_factory=dict)
    """What of the list is read at all."""

    @property
    def list_params(self) -> dict[str, str | tuple[str, ...]]:
        """The expansions of a list page, and what is left out of it."""
        return {**self.only, **({"expand": tuple(f"data.{name}" for name in self.expand)} if self.expand else {})}

    @property
    def retrieve_params(self) -> dict[str, tuple[str, ...]]:
        """The same expansions for one object, so that it has one form however it was read."""
        return {"expand": self.expand} if self.expand else {}


SOURCES: dict[Kind, Source] = {
    source.kind: source
    for source in (
        Source("customer", "/v1/customers", ("tax_ids",)),
        Source("product", "/v1/products"),
        Source("price", "/v1/prices"),
        Source("tax_rate", "/v1/tax_rates", in_flight=1),
        Source("invoice", "/v1/invoices", ("discounts", "payments"), in_flight=4),
        Source("charge", "/v1/charges"),
        Source("invoice_payment", "/v1/invoice_payments"),
        Source("credit_note", "/v1/credit_notes"),
        Source("refund", "/v1/refunds"),
        Source("dispute", "/v1/disputes", in_flight=1),
        Source(
            "checkout_session",
            "/v1/checkout/sessions",
            ("line_items", "line_items.data.taxes", "line_items.data.discounts", "shipping_cost.taxes"),
            # Most carts are left behind: only what was bought has a payment.
            only={"status": "complete"},
        ),
    )
}

_CONVERTED = replace(SOURCES["charge"], expand=("balance_transaction",))


def source_of(reader: StripeReader, kind: Kind) -> Source:
    """Where `kind` is read: payments with what Stripe converted them at, for a reader that may read it."""
    return _CONVERTED if kind == "charge" and reader.rates else SOURCES[kind]


WITH_LINES: frozenset[Kind] = frozenset({"invoice", "credit_note", "checkout_session"})
"""Kinds of which Stripe embeds no more than ten lines."""
_LINES: dict[Kind, str] = {"checkout_session": "line_items"}
_LINE_PARAMS: dict[Kind, dict[str, tuple[str, ...]]] = {"checkout_session": {"expand": ("data.taxes", "data.discounts")}}


class _Lines(msgspec.Struct):
    has_more: bool = False


class _Whole(msgspec.Struct):
    lines: _Lines | None = None
    line_items: _Lines | None = None


_whole = msgspec.json.Decoder(_Whole)
_parts = msgspec.json.Decoder(dict[str, msgspec.Raw])


def is_cut(one: RawObject) -> bool:
    """Whether an invoice, credit note or Checkout session came without all its lines; Stripe embeds ten."""
    whole = _whole.decode(one.body)
    lines = whole.lines or whole.line_items
    return lines is not None and lines.has_more


async def with_all_lines(reader: StripeReader, kind: Kind, one: RawObject) -> RawObject:
    """`one` with every line in ``lines.data`` (``line_items.data``); one that has them already is given back as it is."""
    if one.deleted or not is_cut(one):
        return one
    lines: list[msgspec.Raw] = []
    name, params = _LINES.get(kind, "lines"), dict[str, str | tuple[str, ...]](_LINE_PARAMS.get(kind, {}))
    while True:
        # From the first line on, not from the tenth: lines that were added meanwhile must not be doubled or lost.
        page = await reader.page(f"{SOURCES[kind].path}/{one.id}/{name}", params)
        lines += [msgspec.Raw(line.body) for line in page.objects]
        if not page.has_more or not page.objects:
            break
        params["starting_after"] = page.objects[-1].id
    parts = _parts.decode(one.body)
    listed = _parts.decode(parts[name])
    body: dict[str, object] = {**parts, name: {**listed, "data": lines, "has_more": False}}
    return RawObject(one.id, one.created, msgspec.json.encode(body))
