"""One Stripe account: the life of an invoice from draft to paid, void or uncollectible, as Stripe's own steps take it."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from cloudify_pipeline.sandbox.stripe import amounts, invoices, objects, payments
from cloudify_pipeline.sandbox.stripe.catalogue import second
from cloudify_pipeline.sandbox.stripe.invoices import Line
from cloudify_pipeline.sandbox.stripe.objects import Json
from cloudify_pipeline.sandbox.stripe.settlement import Settling

SECRET_KEY = "sk_test_51NordlysSandboxSecretKey0001"
RESTRICTED_KEY = "rk_test_51NordlysSandboxRestrictedKey0001"
ALL_RIGHTS = frozenset(
    f"rak_{name}"
    for name in (
        "accounts_kyc_basic_read",
        "balance_read",
        "charge_read",
        "charge_write",
        "checkout_session_read",
        "coupon_read",
        "credit_note_read",
        "customer_read",
        "customer_write",
        "dispute_read",
        "event_read",
        "invoice_read",
        "invoice_write",
        "payment_intent_read",
        "plan_read",
        "product_read",
        "tax_rate_read",
    )
)
"""What a restricted key can be given here: all that is needed to read invoices and to write their metadata."""


class StripeStore(Settling):
    """The state of the account; every step emits its events. Ids in, ids out; instants are aware datetimes.

    `secret_key` may do all that the server knows, `restricted_key` what `rights` holds. An account that is not the demo's
    has ids of its own; a `live` one says of every object that it makes that it is live, as Stripe does behind a live key.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        secret_key: str = SECRET_KEY,
        restricted_key: str = RESTRICTED_KEY,
        account: str = objects.ACCOUNT,
        live: bool = False,
    ) -> None:
        super().__init__(path, ids="" if account == objects.ACCOUNT and not live else f"{account}{live}")
        self.account = account
        self.live = live
        self.names_account = True
        """Whether a refusal names the account, as Stripe's refusals do."""
        self.secret_key = secret_key
        self.restricted_key = restricted_key
        self.rights: set[str] = set(ALL_RIGHTS)

    def save(self, obj: Json) -> None:
        """As the table saves it; new objects of a live account are live."""
        if self.live and self.place(obj["object"], obj["id"]) is None:
            obj = _live(obj)
        super().save(obj)

    def create_invoice(
        self,
        customer: str,
        lines: Sequence[Line],
        *,
        at: datetime,
        currency: str = "dkk",
        tax_rates: Sequence[str] = (),
        discounts: Sequence[str] = (),
        days_until_due: int | None = None,
        shipping: int = 0,
        subscription: str | None = None,
        **given: Any,
    ) -> str:
        """A draft. `tax_rates` apply to lines without their own, `discounts` are coupons on the whole invoice.

        `days_until_due` makes it an invoice that is sent instead of charged; `given` sets further fields of the object.
        """
        with self.transaction():
            buyer = self.get("customer", customer)
            if buyer["currency"] is None:
                # Stripe ties a customer to the currency of the first invoice.
                buyer = self.update_customer(customer, at=at, currency=currency)
            invoice = invoices.fresh(self.new_id("in"), second(at), buyer, currency)
            invoice.update(given)
            if days_until_due is not None:
                invoice["collection_method"] = "send_invoice"
                invoice["due_date"] = second(at + timedelta(days=days_until_due))
            if subscription:
                invoice["billing_reason"] = "subscription_cycle"
                details = {"metadata": {}, "subscription": subscription}
                invoice["parent"] = {"quote_details": None, "subscription_details": details, "type": "subscription_details"}
            invoices.snapshot(invoice, buyer, self.tax_ids(customer))
            self.write_lines(
                invoice, buyer, lines, tax_rates=tax_rates, discounts=discounts, shipping=shipping, subscription=subscription
            )
            self.save(invoice)
            self.emit("invoice.created", invoice, at)
            return str(invoice["id"])

    def write_lines(
        self,
        invoice: Json,
        buyer: Json,
        lines: Sequence[Line],
        *,
        tax_rates: Sequence[str],
        discounts: Sequence[str],
        shipping: int,
        subscription: str | None,
    ) -> None:
        """Put `lines` into `invoice`, with what discounts, taxes and shipping make of them."""
        items, computed = [], []
        for line in lines:
            price = self.get("price", line.price) if line.price else None
            item_id = self.new_id("ii")
            item = invoices.line_item(self.new_id("il"), item_id, invoice, line, price=price, subscription=subscription)
            if item["description"] is None and item["pricing"]:
                item["description"] = self.get("product", item["pricing"]["price_details"]["product"])["name"]
            own = [self._discount(coupon, invoice, item_id) for coupon in line.discounts]
            item["discounts"] = [discount.id for discount in own]
            rates = line.tax_rates if line.tax_rates is not None else tax_rates
            terms = [self._tax_terms(rate, buyer["tax_exempt"]) for rate in rates]
            items.append(item)
            computed.append(amounts.LineAmounts(item["amount"], item["discountable"], own, terms))
        whole = [self._discount(coupon, invoice, None) for coupon in discounts]
        invoice["discounts"] = [discount.id for discount in whole]
        invoice["lines"].update(data=items, total_count=len(items))
        if shipping:
            invoice["amount_shipping"] = shipping
            invoice["shipping_cost"] = {
                "amount_subtotal": shipping,
                "amount_tax": 0,
                "amount_total": shipping,
                "shipping_rate": None,
            }
        invoices.write_amounts(invoice, computed, amounts.compute(computed, whole, shipping))

    def _discount(self, coupon_id: str, invoice: Json, item: str | None) -> amounts.Discount:
        coupon = self.get("coupon", coupon_id)
        on_invoice = invoice["id"] if item is None else None
        discount = objects.discount(
            self.new_id("di"), coupon_id, invoice["customer"], invoice["created"], invoice=on_invoice, invoice_item=item
        )
        self.save(discount)
        percent = coupon["percent_off"]
        return amounts.Discount(discount["id"], None if percent is None else Decimal(str(percent)), coupon["amount_off"])

    def _tax_terms(self, rate_id: str, exemption: str) -> amounts.TaxTerms:
        rate = self.get("tax_rate", rate_id)
        percent = Decimal(str(rate["percentage"]))
        reason = "standard_rated" if percent else "zero_rated"
        if exemption != "none":
            percent, reason = Decimal(0), "reverse_charge" if exemption == "reverse" else "customer_exempt"
        return amounts.TaxTerms(rate_id, percent, rate["inclusive"], reason)

    def finalize(self, id_: str, *, at: datetime) -> None:
        """Draft → open, with its number and the buyer frozen; one that leaves nothing to pay is paid at once."""
        with self.transaction():
            invoice = self._in_state(id_, "draft")
            customer = self.get("customer", invoice["customer"])
            invoices.snapshot(invoice, customer, self.tax_ids(customer["id"]))
            if invoice["number"] is None:
                invoice["number"] = f"{customer['invoice_prefix']}-{customer['next_invoice_sequence']:04d}"
            customer["next_invoice_sequence"] += 1
            _use_balance(invoice, customer)
            self.save(customer)
            invoice["status"] = "open"
            invoice["status_transitions"]["finalized_at"] = second(at)
            invoice["effective_at"] = invoice["effective_at"] or second(at)
            invoice["hosted_invoice_url"] = f"https://invoice.stripe.com/i/{self.account}/test_{id_[3:]}"
            invoice["invoice_pdf"] = f"https://pay.stripe.com/invoice/{self.account}/test_{id_[3:]}/pdf"
            self.save(invoice)
            self.emit("invoice.finalized", invoice, at)
            if invoice["amount_due"] == 0:
                self._settle(invoice, at)

    def send(self, id_: str, *, at: datetime) -> None:
        """Mail the invoice. It leaves no trace on the object: only the event tells."""
        with self.transaction():
            self.emit("invoice.sent", self._in_state(id_, "open", "paid", "uncollectible"), at)

    def pay(
        self,
        id_: str,
        *,
        at: datetime,
        out_of_band: bool = False,
        parts: Sequence[int] = (),
        settled: bool = True,
        destination: str | None = None,
    ) -> None:
        """Open or uncollectible → paid: with a PaymentIntent and a charge, or outside Stripe without either.

        `parts`: what each of several payments takes of it, all but the rest; `settled` False: the balance transaction follows.
        `destination` is the connected account that the money is transferred to: the payment alone tells of it.
        """
        with self.transaction():
            invoice = self._in_state(id_, "open", "uncollectible")
            for amount in (*parts, invoice["amount_due"] - sum(parts)):
                self._pay_part(invoice, amount, at, out_of_band=out_of_band, settled=settled, destination=destination)
            self._settle(invoice, at)

    def _pay_part(
        self, invoice: Json, amount: int, at: datetime, *, out_of_band: bool, settled: bool, destination: str | None
    ) -> None:
        currency = invoice["currency"]
        if out_of_band:
            payment = {"payment_record": self.new_id("pr"), "type": "payment_record"}
            invoice["amount_paid_off_stripe"] += amount
        else:
            intent, charge = self.new_id("pi"), self.new_id("ch")
            customer = self.find("customer", invoice["customer"])
            buyer = customer[0] if customer else None
            self.save(
                payments.payment_intent(
                    intent, second(at), amount=amount, currency=currency, customer=invoice["customer"], charge=charge
                )
            )
            passed_on = payments.transferred(self.new_id("tr"), destination) if destination else {}
            paid = payments.charge(
                charge, second(at), amount=amount, currency=currency, customer=buyer, intent=intent, **passed_on
            )
            paid = self._settled(paid) if settled else {**paid, "balance_transaction": None}
            self.save(paid)
            self.emit("charge.succeeded", paid, at)
            payment = {"payment_intent": intent, "type": "payment_intent"}
        done = payments.invoice_payment(
            self.new_id("inpay"), second(at), invoice=invoice["id"], amount=amount, currency=currency, payment=payment
        )
        self.save(done)
        self.emit("invoice_payment.paid", done, at)

    def attach_payment(self, id_: str, charge: str, *, at: datetime, amount: int | None = None) -> str:
        """Let a payment that was made before pay an open invoice, or `amount` of it; returns the invoice payment's id.

        The payment itself stays as it is: only the invoice payment knows of both.
        """
        with self.transaction():
            invoice, paid = self._in_state(id_, "open", "uncollectible"), self.get("charge", charge)
            left = invoice["amount_remaining"]
            taken = min(paid["amount"] if amount is None else amount, left)
            done = payments.invoice_payment(
                self.new_id("inpay"), second(at), invoice=id_, amount=taken, currency=invoice["currency"],
                payment={"payment_intent": paid["payment_intent"], "type": "payment_intent"},
            )  # fmt: skip
            self.save(done)
            self.emit("invoice_payment.paid", done, at)
            invoice["amount_paid"] += taken
            invoice["amount_remaining"] = left - taken
            if left == taken:
                self._settle(invoice, at)
            else:
                self.save(invoice)
                self.emit("invoice.updated", invoice, at, previous={"amount_remaining": left})
            return str(done["id"])

    def _settle(self, invoice: Json, at: datetime) -> None:
        invoice.update(status="paid", attempted=True, amount_paid=invoice["amount_due"], amount_remaining=0)
        invoice["status_transitions"]["paid_at"] = second(at)
        self.save(invoice)
        for type_ in ("invoice.updated", "invoice.paid", "invoice.payment_succeeded"):
            self.emit(type_, invoice, at, previous={"status": "open"} if type_ == "invoice.updated" else None)

    def void(self, id_: str, *, at: datetime) -> None:
        """Open or uncollectible → void."""
        self._move(id_, at, from_=("open", "uncollectible"), to="void", stamp="voided_at")

    def mark_uncollectible(self, id_: str, *, at: datetime) -> None:
        """Open → uncollectible; it can still be paid or voided."""
        self._move(id_, at, from_=("open",), to="uncollectible", stamp="marked_uncollectible_at")

    def _move(self, id_: str, at: datetime, *, from_: tuple[str, ...], to: str, stamp: str) -> None:
        with self.transaction():
            invoice = self._in_state(id_, *from_)
            previous = {"status": invoice["status"]}
            invoice["status"] = to
            invoice["status_transitions"][stamp] = second(at)
            self.save(invoice)
            self.emit("invoice.updated", invoice, at, previous=previous)
            self.emit(f"invoice.{stamp.removesuffix('_at')}", invoice, at)

    def update_invoice(self, id_: str, *, at: datetime, request: Json | None = None, **changes: Any) -> Json:
        """Replace fields of an invoice, and emit invoice.updated where something changed."""
        return self._update("invoice", id_, at, request, changes)

    def update_charge(self, id_: str, *, at: datetime, request: Json | None = None, **changes: Any) -> Json:
        """Replace fields of a payment, and emit charge.updated where something changed."""
        return self._update("charge", id_, at, request, changes)

    def delete_invoice(self, id_: str, *, at: datetime) -> None:
        """Delete a draft; it answers 404 from then on."""
        with self.transaction():
            invoice = self._in_state(id_, "draft")
            self.mark_deleted(id_)
            self.emit("invoice.deleted", invoice, at)

    def charge(
        self,
        customer: str | None,
        amount: int,
        *,
        at: datetime,
        currency: str = "dkk",
        metadata: Mapping[str, str] | None = None,
        **given: Any,
    ) -> str:
        """A payment without an invoice, of a customer or of a guest; `given` sets further fields, such as `status="failed"`."""
        with self.transaction():
            buyer = self.get("customer", customer) if customer else None
            intent, id_ = self.new_id("pi"), self.new_id("ch")
            charge = payments.charge(
                id_,
                second(at),
                amount=amount,
                currency=currency,
                customer=buyer,
                intent=intent,
                metadata=dict(metadata or {}),
                **given,
            )
            payment = payments.payment_intent(intent, second(at), amount=amount, currency=currency, customer=customer, charge=id_)
            if charge["status"] != "succeeded":
                payment.update(status="requires_payment_method", amount_received=0)
            elif charge["captured"]:
                charge = self._settled(charge)
            self.save(payment)
            self.save(charge)
            self.emit(f"charge.{charge['status']}", charge, at)
            return id_

    def capture(self, id_: str, *, at: datetime) -> None:
        """Take the money of a payment that was only authorised."""
        with self.transaction():
            charge = self.get("charge", id_)
            if charge["captured"]:
                raise ValueError(f"{id_} is captured already")
            charge = self._settled({**charge, "captured": True, "amount_captured": charge["amount"]})
            self.save(charge)
            self.emit("charge.captured", charge, at)

    def invoice(self, id_: str) -> Json:
        """The invoice as it stands, with all its lines. Raises KeyError."""
        return self.get("invoice", id_)

    def _in_state(self, id_: str, *states: str) -> Json:
        invoice = self.get("invoice", id_)
        if invoice["status"] not in states:
            raise ValueError(f"{id_} is {invoice['status']}, not {' or '.join(states)}")
        return invoice


def _use_balance(invoice: Json, customer: Json) -> None:
    """Stripe pays with the customer's credit first (a negative balance), and keeps a negative total as credit."""
    invoice["starting_balance"] = customer["balance"]
    if invoice["total"] < 0:
        customer["balance"] += invoice["total"]
    else:
        used = min(invoice["total"], max(-customer["balance"], 0))
        customer["balance"] += used
        invoice["amount_due"] = invoice["amount_remaining"] = invoice["total"] - used
    invoice["ending_balance"] = customer["balance"]


def _live(obj: Any) -> Any:
    """`obj` and all that is in it, live."""
    if isinstance(obj, dict):
        return {key: True if key == "livemode" else _live(value) for key, value in obj.items()}
    return [_live(one) for one in obj] if isinstance(obj, list) else obj
