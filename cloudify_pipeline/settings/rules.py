"""What the connection file's sections demand of each other. Each rule is named, stands alone and has its own test."""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from babel.numbers import list_currencies

from cloudify_pipeline.accounting.documents import EXCHANGE_RATE
from cloudify_pipeline.mapping.fields import FieldCatalogue
from cloudify_pipeline.mapping.paths import Path, PathError, parse_path
from cloudify_pipeline.mapping.sources import type_of, unknown_path
from cloudify_pipeline.mapping.templates import Template
from cloudify_pipeline.mapping.types import fit
from cloudify_pipeline.settings.findings import Finding, Rule, Seen
from cloudify_pipeline.settings.local import LOOPBACK
from cloudify_pipeline.settings.models import InvoiceRule, MatchPair
from cloudify_pipeline.settings.vat_rules import (
    is_country,
    one_stop_shop_is_for_other_member_states,
    reverse_charge_field_exists,
    reverse_charge_texts_can_be_written,
    vat_countries_are_countries,
    vat_evidence_can_be_shown,
    vat_zone_paths_exist,
)
from cloudify_pipeline.stripe_objects import STATE_KEYS

METADATA_KEY_LENGTH = 40
"""The longest key Stripe's metadata takes (docs.stripe.com/api/metadata); square brackets are not allowed in it."""

_ADDRESS = re.compile(r"[^@\s<>,;]+@[^@\s<>,;]+")
_AS = {"url": ": {env: NAME} of the address", "smtp": ": {env: NAME} of smtp://user:password@host:587"}
_CUSTOMER_NUMBERS = range(1, 1_000_000_000)


def check_rules(seen: Seen) -> list[Finding]:
    """What every rule says, in order."""
    return [finding for rule in RULES for finding in rule(seen)]


def ledger_has_its_section(seen: Seen) -> Iterator[Finding]:
    """The ledger that is named has its section, and no other has."""
    if seen.settings.ledger == "economic" and seen.settings.economic is None:
        yield Finding("economic", "nothing", "ledger: economic needs this section")


def plain_http_only_to_this_machine(seen: Seen) -> Iterator[Finding]:
    """Tokens travel in headers: http:// is for a sandbox on the loopback interface alone. So is proof of a VAT number."""
    settings = seen.settings
    for section, model in (("stripe", settings.stripe), ("economic", settings.economic), ("vat.evidence", settings.vat.evidence)):
        for name in ("api_base", "openapi_base"):
            if (url := getattr(model, name, None)) is None:
                continue
            problem = _url_problem(url)
            if problem:
                yield Finding(
                    f"{section}.{name}", problem, "an https:// address; http:// only for localhost, 127.0.0.1 and [::1]"
                )


