"""What leaves the server: objects as the API shows them, with `expand` resolved."""

from collections.abc import Callable, Sequence
from typing import Any

from cloudify_pipeline.sandbox.stripe.errors import StripeFault
from cloudify_pipeline.sandbox.stripe.objects import Json
from cloudify_pipeline.sandbox.stripe.tables import ObjectTable

_EMBEDDED_LINES = 10
_DEEPEST = 4
# Fields that hold an id and can be expanded, and the kind of object behind them.
_REFERENCES = {
    "balance_transaction": "balance_transaction",
    "charge": "charge",
    "coupon": "coupon",
    "customer": "customer",
    "default_price": "price",
    "discounts": "discount",
    "invoice": "invoice",
    "latest_charge": "charge",
    "payment_intent": "payment_intent",
    "price": "price",
    "product": "product",
}
# Ids that look the same and cannot be expanded, by what they stand in.
_PLAIN = {("price_details", "product"), ("line_item", "invoice"), ("discount", "invoice"), ("invoice_payment", "customer")}


def as_list(items: Sequence[Json], url: str, *, has_more: bool) -> Json:
    """A list object."""
    return {"object": "list", "data": list(items), "has_more": has_more, "url": url}


def shown(obj: Json) -> Json:
    """An object as retrieve and list show it: an invoice or credit note carries only its first ten lines."""
    if obj["object"] not in {"invoice", "credit_note"} or len(obj["lines"]["data"]) <= _EMBEDDED_LINES:
        return obj
    return {**obj, "lines": {**obj["lines"], "data": obj["lines"]["data"][:_EMBEDDED_LINES], "has_more": True}}


def reference(store: ObjectTable, kind: str, id_: str) -> Json:
    """The object behind an id; a deleted one shows its tombstone."""
    found = store.find(kind, id_)
    if found is None:
        return {"id": id_, "object": kind, "deleted": True}
    obj, deleted = found
    return tombstone(obj) if deleted else shown(obj)


def tombstone(obj: Json) -> Json:
    """What is left of a deleted object."""
    return {"id": obj["id"], "object": obj["object"], "deleted": True}


def expand(store: ObjectTable, obj: Json, paths: Sequence[str]) -> None:
    """Replace ids by objects along each path, in place. Raises StripeFault where a path cannot be expanded."""
    for path in paths:
        parts = path.split(".")
        if len(parts) > _DEEPEST:
            raise StripeFault(
                400, f"You cannot expand more than {_DEEPEST} levels of a property. Property: {path}", param="expand"
            )
        _walk(store, obj, parts, path, str(obj.get("object", "")))


def _walk(store: ObjectTable, at: Json, parts: Sequence[str], path: str, inside: str) -> None:
    name, rest = parts[0], parts[1:]
    if name not in at and (at.get("object"), name) in _INCLUDED:
        at[name] = _INCLUDED[at["object"], name](store, at)
    if name not in at:
        if at.get("object") is None or at.get("deleted"):
            return
        raise _cannot(name, path)
    value = at[name]
    if isinstance(value, str):
        value = at[name] = _resolved(store, inside, name, value, path)
    elif isinstance(value, list) and any(isinstance(item, str) for item in value):
        value = at[name] = [_resolved(store, inside, name, item, path) if isinstance(item, str) else item for item in value]
    elif not rest and value is not None and not isinstance(value, dict | list):
        raise _cannot(name, path)
    if rest:
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict):
                _walk(store, item, rest, path, str(item.get("object", name)))


def _resolved(store: ObjectTable, inside: str, name: str, id_: str, path: str) -> Json:
    if name not in _REFERENCES or (inside, name) in _PLAIN:
        raise _cannot(name, path)
    return reference(store, _REFERENCES[name], id_)


def _cannot(name: str, path: str) -> StripeFault:
    message = f"This property cannot be expanded ({name})."
    return StripeFault(400, f"{message} You may want to try expanding '{path}' on another endpoint.", param="expand")


def _payments(store: ObjectTable, invoice: Json) -> Json:
    # The embedded list's own url is the one Stripe sends; it leads nowhere.
    return as_list(store.rows("invoice_payment", [("parent = ?", [invoice["id"]])]), "/v1/invoices/payments", has_more=False)


def _tax_ids(store: ObjectTable, customer: Json) -> Json:
    ids = store.rows("tax_id", [("parent = ?", [customer["id"]])])
    return as_list(ids, f"/v1/customers/{customer['id']}/tax_ids", has_more=False)


def items_of(store: ObjectTable, session: Json) -> list[Json]:
    """The line items of a Checkout session, without what only an expansion shows."""
    return [{name: value for name, value in item.items() if name not in _HIDDEN} for item in _items(store, session["id"])]


def _items(store: ObjectTable, session: str) -> list[Json]:
    return list(store.noted(f"items:{session}") or ())


def _embedded_items(store: ObjectTable, session: Json) -> Json:
    found = items_of(store, session)
    url = f"/v1/checkout/sessions/{session['id']}/line_items"
    return as_list(found[:_EMBEDDED_LINES], url, has_more=len(found) > _EMBEDDED_LINES)


def _hidden(name: str) -> Callable[[ObjectTable, Json], Any]:
    def read(store: ObjectTable, item: Json) -> Any:
        session = store.noted(f"session of {item['id']}")
        return next(one[name] for one in _items(store, session) if one["id"] == item["id"])

    return read


def _no_subscriptions(_store: ObjectTable, customer: Json) -> Json:
    return as_list([], f"/v1/customers/{customer['id']}/subscriptions", has_more=False)


_HIDDEN = frozenset({"discounts", "taxes"})
_INCLUDED: dict[tuple[Any, str], Callable[[ObjectTable, Json], Any]] = {
    ("invoice", "payments"): _payments,
    ("customer", "tax_ids"): _tax_ids,
    ("customer", "subscriptions"): _no_subscriptions,
    ("checkout.session", "line_items"): _embedded_items,
    ("item", "taxes"): _hidden("taxes"),
    ("item", "discounts"): _hidden("discounts"),
}
