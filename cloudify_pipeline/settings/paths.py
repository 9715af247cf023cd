"""Where the connection files, the state and the posting log are; the environment's names are INTERFACE.md's."""

import os
import re
from difflib import get_close_matches
from pathlib import Path

from cloudify_pipeline.errors import SettingsError, SettingsProblem

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


def connections_folder() -> Path:
    """The folder of connection files: ``CLOUDIFY_CONNECTIONS``, else ``./connections``."""
    return Path(os.environ.get("CLOUDIFY_CONNECTIONS") or "connections")


def home() -> Path:
    """The folder of all state: ``CLOUDIFY_HOME``, else ``./.cloudify``. It need not exist yet."""
    return Path(os.environ.get("CLOUDIFY_HOME") or ".cloudify")


def staging_file(name: str) -> Path:
    """Where connection `name` keeps its copy of Stripe's objects. It need not exist yet."""
    return home() / name / "staging.duckdb"


def posting_url() -> str:
    """The posting log as an SQLAlchemy URL: ``CLOUDIFY_POSTING_URL``, else SQLite in the home."""
    return os.environ.get("CLOUDIFY_POSTING_URL") or f"sqlite:///{(home() / 'posting.db').resolve()}"


def connection_names() -> list[str]:
    """The connections there are, by name. Files whose name cannot be a connection's are not connections."""
    files = connections_folder().glob("*.yaml")
    return sorted(file.stem for file in files if file.is_file() and _NAME.fullmatch(file.stem))


def connection_file(name: str) -> Path:
    """The file of connection `name`.

    Raises:
        SettingsError: the name cannot be one, or there is no such file; the message names those there are.
    """
    if not _NAME.fullmatch(name):
        allowed = "a name has small letters, digits, - and _, begins with a letter or digit and has 63 characters at most"
        raise SettingsError("connection", [SettingsProblem("name", repr(name), allowed)])
    file = connections_folder() / f"{name}.yaml"
    if file.is_file():
        return file
    names = connection_names()
    near = get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    there = f"there are {', '.join(names)}" if names else "there are no connections yet: cloudify init writes one"
    raise SettingsError("connection", [SettingsProblem("name", name, f"{hint}{there} (in {connections_folder()})")])
