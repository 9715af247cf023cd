"""Which connection a command is about, and opening it."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

import typer

from cloudify_pipeline.connection import load_connection, open_connection
from cloudify_pipeline.control.connections import Overview, overview
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.errors import SettingsError, SettingsProblem
from cloudify_pipeline.posting.log.store import PostingLog
from cloudify_pipeline.settings.load import LoadedConnection
from cloudify_pipeline.settings.paths import connection_names, posting_url

Name = Annotated[str | None, typer.Argument(metavar="NAME", help="The connection; may be left out when there is only one.")]

_DOCUMENTS = ("in_", "ch_", "py_", "cn_", "re_", "pyr_", "du_", "dp_")
_RECORDS = (*_DOCUMENTS, "cus_", "prod_")


def chosen(name: str | None) -> str:
    """The connection that is meant.

    Raises:
        SettingsError: there is none of that name, or none was named and there are several.
    """
    names = connection_names()
    if name is not None and name in names:
        return name
    if name is None and len(names) == 1:
        return names[0]
    found = "nothing" if name is None else name
    raise SettingsError("the call", [SettingsProblem("NAME", found, _there_are(names))])


def chosen_and_records(words: Sequence[str]) -> tuple[str, list[str]]:
    """A connection and the record ids behind it; without a connection's name the only one is meant.

    Raises:
        SettingsError: as :func:`chosen`.
    """
    if words and (words[0] in connection_names() or not words[0].startswith(_RECORDS)):
        return chosen(words[0]), list(words[1:])
    return chosen(None), list(words)


def documents_only(ids: Sequence[str]) -> list[str]:
    """`ids`, all of invoices, charges, credit notes, refunds or disputes.

    Raises:
        SettingsError: one is something else.
    """
    wrong = [one for one in ids if not one.startswith(_DOCUMENTS)]
    if wrong:
        allowed = (
            "Stripe invoice or charge ids, or those of credit notes, refunds and disputes: in_…, ch_…, py_…, cn_…, re_…, du_…"
        )
        raise SettingsError("the call", [SettingsProblem("INVOICE", one, allowed) for one in wrong])
    return list(dict.fromkeys(ids))


@contextmanager
def opening(name: str) -> Iterator[OpenConnection]:
    """Connection `name`, closed after use."""
    opened = open_connection(name)
    try:
        yield opened
    finally:
        opened.log.close()


def connections() -> list[Overview]:
    """Every connection of this installation, those with mistaken files too."""
    files: list[tuple[str, LoadedConnection | SettingsError]] = []
    for name in connection_names():
        try:
            files.append((name, load_connection(name)))
        except SettingsError as error:
            files.append((name, error))
    log = PostingLog(posting_url())
    try:
        return overview(files, log)
    finally:
        log.close()


def _there_are(names: Sequence[str]) -> str:
    if not names:
        return "there is no connection yet: put a <name>.yaml into CLOUDIFY_CONNECTIONS, or try cloudify demo"
    return f"there are: {', '.join(names)}"


def is_terminal() -> bool:
    """Whether a person watches: both the output and its errors go to a terminal."""
    return sys.stdout.isatty() and sys.stderr.isatty()
