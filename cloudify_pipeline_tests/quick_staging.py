"""Keeps staging files open for the length of a block: DuckDB then opens them at once, not in a dozen milliseconds each time.

A block must be all of one process: another one would wait for it.
"""

import contextlib
from collections.abc import Iterator

import duckdb

from cloudify_pipeline.errors import SettingsError
from cloudify_pipeline.settings.paths import connection_names, staging_file


@contextlib.contextmanager
def staging_kept_open() -> Iterator[None]:
    with contextlib.ExitStack() as held:
        with contextlib.suppress(SettingsError):
            for name in connection_names():
                if staging_file(name).is_file():
                    # Some tests let another process have the file, or put something else in its place.
                    with contextlib.suppress(duckdb.Error):
                        held.enter_context(duckdb.connect(str(staging_file(name))))
        yield
