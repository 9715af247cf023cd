"""What a Stripe user keeps by hand: customers, products, prices, tax rates, coupons; and the events that follow."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from cloudify_pipeline.sandbox.stripe import objects
from cloudify_pipeline.sandbox.stripe.objects import Json
from cloudify_pipeline.sandbox.stripe.old_shapes import old
from cloudify_pipeline.sandbox.stripe.tables import ObjectTable


def second(at: datetime) -> int:
    """An instant as Stripe counts: whole seconds."""
    if at.tzinfo is None:
        raise ValueError("an instant needs its timezone")
    return int(at.timestamp())


class Catalogue(ObjectTable):
    """The objects that invoices are made of. Every `add_…` returns the new id."""

    def emit(self, type_: str, obj: Json, at: datetime, *, previous: Json | None = None, request: Json | None = None) -> None:
        """Record an event about an object as it stands now, in the account's old version."""
        data: Json = {"object": _with_ten_lines(old(obj))}
        if previous is not None:
            data["previous_attributes"] = previous
        self.save(objects.event(self.new_id("evt"), second(at), type_, data, request or {"id": None, "idempotency_key": None}))

    def add_customer(
        self,
        *,
        at: datetime,
        address: Mapping[str, str | None] | None = None,
        shipping: Mapping[str, Any] | None = None,
        tax_ids: Sequence[tuple[str, str, str]] = (),
        **given: Any,
    ) -> str:
        """A customer; `tax_ids` are (type, value, verification status), `given` further fields of the object."""
        with self.transaction():
            id_ = self.new_id("cus", 14)
            ship = {**shipping, "address": objects.address(shipping.get("address"))} if shipping else None
            customer = objects.customer(id_, second(at), address=objects.address(address), shipping=ship, **given)
            self.save(customer)
            self.emit("customer.created", customer, at)
            for type_, value, status in tax_ids:
                self.save(objects.tax_id(self.new_id("txi"), id_, second(at), type_=type_, value=value, status=status))
            return id_

    def update_customer(self, id_: str, *, at: datetime, request: Json | None = None, **changes: Any) -> Json:
        """Replace fields of a customer, and emit customer.updated where something changed."""
        return self._update("customer", id_, at, request, changes)

    def delete_customer(self, id_: str, *, at: datetime) -> None:
        """Delete a customer; its invoices stay."""
        with self.transaction():
            customer = self.get("customer", id_)
            self.mark_deleted(id_)
            self.emit("customer.deleted", customer, at)

    def add_product(self, name: str, *, at: datetime, **given: Any) -> str:
        """A product; `given` further fields of the object, such as `metadata` with its SKU."""
        with self.transaction():
            product = objects.product(self.new_id("prod", 14), second(at), name=name, **given)
            self.save(product)
            self.emit("product.created", product, at)
            return str(product["id"])

    def add_price(self, product: str, unit_amount: Decimal | int, currency: str = "dkk", *, at: datetime, **given: Any) -> str:
        """A price per unit in minor units, which may have decimals; `given` further fields, such as `recurring`."""
        with self.transaction():
            price = objects.price(self.new_id("price"), second(at), product, currency, Decimal(unit_amount), **given)
            if price["recurring"]:
                price["type"] = "recurring"
            self.save(price)
            self.emit("price.created", price, at)
            return str(price["id"])

    def add_tax_rate(
        self,
        percent: Decimal | int,
        *,
        at: datetime,
        inclusive: bool = False,
        country: str | None = "DK",
        display_name: str = "moms",
    ) -> str:
        """A tax rate in percent."""
        with self.transaction():
            rate = objects.tax_rate(
                self.new_id("txr"), second(at), Decimal(percent), inclusive=inclusive, country=country, display_name=display_name
            )
            self.save(rate)
            self.emit("tax_rate.created", rate, at)
            return str(rate["id"])

    def add_coupon(
        self,
        name: str,
        *,
        at: datetime,
        percent: Decimal | int | None = None,
        amount_off: int | None = None,
        currency: str = "dkk",
    ) -> str:
        """A coupon of `percent`, or of `amount_off` minor units."""
        with self.transaction():
            percentage = None if percent is None else Decimal(percent)
            coupon = objects.coupon(
                self.new_id("coupon", 8)[7:], second(at), name, percent=percentage, amount_off=amount_off, currency=currency
            )
            self.save(coupon)
            self.emit("coupon.created", coupon, at)
            return str(coupon["id"])

    def tax_ids(self, customer: str) -> list[Json]:
        """The customer's tax numbers, newest first."""
        return self.rows("tax_id", [("parent = ?", [customer])])

    def _update(self, kind: str, id_: str, at: datetime, request: Json | None, changes: Mapping[str, Any]) -> Json:
        with self.transaction():
            obj = self.get(kind, id_)
            previous = {name: _before(obj.get(name), value) for name, value in changes.items() if obj.get(name) != value}
            if not previous:
                return obj
            obj.update(changes)
            self.save(obj)
            self.emit(f"{kind}.updated", obj, at, previous=previous, request=request)
            return obj


def _before(old_value: Any, new_value: Any) -> Any:
    """What previous_attributes shows: of a hash only the keys that changed, null for those that are new."""
    if not isinstance(old_value, dict) or not isinstance(new_value, dict):
        return old_value
    return {key: old_value.get(key) for key in {**old_value, **new_value} if old_value.get(key) != new_value.get(key)}


def _with_ten_lines(obj: Json) -> Json:
    if obj.get("object") not in {"invoice", "credit_note"} or "lines" not in obj or len(obj["lines"]["data"]) <= 10:
        return obj
    return {**obj, "lines": {**obj["lines"], "data": obj["lines"]["data"][:10], "has_more": True}}
