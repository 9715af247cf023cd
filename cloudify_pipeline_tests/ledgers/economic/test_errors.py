import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cloudify_pipeline.catalogue import CATALOGUE, LANGUAGES, entry
from cloudify_pipeline.errors import LedgerAnswerError, NotAuthorised, NotSent, OutcomeUnknown, Refused
from cloudify_pipeline.ledgers.economic import refusal_codes
from cloudify_pipeline.ledgers.economic.errors import read_fault, refusal_of_write


def leaf(code: str, name: str, message: str = "no", value: Any = "secret@example.dk") -> dict[str, Any]:
    return {"errors": [{"propertyName": name, "errorMessage": message, "errorCode": code, "inputValue": value}]}


def wrapped(tree: Any) -> dict[str, Any]:
    return {"message": "Validation failed.", "errorCode": "E04300", "errors": tree, "logId": "a-CPH", "errorCount": 1}


OLD = {"message": "Validation error.", "errors": {"lines": [{"arrayIndex": 0, "unit": {"errors": [
    {"errorCode": "E06000", "message": "unit does not exist.", "value": 10}]}}]}}  # fmt: skip
VOUCHER = wrapped([{"arrayIndex": 0, "entries": {"errors": [], "items": [{"arrayIndex": 3, "date": leaf("E04041", "Date")}]}}])

