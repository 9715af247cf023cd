"""When to stop asking: the same refusal again and again in one run, or one record refused in run after run."""

from cloudify_pipeline.errors import Problem
from cloudify_pipeline.ledgers.port import Operation

SAME_REFUSALS = 10
"""So many equal refusals without one success between them are the settings' fault or the ledger's, not the records'."""


class Breaker:
    """Opens for an operation when the ledger gives the same refusal :data:`SAME_REFUSALS` times in a row."""

    def __init__(self) -> None:
        self._last: dict[Operation, tuple[str, str | None]] = {}
        self._times: dict[Operation, int] = {}
        self._words: dict[Operation, str] = {}

    def refused(self, operation: Operation, code: str, field: str | None, message: str) -> None:
        """Count a refusal of the ledger."""
        same = self._last.get(operation) == (code, field)
        self._last[operation] = (code, field)
        self._times[operation] = self._times.get(operation, 0) + 1 if same else 1
        self._words[operation] = message

    def accepted(self, operation: Operation) -> None:
        """A success: what was refused before was the records' own fault."""
        self._last.pop(operation, None)
        self._times.pop(operation, None)

    def open(self, operation: Operation) -> Problem | None:
        """Why nothing of `operation` is sent any more in this run, or None."""
        if self._times.get(operation, 0) < SAME_REFUSALS:
            return None
        code, _ = self._last[operation]
        return Problem(
            "E-BREAKER",
            f"not sent: {self._times[operation]} writes in a row were refused in this run, the last with {code}: "
            f"{self._words[operation]}",
            found=code,
        )
