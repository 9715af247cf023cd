"""Takes personal values and secrets out of what is handed to others, and leaves what explains a fault.

A personal value becomes a pseudonym: an HMAC under a key that is made for one bundle and forgotten, so equal values stay
equal inside it and nobody can try names against it. Amounts, currencies, countries, dates and ids remain. In an object,
a text is personal unless its key or its form says otherwise; in a sentence, a word is foreign unless this software or the
chart uses it.
"""

import hashlib
import hmac
import re
import secrets
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

_ID = re.compile(
    r"(?:acct|cus|in|il|ii|prod|price|plan|ch|py|pi|pm|card|txn|txr|txi|sub|si|evt|re|cn|inpay|di|promo|cou|req)_[A-Za-z0-9_]+"
)
_KEPT_FORM = re.compile(
    r"stripe:(?:in|ch|py)_\w+|customer:cus_\w+|product:prod_\w+|\d{4}-\d\d-\d\d(?:[T ][\d:.+Z-]+)?|"
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
)
_CODE_FORM = re.compile(r"[A-Z]-[A-Z0-9-]+|[A-Z]{2,3}")
_SERVICE_WORD = re.compile(r"[a-z]+(?:_[a-z]+)*")
_KEPT_KEYS = frozenset(
    """id object currency country status type number invoice_prefix receipt_number paymentTermsType productNumber vatCode
    date dueDate deliveryDate created event""".split()  # noqa: SIM905
)
"""Keys whose texts are the services' own words and numbers."""
_AMOUNT_KEYS = ("_decimal", "percentage")
_TEXT_KEYS = frozenset(
    """name description email phone line1 line2 city state nickname business_name individual_name footer memo value
    display_name heading textLine1 textLine2 address notes note text title receipt_email statement_descriptor
    calculated_statement_descriptor statement_descriptor_suffix telephoneAndFaxNumber publicEntryNumber ean website
    customer_name customer_email customer_phone vatNumber corporateIdentificationNumber county""".split()  # noqa: SIM905
)
"""Keys whose texts people write: also one small word there is personal."""
_PERSONAL_KEYS = frozenset({"metadata", "custom_fields", "last4", "postal_code", "zip"})
"""Keys below which every value is personal, whatever its form."""
_EMAIL = re.compile(r"[^\s<>\"'(),;:]+@[^\s<>\"'(),;:]+\.\w+")
_QUOTED = re.compile(r"'([^'\n]*)'|\"([^\"\n]*)\"|“([^”\n]*)”")
_SECRET = re.compile(r"\b(?:sk|rk|pk|whsec)_[A-Za-z0-9_*.-]{6,}")
_PASSWORD = re.compile(r"(://)[^/\s:@]+:[^/\s@]+@")
_LONG_NUMBER = re.compile(r"(?<![\w.,:~-])\+?\d[\d ]{6,}\d(?![\w.,:-]*\d)")
_WORD = re.compile(r"\w+(?:[-.']\w+)*")
_IN_A_NUMBER = re.compile(r"\d[-.,:/]_|_[-.,:/]\d")
"""Digits that go on beside ``_``: a postal code is no part of a date or an amount."""
_STAND_IN = re.compile(r"~[0-9a-f]{12}")
_PART = re.compile(r"\w+")
_LETTERS = re.compile(r"[^\W\d_]+")


