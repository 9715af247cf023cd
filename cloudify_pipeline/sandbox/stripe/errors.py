"""Stripe's error replies."""

from typing import Any


class StripeFault(Exception):
    """A reply that is not 200: `status` and the `error` object of its body."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        type_: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers: dict[str, str] = {}
        error: dict[str, Any] = {"message": message, "type": type_}
        if code:
            error["code"] = code
            error["doc_url"] = f"https://docs.stripe.com/error-codes/{code.replace('_', '-')}"
        if param:
            error["param"] = param
        self.body = {"error": error}


def no_such(kind: str, id_: str, param: str = "id") -> StripeFault:
    """404 for an object that does not exist, or no longer does."""
    return StripeFault(404, f"No such {kind}: '{id_}'", code="resource_missing", param=param)


def unknown_parameter(name: str) -> StripeFault:
    """400 for a parameter that the endpoint does not take."""
    return StripeFault(400, f"Received unknown parameter: {name}", code="parameter_unknown", param=name)


def invalid(message: str, param: str, code: str | None = None) -> StripeFault:
    """400 for a parameter with a value that the endpoint does not take."""
    return StripeFault(400, message, code=code, param=param)


def unauthenticated(key: str | None) -> StripeFault:
    """401; the key is masked as Stripe masks it, to its last four characters."""
    if not key:
        return StripeFault(
            401,
            "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth "
            "(e.g. 'Authorization: Bearer YOUR_SECRET_KEY').",
        )
    return StripeFault(401, f"Invalid API Key provided: {masked(key)}")


def forbidden(key: str, permission: str, account: str | None) -> StripeFault:
    """403; the message names the permission that is missing, and the account."""
    where = "" if account is None else f" on account '{account}'"
    return StripeFault(
        403,
        f"The provided key '{masked(key)}' does not have the required permissions for this endpoint{where}. "
        f"Having the '{permission}' permission would allow this request to continue.",
    )


def rate_limited(reason: str) -> StripeFault:
    """429, with the reason Stripe gives in a header."""
    fault = StripeFault(
        429,
        "Testmode request rate limit exceeded, the rate limits in testmode are lower than livemode. "
        "You can learn more about rate limits here https://stripe.com/docs/rate-limits.",
        code="rate_limit",
    )
    fault.headers["Stripe-Rate-Limited-Reason"] = reason
    return fault


def masked(key: str) -> str:
    """The key as replies show it: its kind and its last four characters."""
    return f"{key[:8]}{'*' * max(len(key) - 12, 4)}{key[-4:]}" if len(key) > 12 else "*" * len(key)
