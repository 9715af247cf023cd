"""Answers that say no, in the shapes that e-conomic was recorded to use."""

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

Json = dict[str, Any]

INVALID_GRANT: Json = {
    "message": "Token does not correspond to a valid grant.",
    "errorCode": "E02250",
    "developerHint": "Have you remembered to include a valid X-AgreementGrantToken and X-AppSecretToken?",
    "httpStatusCode": 401,
}
READ_ONLY_LICENCE: Json = {"message": "The license is read-only", "httpStatusCode": 403}
ROOT = "https://restapi.e-conomic.com"
_CORRECT = "Inspect validation errors and correct your request."


class ApiError(Exception):
    """A refusal with its HTTP status and body; `server_time` and `logId` are added when it is sent."""

    def __init__(self, status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status} {body.get('message', body.get('title', ''))}")
        self.status = status
        self.body = dict(body)
        self.headers = dict(headers or {})


def stamped(error: ApiError, now: datetime) -> Json:
    """The body as sent. The OpenAPI family has trace fields, the legacy one has log fields."""
    mark = f"{uuid.uuid4().hex[:16]}-CPH"
    when = now.strftime("%Y-%m-%dT%H:%M:%S")
    if "title" in error.body:
        return {**error.body, "traceId": mark, "traceTimeUtc": when}
    return {**error.body, "logId": mark, "httpStatusCode": error.status, "logTime": when}


def refusal(status: int, message: str, code: str | None = None, hint: str | None = None) -> ApiError:
    """A legacy refusal without a tree of findings."""
    body: Json = {"message": message}
    if code is not None:
        body["errorCode"] = code
    if hint is not None:
        body["developerHint"] = hint
    return ApiError(status, body)


def not_found(code: str | None = None) -> ApiError:
    """The legacy 404."""
    return refusal(
        404,
        "Resource not found.",
        code,
        "The API tries to provide all the resource urls you need. If you have hard coded urls yourself, then try to look at the "
        "enclosing collection for hypermedia information on where the resource you are looking for could be.",
    )


def problem(status: int, title: str, code: str, detail: str | None = None) -> ApiError:
    """A problem+json refusal, as the OpenAPI services and the idempotency check answer."""
    body: Json = {"type": "https://tools.ietf.org/html/rfc9110#section-15.5", "title": title, "status": status, "errors": []}
    if detail is not None:
        body["detail"] = detail
    return ApiError(status, {**body, "errorCode": code})


def bad_filter(messages: Iterable[str], allowed: Iterable[str]) -> ApiError:
    """A filter that cannot be read or names a property that may not be filtered on."""
    return ApiError(
        400,
        {
            "message": "Could not parse query string filter.",
            "developerHint": "Filtering on collections can be done using the querystring parameter 'filter'.",
            "errors": list(messages),
            "allowedFilteringFields": list(allowed),
        },
    )


def bad_sort(message: str, allowed: Iterable[str]) -> ApiError:
    """A sort parameter that cannot be used."""
    return ApiError(
        400,
        {
            "message": "Could not parse query string sort parameter.",
            "developerHint": "Sorting can be done using the querystring parameter 'sort'.",
            "errors": [message],
            "allowedSortingFields": list(allowed),
        },
    )


Path = tuple[str | int, ...]


class Findings:
    """Everything that is wrong with one body, collected before it is refused as a whole (E04300)."""

    def __init__(self) -> None:
        self._leaves: list[tuple[Path, Json]] = []

    def __len__(self) -> int:
        return len(self._leaves)

    def add(self, path: Path, message: str, code: str | None = None, value: object = None, hint: str | None = None) -> None:
        """One finding at `path`; integers in it are positions in an array."""
        name = next((part for part in reversed(path) if isinstance(part, str)), "")
        leaf: Json = {"propertyName": name, "errorMessage": message}
        if code is not None:
            leaf["errorCode"] = code
        if value is not None:
            leaf["inputValue"] = value
        leaf["developerHint"] = hint or _CORRECT
        self._leaves.append((path, leaf))

    def refuse(self) -> None:
        """Raise the E04300 answer when there is anything to refuse."""
        if not self._leaves:
            return
        tree: Json = {}
        for path, leaf in self._leaves:
            node = tree
            for part in path:
                node = _item(node, part) if isinstance(part, int) else node.setdefault(part, {})
            node.setdefault("errors", []).append(leaf)
        count = len(self._leaves)
        raise ApiError(
            400,
            {
                "message": f"Validation failed. {count} error{'' if count == 1 else 's'} found.",
                "errorCode": "E04300",
                "developerHint": _CORRECT,
                "errors": tree,
                "errorCount": count,
            },
        )


def _item(node: Json, index: int) -> Json:
    items: list[Json] = node.setdefault("items", [])
    for item in items:
        if item["arrayIndex"] == index:
            return item
    items.append({"arrayIndex": index})
    return items[-1]
