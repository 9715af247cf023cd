"""JSON as the ledger reads and writes it: decimals stay exact, and equal content gives equal bytes.

The bytes of a write are logged, hashed and, if ever, sent again unchanged under the same idempotency key; a different
byte would be refused as another request (reference/economic.md §9).
"""

import json
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any


def parse(body: bytes) -> Any:
    """The JSON in `body`, numbers with a fraction as Decimal.

    Raises:
        ValueError: not JSON, or cut off.
    """
    return json.loads(body, parse_float=Decimal, parse_constant=_no_constant)


def dump(value: Any) -> bytes:
    """`value` as canonical JSON: keys sorted, no spaces, decimals without an exponent, UTF-8.

    Raises:
        TypeError: a float or another type that has no exact form.
    """
    # A lone surrogate has no UTF-8 form; Stripe's JSON can carry one, and one bad character may not stop a document.
    return _text(value).encode("utf-8", "replace")


def plain(value: Decimal) -> str:
    """A decimal as JSON writes it: 79.00 → 79, 1E+2 → 100, -0 → 0."""
    if not value.is_finite():
        message = f"{value} has no JSON form"
        raise TypeError(message)
    return format(value.normalize() if value else Decimal(0), "f")


def normal(text: str) -> str:
    """Text as it is compared: NFC, every line end as LF (the server gives back CR where LF was sent, §11.12)."""
    return unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n").rstrip()


def _text(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime):
        return f'"{value.date().isoformat()}"'
    if isinstance(value, date):
        return f'"{value.isoformat()}"'
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{_text(str(key))}:{_text(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, Sequence):
        return "[" + ",".join(_text(item) for item in value) + "]"
    message = f"{type(value).__name__} has no exact JSON form"
    raise TypeError(message)


def _no_constant(name: str) -> Any:
    message = f"{name} is not JSON"
    raise ValueError(message)
