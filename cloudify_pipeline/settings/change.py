"""A change of a connection file as one step: worked out and checked as a whole, shown as a diff, then written or not."""

import contextlib
import difflib
import os
import stat
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cloudify_pipeline.errors import SettingsError, SettingsProblem
from cloudify_pipeline.settings.edit import Change, edited
from cloudify_pipeline.settings.load import Catalogues, LoadedConnection, load_text
from cloudify_pipeline.settings.source import read_text

_NOT_SHOWN = "-(a line of a file that was not in order is not repeated: it could hold a secret)"


@dataclass(frozen=True, slots=True)
class Proposal:
    """A changed file that is in order. `before` is None when the file as it stands is not."""

    path: Path
    old: str = field(repr=False)
    new: str = field(repr=False)
    before: LoadedConnection | None
    after: LoadedConnection

    @property
    def changes(self) -> bool:
        """Whether a single character differs."""
        return self.old != self.new

    def diff(self) -> tuple[str, ...]:
        """A unified diff. Lines that only the old file has are shown when that file was in order."""
        old, new = self.old.splitlines(), self.new.splitlines()
        lines = difflib.unified_diff(old, new, f"{self.path.name} (now)", f"{self.path.name} (changed)", lineterm="")
        hidden = self.before is None
        return tuple(_NOT_SHOWN if hidden and n > 1 and line.startswith("-") else line for n, line in enumerate(lines))


def propose(path: Path, changes: Sequence[Change], *, catalogues: Catalogues | None) -> Proposal:
    """All `changes` of the file at `path` as one, loaded and checked like any connection file; nothing is written.

    Raises:
        SettingsError: a change cannot be made, or the file would be wrong with it; all problems are in it.
    """
    old = read_text(path)
    new = edited(old, changes, where=path.name)
    after = load_text(new, path, catalogues=catalogues)
    try:
        before = load_text(old, path, catalogues=catalogues)
    except SettingsError:
        before = None
    return Proposal(path, old, new, before, after)


def write(proposal: Proposal) -> None:
    """Put the new text in the file's place, whole or not at all; its permissions stay.

    Raises:
        SettingsError: the file has changed since it was read, or cannot be written. It is then as it was.
    """
    # A link stays a link, to the file that is replaced.
    path = proposal.path.resolve()
    if read_text(path) != proposal.old:
        raise _error(proposal, "another text than a moment ago", "somebody else has changed it: try again")
    try:
        _replace(path, proposal.new.encode("utf-8"))
    except OSError as error:
        raise _error(proposal, type(error).__name__, "the file and its folder must be writable") from None


def _replace(path: Path, content: bytes) -> None:
    was = path.stat()
    # The name does not end as connection files do: no run may take the half-written file for a connection.
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".new", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), stat.S_IMODE(was.st_mode))
            if os.geteuid() == 0:
                os.fchown(file.fileno(), was.st_uid, was.st_gid)
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _error(proposal: Proposal, found: str, allowed: str) -> SettingsError:
    return SettingsError(proposal.path.name, [SettingsProblem("file", found, allowed)])
