"""The ledger's refusals in one shape, and what each means to posting.

The two API families and the gateways before them answer errors in at least seven shapes (reference/economic.md §8).
One walk flattens them all. What was sent (`inputValue`, `value`) is dropped: it may be personal. Messages may be in the
agreement's language, so codes decide; text decides only where the ledger gives no code (:mod:`.refusal_codes`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cloudify_pipeline.errors import LedgerAnswerError, NotAuthorised, NotSent, OutcomeUnknown, PipelineError, Refused
from cloudify_pipeline.ledgers.economic import refusal_codes, wire

_FORGETFUL = frozenset({"PayloadChanged", "URLChanged"})
"""The key is known with another content: says nothing about whether the earlier request was carried out."""

_WORDS_SHOWN = 300
"""Characters of the ledger's words in a message; gateways send pages."""


@dataclass(frozen=True, slots=True)
class Detail:
    """One thing the ledger found wrong: its own code, where (``lines[8].product``), and its words."""

    code: str
    path: str
    message: str
    hint: str = ""

    @property
    def property(self) -> str:
        """The last name of the path."""
        return self.path.rpartition(".")[2].partition("[")[0]


@dataclass(frozen=True, slots=True)
class Fault:
    """An error answer, whatever its shape."""

    status: int
    message: str
    details: tuple[Detail, ...]
    request_id: str | None

    @property
    def raw_codes(self) -> tuple[str, ...]:
        """The ledger's own codes, in order, once each."""
        return tuple(dict.fromkeys(detail.code for detail in self.details if detail.code))

    @property
    def code(self) -> str:
        """The catalogue code: that of the first detail that says more than "refused"; E-UNMAPPED when nothing is known of it."""
        return self._decisive()[0] or refusal_codes.of_status(self.status)

    @property
    def field(self) -> str | None:
        """Where the finding stands that gave the code; where none did, the first finding that has a place."""
        decisive = self._decisive()[1]
        places = ([decisive.path] if decisive else []) + [detail.path for detail in self.details]
        return next((path for path in places if path), None)

    def _decisive(self) -> tuple[str | None, Detail | None]:
        # A 404 on an address is about the whole record, whatever code stands with it; one with findings is about a reference.
        if self.status != 404 or any(detail.path for detail in self.details):
            for detail in self.details:
                if code := refusal_codes.of_finding(detail.code, detail.property, detail.message):
                    return code, detail
            return refusal_codes.of_finding("", "", self.message), None
        return None, None

    def __str__(self) -> str:
        said = [f"{detail.path}: {detail.message}" if detail.path else detail.message for detail in self.details]
        text = _shortened("; ".join(dict.fromkeys(part for part in said if part)) or self.message) or "no message"
        if self.code != "E-UNMAPPED":
            own = f" ({', '.join(self.raw_codes)})" if self.raw_codes else ""
            return f"HTTP {self.status}: {text}{own}"
        # What nobody knows yet is counted by the ledger's own code, which therefore stands first (control/unmapped.py).
        own = next((code for code in self.raw_codes if code != refusal_codes.WRAPPER), "")
        hint = next((detail.hint for detail in self.details if detail.hint), "")
        return f"HTTP {self.status}{f' {own}' if own else ''}: {text}{f' Hint: {_shortened(hint)}' if hint else ''}"


def read_fault(status: int, body: bytes, request_id: str | None = None) -> Fault:
    """The error answer `body` in one shape. Never fails: HTML and empty bodies become a fault without details."""
    try:
        answer = wire.parse(body)
    except ValueError:
        return Fault(status, "the answer is not JSON" if body.strip() else "the answer is empty", (), request_id)
    if not isinstance(answer, Mapping):
        return Fault(status, "the answer has no known shape", tuple(_walk(answer, "")), request_id)
    message = _string(answer, "message", "detail", "title")
    details = list(_walk(answer.get("errors"), ""))
    own = _string(answer, "errorCode")
    # The wrapper's code ("validation failed") says less than its details and stands behind them.
    if own or not details:
        details.append(Detail(own, "", message, _string(answer, "developerHint")))
    if "allowedFilteringFields" in answer:
        details.insert(0, Detail("BadFilterRequest", "", "; ".join(dict.fromkeys(d.message for d in details))))
    return Fault(status, message, tuple(details), request_id or _string(answer, "logId", "traceId") or None)


def refusal_of_write(fault: Fault) -> PipelineError:
    """What a write that got `fault` means: returned, for the caller to raise."""
    if not_authorised := refusal_of_access(fault):
        return not_authorised
    kind: type[LedgerAnswerError] = Refused
    if fault.status == 429:
        kind = NotSent
    # A conflict is answered by a cache or a lock, not by the books: it does not prove that nothing was written (§9).
    elif fault.status >= 500 or fault.status in {408, 409} or fault.status < 400 or _FORGETFUL & set(fault.raw_codes):
        kind = OutcomeUnknown
    return kind(
        str(fault),
        code=fault.code,
        status=fault.status,
        request_id=fault.request_id,
        raw_codes=fault.raw_codes,
        field=fault.field,
    )


def refusal_of_access(fault: Fault) -> NotAuthorised | None:
    """The error that stops the run when `fault` says that the tokens, the role, the licence or a module do not suffice."""
    if fault.status in {401, 403} or fault.code == "E-CONN-READONLY":
        code = fault.code if fault.code.startswith("E-CONN-") else {401: "E-CONN-GRANT"}.get(fault.status, "E-CONN-ROLE")
        return NotAuthorised(str(fault), code=code)
    return None


def _walk(node: Any, path: str) -> Iterator[Detail]:
    """Every leaf below `node`; a leaf has a code or a message of its own, a plain string is one too."""
    if isinstance(node, str):
        yield Detail("", path, node)
    elif isinstance(node, Mapping):
        if "errorCode" in node or "errorMessage" in node:
            yield _leaf(node, path)
            return
        for name, child in node.items():
            if name in {"errors", "items"}:
                yield from _walk(child, path)
            elif isinstance(child, Mapping | list):
                yield from _walk(child, f"{path}.{name}" if path else name)
    elif isinstance(node, list):
        for item in node:
            at = item.get("arrayIndex") if isinstance(item, Mapping) else None
            yield from _walk(item, path if at is None else f"{path}[{at}]")


def _leaf(node: Mapping[str, Any], path: str) -> Detail:
    # Problem+json leaves stand in a flat list and name their own property; tree leaves are placed by the tree.
    where = path or _string(node, "property", "propertyName")
    return Detail(
        _string(node, "errorCode"), where, _string(node, "errorMessage", "message"), _string(node, "developerHint", "hint")
    )


def _string(node: Mapping[str, Any], *names: str) -> str:
    return next((value for name in names if isinstance(value := node.get(name), str) and value), "")


def _shortened(text: str) -> str:
    return text if len(text) <= _WORDS_SHOWN else f"{text[: _WORDS_SHOWN - 1]}…"
