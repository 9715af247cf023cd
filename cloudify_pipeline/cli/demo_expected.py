"""Whether a demo ended as its data set expects, holds included."""

from collections.abc import Mapping, Sequence
from typing import Any

from cloudify_pipeline.sandbox.stripe.dataset import Expected


def differences(expected: Expected, documents: Sequence[Mapping[str, Any]]) -> list[str]:
    """One sentence for every record that ended in another way. `documents` are those of `status`.

    What is expected to be skipped may be missing: a payment that pays an invoice never becomes a record of its own.
    """
    ended = {str(row["stripe_id"]): row for row in documents}
    found = [_unlike(stripe_id, "in the ledger", ended.get(stripe_id)) for stripe_id in sorted(expected.documents)]
    for stripe_id, codes in sorted(expected.held.items()):
        found.append(_unlike(stripe_id, f"held with {' or '.join(sorted(codes))}", ended.get(stripe_id), codes))
    for stripe_id, code in sorted(expected.skipped.items()):
        row = ended.get(stripe_id)
        found.append(None if row is None else _unlike(stripe_id, f"skipped with {code}", row, frozenset({code})))
    known = {*expected.documents, *expected.held, *expected.skipped}
    found += [f"{stripe_id} is {_words(row)} and was not expected" for stripe_id, row in ended.items() if stripe_id not in known]
    return [sentence for sentence in found if sentence is not None]


def _unlike(stripe_id: str, wanted: str, row: Mapping[str, Any] | None, codes: frozenset[str] = frozenset()) -> str | None:
    """The difference in words, or None: without `codes` the document must stand in the ledger, with them it must not."""
    if row is None:
        return f"{stripe_id} should be {wanted} and is not known"
    if codes:
        as_wanted = row["state"] in {"held", "skipped"} and row["error_code"] in codes
    else:
        as_wanted = row["state"] in {"booked", "posted"}
    return None if as_wanted else f"{stripe_id} should be {wanted} and is {_words(row)}"


def _words(row: Mapping[str, Any]) -> str:
    reason = f" ({row['error_code']}: {row['error']})" if row["error_code"] else ""
    return f"{row['state']}{reason}"
