"""Finding the ledger's record of a Stripe customer or product: questions from the match pairs, answers checked again.

A server compares loosely (case, wildcards, page cuts), so each hit is compared here: e-mail addresses as a whole, trimmed and
without regard to case; everything else exactly, after Unicode normalisation to NFC and trimming.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from typing import Any, Literal

from cloudify_pipeline.accounting.documents import FieldValue
from cloudify_pipeline.accounting.parties import Candidates, LedgerRecord, Lookup
from cloudify_pipeline.errors import Problem
from cloudify_pipeline.mapping.paths import Path, parse_path
from cloudify_pipeline.planning.plans import Evidence
from cloudify_pipeline.planning.records import Raw
from cloudify_pipeline.settings.models import MatchPair

NUMBER = "number"


@dataclass(frozen=True, slots=True)
class Asked:
    """A match pair with the question it asks; no question when its Stripe field is empty."""

    pair: MatchPair
    lookup: Lookup | None

    @property
    def name(self) -> str:
        """For people: ``email = email``."""
        return f"{self.pair.stripe} = {self.pair.ledger}"


@dataclass(frozen=True, slots=True)
class Match:
    """The record that was found, if any, and what each pair said."""

    record: LedgerRecord | None
    evidence: tuple[Evidence, ...]


def text_at(record: Raw, path: str) -> str:
    """The trimmed text at a Stripe path; empty when there is nothing."""
    value = _parsed(path).read(record)
    return "" if value is None or isinstance(value, dict | list) else unicodedata.normalize("NFC", str(value)).strip()


def ask(record: Raw, pairs: Sequence[MatchPair]) -> tuple[Asked, ...]:
    """Every pair, in order, with its question."""
    values = [(pair, text_at(record, pair.stripe)) for pair in pairs]
    return tuple(Asked(pair, Lookup(pair.ledger, value) if value else None) for pair, value in values)


def agrees(record: LedgerRecord, lookup: Lookup) -> bool:
    """Whether `record` really has the value that was asked for."""
    value = record.number if lookup.field == NUMBER else record.fields.get(lookup.field)
    if value is None:
        return False
    have, want = (unicodedata.normalize("NFC", str(one)).strip() for one in (value, lookup.value))
    if lookup.field.rpartition(".")[2].lower() == "email":
        return have.casefold() == want.casefold()
    return have == want


def match(
    asked: Sequence[Asked],
    candidates: Candidates,
    *,
    decision: str,
    barred_code: str,
    on_multiple: Literal["hold", "lowest_number"] = "hold",
) -> Match | tuple[Problem, tuple[Evidence, ...]]:
    """The record of the first pair that finds exactly one; barred ones do not count, and alone they are a problem.

    When no pair finds exactly one, the first pair that found several is settled by `on_multiple`.
    """
    evidence: list[Evidence] = []
    several: tuple[Asked, list[LedgerRecord]] | None = None
    for one in asked:
        if one.lookup is None:
            evidence.append(Evidence(decision, "not asked", one.name, {one.pair.stripe: "empty"}))
            continue
        hits = sorted({h.number: h for h in candidates.get(one.lookup, ()) if agrees(h, one.lookup)}.values(), key=_order)
        usable = [hit for hit in hits if not hit.barred]
        inputs = {one.pair.stripe: one.lookup.value, "found": numbers(hits) or "none"}
        if hits and not usable:
            evidence.append(Evidence(decision, "barred", one.name, inputs))
            message = f"{numbers(hits)}, found by {one.name} ({one.lookup.value}), is barred in the ledger"
            return Problem(barred_code, message, field=one.pair.stripe, found=one.lookup.value), tuple(evidence)
        if len(hits) > len(usable):
            inputs["barred"] = numbers([hit for hit in hits if hit.barred])
        if len(usable) == 1:
            evidence.append(Evidence(decision, str(usable[0].number), one.name, inputs))
            return Match(usable[0], tuple(evidence))
        evidence.append(Evidence(decision, "several" if usable else "not found", one.name, inputs))
        if usable and several is None:
            several = (one, usable)
    if several is None:
        return Match(None, tuple(evidence))
    one, usable = several
    if on_multiple == "lowest_number":
        evidence.append(
            Evidence(decision, str(usable[0].number), "on_multiple_matches: lowest_number", {"found": numbers(usable)})
        )
        return Match(usable[0], tuple(evidence))
    value = one.lookup.value if one.lookup else ""
    message = f"{numbers(usable)} all match {one.name} ({value})"
    return Problem("E-MATCH-MANY", message, field=one.pair.stripe, found=value), tuple(evidence)


def differing(values: dict[str, FieldValue], record: LedgerRecord) -> dict[str, FieldValue]:
    """The mapped values that the ledger's record does not have; an empty value never clears anything."""
    return {path: value for path, value in sorted(values.items()) if value != "" and not _same(value, record.fields.get(path))}


_NOT_THERE = frozenset({"E-MATCH-NONE", "E-MATCH-EMPTY", "E-CUST-DELETED", "E-PROD-MISSING"})
"""Problems that would not be there if the record that was linked earlier still were."""


def without(problem: Problem, record: str, code: str, number: str) -> Problem:
    """`problem` of finding another one for `record` (``customer 1234``), which somebody deleted in the ledger.

    It has the `code` of that where nothing else stands against it; another cause keeps its own.
    """
    words = f"{record} is no longer in the ledger, and {problem.message}"
    if problem.code in _NOT_THERE:
        return Problem(code, words, field="number", found=number)
    return replace(problem, message=words)


def numbers(records: Sequence[LedgerRecord]) -> str:
    """The records' numbers, for people."""
    return ", ".join(str(record.number) for record in records)


@lru_cache(maxsize=256)
def _parsed(path: str) -> Path:
    return parse_path(path)


def _same(value: FieldValue, stored: Any) -> bool:
    if isinstance(value, bool) or isinstance(stored, bool):
        # A ledger leaves false out of its answers.
        return bool(value) == bool(stored)
    if isinstance(value, int | Decimal) and isinstance(stored, int | Decimal | None):
        # Nor does it show a zero.
        return value == (stored or 0)
    return stored is not None and _lines(str(value)) == _lines(str(stored))


def _lines(text: str) -> str:
    return unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n")


def _order(record: LedgerRecord) -> tuple[int, str]:
    return (record.number, "") if isinstance(record.number, int) else (0, record.number)
