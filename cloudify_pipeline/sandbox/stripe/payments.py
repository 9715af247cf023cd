"""PaymentIntents, charges and invoice payments as they stand on the wire."""

from typing import Any

from cloudify_pipeline.sandbox.stripe.objects import Json


def payment_intent(id_: str, created: int, *, amount: int, currency: str, customer: str | None, charge: str | None) -> Json:
    """A PaymentIntent that succeeded."""
    return {
        "id": id_,
        "object": "payment_intent",
        "amount": amount,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": amount,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": None,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "automatic",
        "client_secret": None,
        "confirmation_method": "automatic",
        "created": created,
        "currency": currency,
        "customer": customer,
        "customer_account": None,
        "description": None,
        "excluded_payment_method_types": None,
        "last_payment_error": None,
        "latest_charge": charge,
        "livemode": False,
        "metadata": {},
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": f"pm_{id_[3:]}",
        "payment_method_configuration_details": None,
        "payment_method_options": {},
        "payment_method_types": ["card"],
        "processing": None,
        "receipt_email": None,
        "review": None,
        "setup_future_usage": None,
        "shipping": None,
        "source": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": "succeeded",
        "transfer_data": None,
        "transfer_group": None,
    }


def charge(
    id_: str, created: int, *, amount: int, currency: str, customer: Json | None, intent: str | None, **given: Any
) -> Json:
    """A card payment. `given` replaces fields: `status="failed", paid=False` for one that was declined."""
    succeeded = given.get("status", "succeeded") == "succeeded"
    return {
        "id": id_,
        "object": "charge",
        "amount": amount,
        "amount_captured": amount if succeeded else 0,
        "amount_refunded": 0,
        "application": None,
        "application_fee": None,
        "application_fee_amount": None,
        "balance_transaction": f"txn_{id_[3:]}" if succeeded else None,
        "billing_details": _billing(customer),
        "calculated_statement_descriptor": "NORDLYS SOFTWARE",
        "captured": succeeded,
        "created": created,
        "currency": currency,
        "customer": customer["id"] if customer else None,
        "description": None,
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": None if succeeded else "card_declined",
        "failure_message": None if succeeded else "Your card was declined.",
        "fraud_details": {},
        "livemode": False,
        "metadata": {},
        "on_behalf_of": None,
        "outcome": {
            "network_status": "approved_by_network" if succeeded else "declined_by_network",
            "type": "authorized" if succeeded else "issuer_declined",
        },
        "paid": succeeded,
        "payment_intent": intent,
        "payment_method": f"pm_{id_[3:]}",
        "payment_method_details": {"card": {"brand": "visa", "country": "DK", "last4": "4242"}, "type": "card"},
        "receipt_email": None,
        "receipt_number": None,
        "receipt_url": None,
        "refunded": False,
        "review": None,
        "shipping": None,
        "source": None,
        "source_transfer": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": "succeeded",
        "transfer_data": None,
        "transfer_group": None,
        **given,
    }


def transferred(transfer: str, destination: str) -> Json:
    """What a charge says when its money goes on to a connected account."""
    return {
        "transfer": transfer,
        "transfer_data": {"amount": None, "destination": destination},
        "transfer_group": f"group_{transfer}",
    }


def _billing(customer: Json | None) -> Json:
    known = customer or {}
    return {
        "address": known.get("address") or dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state")),
        "email": known.get("email"),
        "name": known.get("name"),
        "phone": known.get("phone"),
        "tax_id": None,
    }


def invoice_payment(id_: str, created: int, *, invoice: str, amount: int, currency: str, payment: Json) -> Json:
    """A payment that settles an invoice; `payment` names a PaymentIntent, or the record of a payment made elsewhere."""
    return {
        "id": id_,
        "object": "invoice_payment",
        "amount_paid": amount,
        "amount_requested": amount,
        "created": created,
        "currency": currency,
        "invoice": invoice,
        "is_default": True,
        "livemode": False,
        "payment": payment,
        "status": "paid",
        "status_transitions": {"canceled_at": None, "paid_at": created},
    }
