"""Fixtures that every room's tests share."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

# A machine that is busy with something else must not make a property fail.
settings.register_profile("any-machine", deadline=None)
settings.load_profile("any-machine")


@pytest.fixture(scope="session")
def shared() -> Callable[[str], Path]:
    """A folder of the official contracts and recorded objects; the test is skipped, by name, where they are absent."""
    root = Path(os.environ.get("CLOUDIFY_SHARED", Path(__file__).parents[2] / "shared"))

    def folder(name: str) -> Path:
        path = root / name
        if not path.exists():
            pytest.skip(f"needs {name}, which is not part of the project")
        return path

    return folder
