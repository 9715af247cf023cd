"""What can go wrong, in two forms.

Exceptions stop a run or a call::

    PipelineError
    ├── SettingsError            the settings or the call are wrong; nothing was sent (exit 2)
    ├── RunStopped               the run cannot go on (exit 3)
    │   ├── NotAuthorised        a token, key or licence is refused
    │   ├── Unreachable          a service did not answer after every retry
    │   └── LogUnavailable       the posting log cannot be read or written
    └── LedgerAnswerError        one write to the ledger did not succeed; `posting` turns it into an ending
        ├── Refused              a definite no: nothing was written
        ├── NotSent              the request never reached the ledger: nothing was written
        └── OutcomeUnknown       no answer: it may have been written, look before a repeat

A problem with one record is a value (:class:`Problem`), never an exception: the rest of the run goes on.
Every problem and every exception carries a code of the catalogue in :mod:`cloudify_pipeline.catalogue`.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """Why one record cannot go on: a catalogue code and the facts a bookkeeper needs.

    `field` is the setting, Stripe path or ledger field concerned; `found` is what stood there.
    """

    code: str
    message: str
    field: str | None = None
    found: str | None = None

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class PipelineError(Exception):
    """Base of every error this package raises on purpose."""

    code = "E-INTERNAL"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code


@dataclass(frozen=True, slots=True)
class SettingsProblem:
    """One mistake in a connection file: where, what was found, what is allowed."""

    key: str
    found: str
    allowed: str

    def __str__(self) -> str:
        return f"{self.key}: found {self.found}; {self.allowed}"


class SettingsError(PipelineError):
    """The connection file or the call is wrong. All problems of a file are reported at once."""

    code = "E-SETTINGS"

    def __init__(self, where: str, problems: Sequence[SettingsProblem], *, code: str | None = None) -> None:
        self.where = where
        self.problems = tuple(problems)
        super().__init__("\n".join([f"{where}:", *(f"  {problem}" for problem in self.problems)]), code=code)


class RunStopped(PipelineError):
    """The run cannot go on, whatever the record."""

    code = "E-SERVER"


class NotAuthorised(RunStopped):
    """A token, key, right or licence was refused (401, 403): stop, name the remedy, do not retry."""

    code = "E-CONN-GRANT"


class Unreachable(RunStopped):
    """A service gave no usable answer to a read, after every retry."""

    code = "E-SERVER"


class LogUnavailable(RunStopped):
    """The posting log cannot be read or written; without it nothing may be sent."""

    code = "E-LOG"


class LedgerAnswerError(PipelineError):
    """One write to the ledger did not succeed."""

    def __init__(
        self,
        message: str,
        *,
        code: str,
        status: int | None = None,
        request_id: str | None = None,
        raw_codes: Sequence[str] = (),
        field: str | None = None,
    ) -> None:
        super().__init__(message, code=code)
        self.status = status
        self.request_id = request_id
        self.raw_codes = tuple(raw_codes)
        self.field = field


class Refused(LedgerAnswerError):
    """A definite refusal (4xx): nothing was written; final for this revision of the document."""


class NotSent(LedgerAnswerError):
    """The request never left, or the ledger said to come later (429): nothing was written."""


class OutcomeUnknown(LedgerAnswerError):
    """Time-out, dropped connection or 5xx on a write: look the document up by its key before any repeat."""
