"""Values between the two sides: what is empty, how a Stripe value reads as text, how a text becomes a typed ledger value."""

import datetime
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from cloudify_pipeline.accounting.documents import FieldValue
from cloudify_pipeline.mapping.fields import Field
from cloudify_pipeline.mapping.paths import elements, is_object

_EMAILS = re.compile(r"[^@\s]+@[^@\s]+(?:[ ,;]+[^@\s]+@[^@\s]+)*")

_DIGITS = 20
"""No amount, number or rate is longer; a longer one would lose digits in arithmetic."""


class Unfit(ValueError):
    """A value cannot stand in the target field; the message says what would fit."""


def is_empty(value: Any) -> bool:
    """Nothing to send: null, nothing but white space, or an empty list or object. Zero and false are values."""
    if isinstance(value, str):
        return not value.strip()
    return value is None or (not value and (isinstance(value, list | tuple) or is_object(value)))


def to_text(value: Any) -> str:
    """`value` as people read it: an address as its lines, a list with commas, numbers exactly, booleans as true and false."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime.date):
        return value.isoformat()
    if (listed := elements(value)) is not None:
        return ", ".join(to_text(element) for element in listed if not is_empty(element))
    if isinstance(value, Mapping):
        if "line1" in value:
            return "\n".join(str(value[key]) for key in ("line1", "line2") if not is_empty(value.get(key)))
        return to_text(value.get("value", value.get("id", "")))
    return "" if value is None else str(value)


def to_date(value: Any, tz: str) -> datetime.date:
    """The calendar day of a Unix time in `tz`, or of an ISO 8601 text.

    Raises:
        Unfit: it is neither.
    """
    if isinstance(value, datetime.datetime):
        return value.astimezone(ZoneInfo(tz)).date() if value.tzinfo else value.date()
    if isinstance(value, datetime.date):
        return value
    text = to_text(value).strip()
    try:
        if not isinstance(value, bool) and re.fullmatch(r"-?\d{9,}", text, re.ASCII):
            return datetime.datetime.fromtimestamp(int(text), ZoneInfo(tz)).date()
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
            return datetime.date.fromisoformat(text)
        instant = datetime.datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        raise Unfit("needs a date, as in 2026-11-21") from None
    return instant.astimezone(ZoneInfo(tz)).date() if instant.tzinfo else instant.date()


def to_decimal(value: Any) -> Decimal:
    """An exact number from a number or a text with a decimal point.

    Raises:
        Unfit: it is not a number.
    """
    try:
        number = Decimal(to_text(value).strip())
    except InvalidOperation:
        raise Unfit("needs a number, as in 12.50") from None
    if isinstance(value, bool) or not number.is_finite() or abs(number.adjusted()) > _DIGITS:
        raise Unfit("needs a number, as in 12.50")
    return number


def typed(value: Any, field: Field, tz: str) -> FieldValue:
    """`value` as the target's type: whole number, Decimal, date, boolean or text.

    Raises:
        Unfit: it cannot be one, or breaks the field's bounds.
    """
    if field.type in {"integer", "decimal", "money"}:
        return _number(to_decimal(value), field)
    if field.type in {"date", "timestamp"}:
        return to_date(value, tz)
    if field.type == "boolean":
        if not isinstance(value, bool):
            raise Unfit("needs true or false")
        return value
    text = to_text(value)
    if field.type == "currency":
        text = text.strip().upper()
        if not re.fullmatch(r"[A-Z]{3}", text):
            raise Unfit("needs a currency code, as in DKK")
    if field.type == "email" and not _EMAILS.fullmatch(text.strip()):
        raise Unfit("needs an e-mail address")
    return text


def _number(number: Decimal, field: Field) -> int | Decimal:
    places = 0 if field.type == "integer" else field.decimals
    if places is not None and number.scaleb(places) != (number.scaleb(places)).to_integral_value():
        raise Unfit("needs a whole number" if places == 0 else f"may have {places} decimals at most")
    if field.minimum is not None and number < field.minimum:
        raise Unfit(f"must be at least {field.minimum}")
    if field.maximum is not None and number > field.maximum:
        raise Unfit(f"must be at most {field.maximum}")
    return int(number) if field.type == "integer" else number
