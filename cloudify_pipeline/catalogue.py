"""The catalogue of stable error codes: cause, remedy, who mends it, and whether the next run may succeed by itself.

The texts are in English here and in Danish in :mod:`.catalogue_da`; CLOUDIFY_LANGUAGE (``en`` or ``da``) says which are shown.
A code is never reused for something else: scripts, alerts and bookkeepers' notes hold on to it.
"""

import os
from dataclasses import dataclass, replace
from typing import Literal

from cloudify_pipeline.catalogue_da import DANISH, DANISH_OWNERS

Owner = Literal["bookkeeper", "administrator", "this software", "the service"]
Language = Literal["en", "da"]
LANGUAGES: tuple[Language, ...] = ("en", "da")


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
    Entry("E-SETTINGS", "The connection file or the call is wrong.", "Correct the keys that the message names; cloudify settings schema lists what is allowed.", "administrator"),
    Entry("E-CHECK-FIRST", "The settings do not fit the ledger, and nothing is written with them.", "Correct every setting that the message names, or the ledger; the next run checks again by itself, and cloudify check shows the same.", "administrator"),
    Entry("E-CONN-GRANT", "The access token or key is not accepted.", "Grant access again and put the new token in its place; then run cloudify connect.", "administrator"),
    Entry("E-CONN-READONLY", "The ledger's subscription or licence is read-only.", "Upgrade the ledger's subscription to one that includes API access.", "administrator"),
    Entry("E-CONN-ROLE", "The app or key lacks a right it needs.", "Give it the right that the message names; the README lists them all.", "administrator"),
    Entry("E-CONN-MODULE", "A module of the ledger that the request needs is not active.", "Activate the module that the message names, or remove the mapping that uses it.", "administrator"),
    Entry("E-CONN-AGREEMENT", "The tokens speak for other books than this connection is bound to.", "Use the tokens of the bound agreement, or run cloudify connect --rebind.", "administrator"),
    Entry("E-CONN-CURRENCY", "The ledger's base currency is not the one that this connection was bound with.", "See that the tokens are for the right agreement; if the company has changed its base currency, look through the settings, then run cloudify connect --rebind.", "administrator"),
    Entry("E-CONN-ACCOUNT", "The Stripe key is for another account than this connection reads, or nothing shows that it is for the same.", "Use a key of the account that the message names. Only if the connection is meant to read the other account from now on, run cloudify connect --rebind: it says what happens, throws away what was read, and reads the new account from its beginning.", "administrator"),
    Entry("E-CONN-MODE", "Stripe's test mode and live mode are mixed up: the key is of one, and this connection reads the other.", "Use a key of the mode that the message names. Only if the connection is meant to read the other mode from now on, run cloudify connect --rebind: it says what happens, throws away what was read, and reads the other mode from its beginning.", "administrator"),
    Entry("E-CONN-SECOND", "Another connection posts the same Stripe account into the same books.", "Keep one connection: remove the file of this one and carry on under the name that the message gives, which knows what stands in the ledger.", "administrator"),
    Entry("E-RATE", "The service asked to slow down.", "Nothing to do: the next run goes on.", "the service", retry=True),
    Entry("E-SERVER", "The service failed or did not answer.", "Nothing to do: the next run looks what was written and goes on.", "the service", retry=True),
    Entry("E-LOG", "The posting log cannot be read or written.", "See that the disk has room and that CLOUDIFY_HOME is writable; nothing was sent.", "administrator"),
    Entry("E-LEASE", "Another run of this connection is at work.", "Wait until it has ended; the next run goes on.", "this software", retry=True),
    Entry("E-TURN", "Another connection is writing to the same books, and this one waits for its turn.", "Nothing to do: the next run goes on.", "this software", retry=True),
    Entry("E-INTERNAL", "Something went wrong that this software does not know.", "Report it with the message; cloudify support-bundle collects what is needed.", "this software"),
    # Customers
    Entry("E-MATCH-EMPTY", "Every Stripe field that customers are matched on is empty.", "Fill one of the fields in Stripe, or set customers.on_empty_match_field."),
    Entry("E-MATCH-MANY", "Several ledger records match.", "Make the field unique in the ledger, or set customers.on_multiple_matches."),
    Entry("E-MATCH-NONE", "No ledger record matches, and the settings say to hold.", "Create the record in the ledger, or set on_not_found."),
    Entry("E-FILTER", "The ledger cannot be searched on this field.", "Match on one of the fields that cloudify settings fields lists as searchable.", "administrator"),
    Entry("E-CUST-NUM", "The customer number is not a whole number from 1 to 999999999.", "Correct the number in the Stripe field that the message names."),
    Entry("E-CUST-TAKEN", "The customer number belongs to another customer in the ledger.", "Give the Stripe customer another number."),
    Entry("E-CUST-BARRED", "The customer is barred in the ledger.", "Unbar the customer in the ledger, or match another one."),
    Entry("E-CUST-MISSING", "The customer that the document needs is not in the ledger.", "Solve the customer's own problem; the document follows by itself."),
    Entry("E-CUST-DELETED", "The customer is deleted in Stripe and cannot be matched.", "Set customers.default_customer, or create the document by hand."),
    Entry("E-DEPENDENCY", "A record that this one needs is held or failed.", "Solve the problem of the record that the message names; this one follows by itself."),
    Entry("E-CUST-GONE", "The customer was deleted in the ledger, and the settings make no new one.", "Create the customer in the ledger again so that a match field finds it, or set customers.on_not_found; its documents follow by themselves."),
    # Products
    Entry("E-PROD-MISSING", "No ledger product is found for a line, and the settings say to hold.", "Create or link the product, or set products.on_not_found."),
    Entry("E-PROD-GONE", "The product was deleted in the ledger, and the settings make no new one.", "Create the product in the ledger again so that a match field finds it, link another one, or set products.on_not_found; its documents follow by themselves."),
    Entry("E-PROD-BARRED", "The product is barred in the ledger.", "Unbar the product in the ledger, or link the Stripe product to another one."),
    Entry("E-PROD-NUM", "The product number does not fit the ledger.", "Give the Stripe product a number of at most 25 characters."),
    Entry("E-PROD-GROUP", "The product group has no usable sales account in this VAT zone.", "Set the account (with a VAT code that is in use) on the product group in the ledger."),
    Entry("E-PROD-NONE", "A line names no product, and products.no_product is not set.", "Set products.no_product."),
    Entry("E-DISCOUNT-PRODUCT", "A discount is to be posted as a line, and products.discount_product is not set.", "Set products.discount_product."),
    # Documents and amounts
    Entry("E-MAPPING", "A mapped field cannot be filled as the settings demand.", "Correct the Stripe field or the mapping that the message names."),
    Entry("E-TOO-LONG", "A value is longer than the ledger field.", "Shorten it in Stripe, or set on_too_long: truncate."),
    Entry("E-VAT-ZONE", "The VAT zone cannot be decided, or cannot be right.", "Add the country or the VAT number to the Stripe customer, or set vat.countries or vat.zone_from."),
    Entry("E-VAT-ID", "The buyer's VAT number is missing, wrong or not verified.", "Correct the number in Stripe and have it verified, or set vat.evidence, vat.unverified_vat_number or vat.zone_from."),
    Entry("E-VAT-RATE", "Stripe's tax rate is not the rate that the ledger will use.", "Correct the tax rate in Stripe, or the account of the product group in the ledger."),
    Entry("E-TOTAL", "The ledger's total would not be, or is not, Stripe's total.", "Compare the amounts in the message and correct the price, the VAT or the rounding that differs; nothing was booked."),
    Entry("E-STRIPE-SUM", "Stripe's own amounts do not add up.", "Look at the invoice in Stripe; report it if it looks right there."),
    Entry("E-OTHER-SELLER", "Stripe says that this is sold for another account than the one that is read, so it is not this company's turnover by itself.", "See whose sale it is: if this company sells in its own name for the accounts of its platform, set invoices.sold_by_another: post; if the account named is its own, set stripe.account; else leave it."),
    Entry("E-CURRENCY", "The currency is not set up in the ledger.", "Add the currency code to the ledger."),
    Entry("E-CURRENCY-DECIMALS", "An amount is finer than the two decimals that the ledger keeps.", "Post it by hand with an amount that the ledger can hold; in Stripe, round prices in this currency to two decimals."),
    Entry("E-EXCHANGE", "The rate at which Stripe converted the payment is not known yet.", "Wait for the next run where Stripe has not settled the payment yet; where it has, sync the record by its id, or leave the rate to the ledger (invoices.exchange_rate)."),
    Entry("E-PERIOD", "The date lies in a closed or barred period, in no accounting year, or after today.", "Open the period in the ledger, set invoices.closed_period, or post the document by hand; a day that has not come is waited for."),
    Entry("E-DUE-MISSING", "The payment terms need a due date and the invoice has none.", "Choose other payment terms, or set a due date in Stripe."),
    Entry("E-DUE-EARLY", "The due date lies before the invoice date.", "Correct the due date in Stripe, or choose other payment terms."),
    Entry("E-TERMS-TYPE", "The payment terms are of another type than was expected.", "Run cloudify check: the payment terms were changed in the ledger.", "administrator"),
    Entry("E-TERMS-IMMUTABLE", "Type and days of payment terms cannot be changed.", "Make new payment terms in the ledger and put their number in the settings.", "administrator"),
    Entry("E-EAN", "Electronic invoicing lacks a CVR number, EAN or contact.", "Complete the customer in the ledger, or set invoices.send_by: none."),
    Entry("E-NEGATIVE", "The total is negative, and this kind of document cannot be.", "Use a rule that creates an invoice for it: a negative invoice is posted as a credit note."),
    # What the services refuse
    Entry("E-REFUSED", "The service refused the record for a reason that only its own words tell.", "Read the service's words in the message, and correct what they name."),
    Entry("E-VALUE", "A value does not have the form that the field demands.", "Correct the Stripe field or the mapping that the message names."),
    Entry("E-REQUIRED", "A field that the ledger demands is empty or missing.", "Fill the field that the message names in Stripe, or map it from another one."),
    Entry("E-REFERENCE", "A number that was sent does not exist in the ledger, or may not be used there.", "Run cloudify check, and correct the number that the message names.", "administrator"),
    Entry("E-VOUCHER-ACCT", "The account does not exist, is barred, or takes no direct entries.", "Choose another account in the settings, or open the account for direct entries in the ledger.", "administrator"),
    Entry("E-NULL", "An empty or zero value was sent.", "Report it with the message: this software should have left the field out.", "this software"),
    Entry("E-DECIMALS", "A number had more than two decimals.", "Report it with the message: this software should have rounded by rule.", "this software"),
    Entry("E-REQUEST", "The service does not accept the form of the request.", "Report it with the message; cloudify support-bundle collects what is needed.", "this software"),
    Entry("E-PAGE", "A list was asked for with a wrong page size.", "Report it with the message; cloudify support-bundle collects what is needed.", "this software"),
    Entry("E-DUPLICATE-NUMBER", "The number is already in use in the ledger.", "Use another number, or match the existing record."),
    Entry("E-DROPPED", "The ledger dropped a field that was sent.", "Remove or correct the mapping of the field that the message names.", "administrator"),
    Entry("E-GONE", "The record is no longer in the ledger.", "Somebody deleted it there: cloudify replay with the invoice's id posts it anew, cloudify accept leaves it as it is."),
    Entry("E-CONFLICT", "The record was changed meanwhile.", "Nothing to do: the next run reads it again.", "the service", retry=True),
    Entry("E-IDEMPOTENCY", "The service knows this request's key with another content.", "Nothing to do: the next run looks what was written and goes on.", "this software", retry=True),
    Entry("E-KEY-LOST", "The document in the ledger no longer carries its key: somebody wrote over its reference.", "Write the key that the message names back into the document's other reference, or run cloudify accept: it stays linked and is left as it is."),
    Entry("E-DUP-KEY", "More than one ledger document carries this invoice's key.", "Remove the extra document in the ledger."),
    Entry("E-STRIPE-GONE", "The object no longer exists in Stripe.", "Look for it in Stripe: if it was deleted there, leave it; if not, see that the key belongs to the right account."),
    # Exactly once: what stands in the ledger already, and what came after
    Entry("E-DUP-HUMAN", "The ledger has a document without a key of ours that names this one's Stripe id or number, or has the same customer, amount and days: somebody may have entered it by hand, or another program.", "Compare the two shown; cloudify accept links the one in the ledger, cloudify accept --post posts this one as well."),
    Entry("E-EARLIER", "The ledger has documents of these customers from before, and go_live_from is not set.", "Set go_live_from to the day on which this program begins to post; what is older stays as it is. Where all of it is to be posted, nothing needs to be done: what is found in the ledger is held with E-DUP-HUMAN.", "administrator"),
    Entry("E-VOIDED", "The invoice or credit note was voided, or the refund failed, or the lost dispute was won, in Stripe after it was posted.", "Delete the draft, or reverse the booked document, in the ledger; then run cloudify accept."),
    Entry("E-UNCOLLECTIBLE", "The invoice was marked uncollectible in Stripe after it was posted.", "Write the loss off in the ledger; then run cloudify accept."),
    Entry("E-PAID-TWICE", "An invoice is paid by a payment that has a document of its own in the ledger: both would be one sale twice.", "If the payment's document is the sale, run cloudify accept; if the invoice is, credit that document in the ledger (delete it where it is a draft) and run cloudify accept --post. Setting invoices.paid_twice has it credited by itself."),
    Entry("E-PAID-ALIKE", "An invoice was marked as paid outside Stripe, and a payment without an invoice of the same buyer, currency and amount came through Stripe: they may be one sale.", "Compare the two shown; if they are one sale, run cloudify accept, and only the other one is posted; if they are two, cloudify accept --post posts this one as well."),
    Entry("E-CREDITED", "Credit notes or refunds in Stripe reduce a document that is posted already, and no document in the ledger explains them.", "Credit it in the ledger, if nothing there does so yet; then run cloudify accept."),
    Entry("E-DISPUTED", "The buyer's bank took a payment back, and the dispute is lost, while its document stands in the ledger.", "Write the loss off or credit the document in the ledger, as your accountant decides, if nothing there does so yet; then run cloudify accept."),
    Entry("E-REF-OVER", "The corrections of an invoice take off more than it has.", "Compare the credit notes, refunds and disputes of the invoice in Stripe with those in the ledger; nothing was sent."),
    Entry("E-CHANGED", "The invoice changed in Stripe after it was booked, in something that a booked invoice cannot follow.", "Compare the amounts shown; credit the booked invoice in the ledger, then run cloudify accept."),
    Entry("E-KIND", "The rules now ask for another kind of document than the one that stands in the ledger.", "Delete the one in the ledger and run cloudify replay, or run cloudify accept to leave it as it is."),
    Entry("E-BREAKER", "The ledger gave the same refusal many times in a row, so nothing more was sent.", "Remove the cause of the refusal that is shown; the next run goes on."),
    Entry("E-QUARANTINE", "The record was tried as often as limits.quarantine_after allows, and is left alone.", "Remove the cause that is shown, then run cloudify replay for the record."),
    Entry("E-LIMIT", "More is due than one run may post.", "Nothing to do: the rest follows in the next runs. Raise limits.max_documents_per_run if so many are meant."),
    Entry("E-DRIFT", "Something that the settings rely on has changed in the ledger.", "Look at what the message names, and correct the ledger or the settings.", "administrator"),
    Entry("E-CLOCK", "This machine's clock differs from the service's.", "Let the machine take its time from a time server.", "administrator"),
    Entry("E-METADATA-FULL", "The Stripe object's metadata has no room left (50 keys), so it cannot show where the document stands.", "Remove a key that nobody uses from its metadata in Stripe."),
    Entry("E-UNMAPPED", "The service refused in words that this software does not know.", "Correct what the service's words in the message name, and report them with the archive of cloudify support-bundle.", "this software"),
    # Skips: a rule says so
    Entry("S-NOT-DUE", "No invoice rule applies yet.", "Nothing to do."),
    Entry("S-RESTS", "A payment was captured less than two minutes ago, and Stripe may still say that it pays an invoice.", "Nothing to do: the next run behind its rest takes it.", retry=True),
    Entry("S-NEVER-SENT", "The rule waits for the invoice to be sent, and invoices that are charged automatically never are.", "Use when: paid or when: finalized for them."),
    Entry("S-BEFORE-GO-LIVE", "The trigger fired before go_live_from.", "Nothing to do."),
    Entry("S-CHANGED", "The invoice changed in Stripe after it was posted, in something that its amounts do not depend on.", "Nothing to do: what is booked keeps its words."),
    Entry("S-ACCEPTED", "Somebody decided about this record.", "Nothing to do."),
    Entry("S-ZERO", "The invoice has no lines or its lines are all zero.", "Nothing to do."),
    Entry("S-VOID", "The invoice was voided or deleted before it was posted.", "Nothing to do."),
    Entry("S-HAS-INVOICE", "The charge belongs to an invoice, which is posted itself.", "Nothing to do."),
    Entry("S-HAS-CREDIT-NOTE", "The refund belongs to a credit note, which is posted itself.", "Nothing to do."),
    Entry("S-REFUND-FAILED", "The refund did not succeed.", "Nothing to do: the sale stands as it was."),
    Entry("S-NOT-LOST", "The dispute is open again, or was won.", "Nothing to do: the sale stands as it was."),
    Entry("S-CHARGE-FAILED", "The charge did not succeed.", "Nothing to do."),
    Entry("S-NO-ORIGINAL", "The invoice that it corrects was never posted.", "Nothing to do: what is not in the ledger needs no correction there."),
    Entry("S-OTHER-ACCOUNT", "The record belongs to a Stripe account or mode that this connection no longer reads.", "Nothing to do."),
    Entry("S-CREDITS-OFF", "Credit notes are left out by the settings.", "Nothing to do, or set invoices.credit_notes: true."),
    Entry("S-CHARGES-OFF", "Payments without an invoice are left out by the settings.", "Nothing to do, or set invoices.include_charges: true."),
)  # fmt: skip

CATALOGUE: dict[str, Entry] = {entry.code: entry for entry in _ENTRIES}

_BY_LANGUAGE: dict[Language, dict[str, Entry]] = {
    "en": CATALOGUE,
    "da": {
        code: replace(entry, cause=DANISH[code][0], remedy=DANISH[code][1]) if code in DANISH else entry
        for code, entry in CATALOGUE.items()
    },
}


def entry(code: str, language: Language | None = None) -> Entry:
    """The entry of `code`, in `language` or the one in force; codes outside the catalogue are a defect and read as E-INTERNAL."""
    entries = _BY_LANGUAGE[language or language_in_force()]
    return entries.get(code) or entries["E-INTERNAL"]


def language_in_force() -> Language:
    """What CLOUDIFY_LANGUAGE says: Danish for ``da`` and ``da_DK``, else English."""
    return "da" if os.environ.get("CLOUDIFY_LANGUAGE", "").lower().startswith("da") else "en"


def owner_name(owner: Owner, language: Language | None = None) -> str:
    """Who mends it, in the words of `language`."""
    return DANISH_OWNERS[owner] if (language or language_in_force()) == "da" else owner