Shape = tuple[str, int, Any, str, str | None, type[Exception]]
SHAPES: list[Shape] = [
    ("tree", 400, wrapped({"lines": {"items": [{"arrayIndex": 8, "product": leaf("E06600", "product")}]}}), "E-PROD-BARRED",
     "lines[8].product", Refused),
    ("2015", 400, OLD, "E-REFERENCE", "lines[0].unit", Refused),
    ("voucher", 400, VOUCHER, "E-PERIOD", "[0].entries[3].date", Refused),
    ("voucher account", 400, wrapped([{"arrayIndex": 0, "account": leaf("E04041", "account")}]),
     "E-VOUCHER-ACCT", "[0].account", Refused),
    ("currency", 400, wrapped({"currency": leaf("E06000", "currency")}), "E-CURRENCY", "currency", Refused),
    ("due date", 400, wrapped({"dueDate": leaf("E04760", "dueDate")}), "E-DUE-EARLY", "dueDate", Refused),
    ("two decimals", 400, wrapped({"unitNetPrice": leaf("E04740", "unitNetPrice")}), "E-DECIMALS", "unitNetPrice", Refused),
    ("null", 400, {"message": "Expected String but got Null.", "httpStatusCode": 400}, "E-NULL", None, Refused),
    ("strings", 400, {"message": "Could not parse query string filter.", "errors": ["Filtering is not allowed on 'x'."],
                      "allowedFilteringFields": ["zip"]}, "E-FILTER", None, Refused),
    ("unknown code", 400, {"message": "Noget gik galt.", "errorCode": "E99999"}, "E-UNMAPPED", None, Refused),
    ("unknown finding", 400, wrapped({"lines": {"items": [{"arrayIndex": 2, "cost": leaf("E09999", "cost")}]}}), "E-UNMAPPED",
     "lines[2].cost", Refused),
    ("known beside unknown", 400, wrapped({"cost": leaf("E09999", "cost"), "product": leaf("E06600", "product")}),
     "E-PROD-BARRED", "product", Refused),
    ("wrapper alone", 400, {"message": "Validation failed.", "errorCode": "E04300"}, "E-UNMAPPED", None, Refused),
    ("gateway refuses", 400, "<html><h1>Bad Request</h1></html>", "E-UNMAPPED", None, Refused),
    ("in Danish", 400, {"message": "Fakturaen kan ikke bogføres: Perioden er spærret."}, "E-PERIOD", None, Refused),
    ("debtor in Danish", 400, {"message": "Debitor '12' er spærret."}, "E-CUST-BARRED", None, Refused),
    ("wrong address", 404, {"message": "Resource not found.", "errorCode": "E06000"}, "E-GONE", None, Refused),
    ("customer number", 400, {"message": "Invalid format for e-conomic Customer number"}, "E-CUST-NUM", None, Refused),
    ("zero", 400, wrapped({"customerNumber": leaf("", "customerNumber", "Integer 0 is less than minimum value of 1.")}),
     "E-CUST-NUM", "customerNumber", Refused),
    ("terms", 400, wrapped({"daysOfCredit": leaf("E06151", "daysOfCredit")}), "E-TERMS-IMMUTABLE", "daysOfCredit", Refused),
    ("page", 400, {"message": "The page size must be between 1 and 1000.", "errorCode": "E04810"}, "E-PAGE", None, Refused),
    ("wrong method", 405, {"message": "Not allowed"}, "E-REQUEST", None, Refused),
    ("booking", 400, {"message": "Cannot book.", "errorCode": "E04870"}, "E-PERIOD", None, Refused),
    ("problem", 400, {"title": "Invalid",
     "errors": [{"message": "taken", "errorCode": "CustomerAlreadyExists", "property": "number"}]},
     "E-CUST-TAKEN", "number", Refused),
    ("other content", 400, {"title": "Content must be the same.", "errorCode": "PayloadChanged"},
     "E-IDEMPOTENCY", None, OutcomeUnknown),
    ("other address", 400, {"title": "URL must be the same.", "errorCode": "URLChanged"}, "E-IDEMPOTENCY", None, OutcomeUnknown),
    ("conflict", 409, {"title": "Conflict", "errorCode": "UpdateConflict"}, "E-CONFLICT", None, OutcomeUnknown),
    ("grant", 401, {"message": "Token does not correspond to a valid grant.", "errorCode": "E02250"},
     "E-CONN-GRANT", None, NotAuthorised),
    ("no body", 401, "", "E-CONN-GRANT", None, NotAuthorised),
    ("role", 403, {"message": "Forbidden"}, "E-CONN-ROLE", None, NotAuthorised),
    ("module", 403, {"title": "Missing modules: Project", "errorCode": "AccessDeniedAgreementMissingModules"},
     "E-CONN-MODULE", None,
     NotAuthorised),
    ("read-only", 403, {"message": "The license is read-only"}, "E-CONN-READONLY", None, NotAuthorised),
    ("read-only 400", 400, {"message": "The license is read-only"}, "E-CONN-READONLY", None, NotAuthorised),
    ("rate", 429, "", "E-RATE", None, NotSent),
    ("gateway", 502, "<html><h1>Bad Gateway</h1></html>", "E-SERVER", None, OutcomeUnknown),
    ("server", 500, {"message": "Internal error", "logId": "x"}, "E-SERVER", None, OutcomeUnknown),
    ("redirect", 302, "", "E-SERVER", None, OutcomeUnknown),
    ("list", 400, ["odd"], "E-UNMAPPED", None, Refused),
    ("bare", 404, {"message": "Resource not found.", "httpStatusCode": 404}, "E-GONE", None, Refused),
]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES, ids=[shape[0] for shape in SHAPES])
def test_every_shape_has_a_code_a_place_and_a_meaning(shape: Shape) -> None:
    name, status, body, code, field, kind = shape
    raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    error = refusal_of_write(read_fault(status, raw, "req"))
    assert (type(error), error.code) == (kind, code), name
    if isinstance(error, LedgerAnswerError):
        assert (error.field, error.status, error.request_id) == (field, status, "req")
    assert "secret@example.dk" not in str(error)


def test_what_was_sent_is_dropped_and_the_words_are_kept() -> None:
    fault = read_fault(400, json.dumps(wrapped({"email": leaf("E1", "email", "is wrong")})).encode())
    assert str(fault) == "HTTP 400 E1: email: is wrong; Validation failed."
    assert fault.request_id == "a-CPH"
    assert "secret" not in repr(fault)