def _url_problem(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return "no address"
    if parts.username or parts.password:
        return "an address with a user or password in it"
    if parts.scheme == "https" and host:
        return None
    return None if parts.scheme == "http" and host in LOOPBACK else repr(url)


def one_product_method(seen: Seen) -> Iterator[Finding]:
    """V-21: products are searched, or linked one by one."""
    if seen.settings.products.links and seen.wrote("products", "match"):
        yield Finding("products.match", "match and links", "exactly one method: remove products.match or products.links")


def default_customer_is_named(seen: Seen) -> Iterator[Finding]:
    """V-23: the customer to fall back on has a number."""
    customers = seen.settings.customers
    if customers.on_not_found == "default_customer" and customers.default_customer is None:
        yield Finding("customers.default_customer", "nothing", "on_not_found: default_customer needs a customer number")
    number = customers.default_customer
    if isinstance(number, int) and number not in _CUSTOMER_NUMBERS:
        yield Finding("customers.default_customer", str(number), "a customer number is 1 to 999999999")


def default_product_is_named(seen: Seen) -> Iterator[Finding]:
    """V-23: the product to fall back on has a number."""
    products = seen.settings.products
    if products.on_not_found == "default_product" and not products.default_product:
        yield Finding("products.default_product", "nothing", "on_not_found: default_product needs a product number")


def discount_product_is_named(seen: Seen) -> Iterator[Finding]:
    """Discounts as a line need the product of that line."""
    if seen.settings.invoices.discounts == "product_line" and not seen.settings.products.discount_product:
        yield Finding("products.discount_product", "nothing", "invoices.discounts: product_line needs a product number")


def number_comes_from_one_side(seen: Seen) -> Iterator[Finding]:
    """V-24: a number that Stripe gives has a field, and is not written back."""
    number = seen.settings.customers.number
    inside = seen.written.get("customers")
    written = inside.get("number") if isinstance(inside, Mapping) else None
    wrote_store = isinstance(written, Mapping) and "store_in" in written
    if number.source == "ledger":
        if number.stripe_field is not None:
            yield Finding("customers.number.stripe_field", number.stripe_field, "only with source: stripe")
        return
    if not number.stripe_field:
        yield Finding("customers.number.stripe_field", "nothing", "source: stripe needs the Stripe field that holds the number")
    if number.store_in is not None:
        found = number.store_in if wrote_store else f"the default {number.store_in}"
        yield Finding("customers.number.store_in", found, "with source: stripe write store_in: null")


def number_is_stored_in_metadata(seen: Seen) -> Iterator[Finding]:
    """V-36: the number is kept under a key that Stripe's metadata can have."""
    number = seen.settings.customers.number
    if number.store_in is None or number.source == "stripe":
        return
    try:
        path: Path | None = parse_path(number.store_in)
    except PathError:
        path = None
    good = path is not None and len(path.parts) == 2 and path.parts[0] == "metadata"
    if path is None or not good:
        yield Finding("customers.number.store_in", number.store_in, "metadata.<key>, or null for nowhere")
    elif len(path.parts[1]) > METADATA_KEY_LENGTH or set("[]") & set(path.parts[1]):
        allowed = f"a metadata key has at most {METADATA_KEY_LENGTH} characters, and no square brackets"
        yield Finding("customers.number.store_in", number.store_in, allowed)


def rate_comes_from_one_source(seen: Seen) -> Iterator[Finding]:
    """The rate of exchange is Stripe's or a mapping's, never either as it happens."""
    invoices = seen.settings.invoices
    if invoices.exchange_rate == "stripe" and invoices.fields.get(EXCHANGE_RATE) is not None:
        allowed = "one of the two: invoices.exchange_rate: ledger with this mapping, or stripe without it"
        yield Finding(f"invoices.fields.{EXCHANGE_RATE}", "a mapping, and invoices.exchange_rate: stripe", allowed)


def written_back_keys_are_not_read(seen: Seen) -> Iterator[Finding]:
    """V-36: what this software writes into an invoice's metadata decides nothing about its document, or it would never rest."""
    if not seen.settings.invoices.write_back:
        return
    allowed = "another key: invoices.write_back writes this one itself (or set write_back: false)"
    for target, mapping in seen.settings.invoices.fields.items():
        if not target.startswith("lines."):
            for key in STATE_KEYS:
                if any(path.parts == ("metadata", key) for path in _paths(mapping)):
                    yield Finding(f"invoices.fields.{target}", f"metadata.{key}", allowed)
    for place, rule in enumerate(seen.settings.invoices.rules):
        for key in (rule.if_.metadata or {}) if rule.if_ else {}:
            if key in STATE_KEYS:
                yield Finding(f"invoices.rules[{place}].if.metadata.{key}", f"metadata.{key}", allowed)


def _paths(mapping: Any) -> Iterator[Path]:
    """Every Stripe path that a written mapping reads; what cannot be read is told where mappings are compiled."""
    try:
        if isinstance(mapping, str):
            yield parse_path(mapping)
        elif isinstance(mapping, list):
            for one in mapping:
                yield from _paths(one)
        elif isinstance(mapping, Mapping):
            yield from _paths(mapping.get("from"))
            if isinstance(mapping.get("template"), str):
                yield from Template.parse(mapping["template"]).paths
    except PathError:
        return


def number_field_exists(seen: Seen) -> Iterator[Finding]:
    """The Stripe field that holds the customer number is one."""
    path = seen.settings.customers.number.stripe_field
    if path and seen.catalogues:
        yield from _stripe_path("customers.number.stripe_field", path, seen.catalogues.stripe["customers"])


def match_pairs_can_be_looked_up(seen: Seen) -> Iterator[Finding]:
    """The Stripe side of a pair exists, the ledger can be searched on the other, and the types fit."""
    if seen.catalogues is None:
        return
    pairs: dict[str, list[MatchPair]] = {"customers": seen.settings.customers.match}
    if not seen.settings.products.links:
        pairs["products"] = seen.settings.products.match
    for section, match in pairs.items():
        for place, pair in enumerate(match):
            key = f"{section}.match[{place}]"
            ledger, stripe = seen.catalogues.ledger[section], seen.catalogues.stripe[section]
            yield from _stripe_path(f"{key}.stripe", pair.stripe, stripe)
            yield from _searchable(f"{key}.ledger", pair.ledger, ledger)
            yield from _types(key, pair, stripe, ledger)


def some_match_pair(seen: Seen) -> Iterator[Finding]:
    """Without a pair nothing is ever found, and each customer would be created anew."""
    if not seen.settings.customers.match:
        yield Finding("customers.match", "an empty list", "at least one pair of a Stripe and a ledger field")
    if not seen.settings.products.match and not seen.settings.products.links:
        yield Finding("products.match", "an empty list", "at least one pair, or products.links")


def names_are_not_unique(seen: Seen) -> Iterator[Finding]:
    """Two strangers with one name would become one customer."""
    match = seen.settings.customers.match
    if match and all(pair.ledger == "name" for pair in match):
        warning = "only the name is matched: two customers with one name become one; add email or a number"
        yield Finding("customers.match", "name", warning, refused=False)


def create_without_a_pair_doubles(seen: Seen) -> Iterator[Finding]:
    """An empty match field that creates makes a new customer for each Stripe customer without it."""
    customers = seen.settings.customers
    if customers.on_empty_match_field == "create" and len(customers.match) == 1:
        warning = "with a single match pair, each Stripe customer without that field becomes a new customer in the ledger"
        yield Finding("customers.on_empty_match_field", "create", warning, refused=False)


def some_invoice_rule(seen: Seen) -> Iterator[Finding]:
    """Without a rule nothing would ever be posted."""
    if not seen.settings.invoices.rules:
        yield Finding("invoices.rules", "an empty list", "at least one rule")


def rules_can_be_reached(seen: Seen) -> Iterator[Finding]:
    """The first rule that holds wins: behind one of the same trigger without condition, none is reached."""
    catching: dict[str, int] = {}
    for place, rule in enumerate(seen.settings.invoices.rules):
        if rule.when in catching:
            warning = f"never reached: rule {catching[rule.when] + 1} takes every invoice first"
            yield Finding(f"invoices.rules[{place}]", rule.when, warning, refused=False)
        elif _takes_all(rule):
            # An invoice is finalized before it can be sent or paid.
            caught = ("sent", "finalized", "paid") if rule.when == "finalized" else (rule.when,)
            catching |= dict.fromkeys(caught, place)


def _takes_all(rule: InvoiceRule) -> bool:
    return rule.if_ is None or all(value is None for value in dict(rule.if_).values())


def conditions_name_real_codes(seen: Seen) -> Iterator[Finding]:
    """Countries are ISO 3166 and currencies ISO 4217 codes; a misspelt one would simply never hold."""
    for place, rule in enumerate(seen.settings.invoices.rules):
        if rule.if_ is None:
            continue
        key = f"invoices.rules[{place}].if"
        for country in rule.if_.country or ():
            if not is_country(country):
                yield Finding(f"{key}.country", country, "a country code such as DK")
        for currency in rule.if_.currency or ():
            if currency.upper() not in list_currencies():
                yield Finding(f"{key}.currency", currency, "a currency code such as DKK")


def default_currency_is_one(seen: Seen) -> Iterator[Finding]:
    """The currency of new customers is an ISO code or Stripe's own."""
    currency = seen.settings.customers.defaults.currency
    if currency != "from_stripe" and currency.upper() not in list_currencies():
        yield Finding("customers.defaults.currency", currency, "from_stripe, or a currency code such as DKK")


def alerts_can_be_told(seen: Seen) -> Iterator[Finding]:
    """Each route says where to, and nothing that belongs to another route."""
    for place, alert in enumerate(seen.settings.alerts):
        key = f"alerts[{place}]"
        if not alert.on:
            yield Finding(f"{key}.on", "an empty list", "what to tell: failed, held, connection, degraded")
        needed = {"log": (), "webhook": ("url",), "email": ("address", "smtp")}[alert.to]
        allowed = (*needed, "sender") if alert.to == "email" else needed
        for name in ("url", "address", "smtp", "sender"):
            value = getattr(alert, name)
            if value is None and name in needed:
                yield Finding(f"{key}.{name}", "nothing", f"to: {alert.to} needs it{_AS.get(name, '')}")
            elif value is not None and name not in allowed:
                yield Finding(f"{key}.{name}", "a value", f"to: {alert.to} does not use it; remove the key")
            elif isinstance(value, str) and not _ADDRESS.fullmatch(value):
                yield Finding(f"{key}.{name}", repr(value), "one e-mail address, as in books@example.com")


def _stripe_path(key: str, text: str, catalogue: FieldCatalogue) -> Iterator[Finding]:
    try:
        path = parse_path(text)
    except PathError as error:
        yield Finding(key, text, error.allowed)
        return
    if type_of(path, catalogue) is None:
        yield Finding(key, text, unknown_path(path, catalogue))


def _searchable(key: str, path: str, catalogue: FieldCatalogue) -> Iterator[Finding]:
    found = catalogue.get(path)
    if path == "number" or (found is not None and found.filterable):
        return
    allowed = ", ".join(sorted({"number", *(name for name, one in catalogue.items() if one.filterable)}))
    reason = "the ledger cannot be searched on it" if found else "the ledger has no such field"
    yield Finding(key, path, f"E-FILTER: {reason}; allowed: {allowed}")


def _types(key: str, pair: MatchPair, stripe: FieldCatalogue, ledger: FieldCatalogue) -> Iterator[Finding]:
    target = ledger.get(pair.ledger)
    try:
        source = type_of(parse_path(pair.stripe), stripe)
    except PathError:
        return
    if source in {"list", "object"}:
        yield Finding(f"{key}.stripe", pair.stripe, "a single value is needed: name one field below it")
        return
    # A number is looked up by its digits, whatever type it has in Stripe.
    if target is None or source is None or target.type in {"integer", "decimal"}:
        return
    if fit(source, target.type, loose=pair.stripe not in stripe) != "fine":
        yield Finding(key, f"{source} and {target.type}", "the two fields hold different things", refused=False)


RULES: tuple[Rule, ...] = (
    ledger_has_its_section,
    plain_http_only_to_this_machine,
    one_product_method,
    default_customer_is_named,
    default_product_is_named,
    discount_product_is_named,
    number_comes_from_one_side,
    number_is_stored_in_metadata,
    written_back_keys_are_not_read,
    rate_comes_from_one_source,
    number_field_exists,
    some_match_pair,
    match_pairs_can_be_looked_up,
    names_are_not_unique,
    create_without_a_pair_doubles,
    some_invoice_rule,
    rules_can_be_reached,
    conditions_name_real_codes,
    default_currency_is_one,
    vat_countries_are_countries,
    vat_zone_paths_exist,
    vat_evidence_can_be_shown,
    one_stop_shop_is_for_other_member_states,
    reverse_charge_texts_can_be_written,
    reverse_charge_field_exists,
    alerts_can_be_told,
)
