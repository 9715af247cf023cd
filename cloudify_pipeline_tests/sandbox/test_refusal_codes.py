"""Every refusal that the embedded servers can give comes to a code of the catalogue: a new one without a code fails here."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from cloudify_pipeline.catalogue import CATALOGUE
from cloudify_pipeline.ledgers.economic.errors import read_fault
from cloudify_pipeline.sandbox.economic import errors as economic
from cloudify_pipeline.sandbox.economic import rules
from cloudify_pipeline.sandbox.stripe import errors as stripe
from cloudify_pipeline.stripe_source.errors import code_of
from cloudify_pipeline_tests.sandbox.refusal_sites import STAND_IN, Named, Site, raised, sites

NOW = datetime(2026, 11, 1, tzinfo=UTC)
NO_ANSWER = {"KeyError", "ValueError"}
"""Raised on a wrong use of the sandbox itself; no request comes to them."""


def code_of_economic(error: economic.ApiError) -> str:
    return read_fault(error.status, json.dumps(economic.stamped(error, NOW)).encode()).code


def found_wrong(path: economic.Path, message: str, code: str | None) -> economic.ApiError:
    findings = economic.Findings()
    findings.add(path, message, code, value="7")
    with pytest.raises(economic.ApiError) as refused:
        findings.refuse()
    return refused.value


def economic_answer(site: Site) -> tuple[str, economic.ApiError] | None:
    """What the server says at `site`, and the words it is known by; None where another site stands for it."""
    words = [argument for argument in site.arguments if not isinstance(argument, Named)]
    match site.constructor, site.arguments:
        case "Reference", (field, *_):
            message = f"{site.keywords.get('title') or field} '7' not found."
            return message, found_wrong((field,), message, site.keywords.get("code", "E06000"))
        case "add", (path, str(message), *rest):
            code = rest[0] if rest and not isinstance(rest[0], Named) else None
            if code == STAND_IN:
                return None  # A reference's own code: each Reference is a site.
            names = path if isinstance(path, tuple) else ("lines", 0, "quantity")
            here = tuple(("lines", 0) if isinstance(name, Named) else (name,) for name in names)
            return message, found_wrong(tuple(name for part in here for name in part), message, code)
        case "_cannot_book", (_, str(why), *code):
            message = f"Cannot book the current invoice: {why} (a booking of draft invoice 7 failed.)"
            return why, economic.refusal(400, message, *code)
        case "_Unreadable", (message,):
            return message, economic.bad_filter([message], ["name"])
        case "bad_sort", (message, _):
            return message, economic.bad_sort(message, ["name"])
        case "refusal", (int(), str(message), *code) if not any(isinstance(one, Named) for one in code):
            return message, economic.refusal(*words)
        case "problem", (int(), str(title), str(code), *_):
            return f"{title} {code}", economic.problem(*words)
        case "not_found", _:
            return " ".join(["Resource not found.", *words]), economic.not_found(*words)
        case "ApiError", (int(status), Named() as constant, *_):
            return constant, economic.ApiError(status, getattr(economic, constant))
        case "ApiError", (int(status), dict(body), *_):
            return body["message"], economic.ApiError(status, body)
    return None


ECONOMIC = frozenset(
    {
        "refusal",
        "not_found",
        "problem",
        "bad_filter",
        "bad_sort",
        "ApiError",
        "add",
        "_cannot_book",
        "_not_allowed",
        "_Unreadable",
    }
) | {"Reference"}
ECONOMIC_CODES = {
    "Unauthorized access (Unauthorized).": "E-CONN-GRANT",
    "INVALID_GRANT": "E-CONN-GRANT",
    "READ_ONLY_LICENCE": "E-CONN-READONLY",
    "You do not have the required role to access this resource.": "E-CONN-ROLE",
    "Too many requests.": "E-RATE",
    "An unexpected error has occurred.": "E-SERVER",
    "Resource not found.": "E-GONE",
    "Resource not found. E06000": "E-GONE",
    "Resource not found. ResourceNotFound": "E-GONE",
    "Draft invoice '7' not found.": "E-GONE",
    "The HTTP method is not allowed on this resource.": "E-REQUEST",
    "Unsupported media type. Use application/json.": "E-REQUEST",
    "Invalid type. Expected Object.": "E-REQUEST",
    "Invalid type. Expected 7 but got 7.": "E-REQUEST",
    "Could not parse the request body: 7": "E-REQUEST",
    "Sorting is not allowed on property '7'.": "E-REQUEST",
    "Invalid paging. InvalidInput": "E-VALUE",
    "The page size must be between 1 and 7.": "E-PAGE",
    "URL must be the same when using the same Idempotency key. URLChanged": "E-IDEMPOTENCY",
    "Content must be the same when using the same Idempotency key. PayloadChanged": "E-IDEMPOTENCY",
    "$null: can only be compared with $eq: or $ne:.": "E-FILTER",
    "Unexpected '7' at position 7.": "E-FILTER",
    "Expected a property and an operator at position 7.": "E-FILTER",
    "Filtering is not allowed on property '7'.": "E-FILTER",
    "A list of values must stand in brackets.": "E-FILTER",
    "A list can hold at most 7 values.": "E-FILTER",
    "A closing parenthesis is missing.": "E-FILTER",
    "An opening parenthesis in a value must be escaped.": "E-FILTER",
    "Unknown escape '$7'.": "E-FILTER",
    "'7' is not a number.": "E-FILTER",
    "layout '7' not found.": "E-REFERENCE",
    "PaymentTerms '7' not found.": "E-REFERENCE",
    "customer '7' not found.": "E-CUST-MISSING",
    "vatZone '7' not found.": "E-REFERENCE",
    "product '7' not found.": "E-PROD-MISSING",
    "unit '7' not found.": "E-REFERENCE",
    "salesPerson '7' not found.": "E-REFERENCE",
    "vendorReference '7' not found.": "E-REFERENCE",
    "customerGroup '7' not found.": "E-REFERENCE",
    "productGroup '7' not found.": "E-REFERENCE",
    "currency does not exist.": "E-CURRENCY",
    "Layout '7' is deleted.": "E-REFERENCE",
    "VAT zone is not enabled for customers.": "E-REFERENCE",
    "Customer '7' is barred.": "E-CUST-BARRED",
    "Customer number '7' already exists.": "E-CUST-TAKEN",
    "Customer '7' cannot be deleted because it is in use.": "E-REFUSED",
    "Product '7' is barred.": "E-PROD-BARRED",
    "Product number '7' already exists.": "E-DUPLICATE-NUMBER",
    "Product '7' cannot be deleted because it is in use.": "E-REFUSED",
    "Product '7' has no sales account in the VAT zone.": "E-PROD-GROUP",
    "Payment terms type does not match the type on the payment terms specified.": "E-TERMS-TYPE",
    "Property quantity must have a value when product is set.": "E-REQUIRED",
    "Property description must have a value when product is set.": "E-REQUIRED",
    "Property product must have a value when 7 is set.": "E-REQUIRED",
    "Required properties are missing from object: 7.": "E-REQUIRED",
    "No identifiers present on draftInvoice.": "E-NULL",
    "Due date must be specified when payment terms are of type dueDate.": "E-DUE-MISSING",
    "Due date cannot be earlier than the date.": "E-DUE-EARLY",
    "The invoice date 7 does not lie within an accounting year.": "E-PERIOD",
    "The invoice date 7 lies within a 7 period.": "E-PERIOD",
    "The invoice has no lines with a product.": "E-REFUSED",
    "The invoice number 7 is already in use.": "E-DUPLICATE-NUMBER",
    "The customer has no EAN.": "E-EAN",
    "String '7' exceeds maximum length of 7.": "E-TOO-LONG",
    "String '7' is less than minimum length of 7.": "E-VALUE",
    "String '7' does not validate against format 'date'.": "E-VALUE",
    "String '7' does not match regex pattern '7'.": "E-VALUE",
    "Value 7 is not defined in enum.": "E-VALUE",
    "7 7 is less than minimum value of 7.": "E-VALUE",
    "7 7 exceeds maximum value of 7.": "E-VALUE",
    "7 scale cannot be greater than 7 decimal places.": "E-DECIMALS",
}
ECONOMIC_SAID = [(site, *said) for site in sites("economic", ECONOMIC) if (said := economic_answer(site))]


@pytest.mark.parametrize(("site", "words", "error"), ECONOMIC_SAID, ids=[site.place for site, *_ in ECONOMIC_SAID])
def test_what_the_ledger_refuses_has_a_code(site: Site, words: str, error: economic.ApiError) -> None:
    code = code_of_economic(error)
    if words == "message":
        assert code == "E-NULL", "a reference without a key; its words name the property"
        return
    assert words in ECONOMIC_CODES, f"{site.place}: {words!r} comes to {code}; it needs a code of its own, or a line here"
    assert code == ECONOMIC_CODES[words]
    assert code in set(CATALOGUE) - {"E-UNMAPPED"}


def test_the_table_has_no_line_for_a_refusal_that_is_gone() -> None:
    assert set(ECONOMIC_CODES) - {words for _, words, _ in ECONOMIC_SAID} == set()
    assert set(STRIPE_CODES) - {words for _, words, _ in STRIPE_SAID} == set()


def test_nothing_is_refused_in_a_way_that_is_not_looked_at() -> None:
    assert raised("economic") - ECONOMIC - NO_ANSWER == set()
    assert raised("stripe") - STRIPE - NO_ANSWER == set()


@pytest.mark.parametrize(
    ("schema", "body", "code"),
    [
        ("customers.post", {"name": None}, "E-NULL"),
        ("customers.post", {"name": "N" * 256}, "E-TOO-LONG"),
        ("customers.post", {"name": 7}, "E-REQUEST"),
        ("customers.post", {"customerNumber": 0}, "E-CUST-NUM"),
        ("customers.post", {"customerNumber": 1_000_000_000}, "E-CUST-NUM"),
        ("customers.post", {"pNumber": "1"}, "E-VALUE"),
        ("customers.post", {}, "E-REQUIRED"),
        ("drafts.post", {"date": "1.11.2026"}, "E-VALUE"),
    ],
)
def test_what_a_body_may_not_hold_has_a_code(schema: str, body: dict[str, Any], code: str) -> None:
    findings = economic.Findings()
    required = {"currency": "DKK", "name": "Nordlys", **{name: {} for name in ("customerGroup", "vatZone", "paymentTerms")}}
    rules.check(schema, {**required, **body} if body else {}, findings)
    with pytest.raises(economic.ApiError) as refused:
        findings.refuse()
    assert code_of_economic(refused.value) == code


STRIPE = frozenset(
    {"StripeFault", "no_such", "unknown_parameter", "invalid", "unauthenticated", "forbidden", "rate_limited", "_cannot"}
)
STRIPE_CODES = {
    "no_such": "E-STRIPE-GONE",
    "unknown_parameter": "E-REQUEST",
    "unauthenticated": "E-CONN-GRANT",
    "forbidden": "E-CONN-ROLE",
    "rate_limited": "E-RATE",
    "Invalid Stripe API version: 7": "E-REQUEST",
    "Unrecognized request URL (7: 7).": "E-REQUEST",
    "Idempotency keys can be at most 255 characters long.": "E-REQUEST",
    "Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a key other "
    "than '7' if you meant to execute a different request.": "E-IDEMPOTENCY",
    "Expired API Key provided: 7": "E-CONN-GRANT",
    "This object cannot be accessed right now because another API request or Stripe process is currently accessing it.": "E-RATE",
    "An unknown error occurred": "E-SERVER",
    "Invalid object": "E-REQUEST",
    "Invalid object (metadata)": "E-METADATA-FULL",
    "Invalid string": "E-REQUEST",
    "Too many values: at most 7.": "E-REQUEST",
    "This value must be 7.": "E-REQUEST",
    "Received both starting_after and ending_before parameters. Please pass in only one.": "E-REQUEST",
    "Invalid array": "E-REQUEST",
    "Invalid integer: 7": "E-REQUEST",
    "Invalid boolean: 7": "E-REQUEST",
    "Invalid parameter name: 7": "E-REQUEST",
    "Invalid parameter: 7": "E-REQUEST",
    "Received unknown parameter: 7[7]": "E-REQUEST",
    "Metadata can have at most 50 keys. (metadata)": "E-METADATA-FULL",
    "Metadata keys can be at most 40 characters long: 7…": "E-REQUEST",
    "Metadata values can have up to 500 characters, but you passed in a value that is 7 characters.": "E-REQUEST",
    "7 You may want to try expanding '7' on another endpoint.": "E-REQUEST",
    "You cannot expand more than 7 levels of a property. Property: 7": "E-REQUEST",
}


def stripe_answer(site: Site) -> tuple[str, stripe.StripeFault] | None:
    if site.constructor == "_cannot":
        return None  # It makes a StripeFault, which is a site of its own.
    arguments = list(site.arguments)
    if site.constructor == "StripeFault" and arguments[0] == STAND_IN:
        arguments[0] = 500
    fault: stripe.StripeFault = getattr(stripe, site.constructor)(*arguments, **site.keywords)
    if site.constructor not in {"StripeFault", "invalid"}:
        return site.constructor, fault
    at_metadata = fault.body["error"].get("param") == "metadata"
    return f"{fault}{' (metadata)' if at_metadata else ''}", fault


STRIPE_SAID = [(site, *answer) for site in sites("stripe", STRIPE) if (answer := stripe_answer(site))]


@pytest.mark.parametrize(("site", "words", "fault"), STRIPE_SAID, ids=[site.place for site, *_ in STRIPE_SAID])
def test_what_stripe_refuses_has_a_code(site: Site, words: str, fault: stripe.StripeFault) -> None:
    code = code_of(fault.status, fault.body["error"])
    assert words in STRIPE_CODES, f"{site.place}: {words!r} comes to {code}; it needs a code of its own, or a line here"
    assert code == STRIPE_CODES[words]
    assert code in set(CATALOGUE) - {"E-UNMAPPED"}


@pytest.mark.parametrize(
    ("status", "code"), [(401, "E-CONN-GRANT"), (403, "E-CONN-ROLE"), (429, "E-RATE"), (500, "E-SERVER"), (503, "E-SERVER")]
)
def test_an_injected_status_has_the_same_code_on_both_sides(status: int, code: str) -> None:
    assert read_fault(status, b'{"message": "Injected fault."}').code == code
    assert code_of(status, {}) == code
