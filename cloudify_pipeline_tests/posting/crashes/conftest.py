"""One ledger and one zygote for all cases of a session."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudify_pipeline_tests.posting.crashes.embedded import serving
from cloudify_pipeline_tests.posting.crashes.matrix import Stage
from cloudify_pipeline_tests.posting.crashes.zygote import Zygote


@pytest.fixture(scope="package")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    # The zygote comes first: it must not inherit the server's thread.
    with Zygote() as zygote, serving() as ledger:
        yield Stage(ledger, zygote, Path(tmp_path_factory.mktemp("crashes")))
