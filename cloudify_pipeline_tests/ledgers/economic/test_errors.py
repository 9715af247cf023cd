import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cloudify_pipeline.catalogue import CATALOGUE
from cloudify_pipeline.errors import LedgerAnswerError, NotAuthorised, NotSent, OutcomeUnknown, Refused
from cloudify_pipeline.ledgers.economic import errors
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
     "E-REFERENCE", "[0].account", Refused),
    ("currency", 400, wrapped({"currency": leaf("E06000", "currency")}), "E-CURRENCY", "currency", Refused),
    ("due date", 400, wrapped({"dueDate": leaf("E04760", "dueDate")}), "E-DUE-EARLY", "dueDate", Refused),
    ("two decimals", 400, wrapped({"unitNetPrice": leaf("E04740", "unitNetPrice")}), "E-DECIMALS", "unitNetPrice", Refused),
    ("null", 400, {"message": "Expected String but got Null.", "httpStatusCode": 400}, "E-NULL", None, Refused),
    ("strings", 400, {"message": "Could not parse query string filter.", "errors": ["Filtering is not allowed on 'x'."],
                      "allowedFilteringFields": ["zip"]}, "E-FILTER", None, Refused),
    ("unknown code", 400, {"message": "Noget gik galt.", "errorCode": "E99999"}, "E-REFUSED", None, Refused),
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
    ("redirect", 302, "", "E-REFUSED", None, OutcomeUnknown),
    ("list", 400, ["odd"], "E-REFUSED", None, Refused),
    ("bare", 404, {"message": "Resource not found.", "httpStatusCode": 404}, "E-REFUSED", None, Refused),
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
    assert str(fault) == "HTTP 400: email: is wrong; Validation failed. (E1, E04300)"
    assert fault.request_id == "a-CPH"
    assert "secret" not in repr(fault)


def test_every_code_is_in_the_catalogue() -> None:
    used = {*errors._CODES.values(), *errors._BY_PROPERTY.values(), *(code for _, code in errors._BY_TEXT)}
    assert used <= set(CATALOGUE)


RECORDED = {
    "legacy-400-E04300-E04800-contact-mismatch": ("E-REFERENCE", "customerContact"),
    "legacy-400-E04300-line-product-barred": ("E-PROD-BARRED", "lines[8].product"),
    "legacy-400-E04300-payment-terms-not-found": ("E-REFERENCE", "paymentTerms"),
    "legacy-400-E04300-voucher-account-not-found": ("E-REFERENCE", "[0].account"),
    "legacy-400-E04300-voucher-barred-period": ("E-PERIOD", "[0].entries[0].date"),
    "legacy-400-E04300-voucher-contra-account-not-found": ("E-REFERENCE", "[0].account"),
    "legacy-400-E04870-booking-barred-period": ("E-PERIOD", None),
    "legacy-400-bad-filter": ("E-FILTER", None),
    "legacy-400-doc-example-2015": ("E-CURRENCY", "currency"),
    "legacy-401-E02250-invalid-grant": ("E-CONN-GRANT", None),
    "legacy-401-no-tokens": ("E-CONN-GRANT", None),
    "legacy-404-resource-not-found": ("E-REFUSED", None),
    "openapi-400-idempotency-PayloadChanged": ("E-IDEMPOTENCY", None),
    "openapi-404-ResourceNotFound": ("E-REFUSED", None),
}


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_errors(name: str, shared: Callable[[str], Path]) -> None:
    body = (shared("contracts/economic/errors") / f"{name}.json").read_bytes()
    fault = read_fault(int(name.split("-")[1]), body)
    assert (fault.code, next((detail.path for detail in fault.details if detail.path), None)) == RECORDED[name]
    assert fault.message or fault.details


def test_every_recorded_error_is_expected(shared: Callable[[str], Path]) -> None:
    assert {path.stem for path in shared("contracts/economic/errors").glob("*.json")} == set(RECORDED)
