"""Long texts of the log, packed: a decision takes a third of the room, and everybody who reads it sees the text."""

import zlib
from typing import Any

from sqlalchemy import Dialect, LargeBinary
from sqlalchemy.types import TypeDecorator

_LEVEL = 9


class PackedText(TypeDecorator[str]):
    """A column of text that the database keeps packed (zlib)."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:
        """Pack what is written."""
        return None if value is None else zlib.compress(value.encode(), _LEVEL)

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        """Unpack what is read."""
        return None if value is None else unpacked(value)


def unpacked(value: Any) -> str:
    """The text in `value`; of what somebody has put there that was never packed, what can be shown of it."""
    if not isinstance(value, bytes | memoryview):
        return str(value)
    packed, unpacking = bytes(value), zlib.decompressobj()
    try:
        text = unpacking.decompress(packed).decode()
    except (zlib.error, UnicodeDecodeError):
        text = ""
    # Half of it, or more than was packed, is not what was written.
    whole = unpacking.eof and not unpacking.unused_data
    return text if whole else packed.decode("utf-8", "backslashreplace")
