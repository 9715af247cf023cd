"""Whether a text names a document: by a number or id that stands in it as a word of its own.

``INV-0001`` is not in ``INV-00012`` and not in ``XINV-0001``, and is in ``Faktura inv-0001, betalt``. Texts are compared in NFC
and without regard to case, and every white space as one blank: ledgers turn line ends and letters into forms of their own.
"""

import re
import unicodedata
from collections.abc import Sequence

_RUN = re.compile(r"[^\W_]+")
"""Letters and digits without a break."""


def folded(text: str) -> str:
    """`text` as it is compared."""
    composed = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    return " ".join(composed.split())


def runs(text: str) -> list[str]:
    """The runs of letters and digits in `text`, as they are compared."""
    return _RUN.findall(folded(text))


def names(text: str, name: str) -> bool:
    """Whether `name` stands in `text` as a word: no letter or digit goes on before or behind it."""
    sought, there = folded(name), folded(text)
    if not _RUN.search(sought):
        return False
    at = there.find(sought)
    while at >= 0:
        end = at + len(sought)
        begins = at == 0 or not (_of_word(sought[0]) and _of_word(there[at - 1]))
        ends = end == len(there) or not (_of_word(sought[-1]) and _of_word(there[end]))
        if begins and ends:
            return True
        at = there.find(sought, at + 1)
    return False


def _of_word(sign: str) -> bool:
    """A letter, a digit, or what is set above or below one."""
    return sign.isalnum() or unicodedata.combining(sign) != 0


def marks(names_sought: Sequence[str]) -> frozenset[str]:
    """The most telling run of each name: a text that has none of them names none, so that a long list is sifted quickly."""
    return frozenset(max(runs(name), key=_telling) for name in names_sought if runs(name))


def _telling(run: str) -> tuple[bool, int]:
    return any(sign.isdigit() for sign in run), len(run)


def may_name(text: str, marked: frozenset[str]) -> bool:
    """Whether `text` may name one of those that `marked` was made of."""
    return not marked.isdisjoint(runs(text))
