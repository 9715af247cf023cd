from pathlib import Path

import pytest

from cloudify_pipeline.errors import SettingsError
from cloudify_pipeline.settings.paths import connection_file, connection_names, connections_folder, home, posting_url


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CLOUDIFY_CONNECTIONS", str(tmp_path))
    for name in ("acme.yaml", "b-2_x.yaml", "Big.yaml", "-x.yaml", f"{'a' * 64}.yaml", "notes.txt"):
        (tmp_path / name).write_text("")
    return tmp_path


def test_connections_are_the_files_whose_names_fit(folder: Path) -> None:
    assert connection_names() == ["acme", "b-2_x"]
    assert connection_file("acme") == folder / "acme.yaml"


@pytest.mark.parametrize(
    ("name", "says"),
    [("acne", "did you mean acme? there are acme, b-2_x"), ("../etc", "small letters"), ("Big", "small letters")],
)
def test_an_unknown_name_names_those_there_are(folder: Path, name: str, says: str) -> None:
    with pytest.raises(SettingsError) as raised:
        connection_file(name)
    assert says in str(raised.value)


def test_no_folder_is_no_connections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDIFY_CONNECTIONS", str(tmp_path / "none"))
    assert connection_names() == []
    with pytest.raises(SettingsError, match="no connections yet"):
        connection_file("acme")


def test_the_state_is_in_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CLOUDIFY_HOME", "CLOUDIFY_CONNECTIONS", "CLOUDIFY_POSTING_URL"):
        monkeypatch.delenv(name, raising=False)
    assert (home(), connections_folder()) == (Path(".cloudify"), Path("connections"))
    monkeypatch.setenv("CLOUDIFY_HOME", str(tmp_path))
    assert posting_url() == f"sqlite:///{tmp_path.resolve()}/posting.db"
    monkeypatch.setenv("CLOUDIFY_POSTING_URL", "postgresql+psycopg://h/db")
    assert posting_url() == "postgresql+psycopg://h/db"
