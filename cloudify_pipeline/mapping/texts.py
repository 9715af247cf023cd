r"""Texts as a ledger can hold them, with a name for everything that was changed.

NFC, since limits count characters after it; no control characters; line ends ``\n``; no lone surrogates, which no JSON
body can carry. Emoji, right-to-left text and the signs ``$()[]*,&"`` stay as they are.
Source: reference/economic.md §4, §11.10, §11.12.
"""

import re
import unicodedata

ELLIPSIS = "…"

_LINE_ENDS = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
# Besides control characters: the byte order mark and Unicode's non-characters, which XML behind a ledger's API refuses.
_UNWANTED = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ufeff\ufdd0-\ufdef\ufffe\uffff]")
_BROKEN = re.compile(r"[^\S\n\t]*[\n\t]\s*")
_SURROGATE = re.compile("[\ud800-\udfff]")
_JOINERS = "\u200d\ufe0e\ufe0f"


def clean_text(
    value: str, max_length: int | None = None, single_line: bool = True, *, truncate: bool = True
) -> tuple[str, tuple[str, ...]]:
    """`value` as it can be sent, and the name of each change (none: it was fine).

    `max_length` counts characters after NFC. A longer text ends with “…”, or stays whole with `truncate=False`, for the
    caller to refuse. Cleaning a cleaned text changes nothing.
    """
    # Printable text has no controls, line ends or surrogates in it: most texts need one look, not six.
    fine = value.isprintable() and unicodedata.is_normalized("NFC", value)
    steps = [_ends] if fine else [_surrogates, _line_ends, _controls, *([_one_line] if single_line else []), _nfc, _ends]
    cleaned = []
    for step in steps:
        after, name = step(value)
        if after != value:
            cleaned.append(name)
        value = after
    if truncate and max_length is not None and len(value) > max_length:
        cleaned.append(f"cut from {len(value)} to {max_length} characters")
        value = _cut(value, max_length)
    return value, tuple(cleaned)


def sendable(text: str) -> str:
    """`text` without lone surrogates, which no file, log or answer can carry either."""
    return _surrogates(text)[0]


def _surrogates(text: str) -> tuple[str, str]:
    if not _SURROGATE.search(text):
        return text, ""
    after = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return after, "broken characters (lone surrogates) replaced"


def _line_ends(text: str) -> tuple[str, str]:
    return _LINE_ENDS.sub("\n", text), "line ends made \\n"


def _controls(text: str) -> tuple[str, str]:
    after, count = _UNWANTED.subn("", text)
    return after, f"{count} control character{'s' if count > 1 else ''} removed"


def _one_line(text: str) -> tuple[str, str]:
    return _BROKEN.sub(" ", text), "line breaks and tabs made spaces"


def _nfc(text: str) -> tuple[str, str]:
    return unicodedata.normalize("NFC", text), "composed (Unicode NFC)"


def _ends(text: str) -> tuple[str, str]:
    return text.strip(), "white space at the ends removed"


def _cut(text: str, length: int) -> str:
    end = length - len(ELLIPSIS)
    # A cut inside an emoji sequence or before a combining mark would leave another sign than the one that was meant.
    while end > 0 and (unicodedata.combining(text[end]) or text[end] in _JOINERS or text[end - 1] == "\u200d"):
        end -= 1
    return text[:end].rstrip() + ELLIPSIS
