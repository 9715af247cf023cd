"""What a Stripe user does to correct a sale: credit notes, their voiding, refunds; and disputes, which a buyer begins."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from cloudify_pipeline.sandbox.stripe import credit_notes
from cloudify_pipeline.sandbox.stripe.catalogue import Catalogue, second
from cloudify_pipeline.sandbox.stripe.credit_notes import CreditLine
from cloudify_pipeline.sandbox.stripe.objects import Json


class Correcting(Catalogue):
    """The part of the account that takes sales back."""

    def create_credit_note(
        self,
        invoice: str,
        lines: Sequence[CreditLine] | None = None,
        *,
        at: datetime,
        out_of_band: int = 0,
        to_balance: int = 0,
        **given: Any,
    ) -> str:
        """A credit note on `invoice`: everything that is left of it, or `lines`. Returns its id.

        It first lowers what is still owed; of the rest, `out_of_band` was given back outside Stripe, `to_balance` becomes
        the customer's credit, and what remains is refunded. `given` sets further fields, such as `effective_at`.

        Raises:
            ValueError: the invoice cannot be credited so far.
        """
        with self.transaction():
            billed = self.get("invoice", invoice)
            if billed["status"] not in {"open", "paid", "uncollectible"}:
                raise ValueError(f"{invoice} is {billed['status']}, and cannot be credited")
            earlier = self.rows("credit_note", [("parent = ?", [invoice])])
            number = f"{billed['number']}-CN-{len(earlier) + 1:02d}"
            note = credit_notes.fresh(self.new_id("cn"), second(at), billed, number, given)
            issued = [one for one in earlier if one["status"] == "issued"]
            whole = lines is None
            wanted = [CreditLine(line["id"]) for line in billed["lines"]["data"]] if lines is None else lines
            items = [item for line in wanted if (item := self._credited(line, billed, issued)) is not None]
            shipping = billed["shipping_cost"] if whole and not any(one["amount_shipping"] for one in issued) else None
            credit_notes.write_amounts(note, items, shipping)
            if note["total"] > billed["total"] - sum(one["total"] for one in issued):
                raise ValueError(f"{note['total']} is more than what is left of {invoice}")
            self._give_back(note, billed, at, out_of_band=out_of_band, to_balance=to_balance)
            self.save(note)
            self.emit("credit_note.created", note, at)
            return str(note["id"])

    def _credited(self, line: CreditLine, invoice: Json, issued: Sequence[Json]) -> Json | None:
        id_ = self.new_id("cnli")
        if line.invoice_line is None:
            return credit_notes.custom_line(id_, line, [self.get("tax_rate", rate) for rate in line.tax_rates])
        billed = next(one for one in invoice["lines"]["data"] if one["id"] == line.invoice_line)
        before = [one for note in issued for one in note["lines"]["data"] if one.get("invoice_line_item") == line.invoice_line]
        left = billed["amount"] - sum(one["amount"] for one in before)
        if line.amount is None and before and left == 0:
            return None
        rates = {
            tax["tax_rate_details"]["tax_rate"]: self.get("tax_rate", tax["tax_rate_details"]["tax_rate"])
            for tax in billed["taxes"]
        }
        return credit_notes.line_of(id_, billed, rates, left if line.amount is None else line.amount, before)

    def _give_back(self, note: Json, invoice: Json, at: datetime, *, out_of_band: int, to_balance: int) -> None:
        before = min(note["total"], invoice["amount_remaining"]) if invoice["status"] != "paid" else 0
        after = note["total"] - before
        refunded = after - out_of_band - to_balance
        note.update(
            pre_payment_amount=before,
            post_payment_amount=after,
            out_of_band_amount=out_of_band or None,
            type="mixed" if before and after else "post_payment" if after else "pre_payment",
        )
        if to_balance:
            buyer = self.get("customer", invoice["customer"])
            self.update_customer(buyer["id"], at=at, balance=buyer["balance"] - to_balance)
            note["customer_balance_transaction"] = self.new_id("cbtxn")
        if refunded > 0:
            refund = self.refund(self._charge_of(invoice["id"]), refunded, at=at)
            note["refunds"] = [{"amount_refunded": refunded, "payment_record_refund": None, "refund": refund, "type": "refund"}]
        self._lower(invoice, at, before=before, after=after)

    def _charge_of(self, invoice: str) -> str:
        for paid in self.rows("invoice_payment", [("parent = ?", [invoice])]):
            if paid["payment"]["type"] == "payment_intent":
                return str(self.get("payment_intent", paid["payment"]["payment_intent"])["latest_charge"])
        raise ValueError(f"nothing was paid for {invoice} that could be refunded")

    def _lower(self, invoice: Json, at: datetime, *, before: int, after: int) -> None:
        changes: dict[str, Any] = {
            "pre_payment_credit_notes_amount": invoice["pre_payment_credit_notes_amount"] + before,
            "post_payment_credit_notes_amount": invoice["post_payment_credit_notes_amount"] + after,
            "amount_due": invoice["amount_due"] - before,
            "amount_remaining": invoice["amount_remaining"] - before,
        }
        if before and not changes["amount_remaining"] and invoice["status"] == "open":
            changes |= {"status": "paid", "status_transitions": {**invoice["status_transitions"], "paid_at": second(at)}}
        self._update("invoice", invoice["id"], at, None, changes)

    def void_credit_note(self, id_: str, *, at: datetime) -> None:
        """Issued → void; Stripe allows it before payment alone. Raises ValueError."""
        with self.transaction():
            note = self.get("credit_note", id_)
            invoice = self.get("invoice", note["invoice"])
            if note["status"] != "issued" or note["type"] != "pre_payment" or invoice["status"] != "open":
                raise ValueError(f"{id_} cannot be voided: it is {note['status']}, its invoice {invoice['status']}")
            self._lower(invoice, at, before=-note["pre_payment_amount"], after=0)
            note.update(status="void", voided_at=second(at))
            self.save(note)
            self.emit("credit_note.voided", note, at)

    def update_credit_note(self, id_: str, *, at: datetime, **changes: Any) -> Json:
        """Replace fields of a credit note, and emit credit_note.updated where something changed."""
        return self._update("credit_note", id_, at, None, changes)

    def refund(self, charge: str, amount: int | None = None, *, at: datetime, **given: Any) -> str:
        """Money back on a payment, all that is left of it without an `amount`; a credit note is not made by it."""
        with self.transaction():
            paid = self.get("charge", charge)
            amount = paid["amount"] - paid["amount_refunded"] if amount is None else amount
            id_ = self.new_id("re")
            given_back = paid["amount_refunded"] + amount
            self.save({
                "id": id_,
                "object": "refund",
                "amount": amount,
                "balance_transaction": f"txn_{id_[3:]}",
                "charge": charge,
                "created": second(at),
                "currency": paid["currency"],
                "metadata": {},
                "payment_intent": paid["payment_intent"],
                "reason": None,
                "receipt_number": None,
                "source_transfer_reversal": None,
                "status": "succeeded",
                "transfer_reversal": None,
                **given,
            })  # fmt: skip
            paid.update(amount_refunded=given_back, refunded=given_back == paid["amount"])
            self.save(paid)
            self.emit("charge.refunded", paid, at)
            self.emit("refund.created", self.get("refund", id_), at)
            return id_

    def fail_refund(self, id_: str, *, at: datetime) -> None:
        """The money comes back: Stripe lowers what the payment says was refunded."""
        with self.transaction():
            refund = self.get("refund", id_)
            refund["status"] = "failed"
            self.save(refund)
            paid = self.get("charge", refund["charge"])
            paid.update(amount_refunded=paid["amount_refunded"] - refund["amount"], refunded=False)
            self.save(paid)
            self.emit("refund.failed", refund, at)
            self.emit("charge.updated", paid, at)

    def dispute(self, charge: str, amount: int | None = None, *, at: datetime, **given: Any) -> str:
        """The buyer's bank questions a payment, all of it without an `amount`, and takes the money meanwhile.

        ``status="warning_needs_response"`` makes it an inquiry, for which no money is taken.
        """
        with self.transaction():
            paid = self.get("charge", charge)
            id_ = self.new_id("du")
            inquiry = str(given.get("status", "")).startswith("warning_")
            self.save({
                "id": id_,
                "object": "dispute",
                "amount": paid["amount"] if amount is None else amount,
                "balance_transactions": [],
                "charge": charge,
                "created": second(at),
                "currency": paid["currency"],
                "enhanced_eligibility_types": [],
                "evidence": {},
                "evidence_details": {
                    "due_by": second(at) + 7 * 86_400,
                    "has_evidence": False,
                    "past_due": False,
                    "submission_count": 0,
                },
                "is_charge_refundable": inquiry,
                "livemode": False,
                "metadata": {},
                "payment_intent": paid["payment_intent"],
                "payment_method_details": {
                    "card": {
                        "brand": "visa",
                        "case_type": "inquiry" if inquiry else "chargeback",
                        "network_reason_code": "10.4",
                    },
                    "type": "card",
                },
                "reason": "fraudulent",
                "status": "needs_response",
                **given,
            })  # fmt: skip
            paid["disputed"] = True
            self.save(paid)
            self.emit("charge.updated", paid, at)
            for happened in ("created", *([] if inquiry else ["funds_withdrawn"])):
                self.emit(f"charge.dispute.{happened}", self.get("dispute", id_), at)
            return id_

    def decide_dispute(self, id_: str, status: str, *, at: datetime) -> None:
        """It ends as ``won``, ``lost`` or ``warning_closed``, or goes on as another status of Stripe's."""
        with self.transaction():
            disputed = self.get("dispute", id_)
            ended = status in {"won", "lost", "warning_closed"}
            disputed["status"] = status
            disputed["evidence_details"]["past_due"] = ended
            self.save(disputed)
            self.emit(f"charge.dispute.{'closed' if ended else 'updated'}", disputed, at)
            if status == "won":
                self.emit("charge.dispute.funds_reinstated", disputed, at)
