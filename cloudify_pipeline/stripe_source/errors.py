"""What Stripe's refusals mean: its status, type, code and parameter, as a code of the catalogue.

Stripe's words are for a person and repeat the end of the key in some answers; they decide nothing and are shown only for a
refusal that nobody knows, with keys cut out.
"""

import re
from collections.abc import Mapping
from typing import Any

_STATUSES = {401: "E-CONN-GRANT", 403: "E-CONN-ROLE", 409: "E-RATE", 429: "E-RATE"}
_TYPES = {"idempotency_error": "E-IDEMPOTENCY", "api_error": "E-SERVER", "rate_limit_error": "E-RATE"}
_CODES = {
    "api_key_expired": "E-CONN-GRANT",
    "platform_api_key_expired": "E-CONN-GRANT",
    "secret_key_required": "E-CONN-GRANT",
    "livemode_mismatch": "E-CONN-GRANT",
    "more_permissions_required_for_application": "E-CONN-ROLE",
    "invalid_api_version": "E-REQUEST",
    "url_invalid": "E-REQUEST",
    "resource_missing": "E-STRIPE-GONE",
    "rate_limit": "E-RATE",
    "lock_timeout": "E-RATE",
    "idempotency_key_in_use": "E-RATE",
}
CODES_IN_USE = frozenset({"E-REQUEST", "E-METADATA-FULL", "E-UNMAPPED", *_STATUSES.values(), *_TYPES.values(), *_CODES.values()})
"""Every catalogue code that a refusal of Stripe can come to."""

_KEY = re.compile(r"\b(?:sk|rk|pk|whsec)_[\w*]+")
_SHOWN = 300


def code_of(status: int | None, error: Mapping[str, Any]) -> str:
    """The catalogue code of an answer's `error` object; `status` is None when there was no answer."""
    if status is None or status >= 500:
        return "E-SERVER"
    code, param = str(error.get("code") or ""), str(error.get("param") or "")
    if known := _CODES.get(code) or _STATUSES.get(status) or _TYPES.get(str(error.get("type"))):
        return known
    if code.startswith("parameter_"):
        return "E-REQUEST"
    # Of a metadata write, only the number of keys depends on what stands in Stripe already.
    if param == "metadata":
        return "E-METADATA-FULL"
    # Without a code Stripe means the request itself: a parameter, which it names, or an address, which is a 404.
    if not code and (param or status == 404):
        return "E-REQUEST"
    return "E-UNMAPPED"


def own_words(status: int | None, error: Mapping[str, Any]) -> str:
    """The refusal as Stripe worded it, for one that is E-UNMAPPED: ``HTTP 402 card_declined: Your card …``."""
    sign = str(error.get("code") or error.get("type") or "")
    words = _KEY.sub("(key)", str(error.get("message") or "no message"))
    return f"HTTP {status}{f' {sign}' if sign else ''}: {words if len(words) <= _SHOWN else f'{words[: _SHOWN - 1]}…'}"