class Redactor:
    """Replaces personal values for one bundle. `replaced` counts the different values, by what they are."""

    def __init__(self, secret_values: Iterable[str] = (), *, known_words: Iterable[str] = ()) -> None:
        self._key = secrets.token_bytes(32)
        self._secrets = sorted({value for value in secret_values if value}, key=len, reverse=True)
        self._words = _vocabulary() | {word.casefold() for text in known_words for word in _LETTERS.findall(text)}
        self._personal: set[tuple[str, ...]] = set()
        self._longest: dict[str, int] = {}
        self._kinds: dict[str, str] = {}
        self.secrets_removed = 0

    @property
    def replaced(self) -> Mapping[str, int]:
        """Kind of value → how many different ones got a pseudonym."""
        return dict(sorted(Counter(self._kinds.values()).items()))

    def learn(self, node: Any, key: str = "", *, personal: bool = False) -> None:
        """Take every personal value of a Stripe object into the list of what no sentence may hold."""
        if isinstance(node, Mapping):
            for name, inside in node.items():
                self.learn(inside, str(name), personal=personal or str(name) in _PERSONAL_KEYS)
        elif isinstance(node, list):
            for inside in node:
                self.learn(inside, key, personal=personal)
        elif isinstance(node, str) and _is_personal(key, node, personal=personal):
            self.learn_value(node)

    def learn_value(self, value: str) -> None:
        """One more personal value."""
        parts = _parts(value)
        # A short number or a single letter would be found in every amount.
        if parts and (len(parts) > 1 or len(parts[0]) >= 3) and not (len(parts) == 1 and value.isdecimal() and len(value) < 4):
            self._personal.add(parts)
            self._longest[parts[0]] = max(self._longest.get(parts[0], 0), len(parts))

    def object(self, node: Any, key: str = "", *, personal: bool = False) -> Any:
        """A copy of an object or request body with its personal values replaced."""
        if isinstance(node, Mapping):
            return {
                str(name): self.object(inside, str(name), personal=personal or str(name) in _PERSONAL_KEYS)
                for name, inside in node.items()
            }
        if isinstance(node, list | tuple):
            return [self.object(inside, key, personal=personal) for inside in node]
        if isinstance(node, str) and node and (_is_personal(key, node, personal=personal) or self._is_known(key, node)):
            return self.pseudonym(node, key)
        return node

    def text(self, sentence: str | None) -> str | None:
        """A sentence of this software or of a service, with the values in it replaced."""
        if sentence is None:
            return None
        found = self.clean(sentence)
        found = _EMAIL.sub(lambda match: self.pseudonym(match[0], "email"), found)
        found = self._known_values(found)
        found = _QUOTED.sub(self._quoted, found)
        found = _LONG_NUMBER.sub(lambda match: self.pseudonym(match[0], "number"), found)
        return _WORD.sub(self._foreign, found)

    def value(self, found: str | None) -> str | None:
        """A value that stood somewhere: kept when it is a number or all its words are ours."""
        shown = self.text(found)
        if not shown or all(
            len(word) < 4 or word in self._words for word in _LETTERS.findall(_STAND_IN.sub("", shown).casefold())
        ):
            return shown
        return self.pseudonym(found or "")

    def pseudonym(self, value: str, kind: str = "value") -> str:
        """What stands for `value`: the same for the same value, whatever its case and spaces."""
        form = " ".join(_parts(value)) or value
        digest = hmac.new(self._key, form.encode("utf-8", "replace"), hashlib.sha256).hexdigest()[:12]
        self._kinds.setdefault(digest, kind or "value")
        return f"~{digest}"

    def clean(self, text: str) -> str:
        """`text` without secrets: a last look at whatever leaves."""
        for value in self._secrets:
            if value in text:
                self.secrets_removed += text.count(value)
                text = text.replace(value, "[secret]")
        return _PASSWORD.sub(r"\1[secret]@", _SECRET.sub("[secret]", text))

    def _is_known(self, key: str, value: str) -> bool:
        parts = _parts(value)
        return parts in self._personal and not _is_amount(key, value)

    def _known_values(self, text: str) -> str:
        """Replace each run of words that is a personal value, whatever stands between its words."""
        words = [(match.start(), match.end(), match[0].casefold()) for match in _PART.finditer(text)]
        built, done, place = [], 0, 0
        while place < len(words):
            start, end, word = words[place]
            ahead = tuple(one for _, _, one in words[place : place + self._longest.get(word, 0)])
            length = next((size for size in range(len(ahead), 0, -1) if ahead[:size] in self._personal), 0)
            if (
                length == 1
                and word.isdecimal()
                and _IN_A_NUMBER.search(text[max(start - 2, 0) : start] + "_" + text[end : end + 2])
            ):
                length = 0
            if length:
                end = words[place + length - 1][1]
                built += [text[done:start], self.pseudonym(text[start:end])]
                done = end
            place += length or 1
        return "".join([*built, text[done:]])

    def _quoted(self, match: re.Match[str]) -> str:
        inside = next((group for group in match.groups() if group), "")
        if not inside or self._is_ours(inside):
            return match[0]
        return f"{match[0][0]}{self.pseudonym(inside)}{match[0][-1]}"

    def _is_ours(self, text: str) -> bool:
        return text.startswith("~") or all(
            part.casefold() in self._words or part.isdecimal() or _CODE_FORM.fullmatch(part) or _ID.fullmatch(part)
            for part in _PART.findall(text)
        )

    def _foreign(self, match: re.Match[str]) -> str:
        """A word with a capital or a letter beyond ASCII that neither this software nor the chart knows is likely a name."""
        word, before = match[0], match.string[match.start() - 1 : match.start()]
        plain = word.isascii() and word.islower()
        kept = _ID.fullmatch(word) or _KEPT_FORM.fullmatch(word) or _CODE_FORM.fullmatch(word)
        if before == "~" or plain or kept or any(char.isdigit() for char in word):
            return word
        return (
            word
            if all(len(part) < 2 or part in self._words for part in _LETTERS.findall(word.casefold()))
            else self.pseudonym(word)
        )


def _is_personal(key: str, value: str, *, personal: bool) -> bool:
    if not value.strip():
        return False
    if personal:
        return True
    if key in _KEPT_KEYS or key.endswith("country") or _ID.fullmatch(value) or _KEPT_FORM.fullmatch(value):
        return False
    if key not in _TEXT_KEYS and _SERVICE_WORD.fullmatch(value):
        return False
    return not _is_amount(key, value)


def _is_amount(key: str, value: str) -> bool:
    return key.endswith(_AMOUNT_KEYS) and value.lstrip("-").replace(".", "", 1).isdecimal()


def _parts(value: str) -> tuple[str, ...]:
    return tuple(word.casefold() for word in _PART.findall(value))


@cache
def _vocabulary() -> frozenset[str]:
    """Every word of this software's own source: its messages are made of them. The sandbox's made-up names are not ours."""
    words: set[str] = set()
    for source in _sources(files("cloudify_pipeline")):
        words.update(word.casefold() for word in _LETTERS.findall(source.read_text(encoding="utf-8")))
    return frozenset(words)


def _sources(folder: Traversable) -> Iterable[Traversable]:
    for one in folder.iterdir():
        if one.is_dir():
            if one.name not in {"sandbox", "__pycache__"}:
                yield from _sources(one)
        elif one.name.endswith(".py") and not one.name.startswith("demo"):
            yield one
