"""Lists: filters, cursors and pages, newest first."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cloudify_pipeline.sandbox.stripe import params
from cloudify_pipeline.sandbox.stripe.errors import invalid, no_such, unknown_parameter
from cloudify_pipeline.sandbox.stripe.objects import Json
from cloudify_pipeline.sandbox.stripe.tables import ObjectTable

Where = list[tuple[str, list[Any]]]
Filter = Callable[[Any, str], Where]


def _column(column: str) -> Filter:
    return lambda value, name: [(f"{column} = ?", [_text(value, name)])]


def _field(path: str) -> Filter:
    return lambda value, name: [(f"json_extract(CAST(body AS TEXT), '$.{path}') = ?", [_text(value, name)])]


def _flag(path: str) -> Filter:
    return lambda value, name: [(f"json_extract(CAST(body AS TEXT), '$.{path}') = ?", [int(params.as_bool(value, name))])]


def _instant(column: str) -> Filter:
    return lambda value, name: [(f"{column} {operator} ?", [number]) for operator, number in params.as_range(value, name)]


def _any_of(column: str, most: int) -> Filter:
    def read(value: Any, name: str) -> Where:
        wanted = params.as_list(value, name)
        if len(wanted) > most:
            raise invalid(f"Too many values: at most {most}.", name)
        return [(f"{column} IN ({', '.join('?' * len(wanted))})", list(wanted))]

    return read


def _email(value: Any, name: str) -> Where:
    return [("json_extract(CAST(body AS TEXT), '$.email') = ?", [_text(value, name)])]


def _payment(value: Any, name: str) -> Where:
    where: Where = []
    if not isinstance(value, dict):
        raise invalid("Invalid object", name)
    for key, given in value.items():
        if key == "payment_intent":
            where.append(("intent = ?", [_text(given, f"{name}[{key}]")]))
        elif key in ("type", "payment_record"):
            where += _field(f"payment.{key}")(given, f"{name}[{key}]")
        else:
            raise unknown_parameter(f"{name}[{key}]")
    return where


def _type(value: Any, name: str) -> Where:
    text = _text(value, name)
    return [("parent GLOB ?", [text])] if text.endswith("*") else [("parent = ?", [text])]


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise invalid("Invalid string", name)
    return value


_CREATED = {"created": _instant("created")}
FILTERS: dict[str, dict[str, Filter]] = {
    "customer": {**_CREATED, "email": _email},
    "product": {**_CREATED, "active": _flag("active"), "ids": _any_of("id", 100), "type": _field("type"), "url": _field("url")},
    "price": {
        **_CREATED,
        "active": _flag("active"),
        "product": _column("parent"),
        "currency": _field("currency"),
        "type": _field("type"),
    },
    "tax_rate": {**_CREATED, "active": _flag("active"), "inclusive": _flag("inclusive")},
    "coupon": dict(_CREATED),
    "invoice": {
        **_CREATED,
        "customer": _column("customer"),
        "status": _column("status"),
        "collection_method": _field("collection_method"),
        "due_date": _instant("json_extract(CAST(body AS TEXT), '$.due_date')"),
        "subscription": _field("parent.subscription_details.subscription"),
    },
    "invoice_payment": {**_CREATED, "invoice": _column("parent"), "status": _column("status"), "payment": _payment},
    "credit_note": {**_CREATED, "customer": _column("customer"), "invoice": _column("parent")},
    "refund": {**_CREATED, "charge": _column("parent"), "payment_intent": _column("intent")},
    "dispute": {**_CREATED, "charge": _column("parent"), "payment_intent": _column("intent")},
    "charge": {
        **_CREATED,
        "customer": _column("customer"),
        "payment_intent": _column("intent"),
        "transfer_group": _field("transfer_group"),
    },
    "balance_transaction": {
        **_CREATED,
        "currency": _field("currency"),
        "source": _column("parent"),
        "type": _field("type"),
    },
    "payment_intent": {**_CREATED, "customer": _column("customer")},
    "checkout.session": {
        **_CREATED,
        "customer": _column("customer"),
        "payment_intent": _column("intent"),
        "status": _column("status"),
        "payment_link": _field("payment_link"),
    },
    "event": {**_CREATED, "type": _type, "types": _any_of("parent", 20)},
    "tax_id": {},
}
"""The filters of each list, as the API has them; any other parameter is refused."""


@dataclass(frozen=True, slots=True)
class Window:
    """Which page of a list: at most `limit` after, or before, an object."""

    limit: int
    starting_after: str | None
    ending_before: str | None

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> "Window":
        """The paging parameters. Raises StripeFault where they are wrong."""
        limit = params.as_int(given.get("limit", "10"), "limit")
        if not 1 <= limit <= 100:
            raise invalid(
                f"This value must be {'less than or equal to 100' if limit > 100 else 'greater than or equal to 1'}.", "limit"
            )
        after, before = given.get("starting_after"), given.get("ending_before")
        if after is not None and before is not None:
            raise invalid("Received both starting_after and ending_before parameters. Please pass in only one.", "ending_before")
        return cls(limit, after, before)


PAGING = frozenset({"limit", "starting_after", "ending_before", "expand"})


def page(store: ObjectTable, kind: str, given: Mapping[str, Any], extra: Where | None = None) -> tuple[list[Json], bool]:
    """The objects of one page, newest first, and whether more follow in the direction of travel."""
    where: Where = list(extra or [])
    for name, value in given.items():
        if name in PAGING:
            continue
        if name not in FILTERS[kind]:
            raise unknown_parameter(name)
        where += FILTERS[kind][name](value, name)
    window = Window.read(given)
    cursor = window.ending_before or window.starting_after
    if cursor is not None:
        place = store.place(kind, cursor)
        if place is None:
            raise no_such(kind, cursor, "ending_before" if window.ending_before else "starting_after")
        where.append((f"(created, seq) {'>' if window.ending_before else '<'} (?, ?)", list(place)))
    rows = store.rows(kind, where, order="ASC" if window.ending_before else "DESC", limit=window.limit + 1)
    found, more = rows[: window.limit], len(rows) > window.limit
    return (found[::-1] if window.ending_before else found), more


def slice_of(items: list[Json], given: Mapping[str, Any]) -> tuple[list[Json], bool]:
    """One page of a list that lives inside an object, in its own order: the lines of an invoice."""
    for name in given:
        if name not in PAGING:
            raise unknown_parameter(name)
    window = Window.read(given)
    ids = [item["id"] for item in items]
    for cursor, name in ((window.starting_after, "starting_after"), (window.ending_before, "ending_before")):
        if cursor is not None and cursor not in ids:
            raise no_such("line_item", cursor, name)
    if window.ending_before:
        end = ids.index(window.ending_before)
        start = max(end - window.limit, 0)
        return items[start:end], start > 0
    start = ids.index(window.starting_after) + 1 if window.starting_after else 0
    return items[start : start + window.limit], len(items) > start + window.limit
