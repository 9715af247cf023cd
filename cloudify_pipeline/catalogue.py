"""The catalogue of stable error codes: cause, remedy, who mends it, and whether the next run may succeed by itself."""

from dataclasses import dataclass
from typing import Literal

Owner = Literal["bookkeeper", "administrator", "this software", "the service"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One code. `cause` and `remedy` are sentences for a bookkeeper; `retry`: the next run tries again by itself."""

    code: str
    cause: str
    remedy: str
    owner: Owner = "bookkeeper"
    retry: bool = False


_ENTRIES = (
    # The connection
    Entry("E-SETTINGS", "The connection file or the call is wrong.", "Mend the keys named in the message.", "administrator"),
    Entry("E-CONN-GRANT", "The access token or key is not accepted.", "Grant access again and put the new token in its place; then run connect.", "administrator"),
    Entry("E-CONN-READONLY", "The ledger's subscription or licence is read-only.", "Upgrade the ledger's plan to one that includes API access.", "administrator"),
    Entry("E-CONN-ROLE", "The app or key lacks a right it needs.", "Give it the right named in the message; README lists them all.", "administrator"),
    Entry("E-CONN-MODULE", "A ledger module that the request needs is not active.", "Buy the module named in the message, or remove the mapping that uses it.", "administrator"),
    Entry("E-CONN-AGREEMENT", "The tokens speak for other books than this connection is bound to.", "Use the tokens of the bound agreement, or connect with --rebind.", "administrator"),
    Entry("E-RATE", "The service asked to slow down.", "Nothing to do: the next run goes on.", "the service", retry=True),
    Entry("E-SERVER", "The service failed or did not answer.", "Nothing to do: the next run looks what was written and goes on.", "the service", retry=True),
    Entry("E-LOG", "The posting log cannot be read or written.", "See that the disk has room and CLOUDIFY_HOME is writable; nothing was sent.", "administrator"),
    Entry("E-LEASE", "Another run of this connection is at work.", "Wait for it to end.", "this software", retry=True),
    Entry("E-INTERNAL", "Something went wrong that this software does not know.", "Report it with the message.", "this software"),
    # Customers
    Entry("E-MATCH-EMPTY", "Every Stripe field that customers are matched on is empty.", "Fill one of the fields in Stripe, or set customers.on_empty_match_field."),
    Entry("E-MATCH-MANY", "Several ledger records match.", "Make the field unique in the ledger, or set customers.on_multiple_matches."),
    Entry("E-MATCH-NONE", "No ledger record matches, and the settings say to hold.", "Create the record in the ledger, or set on_not_found."),
    Entry("E-FILTER", "The ledger cannot be searched on this field.", "Match on one of the fields that settings fields lists as searchable.", "administrator"),
    Entry("E-CUST-NUM", "The customer number is not a whole number from 1 to 999999999.", "Correct the number in the Stripe field named in the message."),
    Entry("E-CUST-TAKEN", "The customer number belongs to another customer in the ledger.", "Give the Stripe customer another number."),
    Entry("E-CUST-BARRED", "The customer is barred in the ledger.", "Unbar the customer in the ledger, or match another one."),
    Entry("E-CUST-MISSING", "The customer that the document needs is not in the ledger.", "Mend the customer's own problem; the document follows by itself."),
    Entry("E-CUST-DELETED", "The customer is deleted in Stripe and cannot be matched.", "Set customers.default_customer, or create the document by hand."),
    Entry("E-DEPENDENCY", "A record that this one needs is held or failed.", "Mend the record named in the message; this one follows by itself."),
    # Products
    Entry("E-PROD-MISSING", "No ledger product is found for a line, and the settings say to hold.", "Create or link the product, or set products.on_not_found."),
    Entry("E-PROD-BARRED", "The product is barred in the ledger.", "Unbar the product in the ledger."),
    Entry("E-PROD-NUM", "The product number does not fit the ledger.", "Give the Stripe product a number of at most 25 characters."),
    Entry("E-PROD-GROUP", "The product group has no usable sales account in this VAT zone.", "Set the account (with a live VAT code) on the product group in the ledger."),
    Entry("E-PROD-NONE", "A line names no product, and products.no_product is not set.", "Set products.no_product."),
    Entry("E-DISCOUNT-PRODUCT", "A discount is to be posted as a line, and products.discount_product is not set.", "Set products.discount_product."),
    # Documents and amounts
    Entry("E-MAPPING", "A mapped field cannot be filled as the settings demand.", "Correct the Stripe field or the mapping named in the message."),
    Entry("E-TOO-LONG", "A value is longer than the ledger field.", "Shorten it in Stripe, or set on_too_long: truncate."),
    Entry("E-VAT-ZONE", "The VAT zone cannot be decided.", "Add the country or VAT number to the Stripe customer, or map the zone."),
    Entry("E-VAT-ID", "The buyer's VAT number is not verified.", "Verify the number, or set vat.unverified_vat_number."),
    Entry("E-VAT-RATE", "Stripe's tax rate is not the rate that the ledger will use.", "Correct the tax rate in Stripe, or the product group's account in the ledger."),
    Entry("E-TOTAL", "The ledger's total would not be, or is not, Stripe's total.", "Compare the amounts in the message; nothing was booked."),
    Entry("E-STRIPE-SUM", "Stripe's own amounts do not add up.", "Look at the invoice in Stripe; report it if it looks right there."),
    Entry("E-CURRENCY", "The currency is not set up in the ledger.", "Add the currency to the ledger."),
    Entry("E-PERIOD", "The date lies in a closed or barred period, or in no accounting year.", "Open the period in the ledger, or post the document by hand."),
    Entry("E-DUE-MISSING", "The payment terms need a due date and the invoice has none.", "Choose other payment terms, or set a due date in Stripe."),
    Entry("E-DUE-EARLY", "The due date lies before the invoice date.", "Correct the due date in Stripe, or choose other payment terms."),
    Entry("E-TERMS-TYPE", "The payment terms' type does not match.", "Run check: the terms were changed in the ledger.", "administrator"),
    Entry("E-TERMS-IMMUTABLE", "Type and days of payment terms cannot be changed.", "Make new payment terms in the ledger.", "administrator"),
    Entry("E-EAN", "Electronic invoicing lacks a CVR number, EAN or contact.", "Complete the customer in the ledger, or set invoices.send_by: none."),
    Entry("E-NEGATIVE", "The invoice total is negative.", "Post it by hand: negative invoices are not supported yet."),
    # The ledger's refusals
    Entry("E-REFUSED", "The ledger refused the document.", "Read the ledger's words in the message, and mend the cause."),
    Entry("E-REFERENCE", "A number in the settings does not exist in the ledger.", "Run check, and correct the number named in the message.", "administrator"),
    Entry("E-NULL", "An empty or zero value was sent.", "Report it: this software should have left the field out.", "this software"),
    Entry("E-DECIMALS", "A number had more than two decimals.", "Report it: this software should have rounded by rule.", "this software"),
    Entry("E-DUPLICATE-NUMBER", "The number is already in use in the ledger.", "Use another number, or match the existing record."),
    Entry("E-DROPPED", "The ledger dropped a field that was sent.", "Remove or correct the mapping of the field named in the message.", "administrator"),
    Entry("E-GONE", "The document is no longer in the ledger.", "Somebody deleted it: replay the invoice, or leave it."),
    Entry("E-NOTFOUND-DELETE", "It was already gone.", "Nothing to do."),
    Entry("E-CONFLICT", "The record was changed meanwhile.", "Nothing to do: the next run reads it again.", "the service", retry=True),
    Entry("E-IDEMPOTENCY", "The ledger knows this request's key with another content.", "Nothing to do: the next run looks what was written and goes on.", "this software", retry=True),
    Entry("E-PAGE", "A list was asked for with a wrong page size.", "Report it.", "this software"),
    Entry("E-DUP-KEY", "More than one ledger document carries this invoice's key.", "Remove the extra document in the ledger."),
    # Skips: a rule says so
    Entry("S-NOT-DUE", "No invoice rule applies yet.", "Nothing to do."),
    Entry("S-NEVER-SENT", "The rule waits for the invoice to be sent, and invoices that are charged automatically never are.", "Use when: paid or when: finalized for them."),
    Entry("S-BEFORE-GO-LIVE", "The trigger fired before go_live_from.", "Nothing to do."),
    Entry("S-ZERO", "The invoice has no lines or its lines are all zero.", "Nothing to do."),
    Entry("S-VOID", "The invoice was voided or deleted before it was posted.", "Nothing to do."),
    Entry("S-HAS-INVOICE", "The charge belongs to an invoice, which is posted itself.", "Nothing to do."),
    Entry("S-CHARGE-FAILED", "The charge did not succeed.", "Nothing to do."),
    Entry("S-CHARGES-OFF", "Payments without an invoice are left out by the settings.", "Set invoices.include_charges."),
)  # fmt: skip

CATALOGUE: dict[str, Entry] = {entry.code: entry for entry in _ENTRIES}


def entry(code: str) -> Entry:
    """The entry of `code`; codes outside the catalogue are a defect and read as E-INTERNAL."""
    return CATALOGUE.get(code) or CATALOGUE["E-INTERNAL"]