def test_words_that_nobody_knows_are_kept_with_code_hint_and_request_id_and_are_short() -> None:
    body = {"message": "Ø" * 900, "errorCode": "E99999", "developerHint": "Ask support.", "logId": "b-CPH"}
    error = refusal_of_write(read_fault(400, json.dumps(body).encode()))
    assert isinstance(error, Refused)
    assert (error.code, error.request_id, error.raw_codes) == ("E-UNMAPPED", "b-CPH", ("E99999",))
    assert str(error) == f"HTTP 400 E99999: {'Ø' * 299}… Hint: Ask support."
    assert str(read_fault(418, b"")) == "HTTP 418: the answer is empty"


def test_a_known_refusal_names_the_ledgers_own_codes() -> None:
    fault = read_fault(400, json.dumps(wrapped({"dueDate": leaf("E04760", "dueDate", "is too early")})).encode())
    assert str(fault) == "HTTP 400: dueDate: is too early; Validation failed. (E04760, E04300)"


def test_every_code_is_in_the_catalogue() -> None:
    assert set(CATALOGUE) >= refusal_codes.CODES_IN_USE


PUBLISHED = ("openapi-Customers", "openapi-Products", "openapi-Journals")
"""The services whose records this project writes, or will."""


@pytest.mark.parametrize("service", PUBLISHED)
def test_every_published_code_is_known(service: str, shared: Callable[[str], Path]) -> None:
    document = (shared("contracts/economic/openapi") / f"{service}.json").read_text(encoding="utf-8")
    codes = {code for listed in re.findall(r'"x-error-codes": *(\[[^\]]*\])', document) for code in json.loads(listed)}
    assert len(codes) > 10
    unknown = {code for code in codes if refusal_codes.of_finding(code, "", "") is None}
    assert unknown == set()


RECORDED = {
    "legacy-400-E04300-E04800-contact-mismatch": ("E-REFERENCE", "customerContact"),
    "legacy-400-E04300-line-product-barred": ("E-PROD-BARRED", "lines[8].product"),
    "legacy-400-E04300-payment-terms-not-found": ("E-REFERENCE", "paymentTerms"),
    "legacy-400-E04300-voucher-account-not-found": ("E-VOUCHER-ACCT", "[0].account"),
    "legacy-400-E04300-voucher-barred-period": ("E-PERIOD", "[0].entries[0].date"),
    "legacy-400-E04300-voucher-contra-account-not-found": ("E-VOUCHER-ACCT", "[0].account"),
    "legacy-400-E04870-booking-barred-period": ("E-PERIOD", None),
    "legacy-400-bad-filter": ("E-FILTER", None),
    "legacy-400-doc-example-2015": ("E-CURRENCY", "currency"),
    "legacy-401-E02250-invalid-grant": ("E-CONN-GRANT", None),
    "legacy-401-no-tokens": ("E-CONN-GRANT", None),
    "legacy-404-resource-not-found": ("E-GONE", None),
    "openapi-400-idempotency-PayloadChanged": ("E-IDEMPOTENCY", None),
    "openapi-404-ResourceNotFound": ("E-GONE", None),
}


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_errors(name: str, shared: Callable[[str], Path]) -> None:
    body = (shared("contracts/economic/errors") / f"{name}.json").read_bytes()
    fault = read_fault(int(name.split("-")[1]), body)
    assert (fault.code, next((detail.path for detail in fault.details if detail.path), None)) == RECORDED[name]
    assert fault.message or fault.details
    for language in LANGUAGES:
        known = entry(fault.code, language)
        assert (known.code, bool(known.cause), bool(known.remedy)) == (fault.code, True, True)


def test_every_recorded_error_is_expected(shared: Callable[[str], Path]) -> None:
    assert {path.stem for path in shared("contracts/economic/errors").glob("*.json")} == set(RECORDED)
